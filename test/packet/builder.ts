/**
 * Frames, layer by layer: `frame(ethernet(), ipv4({ … }), tcp({ … }))`. Each layer fills in what it can
 * tell of the next (ethertypes, next headers, lengths) unless it is given, so that a wrong value is always
 * one that the test wrote. Checksums are not filled in: the datapath does not look at them.
 */
import { type Ip, parseIp } from '#kit/ip';

export interface Layer {
  /** Ethertype, where an Ethernet frame can carry it. */
  readonly type?: number;
  /** Number for the header before: IP protocol or next header. */
  readonly protocol?: number;
  /** This layer's bytes before `payload`, which `next` begins. */
  readonly encode: (payload: Uint8Array, next: Layer | undefined) => Uint8Array;
}

export const MAC_OWN = '02:00:00:00:00:01';
export const MAC_PEER = '02:00:00:00:00:02';

/** The bytes of the layers, outermost first. */
export function frame(...layers: readonly Layer[]): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(0);
  for (let i = layers.length - 1; i >= 0; i--)
    bytes = new Uint8Array((layers[i] as Layer).encode(bytes, layers[i + 1]));
  return bytes;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** `size` bytes, written by `fill`. */
function header(size: number, fill: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer), bytes);
  return bytes;
}

export function address(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new TypeError(`no address: ${text}`);
  return ip;
}

const macBytes = (mac: string): number[] => mac.split(':').map((part) => Number.parseInt(part, 16));

export function ethernet(o: { src?: string; dst?: string; type?: number } = {}): Layer {
  return {
    encode: (payload, next) =>
      join(
        header(14, (view, bytes) => {
          bytes.set(macBytes(o.dst ?? MAC_OWN), 0);
          bytes.set(macBytes(o.src ?? MAC_PEER), 6);
          view.setUint16(12, o.type ?? next?.type ?? 0);
        }),
        payload,
      ),
  };
}

/** 802.1Q; `type` 0x88a8 for a provider tag. */
export function vlan(id: number, type = 0x8100): Layer {
  return {
    type,
    encode: (payload, next) =>
      join(
        header(4, (view) => {
          view.setUint16(0, id);
          view.setUint16(2, next?.type ?? 0);
        }),
        payload,
      ),
  };
}

export interface Ipv4 {
  readonly src: string;
  readonly dst: string;
  readonly ttl?: number;
  readonly protocol?: number;
  readonly id?: number;
  /** In bytes, a multiple of eight. */
  readonly offset?: number;
  readonly more?: boolean;
  readonly options?: readonly number[];
  readonly totalLength?: number;
  readonly ihl?: number;
  readonly version?: number;
}

export function ipv4(o: Ipv4): Layer {
  return {
    type: 0x0800,
    protocol: 4,
    encode: (payload, next) => {
      const options = o.options ?? [];
      const size = 20 + Math.ceil(options.length / 4) * 4;
      return join(
        header(size, (view, bytes) => {
          view.setUint8(0, ((o.version ?? 4) << 4) | (o.ihl ?? size / 4));
          view.setUint16(2, o.totalLength ?? size + payload.length);
          view.setUint16(4, o.id ?? 0);
          view.setUint16(6, (o.more === true ? 0x2000 : 0) | ((o.offset ?? 0) >> 3));
          view.setUint8(8, o.ttl ?? 64);
          view.setUint8(9, o.protocol ?? next?.protocol ?? 255);
          bytes.set(address(o.src).bytes, 12);
          bytes.set(address(o.dst).bytes, 16);
          bytes.set(options, 20);
        }),
        payload,
      );
    },
  };
}

export interface Ipv6 {
  readonly src: string;
  readonly dst: string;
  readonly hopLimit?: number;
  readonly next?: number;
  readonly payloadLength?: number;
}

export function ipv6(o: Ipv6): Layer {
  return {
    type: 0x86dd,
    protocol: 41,
    encode: (payload, next) =>
      join(
        header(40, (view, bytes) => {
          view.setUint8(0, 0x60);
          view.setUint16(4, o.payloadLength ?? payload.length);
          view.setUint8(6, o.next ?? next?.protocol ?? 59);
          view.setUint8(7, o.hopLimit ?? 64);
          bytes.set(address(o.src).bytes, 8);
          bytes.set(address(o.dst).bytes, 24);
        }),
        payload,
      ),
  };
}

