/** The text of one manifest file → objects, each accepted or with all its problems. */
import {
  errorFromProblem,
  type Fields,
  fail,
  inOrder,
  parseTrees,
  placeAt,
  type Problem,
  quote,
  readAnyMap,
  readMap,
  readText,
  type Report,
  rootPlace,
  type TreeDocument,
} from '../document/index.ts';
import { assertNever, type SourceAt } from '#kit/errors';
import { nearest } from '#kit/nearest';
import type { CidrGroupRow, EndpointSliceRow, ServiceRow } from '../facts.ts';
import type { Warning } from '../findings.ts';
import type { Policy } from '../policy.ts';
import type { WorkloadRow } from '../rows.ts';
import { DEFAULT_PARSE_OPTIONS, type ParseOptions } from './options.ts';
import { readCidrGroup, readEndpointSlice, readService } from './facts.ts';
import { readNetworkPolicy } from './network-policy.ts';
import { belongsInSpec, readPolicy } from './policy.ts';
import { REFUSED_KINDS } from './refusals.ts';
import { readWorkload } from './workload.ts';

const SUPPORTED_KINDS = [
  { kind: 'CiliumNetworkPolicy', apiVersions: ['cilium.io/v2'] },
  { kind: 'CiliumClusterwideNetworkPolicy', apiVersions: ['cilium.io/v2'] },
  { kind: 'NetworkPolicy', apiVersions: ['networking.k8s.io/v1'] },
  { kind: 'CiliumCIDRGroup', apiVersions: ['cilium.io/v2', 'cilium.io/v2alpha1'] },
  { kind: 'Service', apiVersions: ['v1'] },
  { kind: 'EndpointSlice', apiVersions: ['discovery.k8s.io/v1'] },
  { kind: 'Workload', apiVersions: ['merlon.io/v1'] },
] as const;

/** Whether an object is of a kind that says nothing about policies, and is no mistyped one that does. */
export function isOtherKind(kind: string): boolean {
  if (SUPPORTED_KINDS.some((known) => known.kind === kind)) return false;
  if (REFUSED_KINDS.some((known) => known.kind === kind)) return true;
  const all = [...SUPPORTED_KINDS, ...REFUSED_KINDS].map((known) => known.kind);
  return kind !== '' && nearest(kind, all) === undefined;
}

/** What one document holds. */
export type ManifestValue =
  | { readonly kind: 'policy'; readonly policy: Policy }
  | { readonly kind: 'cidrGroup'; readonly cidrGroup: CidrGroupRow }
  | { readonly kind: 'service'; readonly service: ServiceRow }
  | { readonly kind: 'endpointSlice'; readonly endpointSlice: EndpointSliceRow }
  | { readonly kind: 'workload'; readonly workload: WorkloadRow };

/** One document of a file. It has a value exactly when it has no problems. */
export interface ManifestObject {
  /** Position in the file, from 1. */
  readonly document: number;
  /** As written; empty when it could not be read. */
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly at: SourceAt;
  readonly value: ManifestValue | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}

/** The objects of a YAML or JSON text. Never throws: what is wrong stands in the objects' problems. */
export function parseManifest(
  text: string,
  options: ParseOptions & { readonly file?: string | undefined },
): readonly ManifestObject[] {
  const documents = parseTrees(text, {
    file: options.file,
    syntaxCode: 'MANIFEST_SYNTAX',
    tooLargeCode: 'MANIFEST_TOO_LARGE',
  });
  const isOne = documents.length === 1;
  return documents.flatMap(itemsOf).map(({ document, path }) => {
    const object = readDocument(document, options, path);
    if (isOne) return object;
    const numbered = (p: Problem): Problem => ({
      ...p,
      message: `document ${object.document}: ${p.message}`,
    });
    return { ...object, problems: object.problems.map(numbered) };
  });
}

/** What `kubectl get` hands out several objects in: each item is a document. */
const LIST_KINDS: readonly string[] = ['List', ...SUPPORTED_KINDS.map(({ kind }) => `${kind}List`)];

