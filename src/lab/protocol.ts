/**
 * What a test says to the prober that lives in a host's namespace, and what it answers: one JSON object a
 * line, requests with an id on its stdin, answers with the same id on its stdout.
 */

/**
 * How an attempt ended. `open`: connected, or answered; `refused`: RST or ICMP port unreachable;
 * `unreachable`: another ICMP error or no route; `reset`: connected, then cut; `timeout`: silence.
 */
export type Outcome = 'open' | 'refused' | 'timeout' | 'unreachable' | 'reset';

/** One attempt to reach something. Addresses are literals; a link-local one carries `%device`. */
export interface Attempt {
  readonly proto: 'tcp' | 'udp' | 'http' | 'icmp';
  readonly to: string;
  /** Absent for ICMP. */
  readonly port?: number;
  readonly from?: string;
  readonly fromPort?: number;
  /** Default 10,000. A silent drop costs the whole of it: who expects one says less. */
  readonly timeoutMs?: number;
  /** TCP: also send this and wait for its echo before calling it open. UDP: what is sent. */
  readonly payload?: string;
  /** HTTP: default `GET /`. */
  readonly method?: string;
  readonly path?: string;
}

export interface AttemptResult {
  readonly outcome: Outcome;
  readonly proto: Attempt['proto'];
  readonly source: string;
  /** 0 for ICMP. */
  readonly sourcePort: number;
  readonly to: string;
  readonly port: number;
  /** errno name behind `refused`, `unreachable` and `reset`. */
  readonly error?: string;
  readonly ms: number;
  readonly status?: number;
  readonly body?: string;
}

export interface ServerSpec {
  readonly proto: 'tcp' | 'udp' | 'http';
  /** 0 = any free one. */
  readonly port: number;
  /** Default: all addresses of both families. */
  readonly address?: string;
  /** TCP and UDP: what a peer gets: its own bytes (default), or numbered records without being asked. */
  readonly mode?: 'echo' | 'push';
  /** Interval of `push`; default 5. */
  readonly intervalMs?: number;
  /** HTTP body; default names the port. */
  readonly body?: string;
}

export interface ServerReport {
  readonly server: number;
  readonly port: number;
  /** Peers that connected (TCP, HTTP) or sent (UDP, each once), in order, at most the last 10,000. */
  readonly peers: readonly { readonly ip: string; readonly port: number }[];
}

/**
 * Traffic that runs until stopped. `tcp` and `udp`: numbered records over one connection or five-tuple, echoed
 * by the peer (`push`: sent by the peer). `…-new`: one new attempt per interval, each from a port of its own.
 */
export interface StreamSpec {
  readonly kind: 'tcp' | 'udp' | 'tcp-new' | 'udp-new' | 'icmp-new';
  readonly to: string;
  readonly port?: number;
  readonly from?: string;
  readonly push?: boolean;
  /** Default 5. */
  readonly intervalMs?: number;
  /** Of one new attempt, or of a connection's beginning; default 10,000. */
  readonly timeoutMs?: number;
}

/** Where a run of equal outcomes began. Instants are milliseconds since the stream's start. */
export interface StreamPhase {
  readonly outcome: Outcome;
  readonly firstSeq: number;
  readonly count: number;
  readonly startMs: number;
}

export interface StreamReport {
  readonly stream: number;
  readonly source: string;
  readonly sourcePort: number;
  /** Records sent (with `push`: the highest number seen + 1), or attempts made. */
  readonly sent: number;
  /** Distinct records received, or attempts answered. */
  readonly received: number;
  /** First 100 numbers of records that did not come back. */
  readonly lost: readonly number[];
  readonly duplicates: number;
  /** Longest time between two received records, from first to last (or to the stop, when later). */
  readonly longestGapMs: number;
  /** Gaps over 100 ms: number of the record before it, and length; at most 100. */
  readonly gaps: readonly { readonly afterSeq: number; readonly ms: number }[];
  /** Outcomes of `…-new`, run by run. */
  readonly phases: readonly StreamPhase[];
  /** errno name that ended a connection before the stop. */
  readonly error?: string;
}

export type Request =
  | { readonly op: 'attempt'; readonly attempts: readonly Attempt[]; readonly concurrency?: number }
  | { readonly op: 'serve'; readonly server: ServerSpec }
  | { readonly op: 'serverReport'; readonly server: number }
  | { readonly op: 'closeServer'; readonly server: number }
  | { readonly op: 'startStream'; readonly stream: StreamSpec }
  | { readonly op: 'streamReport'; readonly stream: number }
  | { readonly op: 'stopStream'; readonly stream: number };

export type Envelope = Request & { readonly id: number };

export type Answer =
  | { readonly id: number; readonly ok: unknown }
  | { readonly id: number; readonly error: string };
