// nodes: to which class does each node of a graph belong? A graph is one sequence without order,
// attention goes along its edges only (both directions, and a loop at each node), and splits are
// masks over labels: the model sees the whole graph but is trained on the labels of training nodes.
// By default graphs are planted partitions (Condon and Karp 2001): a node's own clue often misleads
// and the clues of its neighbours tell. graph=cora and graph=citeseer are citation graphs (Sen et
// al. 2008): papers with their words, scaled to a sum of 1. Their splits are the public ones of
// Yang et al. 2016 (20 training papers of each class, 500 for validation, 1,000 for the test) where
// the file has them; the original .content files have none, see tasks/format/citation_graph.hpp.

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/hash.hpp"
#include "tasks/dataset.hpp"
#include "tasks/format/citation_graph.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/graph/planted_partition.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

struct CitationSet {
  CitationFacts facts;
  Index with_splits, original;  // papers of either form
};

const std::vector<CitationSet>& citation_sets() {
  static const std::vector<CitationSet> sets{
      {{"cora",
        1433,
        {"Case_Based", "Genetic_Algorithms", "Neural_Networks", "Probabilistic_Methods",
         "Reinforcement_Learning", "Rule_Learning", "Theory"}},
       2708,
       2708},
      {{"citeseer", 3703, {"Agents", "AI", "DB", "IR", "ML", "HCI"}}, 3327, 3312}};
  return sets;
}

/// The archive of a citation graph, as its origin gives it away.
Dataset citation_dataset(const std::string& name, const std::string& summary) {
  return {
      .name = name,
      .summary = summary,
      .licence = "none stated; asks to cite Sen et al. 2008",
      .files = {{.place = name + ".tgz",
                 .url = fmt::format("https://linqs-data.soe.ucsc.edu/public/lbc/{}.tgz", name)}},
      .tasks = {fmt::format("nodes[graph={}]", name)}};
}

const Register<Dataset> kCora{
    citation_dataset("cora", "2,708 papers on machine learning and who cites whom")};
const Register<Dataset> kCiteseer{
    citation_dataset("citeseer", "3,312 papers on computer science and who cites whom")};

class Nodes final : public Task {
 public:
  Nodes(const TaskSetup& setup, const Options& options) {
    if (options.text("graph") == kPlanted) {
      plant(options);
    } else {
      read(setup, options);
    }
    for (const NodeGraph& graph : graphs_) longest_ = std::max(longest_, graph.size());
  }

  Answer answer() const override { return Answer::kNodeLabels; }
  Index vocab_size() const override { return feature_dim() > 0 ? 0 : num_classes_; }
  Index feature_dim() const override {
    return graphs_.front().features ? graphs_.front().features->cols() : 0;
  }
  Index num_classes() const override { return num_classes_; }
  Index max_len() const override { return longest_; }
  Index size(Split) const override { return std::ssize(graphs_); }
  Sample sample(Split split, Index index) const override {
    return graphs_[static_cast<std::size_t>(index)].sample(split);
  }
  std::string dataset_hash() const override { return hash_; }
  std::vector<Baseline> baselines() const override;
  std::map<std::string, double> counts() const override { return counts_; }
  std::string describe(const Sample& sample) const override;
  bool partial() const override { return partial_; }
  std::vector<std::string> places() const override { return places_; }

  static constexpr const char* kPlanted = "planted";

 private:
  void plant(const Options& options);
  void read(const TaskSetup& setup, const Options& options);

  std::vector<NodeGraph> graphs_{};
  Index num_classes_ = 0, longest_ = 0;
  std::string hash_{};
  std::vector<std::string> places_{};
  std::map<std::string, double> counts_{};
  bool partial_ = false;
};

void Nodes::plant(const Options& options) {
  const bool vectors = options.text("features") == "vectors";
  const PlantedPartition wanted{.nodes = options.integer("nodes"),
                                .classes = options.integer("classes"),
                                .inside = options.real("inside"),
                                .outside = options.real("outside"),
                                .clue = options.real("clue"),
                                .feature_dim = vectors ? options.integer("feature_dim") : 0};
  check_fit(wanted.nodes >= 4 * wanted.classes,
            "nodes: nodes={} is less than 4 for each of classes={}; each split needs some of each",
            wanted.nodes, wanted.classes);
  const RandomKey key =
      RandomKey(static_cast<std::uint64_t>(options.integer("data_seed"))).fold(Purpose::kData);
  const Matrix centres = clue_centres(wanted, key.fold("centres"));
  for (Index g = 0; g < options.integer("graphs"); ++g) {
    graphs_.push_back(draw_graph(wanted, centres, key.fold(static_cast<std::uint64_t>(g))));
  }
  num_classes_ = wanted.classes;
  hash_ = fmt::format(
      "{:016x}", fnv1a(fmt::format("nodes-1 {} {} {} {} {} {} {} {}", options.integer("graphs"),
                                   wanted.nodes, wanted.classes, wanted.inside, wanted.outside,
                                   wanted.clue, wanted.feature_dim, options.integer("data_seed"))));
}

/// The two files of a citation graph.
struct CitationFiles {
  TextFile papers, links;
  bool with_splits;
};

/// NAME.nodes.tsv and NAME.edges.tsv, else NAME.content and NAME.cites, else these in NAME.tgz.
CitationFiles find_citations(const std::string& data_dir, const std::string& name) {
  WantedData wanted{.task = "nodes",
                    .patterns = {},
                    .how_to_get = fmt::format("`arena data get {0}` fetches {0}.tgz", name)};
  for (const std::string& folder : {std::string(), std::string("graphs/"), name + "/"}) {
    for (const char* form : {".nodes.tsv*", ".content*", ".tgz"}) {
      wanted.patterns.push_back(folder + name + form);
    }
  }
  const std::string first = find_data(data_dir, wanted);
  if (first.ends_with(".tgz")) return {{first, name + ".content"}, {first, name + ".cites"}, false};
  const bool with_splits = first.rfind(".nodes.tsv") != std::string::npos;
  wanted.patterns = {name + (with_splits ? ".edges.tsv*" : ".cites*")};
  return {{first}, {find_data(first.substr(0, first.rfind('/')), wanted)}, with_splits};
}

