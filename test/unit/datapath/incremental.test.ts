/**
 * The compiler and the tables together, each with what the last change left it: after every edit of a random world
 * every cell in memory is what a compilation from nothing says, and saying it again switches nothing.
 */
import test from 'ava';
import { type Identity, originOf } from '#model';
import {
  CompileMemo,
  type CompiledPolicy,
  compile,
  EMPTY_NUMBERING,
  judgeOf,
  PrefixMemo,
  portOfIndex,
  prefixIdentities,
} from '#policy';
import { edited, KINDS } from '../policy/edits.ts';
import { randomWorld } from '../policy/generate.ts';
import { Random } from '../policy/random.ts';
import { plainTables } from './plain-tables.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = 30;
const EDITS = 40;
/** An identity that nobody has. */
const STRANGER = 65_000;

/** The first cell in memory that says something else than the compiled policy. */
function misread(
  compiled: CompiledPolicy,
  identities: readonly number[],
  { tables, endpoints, origins }: ReturnType<typeof plainTables>,
): string | undefined {
  const judge = judgeOf(compiled);
  const ports = compiled.portClasses.flatMap(({ ranges }) => ranges.map(([first]) => first));
  const images = new Map(compiled.ruleSets.map((image) => [image.key, image]));
  for (const subject of ['host', ...compiled.endpoints.keys()] as const) {
    const image = subject === 'host' ? compiled.host : images.get(compiled.endpoints.get(subject) ?? '');
    const held = tables.reading.ruleset(subject === 'host' ? 0 : (endpoints.map.get(subject) ?? 0));
    for (const direction of ['ingress', 'egress'] as const) {
      const [want, is] = [image?.directions[direction], held?.[direction]];
      if (is?.enforced !== want?.enforced || is?.staged !== (want?.staged ?? false))
        return `${subject} ${direction}: enforced ${is?.enforced}, staged ${is?.staged}`;
      if (is?.enforced !== true && is?.staged !== true) continue;
      for (const identity of [...identities, STRANGER]) {
        for (const at of ports) {
          const { protocol, port } = portOfIndex(at);
          const cell = judge(subject, direction, identity as Identity, protocol, port);
          const read = is.cell(identity, at);
          const rules = origins.rulesOf(read.origin)?.join();
          if (read.verdict !== cell.verdict || rules !== originOf(cell).join())
            return `${subject} ${direction} ${identity} ${protocol}/${port}: ${read.verdict} (${rules}), not ${cell.verdict} (${originOf(cell).join()})`;
        }
      }
    }
  }
  return undefined;
}

test(`tables – after each of ${WORLDS * EDITS} edits memory says what a compilation from nothing says (seed ${seed})`, async (t) => {
  t.timeout(600_000, 'two shared cores');
  const seen = new Set<string>();
  for (let w = 0; w < WORLDS; w++) {
    const random = new Random(seed + 7919 * w);
    const b = plainTables();
    const [memo, prefixes] = [new CompileMemo(), new PrefixMemo()];
    let [numbering, what] = [EMPTY_NUMBERING, 'beginning'];
    let world = randomWorld(random.below(2 ** 31));
    let other = world;
    for (let i = 0; i < EDITS; i++) {
      const at = `world ${w}, edit ${i} (${what})`;
      const output = prefixIdentities({ ...world, numbering }, prefixes);
      const input = { ...world, identities: output.identities };
      numbering = output.numbering;
      const compiled = compile(input, memo);
      for (const id of b.endpoints.map.keys()) if (!compiled.endpoints.has(id)) b.endpoints.map.delete(id);
      await b.tables.apply(compiled);
      const ids = output.identities.map(({ id }) => id);
      t.is(misread(compile(input), ids, b), undefined, at);
      t.deepEqual((await b.tables.apply(compiled)).switched, [], at);
      if (random.chance(60)) await b.tables.settle();
      t.is(misread(compiled, ids, b), undefined, `${at}, tidied up`);
      if (i % 10 === 0) other = randomWorld(random.below(2 ** 31));
      ({ what, world } = edited(world, other, random));
      seen.add(what);
    }
  }
  t.deepEqual([...seen].sort(), [...KINDS].sort());
});
