/**
 * Tables: where all state lives. Sources put rows in, compilers derive rows from rows, reconcilers make the
 * world equal to rows.
 *
 *   source ──put/delete/replace──▶ Table ──derive──▶ Table ──reconcile──▶ kernel
 *                                    │ changes, watch, by(index)
 *                                    ▼
 *                                 readers
 *
 * Invariants:
 * - Rows are immutable; to change one, put another with its key. Who holds a row keeps what was read.
 * - Writing needs `Database.write`: one writer at a time, any number of tables, all or nothing. Each commit
 *   has one revision, the same for every row it touched; revisions only grow.
 * - A deletion stays visible to a change iterator until that iterator has seen it.
 * - Derivations run in the order of the data flow, each after all it reads from; none runs before its inputs
 *   are synced. Listeners run after derivations. Both in one microtask after a commit, or at `flush`.
 * - The clock is passed in; nothing here looks at the time, waits or logs by itself.
 *
 * Rows in: whatever a source says. Rows out: the same, with revisions. Errors: misuse is `INTERNAL`.
 */
export type { Clock, FakeClock } from '#kit/clock';
export { fakeClock, systemClock } from '#kit/clock';
export { deepEqual } from '#kit/equal';
export type { Change, ChangeIterator } from './changes.ts';
export { Database, type DatabaseOptions } from './database.ts';
export { type Derivation, type DeriveOptions, type DeriveStatus, derive } from './derive.ts';
export { type DeriveEachOptions, deriveEach } from './derive-each.ts';
export { dumpDatabase, dumpTable, rowText } from './dump.ts';
export {
  type BatchOperations,
  type Failures,
  type Problem,
  type ReconcileOptions,
  type Reconciler,
  type ReconcileSummary,
  type RowOperations,
  type RowStatus,
  reconcile,
} from './reconcile.ts';
export type { IndexFn, Key } from './store.ts';
export type { AnyTable, Source, Table, TableSpec } from './table.ts';
export type { Txn } from './txn.ts';
