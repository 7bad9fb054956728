/**
 * Files as a source. Manifest directories → rows of policies and workloads, with the status of every file and
 * object; configuration files → NodeConfig.
 * Invariants: only a set that was read twice alike is judged; a set with a problem changes nothing (or, with
 * `perFile`, nothing of the file that has it); an empty or vanished directory never opens what was closed; the
 * tables are not synced before a set was accepted, unless nothing was enforced when the agent started.
 */
export { type ConfigFilesOptions, loadNodeConfig, readConfigTexts } from './config.ts';
export { type FileName, type FileStat, type FileSystem, nodeFileSystem } from './filesystem.ts';
export {
  ManifestSource,
  type ManifestSettings,
  type ManifestSourceOptions,
  type ManifestTables,
} from './source.ts';
export {
  formatProblem,
  type ManifestFileRow,
  type ManifestObjectRow,
  type ManifestsStatus,
  statusText,
} from './status.ts';
export type { Owner } from './trust.ts';
