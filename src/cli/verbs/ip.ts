/** `merlon ip list|get` and `merlon bpf ipcache list|get`: which address stands for whom. */
import { call, type IpView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { cidrContainsIp, parseCidr, parseIp } from '#kit/ip';
import { RESERVED_IDENTITY } from '#model';
import { shortLabels } from '../labels.ts';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

const columns: readonly Column<IpView>[] = [
  { title: 'IP PREFIX/ADDRESS', cell: (r) => r.prefix },
  { title: 'IDENTITY', cell: (r) => String(r.identity) },
  { title: 'LABELS', cell: (r) => shortLabels(r.labels).join(' '), wraps: true },
  { title: 'SOURCE', cell: (r) => r.source },
  { title: 'KERNEL', cell: kernelText },
];

/** What the kernel's map says of the prefix, when that is not what it should say. */
function kernelText({ source, inKernel, kernelIdentity }: IpView): string {
  if (source === 'kernel') return 'STRAY';
  if (inKernel === undefined) return '';
  if (inKernel) return 'yes';
  return kernelIdentity === undefined ? 'MISSING' : `HAS ${kernelIdentity}`;
}

export const run: Run = async (context, [address]) => {
  const all = await call<readonly IpView[]>('/v1/ips', context);
  if (address === undefined) return context.output.rows(all, columns, 'no addresses known');
  const found = longest(all, address) ?? world(address);
  await context.output.value(found, () => context.output.table([found], columns));
};

/** What an address is that no prefix holds. */
function world(address: string): IpView {
  const name = address.includes(':') ? 'world-ipv6' : 'world-ipv4';
  const prefix = name === 'world-ipv6' ? '::/0' : '0.0.0.0/0';
  return { prefix, identity: RESERVED_IDENTITY[name], labels: [`reserved:${name}`], source: 'default' };
}

function longest(rows: readonly IpView[], address: string): IpView | undefined {
  const ip = parseIp(address);
  if (ip === undefined) throw new MerlonError('USAGE', `"${address}" is not an address`);
  let best: { row: IpView; length: number } | undefined;
  for (const row of rows) {
    const cidr = parseCidr(row.prefix);
    if (cidr === undefined || !cidrContainsIp(cidr, ip)) continue;
    if (best === undefined || cidr.length > best.length) best = { row, length: cidr.length };
  }
  return best?.row;
}
