// System: what the program is made of and runs on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace minbert {

/// The program's version, such as "0.1.0".
std::string_view program_version();
/// The compiler that built it.
std::string_view compiler_version();
/// Name and version of each library that base links.
std::vector<std::pair<std::string, std::string>> library_versions();

/// The processor's name, or "unknown".
std::string cpu_model();
/// Kernel name, release and machine: "Linux 6.1.0 x86_64".
std::string system_name();

/// The peak of this process's resident memory.
std::int64_t peak_memory_bytes();
/// The resident memory as of now; 0 where /proc does not tell.
std::int64_t resident_memory_bytes();
/// Makes the allocator return large blocks of memory to the system as soon as they are freed, so that the memory of a process that runs for
/// long does not grow with the largest request. Only glibc can be told so; elsewhere this does nothing. Call it before other threads start.
void return_large_memory();

}  // namespace minbert
