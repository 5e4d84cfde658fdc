#pragma once
// An HTTP server for tests, in a thread: one file, given away well or badly.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace arena {

enum class Serving {
  kWell,
  kWithoutRanges,  // always from the beginning
  kHalf,           // closes the connection in the middle of what it promised
  kStalling,       // half, and then nothing
  kMissing         // 404
};

class FileServer {
 public:
  FileServer(std::string content, Serving serving)
      : content_(std::move(content)), serving_(serving) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FileServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  std::string url(const std::string& path = "/file") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  /// Where each request so far wanted the file to begin.
  std::vector<std::size_t> starts() const {
    const std::lock_guard lock(starts_mutex_);
    return starts_;
  }

 private:
  void serve() {
    while (!stopping_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      answer(connection);
      ::close(connection);
    }
  }

  static std::string request_of(int connection) {
    std::string request;
    char bytes[1024];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t count = ::recv(connection, bytes, sizeof bytes, 0);
      if (count <= 0) break;
      request.append(bytes, static_cast<std::size_t>(count));
    }
    return request;
  }

  void answer(int connection) {
    const std::string request = request_of(connection);
    const std::string range = "Range: bytes=";
    const std::size_t at = request.find(range);
    std::size_t start = at == std::string::npos ? 0 : std::stoul(request.substr(at + range.size()));
    {
      const std::lock_guard lock(starts_mutex_);
      starts_.push_back(start);
    }
    if (serving_ == Serving::kWithoutRanges) start = 0;
    const std::string all = std::to_string(content_.size());
    std::string status = "200 OK";
    std::string more;
    std::string body = content_.substr(std::min(start, content_.size()));
    if (serving_ == Serving::kMissing) {
      status = "404 Not Found";
      body = "no such file";
    } else if (start > 0 && start >= content_.size()) {
      status = "416 Range Not Satisfiable";
      body = "";
    } else if (start > 0) {
      status = "206 Partial Content";
      more = "Content-Range: bytes " + std::to_string(start) + "-" +
             std::to_string(content_.size() - 1) + "/" + all + "\r\n";
    }
    send_all(connection, "HTTP/1.1 " + status +
                             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more +
                             "Connection: close\r\n\r\n");
    const bool half = serving_ == Serving::kHalf || serving_ == Serving::kStalling;
    send_all(connection, half ? body.substr(0, body.size() / 2) : body);
    char byte = 0;
    // Until the other side gives up.
    if (serving_ == Serving::kStalling) static_cast<void>(::recv(connection, &byte, 1, 0));
  }

  static void send_all(int connection, const std::string& text) {
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t count =
          ::send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  }

  std::string content_;
  Serving serving_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex starts_mutex_{};  // TCP orders the two threads, but the language does not know
  std::vector<std::size_t> starts_{};
  std::thread thread_{};
};

}  // namespace arena
