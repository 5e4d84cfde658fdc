#include "harness/sweep/slurm_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/core/check.hpp"
#include "harness/core/shell.hpp"
#include "harness/sweep/program.hpp"

namespace arena {
namespace {

constexpr int kSecondsToSave = 120;

/// A value behind "#SBATCH --option=": quoted as sbatch reads it, a % doubled where it has a
/// meaning.
std::string directive_value(const std::string& text, bool is_path) {
  std::string value = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') value += '\\';
    value += c;
    if (c == '%' && is_path) value += '%';
  }
  return value + "\"";
}

/// A word of the command line as it stands in a #SBATCH line.
std::string directive_word(const std::string& word) {
  const bool plain = word.find_first_of(" \t\"'\\#") == std::string::npos && !word.empty();
  if (plain) return word;
  const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
  if (equals == std::string::npos) return directive_value(word, false);
  return word.substr(0, equals + 1) + directive_value(word.substr(equals + 1), false);
}

/// One line for each option, with the values that follow it.
std::string user_directives(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    check(word.find('\n') == std::string::npos, "sbatch option '{}': a line end", word);
    check(!text.empty() || word.starts_with("-"),
          "'{}' is no option of sbatch: expected such as -- --partition=long", word);
    text += word.starts_with("-") ? "\n#SBATCH " : " ";
    text += directive_word(word);
  }
  return text.empty() ? text : text.substr(1) + "\n";
}

/// What every script begins with: its name, its log, and what the person asked for last, so that it
/// counts.
std::string head(const SlurmSetup& setup, Index batch, const std::string& name,
                 const std::string& own_options) {
  const std::string log = slurm_folder(setup.out, batch) + "/" + name;
  std::string output = directive_value(log, true);
  output.insert(output.size() - 1, name == "tables" ? ".log" : "-%a.log");
  return fmt::format(
      "#!/bin/sh\n"
      "#SBATCH --job-name={}{}-{}\n"
      "#SBATCH --output={}\n"
      "#SBATCH --open-mode=append\n"
      "{}{}",
      slurm_job_prefix(setup.out), batch, name, output, own_options,
      user_directives(setup.sbatch_words));
}

/// Behind the head and the variables. $1 is the number of units of its line that are done.
constexpr const char* kCellScript = R"SH(
# Task N runs the units of line N + 1 of the list, each PLACE:ID, but those that are done ($1).
# Told by USR1 that its time is nearly up, a unit saves its checkpoint and stops with 75; then this
# task is submitted again, if it got anywhere at all.
told='' child=''
trap 'told=yes; [ -z "$child" ] || kill -USR1 "$child"' USR1

checkpoint_sum() { cksum 2>/dev/null <"$dir/checkpoints/$1.safetensors"; }

run() { # PLACE: leaves the exit code in $code
  cell --index "$1" &
  child=$!
  wait "$child"
  code=$?
  while kill -0 "$child" 2>/dev/null; do # the signal ended the wait, not the unit
    wait "$child"
    code=$?
  done
  child=''
}

submit_again() {
  sbatch --array="$SLURM_ARRAY_TASK_ID" "$files.sh" "$finished" && exit 0
  echo "arena: could not be submitted again from here; arena submit goes on" >&2
  exit 75
}

