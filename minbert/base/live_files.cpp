// The table of files in use, the one mutable global beside the signal flag: a handler has no other way to reach them.
#include "minbert/base/live_files.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
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

std::array<Slot, 512> table;
std::mutex table_mutex;  // of writers; handlers only read
std::atomic<void (*)(const char*, ErrorTag)> report_cut{nullptr};

std::size_t add(const std::filesystem::path& path, std::span<const std::byte> mapped, ErrorTag tag) {
  const std::lock_guard lock(table_mutex);
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].path != nullptr) continue;
    table[i].begin = mapped.data();
    table[i].size = mapped.size();
    table[i].tag = tag;
    table[i].path = ::strdup(path.c_str());
    return i;
  }
  return table.size();
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto* address = static_cast<const std::byte*>(info->si_addr);
  for (const Slot& slot : table) {
    const char* path = slot.path;
    const std::byte* begin = slot.begin;
    if (path == nullptr || slot.size == 0 || address < begin || address >= begin + slot.size) continue;
    remove_temporary_files();
    report_cut.load()(path, slot.tag);
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal);  // held back until the handler returns
}

}  // namespace

void on_cut_file(void (*report)(const char* path, ErrorTag tag)) {
  report_cut = report;
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

void remove_temporary_files() {
  for (const Slot& slot : table)
    if (const char* path = slot.path; path != nullptr && slot.size == 0) ::unlink(path);
}

namespace internal {

LiveFile::LiveFile(const std::filesystem::path& path) : slot_(add(path, {}, ErrorTag::kResources)) {}

LiveFile::LiveFile(const std::filesystem::path& path, std::span<const std::byte> mapped, ErrorTag tag) : slot_(add(path, mapped, tag)) {}

LiveFile::~LiveFile() {
  if (slot_ == table.size()) return;
  const std::lock_guard lock(table_mutex);
  std::free(const_cast<char*>(table[slot_].path.exchange(nullptr)));
}

}  // namespace internal
}  // namespace minbert
