// Env: defaults, checked values, and errors that name the variable.
#include "minbert/base/env.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/base/error_matchers.h"

namespace minbert {
namespace {

Env with(const std::map<std::string, std::string>& values) {
  return read_env([&](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  });
}

TEST(Env, DefaultsWhenUnsetOrEmpty) {
  for (const auto& env : {with({}), with({{"MINBERT_BACKEND", ""}, {"MINBERT_THREADS", ""}, {"MINBERT_ISA", ""}, {"NO_COLOR", ""}})}) {
    EXPECT_EQ(env.backend, "cpu");
    EXPECT_EQ(env.threads, 0);
    EXPECT_EQ(env.isa, "");
    EXPECT_EQ(env.debug, 0);
    EXPECT_TRUE(env.color);
  }
}

TEST(Env, ReadsEveryVariableOfTheTable) {
  const Env env = with({{"MINBERT_BACKEND", "ref"},
                        {"MINBERT_THREADS", "2"},
                        {"MINBERT_ISA", "avx2"},
                        {"MINBERT_DEBUG", "4"},
                        {"NO_COLOR", "1"},
                        {"HF_ENDPOINT", "https://hub.example.org"},
                        {"HF_TOKEN", "word"},
                        {"MINBERT_API_KEY", "key"},
                        {"SLURM_ARRAY_TASK_ID", "3"},
                        {"SLURM_ARRAY_TASK_MIN", "1"},
                        {"SLURM_ARRAY_TASK_COUNT", "8"},
                        {"JOB_COMPLETION_INDEX", "5"},
                        {"SLURM_STEP_NUM_TASKS", "2"},
                        {"SLURM_NTASKS", "6"}});
  EXPECT_EQ(env.backend, "ref");
  EXPECT_EQ(env.threads, 2);
  EXPECT_EQ(env.isa, "avx2");
  EXPECT_EQ(env.debug, 4);
  EXPECT_FALSE(env.color);
  EXPECT_EQ(env.hub_endpoint, "https://hub.example.org");
  EXPECT_EQ(env.hub_token, "word");
  EXPECT_EQ(env.api_key, "key");
  EXPECT_EQ(env.slurm_array_id + env.slurm_array_first + env.slurm_array_count + env.job_index, "3185");
  EXPECT_EQ(env_variables().size(), 16u);
  EXPECT_EQ(env.launch.ranks, 2);
  EXPECT_EQ(env.launch.variable, "SLURM_STEP_NUM_TASKS");
  EXPECT_EQ(env.launch.slurm_tasks, 6);
  EXPECT_EQ(with({{"SLURM_STEP_NUM_TASKS", "2"}, {"OMPI_COMM_WORLD_SIZE", "4"}}).launch.ranks, 4);
  for (const auto& variable : env_variables()) EXPECT_FALSE(variable.help.empty()) << variable.name;
}

TEST(Env, BadValuesNameTheVariable) {
  for (const char* bad : {"0", "-1", "two", "2x", "5000", " 2", "99999999999"})
    expect_error(ErrorTag::kUsage, {"MINBERT_THREADS: expected a whole number from 1 to 4096, got", bad},
                 [&] { with({{"MINBERT_THREADS", bad}}); });
  expect_error(ErrorTag::kUsage, {"MINBERT_DEBUG: expected", "got \"5\""}, [] { with({{"MINBERT_DEBUG", "5"}}); });
}

TEST(Env, ReadsTheProcessEnvironment) {
  ::setenv("MINBERT_DEBUG", "3", 1);
  EXPECT_EQ(read_env().debug, 3);
  ::unsetenv("MINBERT_DEBUG");
  EXPECT_EQ(read_env().debug, 0);
}

}  // namespace
}  // namespace minbert
