// Sweeps given to Slurm: what the scripts say and do, and what is submitted. Slurm's commands are
// shell scripts here; tests/slurm/run has the real ones.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "harness/core/shell.hpp"
#include "harness/sweep/cell.hpp"
#include "harness/sweep/claim.hpp"
#include "harness/sweep/program.hpp"
#include "harness/sweep/slurm.hpp"
#include "results/store.hpp"
#include "tests/expect_error.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

Unit training(std::uint64_t seed) {
  return train_unit({.cells = {{.variant = "dense"}}, .task = "recall", .seed = seed});
}

Unit timing(Index threads) {
  return bench_unit({.cells = {{.variant = "dense"}}, .shape = {.threads = threads}});
}

std::vector<Unit> trainings(std::uint64_t count) {
  std::vector<Unit> units;
  for (std::uint64_t seed = 0; seed < count; ++seed) units.push_back(training(seed));
  return units;
}

std::vector<PlannedUnit> planned(const std::vector<Unit>& units) {
  std::vector<PlannedUnit> result;
  for (const Unit& unit : units) {
    result.push_back({.unit = unit, .place = static_cast<Index>(result.size())});
  }
  return result;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

/// A folder with a result folder, a program "arena" and commands of Slurm; those come first in
/// PATH.
class Submit : public testing::Test {
 protected:
  Submit() : path_(std::getenv("PATH")) {
    std::filesystem::create_directories(file("bin"));
    std::filesystem::create_directories(file("out/checkpoints"));
    ::setenv("PATH", (file("bin") + ":" + path_).c_str(), 1);
    command("sbatch", "echo \"$*\" >>" + shell_word(file("calls")) +
                          "\ncase $1 in --version) ;; *) echo $((100 + $(wc -l <" +
                          shell_word(file("calls")) + "))) ;; esac");
    command("scontrol", "echo 'Other = 1'; echo 'MaxArraySize            = 2'");
    command("squeue", "cat " + shell_word(file("queue")));
    write("queue", "");
    write("calls", "");
    setup_.out = file("out");
    setup_.program = file("bin/arena");
    setup_.data_dir = "/data";
    setup_.threads = 1;
  }
  ~Submit() override { ::setenv("PATH", path_.c_str(), 1); }

  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name)) << text;
  }
  void command(const std::string& name, const std::string& text) const {
    write("bin/" + name, "#!/bin/sh\n" + text + "\n");
    ::chmod(file("bin/" + name).c_str(), 0700);
  }
  std::string calls() const { return read_file(file("calls")); }

  std::vector<SubmittedJob> submit(const std::vector<Unit>& units) {
    return submit_to_slurm(units, setup_, plan_);
  }

  SlurmSetup setup_;
  SlurmPlan plan_;

 private:
  TemporaryFolder folder_;
  std::string path_;
};

TEST_F(Submit, UnitsArePackedAndCutIntoArrays) {
  setup_.cells_per_job = 2;
  const auto units = trainings(7);
  auto arrays = slurm_arrays(planned(units), setup_, 1, 3);
  ASSERT_EQ(arrays.size(), 2U);
  EXPECT_EQ(arrays[0].tasks, 3);
  EXPECT_EQ(arrays[0].what, "6 trainings in 3 tasks");
  EXPECT_EQ(arrays[1].units, "6:" + units[6].id + "\n");
  EXPECT_TRUE(has_line(arrays[0].units, "2:" + units[2].id + " 3:" + units[3].id));
  EXPECT_FALSE(arrays[1].after_previous);
  setup_.limit = 5;
  arrays = slurm_arrays(planned(units), setup_, 1, 3);
  EXPECT_FALSE(arrays[0].after_previous);
  EXPECT_TRUE(arrays[1].after_previous);
}

TEST_F(Submit, TimingsHaveANodeAndTrainingsShareIt) {
  setup_.threads = 3;
  setup_.retry = {"OOM", "TIMEOUT"};
  setup_.time_limit_s = 60;
  const auto arrays = slurm_arrays(planned({training(0), timing(2), timing(4)}), setup_, 7, 10);
  ASSERT_EQ(arrays.size(), 2U);
  EXPECT_EQ(arrays[0].name, "bench-0");
  EXPECT_TRUE(has_line(arrays[0].script, "#SBATCH --exclusive"));
  EXPECT_TRUE(has_line(arrays[0].script, "#SBATCH --cpus-per-task=4"));
  EXPECT_FALSE(has_line(arrays[1].script, "#SBATCH --exclusive"));
  EXPECT_TRUE(has_line(arrays[1].script, "#SBATCH --cpus-per-task=3"));
  for (const SlurmArray& array : arrays) {
    EXPECT_TRUE(has_line(array.script, "#SBATCH --open-mode=append"));
    EXPECT_TRUE(has_line(array.script, "#SBATCH --signal=B:USR1@120"));
    EXPECT_NE(array.script.find("--time-limit 60 --retry OOM,TIMEOUT "), std::string::npos);
    EXPECT_NE(array.script.find("/slurm/7/" + array.name + "-%a.log\"\n"), std::string::npos);
  }
}

