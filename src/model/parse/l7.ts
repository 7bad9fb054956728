/**
 * The layer 7, TLS and listener fields of a port rule. None is enforced yet: one that says anything refuses the
 * object. Empty lists say nothing (policy.md §6). Host policies will never take most of them (HF-5.3).
 */
import { type Fields, fail, type Place, readList, readMap } from '../document/index.ts';
import type { PortScope } from './ports.ts';
import { refuse } from './refuse.ts';

const RULE_LISTS = ['http', 'kafka', 'dns', 'l7'] as const;

/** Notes a problem for every field of a port rule that is not enforced yet. */
export function readL7(portRule: Fields, scope: PortScope): void {
  const rules = portRule.get('rules');
  if (rules !== undefined) readRules(rules, scope);
  const serverNames = portRule.get('serverNames');
  if (serverNames !== undefined) {
    const items = readList(serverNames, 'server names');
    if (items?.length === 0)
      fail(serverNames, 'POLICY_L7', 'serverNames needs at least one entry', 'remove it');
    else if (items !== undefined) refuseL7(serverNames, 'serverNames', scope);
  }
  for (const name of ['terminatingTLS', 'originatingTLS', 'listener'] as const) {
    const place = portRule.get(name);
    if (place !== undefined) refuseL7(place, name, scope);
  }
}

function readRules(place: Place, scope: PortScope): void {
  const fields = readMap(place, [...RULE_LISTS, 'l7proto'], 'layer 7 rules');
  if (fields === undefined) return;
  const used: string[] = [];
  for (const name of RULE_LISTS) {
    const list = fields.get(name);
    const items = list === undefined ? undefined : readList(list, 'rules');
    if (list === undefined || items === undefined || items.length === 0) continue;
    if (name !== 'l7') used.push(name);
    refuseL7(list, name, scope);
  }
  const proto = fields.get('l7proto');
  if (proto !== undefined) {
    used.push('l7proto');
    refuseL7(proto, 'l7proto', scope);
  }
  if (fields.get('l7') !== undefined && proto === undefined) {
    fail(place, 'POLICY_L7', "'l7' may only be specified when a 'l7proto' is also specified");
  }
  if (used.length > 1) {
    fail(
      place,
      'POLICY_L7',
      `multiple L7 protocol rule types in one port rule: ${used.join(', ')}`,
      'write one port rule each',
    );
  }
}

type L7Name =
  | (typeof RULE_LISTS)[number]
  | 'l7proto'
  | 'serverNames'
  | 'terminatingTLS'
  | 'originatingTLS'
  | 'listener';

function refuseL7(place: Place, name: L7Name, scope: PortScope): undefined {
  if (!scope.isHost) return refuse(place, name);
  if (scope.direction === 'ingress') {
    return fail(
      place,
      'POLICY_L7',
      'L7 policy is not supported on host ingress yet',
      'remove it; host policies take ports',
    );
  }
  if (name === 'dns') return refuse(place, name);
  return fail(
    place,
    'POLICY_L7',
    `L7 protocol ${name} is not supported on host egress yet`,
    'remove it; host policies take ports',
  );
}
