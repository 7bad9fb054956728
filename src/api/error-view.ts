/** Errors as the API answers them. */
import { MerlonError } from '#kit/errors';
import type { ErrorView } from './views.ts';

/** The JSON shape of an error; one that is not ours is INTERNAL. */
export function errorView(error: unknown): ErrorView {
  if (!(error instanceof MerlonError)) {
    return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const { file, line, column } = error.at ?? {};
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(file === undefined
      ? {}
      : {
          at: { file, ...(line === undefined ? {} : { line }), ...(column === undefined ? {} : { column }) },
        }),
  };
}
