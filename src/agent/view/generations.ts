/** The generations that are kept, as `merlon policy history` shows them. */
import type { GenerationView } from '#api';
import { type GenerationHead, historyOf } from '#cases';
import type { ViewContext } from './context.ts';

export async function generationViews({ generations }: ViewContext): Promise<readonly GenerationView[]> {
  const heads: GenerationHead[] = [];
  for await (const head of generations.all()) heads.push(head);
  return historyOf(heads, generations.active);
}
