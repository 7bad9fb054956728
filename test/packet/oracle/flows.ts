/** The flow and fragment tables, emptied between worlds. */
import { mapDelete, mapNextKey, viewRelease } from '#native';
import type { Datapath } from '#datapath';
import { FLOW4_KEY_SIZE, FLOW6_KEY_SIZE, type MapName } from '#wire/bpf';

const TABLES: readonly (readonly [MapName, number])[] = [
  ['flow_tcp4', FLOW4_KEY_SIZE],
  ['flow_any4', FLOW4_KEY_SIZE],
  ['overflow4', FLOW4_KEY_SIZE],
  ['flow_tcp6', FLOW6_KEY_SIZE],
  ['flow_any6', FLOW6_KEY_SIZE],
  ['overflow6', FLOW6_KEY_SIZE],
];

/** Forgets all connections. */
export function clearFlows({ maps }: Datapath): void {
  for (const [name, size] of TABLES) {
    const key = new Uint8Array(size);
    while (mapNextKey(maps.fd(name), null, key)) mapDelete(maps.fd(name), key);
  }
  for (const name of ['unproven4', 'unproven6'] as const) {
    const memory = maps.view(name);
    new Uint8Array(memory).fill(0);
    viewRelease(memory);
  }
}
