/** `merlon hostfw mode`: what the host firewall does with what policy refuses, of both directions or of one. */
import { call, type HostfwModeView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { type Run, text } from '../verb.ts';

export const run: Run = async (context, [mode], options) => {
  const direction = text(options, 'direction');
  if (mode === undefined && direction !== undefined) {
    throw new MerlonError('USAGE', `--direction ${direction} needs a mode: enforce or audit`);
  }
  const view =
    mode === undefined
      ? await call<HostfwModeView>('/v1/hostfw/mode', context)
      : await call<HostfwModeView>('/v1/hostfw/mode', {
          ...context,
          method: 'POST',
          body: { mode, ...(direction === undefined ? {} : { direction }) },
        });
  await context.output.value(view, () => sentence(view));
};

function sentence({ mode, origin, direction, policyAuditMode }: HostfwModeView): string {
  const { ingress, egress } = direction;
  const all = policyAuditMode ? '; policy-audit-mode is on' : '';
  return `${mode} (${origin}); ingress ${ingress}, egress ${egress}${all}\n`;
}
