// The task nodes, and models that give a label per node.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "harness/model/model.hpp"
#include "harness/train/training.hpp"
#include "tests/data_file.hpp"
#include "tests/expect_error.hpp"
#include "tests/gradient_check.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

std::unique_ptr<Task> make_task(const std::string& text, const std::string& data_dir = "/none") {
  const NamedOptions named = parse_named(text);
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  return info.make({.data_dir = data_dir}, Options(named.name, info.options, named.options));
}

TEST(Nodes, SplitsShareGraphsAndDivideTheirNodes) {
  const auto task = make_task("nodes[nodes=50,graphs=3]");
  for (Index g = 0; g < 3; ++g) {
    std::vector<Index> scored(50, 0);
    for (const auto& [split, count] :
         {std::pair{Split::kTrain, 25}, {Split::kValidation, 12}, {Split::kTest, 13}}) {
      const Sample sample = task->sample(split, g);
      EXPECT_EQ(sample.tokens, task->sample(Split::kTrain, g).tokens);
      EXPECT_EQ(sample.edges, task->sample(Split::kTrain, g).edges);
      Index labels = 0;
      for (std::size_t i = 0; i < 50; ++i) {
        if (sample.labels[i] == kNotScored) continue;
        ++labels;
        ++scored[i];
      }
      EXPECT_EQ(labels, count);
    }
    EXPECT_EQ(scored, std::vector<Index>(50, 1));
  }
  EXPECT_NE(task->sample(Split::kTrain, 0).tokens, task->sample(Split::kTrain, 1).tokens);
}

TEST(Nodes, PlantedEdgesAreMostlyInsideClasses) {
  const auto task = make_task("nodes[nodes=1000,graphs=1,inside=6,outside=2]");
  std::vector<std::int32_t> classes(1000);
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    const Sample sample = task->sample(split, 0);
    for (std::size_t i = 0; i < 1000; ++i) classes[i] = std::max(classes[i], sample.labels[i]);
  }
  const Edges& edges = *task->sample(Split::kTrain, 0).edges;
  Index inside = 0, outside = 0, loops = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    for (Index e = edges.row_begin[i]; e < edges.row_begin[i + 1]; ++e) {
      const auto j = static_cast<std::size_t>(edges.key[static_cast<std::size_t>(e)]);
      ++(i == j ? loops : classes[i] == classes[j] ? inside : outside);
    }
  }
  EXPECT_EQ(loops, 1000);
  EXPECT_NEAR(static_cast<double>(inside) / 1000, 6, 0.2);  // less where a pair was drawn twice
  EXPECT_NEAR(static_cast<double>(outside) / 1000, 2, 0.1);
  const std::vector<Baseline> baselines = task->baselines();
  EXPECT_EQ(baselines[1].name, "neighbours' labels");
  EXPECT_GT(baselines[1].accuracy, 0.6);
  EXPECT_EQ(baselines[2].name, "own clue");
  EXPECT_NEAR(baselines[2].accuracy, 0.4 + 0.6 / 4, 4 * 0.5 / std::sqrt(250.0));
}

TEST(Nodes, VectorsLieAroundTheCentresOfClues) {
  const auto task = make_task("nodes[features=vectors,feature_dim=7]");
  EXPECT_EQ(task->feature_dim(), 7);
  const Sample sample = task->sample(Split::kTest, 2);
  EXPECT_TRUE(sample.tokens.empty());
  EXPECT_EQ(sample.features->rows(), 128);
  EXPECT_EQ(sample.features->cols(), 7);
  EXPECT_EQ(sample.features, task->sample(Split::kTrain, 2).features);
}

TEST(Nodes, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(make_task("nodes[nodes=15]"), "nodes=15 is less than 4 for each of classes=4");
  EXPECT_ERROR(make_task("nodes[graph=cora,inside=3]"),
               "nodes: option inside is for graph=planted, not for graph=cora");
}

