/** Who may write what configures a firewall: root and the agent's own user, nobody else (HF-11.2). */
import type { FileStat } from './filesystem.ts';

/** User and group that the agent runs as. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const WRITE_GROUP = 0o020;
const WRITE_OTHER = 0o002;
const STICKY = 0o1000;

/** Why a file or directory is not trusted, with the remedy; undefined when it is. */
export function trustFault(
  path: string,
  stat: FileStat,
  agent: Owner,
): { readonly message: string; readonly hint: string } | undefined {
  if (stat.uid !== 0 && stat.uid !== agent.uid) {
    return { message: `${path} belongs to user ${stat.uid}, not to root`, hint: `chown root ${path}` };
  }
  // In a sticky directory nobody can touch the files of others.
  if (stat.kind === 'directory' && (stat.mode & STICKY) !== 0) return undefined;
  if ((stat.mode & WRITE_OTHER) !== 0) {
    return { message: `everybody can write ${path}`, hint: `chmod o-w ${path}` };
  }
  const isOwnGroup = stat.gid === 0 || stat.gid === agent.gid;
  if ((stat.mode & WRITE_GROUP) !== 0 && !isOwnGroup) {
    return { message: `the group ${stat.gid} can write ${path}`, hint: `chmod g-w ${path}` };
  }
  return undefined;
}
