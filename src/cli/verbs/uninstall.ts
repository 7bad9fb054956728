/** `merlon uninstall`: works without an agent, and refuses while one runs. */
import { resolve } from 'node:path';
import { type Run, text } from '../verb.ts';

export const run: Run = async (context, _args, options) => {
  const { uninstall } = await import('#agent');
  const report = await uninstall({
    stateDir: resolve(text(options, 'stateDir') ?? '/var/lib/merlon'),
    runDir: resolve(context.runDir),
    bpfRoot: resolve(text(options, 'bpfRoot') ?? '/sys/fs/bpf/merlon'),
    keepEnforcing: options['keepEnforcing'] === true,
    purge: options['purge'] === true,
  });
  const { links, filters, pins, endpoints, stateRemoved } = report;
  await context.output.value(report, () => {
    const state = stateRemoved ? ', and the state' : '';
    if (links + filters + pins + endpoints > 0)
      return `removed ${links} links, ${filters} filters, ${pins} pins, ${endpoints} endpoint devices${state}\n`;
    return stateRemoved
      ? 'nothing of merlon was in the kernel; removed the state\n'
      : 'nothing of merlon was there\n';
  });
};
