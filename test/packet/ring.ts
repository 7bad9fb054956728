/** Reads a BPF ring's records as events: a consumer of its own, for tests, one record at a time. */
import { type Fd, ringView } from '#native';
import * as wire from '#wire/bpf';

const HEADER = 8;
const LENGTH_MASK = 0x3fffffff; // without the busy and discard bits

export class RingReader {
  readonly #view: ReturnType<typeof ringView>;
  readonly #size: number;

  constructor(fd: Fd, size: number) {
    this.#view = ringView(fd, size);
    this.#size = size;
  }

  /** The records written since the last call. */
  take(): wire.Event[] {
    const { consumer, producer, data } = this.#view;
    const consumed = new BigUint64Array(consumer, 0, 1);
    const end = Number(new BigUint64Array(producer, 0, 1)[0]);
    const view = new DataView(data);
    const events: wire.Event[] = [];
    let at = Number(consumed[0]);
    while (at < end) {
      const length = view.getUint32(at % this.#size, true) & LENGTH_MASK;
      const record = new Uint8Array(wire.EVENT_SIZE);
      record.set(new Uint8Array(data, (at % this.#size) + HEADER, Math.min(length, wire.EVENT_SIZE)));
      events.push(wire.readEvent(new DataView(record.buffer)));
      at += Math.ceil((length + HEADER) / 8) * 8;
    }
    consumed[0] = BigInt(at);
    return events;
  }
}
