/** `merlon manifests status`: each manifest file, or waiting for a content to be applied. */
import { basename } from 'node:path';
import { call, type ManifestsView } from '#api/client';
import { until } from '#kit/async';
import { MerlonError } from '#kit/errors';
import type { Output } from '../output.ts';
import { type Context, type Run, text } from '../verb.ts';
import { SHORT_KINDS } from './policy-get.ts';

/** A set that is held is neither applied nor wrong: a person has to say what is meant. */
const EXITS: Readonly<Record<string, number>> = { invalid: 2, held: 1 };

export const run: Run = async (context, _args, options) => {
  const view = options['wait'] === true ? await settled(context, options) : await read(context);
  for (const error of view.errors) context.output.message(error.text);
  await context.output.value(view, () => render(view, context.output));
  return EXITS[view.state] ?? 0;
};

function read(context: Context): Promise<ManifestsView> {
  return call<ManifestsView>('/v1/manifests', context);
}

function settled(context: Context, options: Parameters<Run>[2]): Promise<ManifestsView> {
  const hash = text(options, 'forHash');
  const timeout = Number(text(options, 'timeout') ?? '60');
  if (!(timeout > 0)) throw new MerlonError('USAGE', '--timeout takes a number of seconds');
  const check = async (): Promise<ManifestsView | undefined> => {
    const view = await read(context);
    if (view.state === 'pending') return undefined;
    const isWanted = hash === undefined || view.hash === hash || view.files.some((f) => f.hash === hash);
    return isWanted ? view : undefined;
  };
  const what = hash === undefined ? 'the manifests to settle' : `content ${hash} to be applied`;
  return until(check, { signal: context.signal, timeoutMs: timeout * 1000, what, intervalMs: 50 });
}

function render(view: ManifestsView, output: Output): string {
  const head = `${view.state}${view.message === '' ? '' : `: ${view.message}`}  (hash ${view.hash.slice(0, 12)})\n`;
  if (view.files.length === 0) return `${head}no manifest files\n`;
  return (
    head +
    output.table(view.files, [
      { title: 'FILE', cell: (f) => f.file, short: (f) => basename(f.file), wraps: true },
      { title: 'STATE', cell: (f) => f.state },
      { title: 'HASH', cell: (f) => f.hash.slice(0, 12) },
      { title: 'OBJECTS', cell: (f) => f.objects.map(objectName).join(', '), wraps: true },
    ])
  );
}

/** `kind/namespace/name` as people say it: `CCNP deny-metadata`, `CNP default/rule1`. */
function objectName(object: string): string {
  // What cannot be read has no name: it is known by its place in the file.
  const place = /^\/.*#(\d+)$/.exec(object);
  if (place !== null) return `document ${place[1]}`;
  const [kind = '', namespace = '', name = ''] = object.split('/');
  return `${SHORT_KINDS[kind] ?? kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}
