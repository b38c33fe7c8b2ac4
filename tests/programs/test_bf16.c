/* condlora train --precision bf16 on the backend named in CDL_TEST_BACKEND, with a model of two
 * layers and width 64, whose heads of 32 go to tensor cores. */
#include <math.h>
#include <signal.h>

#include "condlora/backend.h"
#include "condlora/safetensors.h"
#include "tests/programs/program.h"
#include "tests/required.h"

/* Batches come in the order of the file, so an epoch repeats the shapes of the last one: a shape is
 * recorded in the second epoch and only replayed in the third. */
enum { STEPS = 20, WIDTH = 64, INTERMEDIATE = 128, HEADS = 2, TENSORS_MOST = 64 };

/* tests/parity/README.md: a loss in BF16 against the truth. */
static const double loss_bound = 0x1p-22 * 0x1p15 * 4;

static const char *backend_name(void)
{
  const char *name = getenv("CDL_TEST_BACKEND");
  return name != NULL ? name : "cuda";
}

/* ---- The model ---- */

/* Uniform, with the given deviation; xorshift32. */
static float draw(unsigned *state, double deviation)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return (float)((*state / 4294967296.0 - 0.5) * sqrt(12) * deviation);
}

static void set_size(json_t *config, const char *key, int size)
{
  ck_assert_int_eq(json_object_set_new(config, key, json_integer(size)), 0);
}

/* A tensor of the narrow model `from`, in the wide model's shape, with values of its own. */
static cdl_stored_tensor widened(const cdl_stored_tensor *from, int width, int intermediate,
                                 unsigned *random)
{
  cdl_stored_tensor t = *from;
  size_t count = 1;
  for (uint32_t d = 0; d < t.rank; d++) {
    if (t.shape[d] == width)
      t.shape[d] = WIDTH;
    else if (t.shape[d] == intermediate)
      t.shape[d] = INTERMEDIATE;
    count *= (size_t)t.shape[d];
  }
  float *values = malloc(count * sizeof *values);
  ck_assert_ptr_nonnull(values);
  const bool gain = strstr(t.name, "LayerNorm.weight") != NULL;
  for (size_t i = 0; i < count; i++)
    values[i] = (gain ? 1.0F : 0.0F) + draw(random, 0.1);
  t.type = CDL_STORED_F32;
  t.data = values;
  return t;
}

