// ConfigTree: what overlays and --set change, what they leave, and who is named for each value.
#include "minbert/base/config_tree.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

constexpr std::string_view kBase =
    "[run]\n"                                // 1
    "name = \"base\"\n"                      // 2
    "[[task]]\n"                             // 3
    "name = \"para\"\n"                      // 4
    "batch = 8\n"                            // 5
    "head = { dense = [\"H\"], p = 0.3 }\n"  // 6
    "[[task]]\n"                             // 7
    "name = \"sst\"\n"                       // 8
    "batch = 8\n"                            // 9
    "[[stage]]\n"                            // 10
    "lr = 1e-5\n"                            // 11
    "[[stage]]\n"                            // 12
    "lr = 2e-5\n";                           // 13

ConfigTree base_and(std::string_view overlay) {
  ConfigTree tree;
  tree.load_text(kBase, "base.toml", "/configs");
  tree.load_text(overlay, "over.toml", "/overlays");
  return tree;
}

std::string text(const ConfigTree& tree) { return print_toml(tree.root(), false); }

TEST(ConfigTreeMerge, AnOverlayOfABlockChangesOnlyItsKeys) {
  const ConfigTree tree = base_and("[[task]]\nname = \"sst\"\nbatch = 16\n");
  EXPECT_EQ(text(tree),
            "[run]\nname = \"base\"\n\n[[task]]\nname = \"para\"\nbatch = 8\nhead = { dense = [\"H\"], p = 0.3 }\n\n"
            "[[task]]\nname = \"sst\"\nbatch = 16\n\n[[stage]]\nlr = 1e-05\n\n[[stage]]\nlr = 2e-05\n");
  EXPECT_EQ(tree.place("task.sst.batch"), "over.toml:3");
  EXPECT_EQ(tree.place("task.para.batch"), "base.toml:5");
  EXPECT_EQ(tree.place("task.1.batch"), "over.toml:3");
  EXPECT_EQ(tree.place("task.sst"), "base.toml:7");
}

TEST(ConfigTreeMerge, TablesMergeAndOtherValuesReplace) {
  const ConfigTree tree = base_and("[run]\nseed = 1\n[[task]]\nname = \"para\"\nhead = { p = 0.1 }\n");
  EXPECT_EQ(print_toml_value(tree.node().find("run")->value()), "{ name = \"base\", seed = 1 }");
  EXPECT_EQ(print_toml_value(tree.node().find("task")->items()[0].find("head")->value()), "{ dense = [\"H\"], p = 0.1 }");
  const ConfigTree replaced = base_and("[[task]]\nname = \"para\"\nhead = { dense = [] }\nbatch = \"x\"\n");
  EXPECT_EQ(print_toml_value(replaced.node().find("task")->items()[0].find("head")->value()), "{ dense = [], p = 0.3 }");
}

TEST(ConfigTreeMerge, UnnamedBlocksMergeByIndex) {
  const ConfigTree tree = base_and("[[stage]]\nepochs = 1\n[[stage]]\nlr = 9.0\n[[stage]]\nlr = 3.0\n");
  EXPECT_EQ(print_toml_value(tree.node().find("stage")->value()), "[{ lr = 1e-05, epochs = 1 }, { lr = 9.0 }, { lr = 3.0 }]");
}

TEST(ConfigTreeMerge, ANewNameAppendsAndAnIndexIsAName) {
  const ConfigTree tree = base_and("[[task]]\nname = \"sts\"\n[[stage]]\nname = \"1\"\nlr = 7.0\n[[stage]]\nname = \"last\"\n");
  EXPECT_EQ(tree.node().find("task")->items().size(), 3u);
  EXPECT_EQ(print_toml_value(tree.node().find("stage")->value()), "[{ lr = 1e-05 }, { lr = 7.0, name = \"1\" }, { name = \"last\" }]");
}

