/** Refusal of what is not supported yet, worded the same everywhere. */
import { fail, type Place } from '../document/index.ts';
import { REFUSED_FIELDS, type RefusedField } from './refusals.ts';

/** Notes that the object uses a field which is not enforced yet. */
export function refuse(place: Place, name: RefusedField): undefined {
  return fail(
    place,
    'NOT_SUPPORTED_YET',
    `${REFUSED_FIELDS[name].what} is not supported yet, so the whole object is refused`,
    'remove it, or write the rule by labels, entities, CIDRs and port numbers',
  );
}
