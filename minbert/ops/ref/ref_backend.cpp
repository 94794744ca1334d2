// The reference backend's entry point.
#include "minbert/ops/ref/ref_backend.h"
