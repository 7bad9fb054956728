/**
 * The prober: lives in a host's network namespace, does what lines on stdin ask, ends with stdin. One process
 * a host, so that a thousand probes start no process.
 */
import { createInterface } from 'node:readline';
import type { Answer, Envelope } from '../protocol.ts';
import { attemptAll } from './attempt.ts';
import { Servers } from './server.ts';
import { Streams } from './stream.ts';

const servers = new Servers();
const streams = new Streams();

async function serve(request: Envelope): Promise<unknown> {
  switch (request.op) {
    case 'attempt':
      return attemptAll(request.attempts, request.concurrency);
    case 'serve':
      return servers.serve(request.server);
    case 'serverReport':
      return servers.report(request.server);
    case 'closeServer':
      return servers.close(request.server);
    case 'startStream':
      return streams.start(request.stream);
    case 'streamReport':
      return streams.report(request.stream);
    case 'stopStream':
      return streams.stop(request.stream);
  }
}

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const request = JSON.parse(line) as Envelope;
  serve(request).then(
    (ok) => say({ id: request.id, ok }),
    (e: unknown) => {
      const { code, message } = e as NodeJS.ErrnoException;
      say({ id: request.id, error: message || code || 'unknown error' });
    },
  );
});
lines.on('close', () => process.exit(0));
