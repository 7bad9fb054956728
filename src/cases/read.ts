/**
 * The text of a case file → a case, or everything that is wrong with it. Strict: an unknown key is an error,
 * and so is a policy that is refused without standing in `reject`.
 */
import { errorMessage, MerlonError } from '#kit/errors';
import {
  type Fields,
  fail,
  inOrder,
  parseTrees,
  type Place,
  placeAt,
  type Problem,
  quote,
  readList,
  readMap,
  readText,
  type Report,
  rootPlace,
} from '#model/document';
import {
  DEFAULT_PARSE_OPTIONS,
  type ManifestObject,
  type ParseOptions,
  parseManifest,
  readDocument,
} from '#model/parse';
import type { Case, CaseConfig, CaseWorld, Rejection } from './case.ts';
import { itemsOf, optionalText, requiredText } from './fields.ts';
import { readExpectation } from './read-flow.ts';
import { readWorld, WORLD_KEYS } from './read-world.ts';

const CASE_KEYS = ['name', 'source', ...WORLD_KEYS, 'policies', 'policyFiles', 'expect', 'reject'] as const;

/** How the text of a file named in `policyFiles` is had; the path is as written. Throws what is shown. */
export type ReadPolicyFile = (path: string) => { readonly file: string; readonly text: string };

/** A case, or why there is none. */
export type CaseResult =
  | { readonly case: Case; readonly problems: readonly [] }
  | { readonly case: undefined; readonly problems: readonly Problem[] };

/** Reads one case file. `file` is its name for people; a file that only describes a world needs no `name`. */
export function readCase(
  text: string,
  file: string,
  readPolicyFile: ReadPolicyFile,
  isWorld = false,
): CaseResult {
  const report: Report = {
    file,
    codes: { schema: 'CASE_SCHEMA', unknownKey: 'CASE_UNKNOWN_KEY' },
    problems: [],
    warnings: [],
  };
  const refused = (): CaseResult => ({ case: undefined, problems: inOrder(report.problems) });
  const top = topLevel(text, file, report);
  if (top === undefined) return refused();
  const name = isWorld ? (optionalText(top, 'name') ?? file) : requiredText(top, 'name');
  const world = readWorld(top);
  const objects = readObjects(top, world.config, readPolicyFile);
  const expect = itemsOf(top, 'expect', (place) => readExpectation(place, world));
  const reject = itemsOf(top, 'reject', (place) => readRejection(place, objects));
  checkReferences(top, world);
  checkRefused(objects, reject, report);
  if (name === undefined || report.problems.length > 0) return refused();
  const policies = objects.flatMap(({ value }) => (value?.kind === 'policy' ? [value.policy] : []));
  const source = optionalText(top, 'source');
  const all = withManifests(world, objects);
  return { case: { file, name, source, world: all, objects, policies, expect, reject }, problems: [] };
}

/** Groups and Services that stand beside the policies of a file are of the world, too. */
function withManifests(world: CaseWorld, objects: readonly ManifestObject[]): CaseWorld {
  const values = objects.map(({ value }) => value).filter((value) => value !== undefined);
  const slices = values.flatMap((value) => (value.kind === 'endpointSlice' ? [value.endpointSlice] : []));
  return {
    ...world,
    cidrGroups: [
      ...world.cidrGroups,
      ...values.flatMap((value) => (value.kind === 'cidrGroup' ? [value.cidrGroup] : [])),
    ],
    services: [
      ...world.services,
      ...values.flatMap((value) => {
        if (value.kind !== 'service') return [];
        const { key, namespace, name, labels, selector } = value.service;
        const own = slices.filter((slice) => slice.namespace === namespace && slice.service === name);
        const backends = own.flatMap((slice) => slice.addresses);
        return [{ name: key, labels, selector, ports: [], clusterIP: undefined, backends }];
      }),
    ],
  };
}

function topLevel(text: string, file: string, report: Report): Fields | undefined {
  const documents = parseTrees(text, {
    file,
    syntaxCode: 'MANIFEST_SYNTAX',
    tooLargeCode: 'MANIFEST_TOO_LARGE',
  });
  const problems = documents.map((d) => d.problem).filter((p) => p !== undefined);
  report.problems.push(...problems);
  const [document] = documents;
  if (problems.length > 0) return undefined;
  if (document?.tree === undefined || documents.length > 1) {
    const message = documents.length > 1 ? 'a case file has one document' : 'the file is empty';
    report.problems.push({ code: 'CASE_SCHEMA', message, at: { file, line: 1, column: 1 } });
    return undefined;
  }
  const root = rootPlace(document.tree, report);
  const kind = kindOf(document.tree);
  if (kind === undefined) return readMap(root, CASE_KEYS, 'a case');
  const hint = 'write a case file, and name this one under policyFiles';
  return fail(root, 'CASE_SCHEMA', `a ${kind} is no case`, hint);
}

