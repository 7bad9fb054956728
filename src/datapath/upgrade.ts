/**
 * From the maps of another layout to this release's (HF-8.5): the new set is built beside the old one, whose
 * programs go on enforcing; once a policy stands in the new set each device's programs are replaced in one
 * step, and when no device runs the old ones any more their pins go. What the old flow tables knew is not
 * carried over: sockets tell of connections that are asked about.
 */
import { unlinkSync } from 'node:fs';
import { closeFd, fdById, mapInfo, progInfo } from '#native';
import { type MapPin, withPin } from './pins.ts';

export class Upgrade {
  #pins: readonly MapPin[];
  /** Ids of the maps behind the pins. */
  readonly #old: ReadonlySet<number>;
  readonly #onNotice: (sentence: string) => void;
  #isPolicyInPlace = false;

  /** `pins`: maps that are none of this release's set. */
  constructor(pins: readonly MapPin[], onNotice: (sentence: string) => void) {
    this.#pins = pins;
    this.#onNotice = onNotice;
    if (pins.length > 0)
      onNotice(
        `${pins.length} maps are of another release: its programs go on enforcing until a policy stands in the new ones`,
      );
    this.#old = new Set(pins.flatMap(({ path }) => withPin(path, (fd) => mapInfo(fd).id) ?? []));
  }

  /** Old pins are there still. */
  get isUnderWay(): boolean {
    return this.#pins.length > 0;
  }

  /** From now on devices may go over. */
  policyIsInPlace(): void {
    this.#isPolicyInPlace = true;
  }

  /** These programs enforce from the old set, and the new one has nothing to enforce yet. */
  mustWait(programs: Iterable<number>): boolean {
    return this.isUnderWay && !this.#isPolicyInPlace && this.#usesOld(programs);
  }

  /** Removes the old pins unless one of the attached programs still lives on them. */
  finish(attached: Iterable<number>): void {
    if (!this.isUnderWay || !this.#isPolicyInPlace || this.#usesOld(attached)) return;
    for (const { path } of this.#pins) unlinkSync(path);
    this.#onNotice(
      `no device runs the programs of the other release any more, and its ${this.#pins.length} maps are gone`,
    );
    this.#pins = [];
  }

  #usesOld(programs: Iterable<number>): boolean {
    for (const id of programs) {
      const fd = fdById('prog', id);
      const { mapIds } = progInfo(fd);
      closeFd(fd);
      if (mapIds.some((map) => this.#old.has(map))) return true;
    }
    return false;
  }
}