TEST(ConfigTreeMerge, NotesBlocksThatALaterFileAdds) {
  EXPECT_TRUE(base_and("[[task]]\nname = \"sst\"\nbatch = 16\n[[stage]]\nlr = 9.0\n").notes().empty());
  EXPECT_EQ(base_and("[[stage]]\nname = \"finetune\"\nepochs = 3\n[[task]]\nname = \"sts\"\n[[other]]\nname = \"x\"\n").notes(),
            (std::vector<std::string>{"stage \"finetune\" of over.toml:1 is new, beside \"0\", \"1\"",
                                      "task \"sts\" of over.toml:4 is new, beside \"para\", \"sst\""}));
}

TEST(ConfigTreeMerge, InlineListsOfTablesReplace) {
  ConfigTree tree;
  tree.load_text("train = [{ path = \"a\" }, { path = \"b\" }]\n[[stage]]\nlr = 1.0\n", "a", "/");
  tree.load_text("train = [{ limit = 1 }]\nstage = []\n", "b", "/");
  EXPECT_EQ(text(tree), "train = [{ limit = 1 }]\nstage = []\n");
}

TEST(ConfigTreeMerge, RefusesOneNameTwiceInAFile) {
  expect_error(ErrorTag::kUsage, {"over.toml:3", "key \"task\": the name \"sst\" is taken by over.toml:1"},
               [] { base_and("[[task]]\nname = \"sst\"\n[[task]]\nname = \"sst\"\n"); });
}

TEST(ConfigTreeSet, AddressesBlocksByNameAndIndex) {
  ConfigTree tree = base_and("");
  tree.set("task.sst.batch=16");
  tree.set("task.0.batch = 32");
  tree.set("stage.1.lr=3e-5");
  tree.set("task.para.head.dense.0=4H");
  tree.set("stage.0.mlm.mask=0.2");
  tree.set("model.init=../models/a");
  EXPECT_EQ(print_toml_value(tree.node().find("task")->value()),
            "[{ name = \"para\", batch = 32, head = { dense = [\"4H\"], p = 0.3 } }, { name = \"sst\", batch = 16 }]");
  EXPECT_EQ(print_toml_value(tree.node().find("stage")->value()), "[{ lr = 1e-05, mlm = { mask = 0.2 } }, { lr = 3e-05 }]");
  const auto init = tree.node().find("model")->find("init");
  EXPECT_EQ(init->as_string(), "../models/a");
  EXPECT_EQ(init->value().origin.place, "--set");
  EXPECT_EQ(init->value().origin.folder, std::filesystem::current_path());
  EXPECT_EQ(tree.place("stage.1.lr"), "--set");
  EXPECT_EQ(tree.place("stage.0.lr"), "base.toml:11");
}

TEST(ConfigTreeSet, StartsMissingLists) {
  ConfigTree tree;
  tree.set("stage.0.lr=1.0");
  tree.set("map.0=1");
  EXPECT_EQ(text(tree), "[[stage]]\nlr = 1.0\n\n[map]\n0 = 1\n");
}

TEST(ConfigTreeSet, OtherOriginsAreRecorded) {
  ConfigTree tree = base_and("");
  tree.set("run.seed", 7, "--seed");
  EXPECT_EQ(tree.place("run.seed"), "--seed");
  EXPECT_EQ(tree.place("none"), "default");
}

TEST(ConfigTreeSet, ErrorsNameTheKeyAndWhatIsThere) {
  const auto set = [](std::string_view assignment) { base_and("").set(assignment); };
  expect_error(ErrorTag::kUsage,
               {"--set: key \"task.sts.batch\": there is no \"sts\" in task, which has para, sst", "did you mean \"sst\"?"},
               [&] { set("task.sts.batch=1"); });
  expect_error(ErrorTag::kUsage, {"there is no \"2\" in stage, which has 0, 1"}, [&] { set("stage.2.lr=1"); });
  expect_error(ErrorTag::kUsage, {"there is no \"-1\" in stage"}, [&] { set("stage.-1.lr=1"); });
  expect_error(ErrorTag::kUsage, {"key \"stage.0.lr.x\": expected stage.0.lr to be a table or a list, got 1e-05"},
               [&] { set("stage.0.lr.x=1"); });
  expect_error(ErrorTag::kUsage, {"--set: expected key=value, got \"task.sst\""}, [&] { set("task.sst"); });
  expect_error(ErrorTag::kUsage, {"--set: expected a key such as"}, [&] { set("=1"); });
  expect_error(ErrorTag::kUsage, {"--set: not a TOML value"}, [&] { set("a=[1"); });
}

