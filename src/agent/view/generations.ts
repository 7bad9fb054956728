/** The generations that are kept, as `merlon policy history` shows them. */
import type { GenerationView } from '#api';
import { type Generation, policyChanges } from '#cases';
import { type Policy, policyTitle } from '#model';
import type { ViewContext } from './context.ts';

export async function generationViews({ generations }: ViewContext): Promise<readonly GenerationView[]> {
  const views: GenerationView[] = [];
  let before: readonly Policy[] | undefined;
  for await (const generation of generations.all()) {
    views.push(generationView(generation, before, generation.generation === generations.active));
    before = generation.policies;
  }
  return views.toReversed();
}

function generationView(
  { generation, enforcedAt, policies }: Generation,
  before: readonly Policy[] | undefined,
  active: boolean,
): GenerationView {
  return {
    generation,
    enforcedAt,
    active,
    policies: policies.length,
    ...(before === undefined ? {} : { changes: policyChanges(before, policies, policyTitle) }),
  };
}
