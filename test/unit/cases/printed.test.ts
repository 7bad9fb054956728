/** Every case once more, with its policies as they are printed: as a file that can be enforced again. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Case, readCase, runCase } from '#cases';
import { parsePolicies, printPolicy } from '#model/parse';
import type { Policy } from '#model';
import { caseNames, failures } from './case-file.ts';

const golden = join(import.meta.dirname, '../../golden/cases');

/** What would be refused where the case switches features on. */
const EVERYTHING = { extendedIpProtocols: true, nodeSelectorLabels: true, cloudGroupProviders: ['aws'] };

const printed = (policy: Policy, clusters: object): readonly Policy[] =>
  parsePolicies(printPolicy(policy), { ...EVERYTHING, ...clusters, file: `${policy.name}, printed` });

function caseOf(name: string): Case | undefined {
  const path = join(golden, name);
  return readCase(readFileSync(path, 'utf8'), name, (beside) => ({
    file: beside,
    text: readFileSync(join(dirname(path), beside), 'utf8'),
  })).case;
}

for (const name of caseNames(golden, /\.yaml$/)) {
  test(`printed – ${name} comes out as written`, (t) => {
    const given = caseOf(name);
    if (given === undefined) return t.fail('the case is unusable');
    const { clusterName, policyDefaultLocalCluster } = given.world.config;
    const saying = given.policies.filter(({ specs }) => specs.length > 0);
    const policies = saying.flatMap((one) => printed(one, { clusterName, policyDefaultLocalCluster }));
    t.deepEqual(failures(runCase({ ...given, policies, reject: [] })), []);
    for (const policy of saying) {
      const once = printPolicy(policy);
      const [again] = printed(policy, { clusterName, policyDefaultLocalCluster });
      t.is(again && printPolicy(again), once, 'what is printed is canonical');
    }
  });
}
