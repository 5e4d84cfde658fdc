#include "harness/core/team.hpp"

#include <omp.h>

#include <atomic>
#include <exception>

#include "harness/core/check.hpp"

namespace arena {

void Team::run(Index count, Item item, void* context) const {
  if (size() == 1 || count < size()) {
    for (Index i = 0; i < count; ++i) item(context, i, *this);
    return;
  }
  std::exception_ptr first_error;
  std::atomic<Index> next{0};  // a dynamic schedule of OpenMP, for which clang's allocates memory
#pragma omp parallel num_threads(static_cast <int>(size()))
  {
    const auto me = static_cast<std::size_t>(omp_get_thread_num());
    const Team worker(workspaces_.subspan(me, 1));
    for (Index i = next++; i < count; i = next++) {
      try {  // an exception must not leave an OpenMP region
        item(context, i, worker);
      } catch (...) {
#pragma omp critical(arena_team_error)
        if (!first_error) first_error = std::current_exception();
      }
    }
  }
  if (first_error) std::rethrow_exception(first_error);
}

Workers::Workers(Index threads) {
  check(threads >= 1, "{} threads: at least 1 is needed", threads);
  workspaces_.resize(static_cast<std::size_t>(threads));
}

Index Workers::high_water() const {
  Index total = 0;
  for (const Workspace& workspace : workspaces_) total += workspace.high_water();
  return total;
}

void Workers::reset_high_water() {
  for (Workspace& workspace : workspaces_) workspace.reset_high_water();
}

Index available_threads() {
  return omp_get_num_procs();
}

}  // namespace arena
