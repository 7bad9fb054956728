/**
 * Netlink sockets. The kernel carries out an rtnetlink request inside `sendmsg` and has queued the answer when
 * that returns (a dump goes on inside `recvmsg`), so a request here is a plain call: nothing waits, nothing
 * interleaves, and a request costs about 45 µs. Events come on a socket of their own.
 */
import { getSystemErrorName } from 'node:util';
import { MerlonError } from '#kit/errors';
import {
  bind,
  closeFd,
  type Fd,
  recv,
  send,
  setsockopt,
  socketIn,
  unwatch,
  type Watch,
  watch,
} from '#native';
import { attributesOf, encodeMessage, HOST_LE, type Message, messagesOf, textOf, viewOf } from './message.ts';
import {
  AF,
  GROUP,
  type Group,
  MSG_PEEK,
  MSG_TRUNC,
  NETLINK_OPT,
  NETLINK_ROUTE,
  NLM_F,
  NLMSG,
  SO,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from './numbers.ts';

/** Address of the kernel, and of a socket that lets the kernel choose its port. */
const SOCKADDR_NL = (() => {
  const bytes = new Uint8Array(12);
  viewOf(bytes).setUint16(0, AF.netlink, HOST_LE);
  return bytes;
})();

/** Attributes of an answer with NLM_F_ACK_TLVS. */
const NLMSGERR_ATTR_MSG = 1;
/** A dump whose table changes meanwhile is begun again this often before it is taken as it is. */
const DUMP_ATTEMPTS = 5;

/** The kernel's refusal behind a MerlonError NETLINK_REQUEST. */
export class NetlinkRefusal extends Error {
  override readonly name = 'NetlinkRefusal';
  /** errno name: `EEXIST`. */
  readonly code: string;

  constructor(code: string, sentence: string) {
    super(sentence === '' ? code : `${code}: ${sentence}`);
    this.code = code;
  }
}

/** errno name of a refused request, undefined for any other error. */
export function refusalCode(e: unknown): string | undefined {
  return e instanceof MerlonError && e.cause instanceof NetlinkRefusal ? e.cause.code : undefined;
}

function openSocket(netnsFd: Fd, protocol: number): Fd {
  const fd = socketIn(netnsFd, AF.netlink, SOCK_RAW, protocol);
  try {
    bind(fd, SOCKADDR_NL);
    return fd;
  } catch (e) {
    closeFd(fd);
    throw e;
  }
}

/** The refusal in an answer of type NLMSG_ERROR; undefined when it is an acknowledgement. */
function refusalOf({ flags, body }: Message): NetlinkRefusal | undefined {
  const view = viewOf(body);
  const errno = -view.getInt32(0, HOST_LE);
  if (errno === 0) return undefined;
  let sentence = '';
  if ((flags & NLM_F.ackTlvs) !== 0) {
    // struct nlmsgerr: errno, the request's header, and, unless capped, the rest of the request.
    const quoted = (flags & NLM_F.capped) !== 0 ? 16 : view.getUint32(4, HOST_LE);
    sentence = textOf(attributesOf(body, 4 + quoted).get(NLMSGERR_ATTR_MSG));
  }
  return new NetlinkRefusal(getSystemErrorName(-errno), sentence);
}

/** Grows `buffer` when the next datagram would not fit. */
class Receiver {
  #buffer = new Uint8Array(32 << 10);

  /** The next datagram, or undefined when there is none. Valid until the next call. */
  next(fd: Fd): Uint8Array | undefined {
    // The kernel fits dumps to the reader's buffer; only a single huge event can exceed it.
    const need = recv(fd, this.#buffer, undefined, MSG_PEEK | MSG_TRUNC);
    if (need < 0) return undefined;
    if (need > this.#buffer.length) this.#buffer = new Uint8Array(2 * need);
    const got = recv(fd, this.#buffer);
    return got < 0 ? undefined : this.#buffer.subarray(0, got);
  }
}

/** A socket for requests. */
export class RequestSocket implements Disposable {
  readonly #fd: Fd;
  readonly #receiver = new Receiver();
  #seq = 0;
  #isOpen = true;

  /** `netnsFd` -1 = the thread's own namespace. Errors: NETLINK_REQUEST. */
  constructor(netnsFd: Fd = -1, protocol: number = NETLINK_ROUTE) {
    try {
      this.#fd = openSocket(netnsFd, protocol);
    } catch (cause) {
      throw new MerlonError('NETLINK_REQUEST', 'cannot open a netlink socket', { cause });
    }
    for (const option of [NETLINK_OPT.capAck, NETLINK_OPT.extAck, NETLINK_OPT.strictCheck]) {
      setsockopt(this.#fd, SOL_NETLINK, option, 1);
    }
    setsockopt(this.#fd, SOL_SOCKET, SO.rcvbufForce, 4 << 20);
  }

  #exchange(
    type: number,
    flags: number,
    body: Uint8Array,
    what: string,
  ): { answers: Message[]; isWhole: boolean } {
    const seq = ++this.#seq;
    let isWhole = true;
    const answers: Message[] = [];
    try {
      send(this.#fd, encodeMessage(type, flags | NLM_F.request, seq, body), SOCKADDR_NL);
      for (;;) {
        const datagram = this.#receiver.next(this.#fd);
        if (datagram === undefined) throw new NetlinkRefusal('EAGAIN', 'no answer');
        for (const message of messagesOf(datagram)) {
          if (message.seq !== seq) continue; // of an exchange that ended with an error half way
          if ((message.flags & NLM_F.dumpInterrupted) !== 0) isWhole = false;
          if (message.type === NLMSG.error || message.type === NLMSG.done) {
            const refusal = message.body.length >= 4 ? refusalOf(message) : undefined;
            if (refusal !== undefined) throw refusal;
            return { answers, isWhole };
          }
          answers.push({ ...message, body: message.body.slice() });
        }
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MerlonError('NETLINK_REQUEST', `cannot ${what}: ${why}`, { cause });
    }
  }

  /**
   * Sends a request and waits for its acknowledgement; what the kernel answered besides. `what` completes the
   * sentence `cannot …`. Errors: NETLINK_REQUEST, whose `refusalCode` is the errno.
   */
  request(type: number, flags: number, body: Uint8Array, what: string): readonly Message[] {
    return this.#exchange(type, flags | NLM_F.ack, body, what).answers;
  }

  /** Reads a whole table. One that changed while it was read is read again, a few times. */
  dump(type: number, body: Uint8Array, what: string): readonly Message[] {
    for (let attempt = 1; ; attempt++) {
      const { answers, isWhole } = this.#exchange(type, NLM_F.dump, body, what);
      if (isWhole || attempt === DUMP_ATTEMPTS) return answers;
    }
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeFd(this.#fd);
    this.#isOpen = false;
  }
}

export interface ListenOptions {
  readonly groups: readonly Group[];
  /** The messages of one datagram, valid only during the call. */
  readonly onMessages: (messages: Iterable<Message>) => void;
  /** No more for now; not called when messages were lost. */
  readonly onTurn: () => void;
  /** Messages were lost: nothing known from the stream can be trusted, read everything anew. */
  readonly onOverrun: () => void;
  /** Bytes; default 4 MiB. */
  readonly receiveBuffer?: number;
}

/** Datagrams read in one turn of the loop; then others get theirs. */
const TURN = 256;

/** A socket for events. Listens from its construction; calls back from the event loop until disposed. */
export class EventSocket implements Disposable {
  readonly #fd: Fd;
  readonly #receiver = new Receiver();
  #watch: Watch;
  readonly #options: ListenOptions;
  #isOpen = true;

  constructor(options: ListenOptions, netnsFd: Fd = -1) {
    this.#options = options;
    this.#fd = openSocket(netnsFd, NETLINK_ROUTE);
    try {
      setsockopt(this.#fd, SOL_SOCKET, SO.rcvbufForce, options.receiveBuffer ?? 4 << 20);
      for (const group of options.groups) {
        setsockopt(this.#fd, SOL_NETLINK, NETLINK_OPT.addMembership, GROUP[group]);
      }
      this.#watch = this.#listen();
    } catch (cause) {
      closeFd(this.#fd);
      throw new MerlonError('NETLINK_REQUEST', `cannot listen to ${options.groups.join(', ')}`, { cause });
    }
  }

  #listen(): Watch {
    return watch(this.#fd, (events) => {
      // A loss is an error of the socket, at which libuv stops watching: begin anew, or be deaf from then on.
      if (events < 0) {
        unwatch(this.#watch);
        this.#watch = this.#listen();
      }
      this.#drain();
    });
  }

  #drain(): void {
    let isOverrun = false;
    // After a loss the queue is emptied unread: what it holds is older than the listing that follows, and the
    // kernel queues nothing new until it is empty.
    for (let turn = 0; isOverrun || turn < TURN; turn++) {
      const datagram = this.#next();
      if (datagram === 'lost') isOverrun = true;
      else if (datagram === undefined) break;
      else if (!isOverrun) this.#options.onMessages(messagesOf(datagram));
    }
    if (isOverrun) this.#options.onOverrun();
    else this.#options.onTurn();
  }

  #next(): Uint8Array | 'lost' | undefined {
    try {
      return this.#receiver.next(this.#fd);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOBUFS') throw e;
      return 'lost';
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    unwatch(this.#watch);
    closeFd(this.#fd);
  }
}
