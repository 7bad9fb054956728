/** Boots an image in QEMU, without KVM, and collects what the guest says of its cases. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Image } from './image.ts';

/** One case of the guest: a line `@@ case {json}` on its console. */
export interface Case {
  readonly name: string;
  readonly ok: boolean;
  /** What was seen, for the message of a failure and for figures. */
  readonly detail: string;
}

export interface Run {
  readonly cases: readonly Case[];
  /** Exit code of the guest's script; undefined when the guest never came that far. */
  readonly exit: number | undefined;
  /** The whole console, for the message of a failure. */
  readonly console: readonly string[];
}

/** Runs the guest to its end. The machine has two processors and no network but what it makes itself. */
export async function boot(image: Image, signal: AbortSignal): Promise<Run> {
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-accel',
        'tcg,thread=multi',
        '-cpu',
        'max',
        '-smp',
        '2',
        '-m',
        '1536',
        '-nographic',
        '-no-reboot',
        '-nic',
        'none',
      ],
      ...['-kernel', image.kernel, '-initrd', image.initrd],
      ...['-append', 'console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], signal },
  );
  const cases: Case[] = [];
  const lines: string[] = [];
  let exit: number | undefined;
  for await (const line of createInterface({ input: qemu.stdout })) {
    lines.push(line);
    // The firmware clears the screen in front of the first line.
    const said = /@@ (case|exit) (.*)$/.exec(line);
    if (said?.[1] === 'case') cases.push(JSON.parse(said[2] ?? '') as Case);
    else if (said?.[1] === 'exit') exit = Number(said[2]);
  }
  return { cases, exit, console: lines };
}
