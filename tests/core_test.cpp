// harness/core: options, matrix views, parameters, edges, registry. Memory and threads:
// workspace_test.cpp; random numbers: random_test.cpp.

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "harness/core/edges.hpp"
#include "harness/core/hash.hpp"
#include "harness/core/options.hpp"
#include "harness/core/parameters.hpp"
#include "harness/core/registry.hpp"

namespace arena {
namespace {

const std::vector<OptionSpec> kSpecs = {
    integer_option("rank", 64, 1, 1024, "columns of E and F"),
    real_option("rate", 0.5, 0, 1, "share that is dropped"),
    switch_option("tied", false, "one map for both"),
    choice_option("sharing", "layer", {"head", "layer", "model"}, "who shares the maps"),
    text_option("file", "", "any text"),
};

TEST(Error, IsOneLine) {
  EXPECT_STREQ(Error("a\nb\t\x1b[1m\x7f caf\u00e9").what(), "a\\x0ab\\x09\\x1b[1m\\x7f caf\u00e9");
}

TEST(Options, DefaultsAndOverrides) {
  const Options options("linformer", kSpecs,
                        {{"rank", "8"}, {"rate", "1e-3"}, {"tied", "true"}, {"file", "a b=c"}});
  EXPECT_EQ(options.integer("rank"), 8);
  EXPECT_EQ(options.real("rate"), 1e-3);
  EXPECT_TRUE(options.on("tied"));
  EXPECT_EQ(options.text("sharing"), "layer");
  EXPECT_EQ(options.text("file"), "a b=c");
  EXPECT_EQ(options.difference(kSpecs), "[rank=8,rate=0.001,tied=true,file=a b=c]");
  EXPECT_EQ(Options("linformer", kSpecs, {}).difference(kSpecs), "");
}

TEST(Options, RefuseValuesOutsideTheirRange) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"rank", "0"},   {"rank", "1025"},   {"rank", "8.5"},   {"rank", ""},
      {"rank", "9x"},  {"rank", " 9"},     {"rank", "1e2"},   {"rate", "1.1"},
      {"rate", "nan"}, {"rate", "inf"},    {"rate", "-1e-9"}, {"rate", "half"},
      {"tied", "yes"}, {"sharing", "all"}, {"sharing", ""},   {"rank", "99999999999999999999"}};
  for (const auto& text : bad) {
    EXPECT_ERROR(Options("linformer", kSpecs, {text}),
                 "linformer: option " + text.first + "='" + text.second + "' is not in ");
  }
  EXPECT_ERROR(Options("x", kSpecs, {{"rank", "0"}}), "1..1024");
  EXPECT_ERROR(Options("x", kSpecs, {{"sharing", "all"}}), "head | layer | model");
}

TEST(Options, UnknownNamesSuggestTheNearest) {
  EXPECT_ERROR(Options("linformer", kSpecs, {{"rnak", "8"}}),
               "linformer: unknown option 'rnak'; did you mean 'rank'?");
  EXPECT_ERROR(Options("linformer", kSpecs, {{"temperature", "8"}}),
               "unknown option 'temperature' (known: rank, rate, tied, sharing, file)");
  EXPECT_ERROR(Options("linformer", kSpecs, {}).integer("rang"), "no option named 'rang'");
}

TEST(Options, NearestMeansFewestEdits) {
  const auto suggestion = [](const std::string& name) {
    const std::vector<std::string> known = {"lin", "linear", "local"};
    const std::string text = unknown_name("variant", name, known);
    const std::size_t begin = text.find("mean '") + 6;
    return text.substr(begin, text.find('\'', begin) - begin);
  };
  EXPECT_EQ(suggestion("linea"), "linear") << "one insertion, not two deletions";
  EXPECT_EQ(suggestion("llin"), "lin") << "one deletion";
  EXPECT_EQ(suggestion("lical"), "local") << "one substitution";
}

