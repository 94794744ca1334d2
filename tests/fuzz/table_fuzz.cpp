// Fuzz target: bytes become a table whose cells lie inside it, or are refused with Error(kData).
#include "minbert/base/unicode.h"
#include "minbert/data/table.h"
#include "tests/fuzz/fuzz.h"

namespace {

void read(std::string_view bytes, const char* name, const minbert::TableOptions& options) {
  try {
    const minbert::Table table = minbert::parse_table(bytes, name, options);
    std::int64_t line = 0;
    std::size_t total = 0;
    for (std::size_t i = 0; i < table.rows(); ++i) {
      MINBERT_CHECK(table.line(i) > line, "line {} after line {}", table.line(i), line);
      line = table.line(i);
      if (!table.problem(i).empty()) continue;
      for (const std::string_view cell : table.row(i)) {
        total += cell.size();
        MINBERT_CHECK(minbert::find_invalid_utf8(cell) == std::string_view::npos, "a cell is not UTF-8");
      }
    }
    const bool json = table.dialect().format == minbert::TableFormat::kJsonl;  // escapes such as \u00e9 change sizes there
    MINBERT_CHECK(json || total <= 2 * bytes.size(), "{} bytes in cells from a file of {}", total, bytes.size());
  } catch (const minbert::Error& error) {
    if (error.tag() != minbert::ErrorTag::kData) throw;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool even = size % 2 == 0;
  read(bytes, even ? "fuzz.csv" : "fuzz.txt", {.encoding = size % 3 == 0 ? "latin-1" : "utf-8", .pair_lines = even});
  read(bytes, "fuzz.csv", {.format = even ? "csv" : "jsonl", .quote = "\"", .encoding = "latin-1", .wanted = {"text"}});
  return 0;
}

std::vector<std::string> minbert::fuzz_seeds() {
  return {
      "id,text,label\r\n1,\"a, \"\"b\"\"\",0\r\n2,\"two\r\nlines\",1\r\n",
      "\tid\tsentence\tsentiment\n0\tab\t\"So-called \"\"art\"\"\"\t3\n1\tcd\t\"open\t2\n2\tef\tplain \" text\t1\n",
      "0\t\tid\tsentence\n1\t0.0\tab\tFine .\n",
      "\xEF\xBB\xBFtext;label\ra b;1\rc \"d;0\r",
      "{\"text\": \"caf\\u00e9 \\ud83d\\ude00\", \"label\": 1}\n{\"label\": 2.5, \"text\": null, \"x\": {\"y\": [1]}}\n",
      "one line\nanother\twith a tab\n\ncaf\xC3\xA9\n",
      "\"\"\"x\n\"\"\"\n\"\"\n\"",
  };
}
