// Forward of tiled softmax attention by the groups of queries that are fastest here.

#include "variants/engine/softmax_forward_tiles.hpp"
#include "variants/engine/softmax_matrix_group.hpp"
#include "variants/engine/softmax_vector_group.hpp"

namespace arena {
namespace {

using namespace softmax_forward_detail;  // NOLINT(google-build-using-namespace): its only user

/// body.operator()<Group>() with the groups for this machine.
template <class Body>
auto with_groups(const Body& body) {
#ifdef ARENA_HAS_MATRIX_UNIT
  if (matrix_unit::available()) {
    return body.template operator()<MatrixGroup<matrix_unit::kExact>>();
  }
#endif
  return body.template operator()<VectorGroup>();
}

}  // namespace

void softmax_forward_into(const Team& team, const SoftmaxProblem& problem, float scale,
                          Output output) {
  with_groups([&]<class Group>() { run_forward<Group>(team, problem, scale, output); });
}

void softmax_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                     HeadOutputs outputs, View statistics) {
  softmax_forward_into(team, {in, &mask, outputs, {statistics}}, scale, Output::kOverwrite);
}

void softmax_forward_each(Workspace& workspace, const Series<SoftmaxProblem>& problems, float scale,
                          Output output) {
  with_groups([&]<class Group>() { run_each<Group>(workspace, problems, scale, output); });
}

SoftmaxScratch softmax_forward_scratch(const Extents& extents, Index head_dim, Index workers) {
  return with_groups(
      [&]<class Group>() { return forward_scratch<Group>(extents, head_dim, workers); });
}

}  // namespace arena