TEST(Options, TextsReadBackAsTheSameValue) {
  const OptionSpec real = real_option("x", 0, -1e300, 1e300, "");
  for (const double value : {0.1, 1e-4, 1.0 / 3, 12345678.9, -0.0, 1e300}) {
    EXPECT_EQ(parse_option("t", real, option_text(value)), OptionValue(value));
  }
  EXPECT_EQ(option_text(1e-4), "0.0001");
  EXPECT_EQ(option_text(Index{-3}), "-3");
  EXPECT_EQ(option_text(true), "true");
}

TEST(Options, NamesWithOptions) {
  const NamedOptions parsed = parse_named("linformer[rank=64,file=a=b]");
  EXPECT_EQ(parsed.name, "linformer");
  EXPECT_EQ(parsed.options, (OptionTexts{{"rank", "64"}, {"file", "a=b"}}));
  EXPECT_EQ(parse_named("dense").options, OptionTexts{});
  EXPECT_EQ(parse_named("dense[]").options, OptionTexts{});
  for (const char* const text : {"a[x=1", "[x=1]", "a[x]", "a[=1]", "a[x=1]b", "a["}) {
    EXPECT_ERROR(parse_named(text), "cannot read '");
  }
  EXPECT_ERROR(parse_named("a[x=1,x=2]"), "option 'x' stands twice");
}

TEST(Options, ListsSplitOutsideBrackets) {
  EXPECT_EQ(split_list("a,b[x=1,y=2],c"), (std::vector<std::string>{"a", "b[x=1,y=2]", "c"}));
  EXPECT_EQ(split_list(""), std::vector<std::string>{});
  for (const char* const text : {"a,,b", ",a", "a,", ","}) {
    EXPECT_ERROR(split_list(text), "empty item in list");
  }
}

TEST(Options, Lengths) {
  EXPECT_EQ(parse_lengths("512,1024"), (std::vector<Index>{512, 1024}));
  EXPECT_EQ(parse_lengths("256:2100:x2"), (std::vector<Index>{256, 512, 1024, 2048}));
  EXPECT_EQ(parse_lengths("7,100:300:+100"), (std::vector<Index>{7, 100, 200, 300}));
  EXPECT_EQ(parse_lengths("5:5:x2"), std::vector<Index>{5});
  for (const char* const text : {"", "0", "-4", "a", "1:2", "1:2:3", "4:2:x2", "1:8:x1", "1:8:+0",
                                 "1:8:x", "0:8:x2", "1:8:*2", "1.5", "::x2"}) {
    EXPECT_THROW(parse_lengths(text), Error) << text;
  }
}

TEST(Options, LengthRangesDoNotOverflow) {
  EXPECT_EQ(parse_lengths("4611686018427387904:9223372036854775807:x2").size(), 1U);
  EXPECT_EQ(parse_lengths("9223372036854775806:9223372036854775807:+1").size(), 2U);
  EXPECT_ERROR(parse_lengths("1:1000000000000:+1"), "more than 1000 lengths");
}

TEST(Matrix, SlicesShareMemoryAndKeepTheStride) {
  Matrix matrix(4, 6);
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<float>(i);
  const View view(matrix);
  const View head = view.column_slice(2, 3);
  EXPECT_EQ(head.rows(), 4);
  EXPECT_EQ(head.cols(), 3);
  EXPECT_EQ(head.outerStride(), 6);
  EXPECT_EQ(head(1, 0), 8);
  const View corner = head.row_slice(2, 2);
  EXPECT_EQ(corner(0, 0), 14);
  EXPECT_EQ(ConstView(corner)(1, 2), 22);
  EXPECT_EQ(ConstView(matrix).column_slice(2, 3).row_slice(2, 2)(1, 2), 22);
  corner.row_slice(0, 1).column_slice(1, 1)(0, 0);  // slices of slices are views again
  View target = corner;
  target(1, 2) = -1;
  EXPECT_EQ(matrix(3, 4), -1);
}

