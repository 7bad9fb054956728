#!/bin/sh
# Proves the set-up on a bare Debian: test/setup/bare.sh CACHE-DIR COMMAND…
#
# A minimal Debian (debootstrap, kept as a tarball in CACHE-DIR) gets a copy of this clone, owned by a user
# of its own, and nothing else but where this machine takes packages from. Then root runs COMMAND there, in
# the copy. Everything, mounts included, is gone afterwards. Prints the seconds that each part took.
set -eu

clone=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
if [ "${MERLON_BARE_INSIDE-}" = '' ]; then
	# Mounts and processes of the bare system end with this one.
	MERLON_BARE_INSIDE=1 exec unshare --mount --pid --fork --kill-child --propagation private -- \
		setpriv --pdeathsig KILL sh "$0" "$@"
fi
cache=$1
shift

suite=bookworm
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)
tarball=$cache/$suite-$(dpkg --print-architecture).tar
root=$(mktemp -d "${TMPDIR:-/tmp}/ml-bare.XXXXXX")
mount -t tmpfs -o size=4g,mode=755 ml-bare "$root"
trap 'cd /; umount -l "$root"; rmdir "$root"' EXIT
trap 'exit 143' INT TERM HUP

started=$(date +%s)
lap() {
	printf 'bare: %s: %s s\n' "$1" "$(($(date +%s) - started))"
	started=$(date +%s)
}

if [ ! -f "$tarball" ]; then
	mkdir -p "$cache"
	debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$cache/debootstrap.log" 2>&1
	tar -C "$root" -cf "$tarball.$$" .
	mv "$tarball.$$" "$tarball"
	lap 'made by debootstrap'
else
	tar -C "$root" -xf "$tarball"
	lap 'unpacked'
fi

# Where packages come from, and whom to trust for it, is this machine's own matter.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
rm -f "$root"/etc/apt/sources.list
cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
cp /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2>/dev/null || :
mkdir -p "$root/opt/trust"
authorities=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
[ ! -f "$authorities" ] || cp "$authorities" "$root/opt/trust/ca.crt"
registry=$(npm config get registry 2>/dev/null) || registry=

chroot "$root" useradd --uid 4321 --create-home visitor
clone_there=/srv/merlon
mkdir -p "$root$clone_there"
tar -C "$clone" --exclude=./node_modules --exclude=./build --exclude=./.git -cf - . | tar -C "$root$clone_there" -xf -
chroot "$root" chown -R visitor: "$clone_there"

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
lap 'prepared'

status=0
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
	${registry:+npm_config_registry="$registry"} \
	NODE_EXTRA_CA_CERTS=/opt/trust/ca.crt npm_config_cafile=/opt/trust/ca.crt \
	sh -c 'cd "$1" && shift && exec "$@"' sh "$clone_there" "$@" || status=$?
lap 'the command'

chroot "$root" du -sm "$clone_there/node_modules" 2>/dev/null | sed 's/^/bare: MB of /'
stray=$(chroot "$root" find "$clone_there" ! -user visitor | head -n 5)
if [ -n "$stray" ]; then
	echo "bare: not the owner's: $stray"
	status=1
fi
if [ -e "$root/usr/sbin/policy-rc.d" ]; then
	echo 'bare: services stay forbidden'
	status=1
fi
exit $status
