// retrieval: does one of two papers cite the other? Both are read by the same encoder, byte by
// byte, and do not see each other; the label is found from [a, b, a * b, a - b] of the means a and
// b of what it makes of them. This is Long Range Arena's Retrieval (Tay et al. 2020) on the ACL
// Anthology Network. What differs: no padding, the mean in place of the first byte's vector, and
// the whole of each split is scored.

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "harness/core/hash.hpp"
#include "tasks/format/aan_tsv.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/format/text.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

const WantedParts kWanted{
    .task = "retrieval",
    .folders = {"", "aan/", "tsv_data/", "lra_release/tsv_data/",
                "lra_release/lra_release/tsv_data/"},
    .files = {"*aan_pairs.train.tsv*", "*aan_pairs.eval.tsv*", "*aan_pairs.test.tsv*"},
    .how_to_get = "`arena data get lra` fetches lra_release.gz; unpack its folder tsv_data"};

class Retrieval final : public Task {
 public:
  Retrieval(const TaskSetup& setup, const Options& options)
      : max_len_(options.integer("max_len")), content_hash_(kFnvStart) {
    paths_ = find_parts(setup.data_dir, kWanted);
    std::array<PartCount, 3> counts{
        {{"training pairs", 0, 147086}, {"validation pairs", 0, 18090}, {"test pairs", 0, 17437}}};
    std::array<AanFile, 3> files;
    for (std::size_t p = 0; p < counts.size(); ++p) {
      files[p] = read_aan_tsv(paths_[p], max_len_, documents_);
      without_text_ += files[p].without_text;
      cut_ += files[p].cut;
      content_hash_ = fnv1a(fmt::format("{:016x}", files[p].content_hash), content_hash_);
      counts[p].found = static_cast<Index>(files[p].pairs.size()) + files[p].without_text;
    }
    partial_ = is_subset("retrieval", std::filesystem::path(paths_[0]).parent_path().string(),
                         counts, options.on("partial"));
    pairs_ = {.train = std::move(files[0].pairs),
              .validation = std::move(files[1].pairs),
              .test = std::move(files[2].pairs)};
  }

  Answer answer() const override { return Answer::kSequenceLabel; }
  Index vocab_size() const override { return 256; }
  Index num_classes() const override { return 2; }
  Index max_len() const override { return max_len_; }
  bool pairs() const override { return true; }
  Index size(Split split) const override { return pairs_.size(split); }
  Sample sample(Split split, Index index) const override {
    const AanPair& pair = pairs_.at(split, index);
    const auto longest = static_cast<std::size_t>(max_len_);
    return {.tokens = byte_tokens(documents_[pair.first], longest),
            .second = byte_tokens(documents_[pair.second], longest),
            .labels = {pair.label}};
  }
  std::string dataset_hash() const override { return fmt::format("{:016x}", content_hash_); }
  std::vector<Baseline> baselines() const override { return {pairs_.majority()}; }
  std::map<std::string, double> counts() const override;
  std::string describe(const Sample& sample) const override {
    return fmt::format("{}\nfirst:  {}\nsecond: {}",
                       sample.labels.front() == 1 ? "a citation" : "no citation",
                       excerpt(sample.tokens), excerpt(sample.second));
  }
  bool partial() const override { return partial_; }
  std::vector<std::string> places() const override { return {paths_.begin(), paths_.end()}; }

 private:
  Index max_len_;
  std::array<std::string, 3> paths_{};
  Documents documents_{};
  LabelledSet<AanPair> pairs_{};
  Index without_text_ = 0, cut_ = 0;
  std::uint64_t content_hash_;
  bool partial_ = false;
};

std::map<std::string, double> Retrieval::counts() const {
  Index cited = 0;
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    cited += std::ranges::count(pairs_.of(split), 1, &AanPair::label);
  }
  return {{"pairs with a citation", static_cast<double>(cited)},
          {"pairs without a text, left out", static_cast<double>(without_text_)},
          {"different texts", static_cast<double>(documents_.size())},
          {"texts cut at max_len", static_cast<double>(cut_)}};
}

const Register<TaskInfo> kRetrieval{{
    .name = "retrieval",
    .summary = "does one of two papers cite the other, both read byte by byte?",
    .answer = Answer::kSequenceLabel,
    .source = "Tay et al., Long Range Arena, 2020; Radev et al., ACL Anthology Network, 2013",
    .options = {integer_option("max_len", 4000, 100, 10000, "bytes of each paper that are read"),
                partial_option()},
    .make = [](const TaskSetup& setup,
               const Options& options) { return std::make_unique<Retrieval>(setup, options); },
}};

}  // namespace
}  // namespace arena
