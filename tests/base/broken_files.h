// Broken files: copies of a good file with something wrong in them, and the law that reading one gives an Error or works.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/base/rng.h"

namespace minbert {

/// Values of wrong types and ranges, as texts of JSON.
inline constexpr std::array kWrongValues = {"null",
                                            "true",
                                            "-1",
                                            "0",
                                            "1",
                                            "0.5",
                                            "-0.5",
                                            "1e308",
                                            "-1e308",
                                            "2147483648",
                                            "9223372036854775807",
                                            "18446744073709551615",
                                            "\"\"",
                                            "\"x\"",
                                            "\"../../x\"",
                                            "\"\\u001b[2J\\n\"",
                                            "[]",
                                            "{}",
                                            "[[]]",
                                            "{\"x\":1}",
                                            "[1,2,3]"};

/// Pointers to every value inside a JSON document.
inline void add_pointers(const Json& json, const Json::json_pointer& at, std::vector<Json::json_pointer>& pointers) {
  pointers.push_back(at);
  if (json.is_object())
    for (const auto& [key, value] : json.items()) add_pointers(value, at / key, pointers);
  if (json.is_array())
    for (std::size_t i = 0; i < json.size(); ++i) add_pointers(json[i], at / i, pointers);
}

/// A JSON document with one member of another type, out of range, or gone.
inline std::string spoilt_json(Json json, Rng& rng) {
  std::vector<Json::json_pointer> pointers;
  add_pointers(json, Json::json_pointer(), pointers);
  const auto at = pointers[rng.below(pointers.size())];
  const bool removes = !at.empty() && rng.below(4) == 0;
  if (removes && json[at.parent_pointer()].is_object())
    json[at.parent_pointer()].erase(at.back());
  else
    json[at] = parse_json(kWrongValues[rng.below(kWrongValues.size())], "value", ErrorTag::kInternal);
  return dump_json(json, rng.below(2) == 0 ? -1 : 2);
}

/// Any text that is cut, has other bytes, loses or repeats a line, or is something else altogether.
inline std::string spoilt_bytes(std::string text, Rng& rng) {
  const std::size_t at = rng.below(text.size() + 1);
  switch (rng.below(6)) {
    case 0: return text.substr(0, at);
    case 1:
      for (std::uint64_t changes = 1 + rng.below(4); changes > 0 && !text.empty(); --changes)
        text[rng.below(text.size())] = static_cast<char>(rng.below(256));
      return text;
    case 2: {
      const std::size_t begin = text.rfind('\n', at) + 1, end = std::min(text.find('\n', at), text.size());
      return begin > end ? ""
                         : text.substr(0, begin) + (rng.below(2) == 0 ? "" : text.substr(begin, end - begin) + "\n") + text.substr(begin);
    }
    case 3: return text.insert(at, kWrongValues[rng.below(kWrongValues.size())]);
    case 4: return std::string(100'000, '[');
    default: return std::vector<std::string>{"", "\n", "{}", "[]", "3", "nan", "\xff\xfe", std::string(3, '\0')}[rng.below(8)];
  }
}

/// Either of them; only the second for what is no JSON.
inline std::string spoilt(const std::string& text, Rng& rng) {
  const JsonLine json = parse_json_line(text);
  return json.problem.empty() && rng.below(4) != 0 ? spoilt_json(json.value, rng) : spoilt_bytes(text, rng);
}

/// A file of JSON lines with one spoilt line.
inline std::string spoilt_lines(const std::string& text, Rng& rng) {
  const std::size_t at = rng.below(text.size()), begin = text.rfind('\n', at == 0 ? 0 : at - 1) + 1,
                    end = std::min(text.find('\n', begin), text.size());
  return text.substr(0, begin) + spoilt(text.substr(begin, end - begin), rng) + text.substr(end);
}

/// Writes `count` spoilt copies of the file, calls `use` on each, and puts the file back. `use` may throw Error with any tag but kInternal.
/// A failure shows the copy.
template <class Use>
void expect_errors_at_most(const std::filesystem::path& file, int count, const Use& use,
                           std::string (*spoil)(const std::string&, Rng&) = spoilt) {
  const std::string good = read_file(file);
  Rng rng(7, file.filename().string());
  for (int i = 0; i < count; ++i) {
    const std::string bad = spoil(good, rng);
    write_file(file, bad);
    const auto shown = [&] { return fmt::format("{} number {}:\n{}", file.filename().string(), i, bad.substr(0, 3000)); };
    try {
      use();
    } catch (const Error& error) {
      EXPECT_NE(error.tag(), ErrorTag::kInternal) << error.what() << "\n" << shown();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << "\n" << shown();
    }
  }
  write_file(file, good);
}

}  // namespace minbert
