#!/bin/sh
# Installs what this clone needs to run: deploy/setup.sh run|demo|dev|test
#
#   run   compiler and runtime for the program itself
#   demo  the same, and makes sure that this kernel can run it
#   dev   also the tools behind `ok`, `unit`, `gen` and `build`
#   test  also what the tests that exist use, and the kernel as for demo
#
# Says what it will install and how large that is, then does it; with nothing to do it says nothing and
# takes well under two seconds. Idempotent, one at a time (flock). An interrupted run is repaired by the
# next one: the stamp, a hash of the lock file, is written last. No service is started or enabled.
# Needs only a Debian-like system with apt; root only while a system package is missing.
set -eu
LC_ALL=C
export LC_ALL

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
. "$root/deploy/owner.sh"

level=${1-}
case $level in
run | demo | dev | test) ;;
*)
	echo 'usage: deploy/setup.sh run|demo|dev|test' >&2
	exit 2
	;;
esac

# ---- what is needed ----

# The compilers of the programs and of the addon, and `ip`, with which people look at the result.
packages='clang-19 libbpf-dev gcc libc6-dev iproute2'
packages_size='560 MB'
case $level in
dev | test) packages="$packages clang-format-19" ;;
esac

# What single test folders use, installed once the folder exists.
if [ "$level" = test ]; then
	for line in \
		'test/vm qemu-system-x86 busybox-static cpio kmod' \
		'test/fuzz libclang-rt-19-dev' \
		'test/setup debootstrap'; do
		if [ -d "$root/${line%% *}" ]; then
			packages="$packages ${line#* }"
		fi
	done
fi

# node_modules: megabytes without and with the development tools, measured.
modules=full
modules_size='450 MB'
case $level in
run | demo)
	modules=production
	modules_size='200 MB'
	;;
esac

# ---- saying things ----

say() {
	printf 'merlon set-up: %s\n' "$*" >&2
}

fail() {
	say "$*"
	exit 1
}

# ---- what is there ----

node_pin=$(sed -n 's/.*"node": *"\([0-9.]*\)".*/\1/p' "$root/package.json")
case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*) fail "there is no pinned Node for $(uname -m); merlon runs on x86_64 and aarch64" ;;
esac
node_dir="$root/node_modules/node-linux-$arch/bin"

# Kernel and bpffs matter to whoever loads programs: root. The tests without root load none.
check_kernel() {
	release=$(uname -r)
	major=${release%%.*}
	minor=${release#*.}
	minor=${minor%%[!0-9]*}
	if [ "$major" -lt 5 ] || { [ "$major" -eq 5 ] && [ "$minor" -lt 15 ]; }; then
		fail "kernel $release is too old: merlon needs Linux 5.15 or newer"
	fi
	if [ "$(stat -f -c %t /sys/fs/bpf 2>/dev/null)" != cafe4a11 ]; then
		mount -t bpf bpf /sys/fs/bpf 2>/dev/null ||
			fail 'there is no bpffs at /sys/fs/bpf and none can be mounted: is this an unprivileged container?'
	fi
}

# The packages among "$@" that are not fully installed.
missing_of() {
	for name in "$@"; do
		case $installed in
		*" $name "*) ;;
		*) printf '%s ' "$name" ;;
		esac
	done
}

find_missing() {
	command -v dpkg-query >/dev/null 2>&1 || fail "this is no Debian-like system; install the equivalents of: $packages"
	# shellcheck disable=SC2086 # a list of words
	installed=" $(dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' $packages 2>/dev/null |
		sed -n 's/^ii *|//p' | tr '\n' ' ')"
	# shellcheck disable=SC2086
	missing=$(missing_of $packages)
}

modules_hash() {
	cat "$root/package-lock.json" "$root/.npmrc" | sha256sum | cut -d' ' -f1
}

# The pinned Node runs, and the finished install was of this lock file with at least these modules.
modules_current() {
	[ "$("$node_dir/node" --version 2>/dev/null)" = "v$node_pin" ] || return 1
	stamp=$(cat "$root/build/setup/modules" 2>/dev/null) || return 1
	hash=$(modules_hash)
	[ "$stamp" = "full $hash" ] || [ "$stamp" = "$modules $hash" ]
}

