/** `merlon version`. */
import { release } from 'node:os';
import { VERSION } from '#kit/version';
import type { Run } from '../verb.ts';

export const run: Run = async (context) => {
  const view = { merlon: VERSION, node: process.versions.node, kernel: release() };
  await context.output.value(
    view,
    () => `merlon ${view.merlon} (Node ${view.node}, kernel ${view.kernel})\n`,
  );
};