function itemsOf(document: TreeDocument): readonly { document: TreeDocument; path: string }[] {
  const { tree } = document;
  const alone = [{ document, path: '' }];
  if (tree?.kind !== 'map') return alone;
  const value = (key: string) => tree.entries.find((entry) => entry.key === key)?.value;
  const [kind, items] = [value('kind'), value('items')];
  const isList = kind?.kind === 'scalar' && LIST_KINDS.includes(kind.text);
  return isList && items?.kind === 'list'
    ? items.items.map((item, i) => ({ document: { ...document, tree: item }, path: `items[${i}]` }))
    : alone;
}

/** The policies of a text with default settings; throws the first problem. For tests and tools. */
export function parsePolicies(
  text: string,
  options: Partial<ParseOptions> & { readonly file?: string } = {},
): readonly Policy[] {
  const objects = parseManifest(text, { ...DEFAULT_PARSE_OPTIONS, ...options });
  const problem = objects.flatMap((object) => object.problems)[0];
  if (problem !== undefined) throw errorFromProblem(problem);
  return objects.flatMap(({ value }) => (value?.kind === 'policy' ? [value.policy] : []));
}

/**
 * One object of a document that is parsed already, for example one that stands inside another file; `path`: where
 * it stands in its document.
 */
export function readDocument(
  document: TreeDocument,
  options: ParseOptions & { readonly file?: string | undefined },
  path = '',
): ManifestObject {
  const number = document.index + 1;
  const nameless = { document: number, kind: '', namespace: undefined, name: undefined, value: undefined };
  if (document.tree === undefined) {
    const { problem } = document;
    return {
      ...nameless,
      at: problem?.at ?? {},
      problems: problem === undefined ? [] : [problem],
      warnings: [],
    };
  }
  const report: Report = {
    file: options.file,
    codes: { schema: 'MANIFEST_SCHEMA', unknownKey: 'MANIFEST_UNKNOWN_KEY' },
    problems: [],
    warnings: [],
  };
  const root = { ...rootPlace(document.tree, report), path };
  const at = placeAt(root);
  const entries = readAnyMap(root, 'an object');
  const kind = entries && readKind(root, entries.get('kind')?.value, entries.get('apiVersion')?.value);
  if (entries === undefined || kind === undefined) {
    return {
      ...nameless,
      kind: textOf(entries?.get('kind')?.value) ?? '',
      at,
      problems: report.problems,
      warnings: [],
    };
  }
  const isPolicy = POLICY_KINDS.has(kind);
  const typed: Report = isPolicy
    ? { ...report, codes: { schema: 'POLICY_SCHEMA', unknownKey: 'POLICY_UNKNOWN_KEY' } }
    : report;
  const fields = readMap({ ...root, report: typed }, keysOf(kind), `a ${kind}`, (key) =>
    isPolicy && kind !== 'NetworkPolicy' && belongsInSpec(key) ? 'it belongs in spec' : undefined,
  );
  const value = fields && readValue(fields, kind, options);
  const metadata = entries.get('metadata')?.value;
  const part = (key: string) => (metadata === undefined ? undefined : textOf(readQuietly(metadata, key)));
  return {
    document: number,
    kind,
    namespace: CLUSTER_KINDS.has(kind) ? undefined : (part('namespace') ?? 'default'),
    name: part('name'),
    at,
    value: typed.problems.length > 0 ? undefined : value,
    problems: inOrder(typed.problems),
    warnings: typed.warnings,
  };
}

type SupportedKind = (typeof SUPPORTED_KINDS)[number]['kind'];

const POLICY_KINDS: ReadonlySet<SupportedKind> = new Set([
  'CiliumNetworkPolicy',
  'CiliumClusterwideNetworkPolicy',
  'NetworkPolicy',
]);
const CLUSTER_KINDS: ReadonlySet<SupportedKind> = new Set([
  'CiliumClusterwideNetworkPolicy',
  'CiliumCIDRGroup',
]);

