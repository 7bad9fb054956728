/**
 * Where our programs hang. tcx (6.6 and later): a link each, pinned as `links/<hook>_<ifindex>`; first of all
 * at ingress, last of all at egress. Before 6.6 clsact with a fixed priority and handle. XDP: a link, too. A
 * start adopts what is pinned and replaces its program in place; copies of ours that no pin holds are
 * detached. Ours are those whose read-only data has our instance id, never those with a certain name.
 */
import { existsSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { MerlonError } from '#kit/errors';
import {
  ATTACH,
  closeFd,
  fdById,
  LINK_FLAG,
  linkCreate,
  linkDetach,
  linkInfo,
  linkUpdate,
  mapInfo,
  mapLookup,
  objPin,
  progInfo,
  progQuery,
  tcAttach,
  tcDetach,
  tcQuery,
  XDP_FLAG,
  type Fd,
} from '#native';
import type { Program } from './load.ts';
import { getPin, withPin } from './pins.ts';

export type Hook = 'ingress' | 'egress' | 'xdp';

/** What hangs where, for people. */
export interface Attached {
  readonly ifindex: number;
  readonly hook: string;
  readonly program: string;
  readonly programId: number;
  /** 0 where there is no link (clsact). */
  readonly linkId: number;
  readonly tag: string;
}

const ATTACH_TYPE = { ingress: ATTACH.tcxIngress, egress: ATTACH.tcxEgress, xdp: ATTACH.xdp } as const;
/** First of all filters at ingress, behind all usual ones at egress; the handle spells `ml`. */
const TC_PLACE = {
  ingress: { priority: 1, handle: 0x6d6c },
  egress: { priority: 0xc000, handle: 0x6d6c },
} as const;

const isGone = (e: unknown) => ['ENODEV', 'ENOENT', 'ENOLINK'].includes((e as { code?: string }).code ?? '');

export class Attachments {
  readonly #folder: string;
  readonly #instanceId: bigint;
  readonly #attached = new Map<string, Attached>();
  readonly hasTcx: boolean;

  constructor(bpfRoot: string, instanceId: bigint, hasTcx: boolean) {
    this.#folder = `${bpfRoot}/links`;
    this.#instanceId = instanceId;
    this.hasTcx = hasTcx;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** What this process has attached or adopted on a device and still hangs there. */
  on(ifindex: number): readonly Attached[] {
    const hooks = ['ingress', 'egress', 'xdp'] as const;
    return hooks.flatMap((hook) => {
      const attached = this.#attached.get(`${hook}_${ifindex}`);
      return attached !== undefined && this.isAttached(ifindex, hook) ? [attached] : [];
    });
  }

  /** Interfaces that pins are named for. */
  pinned(): { readonly hook: Hook; readonly ifindex: number }[] {
    return linkPins(this.#folder);
  }

  /** Makes this program hang at that hook; one that hangs there already is replaced without a gap. */
  attach(ifindex: number, hook: Hook, program: Program, xdpMode: 'native' | 'generic' = 'native'): void {
    try {
      const linkId =
        hook === 'xdp' || this.hasTcx
          ? this.#attachLink(ifindex, hook, program, xdpMode)
          : this.#attachFilter(ifindex, hook, program);
      this.#attached.set(`${hook}_${ifindex}`, {
        ifindex,
        hook: hook === 'xdp' ? 'xdp' : `${this.hasTcx ? 'tcx' : 'clsact'} ${hook}`,
        program: program.name,
        programId: program.info.id,
        linkId,
        tag: program.info.tag,
      });
    } catch (cause) {
      if (cause instanceof MerlonError) throw cause;
      const reason = (cause as Error).message;
      throw new MerlonError(
        'KERNEL_ATTACH',
        `${program.name} cannot be attached to device ${ifindex}: ${reason}`,
        { cause },
      );
    }
  }

  #attachLink(ifindex: number, hook: Hook, program: Program, xdpMode: 'native' | 'generic'): number {
    const path = `${this.#folder}/${hook}_${ifindex}`;
    let fd = getPin(path);
    if (fd !== undefined && linkInfo(fd).ifindex !== ifindex) {
      // The device is gone, and another has its number now.
      closeFd(fd);
      unlinkSync(path);
      fd = undefined;
    }
    if (fd !== undefined) linkUpdate(fd, program.fd);
    else {
      const flags =
        hook === 'xdp' ? XDP_FLAG[xdpMode] : hook === 'ingress' ? LINK_FLAG.before : LINK_FLAG.after;
      fd = linkCreate(program.fd, ifindex, ATTACH_TYPE[hook], { flags });
      pinOrClose(fd, path);
    }
    const { id } = linkInfo(fd);
    closeFd(fd);
    if (hook !== 'xdp') this.#detachDuplicates(ifindex, hook, id);
    return id;
  }

  #attachFilter(ifindex: number, hook: 'ingress' | 'egress', program: Program): number {
    const place = TC_PLACE[hook];
    const present = tcQuery(ifindex, hook, place);
    if (present !== 0 && !this.isOurs(present))
      throw new MerlonError(
        'KERNEL_ATTACH',
        `another program has our place among the filters of device ${ifindex}`,
      );
    tcAttach(ifindex, hook, program.fd, place);
    return 0;
  }

  /** Links of ours on this hook that are not the pinned one. */
  #detachDuplicates(ifindex: number, hook: 'ingress' | 'egress', linkId: number): void {
    for (const found of progQuery(ifindex, ATTACH_TYPE[hook]).programs) {
      if (found.linkId === 0 || found.linkId === linkId || !this.isOurs(found.progId)) continue;
      const fd = fdById('link', found.linkId);
      linkDetach(fd);
      closeFd(fd);
    }
  }

  /** Does our pinned link, or filter, still hang there? */
  isAttached(ifindex: number, hook: Hook): boolean {
    if (hook !== 'xdp' && !this.hasTcx) {
      const present = tcQuery(ifindex, hook, TC_PLACE[hook]);
      return present !== 0 && this.isOurs(present);
    }
    const fd = getPin(`${this.#folder}/${hook}_${ifindex}`);
    return fd !== undefined && withFd(fd, (link) => linkInfo(link).ifindex === ifindex);
  }

  /** Ids of our programs that hang on a device, whichever process attached them. */
  programsOn(ifindex: number): readonly number[] {
    const filters = this.hasTcx
      ? []
      : (['ingress', 'egress'] as const)
          .map((side) => tcQuery(ifindex, side, TC_PLACE[side]))
          .filter((id) => id !== 0 && this.isOurs(id));
    const links = this.pinned()
      .filter((pin) => pin.ifindex === ifindex)
      .map(({ hook }) => withPin(`${this.#folder}/${hook}_${ifindex}`, linkInfo))
      .flatMap((link) => (link === undefined || link.ifindex !== ifindex ? [] : [link.progId]));
    return [...filters, ...links];
  }

  /** Takes our program off; false when there was none. */
  detach(ifindex: number, hook: Hook): boolean {
    this.#attached.delete(`${hook}_${ifindex}`);
    if (detachPin(`${this.#folder}/${hook}_${ifindex}`)) return true;
    if (hook === 'xdp' || this.hasTcx) return false;
    return detachFilter(ifindex, hook, (id) => this.isOurs(id));
  }

  /** Has this program our instance id in its read-only data? */
  isOurs(progId: number): boolean {
    return isOfInstance(progId, this.#instanceId);
  }

  /** Programs of others on this hook: what hangs there and is not ours. */
  others(ifindex: number, hook: 'ingress' | 'egress'): readonly string[] {
    if (!this.hasTcx) return [];
    return progQuery(ifindex, ATTACH_TYPE[hook])
      .programs.filter((p) => !this.isOurs(p.progId))
      .map((p) => withFd(fdById('prog', p.progId), (fd) => progInfo(fd).name));
  }
}

