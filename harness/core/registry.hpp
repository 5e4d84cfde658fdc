#pragma once
// Self-registration by name. One object per file: const Register<Variant> kDense{{.name = ...}};
// The object files must be linked whole (OBJECT libraries); iteration is sorted by name.

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "harness/core/check.hpp"

namespace arena {

/// All registered Entry objects. Entry has `std::string name` and a static `kKind`, the word used
/// in messages ("variant", "task").
template <class Entry>
class Registry {
 public:
  static std::vector<std::string> names() {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries()) result.push_back(name);
    return result;
  }

  /// Throws Error naming the nearest registered name.
  static const Entry& find(const std::string& name) {
    const auto found = entries().find(name);
    if (found == entries().end()) throw Error(unknown_name(Entry::kKind, name, names()));
    return found->second;
  }

 private:
  template <class>
  friend struct Register;

  static std::map<std::string, Entry>& entries() {
    static std::map<std::string, Entry> instance;
    return instance;
  }
};

template <class Entry>
struct Register {
  explicit Register(Entry entry) {
    const std::string name = entry.name;
    if (!Registry<Entry>::entries().emplace(name, std::move(entry)).second) {
      std::fprintf(stderr, "arena: two %ss are named '%s'\n", Entry::kKind, name.c_str());
      std::exit(2);
    }
  }
};

}  // namespace arena
