/** What a datapath is opened with. */
import type { MapName } from '#wire/bpf';
import type { XdpMode } from './devices.ts';
import type { FlowTimeouts } from './flows.ts';
import type { Settings } from './load.ts';

/** What background work can fail at, each on its own. */
export type Topic =
  | 'contents of the kernel'
  | 'contents of failsafe'
  | 'reading back'
  | 'numbers of rules'
  | 'tidying up'
  | 'grace periods'
  | 'event thread'
  | 'collection'
  | `emptiness of ${MapName}`;

export type OnProblem = (topic: Topic, sentence: string, err?: unknown) => void;

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
  /** Cells from which on a policy table is kept in blocks, where the usual number does not fit. */
  readonly blocksFrom?: number;
  readonly ringBytes?: number;
  readonly xdpMode?: XdpMode;
  /** `clsact` even where the kernel has tcx: for tests of what older kernels get. */
  readonly attach?: 'clsact';
  /** Interface number of a device name, for failsafe entries. */
  readonly ifindexOf: (device: string) => number | undefined;
  /** Event records of 96 bytes each (`struct event`), back to back. */
  readonly onEvents: (records: Uint8Array, count: number) => void;
  /** Something went wrong in the background; what was enforced still is. The latest word on a topic counts. */
  readonly onProblem: OnProblem;
  /** What was told of this topic is over, if anything was. */
  readonly onOver?: (topic: Topic) => void;
  /** What an operator should know, and status says for as long as it lasts. */
  readonly onWarning?: (sentence: string) => void;
  /** What has begun or is over and no fault: from the maps of another release to this one's. */
  readonly onNotice?: (sentence: string) => void;
  /** Folder of the built objects, where it is not the build's own. */
  readonly objects?: string;
}
