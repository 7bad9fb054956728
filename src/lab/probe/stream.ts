/**
 * Traffic that runs through an event: numbered records over one connection, or one new attempt an interval.
 * What is kept is bounded: totals, the first hundred losses and gaps, and runs of equal outcomes.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import type { Outcome, StreamReport, StreamSpec } from '../protocol.ts';
import { attempt, endingOf, somePort, sourceFor, TIMEOUT_MS } from './attempt.ts';
import { RECORD_BYTES, record, seqOf } from './record.ts';

const KEPT = 100;
const GAP_MS = 100;
/** Records under way at most, while echoes come: who has no time to read must not lose what waits for him. */
const WINDOW = 64;
/** What did not come back within this after the last that did, is lost. */
const LOST_AFTER_MS = 5000;
/** The same once the last record sent is back: records hardly overtake one another. */
const OVERTAKEN_AFTER_MS = 300;

interface Carrier {
  readonly source: string;
  readonly sourcePort: number;
  send(bytes: Buffer): void;
  close(): void;
}

type OnRecord = (seq: number) => void;
type OnError = (error: unknown) => void;

async function tcpCarrier(
  spec: StreamSpec,
  source: string,
  got: OnRecord,
  failed: OnError,
): Promise<Carrier> {
  const socket = net.connect({
    host: spec.to,
    port: spec.port ?? 0,
    localAddress: source,
    localPort: somePort(),
    noDelay: true,
  });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(Object.assign(new Error(), { code: 'ETIMEDOUT' })),
      spec.timeoutMs ?? TIMEOUT_MS,
    );
    socket
      .once('connect', resolve)
      .once('error', reject)
      .once('close', () => clearTimeout(timer));
    socket.once('connect', () => clearTimeout(timer));
  }).catch((e: unknown) => {
    socket.destroy();
    throw e;
  });
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % RECORD_BYTES);
    for (let at = 0; at < whole; at += RECORD_BYTES) got(seqOf(bytes, at));
    rest = bytes.subarray(whole);
  });
  socket.on('error', failed);
  socket.on('end', () => failed(Object.assign(new Error(), { code: 'EOF' })));
  return {
    source,
    sourcePort: socket.localPort ?? 0,
    send: (bytes) => void (socket.writable && socket.write(bytes)),
    close: () => socket.destroy(),
  };
}

async function udpCarrier(
  spec: StreamSpec,
  source: string,
  got: OnRecord,
  failed: OnError,
): Promise<Carrier> {
  const socket = dgram.createSocket(net.isIPv6(spec.to) ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(somePort(), source, () => socket.connect(spec.port ?? 0, spec.to, resolve));
  });
  socket.removeAllListeners('error').on('error', failed);
  socket.on('message', (bytes) => {
    if (bytes.length === RECORD_BYTES) got(seqOf(bytes));
  });
  const { port } = socket.address();
  return { source, sourcePort: port, send: (bytes) => socket.send(bytes), close: () => socket.close() };
}

/** Records over one five-tuple. */
class RecordStream {
  readonly #seen = new Set<number>();
  readonly #gaps: { afterSeq: number; ms: number }[] = [];
  #carrier: Carrier | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #push: boolean;
  #sent = 0;
  #duplicates = 0;
  #lastMs = performance.now();
  #lastSentMs = 0;
  #lastSeq = -1;
  #longestGapMs = 0;
  #error: string | undefined;
  #endMs: number | undefined;

  private constructor(spec: StreamSpec) {
    this.#push = spec.push === true;
  }

  static async start(spec: StreamSpec): Promise<RecordStream> {
    const stream = new RecordStream(spec);
    const source = spec.from ?? (await sourceFor(spec.to));
    const open = spec.kind === 'tcp' ? tcpCarrier : udpCarrier;
    const received = (seq: number) => stream.received(seq);
    const carrier = await open(spec, source, received, (e) => stream.failed(e));
    stream.#begin(carrier, spec.intervalMs ?? 5);
    return stream;
  }

