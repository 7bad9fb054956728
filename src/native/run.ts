/** Running programs without traffic: test runs, iterators, statistics. */
import { addon, type Bytes, type Fd, type TestRunResult } from './addon.ts';

/** Room a program may add in front or behind, as the default of `dataOutSize` allows. */
const GROWTH = 512;

/** One test run. */
export interface TestRun {
  /** The frame; absent for syscall programs. */
  readonly dataIn?: Bytes;
  /** struct __sk_buff, xdp_md, or a syscall program's context, which is written back in place. */
  readonly ctxIn?: Bytes;
  readonly repeat?: number;
  /** BPF_F_TEST_RUN_ON_CPU 1, BPF_F_TEST_XDP_LIVE_FRAMES 2. */
  readonly flags?: number;
  readonly cpu?: number;
  /** Live frames: how many at a time. */
  readonly batch?: number;
  /** Bytes to take back; default: the frame and 512 more. 0 = none, which saves the copy. */
  readonly dataOutSize?: number;
  /** Bytes of context to take back; default: as many as went in, where a frame did too. */
  readonly ctxOutSize?: number;
}

/**
 * BPF_PROG_TEST_RUN: hands the program a frame `repeat` times in this thread. The frame's changes add up
 * over repetitions. Errors: `EINVAL` (frame under 14 bytes, under 34 of IPv4 or 54 of IPv6 for tc; context
 * with fields it does not take), `ENOSPC` (the answer is longer than `dataOutSize`), `ENOTSUPP`.
 */
export function testRun(progFd: Fd, run: TestRun): TestRunResult {
  const { dataIn, ctxIn } = run;
  const dataOutSize = run.dataOutSize ?? (dataIn === undefined ? 0 : dataIn.byteLength + GROWTH);
  const ctxOutSize = run.ctxOutSize ?? (dataIn === undefined || ctxIn === undefined ? 0 : ctxIn.byteLength);
  const { repeat = 0, flags = 0, cpu = 0, batch = 0 } = run;
  return addon().testRun(progFd, dataIn, dataOutSize, ctxIn, ctxOutSize, repeat, flags, cpu, batch);
}

/** Begins a walk of an iterator's link; each `readFd` goes on, 0 is the end. A descriptor is one walk. */
export function iterCreate(linkFd: Fd): Fd {
  return addon().iterCreate(linkFd);
}

/** Counts runs and run time of all programs until the descriptor is closed. Costs some ns a run. */
export function bpfStatsEnable(): Fd {
  return addon().bpfStatsEnable();
}
