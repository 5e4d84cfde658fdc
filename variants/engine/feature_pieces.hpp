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
  void add(const float* a, const float* b, float* to) const { add_sums(widths, a, b, to); }
  void clear(float* data) const { clear_sums(data, widths); }
};

inline Context context_of(const Team& team, const FeatureAttention& attention,
                          const HeadInputs& in) {
  const FeatureMap& map = attention.key_map;
  assert(attention.query_map.num_features() == map.num_features());
  return {team, attention, {map.num_features(), in.value.cols(), map.scaled()}};
}

inline FeatureShape shape_of(const Context& context, const HeadInputs& in) {
  const auto [features, values, scaled] = context.widths;
  return {extents_of(in), values, features, context.attention.causal, scaled};
}

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
  for (Index p = 0; p < count; ++p) context.clear(parts + p * size);
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
  virtual void add(Chunk& chunk, const Sums& to) const = 0;
};

/// Sums before each piece of a sweep, in its order: [pieces, sum_floats], the first of them given.
struct Bases {
  float* data;
  float* total;  // sums after all pieces; null: not wanted
  bool known;    // else the sweep writes all but the first
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
      if (!bases_.known && s < wanted() && alone) context_.add(base(s), local, base(s + 1));
    });
  }

  /// Bytes on each worker.
  static Index scratch(const Widths& widths) {
    return 2 * stored_bytes<float>(widths.sum_floats()) + Chunk::bytes(widths);
  }

 private:
  /// Bases that the sweep writes.
  Index wanted() const { return pieces_.count() - (bases_.total ? 0 : 1); }
  float* base(Index s) const {
    return s < pieces_.count() ? bases_.data + s * context_.widths.sum_floats() : bases_.total;
  }

  void find_bases() const {
    for_pieces(wanted(), [&](Chunk& chunk, Index s, float* local, float*) {
      for_chunks_of(s, [&](Range rows) {
        sweep_.load(chunk, rows);
        sweep_.add(chunk, context_.sums(local));
      });
      std::copy_n(local, context_.widths.sum_floats(), base(s + 1));
    });
    for (Index s = 1; s <= wanted(); ++s) context_.add(base(s - 1), base(s), base(s));
  }

  template <class Body>
  void for_pieces(Index count, const Body& body) const {
    context_.team.for_each(count, [&](Index s, const Team& worker) {
      Workspace& workspace = worker.workspace();
      const WorkspaceScope scope(workspace);
      const Index size = context_.widths.sum_floats();
      float* const local = workspace.take<float>(size).data();
      float* const current = workspace.take<float>(size).data();
      context_.clear(local);
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

/// Rows of a matrix. Where rows stand apart, as many after them, which are wanted next, are fetched
/// into the second-level cache.
template <class MatrixView>
MatrixView rows_of(const MatrixView& matrix, Range range) {
  if (matrix.outerStride() != matrix.cols()) {
    for (Index i = range.end; i < std::min(range.end + range.size(), matrix.rows()); ++i) {
      const float* const row = matrix.data() + i * matrix.outerStride();
      for (Index d = 0; d < matrix.cols(); d += kCacheLine) __builtin_prefetch(row + d, 0, 2);
    }
  }
  return matrix.row_slice(range.begin, range.size());
}

/// Causal attention in three parts: queries that see no key, keys that every query sees, and as
/// many queries as keys, each of which sees one key more than the query before.
struct Alignment {
  Index blind, shared, steps;

  explicit Alignment(const Extents& extents)
      : blind(std::max(Index{0}, extents.query_len - extents.key_len)),
        shared(std::max(Index{0}, extents.key_len - extents.query_len)),
        steps(std::min(extents.query_len, extents.key_len)) {}

  HeadInputs of(const HeadInputs& in) const {
    return {in.query.row_slice(blind, steps), in.key.row_slice(shared, steps),
            in.value.row_slice(shared, steps)};
  }
  HeadGrads of(const HeadGrads& d_in) const {
    return {d_in.query.row_slice(blind, steps), d_in.key.row_slice(shared, steps),
            d_in.value.row_slice(shared, steps)};
  }
};

/// Number of sums that forward leaves for backward: of all keys, or (causal) before each piece.
inline Index saved_sums(const FeatureShape& shape) {
  return shape.causal ? Pieces(Alignment(shape.extents).steps).count() : 1;
}

/// What forward keeps, in the frame or (sums only, if none) as scratch.
struct Kept {
  Denominators denominators;
  float* sums;  // of all keys, or (causal) before each piece
};

inline Kept take_kept(const Context& context, const FeatureShape& shape, Frame* frame) {
  const Index len = shape.extents.query_len, count = saved_sums(shape);
  if (!frame) return {{}, context.take_sums(count)};
  float* const inverse = frame->take<float>(len).data();
  float* const exponent = shape.scaled ? frame->take<float>(len).data() : nullptr;
  return {{inverse, exponent}, frame->take<float>(count * context.widths.sum_floats()).data()};
}

}  // namespace arena::feature_detail
