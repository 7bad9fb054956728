/**
 * The local API: HTTP with JSON and JSON lines on a unix socket. Who may open the socket may ask everything,
 * so its mode is the access control: 0660 root:merlon, or root's alone where that group does not exist.
 */
import { chmodSync, chownSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { ERRORS, type ErrorCode, MerlonError } from '#kit/errors';
import { errorView } from './error-view.ts';
import type { Parts } from './parts.ts';
import { findRoute } from './routes.ts';

/** Requests of people are small; an endpoint with a hundred labels is some 10 kB. */
const MAX_BODY_BYTES = 256 * 1024;

/** A long answer is sent in parts of some such size. */
const PART_CHARS = 64 * 1024;

export interface ApiServer extends AsyncDisposable {
  /** Whether the group `merlon` may open the socket; without that group it is root's alone. */
  readonly groupCanRead: boolean;
}

/** Serves `parts` on `path`, replacing a dead socket. The caller holds the lock of the run directory. */
export async function serveApi(options: {
  readonly path: string;
  readonly parts: Parts;
  readonly logger: Logger;
}): Promise<ApiServer> {
  const { path, parts, logger } = options;
  rmSync(path, { force: true });
  const stopping = new AbortController();
  const server = createServer((request, response) => {
    void answer(parts, request, response, stopping.signal).catch((err: unknown) => {
      logger.error({ err, path: request.url }, 'api request failed');
      response.destroy();
    });
  });
  await listen(server, path);
  const groupCanRead = grantGroup(path);
  return {
    groupCanRead,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  // Between bind and chmod nobody but root may connect. The bind happens inside the call; the mask must not
  // stand while others run.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
}

function grantGroup(path: string): boolean {
  const gid = groupId('merlon');
  if (gid === undefined) {
    chmodSync(path, 0o600);
    return false;
  }
  chownSync(path, 0, gid);
  chmodSync(path, 0o660);
  // Its members have to be able to come as far as the socket.
  chownSync(dirname(path), -1, gid);
  return true;
}

function groupId(name: string): number | undefined {
  // A root file system without the file, an initramfs for one, has no groups.
  const text = existsSync('/etc/group') ? readFileSync('/etc/group', 'utf8') : '';
  const line = text.split('\n').find((l) => l.startsWith(`${name}:`));
  const gid = Number(line?.split(':')[2]);
  return Number.isInteger(gid) ? gid : undefined;
}

async function answer(
  parts: Parts,
  request: IncomingMessage,
  response: ServerResponse,
  stopping: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, stopping]);
  try {
    const url = new URL(request.url ?? '/', 'http://merlon');
    const found = findRoute(request.method ?? 'GET', url.pathname);
    if (found === undefined) {
      throw new MerlonError('USAGE', `the agent has no ${request.method} ${url.pathname}`);
    }
    const body = await readBody(request);
    const { route, params } = found;
    const result = await route.answer(parts, { params, query: url.searchParams, body, signal });
    if (isStream(result)) await sendLines(response, result, signal);
    else if (Array.isArray(result)) await sendList(response, result, signal);
    else send(response, 200, result);
  } catch (error) {
    if (signal.aborted || response.headersSent) response.destroy();
    else sendError(response, error);
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > MAX_BODY_BYTES) throw new MerlonError('USAGE', 'the request is larger than 256 KiB');
  }
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new MerlonError('USAGE', 'the request body is not JSON', { cause });
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function sendLines(
  response: ServerResponse,
  rows: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/jsonl' });
  response.flushHeaders();
  for await (const row of rows) {
    if (signal.aborted) break;
    if (!response.write(`${JSON.stringify(row)}\n`)) await once(response, 'drain', { signal });
  }
  response.end();
}

/** A JSON array, in parts: that of ten thousand rows is megabytes, and a slow reader would have them all wait. */
async function sendList(
  response: ServerResponse,
  rows: readonly unknown[],
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  let text = '[';
  for (const [at, row] of rows.entries()) {
    text += `${at === 0 ? '' : ','}${JSON.stringify(row)}`;
    if (text.length < PART_CHARS) continue;
    if (!response.write(text)) await once(response, 'drain', { signal });
    text = '';
  }
  response.end(`${text}]`);
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(value === undefined ? '' : JSON.stringify(value));
}

function sendError(response: ServerResponse, error: unknown): void {
  const view = errorView(error);
  send(response, ERRORS[view.code as ErrorCode].exit === 2 ? 400 : 500, view);
}
