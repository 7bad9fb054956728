/**
 * Attaching, against the real kernel. The file's process lives in a network namespace of its own, in which a
 * veth pair ends on both sides:
 *
 *   near ─── far        programs sit on near; packet sockets send from far
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { pinFolder } from '#lab';
import { until } from '#kit/async';
import {
  ATTACH,
  bind,
  closeFd,
  type Fd,
  fdById,
  LINK_FLAG,
  linkCreate,
  linkDetach,
  linkIds,
  linkInfo,
  linkUpdate,
  mapCreate,
  mapFd,
  mapInfo,
  netnsCookie,
  netnsCreate,
  objGet,
  objPin,
  programFd,
  progInfo,
  progQuery,
  recv,
  send,
  setsockopt,
  sockName,
  socketIn,
  tcAttach,
  tcDetach,
  tcQuery,
} from '#native';
import { OBJECT, enterPair, frame, load, packetSocket, prepare, seen, waiting } from './native-kit.ts';

let pins: Awaited<ReturnType<typeof pinFolder>>;
const HASH = 1;
const AF_NETLINK = 16;
const SOCK_RAW = 3;

let near = 0;
let far = 0;

test.before(async () => {
  await prepare();
  ({ near, far } = enterPair());
  pins = await pinFolder('attach');
  mkdirSync(pins.path);
});

test.after.always(() => pins[Symbol.asyncDispose]());

test.serial('tcx – first and last place, foreign programs told, replaced in place, detached', async (t) => {
  const object = load(t);
  const [first, second, third] = ['first', 'second', 'third'].map((name) => programFd(object, name)) as [
    Fd,
    Fd,
    Fd,
  ];
  const counters = mapFd(object, 'seen');
  const sender = packetSocket(far);
  const theirs = linkCreate(second, near, ATTACH.tcxIngress);
  const { revision } = progQuery(near, ATTACH.tcxIngress);
  const ours = linkCreate(first, near, ATTACH.tcxIngress, {
    flags: LINK_FLAG.before,
    expectedRevision: revision,
  });
  t.throws(
    () => linkCreate(first, near, ATTACH.tcxIngress, { flags: LINK_FLAG.before, expectedRevision: revision }),
    { code: 'ESTALE' },
  );
  t.deepEqual(
    progQuery(near, ATTACH.tcxIngress).programs.map(({ linkId }) => linkId),
    [linkInfo(ours).id, linkInfo(theirs).id],
  );
  t.like(linkInfo(ours), {
    type: 11,
    ifindex: near,
    attachType: ATTACH.tcxIngress,
    progId: progInfo(first).id,
  });
  t.true(linkIds().includes(linkInfo(ours).id));
  send(sender, frame());
  await until(() => seen(counters, 1) >= 1, { ...waiting, what: 'the frame came' });
  const before = seen(counters, 0);
  t.true(before >= 1);
  // A hook holds a program once, whatever the link.
  t.throws(() => linkUpdate(ours, second, first), { code: 'EEXIST' });
  linkUpdate(ours, third, first);
  t.throws(() => linkUpdate(ours, first, first), { code: 'EPERM' });
  send(sender, frame());
  await until(() => seen(counters, 3) >= 1, { ...waiting, what: 'the new program counts' });
  t.is(seen(counters, 0), before);
  linkDetach(ours);
  t.is(linkInfo(ours).ifindex, 0);
  t.deepEqual(
    progQuery(near, ATTACH.tcxIngress).programs.map(({ linkId }) => linkId),
    [linkInfo(theirs).id],
  );
  for (const fd of [ours, theirs, sender]) closeFd(fd);
  t.deepEqual(progQuery(near, ATTACH.tcxIngress).programs, []);
});

test.serial('XDP – attaches by link, refuses a second, names the device that is not there', (t) => {
  const object = load(t);
  const link = linkCreate(programFd(object, 'pass'), near, ATTACH.xdp);
  t.like(linkInfo(link), { type: 6, ifindex: near });
  t.throws(() => linkCreate(programFd(object, 'pass'), near, ATTACH.xdp), { code: 'EBUSY' });
  t.throws(() => linkCreate(programFd(object, 'first'), 9999, ATTACH.tcxIngress), {
    code: 'ENODEV',
    message: /target 9999/,
  });
  closeFd(link);
});

test.serial('clsact – attach, replace in place, query, detach', (t) => {
  const object = load(t);
  const place = { priority: 7, handle: 1 };
  t.is(tcQuery(near, 'ingress', place), 0);
  t.false(tcDetach(near, 'ingress', place));
  tcAttach(near, 'ingress', programFd(object, 'first'), place);
  tcAttach(near, 'egress', programFd(object, 'first'), place);
  tcAttach(near, 'ingress', programFd(object, 'second'), place);
  t.is(tcQuery(near, 'ingress', place), progInfo(programFd(object, 'second')).id);
  t.is(tcQuery(near, 'egress', place), progInfo(programFd(object, 'first')).id);
  t.true(tcDetach(near, 'ingress', place));
  t.false(tcDetach(near, 'ingress', place));
  t.true(tcDetach(near, 'egress', place));
  t.throws(() => tcAttach(9999, 'ingress', programFd(object, 'first'), place), { message: /ifindex 9999/ });
});

test.serial(
  'pins – programs, links and maps survive SIGKILL of who made them, and are taken over',
  async (t) => {
    const script = `
    import { ATTACH, linkCreate, loadObject, mapFd, objPin, openObject, programFd, setAutoload } from '#native';
    const object = openObject('${OBJECT}');
    setAutoload(object, 'broken', false);
    loadObject(object);
    const link = linkCreate(programFd(object, 'first'), ${near}, ATTACH.tcxIngress);
    objPin(link, '${pins.path}/link');
    objPin(programFd(object, 'second'), '${pins.path}/second');
    objPin(mapFd(object, 'seen'), '${pins.path}/seen');
    console.log('pinned');
    setInterval(() => {}, 1000);`;
    const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout ?? child, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [link, second, counters] = ['link', 'second', 'seen'].map((name) =>
      objGet(`${pins.path}/${name}`),
    ) as [Fd, Fd, Fd];
    const sender = packetSocket(far);
    send(sender, frame());
    await until(() => seen(counters, 0) >= 1, { ...waiting, what: 'the pinned program counts' });
    linkUpdate(link, second);
    send(sender, frame());
    await until(() => seen(counters, 1) >= 1, { ...waiting, what: 'the new program counts' });
    linkDetach(link);
    for (const fd of [link, second, counters, sender]) closeFd(fd);
    t.throws(() => objGet(`${pins.path}/none`), {
      code: 'ENOENT',
      message: `open pin ${pins.path}/none: No such file or directory (ENOENT)`,
    });
  },
);

test('pins – what is there already, and what is no bpffs', (t) => {
  const fd = mapCreate({ type: HASH, name: 'pin', keySize: 4, valueSize: 8, maxEntries: 2 });
  objPin(fd, `${pins.path}/pin`);
  t.throws(() => objPin(fd, `${pins.path}/pin`), { code: 'EEXIST' });
  t.throws(() => objPin(fd, `${pins.path}/with.dot`), { code: 'EPERM' });
  t.throws(() => objPin(fd, join(tmpdir(), 'ml-b-pin')), { message: /ml-b-pin/ });
  const again = fdById('map', mapInfo(fd).id);
  t.is(mapInfo(again).id, mapInfo(fd).id);
  closeFd(again);
  closeFd(fd);
});

test.serial('sockets – netlink and packets in another namespace, without leaving this one', async (t) => {
  const home = netnsCookie();
  const there = netnsCreate();
  t.not(netnsCookie(there), home);
  const netlink = socketIn(there, AF_NETLINK, SOCK_RAW, 0);
  t.is(netnsCookie(), home);
  bind(netlink, new Uint8Array(Uint16Array.of(AF_NETLINK, 0, 0, 0, 0, 0).buffer));
  const name = new Uint8Array(12);
  t.is(sockName(netlink, name), 12);
  t.not(new DataView(name.buffer).getUint32(4, true), 0);
  const out = new Uint8Array(65536);
  t.is(recv(netlink, out), -1);
  const request = new DataView(new ArrayBuffer(32));
  request.setUint32(0, 32, true);
  request.setUint16(4, 18, true); /* RTM_GETLINK */
  request.setUint16(6, 0x301, true); /* NLM_F_REQUEST | NLM_F_DUMP */
  t.is(send(netlink, request), 32);
  const from = new Uint8Array(12);
  const n = recv(netlink, out, from);
  t.true(n > 32);
  t.is(new DataView(from.buffer).getUint32(4, true), 0);
  t.true(Buffer.from(out.subarray(0, n)).includes('lo\0'));
  t.false(Buffer.from(out.subarray(0, n)).includes('near\0'));
  t.throws(() => setsockopt(netlink, 270, 999, 1), {
    code: 'ENOPROTOOPT',
    message: /option 999 of level 270/,
  });
  const [sender, receiver] = [packetSocket(far), packetSocket(near, 0x0300)];
  send(sender, frame(0x33));
  const got = await until(
    () => {
      const m = recv(receiver, out);
      return m === 64 && out[0] === 0x33 && out.slice(0, 64);
    },
    { ...waiting, what: 'the frame came' },
  );
  t.deepEqual(got, frame(0x33));
  for (const fd of [netlink, there, sender, receiver]) closeFd(fd);
});
