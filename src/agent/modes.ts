/**
 * What verbs have set and no file says: the mode of the host firewall, its directions in audit, and audit of
 * everything (HF-5.4). It is stronger than the files and outlives restart and reboot; a verb that says what the
 * files say takes its word back. Endpoints keep their own setting in their records.
 *
 * Of two verbs that contradict each other the last one counts, as in the reference: `config PolicyAuditMode=…`
 * speaks of everything, so what was set for parts before it ends.
 */
import { join } from 'node:path';
import type { HostMode } from '#datapath';
import { type StateFile, stateFile } from '#endpoint';
import { MerlonError } from '#kit/errors';
import type { Direction } from '#model';
import type { NodeConfig } from '#model/config';

/** Set by verbs; what is absent is as the files have it. */
export interface Modes {
  readonly mode?: HostMode;
  /** Directions of the host that report and let pass, whatever the mode. */
  readonly audited: readonly Direction[];
  readonly policyAudit?: boolean;
}

export const NO_MODES: Modes = { audited: [] };
export const HOST_MODES: readonly HostMode[] = ['enforce', 'audit', 'failsafe', 'off'];
const BOTH_DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];

/** Where they are kept. */
export function modesFile(stateDir: string): StateFile<Modes> {
  return stateFile(join(stateDir, 'modes.json'), 1, modesOfFile);
}

function modesOfFile(content: unknown): Modes | undefined {
  const { mode, audited, policyAudit } = (content ?? {}) as Record<string, unknown>;
  const isMode = mode === undefined || HOST_MODES.includes(mode as HostMode);
  const isAudit = policyAudit === undefined || typeof policyAudit === 'boolean';
  const isList = Array.isArray(audited) && audited.every((d) => BOTH_DIRECTIONS.includes(d as Direction));
  if (!isMode || !isAudit || !isList) return undefined;
  return {
    audited: audited as readonly Direction[],
    ...(mode === undefined ? {} : { mode: mode as HostMode }),
    ...(policyAudit === undefined ? {} : { policyAudit }),
  };
}

const filesMode = ({ values }: NodeConfig): HostMode => values['hostfw.mode'] ?? 'enforce';
const filesAudit = ({ values }: NodeConfig): boolean => values['policy-audit-mode'] === true;

/** Whether everything is in audit that does not say otherwise of itself. */
export function isAuditEverywhere(config: NodeConfig, { policyAudit }: Modes): boolean {
  return policyAudit ?? filesAudit(config);
}

/** The mode of the host firewall; audit of everything covers it, unless a verb enforced it since. */
export function hostMode(config: NodeConfig, modes: Modes): HostMode {
  const files = filesMode(config);
  const isAudit = files === 'enforce' && isAuditEverywhere(config, modes);
  return modes.mode ?? (isAudit ? 'audit' : files);
}

/** After `hostfw mode MODE [--direction D]`. Without a direction it speaks of both. Error: USAGE. */
export function withMode(config: NodeConfig, modes: Modes, mode: HostMode, direction?: Direction): Modes {
  if (direction === undefined) return normal(config, { ...modes, mode, audited: [] });
  const now = hostMode(config, modes);
  if (mode !== 'audit' && mode !== 'enforce') {
    throw new MerlonError(
      'USAGE',
      `the mode "${mode}" is the whole node's; --direction goes with enforce and audit`,
    );
  }
  if (now !== 'audit' && now !== 'enforce') {
    throw new MerlonError('USAGE', `the mode is ${now}, in which no direction is judged by policy`, {
      hint: 'run `merlon hostfw mode enforce` or `merlon hostfw mode audit` first',
    });
  }
  const before = now === 'audit' ? BOTH_DIRECTIONS : modes.audited;
  const others = before.filter((d) => d !== direction);
  const audited = mode === 'audit' ? [...others, direction].sort() : others;
  return normal(config, { ...modes, mode: 'enforce', audited });
}

/** After `config PolicyAuditMode=…`. */
export function withPolicyAudit(config: NodeConfig, { mode }: Modes, isOn: boolean): Modes {
  const isOther = mode !== undefined && mode !== 'enforce' && mode !== 'audit';
  return normal(config, { audited: [], policyAudit: isOn, ...(isOther ? { mode } : {}) });
}

/** Without words that only repeat the files. */
function normal(config: NodeConfig, { mode, audited, policyAudit }: Modes): Modes {
  const isAudit = policyAudit === filesAudit(config) ? undefined : policyAudit;
  const kept = { audited, ...(isAudit === undefined ? {} : { policyAudit: isAudit }) };
  return mode === undefined || hostMode(config, kept) === mode ? kept : { ...kept, mode };
}
