// The table of files in use, the one mutable global beside the signal flag: a handler has no other way to reach them.
#include "minbert/base/live_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace minbert {
namespace {

struct Slot {
  std::atomic<const char*> path{nullptr};  // null: free; written last, cleared first
  std::atomic<const std::byte*> begin{nullptr};
  std::atomic<std::size_t> size{0};  // 0: a temporary file
  std::atomic<ErrorTag> tag{ErrorTag::kData};
};

std::array<Slot, 512> live_slots;
std::mutex table_mutex;  // of writers; handlers only read
std::atomic<void (*)(const char*, ErrorTag)> report_cut{nullptr};

/// Unlinks a file, or a folder with what is in it, `depth` folders deep. Follows no links.
void remove_entry(int parent, const char* name, int depth) {
  if (::unlinkat(parent, name, 0) == 0 || depth == 0) return;
  const int folder = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return;
  // The system call itself: readdir() may allocate, which a signal handler must not. Each entry is its inode and offset (8 bytes each), its
  // length (2), its type (1) and its name.
  constexpr std::size_t kLength = 16, kName = 19;
  alignas(8) std::array<char, 4096> entries;
  for (long bytes; (bytes = ::syscall(SYS_getdents64, folder, entries.data(), entries.size())) > 0;) {
    std::uint16_t length = 0;
    for (long at = 0; at < bytes; at += length) {
      const char* entry = entries.data() + at;
      std::memcpy(&length, entry + kLength, sizeof length);
      if (std::strcmp(entry + kName, ".") != 0 && std::strcmp(entry + kName, "..") != 0) remove_entry(folder, entry + kName, depth - 1);
    }
  }
  ::close(folder);
  ::unlinkat(parent, name, AT_REMOVEDIR);
}

/// Ends the process as the signal does by default, without temporary files.
void on_last_signal(int signal) {
  const int number = errno;
  remove_temporary_files();
  ::signal(signal, SIG_DFL);
  ::raise(signal);  // held back until the handler returns
  errno = number;
}

std::size_t add(const std::filesystem::path& path, std::span<const std::byte> mapped, ErrorTag tag) {
  const std::lock_guard lock(table_mutex);
  for (std::size_t i = 0; i < live_slots.size(); ++i) {
    if (live_slots[i].path != nullptr) continue;
    live_slots[i].begin = mapped.data();
    live_slots[i].size = mapped.size();
    live_slots[i].tag = tag;
    live_slots[i].path = ::strdup(path.c_str());
    return i;
  }
  return live_slots.size();
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto* address = static_cast<const std::byte*>(info->si_addr);
  for (const Slot& slot : live_slots) {
    const char* path = slot.path;
    const std::byte* begin = slot.begin;
    if (path == nullptr || slot.size == 0 || address < begin || address >= begin + slot.size) continue;
    remove_temporary_files();
    report_cut.load()(path, slot.tag);
  }
  on_last_signal(signal);
}

}  // namespace

bool reports_cut_files() { return report_cut.load() != nullptr; }

void on_cut_file(void (*report)(const char* path, ErrorTag tag)) {
  report_cut = report;
  if (report == nullptr) {
    ::signal(SIGBUS, SIG_DFL);
    return;
  }
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

void remove_temporary_files_on_signals() {
  constexpr std::array kOthers = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, SIGKILL};  // end no process
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    struct sigaction action {};
    if (std::ranges::find(kOthers, signal) != kOthers.end() || ::sigaction(signal, nullptr, &action) != 0) continue;
    if (action.sa_handler != SIG_DFL) continue;
    action.sa_handler = on_last_signal;
    ::sigaction(signal, &action, nullptr);
  }
}

void remove_temporary_files() {
  constexpr int kDepth = 8;  // folders in a temporary folder
  for (const Slot& slot : live_slots)
    if (const char* path = slot.path; path != nullptr && slot.size == 0) remove_entry(AT_FDCWD, path, kDepth);
}

namespace internal {

LiveFile::LiveFile(const std::filesystem::path& path) : slot_(add(path, {}, ErrorTag::kResources)) {}

LiveFile::LiveFile(const std::filesystem::path& path, std::span<const std::byte> mapped, ErrorTag tag) : slot_(add(path, mapped, tag)) {}

LiveFile::~LiveFile() {
  if (slot_ == live_slots.size()) return;
  const std::lock_guard lock(table_mutex);
  std::free(const_cast<char*>(live_slots[slot_].path.exchange(nullptr)));
}

}  // namespace internal
}  // namespace minbert
