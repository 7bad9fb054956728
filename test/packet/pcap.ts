/** Frames as a capture file, for a person with Wireshark: little-endian pcap, Ethernet, one microsecond apart. */
export function pcap(frames: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(24 + frames.reduce((sum, frame) => sum + 16 + frame.length, 0));
  const view = new DataView(out.buffer);
  view.setUint32(0, 0xa1b2c3d4, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, 262144, true);
  view.setUint32(20, 1, true); // LINKTYPE_ETHERNET
  let at = 24;
  for (const [i, frame] of frames.entries()) {
    view.setUint32(at + 4, i, true);
    view.setUint32(at + 8, frame.length, true);
    view.setUint32(at + 12, frame.length, true);
    out.set(frame, at + 16);
    at += 16 + frame.length;
  }
  return out;
}
