/** The addresses of nodes, pods and the API server, to be asked which of them a prefix covers. */
import { parseCidrOrIp } from '#kit/ip';
import { Lpm } from '#kit/lpm';
import { apiserverAddresses, type PolicyFacts } from '#model';
import { endpointTitle, type SeenNode } from './input.ts';

/** Addresses, and whose they are. */
export type Owners = Lpm<string>;

export class KnownAddresses {
  readonly nodes: Owners = new Lpm();
  readonly pods: Owners = new Lpm();
  readonly apiservers: Owners = new Lpm();

  constructor(nodes: readonly SeenNode[], facts: PolicyFacts) {
    for (const { world } of nodes) {
      addAll(this.nodes, world.localAddresses, 'a node');
      for (const { name, addresses, labels } of world.nodes) {
        addAll(this.nodes, addresses, `the node ${name}`);
        const isApiserver = labels.labels.some((l) => l.source === 'reserved' && l.key === 'kube-apiserver');
        if (isApiserver) addAll(this.apiservers, addresses, name);
      }
      for (const endpoint of world.endpoints) addAll(this.pods, endpoint.addresses, endpointTitle(endpoint));
    }
    addAll(this.apiservers, apiserverAddresses(facts), '');
  }
}

function addAll(owners: Owners, addresses: readonly string[], owner: string): void {
  for (const text of addresses) {
    const cidr = parseCidrOrIp(text);
    if (cidr !== undefined) owners.set(cidr, owner);
  }
}
