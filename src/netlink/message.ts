/**
 * Netlink messages and attributes: header of 16 bytes, attributes of 4 + payload, both padded to 4. All numbers
 * are in the machine's byte order, but those that the attribute itself declares to be in network order.
 */
import { endianness } from 'node:os';

/** Whether the machine is little-endian: the `littleEndian` argument of every DataView call here. */
export const HOST_LE = endianness() === 'LE';

const HEADER_BYTES = 16;
const ATTRIBUTE_BYTES = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type. */
const TYPE_MASK = 0x3fff;
const NESTED = 0x8000;

const align4 = (length: number) => (length + 3) & ~3;

/** A received message. `body` begins behind the header. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly body: Uint8Array;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The messages of one datagram. A truncated one ends the list: nothing behind it can be trusted. */
export function* messagesOf(datagram: Uint8Array): Generator<Message> {
  const view = viewOf(datagram);
  for (let at = 0; at + HEADER_BYTES <= datagram.length; ) {
    const length = view.getUint32(at, HOST_LE);
    if (length < HEADER_BYTES || at + length > datagram.length) return;
    yield {
      type: view.getUint16(at + 4, HOST_LE),
      flags: view.getUint16(at + 6, HOST_LE),
      seq: view.getUint32(at + 8, HOST_LE),
      body: datagram.subarray(at + HEADER_BYTES, at + length),
    };
    at += align4(length);
  }
}

/** Attributes by type; of a type that comes twice, the last. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

const EMPTY: Attributes = new Map();

/** The attributes in `bytes` from `offset` on. A malformed one ends the list. */
export function attributesOf(bytes: Uint8Array | undefined, offset = 0): Attributes {
  if (bytes === undefined) return EMPTY;
  const view = viewOf(bytes);
  const found = new Map<number, Uint8Array>();
  for (let at = align4(offset); at + ATTRIBUTE_BYTES <= bytes.length; ) {
    const length = view.getUint16(at, HOST_LE);
    if (length < ATTRIBUTE_BYTES || at + length > bytes.length) break;
    found.set(view.getUint16(at + 2, HOST_LE) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE_BYTES, at + length));
    at += align4(length);
  }
  return found;
}

/** A number attribute of 1, 2, 4 or 8 bytes; `otherwise` when it is not there. 64-bit ones must be below 2^53. */
export function numberOf(bytes: Uint8Array | undefined, otherwise = 0): number {
  switch (bytes?.length) {
    case 1:
      return bytes[0] as number;
    case 2:
      return viewOf(bytes).getUint16(0, HOST_LE);
    case 4:
      return viewOf(bytes).getUint32(0, HOST_LE);
    case 8:
      return Number(viewOf(bytes).getBigUint64(0, HOST_LE));
    default:
      return otherwise;
  }
}

/** A string attribute, up to its NUL. */
export function textOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return '';
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

/** Builds the body of a request: a fixed struct, then attributes. */
export class MessageWriter {
  #bytes = new Uint8Array(256);
  #view = viewOf(this.#bytes);
  #length = 0;

  #reserve(count: number): number {
    const at = align4(this.#length);
    const end = at + align4(count);
    if (end > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      bytes.set(this.#bytes);
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    this.#length = at + count;
    return at;
  }

  /** A struct as it is. */
  raw(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#reserve(bytes.length));
    return this;
  }

  /** A struct of fields with their widths in bytes, without padding but that given. */
  struct(fields: readonly (readonly [bytes: 1 | 2 | 4, value: number])[]): this {
    let at = this.#reserve(fields.reduce((sum, [bytes]) => sum + bytes, 0));
    for (const [bytes, value] of fields) {
      if (bytes === 1) this.#view.setUint8(at, value);
      else if (bytes === 2) this.#view.setUint16(at, value, HOST_LE);
      else this.#view.setUint32(at, value >>> 0, HOST_LE);
      at += bytes;
    }
    return this;
  }

  bytes(type: number, payload: Uint8Array): this {
    const at = this.#reserve(ATTRIBUTE_BYTES + payload.length);
    this.#view.setUint16(at, ATTRIBUTE_BYTES + payload.length, HOST_LE);
    this.#view.setUint16(at + 2, type, HOST_LE);
    this.#bytes.set(payload, at + ATTRIBUTE_BYTES);
    return this;
  }

  u8(type: number, value: number): this {
    return this.bytes(type, Uint8Array.of(value));
  }

  u16(type: number, value: number): this {
    const bytes = new Uint8Array(2);
    viewOf(bytes).setUint16(0, value, HOST_LE);
    return this.bytes(type, bytes);
  }

  u32(type: number, value: number): this {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value >>> 0, HOST_LE);
    return this.bytes(type, bytes);
  }

  /** A string with its NUL. */
  text(type: number, value: string): this {
    return this.bytes(type, Buffer.from(`${value}\0`));
  }

  nest(type: number, fill: (inner: MessageWriter) => void): this {
    const at = this.#reserve(ATTRIBUTE_BYTES);
    fill(this);
    this.#view.setUint16(at, this.#length - at, HOST_LE);
    this.#view.setUint16(at + 2, type | NESTED, HOST_LE);
    return this;
  }

  get body(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** A whole request, ready to be sent. */
export function encodeMessage(type: number, flags: number, seq: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(align4(HEADER_BYTES + body.length));
  const view = viewOf(bytes);
  view.setUint32(0, HEADER_BYTES + body.length, HOST_LE);
  view.setUint16(4, type, HOST_LE);
  view.setUint16(6, flags, HOST_LE);
  view.setUint32(8, seq, HOST_LE);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}
