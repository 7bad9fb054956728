/**
 * `merlon bpf policy get`: one subject's policy as the kernel holds it, a row for each identity and set of
 * ports that is decided alike, in the columns that Cilium users know. Everything is read out of the kernel's
 * memory; what was compiled is only held against it, and every difference is a row that says so.
 */
import type { PolicyMapView } from '#api';
import { type CellReading, type PolicyReading, RULESET_HOST, type RulesetReading } from '#datapath';
import { type Direction, endpointNamed, originOf, originParts } from '#model';
import type { Cell, CompiledPolicy, DirectionImage, RuleSetImage } from '#policy';
import type { ViewContext } from './context.ts';
import type { NumberNames } from './names.ts';
import { portsText, type Run } from './ports-text.ts';

/** A subject: how it was compiled and what the kernel has of it. */
interface Subject {
  readonly image: RuleSetImage | undefined;
  readonly held: RulesetReading | undefined;
  /** What its policy refuses passes, in both directions. */
  readonly isAudited: boolean;
}

/** Rows of the host or of one endpoint, by id or name. Error: ENDPOINT_NOT_FOUND. */
export function policyMap(
  context: ViewContext,
  names: NumberNames,
  endpoint: string,
): readonly PolicyMapView[] {
  const compiled = context.loop.enforced?.compiled;
  if (compiled === undefined) return [];
  const subject = subjectOf(context, compiled, endpoint);
  const table = new Comparison(context.datapath.policy.reading, compiled, names);
  return (['ingress', 'egress'] as const).flatMap((direction) => table.rows(subject, direction));
}

function subjectOf(context: ViewContext, compiled: CompiledPolicy, endpoint: string): Subject {
  const { datapath, tables } = context;
  const { reading } = datapath.policy;
  if (endpoint === 'host') {
    const isAudited = datapath.hostMode === 'audit';
    return { image: compiled.host, held: reading.ruleset(RULESET_HOST), isAudited };
  }
  const row = endpointNamed([...tables.endpoints.all()], endpoint);
  const index = datapath.endpoints.rulesetInMemory(row.id);
  return {
    image: compiled.ruleSets.find((r) => r.key === compiled.endpoints.get(row.id)),
    held: index === undefined ? undefined : reading.ruleset(index),
    isAudited: datapath.endpoints.isAuditedInMemory(row.id),
  };
}

/** A verdict with the rules that gave it. */
interface Decision {
  readonly verdict: Cell['verdict'] | 'none';
  /** What staged policies would refuse it by. */
  readonly staged: Cell['verdict'] | 'none';
  readonly rules: readonly string[];
}

interface Group extends Decision {
  readonly wanted: Decision | undefined;
  readonly runs: Run[];
}

/** Identity of everybody whom no class names. */
const ANY_OTHER = 0;

class Comparison {
  readonly #reading: PolicyReading;
  readonly #names: NumberNames;
  /** Runs of ports that neither the kernel nor the compiler tells apart. */
  readonly #runs: readonly Run[];
  readonly #positions = new Map<number, number>();
  readonly #unknownPosition: number;
  readonly #portPositions: readonly number[];

