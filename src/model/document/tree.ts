/**
 * YAML and JSON text → plain trees in which every key and value knows its line and column. What makes YAML
 * dangerous ends here: depth is bounded before the recursive part of the library runs, aliases are shared and
 * counted instead of copied, duplicate keys are found in linear time, tags and complex keys are refused.
 */
import { createHash } from 'node:crypto';
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
} from 'yaml';
import type { ErrorCode } from '#kit/errors';
import { type Problem, quote } from './problem.ts';

/** Line and column of a key or value, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A key of a map with its value. */
export interface TreeEntry {
  readonly key: string;
  readonly keyAt: Position;
  readonly value: Tree;
}

/** A value as it was written; `text` of a scalar is the text between quotes or, unquoted, the source itself. */
export type Tree =
  | { readonly kind: 'map'; readonly at: Position; readonly entries: readonly TreeEntry[] }
  | { readonly kind: 'list'; readonly at: Position; readonly items: readonly Tree[] }
  | {
      readonly kind: 'scalar';
      readonly at: Position;
      readonly value: string | number | boolean | null;
      readonly text: string;
    };

/** One document of a stream: its tree, or why there is none. */
export interface TreeDocument {
  /** Position in the stream, from 0, empty documents counted. */
  readonly index: number;
  readonly tree: Tree | undefined;
  readonly problem: Problem | undefined;
}

/** Largest text that is parsed, in bytes of UTF-8. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** Deepest nesting of maps and lists. */
export const MAX_DEPTH = 64;
/** Aliases may make a document this many times as large as it is written. */
export const MAX_ALIAS_FACTOR = 10;
/** Most documents of one text. */
export const MAX_DOCUMENTS = 5000;
/** Most words and signs of one text: five thousand small policies have 260,000, a mebibyte of list items 280,000. */
export const MAX_LEXEMES = 300_000;
/** Most of one document, all of which is in memory at once: a list in lines has six an item, a rule some fifty. */
export const MAX_DOCUMENT_LEXEMES = 200_000;
/** Documents smaller than this many values after expansion are not held to the factor. */
const ALIAS_FLOOR = 1000;

/** Name of a file for positions, and the code that syntax errors carry. */
export interface TreeOptions {
  readonly file: string | undefined;
  readonly syntaxCode: ErrorCode;
  readonly tooLargeCode: ErrorCode;
}