# npm writes a list of what it installed last of all. Where that agrees with the lock file (somebody ran
# npm, or added a package), nothing is installed again: npm ci would first delete what is in use.
adopt_modules() {
	[ "$("$node_dir/node" --version 2>/dev/null)" = "v$node_pin" ] || return 1
	[ -f "$root/node_modules/.package-lock.json" ] || return 1
	"$node_dir/node" -e '
		const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8")).packages;
		const [wanted, there] = [read(process.argv[1]), read(process.argv[2])];
		const differs = ([name, { version, optional }]) =>
			name !== "" && there[name]?.version !== version && !(optional && there[name] === undefined);
		process.exitCode = Object.entries(wanted).some(differs) ? 1 : 0;
	' "$root/package-lock.json" "$root/node_modules/.package-lock.json" || return 1
	stamp_modules full
}

# ---- doing it ----

policy=/usr/sbin/policy-rc.d
policy_mark='# merlon set-up: no service starts while packages are installed'

# Takes back what forbids services to start; also after an earlier run was killed.
allow_services() {
	if grep -qsF "$policy_mark" "$policy"; then
		rm -f "$policy"
		if [ -e "$policy.before-merlon" ]; then
			mv "$policy.before-merlon" "$policy"
		fi
	fi
}

forbid_services() {
	allow_services
	if [ -e "$policy" ]; then
		mv "$policy" "$policy.before-merlon"
	fi
	printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
	chmod 755 "$policy"
}

# Units and init scripts that are enabled now, one a line.
enabled_services() {
	find /etc/systemd/system -type l -path '*.wants/*' 2>/dev/null
	find /etc/rc2.d /etc/rc3.d /etc/rc5.d -name 'S*' 2>/dev/null
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -o APT::Install-Recommends=false "$@"
}

install_packages() {
	log=/tmp/merlon-setup-apt.$$
	trap 'rm -f "$log" "$before_list"; allow_services' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	before_list=$(mktemp)
	forbid_services
	dpkg --configure -a >"$log" 2>&1 || :
	# shellcheck disable=SC2086
	if ! plan=$(apt --assume-no install $missing 2>/dev/null | grep -E '^(Need to get|After this operation)'); then
		say 'fetching the package lists'
		apt update >"$log" 2>&1 || fail "apt-get update failed: $(grep -E '^[EW]:' "$log" | head -n 1)"
		# shellcheck disable=SC2086
		plan=$(apt --assume-no install $missing 2>/dev/null | grep -E '^(Need to get|After this operation)') || plan=
	fi
	say "installing $missing"
	if [ -n "$plan" ]; then
		say "  $(printf '%s' "$plan" | tr '\n' ' ')"
	else
		say "  about $packages_size in all"
	fi
	enabled_services | sort >"$before_list"
	# shellcheck disable=SC2086
	if ! apt --yes install $missing >"$log" 2>&1; then
		# A list older than the archive names files that are gone: once more with a fresh one.
		apt update >>"$log" 2>&1 || :
		# shellcheck disable=SC2086
		apt --yes install $missing >>"$log" 2>&1 ||
			fail "apt-get could not install the packages: $(grep '^E:' "$log" | tail -n 1)"
	fi
	enabled_services | sort | comm -13 "$before_list" - | while read -r link; do
		rm -f "$link"
		say "left ${link##*/} disabled"
	done
	allow_services
	rm -f "$log" "$before_list"
	trap - EXIT INT TERM HUP
}

# Settings of ours that the owner's npm needs: where packages come from and whom to trust.
hand_over_npm_settings() {
	owner_env=
	owner_is_other || return 0
	as_owner mkdir -p "$root/build/setup/home"
	for key in registry cafile proxy https-proxy noproxy strict-ssl; do
		value=$(npm config get "$key" 2>/dev/null) || continue
		case $value in
		'' | null | undefined) continue ;;
		esac
		owner_env="$owner_env npm_config_$(printf '%s' "$key" | tr - _)=$(readable_copy "$value")"
	done
	for name in NODE_EXTRA_CA_CERTS SSL_CERT_FILE http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
		eval "value=\${$name-}"
		if [ -n "$value" ]; then
			owner_env="$owner_env $name=$(readable_copy "$value")"
		fi
	done
}

