/**
 * Pure: a snapshot and what was accepted before → what is accepted now (HF-11.2, HF-11.3). All or nothing,
 * unless each file stands for itself. An empty set never replaces one with policies: it is held.
 */
import { assertNever } from '#kit/errors';
import type { CidrGroupRow, EndpointSliceRow, Policy, ServiceRow, Warning, WorkloadRow } from '#model';
import {
  type ManifestObject,
  type ManifestValue,
  type ParseOptions,
  parseManifest,
  type Problem,
} from '#model/parse';
import type { ManifestFile, Snapshot } from './snapshot.ts';

/** Most documents of all files together. */
const MAX_DOCUMENTS = 10_000;
/** Most problems of a set that are told; each file has its own beside. */
const MAX_SET_PROBLEMS = 200;

/** An accepted object. */
export type Accepted =
  | { readonly kind: 'policy'; readonly row: Policy }
  | { readonly kind: 'workload'; readonly row: WorkloadRow }
  | { readonly kind: 'cidrGroup'; readonly row: CidrGroupRow }
  | { readonly kind: 'service'; readonly row: ServiceRow }
  | { readonly kind: 'endpointSlice'; readonly row: EndpointSliceRow };

/** One file after judgement. */
export interface JudgedFile {
  readonly file: string;
  readonly hash: string;
  readonly state: 'accepted' | 'invalid' | 'waiting';
  /** Names of its objects, `kind/namespace/name`. */
  readonly objects: readonly JudgedObject[];
  readonly problems: readonly Problem[];
}

/** One object of a file. */
export interface JudgedObject {
  /** `kind/namespace/name`; for one without a name `file#document`. */
  readonly key: string;
  readonly file: string;
  readonly document: number;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}

/** What is accepted, by file. */
export type AcceptedFiles = ReadonlyMap<string, readonly Accepted[]>;

/** The judgement. `accepted` is what shall be enforced, which is the previous one unless the state says otherwise. */
export interface Judgement {
  readonly state: 'accepted' | 'invalid' | 'held';
  /** Why, for people; empty when all is well. */
  readonly message: string;
  readonly files: readonly JudgedFile[];
  readonly problems: readonly Problem[];
  readonly accepted: AcceptedFiles;
}

/** What judging needs beside the snapshot. */
export interface JudgeOptions {
  readonly parse: ParseOptions;
  readonly perFile: boolean;
  readonly previous: AcceptedFiles;
  /** Policies that are enforced, those from before a restart included. */
  readonly activePolicies: number;
  /** Device of each directory when it was last accepted. */
  readonly devices: ReadonlyMap<string, bigint>;
  /** A person said that this set is meant, even an empty one. */
  readonly force: boolean;
  /** Objects of a text; the source remembers those of files that did not change. */
  readonly parsed?: (file: ManifestFile) => readonly ManifestObject[];
}

/** Judges a snapshot. */
export function judge(snapshot: Snapshot, options: JudgeOptions): Judgement {
  const parse = options.parsed ?? ((file: ManifestFile) => parseFile(file, options.parse));
  const files = snapshot.files.map((file) => ({ file, objects: file.text === undefined ? [] : parse(file) }));
  const documents = files.reduce((sum, { objects }) => sum + objects.length, 0);
  const hold = holdReason(snapshot, documents, options);
  if (hold !== undefined) {
    const waiting = files.map(({ file, objects }) => judgedFile(file, objects, 'waiting'));
    return { state: 'held', message: hold, files: waiting, problems: [], accepted: options.previous };
  }
  const duplicates = findDuplicates(files);
  const judged = files.map(({ file, objects }) => {
    const extra = duplicates.get(file.file) ?? [];
    const problems = [...file.problems, ...objects.flatMap((o) => o.problems), ...extra];
    const state = problems.length === 0 ? 'accepted' : 'invalid';
    return { ...judgedFile(file, objects, state), problems };
  });
  const problems = [
    ...snapshot.problems,
    ...tooMany(documents, snapshot),
    ...judged.flatMap((f) => f.problems),
  ].slice(0, MAX_SET_PROBLEMS);
  if (problems.length === 0) {
    const accepted = new Map(files.map(({ file, objects }) => [file.file, acceptedOf(objects)]));
    const message = snapshot.missing.map(({ path, reason }) => `${path}: ${reason}`).join('; ');
    return { state: 'accepted', message, files: judged, problems, accepted };
  }
  const isWhole = snapshot.problems.length > 0 || documents > MAX_DOCUMENTS;
  if (!options.perFile || isWhole) {
    const waiting = judged.map((f) => (f.state === 'accepted' ? { ...f, state: 'waiting' as const } : f));
    const message = 'the manifests are refused as a whole; what was accepted before stays enforced';
    return { state: 'invalid', message, files: waiting, problems, accepted: options.previous };
  }
  const message = 'some files are refused; what was accepted of them before stays enforced';
  return {
    state: 'invalid',
    message,
    files: judged,
    problems,
    accepted: isolate(files, judged, options.previous),
  };
}

/** The objects of a file's text. */
export function parseFile(file: ManifestFile, options: ParseOptions): readonly ManifestObject[] {
  return parseManifest(file.text ?? '', { ...options, file: file.file });
}

