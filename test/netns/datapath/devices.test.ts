/** Records of devices in the kernel's maps, without devices: interface numbers below and above the array's end. */
import test from 'ava';
import { pinFolder } from '#lab';
import type { DeviceRow } from '#model';
import { mapLookup } from '#native';
import { DEVICE_KIND, DEVICE_SIZE, readDevice } from '#wire/bpf';
import type { Attachments } from '../../../src/datapath/attach.ts';
import { Devices, type DevicesDeps } from '../../../src/datapath/devices.ts';
import { DatapathMaps } from '../../../src/datapath/maps.ts';
import { mapSizes } from '../../../src/datapath/sizes.ts';

const rowOf = (ifindex: number): DeviceRow => ({
  ifindex,
  name: `if${ifindex}`,
  linkKind: 'veth',
  kind: 'external',
  selected: true,
  reason: '',
  isLayer3: false,
  allowSelfSource: true,
  endpoint: 0,
  vlan: undefined,
});

/** Devices over real maps; what would be attached is noted. */
async function bed() {
  const overrides = { ipcache_host4: 64, ipcache_host6: 64, arena: 4096, rule_count: 64 };
  const sizes = mapSizes({
    memoryBytes: 2 ** 20,
    cpus: 1,
    rings: 1,
    maxTcp: 4096,
    maxOther: 4096,
    overrides,
  });
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await pinFolder('devices'));
  const maps = stack.use(new DatapathMaps(path, sizes, 4096));
  const attached = new Set<string>();
  const attachments: Partial<Attachments> = {
    attach: (ifindex, hook) => void attached.add(`${hook} ${ifindex}`),
    detach: (ifindex, hook) => attached.delete(`${hook} ${ifindex}`),
    pinned: () => [],
    isAttached: (ifindex, hook) => attached.has(`${hook} ${ifindex}`),
  };
  const deps = {
    maps,
    attachments,
    programs: { get: () => undefined, need: () => ({}) },
    endpoints: { indexOf: () => 0 },
    xdpMode: 'off',
    counters: { clearDrops: () => undefined },
    upgrade: { isUnderWay: false },
    afterGrace: (then: () => void) => then(),
  } as unknown as DevicesDeps;
  return {
    attached,
    open: () => new Devices(deps),
    /** The record that programs find. */
    record(ifindex: number) {
      const view = new DataView(new ArrayBuffer(DEVICE_SIZE));
      const map = ifindex < 65536 ? 'devices' : 'devices_high';
      return mapLookup(maps.fd(map), Uint32Array.of(ifindex), view) ? readDevice(view) : undefined;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

for (const ifindex of [2, 65535, 65536, 4_000_000])
  test(`Devices – interface ${ifindex}: recorded, taken up after a restart, removed`, async (t) => {
    await using b = await bed();
    const devices = b.open();
    devices.update(rowOf(1));
    devices.update(rowOf(ifindex));
    t.like(b.record(ifindex), { kind: DEVICE_KIND.EXTERNAL, slot: 2, flags: 1 });
    t.is(devices.slotOf(ifindex), 2);
    const next = b.open();
    next.adopt();
    t.is(next.slotOf(ifindex), 2, 'its counters go on');
    next.update(rowOf(3));
    t.is(next.slotOf(3), ifindex === 3 ? 2 : 3, 'and nobody else gets them');
    next.update({ ...rowOf(ifindex), allowSelfSource: false });
    t.like(b.record(ifindex), { slot: 2, flags: 0 });
    next.prune([rowOf(1), rowOf(3)]);
    t.is(b.record(ifindex)?.kind ?? DEVICE_KIND.NONE, DEVICE_KIND.NONE);
    t.deepEqual([...b.attached].sort(), ['egress 1', 'egress 3', 'ingress 1', 'ingress 3']);
  });
