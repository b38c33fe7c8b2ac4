/* A trace of a run, as bench-condlora --shapes takes it. */
#include "bench/shapes_trace.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  bench_shapes shapes = {0};
  if (fuzz_ok(bench_shapes_of_trace(fuzz_file("trace.json", (fuzz_part){data, size}), &shapes)))
    bench_shapes_release(&shapes);
  return 0;
}
