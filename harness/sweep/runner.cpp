#include "harness/sweep/runner.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "harness/core/check.hpp"
#include "harness/core/team.hpp"
#include "harness/sweep/cell.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/stop.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

constexpr int kPollMilliseconds = 200;
constexpr auto kBeatInterval = std::chrono::seconds(15);
constexpr auto kAskInterval = std::chrono::seconds(1);
constexpr double kGraceSeconds = 60;  // for saving a checkpoint after SIGTERM

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A checkpoint of other code, or of before a forced start, is not gone on from.
void prepare_checkpoint(const std::string& checkpoint, const Unit& unit, bool fresh) {
  const std::string maker = checkpoint + ".code";
  const std::string code = code_hash(unit.kind, unit.cells.front().variant, unit.task) + "\n";
  std::error_code error;
  create_folder(fs::path(checkpoint).parent_path().string());
  const bool same = fs::exists(maker, error) && read_file(maker) == code;
  if (fresh || !same) fs::remove(checkpoint, error);
  if (!same) write_file_atomically(maker, code);
}

std::string last_line(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return "";
  std::string text = read_file(path);
  text.erase(text.find_last_not_of(" \n") + 1);
  return text.substr(text.rfind('\n') + 1);
}

std::string finished_text(const Unit& unit, const std::vector<Record>& records) {
  if (unit.kind != "train") return "";
  const Record& record = records.front();
  if (!record.test_accuracy_best) return "";
  return fmt::format(": accuracy {:.1f} %", 100 * *record.test_accuracy_best);
}

/// The worst status of a unit, for its line.
std::string status_text(const std::vector<Record>& records) {
  std::string status = "OK";
  for (const Record& record : records) {
    if (record.status != "OK" && !is_failure(status)) status = record.status;
  }
  return status;
}

}  // namespace

Runner::Runner(const Store& store, const SweepSetup& setup, std::vector<Job> jobs, Index total)
    : store_(store),
      setup_(setup),
      claims_(store.dir()),
      pending_(std::make_move_iterator(jobs.begin()), std::make_move_iterator(jobs.end())),
      total_(total),
      finished_(total - static_cast<Index>(pending_.size())),
      last_beat_(Clock::now()) {}

bool Runner::run() {
  while (!pending_.empty() || !slots_.empty()) {
    if (!stop_flag()) start_jobs();
    if (stop_flag() && slots_.empty()) return false;
    listen();
    reap();
    obey_limits();
    show();
  }
  return !interrupted_;
}

std::string Runner::log_path(const Unit& unit) const {
  return store_.dir() + "/logs/" + unit.id + ".log";
}

void Runner::start_jobs() {
  const bool ask_again = Clock::now() - last_asked_ > kAskInterval;
  if (ask_again) last_asked_ = Clock::now();
  for (std::size_t seen = 0, count = pending_.size(); seen < count; ++seen) {
    if (static_cast<Index>(slots_.size()) >= setup_.jobs) return;
    Job job = std::move(pending_.front());
    pending_.pop_front();
    const bool timing_runs = !slots_.empty() && slots_.front().job.unit.kind == "bench";
    const bool must_wait = timing_runs || (job.unit.kind == "bench" && !slots_.empty());
    if (must_wait) {
      pending_.push_front(std::move(job));
      return;
    }
    if ((job.elsewhere && !ask_again) || !start(job)) pending_.push_back(std::move(job));
  }
}

/// True when the job is off the list: started, or done by another process.
bool Runner::start(Job& job) {
  if (!claims_.take(job.unit.id)) {
    job.elsewhere = true;
    return false;
  }
  // Another process may have finished it since we planned.
  SweepSetup plain = setup_;
  if (job.elsewhere) plain.retry.clear(), plain.force = false;
  if (need_of(job.unit, store_, plain) == Need::kNothing) {
    claims_.release(job.unit.id);
    ++finished_;
    return true;
  }
  create_folder(store_.dir() + "/logs");
  const Index threads =
      setup_.threads > 0 ? setup_.threads : std::max(Index{1}, available_threads() / setup_.jobs);
  std::vector<std::string> arguments{"cell",       "--inside",
                                     "--plan",     store_.plan_path(),
                                     "--index",    fmt::format("{}", job.place),
                                     "--threads",  fmt::format("{}", threads),
                                     "--data-dir", setup_.data_dir};
  if (setup_.memory_limit > 0) {
    arguments.insert(arguments.end(), {"--memory-limit", fmt::format("{}", setup_.memory_limit)});
  }
  if (job.unit.kind == "train") {
    const std::string checkpoint = checkpoint_path(store_.dir(), job.unit.id);
    prepare_checkpoint(checkpoint, job.unit, job.fresh);
    arguments.insert(arguments.end(), {"--checkpoint", checkpoint});
  }
  const std::string log = log_path(job.unit);
  slots_.push_back({.job = std::move(job),
                    .child = std::make_unique<Child>(arguments, log),
                    .start = Clock::now()});
  return true;
}

void Runner::listen() {
  std::vector<pollfd> waits;
  for (const Slot& slot : slots_) waits.push_back({slot.child->descriptor(), POLLIN, 0});
  ::poll(waits.data(), waits.size(), kPollMilliseconds);
  for (Slot& slot : slots_) {
    for (Message& message : slot.child->messages()) {
      if (message.progress) {
        slot.progress = message.progress;
      } else if (message.record) {
        slot.records.push_back(std::move(*message.record));
      } else {
        slot.remark = message.remark;
      }
    }
  }
}

