#pragma once
// Memory as a stack. A Workspace is one worker's bump allocator; a Frame is a piece of it in which
// a forward pass leaves what its backward pass needs.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

constexpr Index kAlignment = 64;  // bytes: one cache line, one AVX-512 vector

constexpr Index align_up(Index bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}
/// Bytes that `count` values of T take in a workspace or frame, padding included.
template <class T>
constexpr Index stored_bytes(Index count) {
  return align_up(count * static_cast<Index>(sizeof(T)));
}

/// Grows when it must, never shrinks, and after one round of use never asks the system again.
class Workspace {
 public:
  struct Mark {
    std::size_t block = 0;
    Index used_in_block = 0;
    Index in_use = 0;
  };

  Workspace() = default;
  Workspace(Workspace&&) = default;
  Workspace& operator=(Workspace&&) = default;

  /// `count` values, aligned to kAlignment, not initialised, valid until release() below their
  /// mark.
  template <class T>
  std::span<T> take(Index count) {
    return {static_cast<T*>(take_bytes(stored_bytes<T>(count))), static_cast<std::size_t>(count)};
  }
  View matrix(Index rows, Index cols) { return {take<float>(rows * cols).data(), rows, cols}; }

  Mark mark() const { return {block_, used_, in_use_}; }
  /// Gives back all that was taken since `mark`. Releasing everything joins the blocks into one.
  void release(const Mark& mark);

  /// Largest number of bytes ever in use at once since the last reset.
  Index high_water() const { return high_water_; }
  void reset_high_water() { high_water_ = in_use_; }
  Index in_use() const { return in_use_; }

 private:
  struct Block {
    std::unique_ptr<std::byte[]> storage;
    std::byte* begin = nullptr;
    Index capacity = 0;
  };

  void* take_bytes(Index bytes);
  static Block make_block(Index capacity);

  std::vector<Block> blocks_;
  std::size_t block_ = 0;
  Index used_ = 0;
  Index in_use_ = 0;
  Index high_water_ = 0;
};

/// Releases at the end of a scope what was taken in it.
class WorkspaceScope {
 public:
  explicit WorkspaceScope(Workspace& workspace) : workspace_(workspace), mark_(workspace.mark()) {}
  ~WorkspaceScope() { workspace_.release(mark_); }
  WorkspaceScope(const WorkspaceScope&) = delete;
  WorkspaceScope& operator=(const WorkspaceScope&) = delete;

 private:
  Workspace& workspace_;
  Workspace::Mark mark_;
};

/// A fixed piece of memory, filled from the front by forward. Backward reads it through a
/// FrameReader, taking the same things in the same order.
class Frame {
 public:
  Frame() = default;
  Frame(std::byte* data, Index capacity) : data_(data), capacity_(capacity) {}
  static Frame carve(Workspace& workspace, Index bytes) {
    return {workspace.take<std::byte>(bytes).data(), bytes};
  }

  template <class T>
  std::span<T> take(Index count) {
    T* const begin = reinterpret_cast<T*>(data_ + used_);
    used_ += stored_bytes<T>(count);
    assert(used_ <= capacity_);
    return {begin, static_cast<std::size_t>(count)};
  }
  View matrix(Index rows, Index cols) { return {take<float>(rows * cols).data(), rows, cols}; }
  Frame child(Index bytes) { return {take<std::byte>(bytes).data(), bytes}; }

  Index used() const { return used_; }
  std::byte* data() const { return data_; }
  Index capacity() const { return capacity_; }

 private:
  std::byte* data_ = nullptr;
  Index capacity_ = 0;
  Index used_ = 0;
};

class FrameReader {
 public:
  explicit FrameReader(const Frame& frame) : frame_(frame.data(), frame.capacity()) {}
  template <class T>
  std::span<const T> take(Index count) {
    return frame_.take<T>(count);
  }
  ConstView matrix(Index rows, Index cols) { return frame_.matrix(rows, cols); }
  Frame child(Index bytes) { return frame_.child(bytes); }

 private:
  Frame frame_;
};

/// What one call needs, in bytes: kept in the frame until backward, and scratch on the calling
/// worker's workspace (forward and backward each stay within it).
struct Footprint {
  Index frame = 0;
  Index scratch = 0;
};

}  // namespace arena
