#pragma once
// Threads and their workspaces, handed down. Only team.cpp knows OpenMP.

#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "harness/core/workspace.hpp"

namespace arena {

/// Some workers with one Workspace each; worker 0 is the caller. A cheap value: copy it freely.
class Team {
 public:
  explicit Team(std::span<Workspace> workspaces) : workspaces_(workspaces) {}

  Index size() const { return static_cast<Index>(workspaces_.size()); }
  /// The calling worker's own scratch memory.
  Workspace& workspace() const { return workspaces_.front(); }

  /// Calls body(i, worker) once for each i in [0, count), in any order. With at least as many items
  /// as workers, items run in parallel and each gets a team of one; with fewer, they run one after
  /// another and each gets the whole team. Nothing that is computed may depend on which it was.
  /// The first exception thrown by a body is thrown again here.
  template <class Body>
  void for_each(Index count, Body&& body) const {
    using Plain = std::remove_reference_t<Body>;
    run(
        count,
        [](void* context, Index i, const Team& worker) {
          (*static_cast<Plain*>(context))(i, worker);
        },
        const_cast<void*>(static_cast<const void*>(std::addressof(body))));
  }

 private:
  using Item = void (*)(void* context, Index i, const Team& worker);
  void run(Index count, Item item, void* context) const;

  std::span<Workspace> workspaces_;
};

/// Owns the workspaces of `threads` workers.
class Workers {
 public:
  /// Throws Error unless threads is at least 1.
  explicit Workers(Index threads);
  Team team() { return Team(workspaces_); }
  /// Sum of the workers' high-water marks, in bytes.
  Index high_water() const;
  void reset_high_water();

 private:
  std::vector<Workspace> workspaces_;
};

/// Number of threads this process may use (affinity and cpusets, not the quota of a cgroup).
Index available_threads();

}  // namespace arena
