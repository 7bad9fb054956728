/** The generations that are kept, as `merlon policy history` shows them. */
import type { GenerationView } from '#api';
import { type GenerationHead, policyChanges } from '#cases';
import type { ViewContext } from './context.ts';

export async function generationViews({ generations }: ViewContext): Promise<readonly GenerationView[]> {
  const views: GenerationView[] = [];
  let before: GenerationHead['policies'] | undefined;
  for await (const { generation, enforcedAt, policies } of generations.all()) {
    views.push({
      generation,
      enforcedAt,
      active: generation === generations.active,
      policies: policies.length,
      ...(before === undefined ? {} : { changes: policyChanges(before, policies) }),
    });
    before = policies;
  }
  return views.toReversed();
}
