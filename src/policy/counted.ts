/** Values by key, each as often as it was added: what several rows ask for is there until the last one goes. */
export class Counted<V> {
  readonly #of = new Map<string, { readonly value: V; count: number }>();

  get isEmpty(): boolean {
    return this.#of.size === 0;
  }

  get(key: string): V | undefined {
    return this.#of.get(key)?.value;
  }

  has(key: string): boolean {
    return this.#of.has(key);
  }

  /** Whether it is the first with this key, whose value stays. */
  add(key: string, value: V): boolean {
    const known = this.#of.get(key);
    if (known === undefined) this.#of.set(key, { value, count: 1 });
    else known.count++;
    return known === undefined;
  }

  /** Whether it was the last with this key. */
  remove(key: string): boolean {
    const known = this.#of.get(key);
    if (known === undefined || --known.count > 0) return false;
    return this.#of.delete(key);
  }

  *entries(): Iterable<readonly [key: string, value: V]> {
    for (const [key, { value }] of this.#of) yield [key, value];
  }
}
