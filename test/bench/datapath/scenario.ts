/** What a scenario is: a packet, the program that meets it, and the path it must take. */
import type { Bed } from './bed.ts';
import type { FloorName } from './floors.ts';
import type { Family } from './packets.ts';
import type { Frame, Walk, Wrapper } from './runner.ts';

/** One row to be. */
export interface Scenario {
  /** As printed; IPv6 has `_v6` at the end. */
  readonly name: string;
  readonly family: Family;
  /** Name of the attached program. */
  readonly program: string;
  readonly frame: Frame;
  readonly wrapper: Wrapper;
  readonly walk?: Walk;
  /** Repetitions of one run. */
  readonly repeat: number;
  /** Operations of the kernel that this path cannot do without; their sum is the floor. */
  readonly floor: readonly FloorName[];
  /**
   * Counters that each packet must move, once each.
   */
  readonly path: readonly string[];
  /** Target of performance.md (b), nanoseconds; IPv6 is measured against its IPv4 row too. */
  readonly target?: number;
  /** The same page's target as a multiple of the floor. */
  readonly floorTarget?: number;
  /** Makes the flows that the packets belong to. */
  readonly prepare?: (bed: Bed) => void;
  /** Before each run. */
  readonly before?: (bed: Bed) => void;
  /** Beside each run. */
  readonly beside?: (bed: Bed) => Disposable;
  /** Flow table whose growth is printed. */
  readonly grows?: 'unproven4' | 'unproven6';
}