TEST_F(Submit, ScriptsAreShellWhateverThePathsAre) {
  setup_.out = file("it's 50% \"of\" $HOME");
  setup_.data_dir = "/a b/c'd";
  setup_.sbatch_words = {"-p", "long", "--comment=a \"b\" c", "--mem=4G"};
  const SlurmArray array = slurm_arrays(planned({training(0)}), setup_, 1, 10).front();
  for (const std::string& script : {array.script, slurm_tables_script(setup_, 1)}) {
    write("script", script);
    const ProgramOutput output = run_program({"/bin/sh", "-n", file("script")});
    EXPECT_EQ(output.exit_code, 0) << output.text << script;
    EXPECT_NE(script.find("it's 50%% \\\"of\\\" $HOME/slurm/1/"), std::string::npos) << script;
    EXPECT_TRUE(has_line(script, "#SBATCH -p long")) << script;
    EXPECT_TRUE(has_line(script, "#SBATCH --comment=\"a \\\"b\\\" c\"")) << script;
    EXPECT_GT(script.find("--mem=4G"), script.find("--open-mode"));
  }
  setup_.sbatch_words = {"long"};
  EXPECT_ERROR(slurm_tables_script(setup_, 1), "'long' is no option of sbatch");
  setup_.sbatch_words = {"--comment=a\nrm -rf"};
  EXPECT_ERROR(slurm_tables_script(setup_, 1), "a line end");
}

TEST_F(Submit, OnlyWhatIsMissingIsSubmitted) {
  const auto units = trainings(6);
  const Store store(file("out"));
  for (const Record& record : failed_records(units[0], "OK", "")) store.save(record);
  for (const Record& record : failed_records(units[1], "OOM", "")) store.save(record);
  const ClaimFolder claims(file("out"));
  ASSERT_TRUE(claims.take(units[2].id));
  const auto jobs = submit(units);
  EXPECT_EQ(plan_.done, 2);
  EXPECT_EQ(plan_.under_way, 1);
  ASSERT_EQ(jobs.size(), 3U);  // at most two tasks to an array, and the tables
  EXPECT_EQ(jobs[0].id, "102");
  EXPECT_EQ(jobs[0].what, "2 trainings in 2 tasks");
  EXPECT_TRUE(has_line(calls(), "--parsable --array=0-1 " + file("out/slurm/1/train-0.sh")));
  EXPECT_TRUE(has_line(calls(), "--parsable --array=0-0 " + file("out/slurm/1/train-1.sh")));
  EXPECT_TRUE(has_line(
      calls(), "--parsable --dependency=afterany:102:103 " + file("out/slurm/1/tables.sh")));
  EXPECT_EQ(read_file(file("out/slurm/1/train-1.units")), "5:" + units[5].id + "\n");
  EXPECT_EQ(store.plan().size(), 6U);
  const ProgramOutput status = run_program({ARENA_BINARY, "status", file("out")});
  EXPECT_TRUE(status.text.starts_with("planned 6, missing 4, running 1, about ")) << status.text;

  // Again: what waits in the queue stays there; another folder's jobs mean nothing.
  claims.release(units[2].id);
  write("queue", slurm_job_prefix(file("out")) + "1-train-0 1\n" + "arena-12345678-1-train-0 0\n" +
                     slurm_job_prefix(file("out")) + "1-tables N/A\n" + "other N/A\n");
  setup_.retry = {"OOM"};
  setup_.limit = 1;
  submit(units);
  EXPECT_EQ(plan_.done, 1);
  EXPECT_EQ(plan_.under_way, 1);
  EXPECT_EQ(read_file(file("out/slurm/2/train-0.units")),
            "1:" + units[1].id + "\n2:" + units[2].id + "\n");
  EXPECT_TRUE(has_line(calls(), "--parsable --array=0-1%1 " + file("out/slurm/2/train-0.sh")));
  EXPECT_NE(calls().find("--array=0-1%1 --dependency=afterany:10"), std::string::npos) << calls();
}

TEST_F(Submit, NothingMissingSubmitsNothing) {
  const Unit unit = training(0);
  for (const Record& record : failed_records(unit, "OK", "")) Store(file("out")).save(record);
  EXPECT_TRUE(submit({unit}).empty());
  EXPECT_EQ(calls(), "--version\n");
  EXPECT_FALSE(std::filesystem::exists(file("out/slurm")));
}

