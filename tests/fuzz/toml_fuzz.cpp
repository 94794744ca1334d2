// Fuzz target: a TOML file is read or refused with Error(kUsage); what is read prints as text that reads and prints the same.
#include "minbert/base/config_tree.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2000) return 0;  // toml++ recurses once for each part of a dotted key
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    minbert::ConfigTree tree;
    tree.load_text(text, "fuzz", "/");
    const std::string printed = minbert::print_toml(tree.root(), false);
    MINBERT_CHECK(minbert::print_toml(minbert::parse_toml(printed, "printed", "/"), false) == printed, "{}", printed);
    minbert::toml_to_json(tree.root());
    tree.load_text(text, "again", "/");
  } catch (const minbert::Error& error) {
    if (error.tag() != minbert::ErrorTag::kUsage || std::string_view(error.what()).find("printed") != std::string_view::npos) throw;
  }
  try {
    minbert::ConfigTree tree;
    tree.load_text("[[task]]\nname = \"sst\"\nlr = 1\n", "fuzz", "/");
    tree.set(text);
  } catch (const minbert::Error& error) {
    if (error.tag() != minbert::ErrorTag::kUsage) throw;
  }
  return 0;
}

std::vector<std::string> minbert::fuzz_seeds() {
  return {
      "a = 1\nb.c = [1.5, \"x\", true, { d = 'e' }]\n[t]\n\"odd key\" = \"\"\"\nlines\n\"\"\"\n[[task]]\nname = \"sst\"\n[task.data]\nx = "
      "-inf\n[[task]]\nname = \"para\"\n",
      "date = 2024-01-01T00:00:00Z\n",
      "e = 1e-5\nu = \"\\u00e9\\t\"\nn = nan\nempty = {}\nlist = []\n",
      "task.sst.lr=3e-5",
      "task.0.\"x.y\".0.z = [1]",
      "stage.0.lr = joint"};
}
