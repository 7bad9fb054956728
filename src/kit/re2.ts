/**
 * Regular expressions as people write them for Envoy and for Go (RE2 syntax) → those of JavaScript, flag `u`. What
 * RE2 has not (look-around, back-references) is refused, so that nothing is accepted here that a proxy refuses.
 * Groups capture nothing: only whether a text matches is ever asked.
 */

/** Source of the same expression for `new RegExp(…, 'u')`, or what is wrong with the text. */
export type Re2 = { readonly source: string } | { readonly fault: string };

/** RE2 repeats no more often. */
const MOST_REPETITIONS = 1000;

class Refused extends Error {}

/** Translates; never throws. */
export function re2(text: string): Re2 {
  try {
    const source = new Translation(text).whole();
    new RegExp(source, 'u');
    return { source };
  } catch (e) {
    if (e instanceof Refused) return { fault: e.message };
    // What is left is what JavaScript refuses too, for example nothing to repeat.
    return { fault: e instanceof SyntaxError ? (e.message.split(': ').at(-1) ?? 'no syntax') : 'no syntax' };
  }
}

/** The expression for an entire value. Throws `SyntaxError` for a text that is none. */
export function wholeRe2(text: string): RegExp {
  const found = re2(text);
  if ('fault' in found) throw new SyntaxError(found.fault);
  return new RegExp(`^(?:${found.source})$`, 'u');
}

