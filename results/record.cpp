#include "results/record.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "harness/core/check.hpp"

namespace arena {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int kSchema = 1;

/// Calls visit(name, member) for each plain field, in the order in which they are written.
template <class AnyRecord, class Visit>
void visit_fields(AnyRecord& r, Visit&& visit) {
  visit("schema", r.schema), visit("id", r.id), visit("arena_version", r.arena_version);
  visit("code_hash", r.code_hash), visit("git_commit", r.git_commit);
  visit("git_dirty", r.git_dirty), visit("date", r.date), visit("machine", r.machine);
  visit("compiler", r.compiler), visit("flags", r.flags), visit("kind", r.kind);
  visit("variant", r.variant), visit("options", r.options), visit("task", r.task);
  visit("task_label", r.task_label);
  visit("task_options", r.task_options), visit("dataset_hash", r.dataset_hash);
  visit("partial", r.partial), visit("preset", r.preset), visit("seed", r.seed);
  visit("threads", r.threads), visit("track", r.track), visit("tuning_budget", r.tuning_budget);
  visit("scope", r.scope), visit("pass", r.pass), visit("length", r.length);
  visit("heads", r.heads), visit("head_dim", r.head_dim), visit("batch", r.batch);
  visit("causal", r.causal), visit("precision", r.precision), visit("group", r.group);
  visit("status", r.status), visit("error", r.error), visit("time_ns", r.time_ns);
  visit("time_ns_median", r.time_ns_median), visit("time_ns_mad", r.time_ns_mad);
  visit("time_ns_cold", r.time_ns_cold), visit("tokens_per_s", r.tokens_per_s);
  visit("flops", r.flops), visit("flops_per_s", r.flops_per_s);
  visit("share_of_peak", r.share_of_peak), visit("share_of_l1", r.share_of_l1);
  visit("workspace_bytes", r.workspace_bytes), visit("rss_peak_bytes", r.rss_peak_bytes);
  visit("analytic_bytes", r.analytic_bytes), visit("parameters", r.parameters);
  visit("max_error", r.max_error), visit("steps", r.steps), visit("wall_s", r.wall_s);
  visit("learning_rate", r.learning_rate), visit("lengths", r.lengths);
  visit("loss_curve", r.loss_curve), visit("validation_curve", r.validation_curve);
  visit("validation_accuracy_best", r.validation_accuracy_best);
  visit("test_accuracy_best", r.test_accuracy_best);
  visit("test_accuracy_last", r.test_accuracy_last), visit("metrics", r.metrics);
  visit("correct", r.correct), visit("sequence_starts", r.sequence_starts);
  visit("chance_accuracy", r.chance_accuracy);
  visit("shortcut_accuracy", r.shortcut_accuracy);
}

bool is_setting(const std::string& name) {
  return name.starts_with("model.") || name.starts_with("train.");
}

// ---- Writing: an absent value gives null, which is left out. Numbers that are not finite are
// absent.

OrderedJson written(const std::string& text) {
  return text.empty() ? OrderedJson() : OrderedJson(text);
}
OrderedJson written(bool on) {
  return on;
}
OrderedJson written(int number) {
  return number;
}
OrderedJson written(std::uint64_t number) {
  return number;
}
OrderedJson written(Index number) {
  return number == 0 ? OrderedJson() : OrderedJson(number);
}
OrderedJson written(double number) {
  return std::isfinite(number) ? OrderedJson(number) : OrderedJson();
}

OrderedJson written(const std::optional<double>& number) {
  return number ? written(*number) : OrderedJson();
}

OrderedJson written(const std::optional<Index>& number) {
  return number ? OrderedJson(*number) : OrderedJson();
}

OrderedJson written(const OptionValue& value) {
  return std::visit([](const auto& v) { return OrderedJson(v); }, value);
}

OrderedJson written(const CurvePoint& point) {
  OrderedJson json{{"step", point.step}};
  if (std::isfinite(point.loss)) json["loss"] = point.loss;
  if (std::isfinite(point.accuracy)) json["accuracy"] = point.accuracy;
  if (std::isfinite(point.wall_s)) json["wall_s"] = point.wall_s;
  return json;
}

template <class Value>
OrderedJson written(const std::map<std::string, Value, std::less<>>& values) {
  OrderedJson json;
  for (const auto& [name, value] : values) json[name] = written(value);
  return json;
}

OrderedJson written(const std::map<std::string, double>& values) {
  OrderedJson json;
  for (const auto& [name, value] : values) {
    if (std::isfinite(value)) json[name] = value;
  }
  return json;
}

template <class Value>
OrderedJson written(const std::vector<Value>& values) {
  OrderedJson json;
  for (const Value& value : values) {
    const OrderedJson item(written(value));
    if (!item.is_null()) json.push_back(item);
  }
  return json;
}

OrderedJson written(const std::vector<std::string>& values) {
  return values.empty() ? OrderedJson() : OrderedJson(values);
}

OrderedJson written(const MachineInfo& machine) {
  OrderedJson json;
  const auto put = [&](const char* name, const OrderedJson& value) {
    if (!value.is_null()) json[name] = value;
  };
  put("cpu", written(machine.cpu)), put("cores", written(machine.cores));
  put("caches", written(machine.caches)), put("isa", written(machine.isa));
  put("memory_bytes", written(machine.memory_bytes));
  return json;
}

// ---- Reading: a wrong type is an Error that names source and field.

class Reader {
 public:
  explicit Reader(const std::string& source) : source_(source) {}

