/** `merlon explain`: why a flow gets its verdict, on both sides, in a world on paper or on this node. */
import {
  applied,
  type CaseFlow,
  explain,
  type Explanation,
  flowProtocol,
  type FlowResult,
  flowText,
  type FlowWorld,
  icmpType,
} from '#cases';
import { MerlonError } from '#kit/errors';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from '#model';
import { readPolicies } from '../policy-files.ts';
import { type Context, list, type Options, type Run, text } from '../verb.ts';
import { worldOf } from '../world.ts';

export const run: Run = async (context, _args, options) => {
  const from = text(options, 'from');
  const to = text(options, 'to');
  if (from === undefined || to === undefined) {
    throw new MerlonError('USAGE', 'say who sends and who receives: --from and --to');
  }
  const asked = { ...options, ...(text(options, 'dport') === undefined ? {} : { port: options['dport'] }) };
  return explainFlow(context, from, to, asked);
};

/** Explains one flow. Exit code 0 allowed, 1 denied; with a candidate, what would come of it then. */
export async function explainFlow(
  context: Context,
  from: string,
  to: string,
  options: Options,
): Promise<number> {
  const world = await worldOf(context, options);
  const flow = flowOf(world, from, to, options);
  const now = world.results(flow).map(view);
  const files = list(options, 'candidate');
  const candidate =
    files.length === 0 ? undefined : world.with(applied(world.policies, readPolicies(files, world.parse)));
  const then = candidate?.results(flow).map(view);
  const title = flowText(flow);
  const answer = { flow: title, results: now, ...(then === undefined ? {} : { candidate: then }) };
  await context.output.value(answer, () => {
    if (then === undefined) return `${title}\n${now.map(resultText).join('')}`;
    const change = `${verdicts(now)} → ${verdicts(then)}`;
    return `${title}\n\nNOW\n${now.map(resultText).join('')}\nWITH ${files.join(', ')}\n${then.map(resultText).join('')}\n${change}\n`;
  });
  return (then ?? now).some((result) => result.verdict === 'deny') ? 1 : 0;
}

const verdicts = (results: readonly ResultView[]): string =>
  [...new Set(results.map((r) => r.verdict))].join(', ');

function flowOf(world: FlowWorld, from: string, to: string, options: Options): CaseFlow {
  const target = targetOf(to, options);
  const direction = text(options, 'dir');
  if (direction !== undefined && direction !== 'in' && direction !== 'out') {
    throw new MerlonError('USAGE', `--dir ${direction} is neither in nor out`);
  }
  return {
    from: world.party(from.replace(/^(.*\.\d+|\[.*\]):\d+$/, '$1').replace(/^\[(.*)\]$/, '$1')),
    to: world.party(target.name),
    protocol: target.protocol,
    port: target.port,
    icmpCode: undefined,
    ct: 'new',
    request: requestOf(options),
    direction: direction === undefined ? 'both' : direction === 'in' ? 'ingress' : 'egress',
  };
}

/** What a proxy would see, of the flags; a server name may be empty: none is sent. */
function requestOf(options: Options): CaseFlow['request'] {
  const http = /^(?:(\w+) )?(?:https?:\/\/([^/]*))?(\/.*)$/.exec(text(options, 'http') ?? '');
  if (http !== null) {
    const [, method = 'GET', host = '', path = '/'] = http;
    return { kind: 'http', method, host, path, headers: {} };
  }
  if (options['http'] !== undefined) {
    throw new MerlonError('USAGE', `--http ${text(options, 'http')} is no request`, {
      hint: "write it as 'GET /v1/orders' or 'GET http://shop.example/v1/orders'",
    });
  }
  const dns = text(options, 'dns');
  if (dns !== undefined) return { kind: 'dns', name: dns };
  const sni = text(options, 'sni');
  return sni === undefined ? undefined : { kind: 'sni', name: sni };
}

interface Target {
  readonly name: string;
  readonly protocol: number;
  readonly port: number | undefined;
}