/** Files that are fine as they are now, others as they were; an object that moved to a fine file counts there. */
function isolate(
  files: readonly { file: ManifestFile; objects: readonly ManifestObject[] }[],
  judged: readonly JudgedFile[],
  previous: AcceptedFiles,
): AcceptedFiles {
  const good = new Set(judged.filter((f) => f.state === 'accepted').map((f) => f.file));
  const out = new Map<string, readonly Accepted[]>();
  const keys = new Set<string>();
  for (const { file, objects } of files) {
    if (!good.has(file.file)) continue;
    const accepted = acceptedOf(objects);
    out.set(file.file, accepted);
    for (const a of accepted) keys.add(acceptedKey(a));
  }
  for (const { file } of files) {
    if (good.has(file.file)) continue;
    const kept = (previous.get(file.file) ?? []).filter((a) => !keys.has(acceptedKey(a)));
    out.set(file.file, kept);
  }
  return out;
}

function holdReason(snapshot: Snapshot, documents: number, options: JudgeOptions): string | undefined {
  if (options.activePolicies === 0 || options.force) return undefined;
  const remedy = 'bring it back, or run `merlon policy clear --yes` to enforce nothing';
  // A directory that never was there takes nothing away; before the first acceptance nobody knows.
  const gone = snapshot.missing.find(({ path }) => options.devices.size === 0 || options.devices.has(path));
  if (gone !== undefined) return `${gone.path}: ${gone.reason}; ${stays(options)}; ${remedy}`;
  for (const [path, device] of snapshot.devices) {
    const before = options.devices.get(path);
    if (before !== undefined && before !== device) {
      return `${path} is on another device than before; ${stays(options)}; run \`merlon reload\` if that is meant`;
    }
  }
  if (documents > 0 || snapshot.problems.length > 0) return undefined;
  if (snapshot.files.some((file) => file.problems.length > 0)) return undefined;
  const what =
    snapshot.files.length === 0 ? 'all manifests are gone at once' : 'no manifest has an object left';
  return `${what}; ${stays(options)}; ${remedy.replace(' it ', ' them ')}`;
}

function stays({ activePolicies: n }: JudgeOptions): string {
  return n === 1 ? 'the one policy stays enforced' : `the ${n} policies stay enforced`;
}

function tooMany(documents: number, snapshot: Snapshot): readonly Problem[] {
  if (documents <= MAX_DOCUMENTS) return [];
  const at = { file: snapshot.files.at(-1)?.file ?? '', line: 1, column: 1 };
  const message = `all manifests together have ${documents} documents, the limit is ${MAX_DOCUMENTS}`;
  return [{ code: 'MANIFEST_TOO_LARGE', message, at, hint: 'remove some of them' }];
}

/** A problem at the later of two objects with one kind, namespace and name, naming the earlier. */
function findDuplicates(
  files: readonly { file: ManifestFile; objects: readonly ManifestObject[] }[],
): ReadonlyMap<string, readonly Problem[]> {
  const first = new Map<string, ManifestObject>();
  const out = new Map<string, Problem[]>();
  for (const { file, objects } of files) {
    for (const object of objects) {
      if (object.name === undefined || object.kind === '') continue;
      const key = objectKey(object);
      const before = first.get(key);
      if (before === undefined) {
        first.set(key, object);
        continue;
      }
      const title = `${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`;
      const problems = out.get(file.file) ?? [];
      problems.push({
        code: 'MANIFEST_DUPLICATE',
        message: `${title} is already in ${before.at.file}:${before.at.line}:${before.at.column}`,
        at: object.at,
        hint: 'keep one of the two, or give one another name',
      });
      out.set(file.file, problems);
    }
  }
  return out;
}

function judgedFile(
  file: ManifestFile,
  objects: readonly ManifestObject[],
  state: JudgedFile['state'],
): JudgedFile {
  const rows = objects.map((o) => ({
    key: o.name === undefined ? `${file.file}#${o.document}` : objectKey(o),
    file: file.file,
    document: o.document,
    problems: o.problems,
    warnings: o.warnings,
  }));
  return { file: file.file, hash: file.hash, state, objects: rows, problems: [] };
}

function objectKey(object: ManifestObject): string {
  return `${object.kind}/${object.namespace ?? ''}/${object.name ?? ''}`;
}

/** `kind/namespace/name`. */
export function acceptedKey(a: Accepted): string {
  switch (a.kind) {
    case 'policy':
      return a.row.key;
    case 'workload':
      return `Workload/${a.row.key}`;
    case 'cidrGroup':
      return `CiliumCIDRGroup//${a.row.name}`;
    case 'service':
      return `Service/${a.row.key}`;
    case 'endpointSlice':
      return `EndpointSlice/${a.row.key}`;
    default:
      return assertNever(a);
  }
}

function acceptedOf(objects: readonly ManifestObject[]): readonly Accepted[] {
  return objects.flatMap(({ value }) => (value === undefined ? [] : [acceptedOne(value)]));
}

function acceptedOne(value: ManifestValue): Accepted {
  switch (value.kind) {
    case 'policy':
      return { kind: 'policy', row: value.policy };
    case 'workload':
      return { kind: 'workload', row: value.workload };
    case 'cidrGroup':
      return { kind: 'cidrGroup', row: value.cidrGroup };
    case 'service':
      return { kind: 'service', row: value.service };
    case 'endpointSlice':
      return { kind: 'endpointSlice', row: value.endpointSlice };
    default:
      return assertNever(value);
  }
}
