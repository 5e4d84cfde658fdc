// Sequences of ListOps tokens, most of them no expressions.

#include "tasks/format/listops_expression.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < size; ++i) tokens.push_back(data[i] % kListopsVocabulary);
  const ListopsEvaluation evaluation = evaluate_listops(tokens);
  if (!evaluation.fault.empty()) return 0;
  require(evaluation.value >= 0 && evaluation.value <= 9);
  for (const Index depth : {0, 2}) require(!listops_text(tokens, depth).empty());
  return 0;
}
