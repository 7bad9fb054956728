#!/bin/sh
# The benchmarks: merlon bench [NAME [OPTION…]] runs test/bench/NAME.bench.ts, without a name all of them.
if [ $# -gt 0 ]; then
	name=$1
	shift
	if [ ! -f "test/bench/$name.bench.ts" ]; then
		echo "merlon bench: there is no benchmark $name; there are:" test/bench/*.bench.ts >&2
		exit 2
	fi
	exec node "test/bench/$name.bench.ts" "$@"
fi
status=0
for file in test/bench/*.bench.ts; do
	echo "== $file"
	setpriv --pdeathsig TERM node "$file" || status=1
done
exit $status