  constructor(reading: PolicyReading, compiled: CompiledPolicy, names: NumberNames) {
    this.#reading = reading;
    this.#names = names;
    for (const [position, { members }] of compiled.identityClasses.entries()) {
      for (const identity of members) this.#positions.set(identity, position);
    }
    this.#unknownPosition = compiled.identityClasses.findIndex((c) => c.name === '');
    const classes = compiled.portClasses.flatMap(({ ranges }, position) =>
      ranges.map(([first, last]) => ({ first, last, position })),
    );
    classes.sort((a, b) => a.first - b.first);
    this.#runs = cut(
      reading.ports(),
      classes.map((c) => c.first),
    );
    let at = 0;
    this.#portPositions = this.#runs.map(([first]) => {
      while ((classes[at]?.last ?? first) < first) at += 1;
      return classes[at]?.position ?? 0;
    });
  }

  /** Identities in the order of their numbers, those that the kernel and those that the compiler knows. */
  #identities(): readonly number[] {
    const all = new Set([ANY_OTHER, ...this.#reading.identities(), ...this.#positions.keys()]);
    return [...all].sort((a, b) => a - b);
  }

  rows({ image, held, isAudited }: Subject, direction: Direction): readonly PolicyMapView[] {
    const wanted = image?.directions[direction];
    const found = held?.[direction];
    if (!isJudged(wanted) && !isJudged(found)) return [];
    if (found === undefined || !isJudged(found))
      return [everything(direction, 'the kernel does not enforce this direction')];
    if (wanted === undefined || !isJudged(wanted))
      return [everything(direction, 'the kernel enforces it although no policy asks for it')];
    const known = new Map<string, readonly Group[]>();
    return this.#identities().flatMap((identity) => {
      const position = this.#positions.get(identity) ?? this.#unknownPosition;
      const key = `${this.#reading.classOf(identity)} ${position}`;
      const groups = known.get(key) ?? this.#groups((port) => found.cell(identity, port), wanted, position);
      known.set(key, groups);
      return groups.map((group) => this.#view(identity, direction, group, isAudited || found.audit));
    });
  }

  /** What is decided alike, for one identity: by the kernel, and by the compiler where that is different. */
  #groups(cell: (port: number) => CellReading, wanted: DirectionImage, position: number): readonly Group[] {
    const groups = new Map<string, Group>();
    for (const [i, run] of this.#runs.entries()) {
      const held = this.#held(cell(run[0]));
      const asked = compiledCell(wanted, position, this.#portPositions[i] ?? 0);
      const isSame = sameDecision(held, asked);
      if (isSame && held.verdict === 'default-deny') continue;
      const key = JSON.stringify([held, isSame ? null : asked]);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { ...held, wanted: isSame ? undefined : asked, runs: [run] });
      else group.runs.push(run);
    }
    return [...groups.values()];
  }

  #held({ verdict, staged, origin }: CellReading): Decision {
    return { verdict, staged, rules: this.#names.rules(origin).map((r) => r.id) };
  }

  #view(identity: number, direction: Direction, group: Group, isAudited: boolean): PolicyMapView {
    const { verdict, staged, rules, wanted, runs } = group;
    const isAllowed = verdict === 'allow' || verdict === 'redirect';
    const audited = isAllowed ? staged !== 'none' : isAudited;
    return {
      policy: audited ? 'Audit' : isAllowed ? 'Allow' : 'Deny',
      direction: direction === 'ingress' ? 'Ingress' : 'Egress',
      identity,
      labels: identity === ANY_OTHER ? ['(any other identity)'] : this.#names.labels(identity),
      portProto: portsText(runs),
      proxyPort: 'NONE',
      rules: rules.map((id) => this.#names.rule(id)),
      ...(wanted === undefined ? {} : { differs: `compiled is ${decisionText(wanted)}` }),
    };
  }
}

/** Whether packets are looked up there at all. */
function isJudged(of: { readonly enforced: boolean; readonly staged?: boolean } | undefined): boolean {
  return of !== undefined && (of.enforced || of.staged === true);
}

/** The runs, cut where one of these ports begins as well. */
function cut(runs: readonly Run[], begins: readonly number[]): readonly Run[] {
  const all = [...new Set([...runs.map(([first]) => first), ...begins])].sort((a, b) => a - b);
  const end = runs.at(-1)?.[1] ?? 0;
  return all.map((first, i): Run => [first, (all[i + 1] ?? end + 1) - 1]);
}

function compiledCell(image: DirectionImage, position: number, port: number): Decision {
  const at = (image.rows[position] ?? 0) * image.columnCount + (image.columns[port] ?? 0);
  const cell = image.cells[image.matrix[at] ?? 0];
  if (cell === undefined) return { verdict: 'none', staged: 'none', rules: [] };
  const { rules, enforced } = originParts(originOf(cell));
  return {
    verdict: cell.verdict,
    staged: enforced === undefined ? 'none' : (cell.staged?.verdict ?? 'none'),
    rules,
  };
}

function sameDecision(a: Decision, b: Decision): boolean {
  return (
    a.verdict === b.verdict &&
    a.staged === b.staged &&
    a.rules.length === b.rules.length &&
    a.rules.every((r, i) => r === b.rules[i])
  );
}

function decisionText({ verdict, staged, rules }: Decision): string {
  const word = staged === 'none' ? verdict : `${verdict}, staged ${staged}`;
  return rules.length === 0 ? word : `${word} by ${rules.join(', ')}`;
}

/** A row for a direction as a whole. */
function everything(direction: Direction, differs: string): PolicyMapView {
  return {
    policy: 'Allow',
    direction: direction === 'ingress' ? 'Ingress' : 'Egress',
    identity: ANY_OTHER,
    labels: ['(everybody)'],
    portProto: 'ANY',
    proxyPort: 'NONE',
    rules: [],
    differs,
  };
}
