/** Parties of a flow that are described instead of named. */
import { MerlonError } from '#kit/errors';
import { formatIp, parseCidrOrIp } from '#kit/ip';
import { nearest } from '#kit/nearest';
import { RESERVED_IDENTITY } from '#model';
import { CASE_ENTITIES, type CaseParty } from './case.ts';
import { HEALTH } from './node-world.ts';
import type { NodeView, NodeWorld } from './view.ts';

/**
 * A party by what it is instead of by name: `labels:app=web,tier=front` is the first endpoint that has them,
 * `fqdn:NAME` the first address that was learnt for a name, `identity:NUMBER` whoever has it. Undefined: written
 * in no such way.
 */
export function describedParty(text: string, { world, ipcache }: NodeView): CaseParty | undefined {
  const [, kind, rest = ''] = /^(labels|fqdn|identity):(.*)$/.exec(text) ?? [];
  if (kind === undefined) return undefined;
  const found = kind === 'labels' ? labelledParty(rest, world) : undefined;
  if (found !== undefined) return found;
  if (kind === 'fqdn') {
    const name = rest.toLowerCase().replace(/\.$/, '');
    const answer = world.facts?.names.find((row) => row.name === name);
    if (answer !== undefined) return { kind: 'ip', ip: answer.address };
  }
  if (kind === 'identity') {
    const reserved = Object.entries(RESERVED_IDENTITY).find(([, number]) => String(number) === rest)?.[0];
    const entity = CASE_ENTITIES.find((one) => one === reserved?.replace(/^world-ipv[46]$/, 'world'));
    if (entity !== undefined) return { kind: 'entity', entity };
    const row = ipcache.find(({ identity }) => String(identity) === rest);
    const ip = row && parseCidrOrIp(row.prefix)?.ip;
    if (ip !== undefined) return { kind: 'ip', ip: formatIp(ip) };
  }
  throw new MerlonError('CASE_REFERENCE', NOBODY[kind]?.(rest) ?? '', { hint: hintOf(kind, rest, world) });
}

const NOBODY: Readonly<Record<string, (rest: string) => string>> = {
  labels: (rest) => `nobody has the labels ${rest}`,
  fqdn: (rest) => `no address has been learnt for ${rest}`,
  identity: (rest) => `nobody has the identity ${rest}`,
};

/** The first label that nobody has, and the nearest that somebody has. */
function hintOf(kind: string, rest: string, { endpoints }: NodeWorld): string | undefined {
  if (kind !== 'labels') return undefined;
  const all = endpoints.flatMap(({ labels }) => labels.labels.map(({ key, value }) => `${key}=${value}`));
  const missing = rest
    .split(',')
    .map((label) => label.replace(/^\w+:/, ''))
    .find((label) => !all.includes(label));
  const near = missing === undefined ? undefined : nearest(missing, [...new Set(all)]);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

function labelledParty(text: string, { endpoints }: NodeWorld): CaseParty | undefined {
  const wanted = text.split(',').map((label) => /^(?:(\w+):)?([^=]*)=?(.*)$/.exec(label) ?? []);
  const found = endpoints.find(({ labels }) =>
    wanted.every(([, source, key, value]) =>
      labels.labels.some(
        (l) =>
          (source === undefined || source === 'any' || source === l.source) &&
          l.key === key &&
          l.value === value,
      ),
    ),
  );
  return found === undefined || found.name === HEALTH ? undefined : { kind: 'endpoint', name: found.name };
}