void Runner::reap() {
  for (std::size_t i = 0; i < slots_.size();) {
    const auto ended = slots_[i].child->ended();
    if (!ended) {
      ++i;
      continue;
    }
    for (Message& message : slots_[i].child->messages()) {
      if (message.record) slots_[i].records.push_back(std::move(*message.record));
    }
    Slot slot = std::move(slots_[i]);
    slots_.erase(slots_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(slot, *ended);
  }
}

std::vector<Record> Runner::outcome(const Slot& slot, int wait_status) const {
  const Unit& unit = slot.job.unit;
  if (slot.records.size() == unit.cells.size()) return slot.records;
  if (slot.timed_out) {
    return failed_records(unit, "TIMEOUT",
                          fmt::format("not finished within {:.6g} s", setup_.time_limit_s));
  }
  const bool stopped = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kStoppedExitCode;
  if (stopped || slot.stopping) return {};
  const std::string last = last_line(log_path(unit));
  std::string error = ending_text(wait_status);
  if (!last.empty()) error += ": " + last;
  if (last.find("bad_alloc") != std::string::npos) return failed_records(unit, "OOM", error);
  return failed_records(unit, WIFSIGNALED(wait_status) ? "CRASHED" : "ERROR", error);
}

void Runner::finish(Slot& slot, int wait_status) {
  const Unit& unit = slot.job.unit;
  const std::vector<Record> records = outcome(slot, wait_status);
  if (records.empty()) {
    interrupted_ = true;
  } else if (claims_.holds(unit.id)) {
    for (const Record& record : records) store_.save(record);
  }
  claims_.release(unit.id);
  const std::string status = status_text(records);
  std::error_code error;
  if (!is_failure(status)) fs::remove(log_path(unit), error);
  if (records.empty()) return;
  ++done_, ++finished_;
  const double seconds = seconds_since(slot.start);
  // a training that failed or went on from a checkpoint does not say how long all of it takes
  if (unit.kind != "train" || records.front().wall_s) {
    time_left_.add_done(unit.kind, unit_cost(unit), seconds);
  }
  if (line_.on_terminal() && !is_failure(status)) return;
  line_.say(fmt::format("[{}/{}] {:<11} {}{} ({})", finished_, total_, status, unit_title(unit),
                        finished_text(unit, records), duration_text(seconds)));
  for (const Record& record : records) {
    if (is_failure(record.status)) {
      line_.say(fmt::format("        {}: {}: {}", record.variant, record.status, record.error));
    }
  }
}

/// A training saves its checkpoint first; a timing has nothing to save.
void Runner::stop_slot(Slot& slot) {
  const bool at_once = slot.job.unit.kind == "bench" ||
                       (slot.stopping && seconds_since(slot.told_to_stop) > kGraceSeconds);
  if (slot.stopping && !at_once) return;
  if (!slot.stopping) slot.told_to_stop = Clock::now();
  slot.stopping = true;
  slot.child->signal(at_once ? SIGKILL : SIGTERM);
}

void Runner::obey_limits() {
  for (Slot& slot : slots_) {
    if (setup_.time_limit_s > 0 && seconds_since(slot.start) > setup_.time_limit_s) {
      slot.timed_out = slot.timed_out || !slot.stopping;
      stop_slot(slot);
    }
    if (stop_flag()) stop_slot(slot);
    if (stop_requests() > 1) slot.child->signal(SIGKILL);
  }
  if (Clock::now() - last_beat_ < kBeatInterval) return;
  last_beat_ = Clock::now();
  for (const Slot& slot : slots_) claims_.beat(slot.job.unit.id);
}

double Runner::seconds_left() const {
  TimeLeft time_left = time_left_;
  for (const Slot& slot : slots_) {
    if (!slot.progress) continue;
    const TrainProgress& p = *slot.progress;
    const double part_done = static_cast<double>(p.step) / static_cast<double>(p.steps);
    time_left.add_running(slot.job.unit.kind, unit_cost(slot.job.unit), part_done,
                          seconds_since(slot.start), p.seconds_left);
  }
  double waiting = 0;
  for (const Job& job : pending_) {
    waiting += time_left.seconds_for(job.unit.kind, unit_cost(job.unit));
  }
  double running = 0;
  for (const Slot& slot : slots_) {
    const double guess = time_left.seconds_for(slot.job.unit.kind, unit_cost(slot.job.unit)) -
                         seconds_since(slot.start);
    running = std::max(running, slot.progress ? slot.progress->seconds_left : guess);
  }
  return waiting / static_cast<double>(setup_.jobs) + running;
}

void Runner::show() {
  if (slots_.empty()) {
    if (!pending_.empty() && !stop_flag()) {
      line_.show(fmt::format("[{}/{}] waiting for {} that run elsewhere", finished_, total_,
                             pending_.size()));
    }
    return;
  }
  if (stop_flag()) return line_.show("stopping: saving checkpoints (again: at once)");
  const Slot& slot = slots_.front();
  std::string text = fmt::format("[{}/{}] {} left | {}", finished_, total_,
                                 duration_text(seconds_left()), unit_title(slot.job.unit));
  if (slot.progress) {
    const TrainProgress& p = *slot.progress;
    text += fmt::format(": step {}/{}, loss {:.3f}, accuracy {:.3f}", p.step, p.steps, p.loss,
                        p.accuracy);
    if (p.validation_accuracy >= 0)
      text += fmt::format(" (validation {:.3f})", p.validation_accuracy);
    text += fmt::format(", {} tokens/s, {} left", count_text(p.tokens_per_s),
                        duration_text(p.seconds_left));
  } else if (!slot.remark.empty()) {
    text += ": " + slot.remark;
  }
  if (slots_.size() > 1) text += fmt::format(" | and {} more", slots_.size() - 1);
  line_.show(text);
}

}  // namespace arena
