#include "harness/data/download.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>

#include "harness/core/check.hpp"
#include "harness/data/sha256.hpp"
#include "harness/sweep/stop.hpp"
#include "harness/train/trainer.hpp"
#include "results/store.hpp"
#include "tasks/format/data_folder.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

constexpr long kConnectSeconds = 30;
constexpr long kMostRedirects = 10;
constexpr const char* kAgent = "attention-arena";

struct CloseFile {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

struct CloseCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

/// What libcurl's callbacks share during one request.
struct Transfer {
  const Download& wanted;
  const DownloadProgress& progress;
  File file;
  std::int64_t here = 0;  // bytes of the file
  std::string fault{};    // why the callback refused more
};

std::size_t take_bytes(const char* bytes, std::size_t size, std::size_t count, void* transfer) {
  Transfer& to = *static_cast<Transfer*>(transfer);
  const std::size_t all = size * count;
  if (to.wanted.bytes > 0 && to.here + static_cast<std::int64_t>(all) > to.wanted.bytes) {
    to.fault = fmt::format("more than the {} bytes expected", to.wanted.bytes);
    return 0;
  }
  if (std::fwrite(bytes, 1, all, to.file.get()) != all) {
    to.fault = fmt::format("cannot write: {}", std::strerror(errno));
    return 0;
  }
  to.here += static_cast<std::int64_t>(all);
  return all;
}

int show_progress(void* transfer, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
  const Transfer& of = *static_cast<Transfer*>(transfer);
  const std::int64_t before = of.here - now;
  of.progress(of.here, of.wanted.bytes > 0 ? of.wanted.bytes : total > 0 ? before + total : 0);
  return stop_flag() ? 1 : 0;
}

std::int64_t size_of(const std::string& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

/// Opens the file to append to it; throws Error where another process does so already.
File open_alone(const std::string& part) {
  File file(std::fopen(part.c_str(), "ab"));
  check(file != nullptr, "cannot write '{}': {}", part, std::strerror(errno));
  check(::flock(::fileno(file.get()), LOCK_EX | LOCK_NB) == 0,
        "another process is fetching '{}' just now", part);
  return file;
}

/// One request for all behind the bytes that are there. CURLE_RANGE_ERROR: the origin cannot do so.
CURLcode request(CURL* curl, Transfer& transfer) {
  const Download& wanted = transfer.wanted;
  curl_easy_setopt(curl, CURLOPT_URL, wanted.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMostRedirects);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, kAgent);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, wanted.stall_s);
  curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.here));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, show_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  return curl_easy_perform(curl);
}

/// Whether an origin refused to go on in the middle, so that only a whole file can be had.
bool refused_range(CURL* curl, CURLcode code) {
  constexpr long kRangeNotSatisfiable = 416;
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME ||
         status == kRangeNotSatisfiable;  // which libcurl takes for: all is there
}

/// Writes what is missing of the file to `part`.
void fetch(const Download& wanted, const std::string& part, const DownloadProgress& progress) {
  const std::unique_ptr<CURL, CloseCurl> curl(curl_easy_init());
  check(curl != nullptr, "libcurl does not start");
  std::array<char, CURL_ERROR_SIZE> reason{};
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason.data());
  Transfer transfer{.wanted = wanted, .progress = progress, .file = open_alone(part)};
  const int descriptor = ::fileno(transfer.file.get());
  transfer.here = size_of(part);
  CURLcode code = request(curl.get(), transfer);
  if (transfer.here > 0 && refused_range(curl.get(), code)) {
    check(::ftruncate(descriptor, 0) == 0, "cannot write '{}': {}", part, std::strerror(errno));
    transfer.here = 0;
    code = request(curl.get(), transfer);
  }
  check(std::fflush(transfer.file.get()) == 0 && ::fsync(descriptor) == 0, "cannot write '{}': {}",
        part, std::strerror(errno));
  transfer.file.reset();
  if (code == CURLE_OK) return;
  if (!transfer.fault.empty()) {
    fs::remove(part);
    fail("{}: {}", wanted.url, transfer.fault);
  }
  if (transfer.here == 0) fs::remove(part);
  if (stop_flag()) throw Stopped();
  fail("{}: {}{}", wanted.url, reason[0] != '\0' ? reason.data() : curl_easy_strerror(code),
       transfer.here == 0 ? std::string()
                          : fmt::format("; {} bytes are here, and the same command goes on behind "
                                        "them",
                                        transfer.here));
}

}  // namespace

std::string download(const Download& wanted, const DownloadProgress& progress) {
  const std::string part = wanted.path + kUnfinished;
  create_folder(fs::absolute(part).parent_path().string());
  if (wanted.bytes > 0 && size_of(part) > wanted.bytes) fs::remove(part);
  if (wanted.bytes == 0 || size_of(part) < wanted.bytes) fetch(wanted, part, progress);
  const std::int64_t bytes = size_of(part);
  const std::string sum = sha256_of_file(part);
  if ((wanted.bytes > 0 && bytes != wanted.bytes) ||
      (!wanted.sha256.empty() && sum != wanted.sha256)) {
    fs::remove(part);
    fail("{}: {} bytes with SHA-256 {}, expected {} bytes with {}; the file was removed",
         wanted.url, bytes, sum, wanted.bytes, wanted.sha256);
  }
  rename_and_sync(part, wanted.path);
  return sum;
}

}  // namespace arena
