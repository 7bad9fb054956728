/** `merlon demo`: seven scenes on a real kernel, with a real agent, told as they happen. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MerlonError } from '#kit/errors';
import { type LabAgent, merlon, startAgent, sweepLab } from '#lab';
import { throughAudit } from '../demo/audit.ts';
import { throughEvent } from '../demo/kill.ts';
import { observe } from '../demo/observe.ts';
import { auditTable, indent, probeTable, sceneHead } from '../demo/report.ts';
import { PODS, SCENES, type Scene } from '../demo/script.ts';
import { Watcher } from '../demo/watcher.ts';
import { buildWorld, podAddress, type World } from '../demo/world.ts';
import { table } from '../output.ts';
import { loadWidths } from '../width.ts';
import { type Context, type Run, text } from '../verb.ts';

interface Stage {
  readonly context: Context;
  readonly world: World;
  readonly program: string;
  readonly examples: string;
  readonly manifests: string;
  readonly watcher: Watcher;
  agent: LabAgent;
}

export const run: Run = async (context, _args, options) => {
  if (process.getuid?.() !== 0) throw new MerlonError('PERMISSION', 'the demo makes network namespaces');
  const { output } = context;
  const chosen = scenesOf(text(options, 'scenes'));
  await loadWidths();
  await sweepLab();
  output.message('building a small data centre of network namespaces …');
  await using world = await buildWorld(context.signal);
  const dirs = world.host('node').dirs;
  if (dirs === undefined) throw new MerlonError('INTERNAL', 'the demo’s node has no folders');
  await using watcher = new Watcher(dirs.runDir);
  const program = programPath(context);
  output.message('starting the agent …');
  const stage: Stage = {
    context,
    world,
    program,
    examples: text(options, 'examples') ?? examplesPath(program),
    manifests: dirs.manifestsDir,
    watcher,
    agent: await start(world, program, context.signal),
  };
  await using _agent = { [Symbol.asyncDispose]: () => stage.agent[Symbol.asyncDispose]() };
  await watcher.follow();
  await addPods(stage);
  let wrong = 0;
  for (const [i, n] of chosen.entries()) {
    const scene = SCENES[n - 1] as Scene;
    if (options['step'] === true && i > 0) await pause(context);
    await output.write(sceneHead(output, n, scene));
    wrong += await play(stage, scene);
  }
  await output.line(
    wrong === 0
      ? output.paint('green', '\nEverything came out as expected.')
      : output.paint('red', `\n${wrong} mismatches.`),
  );
  if (options['keep'] === true) await keep(stage);
  return wrong === 0 ? 0 : 1;
};

/** Numbers of the scenes to play. */
function scenesOf(given: string | undefined): readonly number[] {
  const all = SCENES.map((_, i) => i + 1);
  if (given === undefined) return all;
  const chosen = given.split(',').map(Number);
  const unknown = chosen.find((n) => !all.includes(n));
  if (unknown === undefined) return chosen;
  throw new MerlonError('USAGE', `--scenes ${given}: there are scenes 1 to ${SCENES.length}`);
}

/** The built program beside which this verb runs; in a clone the tests name it. */
function programPath(context: Context): string {
  const named = context.env['MERLON_PROGRAM'];
  if (named !== undefined) return named;
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; folder !== '/'; folder = dirname(folder)) {
    for (const candidate of [join(folder, 'bin/merlon'), join(folder, 'build/bin/merlon')]) {
      if (existsSync(candidate)) return candidate;
    }
  }
  throw new MerlonError('FAILED', 'the program is not built', { hint: 'run `./merlon build`' });
}

function examplesPath(program: string): string {
  const root = dirname(dirname(dirname(program)));
  return join(root, 'deploy/examples');
}

function start(world: World, program: string, signal: AbortSignal): Promise<LabAgent> {
  return startAgent(world.host('node'), {
    program,
    signal,
    config: {
      apiVersion: 'merlon.io/v1',
      kind: 'NodeConfig',
      sources: { directory: { paths: [world.host('node').dirs?.manifestsDir] } },
      failsafe: { sshFrom: ['10.0.0.5/32', 'fd00:a::5/128'] },
      nodes: [{ name: 'worker2', addresses: [world.address('worker2', 4), world.address('worker2', 6)] }],
      labels: { 'node-role': 'worker' },
    },
  });
}

async function addPods(stage: Stage): Promise<void> {
  for (const pod of PODS) {
    const { netns } = stage.world.host(pod.name);
    const ips = ([4, 6] as const).flatMap((family) => ['--ip', podAddress(pod.name, family)]);
    await mustMerlon(stage, [
      'endpoint',
      'add',
      pod.name,
      '--netns',
      netns,
      '--labels',
      pod.labels.join(','),
      ...ips,
    ]);
  }
}

async function mustMerlon(stage: Stage, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await merlon(stage.world.host('node'), stage.program, args);
  if (code !== 0) throw new MerlonError('FAILED', `merlon ${args.join(' ')} exited with ${code}: ${stderr}`);
  return stdout;
}

