/** `merlon agent`: the node's long-running process, a bundle of its own so that other verbs start fast. */
import { resolve } from 'node:path';
import { MerlonError } from '#kit/errors';
import { type Run, text } from '../verb.ts';

/** Runs until SIGTERM or SIGINT; enforcement stays behind. */
export const run: Run = async (context, _args, options) => {
  if (process.geteuid?.() !== 0) {
    throw new MerlonError(
      'KERNEL_PERMISSION',
      'the agent puts programs into the kernel, which root alone may',
    );
  }
  const { runAgent } = await import('#agent');
  const path = (key: string, fallback: string): string => resolve(text(options, key) ?? fallback);
  return runAgent({
    configFile: path('config', '/etc/merlon/merlon.yaml'),
    isConfigNamed: text(options, 'config') !== undefined,
    stateDir: path('stateDir', '/var/lib/merlon'),
    runDir: resolve(context.runDir),
    bpfRoot: path('bpfRoot', '/sys/fs/bpf/merlon'),
    cgroupRoot: text(options, 'cgroupRoot'),
    isForeground: options['foreground'] === true,
    signal: context.signal,
  });
};
