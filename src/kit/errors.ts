/**
 * The one catalogue of errors: code → exit code (the table of exit codes in the manual), gRPC status and what
 * to do. A code names a kind of trouble that a script or an operator can react to; the sentence in `message`
 * carries the particulars, so a new sentence needs no new code.
 */

/** Where in a person's input something stands. Lines and columns count from 1; `path` is a JSON path. */
export interface SourceAt {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly path?: string;
}

/** What an error code means to a shell, to a gRPC client and to a person. */
export interface ErrorKind {
  /** Exit code of the program. */
  readonly exit: number;
  /** google.rpc.Code number. */
  readonly grpc: number;
  /** What to do; shown after the message unless the error brings a hint of its own. Empty: nothing to add. */
  readonly hint: string;
}

const EXIT = { failed: 1, input: 2, unreachable: 7, pending: 15, timeout: 124 } as const;

/** google.rpc.Code, the numbers in use. */
const GRPC = {
  cancelled: 1,
  invalid: 3,
  deadline: 4,
  notFound: 5,
  exists: 6,
  denied: 7,
  exhausted: 8,
  precondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
} as const;

function kind(exit: number, grpc: number, hint = ''): ErrorKind {
  return { exit, grpc, hint };
}

const invalid = (hint = '') => kind(EXIT.input, GRPC.invalid, hint);
const policyHint = 'run `merlon policy validate FILE`; the objects applied before stay enforced';

const catalogue = {
  // Command line
  USAGE: invalid('see `merlon help`'),
  NOT_SUPPORTED_YET: kind(EXIT.input, GRPC.unimplemented),
  /** Of verbs whose exit code 1 is an answer: the question could not be put. */
  UNANSWERED: invalid(),
  NOT_FOUND: kind(EXIT.failed, GRPC.notFound),
  FAILED: kind(EXIT.failed, GRPC.precondition),
  PERMISSION: kind(EXIT.failed, GRPC.denied, 'run as root, or as a member of the group merlon'),
  TIMEOUT: kind(EXIT.timeout, GRPC.deadline),
  INTERNAL: kind(EXIT.failed, GRPC.internal, 'this is a defect in merlon; please report it'),

  // NodeConfig
  CONFIG_UNREADABLE: invalid('check the path given to --config'),
  CONFIG_SYNTAX: invalid(),
  CONFIG_SCHEMA: invalid('run `merlon config check`'),
  CONFIG_UNKNOWN_KEY: invalid(),
  CONFIG_VALUE: invalid(),
  CONFIG_CONFLICT: invalid(),
  CONFIG_NO_DEVICE: invalid('run `merlon devices` to see which devices there are'),

  // Manifest directories
  MANIFEST_UNREADABLE: invalid(),
  MANIFEST_SYNTAX: invalid(),
  MANIFEST_KIND: invalid(),
  MANIFEST_SCHEMA: invalid(),
  MANIFEST_UNKNOWN_KEY: invalid(),
  MANIFEST_DUPLICATE: invalid('keep one of the two objects'),
  MANIFEST_TOO_LARGE: invalid(),
  MANIFEST_UNSAFE_FILE: invalid('only root may be able to write the file and its directories'),
  MANIFEST_NAME: invalid(),

  // Policies: the sentence carries the keyword of the validation catalogue
  POLICY_SCHEMA: invalid(policyHint),
  POLICY_UNKNOWN_KEY: invalid(),
  POLICY_EMPTY: invalid(),
  POLICY_SUBJECT: invalid(),
  POLICY_COMBINATION: invalid(),
  POLICY_SELECTOR: invalid(),
  POLICY_ENTITY: invalid(),
  POLICY_CIDR: invalid(),
  POLICY_PORT: invalid(),
  POLICY_PORT_RANGE: invalid(),
  POLICY_PROTOCOL: invalid(),
  POLICY_ICMP: invalid(),
  POLICY_TOO_MANY: invalid(),
  POLICY_L7: invalid(),
  POLICY_DNS: invalid(),
  POLICY_LISTENER: invalid(),
  POLICY_REMOVED_FIELD: invalid(),
  POLICY_NO_ROOM: kind(EXIT.failed, GRPC.exhausted, 'the last complete rule set stays enforced'),
  POLICY_VERIFY_FAILED: kind(EXIT.failed, GRPC.dataLoss, 'the previous generation stays enforced'),

  // Cases
  CASE_SCHEMA: invalid(),
  CASE_UNKNOWN_KEY: invalid(),
  CASE_REFERENCE: invalid(),

  // Labels, addresses
  LABEL_SYNTAX: invalid('labels are written source:key=value'),
  ADDRESS_SYNTAX: invalid(),

  // Agent and instances
  AGENT_UNREACHABLE: kind(
    EXIT.unreachable,
    GRPC.unavailable,
    'is it running? `systemctl status merlon`; choose another with --run-dir',
  ),
  AGENT_RUNNING: kind(EXIT.failed, GRPC.precondition, 'stop the other agent, or use another --run-dir'),
  AGENT_STOPPING: kind(EXIT.unreachable, GRPC.unavailable),
  API_PROTOCOL: kind(EXIT.failed, GRPC.internal, 'program and agent may be of different releases'),
  INSTANCE_LOCKED: kind(EXIT.failed, GRPC.precondition, 'stop the other agent, or use another --bpf-root'),
  INSTANCE_OTHER_NETNS: kind(
    EXIT.failed,
    GRPC.precondition,
    'start the agent in that network namespace, or use another --bpf-root',
  ),
  INSTANCE_UPGRADE: kind(EXIT.failed, GRPC.precondition, 'nothing: it is tried again by itself'),
  INSTANCE_SCHEMA: kind(
    EXIT.failed,
    GRPC.precondition,
    'run `merlon uninstall` with the release that pinned it',
  ),
  STATE_CORRUPT: kind(EXIT.failed, GRPC.dataLoss),
  STATE_WRITE: kind(EXIT.failed, GRPC.unavailable, 'check free space and permissions of --state-dir'),

  // Kernel
  KERNEL_FEATURE: kind(EXIT.failed, GRPC.precondition),
  KERNEL_NO_BPFFS: kind(EXIT.failed, GRPC.precondition, 'mount -t bpf bpf /sys/fs/bpf'),
  KERNEL_PERMISSION: kind(EXIT.failed, GRPC.denied, 'run as root'),
  KERNEL_LOAD: kind(EXIT.failed, GRPC.internal),
  KERNEL_ATTACH: kind(EXIT.failed, GRPC.internal),
  KERNEL_MAP: kind(EXIT.failed, GRPC.internal),
  KERNEL_MAP_FULL: kind(EXIT.failed, GRPC.exhausted),
  KERNEL_MEMORY: kind(EXIT.failed, GRPC.exhausted),
  NETLINK_REQUEST: kind(EXIT.failed, GRPC.internal),
  NETNS_NOT_FOUND: kind(EXIT.input, GRPC.notFound, 'see `ip netns list`'),

  // Endpoints
  ENDPOINT_EXISTS: kind(EXIT.input, GRPC.exists),
  ENDPOINT_NOT_FOUND: kind(EXIT.failed, GRPC.notFound, 'see `merlon endpoint list`'),
  ENDPOINT_ADDRESS: invalid(),
  ENDPOINT_DEVICE: kind(EXIT.failed, GRPC.precondition),
  ENDPOINT_LIMIT: kind(EXIT.failed, GRPC.exhausted),
  IDENTITY_EXHAUSTED: kind(EXIT.failed, GRPC.exhausted),
  IDENTITY_NOT_FOUND: kind(EXIT.failed, GRPC.notFound, 'see `merlon identity list`'),

  // Tables
  TABLE_COMPACTED: kind(EXIT.failed, GRPC.aborted, 'list again from the start'),

  // Set-up
} as const satisfies Record<string, ErrorKind>;

