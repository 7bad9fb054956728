/**
 * One attempt to reach a port or host, and how it ended. The source port is chosen here, so that the five-tuple
 * of an attempt that nobody answered is known as well.
 */
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import type { Attempt, AttemptResult, Outcome } from '../protocol.ts';
import { echo } from './ping.ts';

/** Long, since only silence costs it: a machine with much to do may take seconds to answer. */
export const TIMEOUT_MS = 10_000;

const OUTCOME: Readonly<Record<string, Outcome>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
};

interface Ending {
  readonly outcome: Outcome;
  readonly error?: string;
  readonly status?: number;
  readonly body?: string;
}

export function endingOf(error: unknown): Ending {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return { outcome: OUTCOME[code] ?? 'unreachable', error: code };
}

/** The address the kernel would send from; throws ENETUNREACH and its like when there is none. */
export function sourceFor(to: string): Promise<string> {
  const socket = dgram.createSocket(net.isIPv6(to) ? 'udp6' : 'udp4');
  return new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(9, to, () => resolve(socket.address().address));
  }).finally(() => socket.close());
}

const FIRST_PORT = 32_768;
const PORTS = 28_000;
let lastPort = Math.floor(Math.random() * PORTS);

/** A port from 32,768 up, each once before any comes again; who finds it taken asks again. */
export function somePort(): number {
  lastPort = (lastPort + 1) % PORTS;
  return FIRST_PORT + lastPort;
}

/** The port is taken, or its five-tuple still rests in TIME_WAIT: another one will do. */
const TAKEN: ReadonlySet<string> = new Set(['EADDRINUSE', 'EADDRNOTAVAIL']);
const PORT_ATTEMPTS = 8;

function overTcp(a: Attempt, source: string, sourcePort: number, timeoutMs: number): Promise<Ending> {
  return new Promise((resolve) => {
    const socket = net.connect({
      host: a.to,
      port: a.port ?? 0,
      localAddress: source,
      localPort: sourcePort,
    });
    const finish = (ending: Ending) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(ending);
    };
    const timer = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
    socket.on('error', (e) => finish(endingOf(e)));
    socket.on('connect', () => {
      if (a.payload === undefined) finish({ outcome: 'open' });
      else socket.write(a.payload);
    });
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk.toString();
      if (got.length >= (a.payload ?? '').length) finish({ outcome: 'open', body: got });
    });
    socket.on('end', () => finish({ outcome: 'reset', error: 'EOF' }));
  });
}

function overUdp(a: Attempt, source: string, sourcePort: number, timeoutMs: number): Promise<Ending> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(net.isIPv6(a.to) ? 'udp6' : 'udp4');
    const finish = (ending: Ending) => {
      clearTimeout(timer);
      socket.close();
      resolve(ending);
    };
    const timer = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
    socket.on('error', (e) => finish(endingOf(e)));
    socket.on('message', (body) => finish({ outcome: 'open', body: body.toString() }));
    socket.bind(sourcePort, source, () => {
      // Connected, so that an ICMP error comes back as an error of this socket.
      socket.connect(a.port ?? 0, a.to, () => socket.send(a.payload ?? 'probe'));
    });
  });
}

function overHttp(a: Attempt, source: string, sourcePort: number, timeoutMs: number): Promise<Ending> {
  return new Promise((resolve) => {
    const finish = (ending: Ending) => {
      clearTimeout(timer);
      request.destroy();
      resolve(ending);
    };
    const request = http.request({
      host: a.to,
      port: a.port ?? 80,
      localAddress: source,
      localPort: sourcePort,
      method: a.method ?? 'GET',
      path: a.path ?? '/',
      agent: false,
    });
    const timer = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
    request.on('error', (e) => finish(endingOf(e)));
    request.on('response', (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('error', (e) => finish(endingOf(e)));
      response.on('end', () => finish({ outcome: 'open', status: response.statusCode ?? 0, body }));
    });
    request.end(a.payload);
  });
}

function once(a: Attempt, source: string, sourcePort: number): Promise<Ending> {
  const timeoutMs = a.timeoutMs ?? TIMEOUT_MS;
  switch (a.proto) {
    case 'tcp':
      return overTcp(a, source, sourcePort, timeoutMs);
    case 'udp':
      return overUdp(a, source, sourcePort, timeoutMs);
    case 'http':
      return overHttp(a, source, sourcePort, timeoutMs);
    case 'icmp':
      return echo(a.to, source, timeoutMs);
  }
}

/** Makes the attempt. Never rejects: whatever happens to it is its outcome. */
export async function attempt(a: Attempt): Promise<AttemptResult> {
  const start = performance.now();
  let source = a.from ?? '';
  let sourcePort = 0;
  let ending: Ending;
  try {
    source ||= await sourceFor(a.to);
    for (let tries = 1; ; tries++) {
      sourcePort = a.proto === 'icmp' ? 0 : (a.fromPort ?? somePort());
      ending = await once(a, source, sourcePort);
      if (!TAKEN.has(ending.error ?? '') || a.fromPort !== undefined || tries === PORT_ATTEMPTS) break;
    }
  } catch (e) {
    ending = endingOf(e);
  }
  const ms = Math.round((performance.now() - start) * 100) / 100;
  const port = a.port ?? (a.proto === 'http' ? 80 : 0);
  return { proto: a.proto, source, sourcePort, to: a.to, port, ms, ...ending };
}

/** Makes them all, at most `concurrency` (default 256) at a time; results in the order of the attempts. */
export async function attemptAll(attempts: readonly Attempt[], concurrency = 256): Promise<AttemptResult[]> {
  const results: AttemptResult[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < attempts.length; at = next++)
      results[at] = await attempt(attempts[at] as Attempt);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, attempts.length) }, worker));
  return results;
}
