/** Ring buffers as memory, and descriptors that wake the loop. */
import { addon, type Fd, type RingView, type Watch } from './addon.ts';

/**
 * A BPF ring buffer of `size` bytes (its `maxEntries`) as memory. Framing is the reader's: load the
 * producer position, then each record's 4-byte header with `Atomics.load` (acquire); stop at the busy bit
 * (31), skip discarded records (bit 30), length in the low 30 bits, records start at multiples of 8 behind an
 * 8-byte header; store the consumer position with `Atomics.store` when done. One reader a ring.
 */
export function ringView(fd: Fd, size: number): RingView {
  return addon().ringView(fd, size);
}

/** Bits of a watch: wake when there is something to read, or room to write. */
export const READABLE = 1;
export const WRITABLE = 2;

/**
 * Calls `fn` on this thread's loop whenever `fd` is ready, with the bits that are, or a negative errno.
 * The watch keeps the thread alive until {@link unwatch} (see {@link watchRef}); level-triggered. One watch a
 * descriptor and thread (`EEXIST`); `closeFd` refuses a watched descriptor (`EBUSY`).
 */
export function watch(fd: Fd, fn: (events: number) => void, events = READABLE): Watch {
  return addon().watch(fd, fn, events);
}

/** Ends a watch; `fn` is not called again. Twice is harmless. */
export function unwatch(handle: Watch): void {
  addon().unwatch(handle);
}

/** Whether the watch alone keeps its thread alive. */
export function watchRef(handle: Watch, isRef: boolean): void {
  addon().watchRef(handle, isRef);
}
