/** Routing policy rules: struct fib_rule_hdr and FRA_*. */
import { familyOf } from './address.ts';
import { attributesOf, type Message, MessageWriter, numberOf, viewOf } from './message.ts';
import { AF, FR_ACT_TO_TBL, FRA, RT_PROTOCOL, RT_TABLE } from './numbers.ts';

export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  /** 0 with mask 0 = any mark. */
  readonly mark: number;
  readonly markMask: number;
  readonly action: number;
  readonly protocol: number;
}

export interface NewRule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly mark?: number;
  readonly markMask?: number;
  /** Default kernel, which systemd-networkd leaves alone. */
  readonly protocol?: number;
}

/** Reads an RTM_NEWRULE or RTM_DELRULE; undefined for families other than IP. */
export function parseRule(message: Message): Rule | undefined {
  const { body } = message;
  const view = viewOf(body);
  const family = body.length < 12 ? undefined : familyOf(view.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = attributesOf(body, 12);
  return {
    family,
    priority: numberOf(attributes.get(FRA.priority)),
    table: numberOf(attributes.get(FRA.table), view.getUint8(4)),
    mark: numberOf(attributes.get(FRA.fwmark)),
    markMask: numberOf(attributes.get(FRA.fwmask)),
    action: view.getUint8(7),
    protocol: numberOf(attributes.get(FRA.protocol)),
  };
}

const header = (family: number, table: number, action: number): MessageWriter =>
  new MessageWriter().struct([
    [1, family],
    [1, 0],
    [1, 0],
    [1, 0],
    [1, table > 255 ? RT_TABLE.unspec : table],
    [1, 0],
    [1, 0],
    [1, action],
    [4, 0],
  ]);

export function dumpRules(family: 4 | 6): Uint8Array {
  return header(family === 4 ? AF.inet : AF.inet6, 0, 0).body;
}

/** For RTM_NEWRULE and RTM_DELRULE. */
export function encodeRule(rule: NewRule): Uint8Array {
  const writer = header(rule.family === 4 ? AF.inet : AF.inet6, rule.table, FR_ACT_TO_TBL);
  writer.u32(FRA.priority, rule.priority).u32(FRA.table, rule.table);
  if (rule.mark !== undefined)
    writer.u32(FRA.fwmark, rule.mark).u32(FRA.fwmask, rule.markMask ?? 0xffff_ffff);
  return writer.u8(FRA.protocol, rule.protocol ?? RT_PROTOCOL.kernel).body;
}
