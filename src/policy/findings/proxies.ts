/** Findings about what proxies are asked together: rules that contradict one another, rules that refuse nothing. */
import { type Direction, PORT_PROTOCOLS, type Rule, type Warning } from '#model';
import { type Ground, type Judgement } from './ground.ts';
import type { Selected } from './ground-node.ts';
import type { SubjectId } from '../selection.ts';

export const proxyFindings: Judgement = ({ spec, selected }, ground) =>
  spec.rules.flatMap((rule) => conflicts(rule, ground) ?? ineffective(rule, selected, ground));

/** Rules that exclude each other, for some subject or for a peer that both mean. */
function conflicts(rule: Rule, { nodes }: Ground): readonly Warning[] | undefined {
  const pair = nodes.map((node) => node.excluding.get(rule.id)).find((ids) => ids !== undefined);
  if (pair === undefined) return undefined;
  const kept = 'a subject of both keeps the policy it had, and without one what both match is refused';
  return [
    {
      code: 'conflict',
      message: `${pair.join(' and ')} exclude each other (merlon.io/Conflict): ${kept}`,
      at: rule.at,
    },
  ];
}

/** Most peers and ports of one rule that are asked. */
const MOST_ASKED = 64;

/** Where another rule, or no default deny, lets everything pass that this rule would have a proxy judge. */
function ineffective(rule: Rule, selected: readonly Selected[], ground: Ground): readonly Warning[] {
  const kind = rule.proxy?.l7?.kind;
  if (kind === undefined || kind === 'dns' || asksNothing(rule)) return [];
  for (const at of selected) {
    const peers = at.node.identitiesOf(rule.peers, ground.facts).slice(0, MOST_ASKED);
    for (const subject of at.samples) {
      for (const peer of peers) {
        for (const port of tcpPorts(rule)) {
          const { origin, proxy } = at.node.judge(subject, rule.direction, peer, PORT_PROTOCOLS.TCP, port);
          if (proxy?.wildcard !== true || !origin.includes(rule.id)) continue;
          const why = broader(origin, rule, at, subject, ground);
          if (why === undefined) continue;
          const who = labelText(at.node.seen.identities.find(({ id }) => id === peer)?.labels.labels ?? []);
          const message = `${why} makes the ${kind} rules ineffective for ${who}`;
          return [{ code: 'l7-ineffective', message, at: rule.at }];
        }
      }
    }
  }
  return [];
}

/** A list with an empty item lets every request pass by itself. */
function asksNothing({ proxy }: Rule): boolean {
  const rules: readonly object[] = proxy?.l7?.kind === 'dns' ? [] : (proxy?.l7?.rules ?? []);
  return rules.some((one) => Object.values(one).every((value) => Array.isArray(value) && value.length === 0));
}

function tcpPorts({ ports }: Rule): readonly number[] {
  if (ports.kind === 'any') return [];
  const first = ports.matches.flatMap((m) => (m.kind === 'ports' ? [m.first] : []));
  return first.slice(0, MOST_ASKED);
}

/** Who lets everything pass in a cell that the rule decides, too; that the local host may always come is no news. */
function broader(
  origin: readonly string[],
  rule: Rule,
  { node }: Selected,
  subject: SubjectId,
  ground: Ground,
): string | undefined {
  if (!isDenied(node.specsOf(subject), rule.direction)) return `no default deny at ${rule.direction}`;
  return origin.find((id) => ground.unproxied.has(id));
}

function isDenied(specs: ReturnType<Selected['node']['specsOf']>, direction: Direction): boolean {
  return specs.some((spec) => spec.defaultDeny[direction]);
}

/** A peer by what tells it apart, for people. */
function labelText(
  labels: readonly { readonly source: string; readonly key: string; readonly value: string }[],
): string {
  const named = labels.filter(({ source, key }) => source !== 'cidr' && !key.startsWith('io.cilium.k8s.'));
  const own = named.length > 0 ? named : labels;
  const texts = own.map(({ source, key, value }) => (value === '' ? `${source}:${key}` : `${key}=${value}`));
  return texts.slice(0, 3).join(',') || 'unknown peers';
}
