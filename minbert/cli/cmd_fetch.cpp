// fetch: downloads a model from a Hugging Face hub, or the data sets of a manifest; the only verb that uses the network.
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/text.h"
#include "minbert/hub/data_manifest.h"
#include "minbert/hub/file_transfer.h"

namespace minbert {
namespace {

struct FetchFlags {
  std::string repo, out_dir;
  FetchOptions options;
  std::vector<std::string> sha256, only;
  bool data = false;
};

/// Parses flags of the form FILE=HEX.
std::map<std::string, std::string> parse_checksums(const std::vector<std::string>& flags) {
  std::map<std::string, std::string> sums;
  for (const std::string& flag : flags) {
    const auto equals = flag.rfind('=');
    if (equals == std::string::npos) throw Error(ErrorTag::kUsage, "--sha256", fmt::format("expected FILE=HEX, got \"{}\"", flag));
    const std::string sum = lower_case(flag.substr(equals + 1));
    if (!is_sha256(sum))
      throw Error(ErrorTag::kUsage, "--sha256", fmt::format("expected 64 hexadecimal digits, got \"{}\"", flag.substr(equals + 1)));
    sums[flag.substr(0, equals)] = sum;
  }
  return sums;
}

/// Draws a progress line while a file arrives.
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

std::string file_line(const FetchedFile& file) {
  return fmt::format("{}  {}{}", file.name, format_bytes(static_cast<double>(file.download.bytes)),
                     file.download.downloaded ? "" : "  (already there)");
}

int fetch_repository(const FetchFlags& flags, Session& session) {
  if (flags.repo.empty())
    throw Error(ErrorTag::kUsage, "fetch", "expected a repository",
                "for example sentence-transformers/all-MiniLM-L6-v2; --data fetches data");
  if (!flags.only.empty()) throw Error(ErrorTag::kUsage, "--only", "is for --data", "--file chooses files of a repository");
  FetchOptions options = flags.options;
  options.out_dir = flags.out_dir.empty() ? "models/" + flags.repo.substr(flags.repo.rfind('/') + 1) : flags.out_dir;
  options.sha256 = parse_checksums(flags.sha256);
  options.download.http.token = session.env.hub_token;
  FetchView view(session.console);
  const auto files = fetch_model(flags.repo, options, [&view](const FetchProgress& progress) { view(progress); });
  for (const FetchedFile& file : files) session.console.info(file_line(file));
  print(options.out_dir.string() + "\n");
  return 0;
}

int fetch_data_sets(const FetchFlags& flags, Session& session) {
  for (const auto& [flag, is_given] : {std::pair("--file", !flags.options.files.empty()),
                                       {"--sha256", !flags.sha256.empty()},
                                       {"--revision", flags.options.revision != FetchOptions().revision}})
    if (is_given) throw Error(ErrorTag::kUsage, flag, "is for a repository, got --data", "a manifest names files and their sha256");
  Console& console = session.console;
  const DataManifest manifest =
      flags.repo.empty() ? parse_data_manifest(paper_data_manifest(), "sources.toml") : read_data_manifest(flags.repo);
  const std::filesystem::path out_dir = flags.out_dir.empty() ? "data" : flags.out_dir;
  const auto sets = select_data(manifest, flags.only);
  for (const DataSet& set : sets) console.info(fmt::format("{}: {}\n  licence: {}\n  {}", set.name, set.title, set.licence, set.home));
  FetchView view(console);
  for (const DataSet& set : sets) {
    const auto files = fetch_data(set, out_dir, flags.options.download, [&view](const FetchProgress& progress) { view(progress); });
    for (std::size_t i = 0; i < files.size(); ++i) {
      console.info(file_line(files[i]));
      if (set.files[i].sha256.empty())
        console.info(fmt::format("  not checked, as the list has no sha256 for it; got {}", files[i].download.sha256));
    }
    if (!set.note.empty()) console.info(fmt::format("{}: {}", set.name, set.note));
  }
  print(out_dir.string() + "\n");
  return 0;
}

}  // namespace

Action declare_fetch(CLI::App& app, Session& session) {
  auto flags = std::make_shared<FetchFlags>();
  if (!session.env.hub_endpoint.empty()) flags->options.endpoint = session.env.hub_endpoint;
  app.add_option("REPO", flags->repo, "repository, such as sentence-transformers/all-MiniLM-L6-v2; with --data a manifest (.toml)")
      ->type_name("");
  app.add_flag("--data", flags->data, "fetch the data sets of a manifest [the paper's: recipes/sources.toml]; prints their licences first");
  app.add_option("--only", flags->only, "with --data: this data set (repeatable) [all]")->allow_extra_args(false)->type_name("NAME");
  app.add_option("-o,--output", flags->out_dir, "folder to put the files in [models/NAME; data with --data]")->type_name("DIR");
  app.add_option("--endpoint", flags->options.endpoint, "hub, or a mirror of it")->capture_default_str()->type_name("URL");
  app.add_option("--revision", flags->options.revision, "branch, tag or commit")->capture_default_str()->type_name("REV");
  app.add_option("--file", flags->options.files, "exactly this file (repeatable) [those that a BERT needs]")
      ->allow_extra_args(false)
      ->type_name("NAME");
  app.add_option("--sha256", flags->sha256, "checksum that a file must have (repeatable)")->allow_extra_args(false)->type_name("FILE=HEX");
  add_examples(app,
               "  minbert fetch sentence-transformers/all-MiniLM-L6-v2\n  minbert fetch bert-base-uncased -o models/bert-base\n"
               "  minbert fetch --data --only sst --only sts");
  return [flags, &session] { return flags->data ? fetch_data_sets(*flags, session) : fetch_repository(*flags, session); };
}

}  // namespace minbert
