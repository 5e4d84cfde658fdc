#pragma once
// How feature attention cuts its sequences: pieces that run in parallel, chunks within a piece, and
// sums that go from chunk to chunk. Only for the files named feature_.

#include "variants/engine/feature_chunk.hpp"
#include "variants/engine/tile_mask.hpp"

namespace arena::feature_detail {

constexpr Index kPieceRows = 256;  // at least; else there is too little to do between two sums
constexpr Index kMostPieces = 16;

/// A sequence in pieces of whole chunks.
class Pieces {
 public:
  explicit Pieces(Index rows) : rows_(rows) {
    const Index wanted = std::clamp((rows + kPieceRows - 1) / kPieceRows, Index{1}, kMostPieces);
    size_ = std::max(kChunk, round_up((rows + wanted - 1) / wanted, kChunk));
  }
  Index count() const { return (rows_ + size_ - 1) / size_; }
  Range at(Index piece) const { return {piece * size_, std::min((piece + 1) * size_, rows_)}; }

 private:
  Index rows_, size_;
};

inline Index num_chunks(Range rows) {
  return (rows.size() + kChunk - 1) / kChunk;
}

inline Range chunk_of(Range rows, Index chunk) {
  return {rows.begin + chunk * kChunk, std::min(rows.begin + (chunk + 1) * kChunk, rows.end)};
}

/// What all parts of one call share.
struct Context {
  const Team& team;
  const FeatureAttention& attention;
  Widths widths;

  Sums sums(float* data) const { return {data, widths}; }
  float* take_sums(Index count) const {
    return team.workspace().take<float>(count * widths.sum_floats()).data();
  }
  void add(const float* a, const float* b, float* to) const {
    for (Index i = 0; i < widths.sum_floats(); ++i) to[i] = a[i] + b[i];
  }
};

/// body(chunk, rows, piece) for each chunk of `rows` rows, in parallel over their pieces; each
/// begins with start(chunk).
template <class Start, class Body>
void for_chunks(const Context& context, Index rows, const Start& start, const Body& body) {
  const Pieces pieces(rows);
  context.team.for_each(pieces.count(), [&](Index p, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    Chunk chunk(worker.workspace(), context.widths);
    start(chunk);
    for (Index c = 0; c < num_chunks(pieces.at(p)); ++c) {
      body(chunk, chunk_of(pieces.at(p), c), p);
    }
  });
}

/// to = the sum, in the pieces' order, of what add(chunk, rows, sums) adds to each piece's sums.
template <class Start, class Add>
void sum_chunks(const Context& context, Index rows, float* to, const Start& start, const Add& add) {
  const WorkspaceScope scope(context.team.workspace());
  const Index size = context.widths.sum_floats(), count = Pieces(rows).count();
  float* const parts = context.take_sums(count);
  std::fill_n(parts, count * size, 0.0F);
  for_chunks(context, rows, start, [&](Chunk& chunk, Range range, Index piece) {
    add(chunk, range, context.sums(parts + piece * size));
  });
  std::copy_n(parts, size, to);
  for (Index p = 1; p < count; ++p) context.add(to, parts + p * size, to);
}

/// A causal pass over as many queries as keys, which carries sums from chunk to chunk.
class Sweep {
 public:
  virtual ~Sweep() = default;
  /// From the last chunk to the first.
  virtual bool backwards() const { return false; }
  /// Loads what add() needs.
  virtual void load(Chunk& chunk, Range rows) const = 0;
  /// Loads that and more, and writes results, given the sums of the chunks before.
  virtual void visit(Chunk& chunk, Range rows, const Sums& before) const = 0;
  virtual void add(const Chunk& chunk, const Sums& to) const = 0;
};

/// Sums before each piece of a sweep, in its order: [count, sum_floats], the first of them given.
struct Bases {
  float* data;
  Index count;  // as many as pieces, or one more for the sums of all
  bool known;   // else the sweep writes all but the first
};

/// Runs a sweep piece by piece. On one worker the bases are found on the way; on several the
/// pieces' sums are taken first, by the same additions in the same order, so that pieces can run
/// side by side.
class SweepRun {
 public:
  SweepRun(const Context& context, const Sweep& sweep, Index steps, const Bases& bases)
      : context_(context), sweep_(sweep), pieces_(steps), bases_(bases) {}

  void run() const {
    const bool alone = context_.team.size() == 1;
    if (!bases_.known && !alone) find_bases();
    for_pieces(pieces_.count(), [&](Chunk& chunk, Index s, float* local, float* current) {
      for_chunks_of(s, [&](Range rows) {
        context_.add(base(s), local, current);
        sweep_.visit(chunk, rows, context_.sums(current));
        sweep_.add(chunk, context_.sums(local));
      });
      if (!bases_.known && s + 1 < bases_.count && alone) context_.add(base(s), local, base(s + 1));
    });
  }

  /// Bytes on each worker.
  static Index scratch(const Widths& widths) {
    return 2 * stored_bytes<float>(widths.sum_floats()) + Chunk::bytes(widths);
  }

 private:
  float* base(Index s) const { return bases_.data + s * context_.widths.sum_floats(); }

  void find_bases() const {
    for_pieces(bases_.count - 1, [&](Chunk& chunk, Index s, float* local, float*) {
      for_chunks_of(s, [&](Range rows) {
        sweep_.load(chunk, rows);
        sweep_.add(chunk, context_.sums(local));
      });
      std::copy_n(local, context_.widths.sum_floats(), base(s + 1));
    });
    for (Index s = 1; s < bases_.count; ++s) context_.add(base(s - 1), base(s), base(s));
  }

  template <class Body>
  void for_pieces(Index count, const Body& body) const {
    context_.team.for_each(count, [&](Index s, const Team& worker) {
      Workspace& workspace = worker.workspace();
      const WorkspaceScope scope(workspace);
      const Index size = context_.widths.sum_floats();
      float* const local = workspace.take<float>(size).data();
      float* const current = workspace.take<float>(size).data();
      std::fill_n(local, size, 0.0F);
      Chunk chunk(workspace, context_.widths);
      body(chunk, s, local, current);
    });
  }

  /// body(rows) for the chunks of the piece that comes as number s, in order.
  template <class Body>
  void for_chunks_of(Index s, const Body& body) const {
    const bool backwards = sweep_.backwards();
    const Range piece = pieces_.at(backwards ? pieces_.count() - 1 - s : s);
    for (Index c = 0, chunks = num_chunks(piece); c < chunks; ++c) {
      body(chunk_of(piece, backwards ? chunks - 1 - c : c));
    }
  }

  const Context& context_;
  const Sweep& sweep_;
  Pieces pieces_;
  Bases bases_;
};

}  // namespace arena::feature_detail
