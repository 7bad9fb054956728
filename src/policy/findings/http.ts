/** Findings about the regular expressions of HTTP rules, which match whole values (policy.md §6.1). */
import type { HttpRule, Rule, Warning } from '#model';
import type { Judgement } from './ground.ts';

export const httpFindings: Judgement = ({ spec }) => spec.rules.flatMap(ruleFindings);

function ruleFindings({ proxy, at }: Rule): readonly Warning[] {
  if (proxy?.l7?.kind !== 'http') return [];
  return proxy.l7.rules.flatMap((rule) => [
    ...anchors(rule, at),
    ...neverMatches(rule, at),
    ...dots(rule, at),
    ...queries(rule, at),
  ]);
}

type At = Rule['at'];

function parts({ path, method, host }: HttpRule): readonly (readonly [field: string, pattern: string])[] {
  const all: readonly (readonly [string, string | undefined])[] = [
    ['path', path],
    ['method', method],
    ['host', host],
  ];
  return all.flatMap(([field, pattern]) => (pattern === undefined ? [] : [[field, pattern] as const]));
}

function anchors(rule: HttpRule, at: At): readonly Warning[] {
  return parts(rule)
    .filter(([, pattern]) => pattern.startsWith('^') || endsInAnchor(pattern))
    .map(([field, pattern]) => ({
      code: 'http-anchor',
      message: `${field} ${JSON.stringify(pattern)} has an anchor that says nothing`,
      at,
    }));
}

/** A `$` at the end that no backslash escapes. */
function endsInAnchor(pattern: string): boolean {
  if (!pattern.endsWith('$')) return false;
  let at = pattern.length - 1;
  while (pattern[at - 1] === '\\') at--;
  return (pattern.length - 1 - at) % 2 === 0;
}

function neverMatches({ path, method }: HttpRule, at: At): readonly Warning[] {
  const found: Warning[] = [];
  if (path !== undefined && /^\^?[\w-]/.test(path) && !path.includes('|')) {
    const message = `path ${JSON.stringify(path)} matches no path: they begin with /`;
    found.push({ code: 'http-never-matches', message, at, hint: `write /${path.replace(/^\^/, '')}` });
  }
  if (method !== undefined && /^[A-Za-z]+$/.test(method) && method !== method.toUpperCase()) {
    const message = `method ${JSON.stringify(method)} matches no method: they are upper case`;
    found.push({ code: 'http-never-matches', message, at, hint: `write ${method.toUpperCase()}` });
  }
  return found;
}

/** A dot between two characters of a name, with neither backslash nor repetition. */
const PLAIN_DOT = /(?:^|[\w-])\.(?=[\w-])/;

function dots(rule: HttpRule, at: At): readonly Warning[] {
  return parts(rule)
    .filter(([field, pattern]) => field !== 'method' && PLAIN_DOT.test(pattern))
    .map(([field, pattern]) => ({
      code: 'http-unescaped-dot',
      message: `${field} ${JSON.stringify(pattern)} has a dot that means any character`,
      at,
      hint: `write ${pattern.replaceAll(/(?<=^|[\w-])\.(?=[\w-])/g, '\\.')}`,
    }));
}

/** A pattern that ends in plain text admits no query behind it, unless it speaks of a question mark itself. */
function queries({ path, method }: HttpRule, at: At): readonly Warning[] {
  if (path === undefined) return [];
  const plain = path.replaceAll(/\[\^?[^\]]+\]/g, (set) => (set.includes('?') ? '\\?' : '[]'));
  if (LIKE_QUERY.test(plain)) return [quantifier(path, at)];
  if (!/[\w/-]\$?$/.test(plain) || plain.includes('\\?')) return [];
  // A method of gRPC is called by POST, and never with a query.
  const [root, service = '', call = '', ...more] = path.split('/');
  const isGrpc = root === '' && service.includes('.') && /^\w+$/.test(call) && more.length === 0;
  if (method === 'POST' && isGrpc) return [];
  const message = `path ${JSON.stringify(path)} admits no query string behind it`;
  const hint = `write ${path.replace(/\$$/, '')}(\\?.*)? if queries are fine`;
  return [{ code: 'http-path-query', message, at, hint }];
}

/** A bare `?` behind a plain sign, and then `key=`: a query as addresses have it, which a pattern writes `\\?`. */
const LIKE_QUERY = /(?<!\\)([\w/~-])\?(?=[\w.~%-]+=)/;

function quantifier(path: string, at: At): Warning {
  const [, before = ''] = LIKE_QUERY.exec(path) ?? [];
  return {
    code: 'http-unescaped-query',
    message: `in path ${JSON.stringify(path)} the ? makes the ${before} before it optional, and is no question mark`,
    at,
    hint: `write ${path.replace(LIKE_QUERY, '$1\\?')}`,
  };
}
