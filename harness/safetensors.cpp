#include "harness/safetensors.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/core/check.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are copied as they lie");

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr std::size_t kAlignHeader = 8;            // the format pads the header with spaces
constexpr const char* kMetadata = "__metadata__";

std::uint64_t item_bytes(const std::string& dtype) {
  return dtype == "F32" ? 4 : 8;
}

std::string read_all(const std::string& path) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  check(regular, "{}: no such file", path);
  std::ifstream stream(path, std::ios::binary);
  check(stream.is_open(), "{}: cannot open: {}", path, std::strerror(errno));
  const auto size = std::filesystem::file_size(path, error);
  check(!error, "{}: cannot read its size: {}", path, error.message());
  std::string bytes(size, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(size));
  check(static_cast<std::uint64_t>(stream.gcount()) == size, "{}: read {} of {} bytes", path,
        stream.gcount(), size);
  return bytes;
}

/// The header as JSON; `data_begin` becomes the offset of the first tensor byte in the file.
Json parse_header(const std::string& path, const std::string& bytes, std::uint64_t& data_begin) {
  check(bytes.size() >= kLengthBytes,
        "{}: {} bytes, but a safetensors file begins with 8 bytes of "
        "header length",
        path, bytes.size());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  check(length <= kMaxHeader && length <= bytes.size() - kLengthBytes,
        "{}: byte 0: header length {} does not fit the file of {} bytes", path, length,
        bytes.size());
  data_begin = kLengthBytes + length;
  std::set<std::string> names;
  std::string twice;
  const Json::parser_callback_t note_keys = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key && depth == 1) {
      const std::string& name = value.get_ref<const std::string&>();
      if (!names.insert(name).second) twice = name;
    }
    return true;
  };
  const auto begin = bytes.begin() + kLengthBytes;
  Json header =
      Json::parse(begin, begin + static_cast<std::ptrdiff_t>(length), note_keys, false, false);
  check(header.is_object(), "{}: header (bytes 8 to {}) is not a JSON object", path, data_begin);
  check(twice.empty(), "{}: header: tensor '{}' stands twice", path, twice);
  return header;
}

/// A list of whole numbers >= 0 under `key`, or an Error.
std::vector<Index> parse_sizes(const std::string& path, const std::string& name, const Json& entry,
                               const char* key) {
  const auto found = entry.find(key);
  check(found != entry.end() && found->is_array(), "{}: tensor '{}': expected a list '{}'", path,
        name, key);
  std::vector<Index> sizes;
  for (const Json& item : *found) {
    const bool whole =
        item.is_number_unsigned() &&
        item.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    // dump() recurses: a list of lists could be deeper than the stack
    check(whole, "{}: tensor '{}': {} holds {}, expected whole numbers from 0", path, name, key,
          item.is_structured() ? item.type_name()
                               : item.dump(-1, ' ', true, Json::error_handler_t::replace));
    sizes.push_back(item.get<Index>());
  }
  return sizes;
}

struct Range {
  std::uint64_t begin = 0, end = 0;
};

/// Reads one entry of the header and the bytes it points at.
Tensor parse_tensor(const std::string& path, const std::string& name, const Json& entry,
                    std::string_view data, Range& range) {
  check(entry.is_object(), "{}: tensor '{}': expected a JSON object", path, name);
  const auto dtype = entry.find("dtype");
  check(dtype != entry.end() && dtype->is_string(), "{}: tensor '{}': expected a text 'dtype'",
        path, name);
  Tensor tensor{dtype->get<std::string>(), parse_sizes(path, name, entry, "shape")};
  check(tensor.dtype == "F32" || tensor.dtype == "I64",
        "{}: tensor '{}': dtype '{}', expected F32 or I64", path, name, tensor.dtype);
  const std::vector<Index> offsets = parse_sizes(path, name, entry, "data_offsets");
  check(offsets.size() == 2, "{}: tensor '{}': {} data_offsets, expected 2", path, name,
        offsets.size());
  range = {static_cast<std::uint64_t>(offsets[0]), static_cast<std::uint64_t>(offsets[1])};
  check(range.begin <= range.end && range.end <= data.size(),
        "{}: tensor '{}': bytes {} to {} do not lie in the {} bytes of data", path, name,
        range.begin, range.end, data.size());
  const std::uint64_t held = (range.end - range.begin) / item_bytes(tensor.dtype);
  std::uint64_t count = 1;
  for (const Index size : tensor.shape) {
    const auto factor = static_cast<std::uint64_t>(size);
    const bool fits = count == 0 || factor <= (held + 1) / count + 1;
    count = fits ? count * factor : held + 1;  // more than the file holds: refused below
  }
  check(count * item_bytes(tensor.dtype) == range.end - range.begin,
        "{}: tensor '{}': shape [{}] of {} does not match {} bytes of data", path, name,
        fmt::join(tensor.shape, ", "), tensor.dtype, range.end - range.begin);
  const char* const from = data.data() + range.begin;
  if (tensor.dtype == "F32") {
    tensor.floats.resize(count);
    if (count > 0) std::memcpy(tensor.floats.data(), from, count * sizeof(float));
  } else {
    tensor.integers.resize(count);
    if (count > 0) std::memcpy(tensor.integers.data(), from, count * sizeof(std::int64_t));
  }
  return tensor;
}

