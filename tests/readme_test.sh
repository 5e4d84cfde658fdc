#!/bin/bash
# Follows README.md literally: writes the variant it shows into the tree, runs the commands it
# gives, removes the variant again. Usage: readme_test.sh SOURCE_DIR
set -euo pipefail
cd "$1"

# Lines of the block behind "<!-- file: PATH -->".
file_block() {
  awk -v path="$1" '$0 == "<!-- file: " path " -->" { armed = 1; next }
    armed && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }' README.md
}

# Lines of the sh blocks without their comments. The two long commands of the first block are left
# out: CI runs `./arena test` itself, and the sweep is only planned here.
commands() {
  awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside { sub(/ +#.*/, ""); print }' \
    README.md | sed -e 's|^\./arena sweep$|./arena sweep --dry-run|' -e '/^\.\/arena test$/d'
}

grep -q '^\./arena sweep  *#' README.md
grep -q '^\./arena test  *#' README.md
variant=variants/mean.cpp
saved=runs/baselines/before
[ ! -e $saved ] || { echo "README: $saved is somebody's; save it under another name" >&2; exit 1; }
if [ -e $variant ]; then
  cmp <(file_block $variant) $variant # somebody followed the README: theirs stays
else
  trap 'rm -f $variant; rm -rf runs/try runs/mean $saved; ./arena list variants >/dev/null' EXIT
  file_block $variant >$variant
fi
[ "$(wc -l <$variant)" -gt 30 ]
rm -rf runs/try runs/mean
count=0
while read -r command; do
  echo "== $command"
  bash -c "$command" </dev/null
  count=$((count + 1))
done < <(commands)
[ "$count" -ge 10 ]
./arena list variants | grep -q ' mean '
echo "README: $count commands ran"
