#pragma once
// A list of views that needs no allocation.

#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

namespace arena {

/// At most kMost elements in memory of its own, as std::inplace_vector of C++26. Unlike an array it
/// takes elements without assignment, which for a View would write its matrix.
template <class T, std::size_t kMost>
class InplaceVector {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  InplaceVector() = default;
  InplaceVector(const InplaceVector&) = delete;
  InplaceVector& operator=(const InplaceVector&) = delete;

  void push_back(const T& element) {
    assert(!full());
    std::construct_at(data() + size_++, element);
  }
  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  bool full() const { return size_ == kMost; }
  // NOLINTNEXTLINE(google-explicit-constructor): it is wanted as a span
  operator std::span<const T>() const { return {data(), size_}; }

 private:
  T* data() { return reinterpret_cast<T*>(bytes_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data()); }

  alignas(T) std::array<std::byte, kMost * sizeof(T)> bytes_;
  std::size_t size_ = 0;
};

}  // namespace arena
