/**
 * Servers of the prober: echo or push over TCP and UDP, and HTTP with a fixed body.
 */
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import type { ServerReport, ServerSpec } from '../protocol.ts';
import { record } from './record.ts';

const PEERS_KEPT = 10_000;

interface Running {
  readonly port: number;
  close(): void;
}

type Note = (ip: string | undefined, port: number | undefined) => void;

function listening(server: net.Server, spec: ServerSpec): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      { port: spec.port, ...(spec.address === undefined ? {} : { host: spec.address }), backlog: 1024 },
      () => resolve((server.address() as net.AddressInfo).port),
    );
  });
}

/** Calls `send` with record after record until the returned function is called. */
function pushing(send: (bytes: Buffer) => void, intervalMs: number): () => void {
  let seq = 0;
  const timer = setInterval(() => send(record(seq++)), intervalMs);
  return () => clearInterval(timer);
}

async function serveTcp(spec: ServerSpec, note: Note): Promise<Running> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    note(socket.remoteAddress, socket.remotePort);
    open.add(socket);
    socket.on('error', () => {}); // the peer's going is its own affair
    const stop =
      spec.mode === 'push' ? pushing((bytes) => socket.write(bytes), spec.intervalMs ?? 5) : () => {};
    socket.on('close', () => {
      stop();
      open.delete(socket);
    });
    if (spec.mode === 'push') socket.resume();
    else socket.pipe(socket);
  });
  const port = await listening(server, spec);
  return {
    port,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

async function serveHttp(spec: ServerSpec, note: Note): Promise<Running> {
  let port = spec.port;
  const server = http.createServer((request, response) => {
    note(request.socket.remoteAddress, request.socket.remotePort);
    request.resume();
    request.on('end', () => response.end(spec.body ?? `port ${port}\n`));
  });
  port = await listening(server, spec);
  return {
    port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function serveUdp(spec: ServerSpec, note: Note): Promise<Running> {
  const socket = dgram.createSocket({ type: net.isIPv4(spec.address ?? '') ? 'udp4' : 'udp6' });
  const known = new Map<string, () => void>();
  socket.on('message', (message, { address, port }) => {
    const peer = `${address} ${port}`;
    if (!known.has(peer)) {
      note(address, port);
      const push = () =>
        pushing((bytes) => socket.send(bytes, port, address, () => {}), spec.intervalMs ?? 5);
      known.set(peer, spec.mode === 'push' ? push() : () => {});
    }
    // A push server's peers repeat themselves to stay known; they are not answered.
    if (spec.mode !== 'push') socket.send(message, port, address, () => {});
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(spec.port, spec.address, () => {
      socket.removeAllListeners('error').on('error', () => {}); // ICMP errors of peers that left
      socket.setRecvBufferSize(4 << 20);
      const close = () => {
        for (const stop of known.values()) stop();
        socket.close();
      };
      resolve({ port: socket.address().port, close });
    });
  });
}

export class Servers {
  readonly #running = new Map<
    number,
    { readonly server: Running; readonly peers: { ip: string; port: number }[] }
  >();
  #next = 1;

  async serve(spec: ServerSpec): Promise<ServerReport> {
    const peers: { ip: string; port: number }[] = [];
    const note: Note = (ip = '', port = 0) => {
      peers.push({ ip: ip.replace(/^::ffff:(?=\d+\.)/, ''), port });
      if (peers.length > PEERS_KEPT) peers.shift();
    };
    const start = { tcp: serveTcp, udp: serveUdp, http: serveHttp }[spec.proto];
    const server = await start(spec, note);
    const id = this.#next++;
    this.#running.set(id, { server, peers });
    return this.report(id);
  }

  report(id: number): ServerReport {
    const entry = this.#running.get(id);
    if (entry === undefined) throw new Error(`there is no server ${id}`);
    return { server: id, port: entry.server.port, peers: entry.peers };
  }

  close(id: number): ServerReport {
    const report = this.report(id);
    this.#running.get(id)?.server.close();
    this.#running.delete(id);
    return report;
  }
}
