# shellcheck shell=sh disable=SC2154 # root is the caller's
# Sourced by the launcher and the set-up. Who owns the clone, and how to run a command as that user.
#
# Root may run merlon in somebody else's clone (sudo ./merlon test). Whatever writes there then runs as the
# clone's owner, or the owner could neither change nor delete the result.

owner_uid=$(stat -c %u "$root")
owner_gid=$(stat -c %g "$root")
self_uid=$(id -u)

# True when this is root in a clone of another user's.
owner_is_other() {
	[ "$self_uid" = 0 ] && [ "$owner_uid" != 0 ]
}

# Runs a command as the clone's owner; it ends when this shell does. The environment is made anew: root's HOME, caches and npm settings
# are unreadable for the owner, and what npm exports to scripts would point into them.
as_owner() {
	if ! owner_is_other; then
		"$@"
		return
	fi
	# shellcheck disable=SC2086 # settings without spaces, or nothing
	setpriv --pdeathsig TERM --reuid "$owner_uid" --regid "$owner_gid" --clear-groups --inh-caps=-all \
		env -i HOME="$root/build/setup/home" PATH="$PATH" TERM="${TERM:-dumb}" LANG="${LANG:-C.UTF-8}" \
		${CI:+CI="$CI"} ${NO_COLOR:+NO_COLOR="$NO_COLOR"} ${owner_env:-} "$@"
}
