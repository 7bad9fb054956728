/** `merlon policy trace`: `merlon explain` with the flags of the tool that people know. */
import { MerlonError } from '#kit/errors';
import { list, type Options, type Run, text } from '../verb.ts';
import { explainFlow } from './explain.ts';

export const run: Run = (context, _args, options) => {
  const from = party(options, 'src');
  const to = party(options, 'dst');
  const port = portOf(list(options, 'dport'));
  return explainFlow(context, from, to, { ...options, ...(port === undefined ? {} : { port }) });
};

/** Who stands behind `--src…` or `--dst…`. */
function party(options: Options, side: 'src' | 'dst'): string {
  const pod = text(options, `${side}K8sPod`);
  // Written `namespace/name`; the old tool wrote `namespace:name`.
  if (pod !== undefined) return pod.replace(/^([^:/]+):/, '$1/');
  const endpoint = text(options, `${side}Endpoint`);
  if (endpoint !== undefined) return endpoint;
  const identity = text(options, `${side}Identity`);
  if (identity !== undefined) return `identity:${identity}`;
  const labels = list(options, side);
  const [first] = labels;
  if (first !== undefined) return labels.length > 1 || isLabels(first) ? labelled(labels) : first;
  throw new MerlonError('USAGE', 'say who sends and who receives', {
    hint: 'for example --src-k8s-pod shop/frontend --dst-k8s-pod shop/backend --dport 8080/TCP',
  });
}

/** `k8s:app=web`, `any:app=web`, `app=web`, `reserved:world`; not `fd00::1`, `node:a`, `service:a/b`. */
const isLabels = (word: string): boolean =>
  /^(k8s|any|reserved|container|unspec):/.test(word) || (word.includes('=') && !word.startsWith('labels:'));

/** Of reserved labels the entity, of others the first endpoint that has them all. */
function labelled(words: readonly string[]): string {
  const all = words.flatMap((word) => word.split(','));
  const reserved = all.length === 1 ? /^reserved:(.*)$/.exec(all[0] ?? '')?.[1] : undefined;
  return reserved === undefined
    ? `labels:${all.map((label) => label.replace(/^unspec:/, '')).join(',')}`
    : `entity:${reserved}`;
}

function portOf(given: readonly string[]): string | undefined {
  const ports = given.flatMap((one) => one.split(','));
  if (ports.length <= 1) return ports[0];
  throw new MerlonError('USAGE', `--dport ${ports.join(',')}: one port at a time`);
}
