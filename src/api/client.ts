/**
 * The CLI's side of the local API: HTTP over the agent's unix socket, JSON answers and JSON lines. Nothing
 * heavier than `node:http` is loaded here, because every invocation of the CLI pays for it.
 */
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { ERRORS, type ErrorCode, MerlonError } from '#kit/errors';
import type { ErrorView } from './views.ts';

export { errorView } from './error-view.ts';
export * from './views.ts';

export interface ClientOptions {
  readonly runDir: string;
  readonly signal: AbortSignal;
}

interface Call extends ClientOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  /** How long the answer may take to begin. Default: 15 s, or 60 s for what changes something. */
  readonly timeoutMs?: number;
}

/** An agent answers within a second; one that is stopped, or hangs, must not make its operator hang, too. */
const ANSWER_MS = 15_000;
/** A change is answered once it is enforced, which has limits of its own. */
const CHANGE_MS = 60_000;

/** Path of the agent's socket below a run directory. */
function socketPath(runDir: string): string {
  return join(runDir, 'merlon.sock');
}

/**
 * One call of the API: the parsed JSON of its answer. Throws the agent's own error, or AGENT_UNREACHABLE.
 */
export async function call<T>(path: string, options: Call): Promise<T> {
  const response = await send(path, options);
  const text = await bodyText(response);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** A streaming call: each JSON line as it arrives, until the agent ends it or `signal` aborts. */
export async function* stream<T>(path: string, options: Call): AsyncGenerator<T, void, undefined> {
  const response = await send(path, options);
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
    }
  } catch (cause) {
    if (options.signal.aborted) return;
    throw new MerlonError('AGENT_UNREACHABLE', 'the agent closed the stream', { cause });
  } finally {
    response.destroy();
  }
}

async function send(path: string, options: Call): Promise<IncomingMessage> {
  const response = await open(path, options);
  if ((response.statusCode ?? 500) < 400) return response;
  throw errorFromText(await bodyText(response), response.statusCode ?? 500);
}

function open(path: string, options: Call): Promise<IncomingMessage> {
  const socket = socketPath(options.runDir);
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  const method = options.method ?? 'GET';
  const timeoutMs = options.timeoutMs ?? (method === 'GET' ? ANSWER_MS : CHANGE_MS);
  // An import would read all exports of the module, and one of them loads half a megabyte for WebSocket.
  const { request } = process.getBuiltinModule('node:http');
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath: socket,
        path,
        method,
        signal: options.signal,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
      },
      (response) => {
        clearTimeout(timer);
        resolve(response);
      },
    );
    const timer = setTimeout(() => call.destroy(silent(socket, timeoutMs)), timeoutMs);
    call.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(cause instanceof MerlonError ? cause : unreachable(socket, cause));
    });
    call.end(body);
  });
}

async function bodyText(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

function errorFromText(text: string, status: number): MerlonError {
  try {
    const view = JSON.parse(text) as ErrorView;
    const options = {
      ...(view.at === undefined ? {} : { at: view.at }),
      ...(view.hint === undefined ? {} : { hint: view.hint }),
    };
    // An agent of another release may know a code that this program does not.
    const code = view.code in ERRORS ? (view.code as ErrorCode) : 'FAILED';
    return new MerlonError(code, view.message, options);
  } catch (cause) {
    return new MerlonError('INTERNAL', `the agent answered ${status} without a reason`, { cause });
  }
}

function silent(socket: string, timeoutMs: number): MerlonError {
  return new MerlonError(
    'AGENT_UNREACHABLE',
    `the agent at ${socket} has not answered for ${timeoutMs / 1000} s; what it last enforced still holds`,
    { hint: 'it may be stopped or overloaded: systemctl status merlon' },
  );
}

/** One sentence: which socket, whether somebody listens, what to type. */
function unreachable(socket: string, cause: NodeJS.ErrnoException): Error {
  if (cause.name === 'AbortError') return cause;
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    return new MerlonError('AGENT_UNREACHABLE', `no permission to open ${socket}`, {
      cause,
      hint: 'run it as root, or join the group merlon',
    });
  }
  const isThere = existsSync(socket);
  return new MerlonError(
    'AGENT_UNREACHABLE',
    isThere
      ? `the socket ${socket} is there, but no agent answers on it; what it last enforced still holds`
      : `no agent at ${socket}; if one ran before, what it last enforced still holds`,
    { cause, hint: 'systemctl status merlon, or choose another agent with --run-dir' },
  );
}