TEST(Matrix, AssigningToAViewWritesElements) {
  Matrix a = Matrix::Zero(2, 4);
  Matrix b = Matrix::Ones(2, 2);
  View left = View(a).column_slice(0, 2);
  const View source(b);
  left = source;
  EXPECT_TRUE((a.leftCols(2).array() == 1).all());
  EXPECT_TRUE((a.rightCols(2).array() == 0).all());
  EXPECT_EQ(left.data(), a.data()) << "the view itself has not moved";
  EXPECT_TRUE(View().empty());
  EXPECT_TRUE(ConstView().empty());
}

TEST(Parameters, SharingScopesDecideWhoOwnsASlice) {
  const std::vector<ParameterSpec> head = {
      {.name = "own", .rows = 2, .cols = 3, .sharing = Sharing::kHead},
      {.name = "ours", .rows = 4, .cols = 1, .sharing = Sharing::kLayer},
      {.name = "all", .rows = 5, .cols = 5, .sharing = Sharing::kModel},
      {.name = "same", .sharing = Sharing::kHead, .tie = "own"}};
  ParameterLayout layout;
  const auto slices_of = [&](Index head_index, const std::string& layer) {
    return layout.add(specs_of_head(head, head_index), layer, "shared.");
  };
  const auto first = slices_of(0, "layers.0.");
  const auto second = slices_of(1, "layers.0.");
  const auto deeper = slices_of(0, "layers.1.");
  EXPECT_NE(first[0].offset, second[0].offset);
  EXPECT_EQ(first[1].offset, second[1].offset);
  EXPECT_NE(first[1].offset, deeper[1].offset);
  EXPECT_EQ(first[2].offset, deeper[2].offset);
  EXPECT_EQ(first[3].offset, first[0].offset);
  EXPECT_EQ(second[3].offset, second[0].offset);
  std::vector<std::string> names;
  for (const auto& entry : layout.entries()) names.push_back(entry.name);
  EXPECT_EQ(names, (std::vector<std::string>{"layers.0.heads.0.own", "layers.0.ours", "shared.all",
                                             "layers.0.heads.1.own", "layers.1.heads.0.own",
                                             "layers.1.ours"}));
  EXPECT_EQ(layout.parameter_count(), 3 * 6 + 2 * 4 + 25);
  for (const auto& entry : layout.entries()) EXPECT_EQ(entry.slice.offset % 16, 0) << entry.name;
}

TEST(Parameters, ClashesAreErrors) {
  ParameterLayout layout;
  layout.add({{{.name = "w", .rows = 2, .cols = 3}}}, "a.", "");
  const auto add = [&](ParameterSpec spec) { layout.add({{std::move(spec)}}, "a.", ""); };
  EXPECT_ERROR(add({.name = "w", .rows = 3, .cols = 2}),
               "'a.w' is declared as [2, 3] and as [3, 2]");
  EXPECT_ERROR(add({.name = "e", .rows = 0, .cols = 2}), "'e' has shape [0, 2]");
  EXPECT_ERROR(add({.name = "t", .tie = "none"}), "'t' is tied to unknown 'none'");
  const std::vector<ParameterSpec> tied = {{.name = "w", .rows = 2, .cols = 3},
                                           {.name = "t", .rows = 9, .cols = 3, .tie = "w"}};
  EXPECT_ERROR(layout.add(tied, "a.", ""), "'t' [9, 3] is tied to 'w' [2, 3]");
  const std::vector<ParameterSpec> dangling = {{.name = "t", .tie = "none"}};
  EXPECT_ERROR(specs_of_head(dangling, 0), "'t' is tied to unknown 'none'");
}

TEST(Parameters, PrefixesReachNamesAndTies) {
  const std::vector<ParameterSpec> specs = {{.name = "e", .rows = 1}, {.name = "f", .tie = "e"}};
  const auto prefixed = with_prefix(specs, "head.");
  EXPECT_EQ(prefixed[0].name, "head.e");
  EXPECT_EQ(prefixed[1].tie, "head.e");
  EXPECT_EQ(prefixed[0].tie, "");
}

