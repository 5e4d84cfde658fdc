#!/bin/bash
# Follows README.md literally in a copy of the tree: writes the files it shows, runs the commands it
# gives. Usage: readme_test.sh SOURCE_DIR WORK_DIR
set -euo pipefail
source_dir=$1
copy=$2/readme_copy

mkdir -p "$copy"
# Unchanged files keep their times, so that a second run of this test builds little.
(cd "$source_dir" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp -pu --parents -t "$copy")

# write_files: every code block behind "<!-- file: PATH -->" goes to PATH.
write_files() {
  awk -v copy="$copy" '
    /^<!-- file: / { path = copy "/" $3; next }
    path != "" && /^```/ { if (inside) { close(path); path = ""; inside = 0 } else { inside = 1; printf "" > path }; next }
    inside { print > path }' README.md
}

# commands: lines of the sh blocks, comments cut off. The two long ones are shortened by the flags
# that make them short; everything else runs as it stands.
commands() {
  awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside { sub(/ +#.*/, ""); print }' README.md |
    sed -e 's|^\./arena sweep$|./arena sweep --dry-run|' -e '/^\.\/arena test$/d'
}

cd "$copy"
grep -qx '\./arena sweep .*#.*' README.md && grep -qx '\./arena test .*#.*' README.md
write_files
[ -s variants/mean.cpp ]
export ARENA_CMAKE_ARGS="-DCMAKE_CXX_FLAGS_RELEASE=-O1 ${ARENA_README_CMAKE_ARGS:-}"
count=0
while read -r command; do
  echo "== $command"
  bash -c "$command" </dev/null
  count=$((count + 1))
done < <(commands)
[ "$count" -ge 8 ]
./arena list variants | grep -q '^ *mean '
echo "README: $count commands ran"
