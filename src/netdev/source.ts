/**
 * The source: rtnetlink events and dumps → the tables of links, addresses and routes.
 *
 * Listens first, then dumps, so that nothing falls between. What came during the dump is applied after it, in
 * one transaction, in which later events overrule earlier ones. After an overrun everything is read anew.
 */
import { MerlonError } from '#kit/errors';
import type { AddressRow, LinkRow, RouteRow } from '#model';
import { type Address, type Link, type NetlinkEvent, openNetlink, type Route } from '#netlink';
import type { Database, Table, Txn } from '#table';

export interface NetdevTables {
  readonly links: Table<LinkRow>;
  readonly addresses: Table<AddressRow>;
  readonly routes: Table<RouteRow>;
}

/** Name under which the source marks its tables synced. */
export const NETDEV_SOURCE = 'netlink';

const TABLE_LOCAL = 255;
const TABLE_MAIN = 254;
/** RTN_UNICAST and RTN_LOCAL; broadcast, anycast and multicast routes say nothing that addresses do not. */
const TYPES: ReadonlySet<number> = new Set([1, 2]);
/**
 * The kernel takes IPv4 routes away in silence when their link goes down or their source address goes: this
 * long after such an event they are read again, but never for more than a tenth of the time.
 */
const ROUTES_AGAIN_MS = 20;
const ROUTES_SHARE = 10;
/** Pause before another attempt when reading everything anew failed. */
const RETRY_MS = 1000;

const addressKey = (row: AddressRow) => `${row.ifindex}/${row.address}/${row.prefixLength}`;
const routeKey = (row: RouteRow) =>
  `${row.table} ${row.type} ${row.prefix} ${row.ifindex} ${row.gateway} ${row.scope}`;

/** Makes the three tables; they wait for the source to be synced. */
export function netdevTables(db: Database): NetdevTables {
  const sources = [NETDEV_SOURCE];
  const byDevice = { device: (row: { readonly ifindex: number }) => [row.ifindex] };
  return {
    links: db.table<LinkRow>({ name: 'links', key: (row) => row.ifindex, sources }),
    addresses: db.table<AddressRow>({ name: 'addresses', key: addressKey, indexes: byDevice, sources }),
    routes: db.table<RouteRow>({ name: 'routes', key: routeKey, indexes: byDevice, sources }),
  };
}

function linkRow(link: Link): LinkRow {
  const { ifindex, name, type, flags, isUp, mtu, address, kind, master, masterKind, vlan } = link;
  // A parent in another namespace is a number that means another device here.
  const parent = link.parentNetnsId === -1 ? link.parent : 0;
  return { ifindex, name, type, flags, isUp, mtu, address, kind, master, masterKind, parent, vlan };
}

function addressRow({ ifindex, address, prefixLength, scope }: Address): AddressRow {
  return { ifindex, address, prefixLength, scope };
}

function isOurs({ table, type }: Route): boolean {
  return (table === TABLE_MAIN || table === TABLE_LOCAL) && TYPES.has(type);
}

/** One row a next hop. */
function routeRows({ family, prefix, nextHops, table, scope, type }: Route): readonly RouteRow[] {
  return nextHops.map(({ ifindex, gateway }) => ({ family, prefix, ifindex, gateway, table, scope, type }));
}

export interface NetdevOptions {
  readonly db: Database;
  readonly tables: NetdevTables;
  /** Namespace; default: the thread's own. Must stay open. */
  readonly netnsFd?: number;
  /** Bytes of the kernel's event queue; default 4 MiB. */
  readonly receiveBuffer?: number;
  /** Events were lost, or a listing failed (then with the error): everything is being read anew. */
  readonly onResync?: (error: MerlonError | undefined) => void;
  /** After trouble: everything has been read. */
  readonly onRead?: () => void;
}

/** Fills the tables from its construction on, until disposed; the first listing is done when it returns. */
export class NetdevSource implements Disposable {
  readonly #options: NetdevOptions;
  readonly #netlink;
  readonly #subscription: Disposable;
  #routesTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #resyncs = 0;
  #routesReadMs = 0;

