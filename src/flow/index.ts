/**
 * Events: from the kernel's records to what people read. In: records as the ring reader hands them over. Out:
 * descriptions, made when somebody asks; until then a record stays packed, so that counting and keeping two
 * hundred thousand a second costs little.
 */
export {
  describe,
  type EndDescription,
  type EventDescription,
  isRefusal,
  type Names,
  type OriginRefs,
  type RuleRef,
  type VerdictWord,
} from './describe.ts';
export { EventLog, read, type Reading, SLOT_BYTES } from './log.ts';
