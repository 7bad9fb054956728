#!/bin/sh
# Fetches Debian's own 6.1 kernel into build/vm/kernel, without installing it. Prints the folder.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dest=$root/build/vm/kernel
if [ -f "$dest/.complete" ]; then
	echo "$dest"
	exit 0
fi
package=$(apt-cache depends "linux-image-cloud-$(dpkg --print-architecture)" | awk '/Depends: linux-image-6\.1/ { print $2; exit }')
[ -n "$package" ] || { echo "apt knows no linux-image-cloud package with a 6.1 kernel; run apt-get update" >&2; exit 1; }
rm -rf "$dest" && mkdir -p "$dest"
cd "$dest"
apt-get -qq -o APT::Sandbox::User=root download "$package" >&2
dpkg-deb -x ./*.deb .
rm -f ./*.deb
touch .complete
echo "$dest"
