/** What a datapath is opened with. */
import type { MapName } from '#wire/bpf';
import type { XdpMode } from './devices.ts';
import type { FlowTimeouts } from './flows.ts';
import type { Settings } from './load.ts';

export interface DatapathOptions {
  readonly bpfRoot: string;
  readonly stateDir: string;
  /** Settings of bpf/config.h beyond the defaults and what is found out. */
  readonly settings?: Settings;
  readonly timeouts?: Partial<FlowTimeouts>;
  /** `hostfw.ct.maxTCP`, `hostfw.ct.maxOther`. */
  readonly maxTcp?: number;
  readonly maxOther?: number;
  /** Entries of maps by name, where the usual size does not fit. */
  readonly sizes?: Partial<Record<MapName, number>>;
  readonly ringBytes?: number;
  readonly xdpMode?: XdpMode;
  /** `clsact` even where the kernel has tcx: for tests of what older kernels get. */
  readonly attach?: 'clsact';
  /** Interface number of a device name, for failsafe entries. */
  readonly ifindexOf: (device: string) => number | undefined;
  /** Event records of 96 bytes each (`struct event`), back to back. */
  readonly onEvents: (records: Uint8Array, count: number) => void;
  /** Something went wrong in the background; what was enforced still is. */
  readonly onProblem: (sentence: string, err?: unknown) => void;
  /** What an operator should know, and status says for as long as it lasts. */
  readonly onWarning?: (sentence: string) => void;
  /** Folder of the built objects, where it is not the build's own. */
  readonly objects?: string;
}
