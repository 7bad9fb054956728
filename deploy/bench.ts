/**
 * `npm run bench -- NAME [flags]`: one benchmark, or the list of them. `test/bench/<name>.bench.ts` runs as it
 * is; `datapath` gets network and mount namespaces of its own with a bpffs in them, so that devices, pins,
 * maps and programs go with it, however it ends. Needs root where a benchmark touches the kernel.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const names = [
  'datapath',
  ...globSync('test/bench/*.bench.ts', { cwd: root }).map((f) => basename(f, '.bench.ts')),
];

/** Mounts a bpffs over an empty folder of the namespace, then becomes the benchmark. */
const IN_NAMESPACES = 'mount -t tmpfs tmpfs /mnt && mkdir /mnt/bpf && mount -t bpf bpf /mnt/bpf && exec "$@"';

function commandOf(name: string, args: readonly string[]): readonly string[] {
  const node = [process.execPath, '--expose-gc'];
  if (name !== 'datapath') return [...node, `test/bench/${name}.bench.ts`, ...args];
  return [
    ...['unshare', '--net', '--mount', 'setpriv', '--pdeathsig', 'KILL', 'sh', '-c', IN_NAMESPACES, 'sh'],
    ...[...node, 'test/bench/datapath/main.ts', '/mnt/bpf', ...args],
  ];
}

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run bench -- NAME [flags], where NAME is one of ${names.sort().join(', ')}`);
  process.exit(2);
}
const [program = '', ...rest] = commandOf(name, args);
const child = spawn(program, rest, { cwd: root, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`${program} does not start: ${error.message}`);
  process.exitCode = 1;
});
child.on('close', (code, signal) => {
  process.exitCode = code ?? (signal === null ? 1 : 130);
});
