// text: is a film review positive or negative? A token is a byte of the review, 0 to 255; what is
// longer than max_len is cut. This is Long Range Arena's Text (Tay et al. 2020) on the reviews of
// Maas et al. 2011. What differs: a tenth of each class of the training part, in the order of
// content hashes, is held out for validation (theirs validates on the test split), and there is no
// padding.

#include "tasks/format/text.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>

#include "tasks/dataset.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/imdb.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

constexpr Index kReviews = 25000;  // of each part
constexpr Index kBytes = 256;

const WantedData kWanted{
    .task = "text",
    .patterns = {"aclImdb", "imdb/aclImdb", "aclImdb*.tar.gz", "imdb/aclImdb*.tar.gz"},
    .how_to_get = "`arena data get imdb` fetches aclImdb_v1.tar.gz"};

const Register<Dataset> kImdb{
    {.name = "imdb",
     .summary = "Large Movie Review Dataset: 50,000 film reviews with a label",
     .licence = "none stated; asks to cite Maas et al., ACL 2011",
     .files = {{.place = "aclImdb_v1.tar.gz",
                .url = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                .bytes = 84125825,
                .sha256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"}},
     .tasks = {"text"}}};

/// A linear classifier on how often each byte stands in a review, by least squares: what can be had
/// without any order of the bytes.
class BagOfBytes {
 public:
  BagOfBytes(const std::vector<ImdbReview>& reviews, std::size_t max_len) : max_len_(max_len) {
    constexpr double kRidge = 1e-3;  // bytes that no review has
    MatrixD squares = kRidge * MatrixD::Identity(kBytes + 1, kBytes + 1);
    Eigen::VectorXd products = Eigen::VectorXd::Zero(kBytes + 1);
    for (const ImdbReview& review : reviews) {
      const Eigen::VectorXd x = features(review);
      squares.selfadjointView<Eigen::Lower>().rankUpdate(x);
      products += (review.label - 0.5) * x;
    }
    weights_ = squares.selfadjointView<Eigen::Lower>().llt().solve(products);
  }
  std::int32_t predict(const ImdbReview& review) const {
    return weights_.dot(features(review)) > 0 ? 1 : 0;
  }

 private:
  /// Square roots of the shares of all bytes, and a constant.
  Eigen::VectorXd features(const ImdbReview& review) const {
    Eigen::VectorXd counts = Eigen::VectorXd::Zero(kBytes + 1);
    const std::string_view text = std::string_view(review.text).substr(0, max_len_);
    for (const char c : text) counts[static_cast<unsigned char>(c)] += 1;
    counts = (counts / static_cast<double>(text.size())).cwiseSqrt();
    counts[kBytes] = 1;
    return counts;
  }

  std::size_t max_len_;
  Eigen::VectorXd weights_;
};

class Text final : public Task {
 public:
  Text(const TaskSetup& setup, const Options& options)
      : max_len_(static_cast<std::size_t>(options.integer("max_len"))) {
    place_ = find_data(setup.data_dir, kWanted);
    ImdbData data = read_imdb(place_);
    const PartCount parts[] = {
        {"training reviews", static_cast<Index>(data.train.size()), kReviews},
        {"test reviews", static_cast<Index>(data.test.size()), kReviews}};
    partial_ = is_subset("text", place_, parts, options.on("partial"));
    content_hash_ = data.content_hash;
    reviews_ = with_validation(std::move(data.train), std::move(data.test));
  }

  Answer answer() const override { return Answer::kSequenceLabel; }
  Index vocab_size() const override { return kBytes; }
  Index num_classes() const override { return 2; }
  Index max_len() const override { return static_cast<Index>(max_len_); }
  Index size(Split split) const override { return reviews_.size(split); }
  Sample sample(Split split, Index index) const override {
    const ImdbReview& review = reviews_.at(split, index);
    return {.tokens = byte_tokens(review.text, max_len_), .labels = {review.label}};
  }
  std::string dataset_hash() const override { return fmt::format("{:016x}", content_hash_); }
  std::vector<Baseline> baselines() const override;
  std::map<std::string, double> counts() const override;
  std::string describe(const Sample& sample) const override {
    return fmt::format("{}: {}", sample.labels.front() == 1 ? "positive" : "negative",
                       excerpt(sample.tokens));
  }
  bool partial() const override { return partial_; }
  std::vector<std::string> places() const override { return {place_}; }

 private:
  std::size_t max_len_;
  std::string place_{};
  LabelledSet<ImdbReview> reviews_{};
  std::uint64_t content_hash_ = 0;
  bool partial_ = false;
};

std::vector<Baseline> Text::baselines() const {
  const BagOfBytes bag(reviews_.train, max_len_);
  const auto right = std::ranges::count_if(
      reviews_.test, [&](const ImdbReview& review) { return bag.predict(review) == review.label; });
  return {reviews_.majority(),
          {"bag of bytes", static_cast<double>(right) / static_cast<double>(reviews_.test.size())}};
}

std::map<std::string, double> Text::counts() const {
  double bytes = 0, reviews = 0, longest = 0, cut = 0;
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    for (const ImdbReview& review : reviews_.of(split)) {
      const auto length = static_cast<double>(review.text.size());
      bytes += length;
      longest = std::max(longest, length);
      cut += review.text.size() > max_len_ ? 1 : 0;
      ++reviews;
    }
  }
  return {{"reviews", reviews},
          {"reviews cut at max_len", cut},
          {"bytes of a review, mean", bytes / reviews},
          {"bytes of the longest review", longest}};
}

const Register<TaskInfo> kText{{
    .name = "text",
    .summary = "is a film review positive or negative, read byte by byte?",
    .answer = Answer::kSequenceLabel,
    .source = "Tay et al., Long Range Arena, 2020; Maas et al., Large Movie Review Dataset, 2011",
    .options = {integer_option("max_len", 4096, 1000, 4096, "bytes of a review that are read"),
                partial_option()},
    .make = [](const TaskSetup& setup,
               const Options& options) { return std::make_unique<Text>(setup, options); },
    .label_option = "max_len",
}};

}  // namespace
}  // namespace arena
