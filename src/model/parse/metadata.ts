/** `apiVersion`, `kind` and `metadata`, which all objects share. */
import type { ErrorCode } from '#kit/errors';
import { isDnsLabel, isDnsSubdomain, labelKeyProblem, labelValueProblem } from '#kit/labels';
import { nearest } from '#kit/nearest';
import {
  type Fields,
  fail,
  isFull,
  type Place,
  quote,
  readAnyMap,
  readMap,
  readText,
} from '../document/index.ts';
import { OTHER_ANNOTATIONS, POLICY_ANNOTATIONS } from './refusals.ts';

/** Fields of `metadata`: those that people write, and those that an API server adds to what it hands out. */
const METADATA_KEYS = [
  'name',
  'namespace',
  'labels',
  'annotations',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'ownerReferences',
  'finalizers',
  'selfLink',
  'generateName',
] as const;

/** Name and namespace of an object, and its annotations of ours. */
export interface Metadata {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `merlon.io/…` → its place and value. */
  readonly ours: ReadonlyMap<string, Place>;
}

/** Metadata of an object; a namespaced one without a namespace is in `default`. */
export function readMetadata(object: Fields, isNamespaced: boolean): Metadata | undefined {
  const place = object.get('metadata');
  if (place === undefined) return fail(object.place, 'MANIFEST_NAME', 'metadata.name is missing');
  const fields = readMap(place, METADATA_KEYS, 'metadata');
  if (fields === undefined) return undefined;
  const name = readName(
    fields,
    'name',
    isDnsSubdomain,
    'a name consists of lower-case letters, digits, - and .',
  );
  const namespacePlace = fields.get('namespace');
  let namespace: string | undefined;
  if (isNamespaced) {
    namespace = 'default';
    if (namespacePlace !== undefined) {
      namespace = readName(
        fields,
        'namespace',
        isDnsLabel,
        'a namespace consists of lower-case letters, digits and -',
      );
    }
  } else if (namespacePlace !== undefined) {
    fail(namespacePlace, 'MANIFEST_NAME', 'objects of this kind have no namespace', 'remove it');
  }
  const labels = readLabels(fields);
  const ours = readAnnotations(fields);
  if (name === undefined || (isNamespaced && namespace === undefined)) return undefined;
  return { namespace, name, labels, ours };
}

function readName(
  fields: Fields,
  key: 'name' | 'namespace',
  isValid: (text: string) => boolean,
  rule: string,
): string | undefined {
  const place = fields.get(key);
  if (place === undefined) return fail(fields.place, 'MANIFEST_NAME', `metadata.${key} is missing`);
  const text = readText(place);
  if (text === undefined || isValid(text)) return text;
  return fail(place, 'MANIFEST_NAME', `${quote(text)} is no valid ${key}`, rule);
}

function readLabels(metadata: Fields): Readonly<Record<string, string>> {
  const place = metadata.get('labels');
  return (place === undefined ? undefined : readLabelMap(place, 'LABEL_SYNTAX')) ?? {};
}

/** A map of Kubernetes labels; undefined when a problem was noted. */
export function readLabelMap(place: Place, code: ErrorCode): Record<string, string> | undefined {
  if (place.tree.kind === 'list') {
    return fail(place, code, 'expected a map of labels, found a list', 'write each label as key: value');
  }
  const entries = readAnyMap(place, 'labels');
  if (entries === undefined) return undefined;
  const out: Record<string, string> = Object.create(null);
  let isGood = true;
  for (const [key, { keyPlace, value }] of entries) {
    const keyFault = labelKeyProblem(key);
    if (keyFault !== undefined) fail(keyPlace, code, `${quote(key)} is no label key: ${keyFault}`);
    const text = value === undefined ? '' : readText(value);
    const valueFault = text === undefined ? undefined : labelValueProblem(text);
    if (valueFault !== undefined)
      fail(value ?? keyPlace, code, `${quote(text ?? '')} is no label value: ${valueFault}`);
    if (text === undefined || keyFault !== undefined || valueFault !== undefined) isGood = false;
    else out[key] = text;
  }
  return isGood ? { ...out } : undefined;
}

function readAnnotations(metadata: Fields): ReadonlyMap<string, Place> {
  const ours = new Map<string, Place>();
  const place = metadata.get('annotations');
  const entries = place === undefined ? undefined : readAnyMap(place, 'annotations');
  for (const [key, { keyPlace, value }] of entries ?? []) {
    if (!key.startsWith('merlon.io/')) continue;
    if (value === undefined) fail(keyPlace, 'MANIFEST_SCHEMA', 'the annotation has no value', 'remove it');
    else if (readText(value) !== undefined) ours.set(key, value);
  }
  return ours;
}

/** Problems for annotations of ours on an object of `kind`; a host policy takes those of policies. */
export function checkAnnotations(metadata: Metadata, kind: string, isHostPolicy: boolean): void {
  for (const [key, place] of metadata.ours) {
    if (isFull(place.report)) return;
    const policy = Object.hasOwn(POLICY_ANNOTATIONS, key) ? POLICY_ANNOTATIONS[key] : undefined;
    const value = place.tree.kind === 'scalar' ? place.tree.text : '';
    if (policy === undefined) {
      unknownAnnotation(place, key, kind);
    } else if (!isHostPolicy) {
      fail(
        place,
        'MANIFEST_SCHEMA',
        `the annotation ${key} is not allowed on this ${kind}`,
        'it belongs to a CiliumClusterwideNetworkPolicy with a nodeSelector',
      );
    } else if (!policy.pattern.test(value)) {
      fail(place, 'MANIFEST_SCHEMA', `${quote(value)} is no value of ${key}`, `write ${policy.values}`);
    } else if (!policy.accepted.includes(value)) {
      fail(
        place,
        'NOT_SUPPORTED_YET',
        `${key}: ${quote(value)} is not supported yet, so the whole object is refused`,
        'remove the annotation',
      );
    }
  }
}

function unknownAnnotation(place: Place, key: string, kind: string): void {
  const owner = Object.hasOwn(OTHER_ANNOTATIONS, key) ? OTHER_ANNOTATIONS[key] : undefined;
  if (owner !== undefined) {
    fail(
      place,
      'MANIFEST_SCHEMA',
      `the annotation ${key} is not allowed on this ${kind}`,
      `it belongs to ${owner}`,
    );
    return;
  }
  const near = nearest(key, [...Object.keys(POLICY_ANNOTATIONS), ...Object.keys(OTHER_ANNOTATIONS)]);
  const hint = near === undefined ? 'remove it' : `did you mean ${near}?`;
  fail(place, 'MANIFEST_UNKNOWN_KEY', `there is no annotation ${key}`, hint);
}
