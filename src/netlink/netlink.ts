/** Requests and events of one network namespace, in domain terms. */
import type { Fd } from '#native';
import * as address from './address.ts';
import * as link from './link.ts';
import type { Message } from './message.ts';
import * as neighbour from './neighbour.ts';
import { type Group, NLM_F, RTM } from './numbers.ts';
import * as route from './route.ts';
import * as rule from './rule.ts';
import { EventSocket, RequestSocket, refusalCode } from './socket.ts';

export type NetlinkEvent =
  | { readonly kind: 'link'; readonly isGone: boolean; readonly row: link.Link }
  | { readonly kind: 'address'; readonly isGone: boolean; readonly row: address.Address }
  | { readonly kind: 'route'; readonly isGone: boolean; readonly row: route.Route }
  | { readonly kind: 'neighbour'; readonly isGone: boolean; readonly row: neighbour.Neighbour }
  | { readonly kind: 'rule'; readonly isGone: boolean; readonly row: rule.Rule };

export interface SubscribeOptions {
  readonly groups: readonly Group[];
  /** What happened, in order; at least one. */
  readonly onEvents: (events: readonly NetlinkEvent[]) => void;
  /** Events were lost: read everything anew. */
  readonly onOverrun: () => void;
  /** Bytes of the kernel's queue; default 4 MiB. */
  readonly receiveBuffer?: number;
}

/** What a new object may do when one like it is there: fail with EEXIST, or take its place. */
export type IfPresent = 'fail' | 'replace';

/** The event in a message; undefined for what is not ours to know. */
export function eventOf(message: Message): NetlinkEvent | undefined {
  const isGone = (message.type & 3) === 1; // RTM_DEL… follows RTM_NEW… in each group of four
  const group = message.type & ~3;
  if (group === RTM.newLink) return withRow('link', isGone, link.parseLink(message));
  if (group === RTM.newAddr) return withRow('address', isGone, address.parseAddress(message));
  if (group === RTM.newRoute) return withRow('route', isGone, route.parseRoute(message));
  if (group === RTM.newNeigh) return withRow('neighbour', isGone, neighbour.parseNeighbour(message));
  if (group === RTM.newRule) return withRow('rule', isGone, rule.parseRule(message));
  return undefined;
}

function withRow<K extends NetlinkEvent['kind'], R>(kind: K, isGone: boolean, row: R | undefined) {
  return row === undefined ? undefined : ({ kind, isGone, row } as NetlinkEvent);
}

function rows<R>(messages: readonly Message[], parse: (message: Message) => R | undefined): readonly R[] {
  return messages.map(parse).filter((row) => row !== undefined);
}

const creation = (ifPresent: IfPresent) =>
  NLM_F.create | (ifPresent === 'fail' ? NLM_F.exclusive : NLM_F.replace);

/**
 * A namespace's links, addresses, routes, neighbours and rules. Every call is carried out when it returns.
 * Errors: NETLINK_REQUEST with what was attempted, the errno and the kernel's own sentence.
 */
export class Netlink implements Disposable {
  readonly #socket: RequestSocket;
  readonly #netnsFd: Fd;

  constructor(netnsFd: Fd) {
    this.#netnsFd = netnsFd;
    this.#socket = new RequestSocket(netnsFd);
  }

