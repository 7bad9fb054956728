/**
 * Regular expressions as people write them for Envoy and for Go (RE2 syntax) → those of JavaScript, flag `u`. What
 * RE2 has not (look-around, back-references) is refused, so that nothing is accepted here that a proxy refuses.
 * Groups capture nothing: only whether a text matches is ever asked.
 */

/** Source of the same expression for `new RegExp(…, 'u')`, or what is wrong with the text. */
export type Re2 = { readonly source: string } | { readonly fault: string };

/** Longest expression, in UTF-16 units: longer ones are no paths, and proxies bound what they compile, too. */
const MAX_LENGTH = 4096;
/** RE2 repeats no more often, repetitions in repetitions multiplied, and nests groups no deeper. */
const MOST_REPETITIONS = 1000;
const MAX_DEPTH = 1000;

class Refused extends Error {}

/** Translates; never throws. */
export function re2(text: string): Re2 {
  if (text.length > MAX_LENGTH) {
    return { fault: `it has ${text.length} characters, the limit is ${MAX_LENGTH}` };
  }
  try {
    const translation = new Translation(text);
    const source = translation.whole();
    for (const script of translation.scripts) new RegExp(script, 'u');
    // Sets of letters are large, and JavaScript would look them up for each time they are named.
    new RegExp(source.replaceAll(/\\[pP]\{[^}]*\}/g, '\\d'), 'u');
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
/** General categories; all else are scripts. */
const CATEGORIES: ReadonlySet<string> = new Set(
  'C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs'.split(
    ' ',
  ),
);
/** Signs that stand for themselves, up to one that is repeated. */
const PLAIN = /[\w/ %&=,;:@~"'!#<>-]+(?![*+?{])/uy;

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

class Translation {
  /** Every script that is named, as an expression of its own. */
  readonly scripts = new Set<string>();
  readonly #text: string;
  #at = 0;
  #depth = 0;
  /** How often the piece that was read last repeats something, itself and all in it. */
  #repeats = 1;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): string {
    const source = this.#group({ i: false, m: false, s: false });
    if (this.#at < this.#text.length) throw new Refused('a ) without its (');
    return source;
  }

  /** What is next, if it is this; `sticky` has the flag `y`. */
  #take(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text);
    if (found !== null) this.#at += found[0].length;
    return found;
  }

  /** Up to the end or to a `)`, which stays. */
  #group(outer: Flags): string {
    let flags = outer;
    let out = '';
    let most = 1;
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      const switched = this.#take(/\(\?([imsU]*)(?:-([imsU]+))?\)/uy);
      if (switched !== null) flags = changed(flags, switched[1], switched[2]);
      else out += this.#repetition() ?? this.#piece(flags);
      most = Math.max(most, this.#repeats);
    }
    this.#repeats = most;
    return out;
  }

  /** How often the piece before is wanted. */
  #repetition(): string | undefined {
    const found = this.#take(/[*+?]\??|\{(\d+)(?:,(\d*))?\}\??/uy);
    if (found === null) return undefined;
    const [all, least = '1', most = ''] = found;
    this.#repeats *= Math.max(1, Number(most === '' ? least : most));
    if (this.#repeats > MOST_REPETITIONS || Number(least) > MOST_REPETITIONS) {
      throw new Refused(`RE2 repeats at most ${MOST_REPETITIONS} times: ${all}`);
    }
    return all;
  }

  #piece(flags: Flags): string {
    this.#repeats = 1;
    const plain = this.#take(PLAIN);
    if (plain !== null) return cased(plain[0], flags);
    if (this.#take(/\|/uy) !== null) return '|';
    if (this.#take(/\^/uy) !== null) return flags.m ? '(?m:^)' : '^';
    if (this.#take(/\$/uy) !== null) return flags.m ? '(?m:$)' : '$';
    if (this.#take(/\./uy) !== null) return flags.s ? '[^]' : '[^\\n]';
    if (this.#take(/\[/uy) !== null) return cased(this.#class(), flags);
    if (this.#take(/\(/uy) !== null) return this.#bracketed(flags);
    if (this.#take(/\\/uy) !== null) return this.#escape(flags);
    const [sign = ''] = this.#take(/[^]/uy) ?? [];
    return cased(literal(sign), flags);
  }

  #bracketed(outer: Flags): string {
    let flags = outer;
    const opened = this.#take(/\?(?:P?<\w+>|([imsU]*)(?:-([imsU]+))?:)/uy);
    if (opened !== null) flags = changed(flags, opened[1], opened[2]);
    else if (this.#text[this.#at] === '?') throw new Refused('RE2 knows no such group: (?');
    if (++this.#depth > MAX_DEPTH) throw new Refused(`RE2 nests no deeper than ${MAX_DEPTH} groups`);
    const inner = this.#group(flags);
    this.#depth--;
    if (this.#take(/\)/uy) === null) throw new Refused('a ( without its )');
    return `(?:${inner})`;
  }

  #escape(flags: Flags): string {
    if (this.#take(/A/uy) !== null) return '(?<![^])';
    if (this.#take(/z/uy) !== null) return '(?![^])';
    const border = this.#take(/[bB]/uy);
    if (border !== null) return `\\${border[0]}`;
    if (this.#take(/C/uy) !== null) return '[^]';
    if (this.#take(/Q/uy) !== null) {
      const [all = '', quoted = ''] = this.#take(/([^]*?)(?:\\E|$)/uy) ?? [];
      return all === '' ? '' : Array.from(quoted, (sign) => cased(literal(sign), flags)).join('');
    }
    const part = this.#shared();
    return cased(part.startsWith('^') ? `[${part}]` : part.length > 1 ? `[${part}]` : literal(part), flags);
  }

  /** What an escape stands for both inside and outside of a class, as part of one; `^` in front: all but that. */
  #shared(): string {
    const perl = this.#take(/[dswDSW]/uy);
    if (perl !== null) {
      const name = perl[0];
      return (name < 'a' ? '^' : '') + PERL[name.toLowerCase()];
    }
    const named = this.#take(/([pP])(?:([A-Z])|\{(\^?)(\w+)\})/uy);
    if (named !== null) {
      const isNot = (named[1] === 'P') !== (named[3] === '^');
      return this.#property(named[2] ?? named[4] ?? '', isNot);
    }
    const control = this.#take(/[aftnrv]/uy);
    if (control !== null) return CONTROL[control[0]] ?? '';
    const hex = this.#take(/x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/uy);
    if (hex !== null) return `\\u{${hex[1] ?? hex[2]}}`;
    const octal = this.#take(/0[0-7]{0,2}|[1-7][0-7]{1,2}/uy);
    if (octal !== null) return `\\u{${Number.parseInt(octal[0], 8).toString(16)}}`;
    const sign = this.#take(/[!-/:-@[-`{-~]/uy);
    if (sign !== null) return inClass(sign[0]);
    throw new Refused(`RE2 knows no such escape: \\${this.#text[this.#at] ?? ''}`);
  }

  #property(name: string, isNot: boolean): string {
    if (CATEGORIES.has(name)) return `\\${isNot ? 'P' : 'p'}{${name}}`;
    this.scripts.add(`\\p{Script=${name}}`);
    return `\\${isNot ? 'P' : 'p'}{Script=${name}}`;
  }

  /** After `[`. What is negated inside a class is written beside it as an alternative. */
  #class(): string {
    const isNot = this.#take(/\^/uy) !== null;
    let inside = '';
    const negated: string[] = [];
    for (let isFirst = true; ; isFirst = false) {
      if (this.#at >= this.#text.length) throw new Refused('a [ without its ]');
      if (!isFirst && this.#take(/\]/uy) !== null) break;
      const part = this.#classPart();
      if (part.startsWith('^')) negated.push(`[${part}]`);
      else inside += part;
    }
    const all = [...(inside === '' ? [] : [`[${inside}]`]), ...negated].join('|');
    return isNot ? `(?:(?!${all})[^])` : negated.length === 0 ? all : `(?:${all})`;
  }

  #classPart(): string {
    const posix = this.#take(/\[:(\^?)(\w+):\]/uy);
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
    if (this.#take(/\\/uy) !== null) return this.#shared();
    const [sign = ''] = this.#take(/[^]/uy) ?? [];
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
