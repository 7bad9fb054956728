/**
 * Derived tables: a compiler, which is pure, runs when one of its inputs changed, and its output table takes
 * over what differs, in one transaction. Nothing is derived before all inputs are synced; a compiler that
 * throws leaves the output as it was and its sentence in the status.
 */
import { errorMessage } from '#kit/errors';
import type { Database } from './database.ts';
import type { AnyTable, Table } from './table.ts';

/** How a derivation stands. */
export type DeriveStatus =
  | { readonly kind: 'waiting'; readonly unsynced: readonly string[] }
  | { readonly kind: 'done'; readonly revision: number; readonly durationMs: number }
  | { readonly kind: 'error'; readonly reason: string; readonly error: unknown; readonly revision: number };

/** A running derivation; disposing it ends the recomputing, the output stays. */
export interface Derivation extends Disposable {
  readonly name: string;
  readonly status: DeriveStatus;
}

/** What can be chosen. */
export interface DeriveOptions {
  /** Owner of the output rows, where other writers share the table; else the whole table is the derivation's. */
  readonly owner?: string;
  /** Told of each status that differs in kind or reason from the one before. */
  readonly onStatus?: (status: DeriveStatus) => void;
}

/** Keeps `output` equal to what `compile` makes of `inputs`. The output is unsynced until the first success. */
export function derive<R>(
  db: Database,
  inputs: readonly AnyTable[],
  compile: () => Iterable<R>,
  output: Table<R>,
  opts: DeriveOptions = {},
): Derivation {
  const { owner } = opts;
  const source = output.source(owner ?? 'derived');
  return addDerivation(db, inputs, output, opts, () => {
    const rows = [...compile()]; // outside the transaction: a compiler only reads
    db.write((txn) => {
      output.replace(txn, rows, owner);
      source.markSynced(txn);
    });
  });
}

/** What both kinds share: waiting for the inputs, status, errors. */
export function addDerivation(
  db: Database,
  inputs: readonly AnyTable[],
  output: AnyTable,
  { owner, onStatus }: DeriveOptions,
  build: () => void,
): Derivation {
  const name = owner === undefined ? output.name : `${output.name} (${owner})`;
  let status: DeriveStatus = { kind: 'waiting', unsynced: [] };
  const become = (next: DeriveStatus) => {
    const isNews = next.kind !== status.kind || (next.kind === 'error' && next.reason !== reasonOf(status));
    status = next;
    if (isNews) onStatus?.(next);
  };
  const run = () => {
    const unsynced = inputs.flatMap((table) => table.unsynced.map((s) => `${table.name}/${s}`));
    if (unsynced.length > 0) return become({ kind: 'waiting', unsynced });
    const startMs = db.clock.nowMs();
    const revision = db.revision; // of the inputs, whatever the output's own commit makes it
    try {
      build();
    } catch (error) {
      return become({ kind: 'error', reason: errorMessage(error), error, revision });
    }
    become({ kind: 'done', revision, durationMs: db.clock.nowMs() - startMs });
  };
  const step = db.addStep({ name, inputs, output, run });
  return {
    name,
    get status() {
      return status;
    },
    [Symbol.dispose]: () => step[Symbol.dispose](),
  };
}

function reasonOf(status: DeriveStatus): string | undefined {
  return status.kind === 'error' ? status.reason : undefined;
}
