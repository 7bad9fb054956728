/** One control pass in memory: prefixes and identities, compilation, and the tables of the datapath. */
import {
  type CompileInput,
  CompileMemo,
  compile,
  type CompiledPolicy,
  EMPTY_NUMBERING,
  PrefixMemo,
  prefixIdentities,
} from '#policy';
import { policyMemory } from '../../../src/datapath/memory.ts';
import { Origins } from '../../../src/datapath/origins.ts';
import { PolicyTables } from '../../../src/datapath/policy.ts';
import { plainBuffers, TwinEndpoints } from '../../unit/datapath/policy-model.ts';
import type { World } from '../policy/world.ts';

export interface PassTimes {
  /** Prefixes and compilation. */
  readonly compileMs: number;
  /** Until every packet meets the new verdicts. */
  readonly applyMs: number;
  /** Tidying up, after packets do. */
  readonly settleMs: number;
  readonly compiled: CompiledPolicy;
  readonly switched: number;
}

export class ControlPass {
  readonly #prefixes = new PrefixMemo();
  readonly #memo = new CompileMemo();
  readonly #nowMs: () => number;
  #numbering = EMPTY_NUMBERING;
  #generation = 1;
  readonly tables = new PolicyTables({
    mem: policyMemory(plainBuffers({ rulesets: 16384, arenaWords: 32 << 20, pages: 64 })),
    grace: { wait: async () => undefined },
    origins: new Origins(65536),
    endpoints: new TwinEndpoints(),
    nextGeneration: () => ++this.#generation,
    clearCounter: () => undefined,
  });

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** The input of the compiler under the numbers of this pass. */
  #inputOf(world: World): CompileInput {
    const { policies, facts, nodeLabels, config } = world;
    const { identities, numbering } = prefixIdentities(
      {
        ...{ policies, facts, nodeLabels, config, nodes: [], localAddresses: ['10.0.0.1'] },
        endpoints: world.pods,
        numbering: this.#numbering,
      },
      this.#prefixes,
    );
    this.#numbering = numbering;
    return { ...world, identities };
  }

  async run(world: World): Promise<PassTimes> {
    const start = this.#nowMs();
    const compiled = compile(this.#inputOf(world), this.#memo);
    const applying = this.#nowMs();
    const { switched } = await this.tables.apply(compiled);
    const settling = this.#nowMs();
    await this.tables.settle();
    return {
      compileMs: applying - start,
      applyMs: settling - applying,
      settleMs: this.#nowMs() - settling,
      compiled,
      switched: switched.length,
    };
  }
}