/* The model of a case, widened. */
static const char *wide_model(void)
{
  const char *folder = copied_folder(case_file("bert-lora", "model"), "wide"),
             *weights = joined(folder, "model.safetensors");
  json_t *config = parsed(read_text(joined(folder, "config.json")));
  const int width = (int)number_at(config, "hidden_size"),
            intermediate = (int)number_at(config, "intermediate_size");
  set_size(config, "hidden_size", WIDTH);
  set_size(config, "intermediate_size", INTERMEDIATE);
  set_size(config, "num_attention_heads", HEADS);
  ck_assert_int_eq(json_dump_file(config, joined(folder, "config.json"), 0), 0);
  cdl_safetensors *file;
  ck_assert_msg(cdl_safetensors_open(weights, &file) == CDL_STATUS_OK, "%s", cdl_error_message());
  const size_t count = cdl_safetensors_count(file);
  ck_assert_uint_le(count, TENSORS_MOST);
  cdl_stored_tensor tensors[TENSORS_MOST];
  unsigned random = 20240607;
  for (size_t i = 0; i < count; i++)
    tensors[i] = widened(cdl_safetensors_get(file, i), width, intermediate, &random);
  const cdl_metadata format = {"format", "pt"};
  ck_assert_msg(cdl_safetensors_write(weights, tensors, count, &format, 1) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  for (size_t i = 0; i < count; i++)
    free((void *)(uintptr_t)tensors[i].data);
  cdl_safetensors_close(file);
  return folder;
}

/* ---- Runs ---- */

#define TRAIN                                                                                      \
  "train", "--model", model, "--train", case_file("bert-lora", "train.tsv"), "--label-column",     \
      "label", "--text-columns", "sentence1", "--batch-size", "4", "--lr", "5e-3", "--no-shuffle", \
      "--dropout", "0.1", "--dev-fraction", "0.2", "--checkpoint-every", "3", "--max-steps",       \
      text_of("%d", STEPS)
#define NARROW "--backend", backend_name(), "--precision", "bf16"

static void read_losses(const char *out, double losses[STEPS])
{
  const char *line = read_text(joined(out, "train.jsonl"));
  ck_assert_uint_eq(count_lines(line), STEPS);
  for (int i = 0; i < STEPS; i++) {
    json_error_t error;
    json_t *object = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
    ck_assert_msg(object != NULL, "step %d: %s", i + 1, error.text);
    losses[i] = number_at(object, "loss");
    json_decref(object);
    line = strchr(line, '\n') + 1;
  }
}

/* Returns the largest difference; each must be within the bound. */
static double compare_losses(const char *what, const char *one, const char *other)
{
  double a[STEPS], b[STEPS], most = 0;
  read_losses(one, a);
  read_losses(other, b);
  for (int i = 0; i < STEPS; i++) {
    const double difference = fabs(a[i] - b[i]);
    ck_assert_msg(difference <= loss_bound * fmax(1, fabs(a[i])), "%s, step %d: losses %.9g, %.9g",
                  what, i + 1, a[i], b[i]);
    most = fmax(most, difference);
  }
  return most;
}

static void check_same_bytes(const char *a, const char *b, const char *file)
{
  const char *x, *y;
  const size_t n = read_bytes(joined(a, file), &x), m = read_bytes(joined(b, file), &y);
  ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s differs (%zu and %zu bytes)", file, n, m);
}

/* The weights that are trained, and their moments, are float32 in every precision. */
static void check_float32(const char *path)
{
  cdl_safetensors *file;
  ck_assert_msg(cdl_safetensors_open(path, &file) == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert_uint_gt(cdl_safetensors_count(file), 0);
  for (size_t i = 0; i < cdl_safetensors_count(file); i++)
    ck_assert_msg(cdl_safetensors_get(file, i)->type == CDL_STORED_F32, "%s: %s", path,
                  cdl_safetensors_get(file, i)->name);
  cdl_safetensors_close(file);
}

static void check_method(const char *method)
{
  const char *model = wide_model(), *cpu = scratch("cpu"), *whole = scratch("whole"),
             *launched = scratch("launched"), *killed = scratch("killed");
  check_done(RUN(TRAIN, "--method", method, "--backend", "cpu", "--output", cpu));
  const outcome o = RUN(TRAIN, "--method", method, NARROW, "--output", whole);
  check_done(o);
  ck_assert_msg(strstr(o.err, "not recorded") == NULL, "%s", o.err);
  /* The losses are those of float32 but for BF16's rounding, and that is there. */
  ck_assert_double_gt(compare_losses("float32 and bf16", cpu, whole), 1e-5);
  check_done(RUN(TRAIN, "--method", method, NARROW, "--no-record", "--output", launched));
  compare_losses("recorded and launched", whole, launched);

  check_float32(joined(whole, "adapter/adapter_model.safetensors"));
  json_t *valid = json_object_get(parsed(read_text(joined(whole, "metrics.json"))), "valid");
  ck_assert_int_eq((int)number_at(valid, "examples"), 8);
  ck_assert(isfinite(number_at(valid, "loss")));

  const pid_t program = program_start_held(
      (const char *const[]){TRAIN, "--method", method, NARROW, "--output", killed, NULL}, killed);
  kill(program, SIGKILL);
  ck_assert_int_eq(program_wait(program).exit, -SIGKILL);
  check_done(RUN(TRAIN, "--method", method, NARROW, "--output", killed, "--resume"));
  check_same_bytes(whole, killed, "adapter/adapter_model.safetensors");
  check_same_bytes(whole, killed, "checkpoint/state.safetensors");
}

START_TEST(lora_trains_records_evaluates_and_resumes)
{
  check_method("lora");
}
END_TEST

START_TEST(condlora_trains_records_evaluates_and_resumes)
{
  check_method("condlora");
}
END_TEST

/* Where weights are trained themselves, activations stay float32. */
START_TEST(the_plan_says_how_activations_are_kept)
{
  const char *model = wide_model();
  static const struct {
    const char *method, *precision, *says;
  } plans[] = {{"lora", "bf16", "activations in bf16\n"},
               {"condlora", "bf16", "activations in bf16\n"},
               {"full", "bf16", "activations in float32\n"},
               {"lora", "fp32", "activations in float32\n"}};
  for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
    const outcome o = RUN(TRAIN, "--method", plans[i].method, "--backend", backend_name(),
                          "--precision", plans[i].precision, "--dry-run");
    check_done(o);
    ck_assert_msg(strstr(o.out, plans[i].says) != NULL, "%s in %s:\n%s", plans[i].method,
                  plans[i].precision, o.out);
  }
}
END_TEST

int main(void)
{
  cdl_backend *backend = NULL;
  if (cdl_backend_open(backend_name(), NULL, &backend) == CDL_STATUS_ABSENT &&
      !is_required(backend_name())) {
    printf("skipped: training in bf16 on %s: %s\n", backend_name(), cdl_error_message());
    return 77;
  }
  if (cdl_backend_close(backend) != CDL_STATUS_OK)
    return 1;
  Suite *suite = suite_create("bf16");
  CASE(suite, lora_trains_records_evaluates_and_resumes);
  CASE(suite, condlora_trains_records_evaluates_and_resumes);
  CASE(suite, the_plan_says_how_activations_are_kept);
  return run_suite(suite);
}
