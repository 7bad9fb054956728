/** Labels as tables show them: those that say who it is. `-o json` and the `get` verbs have all of them. */

/** What the agent adds to every pod's labels, and what every pod has that names no namespace. */
const AUTOMATIC = /^k8s:(io\.cilium\.|io\.kubernetes\.pod\.namespace=default$)/;
/** An entity that needs no address beside it; `world` alone says nothing. */
const ENTITY = /^reserved:(?!world)/;

/** The labels worth a column; all of them where nothing would be left. */
export function shortLabels(labels: readonly string[]): readonly string[] {
  const entities = labels.filter((l) => ENTITY.test(l));
  if (entities.length > 0) return entities;
  const own = labels.filter((l) => !AUTOMATIC.test(l));
  const cidrs = own.filter((l) => l.startsWith('cidr:'));
  if (cidrs.length > 0) return cidrs;
  return own.length === 0 ? labels : own;
}

/** One name for an end of a packet: an entity, a prefix, or the first labels; empty when it has none. */
export function shortName(labels: readonly string[]): string {
  const shown = shortLabels(labels).map((l) => l.replace(/^(k8s|reserved):/, ''));
  return shown.slice(0, 2).join(',');
}
