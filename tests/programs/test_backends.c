/* condlora train on another backend, named in CDL_TEST_BACKEND: the same run as the CPU's, but for
 * how sums are rounded. */
#include <math.h>

#include "condlora/backend.h"
#include "tests/programs/program.h"
#include "tests/required.h"

enum { STEPS = 20 };

static const char *backend_name(void)
{
  const char *name = getenv("CDL_TEST_BACKEND");
  return name != NULL ? name : "cpu";
}

typedef struct {
  double loss[STEPS], norm[STEPS];
} run;

/* `cache` other than NULL: an adapter in the last layer alone, and what keeps the states below. */
static run train(const char *method, const char *data, const char *columns, const char *backend,
                 const char *cache)
{
  const char *out = scratch(text_of("%s-%s-%s", method, backend, cache != NULL ? cache : "all"));
  check_done(RUN("train", "--model", case_file(data, "model"), "--train",
                 case_file(data, "train.tsv"), "--label-column", "label", "--text-columns", columns,
                 "--method", method, "--batch-size", "4", "--max-steps", text_of("%d", STEPS),
                 "--lr", "1e-3", "--dev-fraction", "0.2", "--backend", backend, "--output", out,
                 cache != NULL ? text_of("--cache-frozen=%s", cache) : NULL,
                 "--layers-to-transform", "1", "--dropout", "0"));
  const char *line = read_text(joined(out, "train.jsonl"));
  ck_assert_uint_eq(count_lines(line), STEPS);
  run r;
  for (int i = 0; i < STEPS; i++) {
    json_error_t error;
    json_t *object = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
    ck_assert_msg(object != NULL, "step %d: %s", i + 1, error.text);
    r.loss[i] = number_at(object, "loss");
    r.norm[i] = number_at(object, "grad_norm");
    json_decref(object);
    line = strchr(line, '\n') + 1;
  }
  return r;
}

/* Dropout is on, as the models' configurations have it: all backends draw the same masks. Each run
 * may lie as far from the truth as parity lets it: 1e-5 of a loss on the CPU, four times that
 * elsewhere; 2e-5 and four times that of a norm. */
static void check_same_losses(const char *method, const run *cpu, const run *other)
{
  for (int i = 0; i < STEPS; i++) {
    ck_assert_msg(fabs(cpu->loss[i] - other->loss[i]) <= 5e-5 * fmax(1, cpu->loss[i]),
                  "%s, step %d: loss %.9g on cpu, %.9g on %s", method, i + 1, cpu->loss[i],
                  other->loss[i], backend_name());
    ck_assert_msg(fabs(cpu->norm[i] - other->norm[i]) <= 1e-4 * fmax(1e-3, cpu->norm[i]),
                  "%s, step %d: norm %.9g on cpu, %.9g on %s", method, i + 1, cpu->norm[i],
                  other->norm[i], backend_name());
  }
}

START_TEST(losses_are_the_cpus)
{
  static const struct {
    const char *method, *data, *columns;
  } runs[] = {{"condlora", "bert-condlora-paper", "sentence1"},
              {"lora", "roberta-lora-linear", "sentence1,sentence2"}};
  for (size_t k = 0; k < sizeof runs / sizeof runs[0]; k++) {
    const run cpu = train(runs[k].method, runs[k].data, runs[k].columns, "cpu", NULL);
    const run other = train(runs[k].method, runs[k].data, runs[k].columns, backend_name(), NULL);
    check_same_losses(runs[k].method, &cpu, &other);
  }
}
END_TEST

/* Steps are recorded where the backend can, with states that are uploaded before. */
START_TEST(losses_above_kept_states_are_the_cpus)
{
  const run cpu = train("lora", "roberta-lora-linear", "sentence1,sentence2", "cpu", "off"),
            other = train("lora", "roberta-lora-linear", "sentence1,sentence2", backend_name(),
                          "memory");
  check_same_losses("lora", &cpu, &other);
}
END_TEST

START_TEST(a_trained_adapter_is_read_by_either)
{
  const char *out = scratch("adapter-of");
  check_done(RUN("train", "--model", case_file("bert-lora", "model"), "--train",
                 case_file("bert-lora", "train.tsv"), "--label-column", "label", "--text-columns",
                 "sentence1", "--batch-size", "4", "--max-steps", "4", "--eval-every", "0",
                 "--method", "condlora", "--backend", backend_name(), "--output", out));
  double first[2] = {0};
  for (int i = 0; i < 2; i++) {
    const char *file = scratch(text_of("predictions-%d", i));
    check_done(RUN("predict", "--model", case_file("bert-lora", "model"), "--adapter",
                   joined(out, "adapter"), "--input", case_file("bert-lora", "train.tsv"),
                   "--text-columns", "sentence1", "--backend", i == 0 ? "cpu" : backend_name(),
                   "--output", file));
    json_error_t error;
    json_t *object = json_loads(read_text(file), JSON_DISABLE_EOF_CHECK, &error);
    ck_assert_msg(object != NULL, "%s", error.text);
    first[i] = json_number_value(json_array_get(json_object_get(object, "logits"), 0));
    json_decref(object);
  }
  ck_assert_msg(fabs(first[0] - first[1]) <= 2.5e-5 * fmax(1, fabs(first[0])),
                "the first logit is %.9g on cpu, %.9g on %s", first[0], first[1], backend_name());
}
END_TEST

int main(void)
{
  cdl_backend *backend = NULL;
  if (cdl_backend_open(backend_name(), NULL, &backend) == CDL_STATUS_ABSENT &&
      !is_required(backend_name())) {
    printf("skipped: training on %s: %s\n", backend_name(), cdl_error_message());
    return 77;
  }
  if (cdl_backend_close(backend) != CDL_STATUS_OK)
    return 1;
  Suite *suite = suite_create("backends");
  CASE(suite, losses_are_the_cpus);
  CASE(suite, losses_above_kept_states_are_the_cpus);
  CASE(suite, a_trained_adapter_is_read_by_either);
  return run_suite(suite);
}