/** Thrown inside this file only, turned into a `Problem` of the document. */
class Unusable extends Error {
  readonly offset: number;
  readonly hint: string | undefined;
  constructor(message: string, offset: number, hint?: string) {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

/** The documents of a text. Empty ones (only comments) are left out. Never throws. */
export function parseTrees(text: string, options: TreeOptions): TreeDocument[] {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    const problem: Problem = {
      code: options.tooLargeCode,
      message: `the file has ${Buffer.byteLength(text)} bytes, the limit is ${MAX_FILE_BYTES}`,
      at: fileAt(options.file, { line: 1, column: 1 }),
      hint: 'split it into several files',
    };
    return [{ index: 0, tree: undefined, problem }];
  }
  const lines = new LineCounter();
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problemAt = (message: string, offset: number, hint?: string): Problem => ({
    code: options.syntaxCode,
    message,
    at: fileAt(options.file, position(offset)),
    ...(hint === undefined ? {} : { hint }),
  });
  const out: TreeDocument[] = [];
  let index = 0;
  try {
    for (const document of documentsOf(text, lines)) {
      const isEmpty = document.errors.length === 0 && isNothing(document.contents);
      if (!isEmpty) out.push(treeDocument(document, index, position, problemAt));
      index++;
      if (index > MAX_DOCUMENTS) {
        throw new Unusable(`more than ${MAX_DOCUMENTS} documents`, document.range[2], 'split the file');
      }
    }
  } catch (e) {
    if (!(e instanceof Unusable)) throw e;
    out.push({ index, tree: undefined, problem: problemAt(e.message, e.offset, e.hint) });
  }
  return out;
}

/**
 * The documents one by one, so that only one is held, and of that one either what the parser made or what became
 * of it. Brackets are counted before they are parsed, since parsing and composing recurse; the first error of the
 * parser ends the text.
 */
function* documentsOf(text: string, lines: LineCounter): Generator<Document.Parsed> {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({ uniqueKeys: false, merge: false, version: '1.2', keepSourceTokens: false });
  const limits = new Limits();
  const { stackTraceLimit } = Error;
  // The library makes an error object for every fault; without traces a million of them take no seconds.
  Error.stackTraceLimit = 0;
  try {
    lines.addNewLine(0);
    for (const lexeme of new Lexer().lex(text)) {
      limits.take(lexeme, parser.offset);
      const documents = composed(parser.next(lexeme), composer, limits);
      if (documents !== undefined) yield* documents;
    }
    yield* composed(parser.end(), composer, limits) ?? [];
    yield* composer.end(true, text.length) as Generator<Document.Parsed>;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Documents that these tokens complete; mostly there are no tokens. */
function composed(
  tokens: Iterable<CST.Token>,
  composer: Composer,
  limits: Limits,
): readonly Document.Parsed[] | undefined {
  let documents: Document.Parsed[] | undefined;
  for (const token of tokens) {
    checkDepth(token);
    if (token.type === 'error') {
      throw new Unusable(`not valid YAML: ${lowerFirst(token.message)}`, token.offset);
    }
    if (token.type === 'document') limits.nextDocument();
    documents = [...(documents ?? []), ...(composer.next(token) as Iterable<Document.Parsed>)];
  }
  return documents;
}

/** Counts what the parser is about to take. */
class Limits {
  #depth = 0;
  #inText = 0;
  #inDocument = 0;

  take(lexeme: string, offset: number): void {
    if (lexeme === '[' || lexeme === '{') {
      this.#depth++;
      this.#inDocument++; // what begins here takes more than a word
    } else if (lexeme === ']' || lexeme === '}') this.#depth--;
    if (this.#depth > MAX_DEPTH) throw new Unusable(`nested deeper than ${MAX_DEPTH} levels`, offset);
    if (++this.#inText > MAX_LEXEMES) {
      throw new Unusable(`more than ${MAX_LEXEMES} words and signs`, offset, 'split the file');
    }
    if (++this.#inDocument > MAX_DOCUMENT_LEXEMES) {
      const message = `more than ${MAX_DOCUMENT_LEXEMES} words and signs in one object`;
      throw new Unusable(message, offset, 'write several objects');
    }
  }

  nextDocument(): void {
    this.#inDocument = 0;
  }
}

/** No content, or the empty place after a separator. */
function isNothing(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '');
}

function treeDocument(
  document: Document.Parsed,
  index: number,
  position: (offset: number) => Position,
  problemAt: (message: string, offset: number, hint?: string) => Problem,
): TreeDocument {
  const finding = document.errors[0] ?? document.warnings[0];
  if (finding !== undefined) {
    const message = lowerFirst(finding.message.split('\n')[0] ?? 'not YAML');
    return { index, tree: undefined, problem: problemAt(`not valid YAML: ${message}`, finding.pos[0]) };
  }
  try {
    const tree = new Converter(position).document(document.contents as Node);
    return { index, tree, problem: undefined };
  } catch (e) {
    if (!(e instanceof Unusable)) throw e;
    return { index, tree: undefined, problem: problemAt(e.message, e.offset, e.hint) };
  }
}

/** Refuses nesting beyond `MAX_DEPTH`, no deeper than which it recurses itself, since composing recurses. */
function checkDepth(token: CST.Token, depth = 0): void {
  if (depth > MAX_DEPTH) {
    throw new Unusable(`nested deeper than ${MAX_DEPTH} levels`, 'offset' in token ? token.offset : 0);
  }
  if (token.type === 'document') {
    if (token.value) checkDepth(token.value, depth);
  } else if ('items' in token) {
    for (const { key, value } of token.items) {
      if (key) checkDepth(key, depth + 1);
      if (value) checkDepth(value, depth + 1);
    }
  }
}

/** One document's walk: its anchors so far and the sizes of shared parts. */
class Converter {
  readonly #position: (offset: number) => Position;
  readonly #anchors = new Map<string, { tree: Tree; size: number; height: number }>();
  #written = 0;

  constructor(position: (offset: number) => Position) {
    this.#position = position;
  }

  document(root: Node): Tree {
    const { tree, size } = this.#convert(root);
    if (size > Math.max(ALIAS_FLOOR, MAX_ALIAS_FACTOR * this.#written)) {
      throw new Unusable(
        `aliases make the document more than ${MAX_ALIAS_FACTOR} times as large as it is written`,
        offsetOf(root),
        'write the repeated parts out, or split the document',
      );
    }
    return tree;
  }

  #convert(node: Node): { tree: Tree; size: number; height: number } {
    this.#written++;
    const offset = offsetOf(node);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) {
        throw new Unusable(`alias *${node.source} names no anchor before it`, offset);
      }
      return target;
    }
    const converted = this.#convertValue(node, this.#position(offset));
    if (converted.height > MAX_DEPTH) throw new Unusable(`nested deeper than ${MAX_DEPTH} levels`, offset);
    if ('anchor' in node && node.anchor) this.#anchors.set(node.anchor, converted);
    return converted;
  }

  #convertValue(node: Node, at: Position): { tree: Tree; size: number; height: number } {
    const tag = node.tag;
    if (tag !== undefined && !tag.startsWith('tag:yaml.org,2002:')) {
      throw new Unusable(`the tag ${quote(tag)} is not known`, offsetOf(node), 'remove it');
    }
    if (isScalar(node))
      return { tree: scalarTree(node.value, node.source, at, offsetOf(node)), size: 1, height: 0 };
    let size = 1;
    let height = 0;
    const child = (value: unknown, fallback: Position): Tree => {
      if (value === null || value === undefined)
        return { kind: 'scalar', at: fallback, value: null, text: '' };
      const converted = this.#convert(value as Node);
      size += converted.size;
      height = Math.max(height, converted.height + 1);
      return converted.tree;
    };
    if (isSeq(node)) {
      const items = node.items.map((item) => child(item, at));
      return { tree: { kind: 'list', at, items }, size, height };
    }
    if (!isMap(node)) throw new Unusable('not a map, a list or a plain value', offsetOf(node));
    const entries: TreeEntry[] = [];
    const seen = new Map<string, Position>();
    for (const pair of node.items) {
      const { key, keyAt } = this.#key(pair.key, at);
      const before = seen.get(key);
      if (before !== undefined) {
        throw new Unusable(
          `key ${quote(key)} stands twice in one map, first in line ${before.line}`,
          offsetOf(pair.key as Node),
          'keep one of them',
        );
      }
      seen.set(key, keyAt);
      entries.push({ key, keyAt, value: child(pair.value, keyAt) });
    }
    return { tree: { kind: 'map', at, entries }, size, height };
  }

