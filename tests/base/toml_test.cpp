// TOML: order and places of values, complaints, and text that reads back as the same values.
#include "minbert/base/toml.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/base/error_matchers.h"

namespace minbert {
namespace {

TomlValue parse_text(std::string_view text) { return parse_toml(text, "f.toml", "/configs"); }
TomlNode at(const TomlValue& root, std::string_view key) { return TomlNode(root).find(key).value(); }

TEST(Toml, KeepsOrderPlacesAndFolders) {
  const TomlValue root = parse_text(
      "z = 1\n"
      "a = \"x\"\n"
      "\n"
      "[model]\n"
      "lr = 1e-5\n"
      "[[task]]\n"
      "name = \"sst\"\n"
      "list = [\n"
      "  true,\n"
      "  2.5,\n"
      "]\n");
  const auto& table = *root.get_if<TomlTable>();
  std::vector<std::string> keys;
  for (const auto& [key, value] : table) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"z", "a", "model", "task"}));
  EXPECT_EQ(at(root, "z").value().origin.place, "f.toml:1");
  EXPECT_EQ(at(root, "z").value().origin.folder, "/configs");
  EXPECT_EQ(at(root, "model").value().origin.place, "f.toml:4");
  EXPECT_EQ(at(root, "model").find("lr")->value().origin.place, "f.toml:5");
  EXPECT_EQ(at(root, "model").find("lr")->key(), "model.lr");
  const auto task = at(root, "task").items().at(0);
  EXPECT_EQ(task.key(), "task.sst");
  EXPECT_EQ(task.value().origin.place, "f.toml:6");
  const auto list = task.find("list")->items();
  EXPECT_TRUE(list.at(0).as_bool());
  EXPECT_EQ(list.at(1).value().origin.place, "f.toml:10");
  EXPECT_EQ(list.at(1).key(), "task.sst.list.1");
}

TEST(Toml, TellsSectionsFromInlineTables) {
  const TomlValue root = parse_text("a = { b = 1 }\nc = [{ d = 1 }]\ne = [1]\nn = []\n[f]\ng = 1\n[[h]]\ni = 1\n");
  for (const char* key : {"a", "c", "e", "n"}) EXPECT_FALSE(at(root, key).value().section) << key;
  for (const char* key : {"f", "h"}) EXPECT_TRUE(at(root, key).value().section) << key;
}