  #begin(carrier: Carrier, intervalMs: number): void {
    this.#carrier = carrier;
    this.#lastMs = performance.now();
    const send = () => {
      const isSilent = performance.now() - this.#lastSentMs > GAP_MS;
      if (this.#sent - this.#lastSeq > WINDOW && !isSilent) return;
      this.#lastSentMs = performance.now();
      // To a push server one record says who we are; over TCP the connection does.
      carrier.send(record(this.#sent));
      if (!this.#push) this.#sent++;
    };
    send();
    this.#timer = setInterval(send, this.#push ? 1000 : intervalMs);
  }

  received(seq: number): void {
    if (this.#seen.has(seq)) this.#duplicates++;
    this.#seen.add(seq);
    if (this.#push) this.#sent = Math.max(this.#sent, seq + 1);
    this.#noteGap(performance.now());
    this.#lastSeq = seq;
  }

  #noteGap(nowMs: number): void {
    const ms = nowMs - this.#lastMs;
    if (ms > GAP_MS && this.#gaps.length < KEPT)
      this.#gaps.push({ afterSeq: this.#lastSeq, ms: Math.round(ms) });
    this.#longestGapMs = Math.max(this.#longestGapMs, ms);
    this.#lastMs = nowMs;
  }

  failed(error: unknown): void {
    this.#error ??= endingOf(error).error;
  }

  /** Sends no more; what is under way may still come back until `close`. */
  stop(): void {
    clearInterval(this.#timer);
    this.#endMs = performance.now();
  }

  /** Nothing is under way any more. */
  get isComplete(): boolean {
    if (this.#push || this.#seen.size >= this.#sent || this.#error !== undefined) return true;
    const patienceMs = this.#seen.has(this.#sent - 1) ? OVERTAKEN_AFTER_MS : LOST_AFTER_MS;
    return performance.now() > Math.max(this.#lastMs, this.#endMs ?? Infinity) + patienceMs;
  }

  close(): void {
    this.#carrier?.close();
  }

  report(stream: number): StreamReport {
    const lost: number[] = [];
    for (let seq = 0; seq < this.#sent && lost.length < KEPT; seq++) if (!this.#seen.has(seq)) lost.push(seq);
    const openGapMs = (this.#endMs ?? performance.now()) - this.#lastMs;
    const open = openGapMs > GAP_MS ? [{ afterSeq: this.#lastSeq, ms: Math.round(openGapMs) }] : [];
    return {
      stream,
      source: this.#carrier?.source ?? '',
      sourcePort: this.#carrier?.sourcePort ?? 0,
      sent: this.#sent,
      received: this.#seen.size,
      lost,
      duplicates: this.#duplicates,
      longestGapMs: Math.round(Math.max(this.#longestGapMs, openGapMs)),
      gaps: [...this.#gaps, ...open],
      phases: [],
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }
}

/** One new attempt an interval. Outcomes are put in the order of the attempts, whenever they come in. */
class AttemptStream {
  readonly #outcomes: { outcome: Outcome; startMs: number }[] = [];
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #pending = 0;
  #source = '';

  constructor(spec: StreamSpec) {
    const proto = spec.kind.slice(0, -'-new'.length) as 'tcp' | 'udp' | 'icmp';
    const once = async () => {
      const seq = this.#sent++;
      const startMs = Math.round(performance.now() - this.#startMs);
      this.#pending++;
      const result = await attempt({
        proto,
        to: spec.to,
        timeoutMs: spec.timeoutMs ?? TIMEOUT_MS,
        ...(spec.port === undefined ? {} : { port: spec.port }),
        ...(spec.from === undefined ? {} : { from: spec.from }),
      });
      this.#pending--;
      this.#source = result.source;
      this.#outcomes[seq] = { outcome: result.outcome, startMs };
    };
    const begin = () => {
      once().catch((e: unknown) => console.error(e)); // an attempt's failure is its outcome: a defect if it comes here
    };
    begin();
    this.#timer = setInterval(begin, spec.intervalMs ?? 5);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Each attempt ends by itself. */
  get isComplete(): boolean {
    return this.#pending === 0;
  }

  close(): void {}

  report(stream: number): StreamReport {
    const phases: { outcome: Outcome; firstSeq: number; count: number; startMs: number }[] = [];
    const lost: number[] = [];
    for (let seq = 0; seq < this.#sent; seq++) {
      const one = this.#outcomes[seq];
      if (one === undefined) continue;
      if (one.outcome !== 'open' && lost.length < KEPT) lost.push(seq);
      const last = phases.at(-1);
      if (last?.outcome === one.outcome) last.count++;
      else phases.push({ outcome: one.outcome, firstSeq: seq, count: 1, startMs: one.startMs });
    }
    const received = this.#outcomes.filter((one) => one?.outcome === 'open').length;
    const none = { duplicates: 0, longestGapMs: 0, gaps: [] };
    return { stream, source: this.#source, sourcePort: 0, sent: this.#sent, received, lost, phases, ...none };
  }
}

export class Streams {
  readonly #running = new Map<number, RecordStream | AttemptStream>();
  #next = 1;

  async start(spec: StreamSpec): Promise<StreamReport> {
    const isOne = spec.kind === 'tcp' || spec.kind === 'udp';
    const stream = isOne ? await RecordStream.start(spec) : new AttemptStream(spec);
    const id = this.#next++;
    this.#running.set(id, stream);
    return stream.report(id);
  }

  #get(id: number): RecordStream | AttemptStream {
    const stream = this.#running.get(id);
    if (stream === undefined) throw new Error(`there is no stream ${id}`);
    return stream;
  }

  /** What had come in when it was asked for, though this process may not have had the time to read it. */
  async report(id: number): Promise<StreamReport> {
    // The rest of this turn of the event loop, and a whole turn more, which reads from every socket.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    return this.#get(id).report(id);
  }

  /** Stops sending, waits for what is under way, and reports. */
  async stop(id: number): Promise<StreamReport> {
    const stream = this.#get(id);
    stream.stop();
    while (!stream.isComplete) await new Promise((resolve) => setTimeout(resolve, 5));
    const report = stream.report(id);
    stream.close();
    this.#running.delete(id);
    return report;
  }
}