const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`\\{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};
/** Classes that mean the same with fewer signs than in JavaScript. */
const PERL: Readonly<Record<string, string>> = { d: '0-9', s: '\\t\\n\\f\\r ', w: '0-9A-Za-z_' };
const CONTROL: Readonly<Record<string, string>> = {
  a: '\\x07',
  f: '\\f',
  t: '\\t',
  n: '\\n',
  r: '\\r',
  v: '\\v',
};
/** General categories have one or two letters, all else are scripts. */
const property = (name: string, isNot: boolean): string =>
  `\\${isNot ? 'P' : 'p'}{${name.length <= 2 ? name : `Script=${name}`}}`;

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

class Translation {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): string {
    const source = this.#group({ i: false, m: false, s: false });
    if (this.#at < this.#text.length) throw new Refused('a ) without its (');
    return source;
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    const sticky = new RegExp(pattern.source, 'uy');
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text);
    if (found !== null) this.#at += found[0].length;
    return found;
  }

  /** Up to the end or to a `)`, which stays. */
  #group(outer: Flags): string {
    let flags = outer;
    let out = '';
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      const switched = this.#take(/\(\?([imsU]*)(?:-([imsU]+))?\)/);
      if (switched !== null) flags = changed(flags, switched[1], switched[2]);
      else out += this.#piece(flags);
    }
    return out;
  }

  #piece(flags: Flags): string {
    if (this.#take(/\|/) !== null) return '|';
    if (this.#take(/\^/) !== null) return flags.m ? '(?m:^)' : '^';
    if (this.#take(/\$/) !== null) return flags.m ? '(?m:$)' : '$';
    if (this.#take(/\./) !== null) return flags.s ? '[^]' : '[^\\n]';
    if (this.#take(/\[/) !== null) return cased(this.#class(), flags);
    if (this.#take(/\(/) !== null) return this.#bracketed(flags);
    const repeated = this.#take(/[*+?]\??|\{(\d+)(?:,(\d*))?\}\??/);
    if (repeated !== null) return repetition(repeated);
    if (this.#take(/\\/) !== null) return this.#escape(flags);
    const [sign = ''] = this.#take(/[^]/) ?? [];
    return cased(literal(sign), flags);
  }

  #bracketed(outer: Flags): string {
    let flags = outer;
    const opened = this.#take(/\?(?:P?<\w+>|([imsU]*)(?:-([imsU]+))?:)/);
    if (opened !== null) flags = changed(flags, opened[1], opened[2]);
    else if (this.#text[this.#at] === '?') throw new Refused('RE2 knows no such group: (?');
    const inner = this.#group(flags);
    if (this.#take(/\)/) === null) throw new Refused('a ( without its )');
    return `(?:${inner})`;
  }

  #escape(flags: Flags): string {
    if (this.#take(/A/) !== null) return '(?<![^])';
    if (this.#take(/z/) !== null) return '(?![^])';
    const border = this.#take(/[bB]/);
    if (border !== null) return `\\${border[0]}`;
    if (this.#take(/C/) !== null) return '[^]';
    if (this.#take(/Q/) !== null) {
      const [all = '', quoted = ''] = this.#take(/([^]*?)(?:\\E|$)/) ?? [];
      return all === '' ? '' : Array.from(quoted, (sign) => cased(literal(sign), flags)).join('');
    }
    const part = this.#shared();
    return cased(part.startsWith('^') ? `[${part}]` : part.length > 1 ? `[${part}]` : literal(part), flags);
  }

  /** What an escape stands for both inside and outside of a class, as part of one; `^` in front: all but that. */
  #shared(): string {
    const perl = this.#take(/[dswDSW]/);
    if (perl !== null) {
      const name = perl[0];
      return (name < 'a' ? '^' : '') + PERL[name.toLowerCase()];
    }
    const named = this.#take(/([pP])(?:([A-Z])|\{(\^?)(\w+)\})/);
    if (named !== null) {
      const isNot = (named[1] === 'P') !== (named[3] === '^');
      return property(named[2] ?? named[4] ?? '', isNot);
    }
    const control = this.#take(/[aftnrv]/);
    if (control !== null) return CONTROL[control[0]] ?? '';
    const hex = this.#take(/x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/);
    if (hex !== null) return `\\u{${hex[1] ?? hex[2]}}`;
    const octal = this.#take(/0[0-7]{0,2}|[1-7][0-7]{1,2}/);
    if (octal !== null) return `\\u{${Number.parseInt(octal[0], 8).toString(16)}}`;
    const sign = this.#take(/[!-/:-@[-`{-~]/);
    if (sign !== null) return inClass(sign[0]);
    throw new Refused(`RE2 knows no such escape: \\${this.#text[this.#at] ?? ''}`);
  }

  /** After `[`. What is negated inside a class is written beside it as an alternative. */
  #class(): string {
    const isNot = this.#take(/\^/) !== null;
    let inside = '';
    const negated: string[] = [];
    for (let isFirst = true; ; isFirst = false) {
      if (this.#at >= this.#text.length) throw new Refused('a [ without its ]');
      if (!isFirst && this.#take(/\]/) !== null) break;
      const part = this.#classPart();
      if (part.startsWith('^')) negated.push(`[${part}]`);
      else inside += part;
    }
    const all = [...(inside === '' ? [] : [`[${inside}]`]), ...negated].join('|');
    return isNot ? `(?:(?!${all})[^])` : negated.length === 0 ? all : `(?:${all})`;
  }

  #classPart(): string {
    const posix = this.#take(/\[:(\^?)(\w+):\]/);
    if (posix !== null) {
      const members = Object.hasOwn(POSIX, posix[2] ?? '') ? POSIX[posix[2] ?? ''] : undefined;
      if (members === undefined) throw new Refused(`RE2 knows no class ${posix[0]}`);
      return `${posix[1]}${members}`;
    }
    const first = this.#classSign();
    const isRange = isOneSign(first) && this.#text[this.#at] === '-';
    if (!isRange || [']', undefined].includes(this.#text[this.#at + 1])) return first;
    this.#at += 1;
    return `${first}-${this.#classSign()}`;
  }

  #classSign(): string {
    if (this.#take(/\\/) !== null) return this.#shared();
    const [sign = ''] = this.#take(/[^]/) ?? [];
    return sign === '^' ? '\\^' : inClass(sign);
  }
}

function changed({ i, m, s }: Flags, on = '', off = ''): Flags {
  const is = (flag: string, now: boolean): boolean => (off.includes(flag) ? false : now || on.includes(flag));
  return { i: is('i', i), m: is('m', m), s: is('s', s) };
}

const cased = (source: string, { i }: Flags): string => (i ? `(?i:${source})` : source);

const literal = (sign: string): string => (/[\\^$.*+?()[\]{}|/]/.test(sign) ? `\\${sign}` : sign);

const inClass = (sign: string): string => (/[\\^[\]/-]/.test(sign) ? `\\${sign}` : sign);

/** Whether a part of a class can begin a range. */
const isOneSign = (part: string): boolean => /^(?:\\u\{\w+\}|\\x\w\w|\\?[^])$/u.test(part);

function repetition([all, least, most]: RegExpExecArray): string {
  if (Number(least ?? 0) > MOST_REPETITIONS || Number(most ?? 0) > MOST_REPETITIONS) {
    throw new Refused(`RE2 repeats at most ${MOST_REPETITIONS} times: ${all}`);
  }
  return all;
}