/** Pins under `links/`, whatever state their devices are in. */
export function linkPins(folder: string): { readonly hook: Hook; readonly ifindex: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const match = /^(ingress|egress|xdp)_(\d+)$/.exec(name);
    return match === null ? [] : [{ hook: match[1] as Hook, ifindex: Number(match[2]) }];
  });
}

/** Detaches a pinned link and removes the pin; false when there is none. */
export function detachPin(path: string): boolean {
  const fd = getPin(path);
  if (fd === undefined) return false;
  try {
    linkDetach(fd);
  } catch (e) {
    if (!isGone(e)) throw e;
  } finally {
    closeFd(fd);
  }
  unlinkSync(path);
  return true;
}

/** Removes our filter of a side; false when there is none or it is another's. */
export function detachFilter(
  ifindex: number,
  side: 'ingress' | 'egress',
  isOurs: (progId: number) => boolean,
): boolean {
  try {
    const present = tcQuery(ifindex, side, TC_PLACE[side]);
    return present !== 0 && isOurs(present) && tcDetach(ifindex, side, TC_PLACE[side]);
  } catch (e) {
    if (isGone(e)) return false;
    throw e;
  }
}

/** True when the program's read-only data holds this instance id at a multiple of 8. */
export function isOfInstance(progId: number, instanceId: bigint): boolean {
  return withFd(fdById('prog', progId), (fd) =>
    progInfo(fd).mapIds.some((id) =>
      withFd(fdById('map', id), (map) => {
        const { name, valueSize, maxEntries, type } = mapInfo(map);
        if (type !== 2 || maxEntries !== 1 || !name.endsWith('.rodata')) return false;
        const words = new BigUint64Array(Math.ceil(valueSize / 8));
        return mapLookup(map, new Uint32Array(1), words) && words.includes(instanceId);
      }),
    ),
  );
}

/** Can programs be attached by tcx here? Asked of the loopback device, without attaching anything. */
export function probeTcx(): boolean {
  try {
    progQuery(1, ATTACH.tcxIngress);
    return true;
  } catch {
    return false;
  }
}

function withFd<T>(fd: Fd, fn: (fd: Fd) => T): T {
  try {
    return fn(fd);
  } finally {
    closeFd(fd);
  }
}

function pinOrClose(fd: Fd, path: string): void {
  try {
    objPin(fd, path);
  } catch (e) {
    closeFd(fd);
    throw e;
  }
}
