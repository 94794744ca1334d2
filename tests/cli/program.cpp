// Starts the program with fork and exec; its three streams are files, so that no pipe can fill up.
#include "tests/cli/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <regex>
#include <thread>

#include "minbert/base/files.h"

extern char** environ;

namespace minbert {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

void redirect(int to, const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags, 0600);
  if (descriptor < 0 || ::dup2(descriptor, to) < 0) ::_exit(126);
}

}  // namespace

Program::Program(const std::vector<std::string>& arguments, const RunOptions& options) {
  write_file(files_ / "in", options.input);
  std::vector<std::string> words = {MINBERT_PROGRAM}, variables;
  words.insert(words.end(), arguments.begin(), arguments.end());
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  variables.insert(variables.begin(), options.environment.begin(), options.environment.end());
  std::vector<char*> argv = pointers(words), envp = pointers(variables);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ > 0) return;
  redirect(STDIN_FILENO, files_ / "in", O_RDONLY);
  redirect(STDOUT_FILENO, options.output.empty() ? files_ / "out" : std::filesystem::path(options.output), O_WRONLY | O_CREAT);
  redirect(STDERR_FILENO, options.errors.empty() ? files_ / "err" : std::filesystem::path(options.errors), O_WRONLY | O_CREAT);
  // A shell's child has the defaults, under a FileSizeLimit and in the background too.
  for (const int signal : {SIGXFSZ, SIGHUP, SIGINT, SIGQUIT}) ::signal(signal, SIG_DFL);
  if (::chdir(options.folder.c_str()) != 0) ::_exit(126);
  ::execve(MINBERT_PROGRAM, argv.data(), envp.data());
  ::_exit(127);
}

Program::~Program() {
  if (reaped_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
}

void Program::send(int signal) { ::kill(pid_, signal); }

std::string Program::errors() const { return std::filesystem::exists(files_ / "err") ? read_file(files_ / "err") : ""; }

bool Program::ended() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

bool Program::has_pending_signals() const {
  constexpr std::string_view kNone = "0000000000000000";
  for (const std::string& line : lines_of(read_file(fmt::format("/proc/{}/status", pid_))))
    if ((line.starts_with("SigPnd:") || line.starts_with("ShdPnd:")) && !line.ends_with(kNone)) return true;
  return false;
}

bool Program::wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    if (ended()) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

Finished Program::wait() {
  if (!reaped_) ::waitpid(pid_, &status_, 0);
  reaped_ = true;
  Finished finished;
  finished.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  if (std::filesystem::exists(files_ / "out")) finished.out = read_file(files_ / "out");
  finished.err = errors();
  return finished;
}

Finished run(const std::vector<std::string>& arguments, const RunOptions& options) { return Program(arguments, options).wait(); }

void expect_failure(const Finished& finished, int code, std::string_view part) {
  constexpr std::array kTags = {"", "internal", "usage", "data", "model", "resources", "diverged", "gate"};
  EXPECT_EQ(finished.code, code) << finished.err;
  const auto tag = fmt::format("minbert: error \\[{}\\] .*[^.]", kTags.at(static_cast<std::size_t>(code)));
  int errors = 0;
  for (const std::string& line : lines_of(finished.err)) {
    if (!line.starts_with("minbert: error")) continue;
    ++errors;
    EXPECT_TRUE(std::regex_match(line, std::regex(tag))) << line;
    EXPECT_NE(line.find(part), std::string::npos) << "no \"" << part << "\" in: " << line;
  }
  EXPECT_EQ(errors, 1) << finished.err;
}

void expect_success(const Finished& finished) { EXPECT_EQ(finished.code, 0) << finished.err; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
  }
  return lines;
}

}  // namespace minbert
