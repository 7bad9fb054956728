/**
 * The parts of docs/ that are data elsewhere: `node deploy/docs.ts` writes them anew, tests compare. What
 * stands between `<!-- table: NAME -->` and the next empty line is the table's, the rest is a person's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIG_KEY_NAMES, CONFIG_KEYS, type ConfigKey } from '#model/config';
import { layersAsMarkdown } from '../test/architecture/layers.ts';

const DOCS = join(import.meta.dirname, '../docs');

/** What each key does, for people. Keys of which only the default has an effect are listed by name alone. */
export const KEY_MEANING: Readonly<Partial<Record<ConfigKey, string>>> = {
  'cluster-name': 'The cluster this node belongs to, as policies name it.',
  labels:
    "The node's own labels, which `nodeSelector` selects by. Those the agent finds out itself come on top.",
  nodes: 'Other nodes: their addresses get the identity `remote-node`, with the labels given here.',
  'sources.directory.paths': 'Directories whose manifests are enforced.',
  'sources.directory.perFile': 'Take over each valid file alone, instead of all files or none.',
  'sources.directory.trustAnyOwner': 'Read manifests that users other than root can change.',
  'sources.directory.guard': 'Whether changes from the directory wait for confirmation.',
  'sources.syncTimeout':
    'How long a start waits for the first listing of a source before it keeps what is enforced.',
  'devices.patterns':
    'Devices to attach to: `eth+`, `!eth3`. Empty: those that carry traffic to other machines.',
  'devices.requireAll': 'Refuse the configuration when a pattern matches no device, instead of saying so.',
  'enable-ipv4': 'Judge IPv4.',
  'enable-ipv6': 'Judge IPv6.',
  'enable-policy':
    'Whether an endpoint that no policy selects is open (`default`, `never`) or closed (`always`).',
  'policy-cidr-match-mode': 'What a CIDR in a policy matches besides addresses outside the cluster.',
  'policy-default-local-cluster': 'A selector that names no cluster means this one.',
  'enable-non-default-deny-policies': 'Honour `enableDefaultDeny: false`.',
  'allow-localhost': 'Whether the node always reaches its own endpoints, or only where policy allows it.',
  'allow-icmp-frag-needed': 'Let path MTU messages pass whatever policy says.',
  'hostfw.enabled': 'Enforce policies with `nodeSelector` on this node.',
  'hostfw.mode': 'What the host firewall does: enforce, only report, only failsafe, nothing.',
  'hostfw.guard': 'Whether a change that could lock you out waits for confirmation.',
  'hostfw.allowSelfSource': "Devices on which packets may arrive from the node's own addresses.",
  'hostfw.builtin.dhcp': 'Let the node get its address by DHCP whatever policy says.',
  'hostfw.builtin.icmp6Redirect': 'What to do with ICMPv6 redirects.',
  'hostfw.ct.maxTCP': 'Size of the flow table for TCP, per family. Unset: a share of memory.',
  'hostfw.ct.maxOther': 'Size of the flow table for all else, per family. Unset: a share of memory.',
  'failsafe.entries': 'What stands above every policy. `auto`: SSH, DHCP and DNS, as the node uses them.',
  'failsafe.sshFrom': 'From where the failsafe lets SSH in. Unset: from anywhere, with a warning.',
  'failsafe.iUnderstand': 'Accept an empty list of entries, which lets nobody in when policy is wrong.',
  'xdp.mode': 'How the early checks attach; where they are not attached, the later hook makes them.',
  'bpf-ct-timeout-regular-tcp': 'Idle time after which an established TCP flow is forgotten.',
  'bpf-ct-timeout-regular-tcp-syn': 'The same before the handshake is done.',
  'bpf-ct-timeout-regular-tcp-fin': 'The same once both sides have closed.',
  'bpf-ct-timeout-regular-any': 'The same for a single exchange of any other protocol.',
  'ct-timeout-udp-stream': 'The same for UDP that goes back and forth.',
  'ct-timeout-generic': 'The same for protocols without ports.',
};

const shown = (value: unknown): string => (value === undefined ? 'unset' : JSON.stringify(value));

/** The keys that do something, with type, default and meaning. */
export function keysAsMarkdown(): string {
  const rows = CONFIG_KEY_NAMES.filter((name) => CONFIG_KEYS[name].support !== 'default').map((name) => {
    const { type, standalone, aliases, restart, support } = CONFIG_KEYS[name];
    const value =
      standalone === undefined || type.format === undefined ? shown(standalone) : type.format(standalone);
    const notes = [
      ...(aliases.length > 0 ? [`Also \`${aliases.join('`, `')}\`.`] : []),
      ...(Array.isArray(support)
        ? [`Besides the default only ${support.map(shown).join(', ')} so far.`]
        : []),
      ...(restart ? ['At the next start.'] : []),
    ];
    const meaning = [KEY_MEANING[name] ?? '', ...notes].join(' ').trim();
    return `| \`${name}\` | ${type.name} | \`${value}\` | ${meaning} |`;
  });
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** The keys that are known and refuse any value but their default, in one paragraph. */
export function reservedKeysAsMarkdown(): string {
  const names = CONFIG_KEY_NAMES.filter((name) => CONFIG_KEYS[name].support === 'default');
  return names.map((name) => `\`${name}\``).join(', ');
}

/** Every generated part: file, name of its marker, text. */
export const TABLES: readonly (readonly [file: string, name: string, text: () => string])[] = [
  ['architecture.md', 'layers', layersAsMarkdown],
  ['config.md', 'keys', keysAsMarkdown],
  ['config.md', 'reserved', reservedKeysAsMarkdown],
];

/** The document with the table in its place; throws when the document has no such place. */
export function withTable(document: string, name: string, text: string): string {
  const marker = `<!-- table: ${name} -->\n`;
  const from = document.indexOf(marker);
  if (from < 0) throw new Error(`there is no ${marker.trim()}`);
  const start = from + marker.length;
  const end = document.startsWith('\n', start) ? start - 1 : document.indexOf('\n\n', start);
  return `${document.slice(0, start)}${text}\n${end < 0 ? '' : document.slice(end + 1)}`;
}

if (import.meta.main) {
  for (const [file, name, text] of TABLES) {
    const path = join(DOCS, file);
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), name, text()));
  }
}
