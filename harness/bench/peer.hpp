#pragma once
// Other libraries as rows of a timing group: each in a process of its own that runs
// harness/peers/peers.py, so that one that dies takes no other row with it and its peak of memory
// is its own; the process lives as long as the group and measures its own calls.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/bench/bench_entry.hpp"
#include "harness/bench/google.hpp"
#include "harness/bench/peer_process.hpp"

namespace arena {

struct PeerLibrary {
  std::string name, version;
};

/// Libraries that --against may name.
const std::vector<std::string>& peer_library_names();

/// Those of the named libraries that `python` can import. For the others `remark` gets one line
/// that says what is missing and how to get it.
std::vector<PeerLibrary> find_peers(const PeerSettings& settings,
                                    std::span<const std::string> names,
                                    const std::function<void(const std::string&)>& remark);

/// The rows that the libraries have to offer in a group's shape, beside the group's variants.
std::vector<PeerRow> peer_rows(const BenchGroup& group, std::span<const PeerLibrary> libraries);

class PeerReference;

/// The peers of one group, from the first comparison to the last timing.
class PeerGroup {
 public:
  /// `tensors` or `batch` is what the group's variants work on; both must outlive this.
  PeerGroup(const BenchGroup& group, const BenchInputs* tensors, const StepBatch* batch);
  ~PeerGroup();

  /// Starts every row and compares what it gives on the very same inputs: outputs and gradients
  /// with those of `blocked` (itself held against the oracle), in scope step the loss over two
  /// steps from the same weights. Rows that fail have their status; the others may be timed.
  void start(const std::function<void(const std::string&)>& progress);

  /// Calls of the rows that may be timed, and the entries they belong to, in the same order.
  std::vector<TimedCall> calls();
  std::vector<BenchEntry*> timed();
  std::vector<Record> take_records();

 private:
  struct Row;

  void start_row(Row& row);
  const BenchGroup& group_;
  std::unique_ptr<PeerReference> reference_;
  std::string folder_;
  std::vector<std::unique_ptr<Row>> rows_;
};

}  // namespace arena