TEST(Toml, SyntaxErrorsNameFileAndLine) {
  expect_error(ErrorTag::kUsage, {"f.toml:2: not valid TOML"}, [] { parse_text("a = 1\nb = \n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:3: not valid TOML", "redefine"}, [] { parse_text("a = 1\n\na = 2\n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:1"}, [] { parse_text("a = \"\xFF\"\n"); });
  expect_error(ErrorTag::kUsage, {"f.toml:1: expected no dates", "put it in quotes"}, [] { parse_text("a = 2024-01-01\n"); });
  expect_error(ErrorTag::kUsage, {"not valid TOML"}, [] { parse_text("a = " + std::string(300, '[')); });
}

TEST(Toml, RefusesDeepNesting) {
  const auto dotted = [](int parts) {
    std::string key = "a";
    for (int i = 1; i < parts; ++i) key += i % 2 == 0 ? ".a" : " . \"b.\\\"\"";
    return key;
  };
  for (const auto& [open, close] : {std::pair{"[", "]"}, {"[[", "]]"}, {"", " = 1"}, {"x = { ", " = 1 }"}, {"x = [{ ", " = 1 }]"}}) {
    SCOPED_TRACE(open);
    EXPECT_NO_THROW(parse_text(fmt::format("y = 1\n{}{}{}\n", open, dotted(500), close)));
    expect_error(ErrorTag::kUsage, {"f.toml:2: nested deeper than 512 levels"},
                 [&] { parse_text(fmt::format("y = 1\n{}{}{}\n", open, dotted(100000), close)); });
  }
  std::string tables;
  for (int i = 0; i < 200; ++i) tables += dotted(500) + " = { ";
  expect_error(ErrorTag::kUsage, {"f.toml:1: nested deeper than 512 levels"},
               [&] { parse_text(tables + "a = 1" + std::string(200, '}')); });
  // Dots elsewhere nest nothing.
  const std::string dots(100000, '.'), three_double(3, '"'), three_single(3, '\'');
  EXPECT_NO_THROW(
      parse_text(fmt::format("# {0}\na = \"{0}\"\nb = '{0}'\nc = {1}\n\"{0}\n{1}\nd = {2}\n{0}{2}\n", dots, three_double, three_single)));
  std::string list = "a = [";
  for (int i = 0; i < 100000; ++i) list += "0.5,";
  EXPECT_NO_THROW(parse_text(list + "]\n"));
  // A string of several lines may end with a quote of its own: what follows its four quotes is no string.
  expect_error(ErrorTag::kUsage, {"f.toml:1: nested deeper than 512 levels"},
               [&] { parse_text(fmt::format("x = [{0}a\"{0}, {{ {1} = 1 }}]\n", three_double, dotted(100000))); });
  EXPECT_NO_THROW(parse_text(fmt::format("x = [{0}a\"\"{0}, 'b']\n", three_double)));
  expect_error(ErrorTag::kUsage, {"--set", "512"}, [&] { parse_toml_value("{ " + dotted(100000) + " = 1 }", "--set"); });
  std::string key = "a";
  for (int i = 0; i < 100000; ++i) key += ".a";
  expect_error(ErrorTag::kUsage, {"--set", "nested deeper than 512 levels"}, [&] { split_key(key, "--set"); });
}

TEST(TomlNode, ComplaintsNameFileLineKeyExpectedAndGot) {
  const TomlValue root = parse_text("[t]\na = \"eight\"\nb = 1.5\nc = [1]\nd = {x = 1}\ne = true\n");
  const TomlNode table = at(root, "t");
  expect_error(ErrorTag::kUsage, {"f.toml:2: key \"t.a\": expected a whole number, got \"eight\""}, [&] { table.find("a")->as_int(); });
  expect_error(ErrorTag::kUsage, {"f.toml:3: key \"t.b\": expected a whole number, got 1.5"}, [&] { table.find("b")->as_int(); });
  expect_error(ErrorTag::kUsage, {"f.toml:3: key \"t.b\": expected text, got 1.5", "hint: put it in quotes"},
               [&] { table.find("b")->as_string(); });
  expect_error(ErrorTag::kUsage, {"f.toml:4: key \"t.c\": expected a number, got a list"}, [&] { table.find("c")->as_double(); });
  expect_error(ErrorTag::kUsage, {"f.toml:5: key \"t.d\": expected a list, got a table"}, [&] { table.find("d")->items(); });
  expect_error(ErrorTag::kUsage, {"f.toml:6: key \"t.e\": expected a table, got true"}, [&] { table.find("e")->as_table(); });
  expect_error(ErrorTag::kUsage, {"expected true or false, got \"eight\""}, [&] { table.find("a")->as_bool(); });
  EXPECT_EQ(table.find("none"), std::nullopt);
  expect_error(ErrorTag::kUsage, {std::string(80, 'x').substr(0, 70) + "", "..."}, [] {
    const TomlValue value(std::string(1000, 'x'));
    TomlNode(value, "k").as_int();
  });
}

TEST(TomlPrint, ReadsBackAsTheSameText) {
  const std::string text =
      "flag = true\n"
      "count = -7\n"
      "big = 9223372036854775807\n"
      "rate = 1e-05\n"
      "whole = 10.0\n"
      "third = 0.3333333333333333\n"
      "limits = [inf, -inf]\n"
      "text = \"tab\\t quote\\\" back\\\\ line\\n\\u0001 é\"\n"
      "head = { dense = [\"H\", 4], empty = {} }\n"
      "none = []\n"
      "\"odd key\" = 1\n"
      "\n"
      "[model]\n"
      "a-b_9 = \"x\"\n"
      "\n"
      "[model.config]\n"
      "layers = 2\n"
      "\n"
      "[[task]]\n"
      "name = \"sst\"\n"
      "\n"
      "[task.data]\n"
      "train = \"a.csv\"\n"
      "\n"
      "[[task]]\n"
      "name = \"sts\"\n";
  EXPECT_EQ(print_toml(parse_text(text), false), text);
}

TEST(TomlPrint, DoublesAreExact) {
  for (const double value : {0.1, 1e300, 5e-324, 2.0, -0.0, 1e-5, 3e-5, 123456789.125, 1e22}) {
    const TomlValue read = parse_text("x = " + print_toml_value(value));
    ASSERT_TRUE(at(read, "x").is<double>()) << print_toml_value(value);
    EXPECT_EQ(at(read, "x").as_double(), value);
  }
  EXPECT_TRUE(std::isnan(at(parse_text("x = " + print_toml_value(std::nan(""))), "x").as_double()));
}

TEST(TomlPrint, CommentsSayWhereValuesComeFrom) {
  const TomlValue root = parse_text("a = 1\n[t]\nb = [1,\n 2]\n");
  EXPECT_EQ(print_toml(root, true),
            "a = 1" + std::string(39, ' ') + "  # f.toml:1\n\n[t]\nb = [1, 2]" + std::string(34, ' ') + "  # f.toml:3\n");
}

TEST(TomlValueText, IsTomlOrABareWord) {
  const auto text_of = [](std::string_view text) { return print_toml_value(parse_toml_value(text, "--set")); };
  EXPECT_EQ(text_of("16"), "16");
  EXPECT_EQ(text_of("3e-5"), "3e-05");
  EXPECT_EQ(text_of("true"), "true");
  EXPECT_EQ(text_of("\"16\""), "\"16\"");
  EXPECT_EQ(text_of("[\"H\", 4]"), "[\"H\", 4]");
  EXPECT_EQ(text_of("{ a = 1 }"), "{ a = 1 }");
  for (const char* word : {"joint", "mtft-d", "../models/a b", "007", "2024-01-01", "12:30:00", "", "1\nb = 2", "a = b", "True", "1.2.3"})
    EXPECT_EQ(parse_toml_value(word, "--set").get_if<std::string>() == nullptr ? "not text"
                                                                               : *parse_toml_value(word, "--set").get_if<std::string>(),
              word);
  for (const char* broken : {"[1, 2", "\"a", "{a}", "'x", "[joint]"})
    expect_error(ErrorTag::kUsage, {"--set: not a TOML value"}, [&] { parse_toml_value(broken, "--set"); });
  expect_error(ErrorTag::kUsage, {"--set: expected UTF-8"}, [] { parse_toml_value("caf\xe9.csv", "--set"); });
}

TEST(TomlKeys, SplitAndJoinAreInverse) {
  EXPECT_EQ(split_key("task.sst.batch", ""), (std::vector<std::string>{"task", "sst", "batch"}));
  EXPECT_EQ(split_key("task.\"my.task\".batch", ""), (std::vector<std::string>{"task", "my.task", "batch"}));
  EXPECT_EQ(split_key("a", ""), std::vector<std::string>{"a"});
  EXPECT_EQ(join_key("task", "my.task"), "task.\"my.task\"");
  for (const std::string part : {"said \"no\"", "back\\slash", "two\nlines", "a.\"b\".c", "\u00e9", "\x01"})
    EXPECT_EQ(split_key(join_key("t", part) + ".x", ""), (std::vector<std::string>{"t", part, "x"}));
  EXPECT_EQ(join_key("", "a"), "a");
  for (const char* broken : {"", ".", "a.", ".a", "a..b", "\"a", "\"\"", "\"a\"b", "a.\""})
    expect_error(ErrorTag::kUsage, {"--set: expected a key"}, [&] { split_key(broken, "--set"); });
}

TEST(TomlJson, HasTheSameShape) {
  EXPECT_EQ(toml_to_json(parse_text("b = [1, 2.5]\na = { x = \"y\", f = false }\n")),
            "{\n  \"b\": [\n    1,\n    2.5\n  ],\n  \"a\": {\n    \"x\": \"y\",\n    \"f\": false\n  }\n}");
}

}  // namespace
}  // namespace minbert