/// The format wants every byte of the data to belong to exactly one tensor.
void check_coverage(const std::string& path, std::vector<std::pair<Range, std::string>> ranges,
                    std::uint64_t data_size) {
  std::ranges::sort(ranges, {}, [](const auto& item) {
    return std::tuple(item.first.begin, item.first.end, item.second);
  });
  std::uint64_t expected = 0;
  for (const auto& [range, name] : ranges) {
    check(range.begin == expected, "{}: tensor '{}' begins at data byte {}, expected {}", path,
          name, range.begin, expected);
    expected = range.end;
  }
  check(expected == data_size, "{}: {} bytes of data, but its tensors end at {}", path, data_size,
        expected);
}

std::string serialise_header(const TensorFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const bool is_float = tensor.dtype == "F32";
    check(is_float || tensor.dtype == "I64", "tensor '{}': cannot write dtype '{}'", name,
          tensor.dtype);
    const auto held = static_cast<Index>(is_float ? tensor.floats.size() : tensor.integers.size());
    check(held == tensor.count(), "tensor '{}': {} values for shape [{}]", name, held,
          fmt::join(tensor.shape, ", "));
    const std::uint64_t end = offset + static_cast<std::uint64_t>(held) * item_bytes(tensor.dtype);
    header[name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kAlignHeader - 1) / kAlignHeader * kAlignHeader, ' ');
  return text;
}

/// An open file descriptor; every call checks what the system says.
class OutputFile {
 public:
  explicit OutputFile(std::string path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    require(descriptor_ >= 0, "create");
  }
  ~OutputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!finished_) ::unlink(path_.c_str());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, std::size_t size) {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = ::write(descriptor_, from, size);
      if (written < 0 && errno == EINTR) continue;
      require(written > 0, "write");
      from += written;
      size -= static_cast<std::size_t>(written);
    }
  }
  /// Everything on disk under its final name.
  void finish_as(const std::string& final_path) {
    require(::fsync(descriptor_) == 0, "sync");
    const int closed = ::close(std::exchange(descriptor_, -1));
    require(closed == 0, "close");
    require(std::rename(path_.c_str(), final_path.c_str()) == 0, "rename");
    finished_ = true;
  }

 private:
  void require(bool good, const char* what) const {
    check(good, "{}: cannot {}: {}", path_, what, std::strerror(errno));
  }

  std::string path_;
  int descriptor_ = -1;
  bool finished_ = false;
};

}  // namespace

Index Tensor::count() const {
  if (std::ranges::find(shape, Index{0}) != shape.end()) return 0;
  Index product = 1;
  for (const Index size : shape) product *= size;
  return product;
}

Tensor float_tensor(std::vector<Index> shape, std::vector<float> values) {
  return {.dtype = "F32", .shape = std::move(shape), .floats = std::move(values)};
}

Tensor integer_tensor(std::vector<Index> shape, std::vector<std::int64_t> values) {
  return {.dtype = "I64", .shape = std::move(shape), .integers = std::move(values)};
}

TensorFile read_safetensors(const std::string& path) {
  const std::string bytes = read_all(path);
  std::uint64_t data_begin = 0;
  const Json header = parse_header(path, bytes, data_begin);
  const std::string_view data = std::string_view(bytes).substr(data_begin);
  TensorFile file;
  std::vector<std::pair<Range, std::string>> ranges;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) {
      check(entry.is_object(), "{}: {} is not a JSON object", path, kMetadata);
      for (const auto& [key, value] : entry.items()) {
        check(value.is_string(), "{}: {}: '{}' is not a text", path, kMetadata, key);
        file.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    Range range;
    file.tensors[name] = parse_tensor(path, name, entry, data, range);
    ranges.emplace_back(range, name);
  }
  check_coverage(path, std::move(ranges), data.size());
  return file;
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  const std::string header = serialise_header(file);
  const std::uint64_t length = header.size();
  OutputFile output(temporary_name(path));
  output.write(&length, sizeof(length));
  output.write(header.data(), header.size());
  for (const auto& [name, tensor] : file.tensors) {
    output.write(tensor.floats.data(), tensor.floats.size() * sizeof(float));
    output.write(tensor.integers.data(), tensor.integers.size() * sizeof(std::int64_t));
  }
  output.finish_as(path);
}

}  // namespace arena
