// fetch: a model from a Hugging Face hub; the only verb that uses the network.
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/hub/fetch.h"

namespace minbert {
namespace {

struct FetchFlags {
  std::string repo, out_dir;
  FetchOptions options;
  std::vector<std::string> sha256;
};

/// `FILE=HEX`, several.
std::map<std::string, std::string> parse_checksums(const std::vector<std::string>& flags) {
  std::map<std::string, std::string> sums;
  for (const std::string& flag : flags) {
    const auto equals = flag.rfind('=');
    if (equals == std::string::npos) throw Error(ErrorTag::kUsage, "--sha256", fmt::format("expected FILE=HEX, got \"{}\"", flag));
    sums[flag.substr(0, equals)] = flag.substr(equals + 1);
  }
  return sums;
}

/// Draws a line while a file arrives, and leaves one when it has.
class FetchView {
 public:
  explicit FetchView(Console& console) : console_(console) {}

  void operator()(const FetchProgress& progress) {
    if (progress.file != file_) {
      file_ = progress.file;
      watch_.reset();
      first_bytes_ = progress.done_bytes;
      drawn_s_ = -1;
    }
    const double seconds = watch_.seconds();
    if (seconds - drawn_s_ < 0.1) return;
    drawn_s_ = seconds;
    const auto done = static_cast<double>(progress.done_bytes), total = static_cast<double>(progress.total_bytes);
    const double rate = seconds > 0.5 ? static_cast<double>(progress.done_bytes - first_bytes_) / seconds : 0;
    std::string text = fmt::format("{}  {}", file_, format_bytes(done));
    if (total > 0) text += fmt::format(" of {} ({:.0f}%)", format_bytes(total), 100 * done / total);
    if (rate > 0) text += fmt::format("  {}/s", format_bytes(rate));
    if (rate > 0 && total > done) text += fmt::format("  {} left", format_duration((total - done) / rate));
    console_.progress(text);
  }

 private:
  Console& console_;
  std::string file_;
  Stopwatch watch_;
  std::int64_t first_bytes_ = 0;
  double drawn_s_ = -1;
};

int run_fetch(const FetchFlags& flags, Session& session) {
  FetchOptions options = flags.options;
  options.out_dir = flags.out_dir.empty() ? "models/" + flags.repo.substr(flags.repo.rfind('/') + 1) : flags.out_dir;
  options.sha256 = parse_checksums(flags.sha256);
  FetchView view(session.console);
  const auto files = fetch_model(flags.repo, options, [&view](const FetchProgress& progress) { view(progress); });
  for (const FetchedFile& file : files)
    session.console.info(fmt::format("{}  {}{}", file.name, format_bytes(static_cast<double>(file.download.bytes)),
                                     file.download.downloaded ? "" : "  (already there)"));
  print(options.out_dir.string() + "\n");
  return 0;
}

}  // namespace

Action declare_fetch(CLI::App& app, Session& session) {
  auto flags = std::make_shared<FetchFlags>();
  app.add_option("REPO", flags->repo, "repository, such as sentence-transformers/all-MiniLM-L6-v2")->required()->type_name("");
  app.add_option("-o,--output", flags->out_dir, "folder to put the files in [models/NAME]")->type_name("DIR");
  app.add_option("--endpoint", flags->options.endpoint, "hub, or a mirror of it")->capture_default_str()->type_name("URL");
  app.add_option("--revision", flags->options.revision, "branch, tag or commit")->capture_default_str()->type_name("REV");
  app.add_option("--file", flags->options.files, "exactly this file (repeatable) [those that a BERT needs]")
      ->allow_extra_args(false)
      ->type_name("NAME");
  app.add_option("--sha256", flags->sha256, "checksum that a file must have (repeatable)")->allow_extra_args(false)->type_name("FILE=HEX");
  add_examples(app, "  minbert fetch sentence-transformers/all-MiniLM-L6-v2\n  minbert fetch bert-base-uncased -o models/bert-base");
  return [flags, &session] { return run_fetch(*flags, session); };
}

}  // namespace minbert
