/** `merlon policy show`: the documents of one generation, as a file that can be enforced again. */
import { policyTitle } from '#model';
import { printPolicy } from '#model/parse';
import { keeperOf } from '../generations.ts';
import type { Run } from '../verb.ts';

export const run: Run = async (context, [name = 'previous'], options) => {
  const keeper = await keeperOf(context, options);
  const { generation, enforcedAt, policies, facts, config } = await keeper.named(name);
  const sorted = [...policies].sort((a, b) => (a.key < b.key ? -1 : 1));
  const view = {
    generation,
    enforcedAt,
    config,
    policies: sorted.map((policy) => ({
      kind: policy.kind,
      name: policyTitle(policy),
      file: policy.at.file,
      line: policy.at.line,
      document: printPolicy(policy),
    })),
    cidrGroups: facts.cidrGroups.map(({ name: group, cidrs }) => ({ name: group, cidrs })),
  };
  await context.output.value(view, () =>
    [
      `# generation ${generation}, enforced at ${enforcedAt}: ${policies.length} ${policies.length === 1 ? 'policy' : 'policies'}\n`,
      // One that is switched off says nothing, which no document can.
      ...sorted
        .filter(({ specs }) => specs.length > 0)
        .map(
          (policy) => `# ${policy.at.file ?? policy.source}:${policy.at.line ?? 1}\n${printPolicy(policy)}`,
        ),
    ].join('---\n'),
  );
};
