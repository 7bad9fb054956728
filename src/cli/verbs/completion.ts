/** `merlon completion`: small shell scripts that ask `merlon __complete`, so that they never go stale. */
import { MerlonError } from '#kit/errors';
import type { Run } from '../verb.ts';

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_merlon() {
  local IFS=$'\\n'
  COMPREPLY=($(merlon __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _merlon merlon
`,
  zsh: `#compdef merlon
_merlon() {
  local -a found
  found=("\${(@f)$(merlon __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _merlon merlon
`,
  fish: `complete -c merlon -a '(merlon __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
};

export const run: Run = async (context, [shell = '']) => {
  const script = SCRIPTS[shell];
  if (script === undefined) {
    throw new MerlonError('USAGE', `no completion for "${shell}"`, {
      hint: `one of ${Object.keys(SCRIPTS).join(', ')}`,
    });
  }
  await context.output.write(script);
};
