/** `merlon policy trace`: `merlon explain` with the flags of the tool that people know. */
import { MerlonError } from '#kit/errors';
import { type Options, type Run, text } from '../verb.ts';
import { explainFlow } from './explain.ts';

export const run: Run = (context, _args, options) => {
  const from = party(options, 'src', 'srcK8sPod');
  const to = party(options, 'dst', 'dstK8sPod');
  return explainFlow(context, from, to, { ...options, port: text(options, 'dport') });
};

/** A pod is written `namespace/name`; the old tool wrote `namespace:name`. */
function party(options: Options, plain: string, pod: string): string {
  const name = text(options, pod);
  const found = name === undefined ? text(options, plain) : name.replace(/^([^:/]+):/, '$1/');
  if (found !== undefined) return found;
  throw new MerlonError('USAGE', 'say who sends and who receives', {
    hint: 'for example --src-k8s-pod shop/frontend --dst-k8s-pod shop/backend --dport 8080/TCP',
  });
}
