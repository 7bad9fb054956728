/** The status of policies in force, and the same code and sentence from `merlon policy lint`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { EndpointView, PolicyView, StatusView } from '#api/client';
import type { Finished } from '#lab';
import { type Bed, operatorBed } from '../operator/bed.ts';

/** A label with a typing error, deny rules alone, and a rule that one of them covers. */
const DOUBTFUL = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: typo
spec:
  endpointSelector:
    matchLabels:
      app: wbe
  ingress:
    - fromEntities: [world]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: covered
spec:
  endpointSelector:
    matchLabels:
      app: client
  ingressDeny:
    - fromEntities: [world]
  egress:
    - toEndpoints:
        - matchLabels:
            app: web
    - toCIDR: [10.1.0.0/24]
  egressDeny:
    - toEntities: [cluster]
`;

let bed: Bed;
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);
const json = async <V>(...args: readonly string[]): Promise<V> => (await bed.agent.json([...args])) as V;

test.before(async () => {
  bed = await operatorBed('clif');
  const { dirs } = bed.net.hosts.node;
  await writeFile(join(dirs?.manifestsDir ?? '', 'doubtful.yaml'), DOUBTFUL);
  await bed.agent.json(['reload']);
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
});

async function policy(name: string): Promise<PolicyView> {
  const found = (await json<readonly PolicyView[]>('policy', 'get')).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no policy ${name}`);
  return found;
}

test.serial(
  'policy get – whom a policy selects, when it was accepted, and what is doubtful about it',
  async (t) => {
    const { status: web } = await policy('web');
    t.like(web, { state: 'applied', selects: 1, nodes: [], findings: [], warnings: [] });
    t.deepEqual(web.defaultDeny, { ingress: 1, egress: 0 });
    t.deepEqual(web.endpoints, ['default/web']);
    t.deepEqual(web.conditions, [{ type: 'Valid', status: 'True', reason: 'Accepted', message: '' }]);

    const { status: host } = await policy('host');
    t.is(host.nodes?.length, 1);
    t.deepEqual(
      host.findings?.map(({ code }) => code),
      ['host-port-forgotten', 'failsafe-wider'],
    );
    t.regex(
      host.warnings[0] ?? '',
      /^spec\.ingress\[0\]: failsafe entry \d+ \(TCP\/22 from 203\.0\.113\.7\/32\) passes what host would not/,
    );

    const { status: typo } = await policy('typo');
    t.is(typo.selects, 0);
    t.like(typo.findings?.[0], {
      code: 'selects-nothing',
      message: 'the subject selector selects no endpoint',
      hint: 'nobody has app=wbe; did you mean app=web?',
      settling: true,
    });
    t.deepEqual(typo.warnings, [], 'its pods may still come');
    t.deepEqual(
      typo.conditions?.map(({ type }) => type),
      ['Valid'],
    );
    t.regex(
      (await merlon('policy', 'get', 'typo')).stdout,
      /so far: the subject selector selects no endpoint \(nobody has app=wbe; did you mean app=web\?\)/,
    );
    t.true((typo.acceptedGeneration ?? 0) > (web.acceptedGeneration ?? 0));
  },
);

test.serial('policy lint – says of the same policies what their status says', async (t) => {
  const { dirs } = bed.net.hosts.node;
  for (const [name, file] of [
    ['covered', 'doubtful.yaml'],
    ['host', 'host.yaml'],
  ] as const) {
    const { status } = await policy(name);
    const path = join(dirs?.manifestsDir ?? '', file);
    const report = await json<{ findings: readonly { code: string; policy: string; message: string }[] }>(
      'policy',
      'lint',
      path,
      '--agent',
    );
    const own = report.findings.filter((finding) => finding.policy.endsWith(name));
    t.deepEqual(
      own.map(({ code, message }) => ({ code, message })),
      (status.findings ?? []).map(({ code, message }) => ({ code, message })),
    );
    t.true(own.length > 0);
  }
  const { status } = await policy('covered');
  t.deepEqual(
    status.findings?.map(({ code }) => code),
    ['deny-only-default-deny', 'shadowed-by-deny', 'cidr-covers-pods'],
  );
  t.regex(status.findings?.[2]?.message ?? '', / of default\/\w+, /, 'an endpoint has its namespace');
});

test.serial('endpoint get, status – name the policies that select, and how many are doubtful', async (t) => {
  t.deepEqual((await json<EndpointView>('endpoint', 'get', 'client')).policies, ['default/covered']);
  t.regex((await merlon('endpoint', 'get', 'web')).stdout, /^Selected by: default\/web$/m);
  const status = await json<StatusView>('status');
  t.is(status.policies.doubtful, 2, 'what may pass by itself does not count');
  t.regex((await merlon('status')).stdout, /^Policies: .*; 2 with warnings: `merlon policy get`$/m);
});

test.serial(
  'policy get – a version that is refused leaves the accepted one, and the condition says so',
  async (t) => {
    const { dirs } = bed.net.hosts.node;
    const before = await policy('typo');
    const path = join(dirs?.manifestsDir ?? '', 'doubtful.yaml');
    await writeFile(path, DOUBTFUL.replace('[world]', '[wrld]'));
    t.is((await merlon('reload')).code, 2);
    const { status } = await policy('typo');
    t.is(status.state, 'invalid');
    t.like(status.conditions?.[0], { type: 'Valid', status: 'False' });
    t.regex(status.conditions?.[0]?.message ?? '', /unsupported entity: "wrld"/);
    t.is(status.acceptedGeneration, before.status.acceptedGeneration);
    await writeFile(path, DOUBTFUL);
    await bed.agent.json(['reload']);
  },
);
