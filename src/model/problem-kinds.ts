/**
 * What each code of a refused manifest is about, for reports and the documentation. The sentence of a problem
 * has the particulars; the code is what a script can react to (`#kit/errors`).
 */
import type { ErrorCode } from '#kit/errors';

export interface ProblemKind {
  readonly what: string;
  readonly mend: string;
}

const kind = (what: string, mend: string): ProblemKind => ({ what, mend });

/** The codes that parsing a manifest can end in. */
export const PROBLEM_KINDS: Readonly<Partial<Record<ErrorCode, ProblemKind>>> = {
  MANIFEST_SYNTAX: kind('The text is neither YAML nor JSON.', 'Correct it where the message points.'),
  MANIFEST_TOO_LARGE: kind('The file, or what its aliases expand to, is too large.', 'Split the file.'),
  MANIFEST_KIND: kind(
    'kind or apiVersion is missing, or nothing of that kind is read here.',
    'Correct it, or remove the object.',
  ),
  MANIFEST_NAME: kind(
    'A name or namespace is missing or has characters that names cannot have.',
    'Use lower-case letters, digits, - and .',
  ),
  MANIFEST_SCHEMA: kind(
    'A field has the wrong type or an impossible value.',
    'Write what the message expects.',
  ),
  MANIFEST_UNKNOWN_KEY: kind(
    'A field does not exist on this object.',
    'Correct the name; the nearest one is told.',
  ),
  MANIFEST_DUPLICATE: kind('Two objects have one kind, namespace and name.', 'Keep one of the two.'),
  NOT_SUPPORTED_YET: kind('The kind or field is known, but this build enforces nothing of it.', 'Remove it.'),
  LABEL_SYNTAX: kind(
    'A label has a key or value that Kubernetes does not allow.',
    'Use letters, digits, - _ and ., 63 at most.',
  ),
  ADDRESS_SYNTAX: kind('A text is no IP address.', 'Write it as 192.0.2.1 or 2001:db8::1.'),
  POLICY_SCHEMA: kind(
    'A field of a policy has the wrong type or an impossible value.',
    'Write what the message expects.',
  ),
  POLICY_UNKNOWN_KEY: kind(
    'A field does not exist at this place of a policy.',
    'Correct the name; the nearest one is told.',
  ),
  POLICY_EMPTY: kind(
    'A spec without rules, or an empty list where it would mean everybody or nobody.',
    'Write a rule; to deny everything ingress: [{}].',
  ),
  POLICY_SUBJECT: kind(
    'A spec needs endpointSelector or, on a cluster-wide policy, nodeSelector, and not both.',
    'Write one of the two.',
  ),
  POLICY_COMBINATION: kind(
    'Two fields stand in one rule that cannot narrow one another.',
    'Write two rules: rules are alternatives.',
  ),
  POLICY_SELECTOR: kind(
    'A label selector is not valid, or needs an option.',
    'Correct keys, operators or values.',
  ),
  POLICY_ENTITY: kind('There is no such entity.', 'Use one of those that the message lists.'),
  POLICY_CIDR: kind(
    'A text is no prefix, or an exception lies outside its prefix.',
    'Write it as 10.0.0.0/8.',
  ),
  POLICY_PORT: kind('A port is missing or is neither number nor name.', 'Ports are 0 to 65535 or a name.'),
  POLICY_PORT_RANGE: kind('endPort is below port.', 'Write the first port as port.'),
  POLICY_PROTOCOL: kind(
    'There is no such protocol at this place.',
    'Use TCP, UDP, SCTP or ANY; ICMP has its own field.',
  ),
  POLICY_ICMP: kind('An ICMP type or family does not exist.', 'Write a number or a name of that family.'),
  POLICY_TOO_MANY: kind('A list has more than 40 entries.', 'Use ranges, or several rules.'),
  POLICY_L7: kind(
    'Layer 7 rules stand where no proxy can judge them, or are incomplete.',
    'See the message: TCP, a port, one kind of rules.',
  ),
  POLICY_DNS: kind(
    'A DNS name, pattern or rule is not valid.',
    'Letters, digits, - _ and .; * in patterns; port 53 written.',
  ),
  POLICY_LISTENER: kind(
    'A listener stands where it cannot, or is incomplete.',
    'Egress only, without layer 7 rules beside it.',
  ),
  POLICY_REMOVED_FIELD: kind('The field was removed from the API.', 'Write a deny rule with NotIn instead.'),
};
