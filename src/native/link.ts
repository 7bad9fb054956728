/** Attaching programs, pins, ids. Everything here is of the calling thread's network namespace. */
import { addon, type Fd, type LinkInfo, type ProgInfo, type ProgQuery } from './addon.ts';

/** enum bpf_attach_type of include/uapi/linux/bpf.h, the entries used. */
export const ATTACH = {
  cgroupInetIngress: 0,
  cgroupInetEgress: 1,
  cgroupInetSockCreate: 2,
  cgroupInet4Connect: 10,
  cgroupInet6Connect: 11,
  traceIter: 28,
  xdp: 37,
  tcxIngress: 46,
  tcxEgress: 47,
} as const;

/** BPF_F_* of link creation. */
export const LINK_FLAG = {
  replace: 1 << 2,
  before: 1 << 3,
  after: 1 << 4,
  /** `relative` is an id, not a descriptor. */
  id: 1 << 5,
  /** `relative` is a link, not a program. */
  link: 1 << 13,
} as const;

/** XDP_FLAGS_* of XDP links. */
export const XDP_FLAG = { updateIfNoExist: 1, generic: 2, native: 4, offload: 8 } as const;

/** How a link is made, beyond program, target and attach type. */
export interface LinkOptions {
  /** LINK_FLAG for tcx, XDP_FLAG for XDP. */
  readonly flags?: number;
  /** tcx: the neighbour that `before` or `after` means; absent: first or last of all. */
  readonly relative?: number;
  /** tcx: fail with `ESTALE` when the hook has changed since this revision of {@link progQuery}. */
  readonly expectedRevision?: bigint;
  /** Element iterators: the map to walk. */
  readonly iterMapFd?: Fd;
}

/**
 * Attaches a program by a link. `target` is an ifindex (tcx, XDP), a descriptor (cgroup) or 0 (iterator).
 * The link detaches when its last descriptor and pin are gone. Errors: `ENODEV` (XDP: `EINVAL`), `EBUSY` (XDP
 * has one already), `EEXIST` (tcx has this very program), `EINVAL` (unknown attach type: no tcx before 6.6),
 * `ERANGE`, `ESTALE`.
 */
export function linkCreate(progFd: Fd, target: number, attachType: number, opts: LinkOptions = {}): Fd {
  const { flags = 0, relative, expectedRevision, iterMapFd } = opts;
  return addon().linkCreate(progFd, target, attachType, flags, relative, expectedRevision, iterMapFd);
}

/**
 * Replaces a link's program in place: each packet meets the old or the new, never neither. Waits for RCU
 * (milliseconds) on tcx and XDP. With `oldProgFd` only where that is the present one (`EPERM` else). A hook
 * takes a program once, so a tcx link refuses one that another link has there (`EEXIST`).
 */
export function linkUpdate(linkFd: Fd, newProgFd: Fd, oldProgFd?: Fd): void {
  addon().linkUpdate(linkFd, newProgFd, oldProgFd);
}

/** Detaches now, whoever else holds the link or its pin. Errors: `EOPNOTSUPP` (iterators). */
export function linkDetach(linkFd: Fd): void {
  addon().linkDetach(linkFd);
}

/** What the kernel knows of the link behind a descriptor. */
export function linkInfo(fd: Fd): LinkInfo {
  return addon().linkInfo(fd);
}

/** What the kernel knows of the program behind a descriptor. */
export function progInfo(fd: Fd): ProgInfo {
  return addon().progInfo(fd);
}

/**
 * The programs of a hook, whoever attached them (at most 64). Link ids are told of tcx only. Errors:
 * `EINVAL` for hooks the kernel has not; XDP is told by netlink, not here.
 */
export function progQuery(target: number, attachType: number, flags = 0): ProgQuery {
  const isTcx = attachType === ATTACH.tcxIngress || attachType === ATTACH.tcxEgress;
  return addon().progQuery(target, attachType, flags, isTcx);
}

/** One side of clsact. */
export type TcSide = 'ingress' | 'egress';

/** Where among the filters of a side. Lower priorities run first. */
export interface TcPlace {
  readonly priority: number;
  readonly handle: number;
}

/**
 * Attaches by clsact (kernels before 6.6): makes the qdisc where it is missing, replaces the filter in
 * place where there is one of this priority and handle. A filter outlives the process. Returns the id of
 * the program. Errors: `ENODEV`, `EPERM`.
 */
export function tcAttach(ifindex: number, side: TcSide, progFd: Fd, place: TcPlace): number {
  return addon().tcAttach(ifindex, side === 'ingress', progFd, place.priority, place.handle);
}

/** Removes that filter; false when there was none. The qdisc stays: others may use it. */
export function tcDetach(ifindex: number, side: TcSide, place: TcPlace): boolean {
  return addon().tcDetach(ifindex, side === 'ingress', place.priority, place.handle);
}

/** Id of that filter's program; 0 when there is none. */
export function tcQuery(ifindex: number, side: TcSide, place: TcPlace): number {
  return addon().tcQuery(ifindex, side === 'ingress', place.priority, place.handle);
}

/** Pins a map, program or link in a bpffs. Errors: `EEXIST`, `EPERM` (a dot in the name, or not a bpffs). */
export function objPin(fd: Fd, path: string): void {
  addon().objPin(fd, path);
}

/** Opens a pin. Errors: `ENOENT`, `EPERM`. Flags: BPF_F_RDONLY 8, BPF_F_WRONLY 16 (maps only). */
export function objGet(path: string, flags = 0): Fd {
  return addon().objGet(path, flags);
}

/** Ids of all maps of the machine. */
export function mapIds(): readonly number[] {
  return addon().mapIds();
}

/** Ids of all programs of the machine. */
export function progIds(): readonly number[] {
  return addon().progIds();
}

/** Ids of all links of the machine. */
export function linkIds(): readonly number[] {
  return addon().linkIds();
}

/** Opens a map, program or link by its id. Errors: `ENOENT` (gone meanwhile), `EPERM`. */
export function fdById(kind: 'map' | 'prog' | 'link', id: number): Fd {
  switch (kind) {
    case 'map':
      return addon().mapById(id);
    case 'prog':
      return addon().progById(id);
    case 'link':
      return addon().linkById(id);
  }
}
