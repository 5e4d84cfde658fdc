// The engine of kernel attention against explicit sums in double, over three feature maps.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "variants/engine/feature_attention.hpp"

namespace arena {
namespace {

constexpr float kEpsilon = 1e-3F;

/// e^x and e^-x of each column: twice as many features as columns.
class TwoExponentials final : public FeatureMap {
 public:
  explicit TwoExponentials(Index head_dim) : head_dim_(head_dim) {}
  Index num_features() const override { return 2 * head_dim_; }
  void evaluate(const ConstView& x, View features, float*) const override {
    features.leftCols(head_dim_) = x.array().exp();
    features.rightCols(head_dim_) = (-x).array().exp();
  }
  void differentiate(const ConstView&, const ConstView& features, View d_features,
                     View d_x) const override {
    d_x = features.leftCols(head_dim_).cwiseProduct(d_features.leftCols(head_dim_)) -
          features.rightCols(head_dim_).cwiseProduct(d_features.rightCols(head_dim_));
  }

 private:
  Index head_dim_;
};

/// max(x, 0) of the first half of the columns: fewer features than columns, many of them zero.
class HalfRectified final : public FeatureMap {
 public:
  explicit HalfRectified(Index head_dim) : num_features_((head_dim + 1) / 2) {}
  Index num_features() const override { return num_features_; }
  void evaluate(const ConstView& x, View features, float*) const override {
    features = x.leftCols(num_features_).cwiseMax(0);
  }
  void differentiate(const ConstView& x, const ConstView&, View d_features,
                     View d_x) const override {
    d_x.setZero();
    d_x.leftCols(num_features_) =
        (x.leftCols(num_features_).array() > 0).select(d_features.array(), 0);
  }

 private:
  Index num_features_;
};

/// exp(100 x_0 + x_r): in most rows beyond what floats can be, so written over powers of 2.
class Enormous final : public FeatureMap {
 public:
  explicit Enormous(Index head_dim) : head_dim_(head_dim) {}
  Index num_features() const override { return head_dim_; }
  bool scaled() const override { return true; }
  void evaluate(const ConstView& x, View features, float* exponents) const override {
    for (Index i = 0; i < x.rows(); ++i) {
      const float largest = x.row(i).maxCoeff();
      exponents[i] = (kFactor * x(i, 0) + largest) * std::numbers::log2e_v<float>;
      features.row(i) = (x.row(i).array() - largest).exp();
    }
  }
  /// Of x_r alone: 100 times what cancels would be 100 times its rounding.
  void differentiate(const ConstView&, const ConstView& features, View d_features,
                     View d_x) const override {
    d_x = d_features.cwiseProduct(features);
  }

 private:
  static constexpr float kFactor = 100;
  Index head_dim_;
};

/// A view into a larger matrix that is NaN around it.
struct Surrounded {
  Surrounded(Index rows, Index cols, std::uint64_t seed = 0)
      : storage(Matrix::Constant(rows + 2, cols + 5, std::numeric_limits<float>::quiet_NaN())),
        rows_(rows),
        cols_(cols) {
    if (seed == 0) return;
    Matrix values(rows, cols);
    fill_normal(RandomKey(seed), 1, values);
    view() = values;
  }
  View view() { return View(storage).column_slice(2, cols_).row_slice(1, rows_); }
  bool intact() {
    Matrix copy = storage;
    View(copy).column_slice(2, cols_).row_slice(1, rows_).setConstant(
        std::numeric_limits<float>::quiet_NaN());
    return copy.array().isNaN().all();
  }