/** The kind of an object of Kubernetes, which a case is not. */
function kindOf(tree: Place['tree']): string | undefined {
  if (tree.kind !== 'map' || !tree.entries.some(({ key }) => key === 'apiVersion')) return undefined;
  const kind = tree.entries.find(({ key }) => key === 'kind')?.value;
  return kind?.kind === 'scalar' ? kind.text : undefined;
}

/** What parsing policies depends on, of a case's options. */
export function parseOptions(config: CaseConfig): ParseOptions {
  return {
    ...DEFAULT_PARSE_OPTIONS,
    clusterName: config.clusterName,
    policyDefaultLocalCluster: config.policyDefaultLocalCluster,
    nonDefaultDenyPolicies: config.nonDefaultDenyPolicies,
    extendedIpProtocols: config.extendedIPProtocols,
    nodeSelectorLabels: config.nodeSelectorLabels,
    l7Proxy: config.l7Proxy,
    icmpRules: config.icmpRules,
    networkPolicies: config.k8sNetworkPolicy,
    cloudGroupProviders: Object.keys(config.groups).length > 0 ? ['aws'] : [],
  };
}

function readObjects(top: Fields, config: CaseConfig, read: ReadPolicyFile): readonly ManifestObject[] {
  const options = parseOptions(config);
  const { file } = top.place.report;
  const place = top.get('policies');
  const inline = place === undefined ? [] : (readList(place, 'policies') ?? []);
  const objects = inline.map(({ tree }, index) =>
    readDocument({ index, tree, problem: undefined }, { ...options, file }),
  );
  const fromFiles = itemsOf(top, 'policyFiles', (item) => readPolicies(item, options, read)).flat();
  return [...objects, ...fromFiles];
}

function readPolicies(
  place: Place,
  options: ParseOptions,
  read: ReadPolicyFile,
): readonly ManifestObject[] | undefined {
  const path = readText(place);
  if (path === undefined) return undefined;
  try {
    const { file, text } = read(path);
    return parseManifest(text, { ...options, file });
  } catch (e) {
    return fail(place, e instanceof MerlonError ? e.code : 'MANIFEST_UNREADABLE', errorMessage(e));
  }
}

function readRejection(place: Place, objects: readonly ManifestObject[]): Rejection | undefined {
  const fields = readMap(place, ['policy', 'error'], 'a rejection');
  const policy = fields && requiredText(fields, 'policy');
  const pattern = fields && requiredText(fields, 'error');
  if (fields === undefined || policy === undefined || pattern === undefined) return undefined;
  if (!objects.some((object) => object.name === policy)) {
    return fail(fields.get('policy') ?? place, 'CASE_REFERENCE', `there is no policy ${quote(policy)}`);
  }
  const [, source, flags] = /^\/(.+)\/([a-z]*)$/s.exec(pattern) ?? [];
  try {
    if (source !== undefined) return { at: placeAt(place), policy, error: new RegExp(source, flags) };
  } catch {
    // Told below, in the same words as for text without slashes.
  }
  return fail(
    fields.get('error') ?? place,
    'CASE_SCHEMA',
    `${quote(pattern)} is no pattern`,
    'write it as /text/i',
  );
}

/** A policy that is refused and not listed under `reject` makes the case unusable. */
function checkRefused(
  objects: readonly ManifestObject[],
  reject: readonly Rejection[],
  report: Report,
): void {
  for (const object of objects) {
    if (reject.some(({ policy }) => policy === object.name)) continue;
    report.problems.push(...object.problems);
  }
}

/** Nodes that endpoints name exist, once a case lists nodes at all; `by` of an answer is an endpoint. */
function checkReferences(top: Fields, world: CaseWorld): void {
  const nodes = new Set(world.nodes.map((node) => node.name));
  const endpoints = new Set(world.endpoints.map((endpoint) => endpoint.name));
  const lost = world.endpoints.find(({ node }) => nodes.size > 0 && node !== 'node-a' && !nodes.has(node));
  const place = top.get('endpoints');
  if (lost !== undefined && place !== undefined) {
    fail(place, 'CASE_REFERENCE', `${lost.name} is on node ${quote(lost.node)}, which is not listed`);
  }
  const answer = world.dns.find(({ by }) => by !== undefined && !endpoints.has(by));
  const dns = top.get('dns');
  if (answer !== undefined && dns !== undefined) {
    fail(dns, 'CASE_REFERENCE', `there is no endpoint ${quote(answer.by ?? '')}`);
  }
}
