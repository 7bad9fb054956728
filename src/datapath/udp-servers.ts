/** UDP ports at which the node serves, a bit each; the datapath reads a word of them (HF-3.7). */
import type { DatapathMaps } from './maps.ts';

const PORTS = 65_536;
const WORD_BITS = 64;

export class UdpServers {
  readonly #words: BigUint64Array;

  constructor(maps: DatapathMaps) {
    this.#words = new BigUint64Array(maps.view('udp_servers'), 0, PORTS / WORD_BITS);
  }

  /** Makes the map hold exactly these ports; a word changes by one store. */
  set(ports: readonly number[]): void {
    const words = new BigUint64Array(PORTS / WORD_BITS);
    for (const port of ports) {
      const at = Math.floor(port / WORD_BITS);
      words[at] = (words[at] ?? 0n) | (1n << BigInt(port % WORD_BITS));
    }
    for (const [at, word] of words.entries()) if (this.#words[at] !== word) this.#words[at] = word;
  }
}
