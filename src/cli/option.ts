/** `NAME=VALUE` of options that go on and off, as Cilium's command line takes them. */
import { MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';

/** Name → the configuration key that means the same. */
const OPTIONS: Readonly<Record<string, string>> = { PolicyAuditMode: 'policy-audit-mode' };
const ON = ['enabled', 'enable', 'true', 'on', '1'];
const OFF = ['disabled', 'disable', 'false', 'off', '0'];

/** An option and what it shall be. */
export interface Option {
  readonly key: string;
  readonly isOn: boolean;
}

/** Reads one. Error: USAGE. */
export function optionOf(text: string): Option {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  const known = Object.entries(OPTIONS).find(([option, key]) =>
    [option, key].some((n) => n.toLowerCase() === name.toLowerCase()),
  );
  if (known === undefined) {
    const close = nearest(name, Object.keys(OPTIONS));
    throw new MerlonError('USAGE', `there is no option "${name}" to set at run time`, {
      hint:
        close === undefined
          ? `it is ${Object.keys(OPTIONS).join(', ')} that can be; write other keys into the configuration file and run \`merlon reload\``
          : `did you mean "${close}"?`,
    });
  }
  const value = at < 0 ? '' : text.slice(at + 1);
  const word = value.toLowerCase();
  if (!ON.includes(word) && !OFF.includes(word)) {
    throw new MerlonError('USAGE', `${known[0]} is Enabled or Disabled, not "${value}"`, {
      hint: `for example ${known[0]}=Enabled`,
    });
  }
  return { key: known[1], isOn: ON.includes(word) };
}
