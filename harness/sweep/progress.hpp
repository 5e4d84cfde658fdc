#pragma once
// What a person sees while work goes on, on standard error.

#include <chrono>
#include <map>
#include <string>

namespace arena {

/// "45 s", "3 min 20 s", "2 h 05 min".
std::string duration_text(double seconds);
/// "950", "12.3k", "4.56M".
std::string count_text(double count);

/// On a terminal one line that is written over; elsewhere now and then a line.
class StatusLine {
 public:
  StatusLine();
  /// Clears the line on a terminal.
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  bool on_terminal() const { return on_terminal_; }
  /// The state of things; may be shown or not.
  void show(const std::string& text);
  /// A line that stays.
  void say(const std::string& text);

 private:
  void clear();

  bool on_terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

/// Estimates the time left from the costs (harness/sweep/plan.hpp) of what is done or under way.
class TimeLeft {
 public:
  void add_done(const std::string& kind, double cost, double seconds);
  /// Of work a part of which is done: `elapsed` seconds since it started or went on.
  void add_running(const std::string& kind, double cost, double part_done, double elapsed,
                   double seconds_left);
  /// Seconds for work of this cost; a guess by a typical machine until something is done.
  double seconds_for(const std::string& kind, double cost) const;

 private:
  struct Sum {
    double cost = 0;
    double seconds = 0;
  };
  std::map<std::string, Sum> done_;
};

}  // namespace arena
