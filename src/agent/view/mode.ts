/** `merlon hostfw mode`: what the host firewall does, who said so, and what that makes of each direction. */
import type { DirectionState, HostfwModeView } from '#api';
import type { Direction } from '#model';
import { isAuditEverywhere } from '../modes.ts';
import { configOf, modesOf } from '../tables.ts';
import type { ViewContext } from './context.ts';
import { directionState } from './endpoints.ts';

export function modeView(context: ViewContext): HostfwModeView {
  const { tables, datapath } = context;
  const config = configOf(tables);
  const modes = modesOf(tables);
  const at = config.entries.find(({ key }) => key === 'hostfw.mode')?.at;
  const files = at?.file === undefined ? 'default' : `${at.file}:${at.line ?? 1}`;
  return {
    mode: datapath.hostMode,
    origin: modes.mode === undefined ? files : 'merlon hostfw mode',
    policyAuditMode: isAuditEverywhere(config, modes),
    direction: { ingress: hostDirection(context, 'ingress'), egress: hostDirection(context, 'egress') },
  };
}

/** What becomes of a refusal in this direction of the host; `disabled` where no policy selects it. */
export function hostDirection({ loop, datapath }: ViewContext, direction: Direction): DirectionState {
  const compiled = loop.enforced?.compiled;
  return compiled === undefined
    ? 'disabled'
    : directionState(compiled, 'host', direction, datapath.hostMode === 'audit');
}
