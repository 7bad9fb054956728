/** A numbered record of a stream: 64-bit sequence number, big-endian, padded to 16 bytes. */
export const RECORD_BYTES = 16;

export function record(seq: number): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeBigUInt64BE(BigInt(seq));
  return bytes;
}

/** Sequence numbers below 2^53: a stream of one record a millisecond reaches it in 285,000 years. */
export function seqOf(bytes: Buffer, at = 0): number {
  return Number(bytes.readBigUInt64BE(at));
}
