#!/bin/sh
# bin/arena of an installed tree: starts the build for the highest instruction set that this
# machine has, of those in libexec/arena (one for each ARENA_ISA that was installed). Jobs that
# arena submit makes start here too, each on its own machine.
#
# ARENA_LEVEL: that build and no other, e.g. x86-64-v3 to compare. ARENA_CPUINFO: for tests.
set -eu

here=$(dirname "$(readlink -f "$0")")
builds=$here/../libexec/arena
export ARENA_LAUNCHER="$here/arena"

flags=" $(sed -n 's/^flags[^:]*://p' "${ARENA_CPUINFO:-/proc/cpuinfo}" | head -n 1) "
has() { # every word is a flag of this processor
  for flag in "$@"; do
    case $flags in *" $flag "*) ;; *) return 1 ;; esac
  done
}

levels=x86-64-v2
if has avx2 fma bmi2; then levels="x86-64-v3 $levels"; fi
if has avx2 fma bmi2 avx512f avx512bw avx512cd avx512dq avx512vl; then levels="x86-64-v4 $levels"; fi
for level in ${ARENA_LEVEL:-$levels native}; do
  [ ! -x "$builds/arena-$level" ] || exec "$builds/arena-$level" "$@"
done
echo "arena: none of the builds in $builds runs here: looked for ${ARENA_LEVEL:-$levels}" >&2
exit 2