/** Code of an error; a key of the catalogue. */
export type ErrorCode = keyof typeof catalogue;

/** The catalogue: what each code means to shells, gRPC clients and people. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorKind>> = catalogue;

/** An error with a code of the catalogue. The message is one sentence without a full stop. */
export class MerlonError extends Error {
  override readonly name = 'MerlonError';
  readonly code: ErrorCode;
  readonly at?: SourceAt;
  readonly hint?: string;

  constructor(
    code: ErrorCode,
    message: string,
    opts: {
      readonly cause?: unknown;
      readonly at?: SourceAt | undefined;
      readonly hint?: string | undefined;
    } = {},
  ) {
    super(message, opts.cause === undefined ? undefined : { cause: opts.cause });
    this.code = code;
    if (opts.at !== undefined) this.at = opts.at;
    if (opts.hint !== undefined) this.hint = opts.hint;
  }
}

/** Ends a `switch` over a union: a value here is a defect, and a missing case does not compile. */
export function assertNever(x: never): never {
  throw new MerlonError('INTERNAL', `unexpected value ${JSON.stringify(x)}`);
}

/** Message of whatever was thrown. */
export function errorMessage(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}

/** `file:line:column`, as far as known; with the JSON path when there is no line. Empty when nothing is known. */
export function formatAt(at: SourceAt | undefined): string {
  if (at === undefined) return '';
  const place = [at.file, at.line, at.line === undefined ? undefined : at.column];
  const text = place.filter((part) => part !== undefined).join(':');
  if (at.line !== undefined || at.path === undefined) return text;
  return text === '' ? at.path : `${text}: ${at.path}`;
}

/** One line for people: `file:line:column: message (hint)`. */
export function formatError(e: unknown): string {
  if (!(e instanceof MerlonError)) return errorMessage(e);
  const at = formatAt(e.at);
  const hint = e.hint ?? ERRORS[e.code].hint;
  return `${at === '' ? '' : `${at}: `}${e.message}${hint === '' ? '' : ` (${hint})`}`;
}

/** Exit code for whatever was thrown; 1 for anything that has no code of ours. */
export function exitCode(e: unknown): number {
  return e instanceof MerlonError ? ERRORS[e.code].exit : EXIT.failed;
}

/** The code as other parts and clients see it; anything that has no code of ours is `INTERNAL`. */
export function errorCode(e: unknown): ErrorCode {
  return e instanceof MerlonError ? e.code : 'INTERNAL';
}
