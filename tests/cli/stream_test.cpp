// Lines that come one at a time: each is answered before the next is written, through real pipes.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

/// The program between two pipes.
class Conversation {
 public:
  Conversation(std::vector<std::string> words, const std::filesystem::path& folder) : errors_(folder / "conversation.err") {
    words.insert(words.begin(), MINBERT_PROGRAM);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      const int errors = ::open(errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (::dup2(in[0], 0) < 0 || ::dup2(out[1], 1) < 0 || ::dup2(errors, 2) < 0 || ::chdir(folder.c_str()) != 0) ::_exit(126);
      ::setenv("MINBERT_THREADS", "1", 1);
      ::execv(MINBERT_PROGRAM, argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }
  ~Conversation() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    if (to_ >= 0) ::close(to_);
    ::close(from_);
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void say(std::string_view text) { ASSERT_EQ(::write(to_, text.data(), text.size()), std::ssize(text)); }
  /// The next line of the program's output; empty if none comes within a minute.
  std::string hear() {
    for (std::size_t end; (end = heard_.find('\n')) == std::string::npos;) {
      pollfd ready{.fd = from_, .events = POLLIN, .revents = 0};
      char buffer[4096];
      const ssize_t size = ::poll(&ready, 1, 60'000) > 0 ? ::read(from_, buffer, sizeof buffer) : 0;
      if (size <= 0) return {};
      heard_.append(buffer, static_cast<std::size_t>(size));
    }
    const std::string line = heard_.substr(0, heard_.find('\n'));
    heard_.erase(0, line.size() + 1);
    return line;
  }
  std::string ask(std::string_view text) {
    say(text);
    return hear();
  }
  /// Closes its input and waits for it; returns its exit code, or minus the signal that ended it.
  int end(int signal = 0) {
    if (signal != 0) ::kill(pid_, signal);
    ::close(std::exchange(to_, -1));
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string errors() const { return read_file(errors_); }

 private:
  std::filesystem::path errors_;
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;
  std::string heard_;
};

class StreamTest : public ProjectTest {
 protected:
  StreamTest() { train(); }
  static Json parsed(const std::string& line) { return parse_json(line, "line", ErrorTag::kInternal); }
};

TEST_F(StreamTest, EachLineIsAnsweredBeforeTheNextIsWritten) {
  const auto whole = lines_of(minbert({"predict", "run", "--task", "sentiment"}, "a fine film\n\nso, so\r\nthe end").out);
  ASSERT_EQ(whole.size(), 4u);
  Conversation talk({"predict", "run", "--task", "sentiment"}, path("."));
  EXPECT_EQ(talk.ask("a fine film\n"), whole[0]);
  EXPECT_EQ(talk.ask("\n"), whole[1]);
  talk.say("so,");
  EXPECT_EQ(talk.ask(" so\r\n"), whole[2]);
  talk.say("the end");
  EXPECT_EQ(talk.end(), 0) << talk.errors();
  EXPECT_EQ(talk.hear(), whole[3]);

  const auto table = lines_of(minbert({"predict", "run", "--task", "sentiment", "--format", "csv"}, "a fine film\nso, so\n").out);
  Conversation csv({"predict", "run", "--task", "sentiment", "--format", "csv"}, path("."));
  csv.say("a fine film\n");
  EXPECT_EQ(csv.hear(), table[0]);
  EXPECT_EQ(csv.hear(), table[1]);
  EXPECT_EQ(csv.ask("so, so\n"), table[2]);

  Conversation pairs({"predict", "run", "--task", "paraphrase,similarity", "--no-probs"}, path("."));
  EXPECT_EQ(parsed(pairs.ask("is it far\thow far\n"))["id"], "0");
  EXPECT_EQ(parsed(pairs.ask("a\tb\n"))["id"], "1");
  EXPECT_EQ(pairs.end(SIGINT), -SIGINT) << "nothing holds it while it waits";
}

TEST_F(StreamTest, JsonLinesComeOneByOne) {
  Conversation talk({"predict", "run", "--task", "sentiment", "--text", "words", "--keep-columns", "--on-bad-row", "skip"}, path("."));
  const Json first = parsed(talk.ask("{\"words\": \"a fine film\", \"n\": 7, \"code\": \"07\", \"tags\": [1, true]}\n"));
  EXPECT_EQ(first["n"], 7);
  EXPECT_EQ(first["code"], "07");
  EXPECT_EQ(first["tags"], Json({1, true}));
  const Json second = parsed(talk.ask("{\"n\": 8}\n\n{\"new\": \"x\", \"words\": \"so so\"}\n"));  // the first of these is left out
  EXPECT_EQ(second["words"], "so so");
  EXPECT_EQ(second["new"], "x");
  EXPECT_FALSE(second.contains("n"));
  EXPECT_EQ(talk.end(), 0);
  EXPECT_NE(talk.errors().find("1 of 3 rows"), std::string::npos) << talk.errors();

  Conversation strict({"predict", "run", "--task", "sentiment"}, path("."));
  EXPECT_EQ(parsed(strict.ask("{\"sentence\": \"a fine film\"}\n"))["id"], "0");
  EXPECT_EQ(parsed(strict.ask("\n{\"sentence\": \"so so\"}\n"))["id"], "1");
  strict.say("so so\n");
  EXPECT_EQ(strict.end(), 3);
  EXPECT_NE(strict.errors().find("standard input:4: expected a JSON object"), std::string::npos) << strict.errors();
}

TEST_F(StreamTest, VectorsComeOneByOne) {
  const auto whole = lines_of(minbert({"embed", "run", "-o", "-"}, "a fine film\nso so\n").out);
  Conversation talk({"embed", "run", "-o", "-"}, path("."));
  EXPECT_EQ(talk.ask("a fine film\n"), whole.at(0));
  EXPECT_EQ(talk.ask("so so\n"), whole.at(1));
  EXPECT_EQ(talk.end(), 0) << talk.errors();
}

TEST_F(StreamTest, ATableIsReadWhole) {
  const std::string table = "n,sentence\n7,\"a fine\nfilm\"\n8,so so\n";
  const auto whole = lines_of(minbert({"predict", "run", "--task", "sentiment"}, table).out);
  ASSERT_EQ(whole.size(), 2u);
  Conversation talk({"predict", "run", "--task", "sentiment"}, path("."));
  for (const char* part : {"n,sentence\n", "7,\"a fine\n", "film\"\n8,so", " so\n"}) talk.say(part);
  EXPECT_EQ(talk.end(), 0) << talk.errors();
  EXPECT_EQ(talk.hear(), whole[0]);
  EXPECT_EQ(talk.hear(), whole[1]);
  EXPECT_NE(talk.errors().find("read as a table with the columns n, sentence"), std::string::npos) << talk.errors();
}

}  // namespace
}  // namespace minbert
