// Lines of a plan: what was read is written in a form that reads back the same.

#include "harness/sweep/unit.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  read_or_refuse([&] {
    const Unit unit = parse_unit(text_of(data, size), "plan.jsonl:1");
    require(unit_line(parse_unit(unit_line(unit), "")) == unit_line(unit));
    require(!unit_title(unit).empty());
    for (const UnitCell& cell : unit.cells) planned_record(unit, cell);
  });
  return 0;
}