start=${1:-0} finished=0 result=0
for unit in $(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$files.units"); do
  if [ "$finished" -ge "$start" ]; then
    [ -z "$told" ] || submit_again
    before=$(checkpoint_sum "${unit#*:}")
    run "${unit%%:*}"
    if [ -n "$told" ] && [ "$code" -gt 1 ]; then
      [ "$finished" -eq "$start" ] && [ "$before" = "$(checkpoint_sum "${unit#*:}")" ] || submit_again
      echo "arena: unit ${unit#*:} got nowhere in the time of this job; give it more (--time)" >&2
      exit 75
    fi
    [ "$code" -eq 0 ] || result=$code
  fi
  finished=$((finished + 1))
done
exit "$result"
)SH";

constexpr const char* kTablesScript = R"SH(
# Jobs of this folder that were submitted again meanwhile are waited for by the same script.
left=$(squeue --noheader --user="$(id -u)" --states=PENDING,RUNNING,SUSPENDED,CONFIGURING \
  --format='%F %j' | awk -v prefix="$prefix" \
  'index($2, prefix) == 1 && $2 !~ /-tables$/ { print $1 }' | sort -u | paste -s -d : -)
if [ -n "$left" ]; then
  exec sbatch --dependency="afterany:$left" "$files.sh"
fi
write() { # FILE and options of arena table: whole or not at all
  file=$1
  shift
  "$program" table "$dir" "$@" >"$dir/.$file.$$" && mv "$dir/.$file.$$" "$dir/$file"
}
"$program" status "$dir"
write table.md --format md && write records.csv --view records --format csv
"$program" report "$dir" --out "$dir/report.html"
)SH";

std::string cell_script(const SlurmSetup& setup, Index batch, const std::string& name, bool timing,
                        Index threads) {
  std::string options = fmt::format("#SBATCH --signal=B:USR1@{}\n#SBATCH --cpus-per-task={}\n",
                                    kSecondsToSave, threads);
  if (timing) options += "#SBATCH --exclusive\n";
  // A timing says its own threads; it has the node to itself.
  const char* const cores =
      timing ? "${SLURM_CPUS_ON_NODE:-1}" : "${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}";
  return head(setup, batch, name, options) +
         fmt::format(
             "dir={}\nfiles={}\nexport OMP_NUM_THREADS=\"{}\"\n"
             "cell() {{\n"
             "  exec {} cell --plan \"$dir/plan.jsonl\" --threads \"$OMP_NUM_THREADS\"{} \"$@\"\n"
             "}}\n",
             shell_word(setup.out), shell_word(slurm_folder(setup.out, batch) + "/" + name), cores,
             shell_word(setup.program), cell_options(setup)) +
         kCellScript;
}

void cut_into_arrays(const std::vector<PlannedUnit>& units, const std::string& kind,
                     const SlurmSetup& setup, Index batch, Index max_array_size,
                     std::vector<SlurmArray>& arrays) {
  Index threads = kind == "train" ? setup.threads : 1;
  for (const PlannedUnit& planned : units) {
    if (kind == "bench") threads = std::max(threads, planned.unit.shape.threads);
  }
  const Index per_array = max_array_size * setup.cells_per_job;
  for (Index begin = 0; begin < static_cast<Index>(units.size()); begin += per_array) {
    SlurmArray array{.name = fmt::format("{}-{}", kind, begin / per_array),
                     .after_previous = setup.limit > 0 && begin > 0};
    const Index end = std::min(begin + per_array, static_cast<Index>(units.size()));
    for (Index i = begin; i < end; ++i) {
      const PlannedUnit& planned = units[static_cast<std::size_t>(i)];
      array.units += fmt::format("{}:{}", planned.place, planned.unit.id);
      const bool line_ends = (i + 1 - begin) % setup.cells_per_job == 0 || i + 1 == end;
      array.units += line_ends ? '\n' : ' ';
    }
    array.tasks = std::ranges::count(array.units, '\n');
    array.what = fmt::format("{} {} in {} tasks", end - begin,
                             kind == "train" ? "trainings" : "timing groups", array.tasks);
    array.script = cell_script(setup, batch, array.name, kind == "bench", threads);
    arrays.push_back(std::move(array));
  }
}

}  // namespace

std::string slurm_folder(const std::string& out, Index batch) {
  return fmt::format("{}/slurm/{}", out, batch);
}

std::string slurm_job_prefix(const std::string& out) {
  return fmt::format("arena-{}-", content_id(out).substr(0, 8));
}

std::vector<SlurmArray> slurm_arrays(const std::vector<PlannedUnit>& units, const SlurmSetup& setup,
                                     Index batch, Index max_array_size) {
  check(setup.out.find('\n') == std::string::npos, "--out: a folder's name with a line end");
  std::vector<SlurmArray> arrays;
  for (const char* const kind : {"bench", "train"}) {
    std::vector<PlannedUnit> of_kind;
    std::ranges::copy_if(units, std::back_inserter(of_kind),
                         [&](const PlannedUnit& planned) { return planned.unit.kind == kind; });
    cut_into_arrays(of_kind, kind, setup, batch, max_array_size, arrays);
  }
  return arrays;
}

std::string slurm_tables_script(const SlurmSetup& setup, Index batch) {
  return head(setup, batch, "tables", "") +
         fmt::format("dir={}\nprogram={}\nfiles={}\nprefix={}\n", shell_word(setup.out),
                     shell_word(setup.program),
                     shell_word(slurm_folder(setup.out, batch) + "/tables"),
                     slurm_job_prefix(setup.out)) +
         kTablesScript;
}

}  // namespace arena
