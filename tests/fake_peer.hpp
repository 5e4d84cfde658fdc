#pragma once
// A shell script in the place of Python, which speaks the protocol of harness/peers without any
// library: its one shape is a single key of one head of width 4, where attention gives the value.

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

namespace arena {

struct FakePeer {
  std::string hello = R"(say '{"version": "1.0"}')";
  std::string make = "outputs; say '{\"cold_ns\": 5000, \"rss_peak_bytes\": 4096}'";
  std::string run = "say '{\"ns\": 1000000}'";

  /// Writes it as an executable file.
  void write(const std::string& path) const {
    // Names are sorted in the file of inputs, so the value's 16 bytes are the last ones.
    std::ofstream(path) << fmt::format(R"SH(#!/bin/sh
say() {{ printf '%s\n' "$1"; }}
field() {{ printf '%s' "$line" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }}
outputs() {{
  {{ printf '\100\000\000\000\000\000\000\000'
    printf '{{"out":{{"dtype":"F32","shape":[1,1,1,4],"data_offsets":[0,16]}}}} '
    tail -c 16 "$(field inputs)"; }} >"$(field outputs)"
}}
while read -r line; do
  case "$line" in
    *'"do":"hello"'*) {} ;;
    *'"do":"make"'*) {} ;;
    *) {} ;;
  esac
done
)SH",
                                       hello, make, run);
    ::chmod(path.c_str(), 0700);
  }
};

}  // namespace arena
