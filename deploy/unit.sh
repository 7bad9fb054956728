#!/bin/sh
# The unit tests, or the files named: merlon unit [-w] [FILE…]. They need neither root nor BPF.
for word in "$@"; do
	case $word in
	-*) ;;
	*) exec ava "$@" ;;
	esac
done
exec ava "$@" 'test/unit/**/*.test.ts'
