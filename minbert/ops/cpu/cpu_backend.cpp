// The CPU backend's entry point.
#include "minbert/ops/cpu/cpu_backend.h"