void Nodes::read(const TaskSetup& setup, const Options& options) {
  const std::string& name = options.text("graph");
  const CitationSet& set =
      *std::ranges::find(citation_sets(), name, [](const CitationSet& s) { return s.facts.name; });
  const auto [papers, links, with_splits] = find_citations(setup.data_dir, name);
  CitationGraph data = with_splits ? read_node_tsv(papers.path, links.path, set.facts)
                                   : read_content_cites(papers, links, set.facts);
  places_ = {papers.path};
  if (links.path != papers.path) places_.push_back(links.path);
  const PartCount parts[] = {
      {"papers", data.graph.size(), with_splits ? set.with_splits : set.original}};
  partial_ = is_subset("nodes", papers.path, parts, options.on("partial"));
  num_classes_ = std::ssize(set.facts.classes);
  hash_ = fmt::format("{:016x}", data.content_hash);
  counts_ = std::move(data.left_out);
  counts_["edges without loops"] = static_cast<double>(2 * data.pairs);
  graphs_.push_back(std::move(data.graph));
}

/// Beside what labels tell, the accuracy of each test node's own clue, where it is a token.
std::vector<Baseline> Nodes::baselines() const {
  std::vector<Baseline> result = label_baselines(graphs_, num_classes_);
  if (feature_dim() > 0) return result;
  Index scored = 0, right = 0;
  for (const NodeGraph& graph : graphs_) {
    for (std::size_t i = 0; i < graph.classes.size(); ++i) {
      if (graph.splits[i] != Split::kTest) continue;
      ++scored;
      right += graph.tokens[i] == graph.classes[i] ? 1 : 0;
    }
  }
  result.push_back({"own clue", static_cast<double>(right) / static_cast<double>(scored)});
  return result;
}

/// The first nodes, with their labels and whom they see.
std::string Nodes::describe(const Sample& sample) const {
  constexpr std::size_t kNodes = 8, kNeighbours = 12;
  const Edges& edges = *sample.edges;
  std::string text =
      fmt::format("{} edges, {} labels scored", edges.count(),
                  std::ssize(sample.labels) - std::ranges::count(sample.labels, kNotScored));
  for (std::size_t i = 0; i < std::min(kNodes, sample.labels.size()); ++i) {
    const std::int32_t label = sample.labels[i];
    text += fmt::format(
        "\nnode {}: {}, {}, sees", i,
        sample.features
            ? fmt::format("{} numbers that are not 0",
                          (sample.features->row(static_cast<Index>(i)).array() != 0).count())
            : fmt::format("token {}", sample.tokens[i]),
        label == kNotScored ? "not scored" : fmt::format("class {}", label));
    const auto begin = static_cast<std::size_t>(edges.row_begin[i]);
    const auto end = static_cast<std::size_t>(edges.row_begin[i + 1]);
    for (std::size_t e = begin; e < std::min(end, begin + kNeighbours); ++e) {
      text += fmt::format(" {}", edges.key[e]);
    }
    if (end - begin > kNeighbours) text += " ...";
  }
  return text;
}

/// Throws Error where an option of planted partitions is set for a graph that is read.
void check_options(const std::vector<OptionSpec>& specs, const Options& options) {
  for (const OptionSpec& spec : specs) {
    const bool common = spec.name == "graph" || spec.name == "partial";
    check_fit(common || options.value(spec.name) == spec.fallback,
              "nodes: option {} is for graph={}, not for graph={}", spec.name, Nodes::kPlanted,
              options.text("graph"));
  }
}

std::vector<OptionSpec> node_options() {
  return {choice_option("graph", Nodes::kPlanted, {Nodes::kPlanted, "cora", "citeseer"},
                        "generated planted partitions, or a citation graph"),
          partial_option(),
          choice_option("features", "tokens", {"tokens", "vectors"},
                        "planted: how a node gives its clue"),
          integer_option("feature_dim", 16, 1, 4096, "planted: numbers in a vector"),
          integer_option("graphs", 32, 1, 1 << 20, "planted: how many, each in every split"),
          integer_option("nodes", 128, 4, 1 << 20, "planted: in each graph"),
          integer_option("classes", 4, 2, 1000, "planted: classes, of equal size"),
          real_option("inside", 6, 0, 1000, "planted: neighbours of a node's class, on average"),
          real_option("outside", 2, 0, 1000, "planted: neighbours of other classes, on average"),
          real_option("clue", 0.4, 0, 1,
                      "planted: share of nodes whose clue is their class; the others draw any"),
          integer_option("data_seed", 0, 0, 1 << 30, "planted: which data set")};
}

const Register<TaskInfo> kNodes{{
    .name = "nodes",
    .summary = "to which class does each node of a graph belong?",
    .answer = Answer::kNodeLabels,
    .source =
        "Condon and Karp 2001 (planted partitions); Sen et al. 2008, Yang et al. 2016 (citation "
        "graphs)",
    .options = node_options(),
    .make =
        [](const TaskSetup& setup, const Options& options) {
          if (options.text("graph") != Nodes::kPlanted) check_options(node_options(), options);
          return std::make_unique<Nodes>(setup, options);
        },
    .label_option = "graph",
}};

}  // namespace
}  // namespace arena
