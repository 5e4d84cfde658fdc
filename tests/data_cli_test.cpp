// `arena data` as a person runs it, with a web server of its own.

#include <nlohmann/json.hpp>

#include "tests/cli.hpp"
#include "tests/file_server.hpp"
#include "tests/small_data.hpp"

namespace arena {
namespace {

class DataCli : public Program {
 protected:
  DataCli() {
    std::string papers;
    for (int i = 0; i < 56; ++i) {
      papers += "p" + std::to_string(i);
      for (int w = 0; w < 1433; ++w) papers += w == i ? "\t1" : "\t0";
      papers += i % 2 == 0 ? "\tTheory\n" : "\tRule_Learning\n";
    }
    write_tar(file("served"), {{"cora/cora.content", papers}, {"cora/cora.cites", "p0\tp1\n"}});
    served_ = read_file(file("served"));
  }

  Outcome get(const std::string& name, const FileServer& server) const {
    return run("data get " + name + " --data-dir here --url " + server.url("/" + name + ".tgz"));
  }

  std::string served_{};  // a part of Cora, as its origin packs it
};

TEST_F(DataCli, ListsWhereEachSetComesFromAndWhatIsHere) {
  write_file(file("here/cora.tgz"), "x");
  std::map<std::string, nlohmann::json> sets;
  for (auto& set : nlohmann::json::parse(run("data list --json --data-dir here").out)) {
    sets[set["name"].get<std::string>()] = set;
  }
  for (const std::string name : {"cifar10", "citeseer", "cora", "ewt", "imdb", "lra"}) {
    ASSERT_TRUE(sets.contains(name)) << name;
    const nlohmann::json& file = sets[name]["files"][0];
    EXPECT_TRUE(file["url"].get<std::string>().starts_with("https://"));
    EXPECT_EQ(file["here"].get<bool>(), name == "cora") << name;
  }
  const Outcome list = run("data list --data-dir here");
  EXPECT_NE(list.out.find("here as   here/cora.tgz"), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("not here  here/citeseer.tgz"), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("for      nodes"), std::string::npos) << list.out;
}

TEST_F(DataCli, GetsASetThatIsThenVerifiedShownAndTrainedOn) {
  const FileServer server(served_, Serving::kWell);
  const Outcome fetched = get("cora", server);
  EXPECT_EQ(fetched.exit_code, 0) << fetched.err;
  EXPECT_EQ(read_file(file("here/cora.tgz")), served_);
  EXPECT_NE(get("cora", server).out.find("is there already"), std::string::npos);
  EXPECT_EQ(server.starts().size(), 1U);

  const Outcome verified = run("data verify cora --data-dir here");
  EXPECT_EQ(verified.exit_code, 0) << verified.out;
  EXPECT_NE(verified.out.find("nodes[graph=cora]: PARTIAL"), std::string::npos) << verified.out;
  EXPECT_NE(verified.out.find("read here/cora.tgz"), std::string::npos) << verified.out;
  const Outcome shown = run("data show cora --split test --count 1 --data-dir here");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_NE(shown.out.find("58 edges, 34 labels scored"), std::string::npos) << shown.out;
  const Outcome trained =
      run("train --task nodes[graph=cora,partial=true] --variant graph --data-dir here "
          "--set train.steps=1 --set train.batch=1 --set model.dim=8");
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_NE(trained.out.find("nodes-cora PARTIAL"), std::string::npos) << trained.out;
}

TEST_F(DataCli, GoesOnWhereItWasCutOff) {
  {
    const FileServer server(served_, Serving::kHalf);
    const Outcome cut = get("cora", server);
    EXPECT_EQ(cut.exit_code, 2);
    EXPECT_NE(cut.err.find("the same command goes on"), std::string::npos) << cut.err;
  }
  EXPECT_FALSE(std::filesystem::exists(file("here/cora.tgz")));
  const FileServer server(served_, Serving::kWell);
  EXPECT_EQ(get("cora", server).exit_code, 0);
  EXPECT_EQ(server.starts(), std::vector<std::size_t>{served_.size() / 2});
  EXPECT_EQ(read_file(file("here/cora.tgz")), served_);
}

TEST_F(DataCli, RefusesWhatIsMissingOrWrong) {
  const FileServer missing(served_, Serving::kMissing), wrong(served_, Serving::kWell);
  const Outcome nowhere = get("cora", missing);
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_NE(nowhere.err.find("404"), std::string::npos) << nowhere.err;
  const Outcome other = run("data get imdb --data-dir here --url " + wrong.url("/imdb"));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("bytes with SHA-256"), std::string::npos) << other.err;
  EXPECT_TRUE(std::filesystem::is_empty(file("here")));
  expect_refusal("data get croa", "did you mean 'cora'");
  expect_refusal("data get nodes --url http://127.0.0.1/", "--url is for one data set");
}

TEST_F(DataCli, VerifySaysWhatIsMissingAndWhatIsBroken) {
  const Outcome missing = run("data verify citeseer --data-dir here");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.out.find("file here/citeseer.tgz: not there"), std::string::npos);
  EXPECT_NE(missing.out.find("NO_DATA"), std::string::npos) << missing.out;
  EXPECT_NE(missing.out.find("`arena data get citeseer`"), std::string::npos) << missing.out;
  write_file(file("here/citeseer.tgz"), served_);
  const Outcome other = run("data verify citeseer --data-dir here");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.out.find("has no member citeseer.content"), std::string::npos) << other.out;
  write_file(file("here/cora.tgz"), served_.substr(0, served_.size() / 2));
  const Outcome broken = run("data verify cora --data-dir here");
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_NE(broken.out.find("nodes[graph=cora]: ERROR"), std::string::npos) << broken.out;
}

TEST_F(DataCli, ShowsSamplesOfEveryTaskThatReadsFiles) {
  for (const char* task : {"text", "image", "retrieval", "tagging"}) {
    const Outcome shown =
        run(fmt::format("data show {} --count 1 --data-dir {}", task, small_data_dir()));
    EXPECT_EQ(shown.exit_code, 0) << shown.err;
    EXPECT_NE(shown.out.find("in split train (PARTIAL)"), std::string::npos) << shown.out;
    EXPECT_NE(shown.out.find("sample 0 ("), std::string::npos) << shown.out;
  }
  expect_refusal("data show recall --split tset", "did you mean 'test'");
  expect_refusal("data show text --data-dir nowhere", "`arena data get imdb`");
}

TEST_F(DataCli, MakesWhatHasAFormat) {
  const Outcome made = run("data make pathfinder[difficulty=easy,examples=100] --out images");
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_TRUE(std::filesystem::exists(file("images/pathfinder32/curv_baseline/imgs/0")));
  expect_refusal("data make recall --out images", "there is no format");
}

}  // namespace
}  // namespace arena