  #key(node: unknown, map: Position): { key: string; keyAt: Position } {
    if (isScalar(node) && node.value !== null) {
      const text = typeof node.value === 'string' ? node.value : (node.source ?? '');
      return { key: text, keyAt: this.#position(offsetOf(node)) };
    }
    const at = node === null || node === undefined ? undefined : offsetOf(node as Node);
    if (at === undefined) throw new Unusable(`a map in line ${map.line} has an empty key`, 0);
    throw new Unusable('a key must be plain text', at);
  }
}

function scalarTree(value: unknown, source: string | undefined, at: Position, offset: number): Tree {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') {
    return { kind: 'scalar', at, value, text: source ?? String(value ?? '') };
  }
  if (typeof value === 'string') return { kind: 'scalar', at, value, text: value };
  throw new Unusable('not a text, a number, true, false or null', offset);
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

/** What the library says, as part of a sentence; it repeats what it does not know. */
function lowerFirst(text: string): string {
  const short = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return short.slice(0, 1).toLowerCase() + short.slice(1);
}

function fileAt(file: string | undefined, at: Position) {
  return file === undefined ? { ...at } : { file, ...at };
}

/** SHA-256 in hexadecimal of any value made of JSON types; keys of objects in alphabetical order. */
export function contentHashOf(value: unknown): string {
  const hash = createHash('sha256');
  let text = '';
  writeCanonical(value, (part) => {
    text += part;
    if (text.length < HASHED_AT_ONCE) return;
    hash.update(text);
    text = '';
  });
  return hash.update(text).digest('hex');
}

/** Signs of a text that are hashed together: the whole may be ten times what was written. */
const HASHED_AT_ONCE = 16 * 1024;

/** JSON in parts; bytes count as a list of numbers. */
function writeCanonical(value: unknown, write: (part: string) => void): void {
  if (typeof value !== 'object' || value === null) return write(JSON.stringify(value) ?? 'null');
  if (value instanceof Uint8Array) return write(`[${value.join()}]`);
  let mark = Array.isArray(value) ? '[' : '{';
  const end = Array.isArray(value) ? ']' : '}';
  if (Array.isArray(value)) {
    for (const item of value) {
      write(mark);
      writeCanonical(item, write);
      mark = ',';
    }
  } else {
    for (const key of Object.keys(value).sort()) {
      const field = (value as Readonly<Record<string, unknown>>)[key];
      if (field === undefined) continue;
      write(`${mark}${JSON.stringify(key)}:`);
      writeCanonical(field, write);
      mark = ',';
    }
  }
  write(mark === ',' ? end : mark + end);
}
