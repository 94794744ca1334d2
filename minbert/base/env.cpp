// Env: the only getenv of the program.
#include "minbert/base/env.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "minbert/base/check.h"
#include "minbert/base/number.h"

namespace minbert {
namespace {

constexpr std::array<EnvVariable, 16> kVariables = {{
    {"MINBERT_BACKEND", "cpu", "backend that does the maths: ref | cpu | cuda"},
    {"MINBERT_THREADS", "least of affinity mask, CPU quota and physical cores", "threads for maths"},
    {"MINBERT_ISA", "none", "upper limit on the instruction set: sse2 | avx2 | avx512 | avx512_bf16 | amx"},
    {"MINBERT_DEBUG", "0", "1 configuration and phase times, 2 and time by op, 3 and a NaN check after each op, 4 and tensor statistics"},
    {"NO_COLOR", "unset", "any value: no colour on a terminal"},
    {"HF_ENDPOINT", "https://huggingface.co", "hub that `fetch` asks, or a mirror of it"},
    {"HF_TOKEN", "none", "token for private and gated repositories; over http it is refused, unless to this machine"},
    {"MINBERT_API_KEY", "none", "key that `serve` asks its clients for"},
    {"SLURM_ARRAY_TASK_ID", "none", "shard of `--shard auto` in a Slurm array"},
    {"SLURM_ARRAY_TASK_MIN", "0", "the array's first task, which is shard 0"},
    {"SLURM_ARRAY_TASK_COUNT", "none", "the array's tasks, which are the shards"},
    {"JOB_COMPLETION_INDEX", "none", "shard of `--shard auto/N` in an indexed job of Kubernetes"},
    {"OMPI_COMM_WORLD_SIZE", "none", "processes that Open MPI's mpirun started for one training run"},
    {"PMI_SIZE", "none", "the same from launchers of MPICH and its kin"},
    {"SLURM_STEP_NUM_TASKS", "none", "the same from srun"},
    {"SLURM_NTASKS", "none", "tasks that a Slurm job has room for; training warns if srun started none of them"},
}};

int whole_number(std::string_view name, std::string_view text, int low, int high) {
  const auto value = number_from<int>(text);
  if (!value || *value < low || *value > high)
    throw Error(ErrorTag::kUsage, name, fmt::format("expected a whole number from {} to {}, got \"{}\"", low, high, text));
  return *value;
}

}  // namespace

Env read_env(const EnvLookup& lookup) {
  const auto value_of = [&](const EnvVariable& variable) {
    const char* value = lookup(variable.name.data());
    return std::string_view(value == nullptr ? "" : value);
  };
  const auto& [backend, threads, isa, debug, no_color, hub_endpoint, hub_token, api_key, array_id, array_first, array_count, job_index,
               mpi_size, pmi_size, step_tasks, slurm_tasks] = kVariables;
  Env env;
  if (const auto value = value_of(backend); !value.empty()) env.backend = value;
  if (const auto value = value_of(threads); !value.empty()) env.threads = whole_number(threads.name, value, 1, kMostThreads);
  env.isa = value_of(isa);
  if (const auto value = value_of(debug); !value.empty()) env.debug = whole_number(debug.name, value, 0, 4);
  env.color = value_of(no_color).empty();
  env.hub_endpoint = value_of(hub_endpoint);
  env.hub_token = value_of(hub_token);
  env.api_key = value_of(api_key);
  env.slurm_array_id = value_of(array_id);
  env.slurm_array_first = value_of(array_first);
  env.slurm_array_count = value_of(array_count);
  env.job_index = value_of(job_index);
  for (const EnvVariable* size : {&mpi_size, &pmi_size, &step_tasks}) {  // mpirun inside a Slurm job sets its own beside srun's
    if (value_of(*size).empty() || env.launch.ranks > 0) continue;
    env.launch.ranks = whole_number(size->name, value_of(*size), 1, 1 << 20);
    env.launch.variable = size->name;
  }
  if (const auto value = value_of(slurm_tasks); !value.empty()) env.launch.slurm_tasks = whole_number(slurm_tasks.name, value, 1, 1 << 20);
  return env;
}

EnvLookup process_environment() {
  return [](const char* name) { return std::getenv(name); };
}

Env read_env() { return read_env(process_environment()); }

std::span<const EnvVariable> env_variables() { return kVariables; }

}  // namespace minbert