TEST(Parameters, StartingValuesDependOnNameAndKeyOnly) {
  const ParameterSpec wanted = {.name = "w", .rows = 4, .cols = 5, .init = Init::normal(1)};
  const ParameterSpec other = {.name = "other", .rows = 7, .cols = 3, .init = Init::normal(1)};
  ParameterLayout alone;
  ParameterLayout behind;
  const Slice first = alone.add({{wanted}}, "p.", "")[0];
  const Slice second = behind.add({{other, wanted}}, "p.", "")[1];
  std::vector<float> a(static_cast<std::size_t>(alone.size()), 9);
  std::vector<float> b(static_cast<std::size_t>(behind.size()), 9);
  alone.initialise(RandomKey(1), a);
  behind.initialise(RandomKey(1), b);
  const ConstView left(a.data() + first.offset, 4, 5);
  const ConstView right(b.data() + second.offset, 4, 5);
  EXPECT_EQ(left, right);
  EXPECT_EQ(b[21], 0) << "padding between slices is zero";
  alone.initialise(RandomKey(2), a);
  EXPECT_NE(left, right);
  EXPECT_ERROR(alone.initialise(RandomKey(1), b), "floats for a layout of");
}

TEST(Parameters, InitialisationRules) {
  Matrix m(300, 100);
  const auto fill = [&](const Init& init) { initialise(init, RandomKey(3), m); };
  fill(Init::ones());
  EXPECT_TRUE((m.array() == 1).all());
  fill(Init::zeros());
  EXPECT_TRUE((m.array() == 0).all());
  fill(Init::identity());
  EXPECT_TRUE(m.isIdentity(0));
  const float bound = std::sqrt(6.0F / 400);
  fill(Init::xavier());
  EXPECT_LE(m.cwiseAbs().maxCoeff(), bound);
  EXPECT_GT(m.maxCoeff(), 0.99F * bound);
  EXPECT_LT(m.minCoeff(), -0.99F * bound);
  fill(Init::normal(0.02F));
  const double variance = m.cast<double>().array().square().mean();
  EXPECT_NEAR(variance / 4e-4, 1, 4 * std::sqrt(2.0 / static_cast<double>(m.size())));
}

TEST(Parameters, OrthogonalNormalsAreOrthogonalInBlocks) {
  Matrix m(70, 32);
  initialise(Init::orthogonal_normal(), RandomKey(3), m);
  const MatrixD rows = m.cast<double>().rowwise().normalized();
  const MatrixD cosines = (rows * rows.transpose()).cwiseAbs();
  for (const auto& [first, count] : {std::pair{0, 32}, std::pair{32, 32}, std::pair{64, 6}}) {
    EXPECT_LT((cosines.block(first, first, count, count) - MatrixD::Identity(count, count)).norm(),
              1e-5);
  }
  EXPECT_GT(cosines.block(0, 32, 32, 32).maxCoeff(), 0.1) << "blocks are independent";
}

TEST(Parameters, OrthogonalNormalsAreStandardNormalByThemselves) {
  constexpr Index kRows = 5, kCols = 4, kDraws = 4000;
  MatrixD sum = MatrixD::Zero(kRows, kCols), squares = sum, fourth = sum;
  for (Index draw = 0; draw < kDraws; ++draw) {
    Matrix m(kRows, kCols);
    initialise(Init::orthogonal_normal(), RandomKey(static_cast<std::uint64_t>(draw)), m);
    const MatrixD square = m.cast<double>().array().square();
    sum += m.cast<double>();
    squares += square;
    fourth.array() += square.array().square();
  }
  // Within 4.5 standard errors of 0, 1 and 3; signs by a convention give a mean of 0.8.
  const double error = 4.5 / std::sqrt(static_cast<double>(kDraws));
  EXPECT_LT((sum / kDraws).cwiseAbs().maxCoeff(), error);
  EXPECT_LT((squares.array() / kDraws - 1).abs().maxCoeff(), error * std::sqrt(2.0));
  EXPECT_LT((fourth.array() / kDraws - 3).abs().maxCoeff(), error * std::sqrt(96.0));
}

