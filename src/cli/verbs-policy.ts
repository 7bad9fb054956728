/** The verbs that ask of policies on paper or of the agent's, changing nothing: part of the list in `verbs.ts`. */
import type { Verb } from './verb.ts';

/** What every explanation takes. */
const explained = [
  { flags: '--protocol <name>', what: 'TCP, UDP, SCTP, ICMP, ICMPv6, VRRP, IGMP' },
  { flags: '--icmp-type <type>', what: 'number or name; default EchoRequest' },
  { flags: '--icmp-code <code>', what: 'number; default: any' },
  { flags: '--http <request>', what: "also judge a request, as 'GET /v1/orders'" },
  { flags: '--dns <name>', what: 'also judge the question for a name' },
  { flags: '--sni <name>', what: 'also judge the server name of TLS' },
  { flags: '--world <file>', what: 'ask in the world of this case file, without an agent' },
  {
    flags: '--candidate <file>',
    what: 'policies that would be added or replaced: before and after',
    isRepeatable: true,
  },
];

const explainOptions = [
  {
    flags: '--from <party>',
    what: 'namespace/name, address, node:NAME, entity:NAME, labels:KEY=VALUE,…, identity:NUMBER or fqdn:NAME',
  },
  { flags: '--to <party>', what: 'the same, with :PORT/PROTOCOL or /icmp; service:NAMESPACE/NAME too' },
  { flags: '--dport <port>', what: 'destination port, as 8080 or 53/UDP' },
  { flags: '--dir <direction>', what: 'in or out: only the receiver’s or the sender’s policy' },
  { flags: '--dev <device>', what: 'by which it comes or leaves' },
  { flags: '--at <time>', what: 'under what was enforced then: 2026-11-21T13:36:00Z, or 10m ago as 10m' },
  {
    flags: '--last-drop',
    what: 'the last packet that was refused; with --from, of that address or endpoint',
  },
  ...explained,
];

const stateDir = {
  flags: '--state-dir <dir>',
  what: 'read generations here, without an agent; default /var/lib/merlon when none answers',
};

export const policyTools: readonly Verb[] = [
  {
    name: 'policy test',
    args: '<paths...>',
    group: 'policy',
    what: 'Run case files: what must come of flows in a small world, without agent, root or kernel',
    options: [{ flags: '--watch', what: 'run again whenever a file changes' }],
    formats: ['junit'],
    example: 'merlon policy test deploy/examples/policies',
    exits: '0 as expected, 1 not, 2 a file is unusable',
    answers: true,
    load: () => import('./verbs/policy-test.ts'),
  },
  {
    name: 'policy trace',
    group: 'policy',
    what: 'Why a flow gets its verdict; `merlon explain` with the flags of Cilium’s tool',
    options: [
      { flags: '--src-k8s-pod <pod>', what: 'who sends, as namespace/name' },
      { flags: '--dst-k8s-pod <pod>', what: 'who receives' },
      {
        flags: '-s, --src <labels>',
        what: 'labels instead, as k8s:app=web; or an address, node:NAME, entity:NAME',
        isRepeatable: true,
      },
      {
        flags: '-d, --dst <labels>',
        what: 'the same for the receiver; service:NAMESPACE/NAME too',
        isRepeatable: true,
      },
      { flags: '--src-identity <id>', what: 'whoever has the identity' },
      { flags: '--dst-identity <id>', what: 'the same for the receiver' },
      { flags: '--src-endpoint <id>', what: 'an endpoint by its number or name' },
      { flags: '--dst-endpoint <id>', what: 'the same for the receiver' },
      { flags: '--dport <port>', what: 'destination port, as 8080 or 53/UDP', isRepeatable: true },
      { flags: '-v, --verbose', what: 'taken and without effect: every rule is told anyway' },
      ...explained,
    ],
    example: 'merlon policy trace --src-k8s-pod shop/frontend --dst-k8s-pod shop/backend --dport 8080/TCP',
    exits: '0 allowed, 1 denied, 2 there is nothing to explain, 7 no agent',
    answers: true,
    load: () => import('./verbs/policy-trace.ts'),
  },
  {
    name: 'explain',
    args: '[event]',
    group: 'policy',
    what: 'Why a flow, or an event by its number, gets its verdict: each stage, each rule, the first field that failed',
    options: explainOptions,
    example: 'merlon explain --last-drop --from 10.1.2.3',
    exits: '0 allowed, 1 denied, 2 there is nothing to explain, 7 no agent',
    answers: true,
    load: () => import('./verbs/explain.ts'),
  },
  {
    name: 'policy explain',
    args: '[event]',
    group: 'policy',
    what: 'The same as `merlon explain`',
    options: explainOptions,
    example: 'merlon policy explain --from 10.1.2.3 --to node:worker-1:22/TCP',
    exits: '0 allowed, 1 denied, 2 there is nothing to explain, 7 no agent',
    answers: true,
    load: () => import('./verbs/explain.ts'),
  },
  {
    name: 'policy selectors',
    args: '[files...]',
    group: 'policy',
    what: 'Each selector with its owners and the identities it means now; of files, as if they were applied',
    options: [{ flags: '--world <file>', what: 'in the world of this case file, without an agent' }],
    example: 'merlon policy selectors',
    load: () => import('./verbs/policy-selectors.ts'),
  },
  {
    name: 'policy diff',
    args: '[files...]',
    group: 'policy',
    what: 'What files, or a generation as gen:NUMBER, would open, close or change against what is active',
    options: [
      {
        flags: '--from <old>',
        what: 'compare two sets instead, without an agent: a file, a directory, gen:NUMBER or gen:previous',
      },
      { flags: '--text', what: 'the changed lines of the documents too' },
      { flags: '--world <file>', what: 'compare in the world of this case file, without an agent' },
      stateDir,
    ],
    example: 'merlon policy diff --from old/ new/',
    exits: '0 no verdict changes, 1 some do, 2 something is unusable, 7 no agent',
    answers: true,
    load: () => import('./verbs/policy-diff.ts'),
  },
  {
    name: 'policy history',
    group: 'policy',
    what: 'The generations that are kept, and what changed from one to the next',
    options: [stateDir],
    example: 'merlon policy history',
    load: () => import('./verbs/policy-history.ts'),
  },
  {
    name: 'policy show',
    args: '<generation>',
    group: 'policy',
    what: 'The policies of one generation, as a file that can be enforced again',
    options: [stateDir],
    example: 'merlon policy show previous > old.yaml',
    load: () => import('./verbs/policy-show.ts'),
  },
  {
    name: 'policy lint',
    args: '[files...]',
    group: 'policy',
    what: 'Advice on policies that are valid but may not mean what was meant; - reads standard input',
    options: [
      { flags: '--deny-warnings', what: 'warnings fail; notes never do' },
      { flags: '--quiet', what: 'errors and warnings only, without hints and summary' },
      { flags: '--codes', what: 'list every code: what it means, how to mend it' },
      {
        flags: '--world <file>',
        what: 'judge in the world of this case file: who is selected, what is covered',
      },
      { flags: '--agent', what: 'judge in what the agent has' },
    ],
    formats: ['sarif'],
    example: 'merlon policy lint deploy/examples/policies/api-methods.yaml',
    exits: '0 advice at most, 1 warnings with --deny-warnings, 2 a file is not valid, 7 no agent',
    answers: true,
    load: () => import('./verbs/policy-lint.ts'),
  },
];