/** `shop/backend:8080/TCP`, `10.0.0.1:53/udp`, `[fd00::1]:80`, `shop/backend/icmp`; options fill what is missing. */
function targetOf(to: string, options: Options): Target {
  const [, prefix = '', rest = to] = /^((?:node|entity|service|labels|fqdn):)?(.*)$/.exec(to) ?? [];
  const isBareIpv6 = /^[^[]*:[^[]*:/.test(rest);
  const [, plain = rest, digits, word] =
    (isBareIpv6 ? null : /^(.+):(\d{1,5})(?:\/(\w+))?$/.exec(rest)) ??
    /^(.+)()\/(icmp|icmpv6|vrrp|igmp)$/i.exec(rest) ??
    [];
  const [portText, portWord] = (text(options, 'port') ?? '').split('/');
  const name = prefix + plain.replace(/^\[(.*)\]$/, '$1');
  const asked = word ?? text(options, 'protocol') ?? portWord ?? 'TCP';
  const protocol = flowProtocol(asked);
  if (protocol === undefined) throw new MerlonError('USAGE', `"${asked}" is no protocol`);
  if (protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMP6) {
    const type = icmpType(text(options, 'icmpType') ?? 'EchoRequest', protocol === PROTOCOL_ICMP ? 4 : 6);
    if (type === undefined) throw new MerlonError('USAGE', `"${text(options, 'icmpType')}" is no ICMP type`);
    return { name, protocol, port: type };
  }
  const number = digits !== undefined && digits !== '' ? digits : portText;
  if (![6, 17, 132].includes(protocol)) return { name, protocol, port: undefined };
  if (number === undefined || !/^\d{1,5}$/.test(number) || Number(number) > 65535) {
    throw new MerlonError('USAGE', 'say which port', { hint: 'for example --to shop/backend:8080/TCP' });
  }
  return { name, protocol, port: Number(number) };
}

interface ResultView {
  readonly verdict: string;
  readonly via?: string;
  readonly because?: string;
  readonly sides: readonly (Explanation & {
    readonly subject: string;
    readonly peerName: string;
    readonly node: string;
    readonly result: string;
  })[];
}

function view({ verdict, via, because, sides }: FlowResult): ResultView {
  return {
    verdict,
    ...(via === undefined ? {} : { via }),
    ...(because === undefined ? {} : { because }),
    sides: sides.map((side) => ({
      subject: side.subjectName,
      peerName: side.peerName,
      node: side.view.world.node,
      result: side.verdict,
      ...explain(side),
    })),
  };
}

function resultText(result: ResultView): string {
  const via = result.via === undefined ? '' : `\nto ${result.via}\n`;
  const sides = result.sides.map(sideText).join('');
  const because = result.because === undefined ? '' : ` (${result.because})`;
  return `${via}${sides}\nverdict: ${result.verdict}${because}\n`;
}

function sideText(side: ResultView['sides'][number]): string {
  const { peer } = side;
  const prefix = peer.prefix === undefined ? '' : `, known by ${peer.prefix}`;
  const lines = [
    '',
    `${side.direction} of ${side.subject} on ${side.node}: ${side.result}`,
    `  peer ${side.peerName} is identity ${peer.identity}${prefix}`,
    `    ${peer.labels.join(' ')}`,
  ];
  if (!side.enforced) return `${[...lines, '  no policy is asked: open'].join('\n')}\n`;
  for (const spec of side.policies) {
    lines.push(`  selected by ${spec.policy} (${spec.at})${spec.defaultDeny ? ', default deny' : ''}`);
    for (const rule of spec.rules) {
      const mark = rule.matches ? 'match   ' : 'no match';
      lines.push(`    ${mark} ${rule.verdict} ${rule.id} (${rule.at})`);
      if (rule.failed !== undefined) lines.push(`             ${rule.failed.field}: ${rule.failed.why}`);
    }
  }
  const { verdict, by } = side.otherwise;
  lines.push(`  otherwise: ${verdict}${by.length === 0 ? '' : `, says ${by.join(', ')}`}`);
  const decided = side.decidedBy.map(({ id, at }) => (at === undefined ? id : `${id} (${at})`)).join(', ');
  lines.push(`  ${side.verdict}${decided === '' ? '' : ` by ${decided}`}`);
  if (side.proxy !== undefined) {
    const { parser, letsAllPass } = side.proxy;
    lines.push(`  to the proxy for ${parser}${letsAllPass ? ', which lets every request pass' : ''}`);
  }
  if (side.auth !== undefined) lines.push(`  once both ends are authenticated: ${side.auth}`);
  return `${lines.join('\n')}\n`;
}
