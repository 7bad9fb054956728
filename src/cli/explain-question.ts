/** A question of `merlon explain` in flags: who, whom, port, protocol, request. */
import { type CaseFlow, flowProtocol, type FlowWorld, icmpType } from '#cases';
import { MerlonError } from '#kit/errors';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from '#model';
import { type Options, text } from './verb.ts';

/** An address with a port: `192.0.2.2:51514`, `[2001:db8::2]:51514`. */
const WITH_PORT = /^(.*\.\d+|\[.*\]):(\d{1,5})$/;

/** The port that a sender is written with. */
export function sourcePortOf(from: string): number | undefined {
  const port = WITH_PORT.exec(from)?.[2];
  return port === undefined ? undefined : Number(port);
}

/** The flow that the flags ask about; `from` and `to` as people write them. Throws `USAGE`, `CASE_REFERENCE`. */
export function flowOf(world: FlowWorld, from: string, to: string, options: Options): CaseFlow {
  const target = targetOf(to, options);
  const direction = text(options, 'dir');
  if (direction !== undefined && direction !== 'in' && direction !== 'out') {
    throw new MerlonError('USAGE', `--dir ${direction} is neither in nor out`);
  }
  return {
    from: world.party(from.replace(WITH_PORT, '$1').replace(/^\[(.*)\]$/, '$1')),
    to: world.party(target.name),
    protocol: target.protocol,
    port: target.port,
    icmpCode: icmpCodeOf(options),
    ct: 'new',
    request: requestOf(options),
    direction: direction === undefined ? 'both' : direction === 'in' ? 'ingress' : 'egress',
  };
}

function icmpCodeOf(options: Options): number | undefined {
  const code = text(options, 'icmpCode');
  if (code === undefined) return undefined;
  if (/^\d{1,3}$/.test(code) && Number(code) < 256) return Number(code);
  throw new MerlonError('USAGE', `--icmp-code ${code} is no number from 0 to 255`);
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
  const [, prefix = '', rest = to] = /^((?:node|entity|service|labels|fqdn|identity):)?(.*)$/.exec(to) ?? [];
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
  if (options['icmpType'] !== undefined || options['icmpCode'] !== undefined) {
    throw new MerlonError('USAGE', `${asked} has no ICMP types`, { hint: `write --to ${name}/icmp` });
  }
  if (![6, 17, 132].includes(protocol)) return { name, protocol, port: undefined };
  return { name, protocol, port: portOf(digits !== undefined && digits !== '' ? digits : portText) };
}

function portOf(text: string | undefined): number {
  const hint = 'for example --to shop/backend:8080/TCP';
  if (text === undefined || text === '')
    throw new MerlonError('USAGE', 'say which port, by number', { hint });
  if (!/^\d{1,5}$/.test(text)) throw new MerlonError('USAGE', `"${text}" is no port number`, { hint });
  if (Number(text) > 65535) throw new MerlonError('USAGE', `port ${text} is above 65535`, { hint });
  return Number(text);
}
