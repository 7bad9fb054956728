/** From a manifest to verdicts: random policies written as YAML, read, compiled and judged. */
import test from 'ava';
import fc from 'fast-check';
import { parsePolicies } from '#model/parse';
import { evaluate } from '#oracle';
import { compileWorld, flowText } from './compiled-world.ts';
import { randomFlow } from './flows.ts';
import { randomWorld } from './generate.ts';
import { expressible, manifestOf } from './manifest.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test(`manifest – what was written, read and compiled is what was meant (seed ${seed})`, (t) => {
  let flows = 0;
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const drawn = randomWorld(worldSeed);
      const policies = drawn.policies.map(expressible).filter((policy) => policy !== undefined);
      const meant = { ...drawn, policies };
      const text = policies.map(manifestOf).join('---\n');
      const read = {
        ...meant,
        policies: parsePolicies(text, { extendedIpProtocols: true, cloudGroupProviders: ['aws'] }),
      };
      const { cellOf } = compileWorld(read);
      for (let i = 0; i < 20; i++, flows++) {
        const flow = randomFlow(meant, worldSeed + 7919 * i);
        const [want, got] = [evaluate(meant, flow).verdict, cellOf(flow).verdict];
        if (want !== got) throw new Error(`${flowText(flow)}: meant ${want}, enforced ${got}\n${text}`);
      }
    }),
    { seed, numRuns: 50, includeErrorInReport: true },
  );
  t.is(flows, 1000);
});
