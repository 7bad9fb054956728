/**
 * The compiler's output: rule sets as matrices over identity classes and port classes. Numbers here are
 * positions inside one value; what they are called in the kernel (class numbers, origin ids, slots) is
 * given by the datapath, which keeps their history.
 */
import type { AuthMode, Direction, Identity } from '#model';
import type { ProxyRuleSet } from './proxy.ts';

/** Numbers of the flow API's policy_match_type, by name. */
export type MatchKind = 'none' | 'L3-only' | 'L3-L4' | 'L4-only' | 'all' | 'L3-proto' | 'proto-only';

/** What one row meets in one column. */
export interface Cell {
  readonly verdict: 'allow' | 'deny' | 'default-deny' | 'redirect' | 'auth';
  /**
   * The set of rule ids that decided, sorted; for default deny the policies' specs that switched the
   * direction (`name/specIndex`); empty where nothing is enforced.
   */
  readonly origin: readonly string[];
  readonly match: MatchKind;
  readonly log: boolean;
  /** What a proxy is told of the packets, of a redirect or behind an authentication. */
  readonly proxy?: ProxyRuleSet;
  /** What comes of it with the staged policies too, where one of the two answers refuses or only one asks a proxy. */
  readonly staged?: { readonly verdict: Cell['verdict']; readonly origin: readonly string[] };
  /** Of `auth`: how both ends prove who they are. */
  readonly auth?: Exclude<AuthMode, 'disabled'>;
}

/** Identities that all rule sets treat alike. The class named `''` is that of an unknown identity. */
export interface IdentityClass {
  /** Canonical name: equal names in two outputs mean equal membership rules. `vacant`: nobody's place now. */
  readonly name: string;
  readonly members: readonly Identity[];
}

/** Port-class index ranges (types.h PORT_CLASS_*) that all rule sets treat alike. */
export interface PortClass {
  readonly name: string;
  /** Ascending, disjoint, inclusive ranges of the flat index. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

/** One direction of a rule set. */
export interface DirectionImage {
  readonly enforced: boolean;
  /** What the cells refuse is reported and passes. */
  readonly audit?: true;
  /** Only staged policies select it: the cells refuse nothing and say what those would. */
  readonly staged?: true;
  /** Row of each identity class, by position in `CompiledPolicy.identityClasses`; 0 beyond the end. */
  readonly rows: readonly number[] | Uint16Array;
  /** Column of each port class, by position in `CompiledPolicy.portClasses`; 0 beyond the end. */
  readonly columns: readonly number[] | Uint16Array;
  readonly columnCount: number;
  readonly rowCount: number;
  /** Distinct cells; `matrix[row * columnCount + column]` is an index into it. */
  readonly cells: readonly Cell[];
  readonly matrix: readonly number[] | Uint32Array;
}

/** One distinct rule set, shared by all subjects of equal policy. */
export interface RuleSetImage {
  /** Content key: rule sets with equal keys are equal whatever the numbering; `host` for the node's own. */
  readonly key: string;
  readonly directions: Readonly<Record<Direction, DirectionImage>>;
}

/** Everything the datapath needs of policy, for one moment. */
export interface CompiledPolicy {
  readonly identityClasses: readonly IdentityClass[];
  readonly portClasses: readonly PortClass[];
  readonly host: RuleSetImage;
  readonly ruleSets: readonly RuleSetImage[];
  /** What the cells' redirects need a proxy for, by id. */
  readonly proxyRules: ReadonlyMap<string, ProxyRuleSet>;
  /** Endpoint id → key of its rule set. */
  readonly endpoints: ReadonlyMap<number, string>;
}
