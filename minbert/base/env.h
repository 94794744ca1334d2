// Env: every environment variable that the program reads, in one table.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace minbert {

/// The most threads that may be asked for.
constexpr int kMostThreads = 4096;

/// A row of the README's table.
struct EnvVariable {
  std::string_view name, default_value, help;
};

/// Values that a launcher of several processes (mpirun, srun) sets.
struct LaunchEnv {
  int ranks = 0;         ///< processes that it started; 0: there is no launcher
  std::string variable;  ///< which variable has `ranks`: OMPI_COMM_WORLD_SIZE, PMI_SIZE or SLURM_STEP_NUM_TASKS
  int slurm_tasks = 0;   ///< SLURM_NTASKS: how many Slurm has room for
};

/// The environment's settings, checked. Values whose names belong to another room (backend) are checked there.
struct Env {
  std::string backend = "cpu";  ///< MINBERT_BACKEND
  int threads = 0;              ///< MINBERT_THREADS; 0: as CpuLimits says
  std::string isa;              ///< MINBERT_ISA, as BackendOptions has it; empty means no cap
  int debug = 0;                ///< MINBERT_DEBUG: 0 to 4, each level including those below
  bool color = true;            ///< false when NO_COLOR is set to anything but an empty string
  std::string hub_endpoint;     ///< HF_ENDPOINT; empty: the Hugging Face hub
  std::string hub_token;        ///< HF_TOKEN; empty: none
  std::string api_key;          ///< MINBERT_API_KEY; empty: none
  // As the launchers set them, unchecked: only --shard auto reads them.
  std::string slurm_array_id, slurm_array_first, slurm_array_count;  ///< SLURM_ARRAY_TASK_ID, _MIN, _COUNT
  std::string job_index;                                             ///< JOB_COMPLETION_INDEX
  LaunchEnv launch;
};

/// The value of a variable, or null.
using EnvLookup = std::function<const char*(const char* name)>;

/// An empty value counts as unset. Throws Error(kUsage) naming the variable, what it expects and what it got.
Env read_env(const EnvLookup& lookup);
/// The process's own environment.
Env read_env();
EnvLookup process_environment();

/// All variables, in the order of Env's fields.
std::span<const EnvVariable> env_variables();

}  // namespace minbert