# The path of a file that the owner can read; anything but an unreadable file is itself.
readable_copy() {
	case $1 in
	/*)
		if [ -f "$1" ] && ! as_owner test -r "$1"; then
			as_owner tee "$root/build/setup/home/${1##*/}" <"$1" >/dev/null
			printf '%s' "$root/build/setup/home/${1##*/}"
			return
		fi
		;;
	esac
	printf '%s' "$1"
}

install_modules() {
	omit=
	if [ "$modules" = production ]; then
		omit=--omit=dev
	fi
	hand_over_npm_settings
	say "installing node_modules ($modules, about $modules_size)"
	as_owner rm -f "$root/build/setup/modules"
	log=$root/build/setup/npm.log
	as_owner touch "$log"
	# Without a registry npm may still end well, having left out the optional runtime: so Node is asked.
	npm_status=0
	# shellcheck disable=SC2086
	(cd "$root" && as_owner npm ci --ignore-scripts --loglevel=error --fetch-retries=2 \
		--fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=10000 $omit) >"$log" 2>&1 || npm_status=$?
	node_there=$("$node_dir/node" --version 2>/dev/null) || node_there=
	if [ "$npm_status" != 0 ] || [ -z "$node_there" ]; then
		reason=$(sed -n 's/^npm [a-zA-Z!]* *\(code E.*\|.*ENOTFOUND.*\|.*EAI_AGAIN.*\|.*ECONN.*\|.*ETIMEDOUT.*\)/\1/p' "$log" |
			head -n 1)
		fail "the node modules could not be fetched; is the package registry reachable? (${reason:-Node $node_pin is missing}; npm's own words: $log)"
	fi
	if [ "$node_there" != "v$node_pin" ]; then
		fail "what was installed is Node $node_there, but package.json pins v$node_pin; correct one of the two"
	fi
	as_owner rm -rf "$root/build/setup/home/.npm"
	stamp_modules "$modules"
}

# The last step of an install: until it is done, the next run starts over.
stamp_modules() {
	printf '%s %s\n' "$1" "$(modules_hash)" | as_owner tee "$root/build/setup/modules.new" >/dev/null
	as_owner mv "$root/build/setup/modules.new" "$root/build/setup/modules"
}

# Everything in the clone belongs to its owner, or somebody's next command fails.
check_ownership() {
	stray=$(find "$root" -xdev ! -uid "$owner_uid" -print 2>/dev/null | head -n 3)
	[ -z "$stray" ] || fail "files in the clone belong to somebody else than its owner: $(printf '%s' "$stray" | tr '\n' ' ')"
}

if [ "$self_uid" = 0 ]; then
	allow_services
	case $level in demo | test) check_kernel ;; esac
fi

# Nothing to do is found out without writing anything, so that anybody may run what is set up.
find_missing
if [ -z "$missing" ] && modules_current; then
	exit 0
fi

as_owner mkdir -p "$root/build/setup" 2>/dev/null && as_owner touch "$root/build/setup/lock" 2>/dev/null ||
	fail "$root cannot be written: make a clone of your own, or run as root"
exec 9<"$root/build/setup/lock"
flock -n 9 || {
	say 'waiting for another set-up to finish'
	flock 9
}

find_missing
modules_there=
if modules_current || adopt_modules; then
	modules_there=yes
elif ! command -v npm >/dev/null 2>&1; then
	missing="$missing npm ca-certificates"
fi
if [ -n "$missing" ]; then
	if [ "$self_uid" = 0 ]; then
		install_packages
	elif [ "$level" = test ] && command -v npm >/dev/null 2>&1; then
		say "not root, so these stay out, and with them every test that needs them: $missing"
	else
		fail "these packages are missing and only root can install them: $missing"
	fi
fi
if [ -z "$modules_there" ]; then
	install_modules
	check_ownership
fi
