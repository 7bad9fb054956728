/** Tables that change together, and what follows from a change: derivations in their order, then listeners. */
import type { Clock } from '#kit/clock';
import type { IndexFn } from './store.ts';
import { misuse, Store } from './store.ts';
import type { AnyTable, Scheduler, TableSpec } from './table.ts';
import { Table } from './table.ts';
import { Txn } from './txn.ts';

/** A step of the data flow: runs when an input changed, and may write its output. */
export interface Step {
  readonly name: string;
  readonly inputs: readonly AnyTable[];
  readonly output: AnyTable;
  run(): void;
}

/** How a database works. */
export interface DatabaseOptions {
  readonly clock: Clock;
  /** Freezes rows on their way in; for tests and development. */
  readonly validate?: boolean;
}

/** A set of tables with one revision counter and one writer at a time. */
export class Database {
  readonly clock: Clock;
  readonly #validate: boolean;
  readonly #tables = new Map<string, Table<unknown>>();
  readonly #known = new Set<unknown>();
  readonly #scheduler: Scheduler;
  /** In an order in which no step comes before one whose output it reads. */
  #steps: readonly Step[] = [];
  readonly #dueSteps = new Set<Step>();
  readonly #touched = new Set<AnyTable>();
  #revision = 0;
  #txn: Txn | undefined;
  #isScheduled = false;
  #isFlushing = false;

  constructor({ clock, validate = false }: DatabaseOptions) {
    this.clock = clock;
    this.#validate = validate;
    this.#scheduler = {
      touched: (table) => this.#touch(table),
      assertReadable: () => {
        if (this.#txn !== undefined) throw misuse('changes cannot be read inside a transaction');
      },
    };
  }

  /** Revision of the last commit that changed something. */
  get revision(): number {
    return this.#revision;
  }

  /** The tables, in the order of their making. */
  tables(): Iterable<Table<unknown>> {
    return this.#tables.values();
  }

  /** The table of this name. */
  getTable(name: string): Table<unknown> | undefined {
    return this.#tables.get(name);
  }

  /** Makes a table; its name must be new. */
  table<R>(spec: TableSpec<R>): Table<R> {
    if (this.#tables.has(spec.name)) throw misuse(`there are two tables named ${spec.name}`);
    const { owner } = spec;
    const indexes: IndexFn<R>[] = Object.values(spec.indexes ?? {});
    if (owner !== undefined) indexes.push((row) => [owner(row)]); // the one after the named ones
    const table = new Table(spec, new Store(indexes), this.#scheduler);
    this.#tables.set(spec.name, table as unknown as Table<unknown>);
    this.#known.add(table);
    return table;
  }

  /**
   * Runs `fn` with a transaction and commits it; if `fn` throws, nothing has happened. `fn` is synchronous,
   * and no other transaction can begin inside it: that is all the locking there is.
   */
  write<T>(fn: (txn: Txn) => T): T {
    if (this.#txn !== undefined) throw misuse('a transaction is open already');
    const txn = new Txn(this.#revision + 1, this.#known, this.#validate);
    this.#txn = txn;
    let result: T;
    try {
      result = fn(txn);
      if (result instanceof Promise) {
        result.catch(() => {}); // it fails on the closed transaction; the misuse below is the news
        throw misuse('a transaction must not wait');
      }
    } catch (e) {
      txn.rollback();
      throw e;
    } finally {
      this.#txn = undefined;
    }
    const changed = txn.commit();
    if (changed.length > 0) this.#revision = txn.revision;
    txn.committed();
    for (const table of changed) this.#touch(table);
    return result;
  }

  #touch(table: AnyTable): void {
    this.#touched.add(table);
    for (const step of this.#steps) if (step.inputs.includes(table)) this.#dueSteps.add(step);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isFlushing) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Adds a step and has it run once. A circle of steps is refused. */
  addStep(step: Step): Disposable {
    this.#steps = inOrder([...this.#steps, step]);
    this.#dueSteps.add(step);
    this.#schedule();
    return {
      [Symbol.dispose]: () => {
        this.#steps = this.#steps.filter((s) => s !== step);
        this.#dueSteps.delete(step);
      },
    };
  }

  /**
   * Runs what is due now instead of in the next microtask: each derivation at most once, after those it
   * reads from, so that none ever sees half of a change; then the listeners; again, if those wrote. What a
   * listener throws comes out of here when all is done: a defect, not an outcome.
   */
  flush(): void {
    if (this.#isFlushing) return;
    if (this.#txn !== undefined) throw misuse('flush inside a transaction');
    this.#isFlushing = true;
    const errors: unknown[] = [];
    try {
      while (this.#dueSteps.size > 0 || this.#touched.size > 0) {
        for (const step of this.#steps) if (this.#dueSteps.delete(step)) step.run();
        const touched = [...this.#touched];
        this.#touched.clear();
        for (const table of touched) notify(table as Table<unknown>, errors);
      }
    } finally {
      this.#isFlushing = false;
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** One listener's failure must not keep the news from the others. */
function notify(table: Table<unknown>, errors: unknown[]): void {
  for (const listener of table.listeners()) {
    try {
      listener();
    } catch (e) {
      errors.push(e);
    }
  }
}

/** Sorts steps so that each comes after those whose outputs it reads. */
function inOrder(steps: readonly Step[]): readonly Step[] {
  const sorted: Step[] = [];
  const visiting = new Set<Step>();
  const visit = (step: Step) => {
    if (sorted.includes(step)) return;
    if (visiting.has(step)) throw misuse(`derivation ${step.name} depends on its own output`);
    visiting.add(step);
    for (const other of steps) if (step.inputs.includes(other.output)) visit(other);
    visiting.delete(step);
    sorted.push(step);
  };
  for (const step of steps) visit(step);
  return sorted;
}
