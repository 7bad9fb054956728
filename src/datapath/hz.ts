/** Ticks a second of the running kernel: the datapath's clock is jiffies. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { MerlonError } from '#kit/errors';

const KNOWN = [100, 250, 300, 1000];
const SAMPLE_MS = 60;

/** From the kernel's configuration where it is to be had, else counted. Errors: KERNEL_FEATURE. */
export async function kernelHz(): Promise<number> {
  const text = configText();
  const written = /^CONFIG_HZ=(\d+)$/m.exec(text ?? '')?.[1];
  return written === undefined ? await countedHz() : Number(written);
}

function configText(): string | undefined {
  if (existsSync('/proc/config.gz')) return gunzipSync(readFileSync('/proc/config.gz')).toString();
  const file = `/boot/config-${release()}`;
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

async function countedHz(): Promise<number> {
  const [ticks, ms] = readTicks();
  await sleep(SAMPLE_MS);
  const [later, laterMs] = readTicks();
  const rate = ((later - ticks) * 1000) / (laterMs - ms);
  const nearest = KNOWN.toSorted((a, b) => Math.abs(Math.log(a / rate)) - Math.abs(Math.log(b / rate)))[0];
  if (!(rate > 0) || nearest === undefined)
    throw new MerlonError('KERNEL_FEATURE', 'the ticks a second of this kernel cannot be told');
  return nearest;
}

function readTicks(): [ticks: number, ms: number] {
  const jiffies = /^jiffies: (\d+)$/m.exec(readFileSync('/proc/timer_list', 'utf8'))?.[1];
  return [Number(jiffies), performance.now()];
}
