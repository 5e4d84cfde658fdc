#pragma once
// A process that answers lines of JSON with lines of JSON; whatever it does instead is a status.

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace arena {

struct PeerAnswer {
  std::string status = "OK";  // or UNSUPPORTED, ERROR, CRASHED, OOM, TIMEOUT
  std::string error;          // one line where it is not OK
  nlohmann::json fields;      // of an answer that is OK: an object

  bool ok() const { return status == "OK"; }
  /// A field that is a number, or -1.
  double number(const char* name) const;
};

class PeerProcess {
 public:
  /// Starts `python -c script` (looked for in PATH) in a process group of its own; what it writes
  /// to standard error goes to the file `log`. One that cannot be started answers with CRASHED.
  PeerProcess(const std::string& python, std::string_view script, std::string log);
  /// Kills it and its children.
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  /// Sends a request and waits for its answer, at most `timeout_s` seconds. After any failure but
  /// UNSUPPORTED and ERROR from the process itself it is killed, and every later answer is the
  /// same.
  PeerAnswer ask(const nlohmann::json& request, double timeout_s);

 private:
  PeerAnswer read_answer(double timeout_s);
  PeerAnswer give_up(const std::string& status, const std::string& error);
  PeerAnswer ended();
  void stop();

  std::string log_;
  pid_t pid_ = -1;
  int socket_ = -1;
  PeerAnswer last_failure_;
};

}  // namespace arena
