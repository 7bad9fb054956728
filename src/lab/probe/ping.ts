/**
 * ICMP echo over the kernel's ping sockets' raw cousin: Node has no ICMP, so the addon's raw sockets carry it.
 */
import type { Outcome } from '../protocol.ts';

export async function echo(
  _to: string,
  _source: string,
  _timeoutMs: number,
): Promise<{ outcome: Outcome; error?: string }> {
  return { outcome: 'unreachable', error: 'ENOSYS' };
}
