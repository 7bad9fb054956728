/** `merlon policy selectors`: each selector, whose it is and whom it means now, on this node or in a world on paper. */
import { applied, documentsOf, type FlowWorld, type SelectorView, selectorsOf } from '#cases';
import type { Column } from '../output.ts';
import { place, shortPlace } from '../place.ts';
import { readObjects } from '../policy-files.ts';
import type { Context, Run } from '../verb.ts';
import { worldOf } from '../world.ts';
import { SHORT_KINDS } from './policy-get.ts';

/** Most of one list that a table shows. */
const MOST = 6;

const columns: readonly Column<SelectorView>[] = [
  { title: 'SELECTOR', cell: (s) => s.selector, short: shortSelector, wraps: true },
  {
    title: 'LABELS',
    cell: (s) => listed(s.labels.map(shortOwner)),
    short: (s) => listed(s.labels.map((owner) => owner.slice(owner.indexOf('/') + 1))),
    wraps: true,
  },
  { title: 'USERS', cell: (s) => `${s.users} ${s.role}${s.users === 1 ? '' : 's'}` },
  { title: 'IDENTITIES', cell: identitiesText, wraps: true },
  {
    title: 'WHERE',
    cell: (s) => places(s, place),
    short: (s) => places(s, shortPlace),
    wraps: true,
  },
];

export const run: Run = async (context, files, options) => {
  const world = await worldOf(context, options);
  const { asked, keys } =
    files.length === 0 ? { asked: world, keys: undefined } : await withFiles(context, world, files);
  const views = asked.views();
  const rows = views.flatMap((view) => selectorsOf(view, keys));
  const node: Column<SelectorView> = { title: 'NODE', cell: (s) => s.node };
  await context.output.rows(
    rows,
    views.length > 1 ? [node, ...columns] : columns,
    'no policies, no selectors',
  );
};

/** The world as it would be with the objects of these files, and the keys of their policies. */
async function withFiles({ signal }: Context, world: FlowWorld, files: readonly string[]) {
  const { policies, facts } = documentsOf(await readObjects(files, { ...world.parse, signal }));
  return {
    asked: world.with(applied(world.policies, policies), facts.cidrGroups),
    keys: new Set(policies.map(({ key }) => key)),
  };
}

/** Without the cluster, which is asked of nearly every peer. */
function shortSelector({ selector }: SelectorView): string {
  return selector.replace(/k8s:io\.cilium\.k8s\.policy\.cluster=[^ }]* ?/, '').replace(' }', '}');
}

/** `CNP/shop/web`. */
function shortOwner(owner: string): string {
  const [kind = '', ...rest] = owner.split('/');
  return [SHORT_KINDS[kind] ?? kind, ...rest].join('/');
}

/** Numbers, and behind them who that is. */
function identitiesText({ identities, names }: SelectorView): string {
  if (identities.length === 0) return 'none';
  return `${listed(identities.map(String))} (${listed(names)})`;
}

function places({ rules }: SelectorView, placeOf: typeof place): string {
  return listed([...new Set(rules.map(placeOf))]);
}

function listed(texts: readonly string[]): string {
  const more = texts.length - MOST;
  return `${texts.slice(0, MOST).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
