#pragma once
// What `arena bench` was asked for, and the groups that it means.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "harness/bench/peer.hpp"

namespace arena {

struct BenchArguments {
  std::string variants;
  std::string lengths = "256:4096:x2";
  std::string pass = "forward";
  std::string scope = "kernel";
  std::string threads = "1";
  std::string task;
  Index heads = 8;
  Index head_dim = 64;
  Index batch = 1;
  Index repetitions = 9;
  bool causal = false;
  bool json = false;
  std::string out;
  std::string memory_of;
  std::string against;
  PeerSettings peers{};
};

/// The model of LRA's code in scope step, where nothing else was asked for. Throws Error on a bad
/// task.
void set_step_defaults(const CLI::App& command, BenchArguments& arguments);

/// All groups that the arguments ask for, threads outermost, without peers. Throws Error on a bad
/// value.
std::vector<BenchGroup> groups_of(const BenchArguments& arguments);

/// Adds the peers that --against names and that can be had to each group; says on standard error
/// which cannot. Throws Error on an unknown library.
void add_peers(const BenchArguments& arguments, std::vector<BenchGroup>& groups);

}  // namespace arena
