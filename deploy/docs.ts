/**
 * The parts of docs/ that are data elsewhere: `node deploy/docs.ts` writes them anew, tests compare. What
 * stands between `<!-- table: NAME -->` and `<!-- end -->` is the table's, the rest is a person's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FINDINGS, PROBLEM_KINDS } from '#model';
import { CONFIG_KEY_NAMES, CONFIG_KEYS } from '#model/config';
import { DROP_REASON } from '#wire/bpf';
import type { Verb } from '../src/cli/verb.ts';
import { REASON_MEANING } from '../src/cli/reasons.ts';
import { GROUPS, VERBS } from '../src/cli/verbs.ts';
import { layersAsMarkdown } from '../test/architecture/layers.ts';
import { KEY_MEANING } from './docs-meaning.ts';

const DOCS = join(import.meta.dirname, '../docs');

const shown = (value: unknown): string => (value === undefined ? 'unset' : JSON.stringify(value));

/** The keys that do something, with type, default and meaning. */
export function keysAsMarkdown(): string {
  const rows = CONFIG_KEY_NAMES.filter((name) => CONFIG_KEYS[name].support !== 'default').map((name) => {
    const { type, standalone, aliases, restart, support } = CONFIG_KEYS[name];
    const value =
      standalone === undefined || type.format === undefined ? shown(standalone) : type.format(standalone);
    const notes = [
      ...(aliases.length > 0 ? [`Also \`${aliases.join('`, `')}\`.`] : []),
      ...(Array.isArray(support)
        ? [`Besides the default only ${support.map(shown).join(', ')} so far.`]
        : []),
      ...(restart ? ['At the next start.'] : []),
    ];
    const meaning = [KEY_MEANING[name] ?? '', ...notes].join(' ').trim();
    return `| \`${name}\` | ${type.name} | \`${value}\` | ${meaning} |`;
  });
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** The keys that are known and refuse any value but their default, in one paragraph. */
export function reservedKeysAsMarkdown(): string {
  const names = CONFIG_KEY_NAMES.filter((name) => CONFIG_KEYS[name].support === 'default');
  return names.map((name) => `\`${name}\``).join(', ');
}

function verbAsMarkdown({ name, args, what, options, aliases, example, exits }: Verb): string {
  const points = [
    ...(options ?? []).map((option) => `- \`${option.flags}\`: ${option.what}`),
    ...(exits === undefined ? [] : [`- exit codes: ${exits}`]),
    ...(example === undefined ? [] : [`- for example: \`${example}\``]),
  ];
  return [
    `### \`merlon ${[name, args].filter((part) => part !== undefined).join(' ')}\``,
    `${what}.${aliases === undefined ? '' : ` Also \`${aliases.join('`, `')}\`.`}`,
    points.join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** The verbs that work, by group. */
export function verbsAsMarkdown(): string {
  return GROUPS.flatMap((group) => {
    const verbs = VERBS.filter((verb) => verb.group === group && verb.load !== undefined);
    const shownVerbs = verbs.filter(({ name }) => !name.startsWith('_'));
    return shownVerbs.length === 0 ? [] : [`## ${group}`, ...shownVerbs.map(verbAsMarkdown)];
  }).join('\n\n');
}

/** The verbs that work, one a line, in the order of their groups. */
export function synopsisAsMarkdown(): string {
  const verbs = GROUPS.flatMap((group) => VERBS.filter((v) => v.group === group && v.load !== undefined));
  return verbs
    .map(({ name, args, options, what }) => {
      const flags = (options ?? []).map(({ flags }) => `[${flags.replace(/^-\w, /, '')}]`);
      return `- \`merlon ${[name, args, ...flags].filter((part) => part !== undefined).join(' ')}\`: ${what}`;
    })
    .join('\n');
}

/** The verbs whose exit codes mean something of their own. */
export function exitsAsMarkdown(): string {
  const rows = VERBS.flatMap(({ name, exits }) =>
    exits === undefined ? [] : [`| \`${name}\` | ${exits} |`],
  );
  return ['| verb | exit codes |', '|---|---|', ...rows].join('\n');
}

/** The verbs that are known and answer with one sentence. */
export function laterVerbsAsMarkdown(): string {
  const names = VERBS.filter(({ load }) => load === undefined).map(({ name }) => `\`${name}\``);
  return names.join(', ');
}

/** The catalogue of drop reasons. */
export function reasonsAsMarkdown(): string {
  const rows = Object.entries(DROP_REASON).map(
    ([name, number]) => `| ${number} | \`${name}\` | ${REASON_MEANING[name as keyof typeof DROP_REASON]} |`,
  );
  return ['| number | reason | meaning |', '|---|---|---|', ...rows].join('\n');
}

const cells = (texts: readonly string[]): string =>
  `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;

/** The codes of advice, each with an anchor that reports link to. */
export function findingsAsMarkdown(): string {
  const rows = Object.entries(FINDINGS).map(([code, { severity, what, mend, condition }]) =>
    cells([
      `<a id="${code}"></a>\`${code}\``,
      severity,
      what,
      mend,
      condition === undefined ? '' : `\`${condition}\``,
    ]),
  );
  return ['| code | severity | what | how to mend it | condition |', '|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/** The codes of what is refused. */
export function problemsAsMarkdown(): string {
  const rows = Object.entries(PROBLEM_KINDS).map(([code, { what, mend }]) =>
    cells([`<a id="${code.toLowerCase()}"></a>\`${code}\``, what, mend]),
  );
  return ['| code | what | how to mend it |', '|---|---|---|', ...rows].join('\n');
}

/** Every generated part: file, name of its marker, text. */
export const TABLES: readonly (readonly [file: string, name: string, text: () => string])[] = [
  ['architecture.md', 'layers', layersAsMarkdown],
  ['cli.md', 'verbs', verbsAsMarkdown],
  ['cli.md', 'later', laterVerbsAsMarkdown],
  ['merlon.8.md', 'synopsis', synopsisAsMarkdown],
  ['merlon.8.md', 'exits', exitsAsMarkdown],
  ['config.md', 'keys', keysAsMarkdown],
  ['config.md', 'reserved', reservedKeysAsMarkdown],
  ['findings.md', 'findings', findingsAsMarkdown],
  ['findings.md', 'problems', problemsAsMarkdown],
  ['drop-reasons.md', 'reasons', reasonsAsMarkdown],
];

/** The document with the table in its place; throws when the document has no such place. */
export function withTable(document: string, name: string, text: string): string {
  const marker = `<!-- table: ${name} -->\n`;
  const from = document.indexOf(marker);
  const end = document.indexOf('<!-- end -->', from);
  if (from < 0 || end < 0) throw new Error(`there is no ${marker.trim()} … <!-- end -->`);
  return `${document.slice(0, from)}${marker}\n${text}\n\n${document.slice(end)}`;
}

if (import.meta.main) {
  for (const [file, name, text] of TABLES) {
    const path = join(DOCS, file);
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), name, text()));
  }
}