TEST(ConfigTreeSet, SaysBeforehandWhetherAKeyHasItsPlace) {
  const ConfigTree tree = base_and("");
  for (const char* key : {"task.sst.batch=1", "stage.1.lr = 2", "stage.0.mlm.mask", "none.of.these"}) EXPECT_TRUE(tree.can_set(key)) << key;
  for (const char* key : {"task.sts.batch=1", "stage.2.lr = 2", "stage.pretrain.lr"}) EXPECT_FALSE(tree.can_set(key)) << key;
}

TEST(ConfigTree, LoadsFilesAndKeepsTheirFolders) {
  const TempFolder folder;
  make_directories(folder / "sub");
  write_file(folder / "sub/a.toml", "path = \"x\"\n");
  ConfigTree tree;
  tree.load(folder / "sub/a.toml");
  EXPECT_EQ(tree.node().find("path")->value().origin.folder, folder / "sub");
  EXPECT_EQ(tree.place("path"), (folder / "sub/a.toml").string() + ":1");
  expect_error(ErrorTag::kUsage, {"none.toml", "No such file"}, [&] { tree.load(folder / "none.toml"); });
}

TEST(ConfigTree, DifferencesOfConfigs) {
  const std::vector<TomlValue> tables = {base_and("").root(), base_and("[run]\nseed = 1\n[[task]]\nname = \"sst\"\nbatch = 16\n").root(),
                                         base_and("[[stage]]\nlr = 3.0\n[[stage]]\n[[stage]]\nlr = 1.0\n").root()};
  std::vector<std::string> lines;
  for (const ConfigDifference& difference : config_differences(tables))
    lines.push_back(fmt::format("{}: {}", difference.key, fmt::join(difference.values, " | ")));
  EXPECT_EQ(lines, (std::vector<std::string>{"task.sst.batch: 8 | 16 | 8", "stage.0.lr: 1e-05 | 1e-05 | 3.0", "run.seed:  | 1 | ",
                                             "stage.2:  |  | yes"}));
  EXPECT_TRUE(config_differences(std::vector(3, tables[0])).empty());
}

TEST(ConfigTree, ResolvedFileMaySayWhatKeysMean) {
  const ConfigTree tree = base_and("");
  TomlValue resolved = tree.root();
  const std::string printed =
      tree.print_resolved(resolved, [](std::string_view key) { return key == "stage.1.lr" ? std::string("rate of the encoder") : ""; });
  EXPECT_NE(printed.find("# base.toml:13: rate of the encoder\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("# base.toml:11\n"), std::string::npos) << printed;
}

TEST(ConfigTree, ResolvedFileSaysWhereValuesComeFrom) {
  ConfigTree tree = base_and("[[task]]\nname = \"sst\"\nbatch = 16\n");
  tree.set("stage.0.lr=3e-5");
  TomlValue resolved = parse_toml(
      "[run]\nname = \"base\"\nseed = 11711\n[[task]]\nname = \"para\"\n[[task]]\nname = \"sst\"\nbatch = 16\n[[stage]]\nlr = 3e-5\n", "",
      "");
  const auto line = [](std::string value, const char* place) {
    return value + std::string(44 - value.size(), ' ') + "  # " + place + "\n";
  };
  EXPECT_EQ(tree.print_resolved(resolved), "[run]\n" + line("name = \"base\"", "base.toml:2") + line("seed = 11711", "default") +
                                               "\n[[task]]\n" + line("name = \"para\"", "base.toml:4") + "\n[[task]]\n" +
                                               line("name = \"sst\"", "over.toml:2") + line("batch = 16", "over.toml:3") + "\n[[stage]]\n" +
                                               line("lr = 3e-05", "--set"));
}

}  // namespace
}  // namespace minbert
