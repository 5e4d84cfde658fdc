#pragma once
// The loop of a sweep: claims units, starts them as child processes, listens, saves their records.

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/sweep/child.hpp"
#include "harness/sweep/claim.hpp"
#include "harness/sweep/progress.hpp"
#include "harness/sweep/sweep.hpp"

namespace arena {

/// A unit that needs to be run.
struct Job {
  Unit unit;
  Index place = 0;  // line of the plan, from 0
  bool fresh = false;
  bool elsewhere = false;  // another process held its claim when we last asked
};

class Runner {
 public:
  /// `total` counts the units of the sweep, those included whose records stand.
  Runner(const Store& store, const SweepSetup& setup, std::vector<Job> jobs, Index total);
  /// Returns false when it was stopped before all was done.
  bool run();
  Index done() const { return done_; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Slot {
    Job job;
    std::unique_ptr<Child> child;
    Clock::time_point start;
    Clock::time_point told_to_stop{};
    std::optional<TrainProgress> progress{};
    std::string remark{};
    std::vector<Record> records{};
    bool stopping = false;
    bool timed_out = false;
  };

  void start_jobs();
  bool start(Job& job);
  void listen();
  void reap();
  void finish(Slot& slot, int wait_status);
  std::vector<Record> outcome(const Slot& slot, int wait_status) const;
  void stop_slot(Slot& slot);
  void obey_limits();
  void show();
  double seconds_left() const;
  std::string log_path(const Unit& unit) const;

  const Store& store_;
  const SweepSetup& setup_;
  ClaimFolder claims_;
  std::deque<Job> pending_;
  std::vector<Slot> slots_;
  Index total_;
  Index done_ = 0;
  Index finished_;  // done, standing, or done elsewhere
  bool interrupted_ = false;
  Clock::time_point last_beat_, last_asked_{};
  TimeLeft time_left_;
  StatusLine line_;
};

}  // namespace arena
