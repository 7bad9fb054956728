/** `merlon policy status`: active generation, mode, and what each policy selects. */
import { call, type PolicyStatusView } from '#api/client';
import type { Run } from '../verb.ts';
import { policyTable } from './policy-get.ts';

export const run: Run = async (context) => {
  const view = await call<PolicyStatusView>('/v1/policy/status', context);
  await context.output.value(view, () => {
    const { ingress, egress } = view.direction;
    const head = `generation ${view.generation}, mode ${view.mode}; the node: ingress ${ingress}, egress ${egress}\n`;
    return view.policies.length === 0
      ? `${head}no policies\n`
      : `${head}\n${policyTable(context.output, view.policies)}`;
  });
};
