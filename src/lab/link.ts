/**
 * A link of a topology, and what can befall it. Packets are lost by a classic BPF program of two or four
 * instructions in clsact: it needs no compiler, and this and other kernels without netem run it.
 */
import { mustRun } from './run.ts';

/** Where a host's attachment to a link can be disturbed without touching the host's own hooks. */
export interface Tap {
  readonly netns: string;
  readonly device: string;
}

const SHOT = 2;
/** SKF_AD_OFF + SKF_AD_RANDOM: the load of this offset is a random 32-bit number (linux/filter.h). */
const RANDOM = 0xff_ff_f0_38;

/** Classic BPF as tc reads it: count, then `code jt jf k` each. Unmatched packets go on (TC_ACT_UNSPEC). */
function lossProgram(share: number): string {
  if (share >= 1) return `1,6 0 0 ${SHOT}`;
  const threshold = Math.round(share * 2 ** 32);
  return `4,32 0 0 ${RANDOM},53 1 0 ${threshold},6 0 0 ${SHOT},6 0 0 4294967295`;
}

export class Link {
  readonly name: string;
  readonly #taps: ReadonlyMap<string, Tap>;

  constructor(name: string, taps: ReadonlyMap<string, Tap>) {
    this.name = name;
    this.#taps = taps;
  }

  #chosen(host: string | undefined): readonly Tap[] {
    if (host === undefined) return [...this.#taps.values()];
    const tap = this.#taps.get(host);
    if (tap === undefined) throw new RangeError(`link ${this.name} has no tap for ${host}`);
    return [tap];
  }

  async #tc(taps: readonly Tap[], lines: (device: string) => readonly string[]): Promise<void> {
    for (const { netns, device } of taps) {
      const input = lines(device)
        .map((line) => `${line}\n`)
        .join('');
      await mustRun(['nsenter', `--net=${netns}`, 'tc', '-batch', '-'], { input });
    }
  }

  /** Loses this share (0 to 1) of the packets of each direction, of `host` or of everyone on the link. */
  async lose(share: number, host?: string): Promise<void> {
    const program = lossProgram(share);
    await this.#tc(this.#chosen(host), (device) => [
      `qdisc replace dev ${device} clsact`,
      ...['ingress', 'egress'].map(
        (hook) => `filter replace dev ${device} ${hook} pref 1 handle 1 bpf da bytecode "${program}"`,
      ),
    ]);
  }

  /** Loses everything; the carrier stays. */
  cut(host?: string): Promise<void> {
    return this.lose(1, host);
  }

  /** Ends what `lose` and `cut` did. */
  heal(host?: string): Promise<void> {
    return this.lose(0, host);
  }

  /**
   * Delays by bandwidth: what leaves the tap goes at so many kilobits a second, so that 100 bytes at 8 take
   * 100 ms. On a LAN that is what goes to the host, on a pair what comes from the second end.
   */
  async slow(kilobits: number, host?: string): Promise<void> {
    await this.#tc(this.#chosen(host), (device) => [
      `qdisc replace dev ${device} root tbf rate ${kilobits}kbit burst 1600 latency 10s`,
    ]);
  }

  /** Takes the carrier away, or gives it back. */
  async carrier(isOn: boolean, host?: string): Promise<void> {
    for (const { netns, device } of this.#chosen(host)) {
      await mustRun(['nsenter', `--net=${netns}`, 'ip', 'link', 'set', device, isOn ? 'up' : 'down']);
    }
  }
}
