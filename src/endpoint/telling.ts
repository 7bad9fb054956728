/** How endpoints are named to people, and under what their problems are told. */
import { errorMessage, MerlonError } from '#kit/errors';

interface Named {
  readonly namespace: string;
  readonly name: string;
}

export const nameOf = (of: Named): string => `${of.namespace}/${of.name}`;

/** What a problem is told under: of one endpoint, and of following links and workloads. */
export const topicOf = (endpoint: Named): string => `endpoint ${nameOf(endpoint)}`;
export const LOOK = 'following links and workloads';

export function asProblem(e: unknown, what: string): MerlonError {
  return new MerlonError(e instanceof MerlonError ? e.code : 'INTERNAL', `${what}: ${errorMessage(e)}`, {
    cause: e,
  });
}
