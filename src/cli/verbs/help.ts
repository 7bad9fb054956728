/** `merlon help [VERB…]`: the same text as `--help`. */
import type { Command } from 'commander';
import { MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';
import { commands } from '../program.ts';
import type { Run } from '../verb.ts';

export const run: Run = async (context, words) => {
  let at: Command = commands(() => Promise.resolve());
  for (const word of words) {
    const next = at.commands.find((c) => c.name() === word || c.aliases().includes(word));
    if (next === undefined) {
      const close = nearest(
        word,
        at.commands.map((c) => c.name()),
      );
      throw new MerlonError('USAGE', `there is no verb "${words.join(' ')}"`, {
        hint: close === undefined ? '`merlon help` lists the verbs' : `did you mean "${close}"?`,
      });
    }
    at = next;
  }
  let help = '';
  at.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  at.outputHelp();
  await context.output.write(help);
};
