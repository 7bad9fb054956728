/**
 * The kernel's door: a Node-API addon in C over libbpf, and this face in TypeScript.
 *
 * It holds no policy and no state: integers and buffers in, integers and buffers out. Ring framing, codecs
 * and netlink are TypeScript's. Descriptors are plain integers; whoever opens one closes it, with `closeFd`.
 * Expected outcomes (no such key, would block, locked by another) are values; everything else throws an
 * Error with `code` (`EPERM`), `errno` and `syscall` that names the operation and the object. Wrong arguments
 * are a TypeError with the code `ERR_INVALID_ARG_TYPE`, and no call reads or writes past a buffer.
 *
 * Usable in worker threads, each with its own instance; descriptors are the process's and may be handed over,
 * views and watches belong to their thread.
 */
export type {
  Bytes,
  Fd,
  LinkInfo,
  MapInfo,
  Obj,
  ObjectMap,
  ObjectProgram,
  ObjectVariable,
  ProgInfo,
  ProgQuery,
  RingView,
  TestRunResult,
  Watch,
} from './addon.ts';
export * from './link.ts';
export * from './map.ts';
export * from './object.ts';
export * from './ring.ts';
export * from './run.ts';
export * from './socket.ts';
export * from './system.ts';
