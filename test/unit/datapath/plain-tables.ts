/** Policy tables in plain buffers, whose grace periods are over at once. */
import { policyMemory } from '../../../src/datapath/memory.ts';
import { Origins } from '../../../src/datapath/origins.ts';
import { PolicyTables } from '../../../src/datapath/policy.ts';
import { plainBuffers, TwinEndpoints } from './policy-model.ts';

export function plainTables() {
  const buffers = plainBuffers();
  const origins = new Origins(4096);
  const endpoints = new TwinEndpoints();
  let generation = 0;
  const tables = new PolicyTables({
    mem: policyMemory(buffers),
    grace: { wait: async () => {} },
    origins,
    endpoints,
    nextGeneration: () => ++generation,
    clearCounter: () => {},
  });
  return { buffers, origins, endpoints, tables };
}
