/**
 * What the test runner prints, read line by line. (Its TAP form would be easier to read, but dies when a test
 * file ends by itself, and takes the results of all other files with it.)
 *
 *     ✔ file › title (1.2s)          ✘ [fail]: file › title message      ✘ file.test.ts exited with …
 *     - [skip] file › title          - [todo] file › title               ✔ [expected fail] file › title
 *
 * What a test prints itself never looks like this: it goes to standard error, or is indented further.
 */

/** One line's meaning. A known failure is none of the three that anybody wants: it counts as skipped. */
export interface AvaLine {
  readonly kind: 'passed' | 'failed' | 'skipped';
  readonly title: string;
}

/** What a line of ava's default reporter says about a test; undefined when it is detail. */
export function parseAvaLine(line: string): AvaLine | undefined {
  const match = /^ {2}(✔|✘|-) (?:\[(fail|skip|todo|expected fail)\]:? )?(.*)$/.exec(line);
  if (match === null) return undefined;
  const [, sign, word, rest = ''] = match;
  if (sign === '✘') return { kind: 'failed', title: rest.trim() };
  if (word !== undefined) return { kind: 'skipped', title: rest.trim() };
  if (sign === '-') return undefined;
  return { kind: 'passed', title: rest.replace(/ \(\d[\d.]*\s?m?s?[^)]*\)$/, '').trim() };
}