TEST(Nodes, MissingFilesAreNoData) {
  const std::optional<Error> error = error_of([] { make_task("nodes[graph=citeseer]"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->failure(), Failure::kNoData);
  EXPECT_NE(std::string(error->what()).find("citeseer.nodes.tsv*"), std::string::npos);
}

TEST(Nodes, ReadsAPartOfCoraInEitherForm) {
  const TemporaryFolder folder;
  std::string nodes;
  for (const char* split : {"train", "val", "test"}) {
    for (int label = 0; label < 7; ++label) {
      const auto number = std::to_string(std::ranges::count(nodes, '\n'));
      nodes += number + "\t" + std::to_string(label) + "\t" + split + "\t5 " +
               std::to_string(1000 + label) + "\n";
    }
  }
  write_file(folder.path() + "/graphs/cora.nodes.tsv.gz", nodes, Packing::kGzip);
  write_file(folder.path() + "/graphs/cora.edges.tsv", "0\t7\n0\t14\n");
  EXPECT_ERROR(make_task("nodes[graph=cora]", folder.path()),
               "has 21 papers, the whole data set 2708");
  const auto task = make_task("nodes[graph=cora,partial=true]", folder.path());
  EXPECT_TRUE(task->partial());
  EXPECT_EQ(task->max_len(), 21);
  EXPECT_EQ(task->feature_dim(), 1433);
  EXPECT_EQ(task->num_classes(), 7);
  EXPECT_EQ(task->counts().at("edges without loops"), 4);

  std::string content;
  for (int i = 0; i < 56; ++i) {
    content += "p" + std::to_string(i);
    for (int w = 0; w < 1433; ++w) content += w == i ? "\t1" : "\t0";
    content += i % 2 == 0 ? "\tTheory\n" : "\tRule_Learning\n";
  }
  const TemporaryFolder original;
  write_file(original.path() + "/cora/cora.content", content);
  write_file(original.path() + "/cora/cora.cites", "p0\tp1\n");
  const auto whole = make_task("nodes[graph=cora,partial=true]", original.path());
  EXPECT_EQ(whole->max_len(), 56);
  EXPECT_EQ(whole->places().size(), 2U);
  const TemporaryFolder packed;
  write_tar(packed.path() + "/cora.tgz",
            {{"cora/cora.cites", "p0\tp1\n"}, {"cora/cora.content", content}});
  const auto same = make_task("nodes[graph=cora,partial=true]", packed.path());
  EXPECT_EQ(same->dataset_hash(), whole->dataset_hash());
  EXPECT_EQ(same->places(), std::vector<std::string>{packed.path() + "/cora.tgz"});
}

Options options_of(const char* owner, const std::vector<OptionSpec>& specs,
                   const OptionTexts& texts) {
  return {owner, specs, texts};
}

struct ModelCase {
  const char* name;
  const char* task;
  const char* variant;
  OptionTexts model;
};

class NodeModel : public testing::TestWithParam<ModelCase> {};
INSTANTIATE_TEST_SUITE_P(
    All, NodeModel,
    testing::Values(ModelCase{"tokens", "nodes[graphs=2,nodes=90]", "graph", {{"dropout", "0"}}},
                    ModelCase{"vectors",
                              "nodes[graphs=2,nodes=90,features=vectors]",
                              "graph",
                              {{"dropout", "0.2"}}},
                    ModelCase{"gat",
                              "nodes[graphs=2,nodes=20,features=vectors]",
                              "gat[attention_dropout=0.3]",
                              {{"dropout", "0"}}},
                    ModelCase{"network",
                              "nodes[graphs=2,nodes=90,features=vectors]",
                              "gat",
                              {{"block", "gat"}, {"dropout", "0"}}},
                    ModelCase{"network_dropout",
                              "nodes[graphs=2,nodes=90,features=vectors]",
                              "gat[attention_dropout=0.4]",
                              {{"block", "gat"}, {"dropout", "0.4"}, {"output_heads", "3"}}}),
    [](const auto& parameter) { return parameter.param.name; });

/// Gradients of every parameter, of the embedding of vectors too.
TEST_P(NodeModel, GradientIsTheDerivativeOfTheLoss) {
  const auto task = make_task(GetParam().task);
  OptionTexts texts = GetParam().model;
  texts.insert({{"dim", "12"}, {"heads", "2"}, {"hidden", "10"}, {"head_hidden", "8"}});
  const ChosenVariant chosen = choose_variant(GetParam().variant);
  const Model model(chosen.variant, chosen.options, options_of("model", model_options(), texts),
                    shape_of(*task));
  std::vector<float> weights(static_cast<std::size_t>(model.parameters().size()));
  std::vector<float> grads(weights.size()), unused(weights.size());
  model.parameters().initialise(RandomKey(5), weights);
  std::vector<float> noise(weights.size());
  fill_normal(RandomKey(8), 0.2F, View(noise.data(), 1, std::ssize(noise)));
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += noise[i];
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Sample sample = task->sample(Split::kTrain, 1);
  const LossScale scale{.score = 0.1F};
  const ModelValues values{weights, {}};
  const auto loss = [&] {
    return 0.1 * model.forward_backward(call, sample, values, scale, {unused, {}}).loss;
  };
  model.forward_backward(call, sample, values, scale, {grads, {}});
  std::uint64_t seed = 0;
  for (const ParameterLayout::Entry& entry : model.parameters().entries()) {
    const auto [offset, rows, cols] = entry.slice;
    SCOPED_TRACE(entry.name);
    expect_gradient(View(weights.data() + offset, rows, cols),
                    ConstView(grads.data() + offset, rows, cols), loss, ++seed, 1e-3, 2e-2);
  }
}

TEST_P(NodeModel, HasTheSameBitsOnAnyTeam) {
  const auto task = make_task(GetParam().task);
  const ChosenVariant chosen = choose_variant(GetParam().variant);
  const Model model(chosen.variant, chosen.options,
                    options_of("model", model_options(), GetParam().model), shape_of(*task));
  std::vector<float> weights(static_cast<std::size_t>(model.parameters().size()));
  model.parameters().initialise(RandomKey(5), weights);
  std::vector<std::vector<float>> grads;
  for (const Index threads : {1, 3}) {
    Workers workers(threads);
    const Call call{.team = workers.team(), .key = RandomKey(3)};
    grads.emplace_back(weights.size());
    model.forward_backward(call, task->sample(Split::kTrain, 0), {weights, {}}, {},
                           {grads.back(), {}});
  }
  EXPECT_EQ(grads[0], grads[1]);
}

/// A graph's nodes have no order: whatever stands where, each gets the same scores.
TEST(NodeModel, KnowsNoPositions) {
  const auto task = make_task("nodes[graphs=1,nodes=32]");
  const ChosenVariant chosen = choose_variant("graph");
  const Model model(chosen.variant, chosen.options, options_of("model", model_options(), {}),
                    shape_of(*task));
  std::vector<float> weights(static_cast<std::size_t>(model.parameters().size()));
  model.parameters().initialise(RandomKey(5), weights);
  Workers workers(1);
  const Sample sample = task->sample(Split::kTest, 0);
  const std::vector<Index> order = RandomStream(RandomKey(2)).permutation(32);
  Sample moved = sample;
  std::vector<std::pair<Index, Index>> pairs;
  for (std::size_t i = 0; i < 32; ++i) {
    const auto to = static_cast<std::size_t>(order[i]);
    moved.tokens[to] = sample.tokens[i];
    moved.labels[to] = sample.labels[i];
    for (Index e = sample.edges->row_begin[i]; e < sample.edges->row_begin[i + 1]; ++e) {
      const auto j = static_cast<std::size_t>(sample.edges->key[static_cast<std::size_t>(e)]);
      pairs.emplace_back(order[i], order[j]);
    }
  }
  moved.edges = std::make_shared<const Edges>(make_edges(32, 32, pairs));
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const double loss = model.forward(call, sample, {weights, {}}, {}).loss;
  EXPECT_NEAR(model.forward(call, moved, {weights, {}}, {}).loss, loss, 1e-4 * loss);
}

TEST(NodeModel, RefusesWhatDoesNotFit) {
  const auto tokens = make_task("nodes[graphs=1,nodes=32]");
  const auto vectors = make_task("nodes[graphs=1,nodes=32,features=vectors]");
  const auto make = [](const Task& task, const char* variant, OptionTexts texts) {
    const ChosenVariant chosen = choose_variant(variant);
    return Model(chosen.variant, chosen.options,
                 options_of("model", model_options(), std::move(texts)), shape_of(task));
  };
  EXPECT_ERROR(make(*tokens, "gat", {{"block", "gat"}}),
               "takes nodes with vectors, not with tokens");
  EXPECT_ERROR(make(*vectors, "graph", {{"block", "gat"}}), "attend on one projection: gat");
  EXPECT_ERROR(make(*vectors, "gat", {{"block", "gat"}, {"layers", "3"}}), "not layers=3");
  EXPECT_ERROR(make(*make_task("recall"), "gat", {{"block", "gat"}}), "one label per node only");
  EXPECT_EQ(why_unsupported(choose_variant("blocked").variant, *tokens),
            "blocked does not attend along the edges of this task's graphs");
  EXPECT_EQ(why_unsupported(choose_variant("gat").variant, *tokens), "");
}

struct TrainCase {
  const char* variant;
  const char* features;
  OptionTexts model;
};

TEST(NodeTraining, BeatsTheConstantAndTheOwnClueOnATinyPlantedPartition) {
  for (const TrainCase& c : {TrainCase{"graph", "tokens", {}}, TrainCase{"gat", "tokens", {}},
                             TrainCase{"gat", "vectors", {{"block", "gat"}, {"heads", "4"}}}}) {
    SCOPED_TRACE(std::string(c.variant) + " " + c.features);
    const auto task =
        make_task(std::string("nodes[graphs=8,nodes=64,features=") + c.features + "]");
    OptionTexts model = c.model;
    model.insert({{"dim", "16"}, {"hidden", "16"}, {"head_hidden", "16"}});
    const ChosenVariant chosen = choose_variant(c.variant);
    Workers workers(2);
    const Record record =
        train({.variant = chosen.variant,
               .variant_options = chosen.options,
               .task = *task,
               .model = options_of("model", model_options(), model),
               .train = options_of(
                   "train", train_options(),
                   {{"steps", "80"}, {"batch", "8"}, {"learning_rate", "0.01"}, {"l2", "0.0001"}}),
               .checkpoint = ""},
              workers, {});
    EXPECT_EQ(record.status, "OK") << record.error;
    EXPECT_GT(record.test_accuracy_best, 0.62);  // the own clue has 0.55
    EXPECT_EQ(record.metrics.at("test_labels"), 8 * 16);
    EXPECT_EQ(record.lengths.at("max"), 64);
  }
}

}  // namespace
}  // namespace arena