  void read(const std::string& name, const Json& json, std::string& out) const {
    expect(json.is_string(), name, json, "a text");
    out = json.get<std::string>();
  }
  void read(const std::string& name, const Json& json, bool& out) const {
    expect(json.is_boolean(), name, json, "true or false");
    out = json.get<bool>();
  }
  void read(const std::string& name, const Json& json, double& out) const {
    expect(json.is_number(), name, json, "a number");
    out = json.get<double>();
  }
  void read(const std::string& name, const Json& json, OptionValue& out) const {
    expect(json.is_string() || json.is_boolean() || json.is_number(), name, json,
           "a number, text, true or false");
    if (json.is_string()) {
      out = json.get<std::string>();
    } else if (json.is_boolean()) {
      out = json.get<bool>();
    } else if (json.is_number_integer()) {
      read(name, json, out.emplace<Index>());
    } else {
      out = json.get<double>();
    }
  }
  void read(const std::string& name, const Json& json, CurvePoint& out) const {
    expect(json.is_object(), name, json, "an object");
    out.loss = out.accuracy = out.wall_s = std::numeric_limits<double>::quiet_NaN();
    member(name, json, "step", out.step), member(name, json, "loss", out.loss);
    member(name, json, "accuracy", out.accuracy), member(name, json, "wall_s", out.wall_s);
  }
  void read(const std::string& name, const Json& json, MachineInfo& out) const {
    expect(json.is_object(), name, json, "an object");
    member(name, json, "cpu", out.cpu), member(name, json, "cores", out.cores);
    member(name, json, "caches", out.caches), member(name, json, "isa", out.isa);
    member(name, json, "memory_bytes", out.memory_bytes);
  }
  template <class Number>
  requires std::is_integral_v<Number>
  void read(const std::string& name, const Json& json, Number& out) const {
    const bool fits = json.is_number_unsigned()
                          ? std::in_range<Number>(json.get<std::uint64_t>())
                          : json.is_number_integer() && std::in_range<Number>(json.get<Index>());
    expect(fits, name, json, "a whole number in range");
    out = json.get<Number>();
  }
  template <class Value>
  void read(const std::string& name, const Json& json, std::optional<Value>& out) const {
    read(name, json, out.emplace());
  }
  template <class Value>
  void read(const std::string& name, const Json& json, std::vector<Value>& out) const {
    expect(json.is_array(), name, json, "a list");
    for (const Json& item : json) read(name, item, out.emplace_back());
  }
  template <class Value, class Less>
  void read(const std::string& name, const Json& json,
            std::map<std::string, Value, Less>& out) const {
    expect(json.is_object(), name, json, "an object");
    for (const auto& [key, value] : json.items()) read(name + "." + key, value, out[key]);
  }

 private:
  template <class Value>
  void member(const std::string& name, const Json& json, const char* key, Value& out) const {
    if (const auto found = json.find(key); found != json.end()) {
      read(name + "." + key, *found, out);
    }
  }

  void expect(bool good, const std::string& name, const Json& json, const char* wanted) const {
    if (good) return;
    // dump() recurses: a list of lists could be deeper than the stack
    const std::string is = json.is_structured()
                               ? json.type_name()
                               : json.dump(-1, ' ', false, Json::error_handler_t::replace);
    fail("{}: field '{}' should be {}, is {}", source_, name, wanted, is.substr(0, 60));
  }

  const std::string& source_;
};

}  // namespace

std::string named_text(const std::string& name, const OptionValues& options) {
  std::string text;
  for (const auto& [key, value] : options) {
    const std::string shown = option_text(value);
    if (!shown.empty()) text += fmt::format("{}{}={}", text.empty() ? "[" : ",", key, shown);
  }
  return text.empty() ? name : name + text + "]";
}

std::string to_json(const Record& record) {
  OrderedJson json;
  visit_fields(record, [&](const char* name, const auto& member) {
    OrderedJson value(written(member));
    if (!value.is_null()) json[name] = std::move(value);
    if (std::string_view(name) == "task_options") {
      for (const auto& [key, setting] : record.settings) json[key] = written(setting);
    }
  });
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Record record_from_json(const std::string& text, const std::string& source) {
  const Json json = Json::parse(text, nullptr, false);
  check(json.is_object(), "{}: not a record: {} bytes that are not one JSON object", source,
        text.size());
  Record record;
  const Reader reader(source);
  visit_fields(record, [&](const char* name, auto& member) {
    if (const auto found = json.find(name); found != json.end()) {
      reader.read(name, *found, member);
    }
  });
  check(record.schema >= 1 && record.schema <= kSchema,
        "{}: field 'schema' is {}, this version reads 1..{}", source, record.schema, kSchema);
  check(!record.id.empty() && !record.kind.empty() && !record.variant.empty(),
        "{}: not a record: one of the fields 'id', 'kind', 'variant' is missing", source);
  for (const auto& [key, value] : json.items()) {
    if (is_setting(key)) reader.read(key, value, record.settings[key]);
  }
  return record;
}

}  // namespace arena