  links(): readonly link.Link[] {
    return rows(this.#socket.dump(RTM.getLink, link.dumpLinks(), 'list links'), link.parseLink);
  }

  /** One link by its index or name; undefined when there is none. */
  link(which: number | string): link.Link | undefined {
    try {
      const answers = this.#socket.request(RTM.getLink, 0, link.getLink(which), `find link ${which}`);
      return rows(answers, link.parseLink)[0];
    } catch (e) {
      if (refusalCode(e) === 'ENODEV') return undefined;
      throw e;
    }
  }

  addLink(spec: link.NewLink): void {
    const what = `add ${spec.kind} ${spec.name}`;
    this.#socket.request(RTM.newLink, NLM_F.create | NLM_F.exclusive, link.newLink(spec), what);
  }

  changeLink(ifindex: number, change: link.LinkChange): void {
    const what = `change link ${ifindex} (${Object.keys(change).join(', ')})`;
    this.#socket.request(RTM.newLink, 0, link.changeLink(ifindex, change), what);
  }

  deleteLink(ifindex: number): void {
    this.#socket.request(RTM.delLink, 0, link.deleteLink(ifindex), `delete link ${ifindex}`);
  }

  addresses(): readonly address.Address[] {
    return rows(
      this.#socket.dump(RTM.getAddr, address.dumpAddresses(), 'list addresses'),
      address.parseAddress,
    );
  }

  addAddress(spec: address.NewAddress, ifPresent: IfPresent = 'fail'): void {
    const what = `add address ${spec.address}/${spec.prefixLength} to link ${spec.ifindex}`;
    this.#socket.request(RTM.newAddr, creation(ifPresent), address.encodeAddress(spec), what);
  }

  deleteAddress(spec: address.NewAddress): void {
    const what = `delete address ${spec.address}/${spec.prefixLength} of link ${spec.ifindex}`;
    this.#socket.request(RTM.delAddr, 0, address.encodeAddress(spec), what);
  }

  /** Both families; one table when given. A table that was never used is empty. */
  routes(table?: number): readonly route.Route[] {
    return ([4, 6] as const).flatMap((family) => {
      try {
        return rows(
          this.#socket.dump(RTM.getRoute, route.dumpRoutes(family, table), 'list routes'),
          route.parseRoute,
        );
      } catch (e) {
        if (table !== undefined && refusalCode(e) === 'ENOENT') return [];
        throw e;
      }
    });
  }

  addRoute(spec: route.NewRoute, ifPresent: IfPresent = 'fail'): void {
    const what = `add route ${spec.prefix} through link ${spec.ifindex}`;
    this.#socket.request(RTM.newRoute, creation(ifPresent), route.encodeRoute(spec), what);
  }

  deleteRoute(spec: route.NewRoute): void {
    const what = `delete route ${spec.prefix} through link ${spec.ifindex}`;
    this.#socket.request(RTM.delRoute, 0, route.encodeRoute(spec), what);
  }

  neighbours(): readonly neighbour.Neighbour[] {
    const dump = this.#socket.dump(RTM.getNeigh, neighbour.dumpNeighbours(), 'list neighbours');
    return rows(dump, neighbour.parseNeighbour);
  }

  addNeighbour(spec: neighbour.NewNeighbour, ifPresent: IfPresent = 'fail'): void {
    const what = `add neighbour ${spec.address} on link ${spec.ifindex}`;
    this.#socket.request(RTM.newNeigh, creation(ifPresent), neighbour.encodeNeighbour(spec), what);
  }

  deleteNeighbour(spec: neighbour.NewNeighbour): void {
    const what = `delete neighbour ${spec.address} on link ${spec.ifindex}`;
    this.#socket.request(RTM.delNeigh, 0, neighbour.encodeNeighbour(spec), what);
  }

  rules(): readonly rule.Rule[] {
    return ([4, 6] as const).flatMap((family) =>
      rows(this.#socket.dump(RTM.getRule, rule.dumpRules(family), 'list rules'), rule.parseRule),
    );
  }

  addRule(spec: rule.NewRule): void {
    const flags = NLM_F.create | NLM_F.exclusive;
    this.#socket.request(
      RTM.newRule,
      flags,
      rule.encodeRule(spec),
      `add IPv${spec.family} rule ${spec.priority}`,
    );
  }

  deleteRule(spec: rule.NewRule): void {
    const what = `delete IPv${spec.family} rule ${spec.priority}`;
    this.#socket.request(RTM.delRule, 0, rule.encodeRule(spec), what);
  }

  /** Listens from now on; dispose to end. Subscribe first, then dump: nothing is missed in between. */
  subscribe(options: SubscribeOptions): Disposable {
    const { groups, onEvents, onOverrun, receiveBuffer } = options;
    let events: NetlinkEvent[] = [];
    return new EventSocket(
      {
        groups,
        onMessages: (messages) => {
          for (const message of messages) {
            const event = eventOf(message);
            if (event !== undefined) events.push(event);
          }
        },
        onTurn: () => {
          const turn = events;
          events = [];
          if (turn.length > 0) onEvents(turn);
        },
        onOverrun: () => {
          events = [];
          onOverrun();
        },
        ...(receiveBuffer === undefined ? {} : { receiveBuffer }),
      },
      this.#netnsFd,
    );
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/**
 * Opens rtnetlink in the namespace behind `netnsFd`, which must stay open as long as one subscribes; without
 * it, in the thread's own.
 */
export function openNetlink({ netnsFd = -1 }: { readonly netnsFd?: Fd } = {}): Netlink {
  return new Netlink(netnsFd);
}