  /** Errors: NETLINK_REQUEST. */
  constructor(options: NetdevOptions) {
    this.#options = options;
    using opened = new DisposableStack();
    const netns = options.netnsFd === undefined ? {} : { netnsFd: options.netnsFd };
    this.#netlink = opened.use(openNetlink(netns));
    const size = options.receiveBuffer === undefined ? {} : { receiveBuffer: options.receiveBuffer };
    this.#subscription = opened.use(
      this.#netlink.subscribe({
        groups: ['link', 'ipv4Address', 'ipv6Address', 'ipv4Route', 'ipv6Route'],
        onEvents: (events) => this.#apply(events),
        onOverrun: () => this.#overrun(),
        ...size,
      }),
    );
    this.#readAll();
    opened.move();
  }

  /** How often events were lost and everything was read anew. */
  get resyncs(): number {
    return this.#resyncs;
  }

  #readAll(): void {
    const { db, tables } = this.#options;
    const links = this.#netlink.links().map(linkRow);
    const addresses = this.#netlink.addresses().map(addressRow);
    const routes = this.#routes();
    db.write((txn) => {
      tables.links.replace(txn, links, NETDEV_SOURCE);
      tables.addresses.replace(txn, unique(addresses, addressKey), NETDEV_SOURCE);
      tables.routes.replace(txn, unique(routes, routeKey), NETDEV_SOURCE);
      for (const table of [tables.links, tables.addresses, tables.routes]) {
        table.source(NETDEV_SOURCE).markSynced(txn);
      }
    });
  }

  #routes(): readonly RouteRow[] {
    return [TABLE_MAIN, TABLE_LOCAL].flatMap((table) =>
      this.#netlink.routes(table).filter(isOurs).flatMap(routeRows),
    );
  }

  #overrun(): void {
    this.#resyncs++;
    this.#options.onResync?.(undefined);
    this.#retrying(() => this.#readAll());
  }

  /** A listing that fails is tried again; until then the tables keep what was known. */
  #retrying(read: () => void): void {
    const isAllDue = this.#retryTimer !== undefined;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    try {
      if (isAllDue) this.#readAll();
      else read();
      this.#options.onRead?.();
    } catch (e) {
      if (!(e instanceof MerlonError)) throw e;
      this.#options.onResync?.(e);
      this.#retryTimer = setTimeout(() => this.#retrying(() => this.#readAll()), RETRY_MS);
    }
  }

  #apply(events: readonly NetlinkEvent[]): void {
    let areRoutesDoubtful = false;
    this.#options.db.write((txn) => {
      for (const event of events) {
        if (this.#applyOne(txn, event)) areRoutesDoubtful = true;
      }
    });
    if (!areRoutesDoubtful) return;
    const delayMs = Math.max(ROUTES_AGAIN_MS, ROUTES_SHARE * this.#routesReadMs);
    this.#routesTimer ??= setTimeout(() => this.#readRoutes(), delayMs);
  }

  #readRoutes(): void {
    this.#routesTimer = undefined;
    this.#retrying(() => {
      const startMs = this.#options.db.clock.nowMs();
      const routes = this.#routes();
      this.#routesReadMs = this.#options.db.clock.nowMs() - startMs;
      this.#options.db.write((txn) =>
        this.#options.tables.routes.replace(txn, unique(routes, routeKey), NETDEV_SOURCE),
      );
    });
  }

  /** Whether routes may have gone without a word. */
  #applyOne(txn: Txn, event: NetlinkEvent): boolean {
    const { links, addresses, routes } = this.#options.tables;
    switch (event.kind) {
      case 'link': {
        const { ifindex } = event.row;
        if (!event.isGone) {
          const before = links.get(ifindex);
          links.putIfChanged(txn, linkRow(event.row));
          return before?.isUp === true && !event.row.isUp;
        }
        links.delete(txn, ifindex);
        for (const row of [...addresses.by('device', ifindex)]) addresses.delete(txn, addressKey(row));
        for (const row of [...routes.by('device', ifindex)]) routes.delete(txn, routeKey(row));
        return true;
      }
      case 'address':
        if (event.isGone) addresses.delete(txn, addressKey(addressRow(event.row)));
        else addresses.putIfChanged(txn, addressRow(event.row));
        return event.isGone && event.row.family === 4;
      case 'route':
        for (const row of isOurs(event.row) ? routeRows(event.row) : []) {
          if (event.isGone) routes.delete(txn, routeKey(row));
          else routes.putIfChanged(txn, row);
        }
        // Two routes that differ only in their metric are one row here: read what is left of them.
        return event.isGone;
      default:
        return false;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#routesTimer);
    clearTimeout(this.#retryTimer);
    this.#subscription[Symbol.dispose]();
    this.#netlink[Symbol.dispose]();
  }
}

/** Routes that differ in what a row does not tell (metric, preferred source) are one row. */
function unique<R>(rows: readonly R[], key: (row: R) => string): Iterable<R> {
  return new Map(rows.map((row) => [key(row), row])).values();
}
