#!/bin/sh
# install_test.sh CMAKE BUILD_DIR: a build installed to a folder of its own runs from any other, and
# the tree starts on each machine the highest build that this machine can run.
set -eu
cmake=$1 build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "install: $*" >&2
  exit 1
}

"$cmake" --install "$build" --prefix "$scratch/a tree" >/dev/null
mkdir "$scratch/elsewhere" "$scratch/bin"
ln -s "$scratch/a tree/bin/arena" "$scratch/bin/arena"
cd "$scratch/elsewhere"
PATH=$scratch/bin:$PATH
arena --version >/dev/null || fail "does not run"
arena list presets | grep -q quick || fail "no presets"
arena sweep quick --dry-run | grep -q listops || fail "no sweep"
arena submit quick --dry-run 2>/dev/null | grep -q "exec '$scratch/a tree/bin/arena' cell" ||
  fail "jobs do not start the launcher"
[ -s "$scratch/a tree/share/arena/presets/quick.toml" ] || fail "no presets to read"
[ -s "$scratch/a tree/share/arena/peers/peers.py" ] || fail "no script of the peers"

# Which build: by what a processor says of itself.
for level in 2 3 4; do
  binary="$scratch/a tree/libexec/arena/arena-x86-64-v$level"
  printf '#!/bin/sh\necho v%s "$@"\n' $level >"$binary"
  chmod +x "$binary"
done
rm -f "$scratch/a tree/libexec/arena/arena-native"
expect() { # LEVEL FLAGS
  printf 'processor : 0\nflags\t\t: fpu %s\nvmx flags : avx512f\n' "$2" >cpuinfo
  said=$(ARENA_CPUINFO=cpuinfo arena x "y z")
  [ "$said" = "$1 x y z" ] || fail "'$2' starts '$said'"
}
v3='sse4_2 avx avx2 bmi2 fma'
v4="$v3 avx512f avx512bw avx512cd avx512dq avx512vl"
expect v2 'sse4_2 avx avx2x'
expect v3 "$v3 avx512f"
expect v4 "$v4 amx_tile"
rm "$scratch/a tree/libexec/arena/arena-x86-64-v4"
expect v3 "$v4"
rm "$scratch/a tree/libexec/arena/arena-x86-64-v2"
printf 'flags : sse4_2\n' >cpuinfo
if ARENA_CPUINFO=cpuinfo arena 2>error; then fail "starts a build that cannot run"; fi
grep -q 'looked for x86-64-v2' error || fail "says '$(cat error)'"