/** IPv4 or IPv6, by the addresses. */
export function ip(o: { src: string; dst: string; ttl?: number }): Layer {
  const { ttl } = o;
  if (address(o.src).family === 4) return ipv4({ ...o });
  return ipv6({ src: o.src, dst: o.dst, ...(ttl === undefined ? {} : { hopLimit: ttl }) });
}

/** An extension header of eight bytes and `extra` times eight more, by its number. */
export function extension(protocol: number, o: { extra?: number; next?: number; type?: number } = {}): Layer {
  const extra = o.extra ?? 0;
  return {
    protocol,
    encode: (payload, next) =>
      join(
        header(8 + extra * 8, (view) => {
          view.setUint8(0, o.next ?? next?.protocol ?? 59);
          view.setUint8(1, extra);
          view.setUint8(2, o.type ?? 1); // padding option, or routing type
          if (protocol !== 43) view.setUint8(3, 4 + extra * 8);
        }),
        payload,
      ),
  };
}
export const hopByHop = (extra = 0): Layer => extension(0, { extra });
export const destinationOptions = (extra = 0): Layer => extension(60, { extra });
export const routing = (type: number): Layer => extension(43, { type });

export function authentication(): Layer {
  return {
    protocol: 51,
    encode: (payload, next) =>
      join(
        header(24, (view) => {
          view.setUint8(0, next?.protocol ?? 59);
          view.setUint8(1, 4); // in words, less two
        }),
        payload,
      ),
  };
}

export function fragment6(o: { id?: number; offset?: number; more?: boolean; next?: number } = {}): Layer {
  return {
    protocol: 44,
    encode: (payload, next) =>
      join(
        header(8, (view) => {
          view.setUint8(0, o.next ?? next?.protocol ?? 59);
          view.setUint16(2, (o.offset ?? 0) | (o.more === true ? 1 : 0));
          view.setUint32(4, o.id ?? 1);
        }),
        payload,
      ),
  };
}

export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32 } as const;

export interface Tcp {
  readonly src: number;
  readonly dst: number;
  /** Letters: `S`, `A`, `F`, `R`, `P`, `U`; default `A`. */
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly dataOffset?: number;
  readonly data?: number;
}

export function tcp(o: Tcp): Layer {
  const flags = (o.flags ?? 'A')
    .split('')
    .reduce(
      (sum, letter) => sum | (Object.entries(TCP_FLAG).find(([name]) => name.startsWith(letter))?.[1] ?? 0),
      0,
    );
  return {
    protocol: 6,
    encode: (payload) =>
      join(
        header(20 + (o.data ?? 0), (view) => {
          view.setUint16(0, o.src);
          view.setUint16(2, o.dst);
          view.setUint32(4, (o.seq ?? 0) >>> 0);
          view.setUint32(8, (o.ack ?? 0) >>> 0);
          view.setUint8(12, (o.dataOffset ?? 5) << 4);
          view.setUint8(13, flags);
        }),
        payload,
      ),
  };
}

export function udp(o: { src: number; dst: number; data?: number }): Layer {
  return {
    protocol: 17,
    encode: (payload) =>
      join(
        header(8 + (o.data ?? 0), (view) => {
          view.setUint16(0, o.src);
          view.setUint16(2, o.dst);
          view.setUint16(4, 8 + (o.data ?? 0) + payload.length);
        }),
        payload,
      ),
  };
}

export function sctp(o: { src: number; dst: number }): Layer {
  return {
    protocol: 132,
    encode: (payload) =>
      join(
        header(12, (view) => {
          view.setUint16(0, o.src);
          view.setUint16(2, o.dst);
        }),
        payload,
      ),
  };
}

/** ICMP of either family: `protocol` 1 or 58. An error carries the layers that follow. */
export function icmp(o: {
  protocol: 1 | 58;
  type: number;
  code?: number;
  id?: number;
  data?: number;
}): Layer {
  return {
    protocol: o.protocol,
    encode: (payload) =>
      join(
        header(8 + (o.data ?? 0), (view) => {
          view.setUint8(0, o.type);
          view.setUint8(1, o.code ?? 0);
          view.setUint16(4, o.id ?? 0);
        }),
        payload,
      ),
  };
}

/** Bytes as they are. */
export function raw(
  bytes: readonly number[] | Uint8Array,
  o: { type?: number; protocol?: number } = {},
): Layer {
  return { ...o, encode: (payload) => join(Uint8Array.from(bytes), payload) };
}
