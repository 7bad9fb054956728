/** Flows and parties as people read them. */
import { assertNever } from '#kit/errors';
import { protocolName } from '#model';
import type { CaseFlow, CaseParty } from './case.ts';

/** A party as it is written. */
export function partyText(party: CaseParty): string {
  switch (party.kind) {
    case 'endpoint':
      return party.name;
    case 'ip':
      return party.ip;
    case 'entity':
      return `entity:${party.entity}`;
    case 'node':
    case 'service':
      return `${party.kind}:${party.name}`;
    default:
      return assertNever(party);
  }
}

/** `shop/frontend → shop/backend TCP/8080`, for people. */
export function flowText(flow: CaseFlow): string {
  const l4 =
    flow.port === undefined ? protocolName(flow.protocol) : `${protocolName(flow.protocol)}/${flow.port}`;
  const rest = [flow.ct === 'new' ? '' : flow.ct, flow.direction === 'both' ? '' : `${flow.direction} only`]
    .filter((word) => word !== '')
    .map((word) => ` (${word})`)
    .join('');
  return `${partyText(flow.from)} → ${partyText(flow.to)} ${l4}${requestText(flow)}${rest}`;
}

function requestText({ request }: CaseFlow): string {
  switch (request?.kind) {
    case undefined:
      return '';
    case 'http':
      return `${nameText(request.sni)} ${request.method} ${request.host}${request.path}`;
    case 'kafka':
      return ` ${request.apiKey}${request.topic === undefined ? '' : ` ${request.topic}`}`;
    case 'dns':
      return ` asks ${request.name}`;
    case 'sni':
      return nameText(request.name);
    default:
      return assertNever(request);
  }
}

function nameText(name: string | undefined): string {
  return name === undefined ? '' : ` SNI ${JSON.stringify(name)}`;
}
