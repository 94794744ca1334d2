// Options: one visitor reads, writes, lists and describes a struct like those of a training configuration.
#include "minbert/base/options.h"

#include <gtest/gtest.h>

#include <array>

#include "minbert/base/config_tree.h"
#include "minbert/base/json.h"
#include "minbert/base/nearest.h"
#include "tests/base/error_matchers.h"

namespace minbert {
namespace {

enum class Kind { kFinetune, kHeads };
constexpr auto option_names(Kind) {
  return std::to_array<OptionName<Kind>>({{Kind::kFinetune, "finetune"}, {Kind::kHeads, "heads"}, {Kind::kFinetune, "multitask"}});
}

/// A width: a number, or a multiple of the hidden size such as "4H".
struct Width {
  std::int64_t count = 0;
  bool hidden = false;
  bool operator==(const Width&) const = default;
};

}  // namespace

template <>
struct OptionType<Width> {
  static bool accepts(const TomlNode& node) { return node.is<std::int64_t>() || node.is<std::string>(); }
  static void read(const TomlNode& node, Width& width) {
    if (node.is<std::int64_t>()) {
      width = {node.as_int(), false};
    } else if (node.is<std::string>() && node.as_string().ends_with('H')) {
      width = {node.as_string() == "H" ? 1 : std::stoll(node.as_string()), true};
    } else {
      node.fail("a width such as 128, \"H\" or \"4H\"");
    }
  }
  static TomlValue write(const Width& width) {
    return width.hidden ? TomlValue(std::to_string(width.count) + "H") : TomlValue(width.count);
  }
  static std::string type() { return "width"; }
  static TomlValue schema() { return internal::schema_of("string"); }
};

namespace {

struct Head {
  std::vector<Width> dense;
  double dropout = 0.1;
  bool operator==(const Head&) const = default;
};
template <class V>
void visit_options(V& v, Head& o) {
  v.field("dense", o.dense, "widths of the hidden layers");
  v.field("dropout", o.dropout, "", from_to_below(0, 1));
}

struct Task {
  std::string name;
  std::variant<std::int64_t, std::vector<std::string>, std::string> labels = std::int64_t{2};
  Head head;
  PathOption train;
  std::map<std::string, double> published;
  bool operator==(const Task&) const = default;
};
template <class V>
void visit_options(V& v, Task& o) {
  v.field("name", o.name, "its name in tables");
  v.field("labels", o.labels, "count, names or \"auto\"");
  v.field("head", o.head, "what stands on the encoder");
  v.field("train", o.train, "file of rows");
  v.field("published", o.published, "");
}

struct Mlm {
  double mask = 0.15;
  bool operator==(const Mlm&) const = default;
};
template <class V>
void visit_options(V& v, Mlm& o) {
  v.field("mask", o.mask, "share of tokens", between(0, 1));
}

struct Config {
  std::uint64_t seed = 11711;
  bool shuffle = true;
  Kind kind = Kind::kFinetune;
  std::optional<std::int32_t> batch;
  std::vector<double> betas = {0.9, 0.999};
  std::optional<Mlm> mlm;
  std::vector<Task> task;
  bool operator==(const Config&) const = default;
};
template <class V>
void visit_options(V& v, Config& o) {
  v.field("seed", o.seed, "of everything random");
  v.field("shuffle", o.shuffle, "");
  v.field("kind", o.kind, "what trains");
  v.field("batch", o.batch, "rows", at_least(1));
  v.field("betas", o.betas, "of AdamW", from_to_below(0, 1));
  v.field("mlm", o.mlm, "masked words");
  v.field("task", o.task, "what is learned");
}

Config read(std::string_view text) { return read_options<Config>(TomlNode(parse_toml(text, "f.toml", "/configs"))); }

constexpr std::string_view kFull =
    "seed = 1\n"
    "shuffle = false\n"
    "kind = \"heads\"\n"
    "batch = 8\n"
    "betas = [0.5, 0.25]\n"
    "\n"
    "[mlm]\n"
    "mask = 0.3\n"
    "\n"
    "[[task]]\n"
    "name = \"sst\"\n"
    "labels = [\"bad\", \"good\"]\n"
    "train = \"a.csv\"\n"
    "published = { acc = 0.5, f1 = 1.0 }\n"
    "\n"
    "[task.head]\n"
    "dense = [\"4H\", 16]\n"
    "dropout = 0.3\n";

TEST(OptionsRead, MissingKeysKeepTheirDefaults) {
  EXPECT_EQ(read(""), Config{});
  const Config config = read("[[task]]\nhead = { dropout = 0.5 }\n[mlm]\n");
  EXPECT_EQ(config.task.at(0).head.dropout, 0.5);
  EXPECT_EQ(std::get<std::int64_t>(config.task.at(0).labels), 2);
  ASSERT_TRUE(config.mlm.has_value());
  EXPECT_EQ(config.mlm->mask, 0.15);
}

TEST(OptionsRead, ReadsEveryKindOfField) {
  const Config config = read(kFull);
  EXPECT_EQ(config.seed, 1u);
  EXPECT_FALSE(config.shuffle);
  EXPECT_EQ(config.kind, Kind::kHeads);
  EXPECT_EQ(config.batch, 8);
  EXPECT_EQ(config.betas, (std::vector<double>{0.5, 0.25}));
  EXPECT_EQ(config.mlm->mask, 0.3);
  const Task& task = config.task.at(0);
  EXPECT_EQ(std::get<std::vector<std::string>>(task.labels), (std::vector<std::string>{"bad", "good"}));
  EXPECT_EQ(task.head.dense, (std::vector<Width>{{4, true}, {16, false}}));
  EXPECT_EQ(task.train.resolve(), "/configs/a.csv");
  EXPECT_EQ(task.published, (std::map<std::string, double>{{"acc", 0.5}, {"f1", 1.0}}));
  EXPECT_EQ(std::get<std::string>(read("[[task]]\nlabels = \"auto\"\n").task.at(0).labels), "auto");
  EXPECT_EQ(read("kind = \"multitask\"\n").kind, Kind::kFinetune);
}

TEST(OptionsWrite, ReadsBackAsTheSame) {
  EXPECT_EQ(print_toml(write_options(read(kFull)), false), kFull);
  EXPECT_EQ(read(print_toml(write_options(Config{}), false)), Config{});
}

TEST(OptionsRead, ErrorsNameFileLineKeyExpectedAndGot) {
  const auto refused = [](std::string_view text, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kUsage, parts, [&] { read(text); });
  };
  refused("\nseed = \"x\"\n", {"f.toml:2: key \"seed\": expected a whole number, got \"x\""});
  refused("seed = -1\n", {"expected a whole number of at least 0, got -1"});
  refused("batch = 3000000000\n", {"key \"batch\": expected a whole number of at most 2147483647, got 3000000000"});
  refused("batch = 0\n", {"key \"batch\": expected a number at least 1, got 0"});
  refused("betas = [0.9, 1]\n", {"key \"betas.1\": expected a number from 0 to below 1, got 1"});
  refused("betas = [nan]\n", {"got nan"});
  refused("betas = 0.9\n", {"key \"betas\": expected a list, got 0.9"});
  refused("kind = \"head\"\n", {"key \"kind\": expected one of finetune, heads, multitask, got \"head\"", "did you mean \"heads\"?"});
  refused("kind = 3\n", {"key \"kind\": expected one of finetune, heads, multitask, got 3"});
  refused("mlm = 3\n", {"key \"mlm\": expected a table, got 3"});
  refused("task = {}\n", {"key \"task\": expected a list, got a table"});
  refused("[[task]]\nname = \"sst\"\nlabels = true\n",
          {"f.toml:3: key \"task.sst.labels\": expected whole number | list of text | text, got true"});
  refused("[[task]]\nname = \"sst\"\nhead = { dense = [\"H\", \"x\"] }\n",
          {"f.toml:3: key \"task.sst.head.dense.1\": expected a width such as", "got \"x\""});
  refused("[[task]]\n[[task]]\npublished = { a = \"b\" }\n", {"key \"task.1.published.a\": expected a number"});
}

TEST(OptionsRead, UnknownKeysNameTheNearest) {
  expect_error(ErrorTag::kUsage, {"f.toml:3: key \"task.sst.lables\": unknown key", "hint: did you mean \"labels\"?"},
               [] { read("[[task]]\nname = \"sst\"\nlables = 5\n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:1: key \"zzzzzz\": unknown key", "known: seed, shuffle, kind"}, [] { read("zzzzzz = 1\n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:1: key \"mlm.msak\"", "did you mean \"mask\"?"}, [] { read("mlm.msak = 1\n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:1: key \"mask\": unknown key", "another table has it: mlm.mask"}, [] { read("mask = 1\n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:2: key \"mlm.seed\": unknown key", "another table has it: seed"},
               [] { read("[mlm]\nseed = 1\n"); });
}

TEST(OptionsList, NamesTypesDefaultsAndHelp) {
  std::string text;
  for (const auto& row : list_options<Config>()) text += row.key + " | " + row.type + " | " + row.default_value + " | " + row.help + "\n";
  EXPECT_EQ(text,
            "seed | whole number | 11711 | of everything random\n"
            "shuffle | true | false | true | \n"
            "kind | finetune | heads | multitask | \"finetune\" | what trains\n"
            "batch | whole number at least 1 |  | rows\n"
            "betas | list of number from 0 to below 1 | [0.9, 0.999] | of AdamW\n"
            "mlm | table |  | masked words\n"
            "mlm.mask | number from 0 to 1 | 0.15 | share of tokens\n"
            "task | list of table | [] | what is learned\n"
            "task[].name | text | \"\" | its name in tables\n"
            "task[].labels | whole number | list of text | text | 2 | count, names or \"auto\"\n"
            "task[].head.dense | list of width | [] | widths of the hidden layers\n"
            "task[].head.dropout | number from 0 to below 1 | 0.1 | \n"
            "task[].train | path | \"\" | file of rows\n"
            "task[].published | table of number | {} | \n");
}

TEST(OptionsSchema, DescribesEveryField) {
  const Json schema = parse_json(toml_to_json(options_schema<Config>()), "schema", ErrorTag::kInternal);
  EXPECT_EQ(schema["type"], "object");
  EXPECT_EQ(schema["additionalProperties"], false);
  const Json& fields = schema["properties"];
  EXPECT_EQ(fields.size(), 7u);
  EXPECT_EQ(dump_json(fields["seed"]), R"({"type":"integer","description":"of everything random","default":11711})");
  EXPECT_EQ(dump_json(fields["kind"]), R"({"enum":["finetune","heads","multitask"],"description":"what trains","default":"finetune"})");
  EXPECT_EQ(dump_json(fields["batch"]), R"({"type":"integer","description":"rows","minimum":1.0})");
  EXPECT_EQ(
      dump_json(fields["betas"]),
      R"({"type":"array","items":{"type":"number","minimum":0.0,"exclusiveMaximum":1.0},"description":"of AdamW","default":[0.9,0.999]})");
  EXPECT_EQ(fields["mlm"]["properties"]["mask"]["maximum"], 1.0);
  const Json& task = fields["task"]["items"]["properties"];
  EXPECT_EQ(dump_json(task["labels"]["anyOf"]), R"([{"type":"integer"},{"type":"array","items":{"type":"string"}},{"type":"string"}])");
  EXPECT_EQ(task["head"]["properties"]["dropout"]["default"], 0.1);
}

TEST(Options, FromFilesAndFlagsToAResolvedFile) {
  ConfigTree tree;
  tree.load_text(kFull, "base.toml", "/configs");
  tree.load_text("[[task]]\nname = \"sst\"\nlabels = 5\ntrain = \"b.csv\"\n", "over.toml", "/overlays");
  tree.set("task.sst.head.dropout=0.25");
  Config config = read_options<Config>(tree.node());
  EXPECT_EQ(config.task[0].head.dropout, 0.25);
  EXPECT_EQ(config.task[0].train.resolve(), "/overlays/b.csv");
  config.task[0].train.make_absolute();
  const std::string resolved = tree.print_resolved(write_options(config));
  EXPECT_NE(resolved.find("train = \"/overlays/b.csv\""), std::string::npos) << resolved;
  EXPECT_NE(resolved.find("# over.toml:3"), std::string::npos) << resolved;
  EXPECT_NE(resolved.find("# --set"), std::string::npos) << resolved;
  EXPECT_EQ(read(resolved), config);
  tree.set("task.sst.head.dropout=1.5");
  expect_error(ErrorTag::kUsage, {"--set: key \"task.sst.head.dropout\": expected a number from 0 to below 1, got 1.5"},
               [&] { read_options<Config>(tree.node()); });
}

TEST(PathOption, StartsAtItsFolderOrTheRoot) {
  EXPECT_EQ((PathOption{"../a.csv", "/x/y"}.resolve()), "/x/a.csv");
  EXPECT_EQ((PathOption{"a.csv", "/x/y"}.resolve("/root")), "/root/a.csv");
  EXPECT_EQ((PathOption{"/abs/./a.csv", "/x/y"}.resolve("/root")), "/abs/a.csv");
  EXPECT_EQ((PathOption{"a", {}}.resolve()), std::filesystem::current_path() / "a");
}

TEST(Range, SaysAndKeepsItsLimits) {
  EXPECT_EQ(at_least(1).describe(), "at least 1");
  EXPECT_EQ(above(0).describe(), "above 0");
  EXPECT_EQ(between(0, 0.5).describe(), "from 0 to 0.5");
  EXPECT_EQ(Range{}.describe(), "");
  EXPECT_FALSE(above(0).contains(0));
  EXPECT_TRUE(at_least(0).contains(0));
  EXPECT_FALSE(from_to_below(0, 1).contains(1));
  EXPECT_TRUE(between(0, 1).contains(1));
  EXPECT_FALSE(between(0, 1).contains(std::numeric_limits<double>::quiet_NaN()));
}

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("lables", "labels"), 1u);  // a swap
  const std::vector<std::string> names = {"batch", "lr", "epochs"};
  EXPECT_EQ(suggest("bacth", names), "did you mean \"batch\"?");
  EXPECT_EQ(suggest("xy", names), "known: batch, lr, epochs");
  EXPECT_EQ(suggest("x", {}), "");
}

TEST(Nearest, NamesWhateverTheirCase) {
  const std::vector<std::string> names = {"id", "sentence", "Sentiment", ""};
  EXPECT_EQ(nearest("sentense", names), &names[1]);
  EXPECT_EQ(nearest("SENTIMENT ", names), &names[2]);
  EXPECT_EQ(nearest("zzzzz", names), nullptr);
  EXPECT_EQ(nearest("", names), nullptr);
}

TEST(Options, FloatsAreWrittenAsTheyWereRead) { EXPECT_EQ(print_toml_value(OptionType<float>::write(0.1f)), "0.1"); }

}  // namespace
}  // namespace minbert