  Matrix storage;
  Index rows_, cols_;
};

struct Case {
  Extents extents;
  Index head_dim;
  bool causal;
};

struct Inputs {
  explicit Inputs(const Case& c)
      : query(c.extents.query_len, c.head_dim, 1),
        key(c.extents.key_len, c.head_dim, 2),
        value(c.extents.key_len, c.head_dim, 3),
        d_out(c.extents.query_len, c.head_dim, 4) {}
  Surrounded query, key, value, d_out;
};

struct Results {
  MatrixD out, d_query, d_key, d_value;
};

/// What the features that query i sees of key j count: 0 beyond what it sees, and where scaled
/// 2^exponent of the key over the largest that i sees.
MatrixD factors_of(const Case& c, const Matrix& exponents) {
  const auto [n, m] = c.extents;
  MatrixD factors = MatrixD::Zero(n, m);
  for (Index i = 0; i < n; ++i) {
    const Index seen = c.causal ? std::clamp(i + m - n + 1, Index{0}, m) : m;
    if (seen == 0) continue;
    const Eigen::RowVectorXd of_keys = exponents.row(0).head(seen).cast<double>();
    const double largest = of_keys.maxCoeff();
    for (Index j = 0; j < seen; ++j) factors(i, j) = std::exp2(of_keys(j) - largest);
  }
  return factors;
}

/// The features by the map itself; everything else by N x M matrices.
Results by_explicit_weights(const FeatureMap& map, const Case& c, Inputs& in) {
  const auto [n, m] = c.extents;
  Matrix phi_q(n, map.num_features()), phi_k(m, map.num_features());
  Matrix unused = Matrix::Zero(1, n), exponents = Matrix::Zero(1, m);
  map.evaluate(in.query.view(), phi_q, unused.data());
  map.evaluate(in.key.view(), phi_k, exponents.data());
  const MatrixD q = phi_q.cast<double>(), k = phi_k.cast<double>(),
                v = in.value.view().cast<double>(), g = in.d_out.view().cast<double>();
  const MatrixD factors = factors_of(c, exponents);
  const MatrixD scores = (q * k.transpose()).cwiseProduct(factors);
  const MatrixD den = scores.rowwise().sum().array() + static_cast<double>(kEpsilon);
  const MatrixD weights = den.cwiseInverse().col(0).asDiagonal() * scores;
  const MatrixD out = weights * v;
  const MatrixD shift = g.cwiseProduct(out).rowwise().sum();
  const MatrixD d_weights = g * v.transpose() - shift.col(0).replicate(1, m);
  const MatrixD d_scores =
      (den.cwiseInverse().col(0).asDiagonal() * d_weights).cwiseProduct(factors);
  Matrix d_phi_q = (d_scores * k).cast<float>(), d_phi_k = (d_scores.transpose() * q).cast<float>();
  Matrix d_query(n, c.head_dim), d_key(m, c.head_dim);
  map.differentiate(in.query.view(), phi_q, d_phi_q, d_query);
  map.differentiate(in.key.view(), phi_k, d_phi_k, d_key);
  return {out, d_query.cast<double>(), d_key.cast<double>(), weights.transpose() * g};
}

bool same(const View& a, const View& b) {
  return (a.array() == b.array() || (a.array().isNaN() && b.array().isNaN())).all();
}

Results by_engine(const FeatureMap& map, const Case& c, Inputs& in, Index threads) {
  const FeatureShape shape{c.extents, c.head_dim, map.num_features(), c.causal, map.scaled()};
  const FeatureAttention attention{map, map, kEpsilon, c.causal};
  const auto [n, m] = c.extents;
  Workers workers(threads);
  const Team team = workers.team();
  const Call call{.team = team};
  Surrounded out(n, c.head_dim), d_query(n, c.head_dim), d_key(m, c.head_dim),
      d_value(m, c.head_dim);
  const HeadInputs inputs{in.query.view(), in.key.view(), in.value.view()};
  Workspace kept;
  Frame frame = Frame::carve(kept, feature_frame_bytes(shape));
  feature_forward(call, attention, inputs, out.view(), &frame, nullptr);
  EXPECT_EQ(frame.used(), feature_frame_bytes(shape));
  feature_backward(team, attention, inputs, {.out = in.d_out.view(), .forward_out = out.view()},
                   frame, {d_query.view(), d_key.view(), d_value.view()});
  Surrounded again(n, c.head_dim);
  feature_forward(call, attention, inputs, again.view(), nullptr, nullptr);
  EXPECT_TRUE(same(again.view(), out.view()));
  EXPECT_LE(team.workspace().high_water(), feature_scratch_bytes(shape));
  for (Surrounded* buffer : {&out, &d_query, &d_key, &d_value}) EXPECT_TRUE(buffer->intact());
  return {out.view().cast<double>(), d_query.view().cast<double>(), d_key.view().cast<double>(),
          d_value.view().cast<double>()};
}

void expect_near(const MatrixD& got, const MatrixD& want, const char* what) {
  // Sums of up to some thousand products of size 1 in single precision, in chunks; in gradients
  // terms much larger than their sum cancel (d_key of 700 rows in vectors of 8: 1.8e-5).
  constexpr double kTolerance = 3e-5;
  const double size = std::max(1.0, want.cwiseAbs().maxCoeff());
  EXPECT_LE((got - want).cwiseAbs().maxCoeff(), kTolerance * size) << what;
}

void expect_explicit_on_any_team(const FeatureMap& map, const Case& c) {
  SCOPED_TRACE(fmt::format("{} queries, {} keys, head_dim {}{}", c.extents.query_len,
                           c.extents.key_len, c.head_dim, c.causal ? ", causal" : ""));
  Inputs in(c);
  const Results want = by_explicit_weights(map, c, in), got = by_engine(map, c, in, 1);
  expect_near(got.out, want.out, "out");
  expect_near(got.d_query, want.d_query, "d_query");
  expect_near(got.d_key, want.d_key, "d_key");
  expect_near(got.d_value, want.d_value, "d_value");
  for (const Index threads : {2, 3}) {
    const Results other = by_engine(map, c, in, threads);
    EXPECT_TRUE(got.out == other.out) << threads << " threads";
    EXPECT_TRUE(got.d_query == other.d_query) << threads << " threads";
    EXPECT_TRUE(got.d_key == other.d_key) << threads << " threads";
    EXPECT_TRUE(got.d_value == other.d_value) << threads << " threads";
  }
}

class FeatureAttentionTest : public testing::TestWithParam<bool> {};

TEST_P(FeatureAttentionTest, EqualsExplicitWeightsAtAnyLength) {
  for (const Index n : {1, 2, 7, 63, 64, 65, 130, 700}) {
    expect_explicit_on_any_team(TwoExponentials(12), {{n, n}, 12, GetParam()});
    expect_explicit_on_any_team(Enormous(12), {{n, n}, 12, GetParam()});
  }
}

TEST_P(FeatureAttentionTest, EqualsExplicitWeightsAtAnyWidth) {
  for (const Index head_dim : {1, 2, 3, 5, 8, 13, 24, 32, 40, 64, 100, 128, 200}) {
    expect_explicit_on_any_team(TwoExponentials(head_dim), {{70, 70}, head_dim, GetParam()});
    if (head_dim < 3) continue;  // one feature cancels in the weights, and gradients are rounding
    expect_explicit_on_any_team(HalfRectified(head_dim), {{70, 70}, head_dim, GetParam()});
    expect_explicit_on_any_team(Enormous(head_dim), {{70, 70}, head_dim, GetParam()});
  }
}

TEST_P(FeatureAttentionTest, EqualsExplicitWeightsAcrossUnequalLengths) {
  for (const Extents& extents :
       {Extents{1, 77}, Extents{77, 1}, Extents{5, 140}, Extents{140, 5}, Extents{600, 1700}}) {
    expect_explicit_on_any_team(TwoExponentials(16), {extents, 16, GetParam()});
    expect_explicit_on_any_team(Enormous(16), {extents, 16, GetParam()});
  }
}

INSTANTIATE_TEST_SUITE_P(Both, FeatureAttentionTest, testing::Bool(),
                         [](const auto& causal) { return causal.param ? "Causal" : "Full"; });

TEST(FeatureAttention, QueriesWithoutFeaturesGiveZeroAndFiniteGradients) {
  const Case c{{40, 50}, 8, false};
  Inputs in(c);
  in.query.view().setConstant(-1);
  const Results got = by_engine(HalfRectified(8), c, in, 1);
  EXPECT_TRUE(got.out.isZero(0));
  for (const MatrixD* grad : {&got.d_query, &got.d_key, &got.d_value}) {
    EXPECT_TRUE(grad->allFinite());
  }
}

TEST(FeatureAttention, RefusesAStateThatIsNotItsOwn) {
  const TwoExponentials map(8);
  const FeatureAttention attention{map, map, kEpsilon, true};
  Workers workers(1);
  Inputs in({{5, 4}, 8, true});
  Surrounded out(5, 8);
  const HeadInputs inputs{in.query.view(), in.key.view(), in.value.view()};
  State state;
  feature_forward({.team = workers.team()}, attention, inputs, out.view(), nullptr, &state);
  EXPECT_EQ(state.position, 4);
  Call call{.team = workers.team(), .state = &state};
  // A causal query that comes before the first key would see the state alone.
  EXPECT_THROW(feature_forward(call, attention, inputs, out.view(), nullptr, nullptr), Error);
  State other{std::vector<float>(3), 4};
  call.state = &other;
  const HeadInputs equal{in.query.view().row_slice(0, 4), in.key.view(), in.value.view()};
  const View rows = out.view().row_slice(0, 4);
  EXPECT_THROW(feature_forward(call, attention, equal, rows, nullptr, nullptr), Error);
}

TEST(FeatureAttention, CausalOutputsBeforeNaNStayFinite) {
  const Case c{{200, 200}, 8, true};
  Inputs in(c);
  in.key.view()(130, 3) = std::numeric_limits<float>::quiet_NaN();
  const Results got = by_engine(TwoExponentials(8), c, in, 1);
  EXPECT_TRUE(got.out.topRows(128).allFinite());  // a chunk's triangle multiplies hidden by zero
  EXPECT_TRUE(got.out.bottomRows(70).array().isNaN().all());
}

}  // namespace
}  // namespace arena
