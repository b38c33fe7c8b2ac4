/* Checkpoints of a run: what was written is read again, and what no run writes is refused, though
 * its checksum is right. */
#include <inttypes.h>
#include <math.h>

#include "base/json.h"
#include "condlora/safetensors.h"
#include "tests/unit/scratch.h"
#include "train/checkpoint.h"

enum { COUNT = 3, STATES = 2, STEPS = 12 };

static float numbers[2][COUNT + STATES], moments[2 * COUNT];
static adapter_snapshot now = {.values = numbers[0],
                               .state = numbers[0] + COUNT,
                               .count = COUNT,
                               .state_count = STATES},
                        best = {.values = numbers[1],
                                .state = numbers[1] + COUNT,
                                .count = COUNT,
                                .state_count = STATES};
static const train_run_tensors tensors = {.values = &now, .best = &best, .moments = moments};

static void fill(void)
{
  for (int i = 0; i < COUNT + STATES; i++)
    for (int k = 0; k < 2; k++)
      numbers[k][i] = (float)(10 * k + i) - 2;
  for (int i = 0; i < 2 * COUNT; i++)
    moments[i] = (float)(i - 1); /* one below 0 among the first moments */
}

#define EVALUATION(step, more)                                    \
  "{\"examples\":5,\"loss\":0.5,\"accuracy\":0.75,\"step\":" step \
  ",\"epoch\":1.5,\"split\":\"valid\"" more "}"

static const struct {
  const char *key, *value;
} fields[] = {
    {"step", "9"},
    {"evaluated_step", "8"},
    {"best_step", "4"},
    {"best_value", "0.75"},
    {"since_best", "2"},
    {"log_bytes", "100"},
    {"finished", "false"},
    {"evaluations", "[" EVALUATION("4", "") "," EVALUATION("6", "") "," EVALUATION("8", "") "]"},
    {"settings", "{\"lr\":0.1}"},
    {"kernels", "\"vector set avx2\""}};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* The file's own sum, as train/checkpoint.c says it: FNV-1a over words of eight bytes, folded. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
  const uint64_t prime = 0x100000001b3u;
  const unsigned char *p = bytes;
  for (; count >= 8; p += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    hash = (hash ^ word) * prime;
    hash ^= hash >> 32;
  }
  for (; count > 0; p++, count--)
    hash = (hash ^ *p) * prime;
  return hash;
}

static void write_checkpoint(const char *state)
{
  uint64_t hash = mix(0xcbf29ce484222325u, state, strlen(state));
  hash = mix(hash, now.values, COUNT * sizeof(float));
  hash = mix(hash, best.values, COUNT * sizeof(float));
  hash = mix(hash, moments, sizeof moments);
  hash = mix(hash, now.state, STATES * sizeof(float));
  hash = mix(hash, best.state, STATES * sizeof(float));
  char sum[20];
  snprintf(sum, sizeof sum, "%016" PRIx64, hash);
  const cdl_stored_tensor stored[] = {
      {.name = "values", .rank = 1, .shape = {COUNT}, .data = now.values},
      {.name = "best", .rank = 1, .shape = {COUNT}, .data = best.values},
      {.name = "moments", .rank = 2, .shape = {2, COUNT}, .data = moments},
      {.name = "state", .rank = 1, .shape = {STATES}, .data = now.state},
      {.name = "best state", .rank = 1, .shape = {STATES}, .data = best.state}};
  cdl_stored_tensor typed[5];
  for (int i = 0; i < 5; i++) {
    typed[i] = stored[i];
    typed[i].type = CDL_STORED_F32;
  }
  const cdl_metadata metadata[] = {
      {"format", "condlora-checkpoint-1"}, {"state", state}, {"checksum", sum}};
  ck_assert_int_eq(cdl_safetensors_write(scratch_path("state"), typed, 5, metadata, 3),
                   CDL_STATUS_OK);
}

/* The state with `value` for `key`; NULL leaves the key out. */
static void write_changed(const char *key, const char *value)
{
  char text[4096];
  size_t used = 0;
  for (size_t i = 0; i < FIELDS; i++) {
    const bool changed = key != NULL && strcmp(fields[i].key, key) == 0;
    if (changed && value == NULL)
      continue;
    used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\":%s", used > 0 ? "," : "{",
                             fields[i].key, changed ? value : fields[i].value);
  }
  snprintf(text + used, sizeof text - used, "}");
  write_checkpoint(text);
}

static cdl_status load(train_run_state *state)
{
  return train_checkpoint_load(scratch_path("state"), STEPS, state, &tensors);
}

static void expect_refused(const char *said)
{
  train_run_state state;
  const cdl_status status = load(&state);
  ck_assert_msg(status == CDL_STATUS_DATA, "%s: %d", said, (int)status);
  ck_assert_msg(strstr(cdl_error_message(), said) != NULL, "'%s' does not say '%s'",
                cdl_error_message(), said);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "/state"));
  ck_assert(state.evaluations == NULL && state.kernels == NULL);
}

