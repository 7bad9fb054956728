/**
 * What a port rule asks of a proxy (policy.md §6), as data. Nothing here is enforced by the datapath: it hands
 * the connection to the proxy, or refuses it while none serves the rules.
 */

/** `value` undefined: the header must be there, whatever it says. */
export interface HttpHeader {
  readonly name: string;
  readonly value?: string;
}

export interface SecretRef {
  readonly namespace?: string;
  readonly name: string;
}

/** A header with what happens when it does not match; no `mismatch`: the rule fails. */
export interface HeaderMatch {
  readonly name: string;
  readonly value?: string;
  readonly secret?: SecretRef;
  readonly mismatch?: 'LOG' | 'ADD' | 'DELETE' | 'REPLACE';
}

/** All conditions hold. `path`, `method` and `host` are regular expressions for the entire value. */
export interface HttpRule {
  readonly path?: string;
  readonly method?: string;
  readonly host?: string;
  readonly headers: readonly HttpHeader[];
  readonly headerMatches: readonly HeaderMatch[];
}

export interface KafkaRule {
  readonly role?: 'produce' | 'consume';
  /** Lower case. */
  readonly apiKey?: string;
  readonly apiVersion?: number;
  readonly clientID?: string;
  readonly topic?: string;
}

/** Rules of one parser; one of them must match. `dns`: canonical names and patterns. */
export type L7Rules =
  | { readonly kind: 'http'; readonly rules: readonly HttpRule[] }
  | { readonly kind: 'kafka'; readonly rules: readonly KafkaRule[] }
  | { readonly kind: 'dns'; readonly rules: readonly string[] }
  | {
      readonly kind: 'l7proto';
      readonly parser: string;
      readonly rules: readonly Readonly<Record<string, string>>[];
    };

export interface TlsContext {
  readonly secret: SecretRef;
  readonly trustedCA?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
}

/** A listener that somebody configured; of two the lower priority number counts. */
export interface ListenerRef {
  readonly envoyConfig: { readonly kind: string; readonly name: string };
  readonly name: string;
  readonly priority?: number;
}

/** All that one port rule asks; it has at least one of these. */
export interface ProxyRules {
  readonly l7?: L7Rules;
  /** Server names that a client may ask for; none: any. */
  readonly serverNames: readonly string[];
  readonly terminatingTLS?: TlsContext;
  readonly originatingTLS?: TlsContext;
  readonly listener?: ListenerRef;
}

/** What a proxy knows of one request, to be judged by rules. */
export interface L7Request {
  readonly http?: {
    readonly method: string;
    readonly path: string;
    readonly host: string;
    /** Names in lower case. */
    readonly headers: Readonly<Record<string, string>>;
  };
  readonly kafka?: {
    readonly apiKey: string;
    readonly apiVersion?: number;
    readonly clientID?: string;
    readonly topics: readonly string[];
  };
  /** The name that is asked for. */
  readonly dns?: string;
  /** Server name of the TLS client; undefined: none. */
  readonly sni?: string;
  /** Fields of a request of a named parser. */
  readonly l7?: Readonly<Record<string, string>>;
}

/** Requests that a Kafka role may make. */
export const KAFKA_ROLES: Readonly<Record<'produce' | 'consume', readonly string[]>> = {
  produce: ['produce', 'metadata', 'apiversions'],
  consume: [
    'fetch',
    'offsets',
    'metadata',
    'offsetcommit',
    'offsetfetch',
    'findcoordinator',
    'joingroup',
    'heartbeat',
    'leavegroup',
    'syncgroup',
    'apiversions',
  ],
};

/** Kafka's requests by number (Kafka protocol guide, API keys). */
export const KAFKA_API_KEYS: readonly string[] = [
  'produce',
  'fetch',
  'offsets',
  'metadata',
  'leaderandisr',
  'stopreplica',
  'updatemetadata',
  'controlledshutdown',
  'offsetcommit',
  'offsetfetch',
  'findcoordinator',
  'joingroup',
  'heartbeat',
  'leavegroup',
  'syncgroup',
  'describegroups',
  'listgroups',
  'saslhandshake',
  'apiversions',
  'createtopics',
  'deletetopics',
  'deleterecords',
  'initproducerid',
  'offsetforleaderepoch',
  'addpartitionstotxn',
  'addoffsetstotxn',
  'endtxn',
  'writetxnmarkers',
  'txnoffsetcommit',
  'describeacls',
  'createacls',
  'deleteacls',
  'describeconfigs',
  'alterconfigs',
];