/** Plays one scene; how many things came out otherwise than expected. */
async function play(stage: Stage, scene: Scene): Promise<number> {
  let wrong = 0;
  await apply(stage, before(scene));
  if (scene.event === 'audit') wrong += await auditScene(stage, scene);
  else if (scene.event === 'kill') wrong += await killScene(stage);
  else if (scene.event === 'invalid') wrong += await refusedScene(stage, scene);
  else await apply(stage, scene.manifests);
  if (scene.probes.length === 0) return wrong;
  const rows = await observe(stage.world, scene.probes, stage.watcher);
  await stage.context.output.write(probeTable(stage.context.output, rows));
  return wrong + rows.filter((r) => r.mismatch !== '').length;
}

/** A scene counts on the policies of those before it, whether they are played or not. */
function before(scene: Scene): readonly string[] {
  const earlier = SCENES.slice(0, SCENES.indexOf(scene)).filter(({ event }) => event === undefined);
  return earlier.flatMap(({ manifests }) => manifests);
}

/** Puts examples that are not there yet into the manifest directory; the paths of all. */
function copyIn({ manifests, examples }: Stage, names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const to = join(manifests, basename(name));
    if (!existsSync(to)) copyFileSync(join(examples, name), to);
    return to;
  });
}

async function apply(stage: Stage, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  copyIn(stage, names);
  await mustMerlon(stage, ['reload']);
  await mustMerlon(stage, ['manifests', 'status', '--wait', '--timeout', '10']);
}

/** The manifest has to be refused with its place; the probes after it show that the old policies hold. */
async function refusedScene(stage: Stage, scene: Scene): Promise<number> {
  const { output } = stage.context;
  const [file = ''] = copyIn(stage, scene.manifests);
  const node = stage.world.host('node');
  const reload = await merlon(node, stage.program, ['reload']);
  const status = await merlon(node, stage.program, ['manifests', 'status', '--wait', '--timeout', '10']);
  await output.write(indent(output.paint('dim', status.stderr)));
  const isRefused = reload.code === 2 && status.code === 2 && status.stderr.includes(`${file}:`);
  if (isRefused) return 0;
  await output.line(
    output.paint(
      'red',
      `    MISMATCH expected a refusal that names ${file}, exit codes ${reload.code} and ${status.code}`,
    ),
  );
  return 1;
}

/** What one manifest and one verb put into audit, and take out of it again; the manifest goes with the scene. */
async function auditScene(stage: Stage, scene: Scene): Promise<number> {
  const { output } = stage.context;
  const [file = ''] = copyIn(stage, scene.manifests);
  const staged = readFileSync(file, 'utf8');
  await mustMerlon(stage, ['reload']);
  await mustMerlon(stage, ['hostfw', 'mode', 'audit']);
  const rows = await throughAudit(stage.world, stage.watcher, async () => {
    writeFileSync(file, staged.replace('enforcement: audit', 'enforcement: enforce'));
    await mustMerlon(stage, ['reload']);
    await mustMerlon(stage, ['hostfw', 'mode', 'enforce']);
  });
  await output.write(auditTable(output, rows));
  rmSync(file);
  await mustMerlon(stage, ['reload']);
  return rows.filter((r) => r.mismatch !== '').length;
}

async function killScene(stage: Stage): Promise<number> {
  const { output, signal } = stage.context;
  const rows = await throughEvent(stage.world, async () => {
    await sleep(600, undefined, { signal });
    await stage.agent.kill('SIGKILL');
    await sleep(1500, undefined, { signal });
  });
  const text = table(rows, [
    { title: 'TRAFFIC THROUGH THE KILL', cell: (r) => r.name },
    { title: 'SENT', cell: (r) => String(r.sent), align: 'right' },
    { title: 'AS EXPECTED', cell: (r) => String(r.right), align: 'right' },
    {
      title: 'LONGEST GAP',
      cell: (r) => (r.longestGapMs === 0 ? '' : `${Math.round(r.longestGapMs)} ms`),
      align: 'right',
    },
    { title: '', cell: (r) => (r.mismatch === '' ? '' : output.paint('red', `MISMATCH ${r.mismatch}`)) },
  ]);
  await output.write(indent(text));
  output.message('    starting the agent again: it adopts what the kernel holds …');
  stage.agent = await start(stage.world, stage.program, signal);
  await stage.watcher.follow();
  return rows.filter((r) => r.mismatch !== '').length;
}

async function pause(context: Context): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  await lines.question('\nEnter for the next scene … ', { signal: context.signal });
  lines.close();
}

async function keep(stage: Stage): Promise<void> {
  const { host } = { host: stage.world.host('node') };
  const { output, signal } = stage.context;
  await output.line(
    [
      '',
      'The data centre stays until Ctrl-C. In another terminal, as root:',
      `  export MERLON_RUN_DIR=${host.dirs?.runDir}`,
      `  export MANIFESTS=${stage.manifests}   # a change there is enforced when you save`,
      `  ${stage.program} status`,
      `  ${stage.program} events --follow`,
      `  nsenter --net=${stage.world.host('xwing').netns} timeout 1 bash -c '</dev/tcp/${stage.world.address('deathstar-1', 4)}/80' || echo refused`,
      'docs/first-policy.md goes on from here, with a policy of your own.',
    ].join('\n'),
  );
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
