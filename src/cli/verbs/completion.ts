/** `merlon completion`: small shell scripts that ask `merlon __complete`, so that they never go stale. */
import { MerlonError } from '#kit/errors';
import type { Run } from '../verb.ts';

/**
 * Words are those between blanks, as merlon sees them: bash also ends one at `:` and `=`, and so wants only what
 * comes behind the last of these. Where merlon offers nothing, files are offered.
 */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_merlon() {
  local line=\${COMP_LINE:0:COMP_POINT} words current
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  while [[ \${#words[@]} -gt 1 && \${words[0]##*/} != merlon ]]; do words=("\${words[@]:1}"); done
  current=\${words[-1]}
  local IFS=$'\\n'
  COMPREPLY=($(merlon __complete -- "\${words[@]:1}" 2>/dev/null))
  COMPREPLY=("\${COMPREPLY[@]#"\${current%"\${current##*[:=]}"}"}")
}
complete -o default -F _merlon merlon
`,
  zsh: `#compdef merlon
_merlon() {
  local -a found
  found=(\${(f)"$(merlon __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -a found; else _files; fi
}
if [[ $funcstack[1] == _merlon ]]; then _merlon "$@"; else compdef _merlon merlon; fi
`,
  fish: `complete -c merlon -a '(merlon __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
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