/** Keys that an object of the kind has at the top. */
function keysOf(kind: SupportedKind): readonly string[] {
  const common = ['apiVersion', 'kind', 'metadata'];
  if (kind === 'EndpointSlice') return [...common, 'addressType', 'endpoints', 'ports'];
  const hasSpecs = kind === 'CiliumNetworkPolicy' || kind === 'CiliumClusterwideNetworkPolicy';
  return [...common, 'spec', 'status', ...(hasSpecs ? ['specs'] : [])];
}

function readValue(fields: Fields, kind: SupportedKind, options: ParseOptions): ManifestValue | undefined {
  switch (kind) {
    case 'Workload': {
      const workload = readWorkload(fields, options);
      return workload && { kind: 'workload', workload };
    }
    case 'CiliumCIDRGroup': {
      const cidrGroup = readCidrGroup(fields, options);
      return cidrGroup && { kind: 'cidrGroup', cidrGroup };
    }
    case 'Service': {
      const service = readService(fields, options);
      return service && { kind: 'service', service };
    }
    case 'EndpointSlice': {
      const endpointSlice = readEndpointSlice(fields, options);
      return endpointSlice && { kind: 'endpointSlice', endpointSlice };
    }
    case 'NetworkPolicy': {
      const policy = readNetworkPolicy(fields, options);
      return policy && { kind: 'policy', policy };
    }
    case 'CiliumNetworkPolicy':
    case 'CiliumClusterwideNetworkPolicy': {
      const policy = readPolicy(fields, kind, options);
      return policy && { kind: 'policy', policy };
    }
    default:
      return assertNever(kind);
  }
}

type PlaceLike = Fields['place'];

function readKind(
  root: PlaceLike,
  kindPlace: PlaceLike | undefined,
  versionPlace: PlaceLike | undefined,
): SupportedKind | undefined {
  if (kindPlace === undefined) return fail(root, 'MANIFEST_KIND', 'kind is missing', hintWithoutKind(root));
  const kind = readText(kindPlace);
  if (kind === undefined) return undefined;
  const all = [...SUPPORTED_KINDS, ...REFUSED_KINDS];
  const known = all.find((k) => k.kind === kind);
  if (known === undefined) {
    const near = nearest(
      kind,
      all.map((k) => k.kind),
    );
    const hint =
      near === undefined
        ? `kinds of a manifest: ${SUPPORTED_KINDS.map((k) => k.kind).join(', ')}`
        : `did you mean ${near}?`;
    return fail(kindPlace, 'MANIFEST_KIND', `there is no kind ${quote(kind)} here`, hint);
  }
  if (versionPlace === undefined)
    return fail(root, 'MANIFEST_KIND', 'apiVersion is missing', `write ${known.apiVersions[0]}`);
  const version = readText(versionPlace);
  if (version === undefined) return undefined;
  if (!(known.apiVersions as readonly string[]).includes(version)) {
    return fail(
      versionPlace,
      'MANIFEST_KIND',
      `${kind} has no version ${quote(version)}`,
      `write ${known.apiVersions[0]}`,
    );
  }
  const supported = SUPPORTED_KINDS.find((k) => k.kind === kind);
  if (supported !== undefined) return supported.kind;
  const isConfig = kind === 'NodeConfig';
  const hint = isConfig ? '`merlon config check` judges configuration files' : 'remove the object';
  return fail(kindPlace, 'NOT_SUPPORTED_YET', `the kind ${kind} is not supported yet`, hint);
}

/** A case file is easily taken for the policy that it stands beside. */
function hintWithoutKind({ tree }: PlaceLike): string | undefined {
  const has = (key: string) => tree.kind === 'map' && tree.entries.some((entry) => entry.key === key);
  return has('expect') || has('policyFiles') ? 'a case file is run by `merlon policy test`' : undefined;
}

function readQuietly(map: PlaceLike, key: string): PlaceLike | undefined {
  const entry = map.tree.kind === 'map' ? map.tree.entries.find((e) => e.key === key) : undefined;
  return entry && { ...map, tree: entry.value };
}

function textOf(place: PlaceLike | undefined): string | undefined {
  return place?.tree.kind === 'scalar' && typeof place.tree.value === 'string' ? place.tree.value : undefined;
}
