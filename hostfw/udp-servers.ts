/** At which UDP ports the node serves: where sockets wait for anybody, not for one peer (HF-3.7). */
import { readFileSync } from 'node:fs';

/** TCP_CLOSE of the kernel's include/net/tcp_states.h: of a datagram socket, not connected. */
const UNCONNECTED = '07';

/** The ports, ascending. A file that cannot be read tells of none. */
export function readUdpServers(proc = '/proc'): readonly number[] {
  const ports = new Set<number>();
  for (const file of ['net/udp', 'net/udp6']) {
    for (const line of lines(`${proc}/${file}`).slice(1)) {
      const fields = line.trim().split(/\s+/);
      const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (fields[3] === UNCONNECTED && port > 0) ports.add(port);
    }
  }
  return [...ports].sort((a, b) => a - b);
}

function lines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
