/* A run's checkpoint with the right checksum: the JSON of its state, then the numbers. */
#include "tests/fuzz/fuzz.h"

/* The source itself: its checksum is static, and a fuzzer does not guess one. */
#include "train/checkpoint.c" // NOLINT(bugprone-suspicious-include)

/* The checkpoint's content is for this many parameters and numbers of a method's state. */
enum { VALUES = 3, STATES = 2, STEPS = 10 };

static cdl_status write_with(const char *path, const char *text, const train_run_tensors *t)
{
  char sum[20];
  snprintf(sum, sizeof sum, "%016" PRIx64, checksum(text, t));
  const cdl_stored_tensor tensors[] = {vector("values", t->values->values, VALUES),
                                       vector("best", t->best->values, VALUES),
                                       {.name = "moments",
                                        .type = CDL_STORED_F32,
                                        .rank = 2,
                                        .shape = {2, VALUES},
                                        .data = t->moments},
                                       vector("state", t->values->state, STATES),
                                       vector("best state", t->best->state, STATES)};
  const cdl_metadata metadata[] = {{"format", FORMAT}, {"state", text}, {"checksum", sum}};
  return cdl_safetensors_write(path, tensors, 5, metadata, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_part rest = {data, size};
  const fuzz_part first = fuzz_next(&rest);
  float numbers[4 * VALUES + 2 * STATES] = {0};
  if (rest.size > 0)
    memcpy(numbers, rest.data, rest.size < sizeof numbers ? rest.size : sizeof numbers);
  adapter_snapshot values = {numbers, numbers + VALUES, VALUES, STATES},
                   best = {numbers + VALUES + STATES, numbers + 2 * VALUES + STATES, VALUES,
                           STATES};
  const train_run_tensors tensors = {&values, &best, numbers + 2 * (VALUES + STATES)};
  char *text = malloc(first.size + 1);
  if (text == NULL)
    abort();
  if (first.size > 0)
    memcpy(text, first.data, first.size);
  text[first.size] = '\0';
  const char *path = fuzz_file("state.safetensors", (fuzz_part){0});
  train_run_state state;
  if (write_with(path, text, &tensors) == CDL_STATUS_OK &&
      fuzz_ok(train_checkpoint_load(path, STEPS, &state, &tensors))) {
    if (state.step < 0 || state.step > STEPS || state.best_step > state.step || state.log_bytes < 0)
      abort();
    train_run_state_release(&state);
  }
  free(text);
  return 0;
}