START_TEST(what_was_written_is_read)
{
  fill();
  train_run_state written = {.step = 9,
                             .evaluated_step = 8,
                             .best_step = 8,
                             .best_value = 0.1 + 0.2,
                             .log_bytes = 77,
                             .finished = true,
                             .evaluations = json_pack("[{sI sf ss sn}]", "step", (json_int_t)8,
                                                      "epoch", 1.5, "split", "dev", "loss"),
                             .settings = json_pack("{sf}", "lr", 1.0 / 3),
                             .kernels = strdup("cpu")};
  ck_assert_int_eq(train_checkpoint_write(scratch_path("state"), &written, &tensors),
                   CDL_STATUS_OK);
  memset(numbers, 0, sizeof numbers);
  memset(moments, 0, sizeof moments);
  train_run_state read;
  ck_assert_msg(load(&read) == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert(read.step == 9 && read.evaluated_step == 8 && read.best_step == 8);
  ck_assert(read.best_value == 0.1 + 0.2 && read.since_best == 0 && read.log_bytes == 77);
  ck_assert(read.finished && json_equal(read.evaluations, written.evaluations));
  ck_assert(json_equal(read.settings, written.settings));
  ck_assert_str_eq(read.kernels, "cpu");
  ck_assert(now.values[2] == 0 && best.values[0] == 8 && moments[0] == -1 && best.state[1] == 12);
  train_run_state_release(&read);
  train_run_state_release(&written);
}
END_TEST

START_TEST(the_sum_of_this_test_is_the_files)
{
  fill();
  write_changed(NULL, NULL);
  train_run_state state;
  ck_assert_msg(load(&state) == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert_int_eq(state.since_best, 2);
  train_run_state_release(&state);
  write_changed("step", "12"); /* all of them */
  ck_assert_int_eq(load(&state), CDL_STATUS_OK);
  train_run_state_release(&state);
}
END_TEST

START_TEST(each_field_has_a_type_and_a_range)
{
  static const char *const no_wholes[] = {NULL,
                                          "null",
                                          "-1",
                                          "-9223372036854775808",
                                          "9.0",
                                          "1e3",
                                          "true",
                                          "\"9\"",
                                          "[9]",
                                          "9223372036854775807",
                                          "9223372036854775808"};
  static const char *const wholes[] = {"step", "evaluated_step", "best_step", "since_best"};
  fill();
  for (size_t k = 0; k < sizeof wholes / sizeof wholes[0]; k++)
    for (size_t i = 0; i < sizeof no_wholes / sizeof no_wholes[0]; i++) {
      write_changed(wholes[k], no_wholes[i]);
      expect_refused(wholes[k]);
    }
  static const struct {
    const char *key, *value;
  } cases[] = {{"step", "13"},          {"step", "7"},          {"step", "0"},
               {"log_bytes", NULL},     {"log_bytes", "-1"},    {"log_bytes", "1.5"},
               {"best_value", NULL},    {"best_value", "null"}, {"best_value", "\"x\""},
               {"finished", NULL},      {"finished", "0"},      {"finished", "null"},
               {"settings", NULL},      {"settings", "[]"},     {"settings", "null"},
               {"kernels", NULL},       {"kernels", "1"},       {"kernels", "\"a\\u001b[2J\""},
               {"kernels", "\"a\\nb\""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    write_changed(cases[i].key, cases[i].value);
    expect_refused(strcmp(cases[i].key, "step") == 0 && cases[i].value[0] != '1' ? "evaluated_step"
                                                                                 : cases[i].key);
  }
}
END_TEST

START_TEST(the_fields_agree)
{
  fill();
  static const struct {
    const char *key, *value, *said;
  } cases[] = {
      {"evaluated_step", "6", "evaluations"},
      {"evaluated_step", "9", "evaluated_step"},
      {"best_step", "5", "best_step"},
      {"best_step", "0", "best_value"},
      {"best_step", "6", "since_best"},
      {"since_best", "1", "since_best"},
      {"since_best", "3", "since_best"},
      {"evaluations", "[]", "evaluated_step"},
      {"evaluations", "{}", "evaluations"},
      {"evaluations", "[1,2,3]", "evaluations"},
      {"evaluations", "[" EVALUATION("4", "") "," EVALUATION("8", "") "]", "since_best"},
      {"evaluations", "[" EVALUATION("4", "") "," EVALUATION("4", "") "," EVALUATION("8", "") "]",
       "ascending"},
      {"evaluations", "[" EVALUATION("4", "") "," EVALUATION("-6", "") "," EVALUATION("8", "") "]",
       "ascending"},
      {"evaluations",
       "[" EVALUATION("4", "") "," EVALUATION("6", ",\"x\":[]") "," EVALUATION("8", "") "]",
       "numbers"},
      {"evaluations", "[{\"step\":8,\"epoch\":1}]", "split"},
      {"evaluations", "[{\"step\":8,\"epoch\":1,\"split\":\"\\u001b\"}]", "split"},
      {"evaluations", "[{\"step\":8,\"split\":\"dev\"}]", "epoch"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    write_changed(cases[i].key, cases[i].value);
    expect_refused(cases[i].said);
  }
}
END_TEST

START_TEST(the_state_is_one_object)
{
  static const char *const texts[] = {"", "[]", "{", "{\"step\":1,\"step\":2}", "{}"};
  fill();
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    write_checkpoint(texts[i]);
    expect_refused("the checkpoint's state");
  }
}
END_TEST

START_TEST(no_number_is_beyond_what_training_saves)
{
  const float wrong[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 2 * (COUNT + STATES); i++)
    for (int k = 0; k < 3; k++) {
      fill();
      numbers[i % 2][i / 2] = wrong[k];
      write_changed(NULL, NULL);
      expect_refused("number");
    }
  for (int i = 0; i < 2 * COUNT; i++) {
    fill();
    moments[i] = NAN;
    write_changed(NULL, NULL);
    expect_refused("\"moments\": number");
  }
  fill();
  moments[COUNT + 1] = -1;
  write_changed(NULL, NULL);
  expect_refused("\"moments\": number 1 is -1");
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      what_was_written_is_read,
      the_sum_of_this_test_is_the_files,
      each_field_has_a_type_and_a_range,
      the_fields_agree,
      the_state_is_one_object,
      no_number_is_beyond_what_training_saves,
      NULL,
  };
  return scratch_run("run_state", tests);
}