TEST_F(Submit, ADryRunWritesNothing) {
  const SlurmPlan plan = plan_for_slurm(trainings(3), setup_);
  EXPECT_EQ(plan.arrays.size(), 2U);
  EXPECT_FALSE(std::filesystem::exists(file("out/plan.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(file("out/slurm")));
  EXPECT_EQ(calls(), "");
}

TEST_F(Submit, RefusalsAreOneLine) {
  command("sbatch", "case $1 in --version) ;; *) echo 'sbatch: error: bad' >&2; exit 1 ;; esac");
  EXPECT_ERROR(submit(trainings(1)), "sbatch: sbatch: error: bad");
  command("scontrol", "echo 'MaxArraySize            = 0'");
  EXPECT_ERROR(submit(trainings(1)), "no arrays");
  command("sbatch", "exit 127");
  EXPECT_ERROR(submit(trainings(1)), "no 'sbatch' here");
}

TEST_F(Submit, BadInputIsOneLineThatNamesTheNearest) {
  const std::vector<std::pair<std::string, std::string>> cases{{"quik", "did you mean 'quick'"},
                                                               {"--engine=slrum", "'slurm'"},
                                                               {"--retry=OMM", "'OOM'"},
                                                               {"--limit=0", "--limit"},
                                                               {"--limt=1", "'--limit'"}};
  for (const auto& [word, part] : cases) {
    const ProgramOutput output = run_program({ARENA_BINARY, "submit", word, "--dry-run"});
    EXPECT_EQ(output.exit_code, 2) << word;
    EXPECT_NE(output.text.find(part), std::string::npos) << output.text;
    EXPECT_EQ(std::ranges::count(output.text, '\n'), 1) << output.text;
  }
}

/// The script of an array, with a program that does by its index: 0 ends well, 1 fails, 2 waits for
/// the signal and saves something, 3 waits and saves nothing.
class Task : public Submit {
 protected:
  Task() {
    command("arena", "printf '%s\\n' \"$*\" >>" + shell_word(file("runs")) + R"(
while [ "$1" != --index ]; do shift; done
case $2 in 0) exit 0 ;; 1) exit 1 ;; esac
trap 'exit 75' USR1
[ "$2" = 3 ] || trap 'echo more >>"$save"; exit 75' USR1
>"$started"
for second in 1 2 3 4 5 6 7 8 9; do sleep 1 & wait; done
exit 9)");
    ::setenv("started", file("started").c_str(), 1);
    ::setenv("SLURM_ARRAY_TASK_ID", "0", 1);
    ::setenv("SLURM_CPUS_PER_TASK", "2", 1);
  }

  /// Runs a task of these places; told to stop once the program waits. Gives the exit code.
  int run_task(const std::vector<Index>& places, const std::string& done = "") {
    std::vector<PlannedUnit> units;
    for (const Index place : places) units.push_back({.unit = training(0), .place = place});
    ::setenv("save", file("out/checkpoints/" + units[0].unit.id + ".safetensors").c_str(), 1);
    setup_.cells_per_job = static_cast<Index>(places.size());
    const SlurmArray array = slurm_arrays(units, setup_, 1, 10).front();
    std::filesystem::create_directories(file("out/slurm/1"));
    write("out/slurm/1/train-0.units", array.units);
    write("out/slurm/1/train-0.sh", array.script);
    write("runs", "");
    std::filesystem::remove(file("started"));
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string script = file("out/slurm/1/train-0.sh");
      ::execl("/bin/sh", "sh", script.c_str(), done.empty() ? nullptr : done.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 1000 && !std::filesystem::exists(file("started")); ++i) {
      if (places.back() < 2) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (places.back() >= 2) ::kill(child, SIGUSR1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_F(Task, RunsItsUnitsOnItsCores) {
  EXPECT_EQ(run_task({0, 0}), 0);
  const std::string line =
      "cell --plan " + file("out/plan.jsonl") + " --threads 2 --data-dir /data --index 0\n";
  EXPECT_EQ(read_file(file("runs")), line + line);
  EXPECT_EQ(run_task({1, 0}), 1);  // a failure is told, and the others are run
  EXPECT_EQ(calls(), "");
}

TEST_F(Task, SubmitsItselfAgainFromTheUnitThatWasStopped) {
  EXPECT_EQ(run_task({0, 0, 2}, "1"), 0);
  EXPECT_EQ(calls(), "--array=0 " + file("out/slurm/1/train-0.sh") + " 2\n");
  EXPECT_EQ(run_task({2}), 0);
  EXPECT_TRUE(has_line(calls(), "--array=0 " + file("out/slurm/1/train-0.sh") + " 0"));
}

TEST_F(Task, GivesUpWhereItGetsNowhere) {
  EXPECT_EQ(run_task({0, 3}, "1"), 75);
  EXPECT_EQ(calls(), "");
}

}  // namespace
}  // namespace arena
