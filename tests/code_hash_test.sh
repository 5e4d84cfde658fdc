#!/bin/sh
# What makes records stale: code that their numbers come from, and no text beside it.
# Usage: code_hash_test.sh SOURCE_DIR CMAKE
set -eu
source=$1
cmake=$2
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$source/variants" "$source/harness" "$source/tasks" "$copy"

hashes() {
  "$cmake" -D "SOURCE_DIR=$copy" -D "OUTPUT=$copy/info.cpp" -P "$source/cmake/BuildInfo.cmake"
  cksum <"$copy/info.cpp"
}

before=$(hashes)
for text in variants/engine/README.md harness/core/CMakeLists.txt harness/train/notes.txt; do
  echo "# more" >>"$copy/$text"
  [ "$(hashes)" = "$before" ] || { echo "$text makes records stale" >&2; exit 1; }
done
for code in variants/local.cpp variants/attention.hpp variants/engine/tile_mask.cpp \
  harness/core/check.cpp harness/layers/simd.hpp harness/model/make.hpp harness/train/trainer.cpp \
  harness/bench/bench.cpp harness/peers/peers.py tasks/recall.cpp tasks/format/png.cpp; do
  [ -e "$copy/$code" ] || { echo "no file $code" >&2; exit 1; }
  echo "# more" >>"$copy/$code"
  after=$(hashes)
  [ "$after" != "$before" ] || { echo "$code makes no record stale" >&2; exit 1; }
  before=$after
done
