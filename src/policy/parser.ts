/** Which parser reads a connection, and which comes first where several are asked for (policy.md §6.4, §13.5). */
import type { ProxyRules } from '#model';

/** `tls`: names and contexts of TLS alone; `crd`: a listener; `l7proto:NAME`: a parser by its name. */
export type Parser = 'http' | 'kafka' | 'dns' | 'tls' | 'crd' | `l7proto:${string}`;

/** Which proxy the rules are for. */
export function parserOf({ l7, listener }: ProxyRules): Parser {
  if (listener !== undefined) return 'crd';
  if (l7 === undefined) return 'tls';
  return l7.kind === 'l7proto' ? `l7proto:${l7.parser}` : l7.kind;
}

/** The lower, the sooner (policy.md §13.5); a listener's own priority comes before all. */
export function rankOf(proxy: ProxyRules): number {
  const parser = parserOf(proxy);
  switch (parser) {
    case 'http':
      return 101;
    case 'kafka':
      return 106;
    case 'tls':
      return 116;
    case 'dns':
      return 121;
    case 'crd':
      return proxy.listener?.priority ?? 126;
    default:
      return 111;
  }
}