TEST(Edges, BothOrientationsAgree) {
  const std::vector<std::pair<Index, Index>> pairs = {{2, 1}, {0, 3}, {2, 0}, {0, 1}};
  const Edges edges = make_edges(3, 4, pairs);
  EXPECT_EQ(edges.count(), 4);
  EXPECT_EQ(edges.row_begin, (std::vector<Index>{0, 2, 2, 4}));
  EXPECT_EQ(edges.key, (std::vector<std::int32_t>{1, 3, 0, 1}));
  EXPECT_EQ(edges.column_begin, (std::vector<Index>{0, 1, 3, 3, 4}));
  EXPECT_EQ(edges.query, (std::vector<std::int32_t>{2, 0, 2, 0}));
  EXPECT_EQ(edges.edge, (std::vector<Index>{2, 0, 3, 1}));
}

TEST(Edges, WhereAPredicateHolds) {
  const Edges edges = edges_where(3, 3, [](Index i, Index j) { return j <= i; });
  EXPECT_EQ(edges.row_begin, (std::vector<Index>{0, 1, 3, 6}));
  EXPECT_EQ(edges.column_begin, (std::vector<Index>{0, 3, 5, 6}));
  EXPECT_EQ(make_edges(2, 2, {}).count(), 0);
}

TEST(Edges, RefuseDuplicatesAndStrangers) {
  using Pairs = std::vector<std::pair<Index, Index>>;
  EXPECT_ERROR(make_edges(3, 3, Pairs{{1, 2}, {0, 0}, {1, 2}}), "edge (1, 2) stands twice");
  for (const auto& stranger : Pairs{{3, 0}, {0, 3}, {-1, 0}, {0, -1}}) {
    EXPECT_ERROR(make_edges(3, 3, Pairs{stranger}), "is outside 3 queries x 3 keys");
  }
}

TEST(Edges, ARandomGraphHasSelfLoopsAndOneDegree) {
  const RandomKey key(5);
  const Edges graph = random_graph(50, 7, key);
  EXPECT_EQ(graph.count(), random_graph_edges(50, 7));
  for (std::size_t i = 0; i < 50; ++i) {
    const auto begin = graph.key.begin() + graph.row_begin[i];
    EXPECT_EQ(graph.row_begin[i + 1] - graph.row_begin[i], 7);
    EXPECT_EQ(std::count(begin, begin + 7, static_cast<std::int32_t>(i)), 1);
  }
  EXPECT_EQ(graph.key, random_graph(50, 7, key).key);
  EXPECT_NE(graph.key, random_graph(50, 7, key.fold(1)).key);
  EXPECT_EQ(random_graph(5, 7, key).count(), 25);  // complete
}

struct Fruit {
  static constexpr const char* kKind = "fruit";
  std::string name;
  int weight = 0;
};
const Register<Fruit> kPear{{.name = "pear", .weight = 2}};
const Register<Fruit> kApple{{.name = "apple", .weight = 1}};

TEST(Registry, FindsByNameInOrder) {
  EXPECT_EQ(Registry<Fruit>::names(), (std::vector<std::string>{"apple", "pear"}));
  EXPECT_EQ(Registry<Fruit>::find("pear").weight, 2);
  EXPECT_ERROR(Registry<Fruit>::find("aple"), "unknown fruit 'aple'; did you mean 'apple'?");
}

TEST(Registry, ANameTwiceStopsTheProgram) {
  EXPECT_EXIT(Register<Fruit>({.name = "pear"}), testing::ExitedWithCode(2),
              "two fruits are named 'pear'");
}

TEST(Hash, Fnv1aKnownAnswers) {
  EXPECT_EQ(fnv1a("a"), 0xAF63DC4C8601EC8C);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171F73967E8);
  EXPECT_EQ(fnv1a("bar", fnv1a("foo")), fnv1a("foobar"));
}

}  // namespace
}  // namespace arena
