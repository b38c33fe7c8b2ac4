/* What a run leaves for those who watch and keep it: curves for other programs, facts about where
 * and from what it was made, and lines that a program can read. */
#include <math.h>
#include <time.h>

#include "base/sha256.h"
#include "tests/programs/program.h"

#define RUN_OF(steps)                                                               \
  "train", "--model", case_file("bert-condlora-paper", "model"), "--train",         \
      case_file("bert-condlora-paper", "train.tsv"), "--text-columns", "sentence1", \
      "--label-column", "label", "--batch-size", "4", "--max-steps", steps, "--eval-every", "4"

/* The line of text that begins at *at, without its newline; *at goes on behind it. */
static const char *line_of(const char **at)
{
  const char *begin = *at, *end = strchrnul(begin, '\n');
  *at = *end != '\0' ? end + 1 : end;
  return text_of("%.*s", (int)(end - begin), begin);
}

/* ---- Curves ---- */

static json_t *logged(const char *out, size_t step)
{
  const char *at = read_text(joined(out, "train.jsonl"));
  for (size_t i = 1; i < step; i++)
    (void)line_of(&at);
  return parsed(line_of(&at));
}

static void check_table(const char *out, size_t steps)
{
  const char *at = read_text(joined(out, "steps.csv"));
  ck_assert_uint_eq(count_lines(at), steps + 1);
  ck_assert_str_eq(line_of(&at), "step,epoch,loss,lr,grad_norm,examples_per_s");
  for (size_t i = 1; i <= steps; i++) {
    static const char *const keys[] = {"step", "epoch",     "loss",
                                       "lr",   "grad_norm", "examples_per_s"};
    const char *row = line_of(&at);
    json_t *step = logged(out, i);
    char *end;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
      const double value = strtod(row, &end);
      ck_assert_msg(value == number_at(step, keys[k]), "step %zu: %s is %s", i, keys[k], row);
      ck_assert_int_eq(*end, k + 1 < sizeof keys / sizeof keys[0] ? ',' : '\0');
      row = end + 1;
    }
  }
}

START_TEST(a_table_of_the_steps_goes_on_with_the_run)
{
  const char *out = scratch("out"), *table = joined(out, "steps.csv");
  check_done(RUN(RUN_OF("8"), "--report-to", "csv", "--output", out));
  check_table(out, 8);
  /* What a killed process wrote after its last checkpoint is void, a cut row too. */
  write_text(table, text_of("%s9,0,0,0,0,0\n10,0,0", read_text(table)));
  check_done(RUN(RUN_OF("12"), "--report-to", "csv", "--output", out, "--resume"));
  check_table(out, 12);
  ck_assert_ptr_null(strstr(listed(out), "tfevents"));
}
END_TEST

START_TEST(curves_go_where_they_are_asked_for)
{
  const char *out = scratch("out"), *elsewhere = scratch("curves/run"), *quiet = scratch("quiet");
  check_done(RUN(RUN_OF("4"), "--report-to", "tensorboard,csv", "--logging-dir", elsewhere,
                 "--output", out));
  ck_assert_ptr_null(strstr(listed(out), "tfevents"));
  ck_assert_int_eq(strncmp(listed(elsewhere), "events.out.tfevents.", 20), 0);
  check_table(out, 4);
  check_done(RUN(RUN_OF("4"), "--output", quiet));
  ck_assert_ptr_null(strstr(listed(quiet), "tfevents"));
  ck_assert(!exists(joined(quiet, "steps.csv")));
}
END_TEST

START_TEST(other_words_are_refused)
{
  check_refused(RUN(RUN_OF("4"), "--output", scratch("out"), "--report-to", "wandb"), 2,
                "--report-to", "tensorboard", "csv", "wandb");
  check_refused(RUN(RUN_OF("4"), "--output", scratch("out"), "--logging-dir", scratch("x")), 2,
                "--logging-dir", "--report-to tensorboard");
  check_refused(RUN(RUN_OF("4"), "--output", scratch("out"), "--tensorboard", "x"), 2,
                "--report-to");
  ck_assert(!exists(scratch("out")));
}
END_TEST

/* ---- Facts ---- */

/* "2026-02-03T04:05:06.789Z" as seconds since 1970. */
static double seconds_of(json_t *object, const char *key)
{
  struct tm t = {0};
  int milliseconds, end = 0;
  const char *text = json_string_value(json_object_get(object, key));
  ck_assert_msg(text != NULL, "no %s", key);
  ck_assert_int_eq(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &t.tm_year, &t.tm_mon, &t.tm_mday,
                          &t.tm_hour, &t.tm_min, &t.tm_sec, &milliseconds, &end),
                   7);
  ck_assert_uint_eq((size_t)end, strlen(text));
  t.tm_year -= 1900;
  t.tm_mon--;
  return (double)timegm(&t) + milliseconds / 1000.0;
}

START_TEST(records_say_where_when_and_from_what)
{
  const char *out = scratch("out"), *train = case_file("bert-condlora-paper", "train.tsv"), *bytes;
  const double before = (double)time(NULL);
  check_done(RUN(RUN_OF("4"), "--dev", train, "--output", out));
  check_done(RUN(RUN_OF("8"), "--dev", train, "--output", out, "--resume"));
  json_t *run = parsed(read_text(joined(out, "run.json"))),
         *timing = json_object_get(parsed(read_text(joined(out, "metrics.json"))), "timing");

  json_t *processes = json_object_get(run, "processes");
  ck_assert_uint_eq(json_array_size(processes), 2);
  char host[65] = "";
  gethostname(host, sizeof host - 1);
  for (size_t i = 0; i < 2; i++) {
    json_t *process = json_array_get(processes, i);
    ck_assert_str_eq(json_string_value(json_object_get(process, "host")), host);
    ck_assert_int_eq((int)number_at(process, "step"), i == 0 ? 0 : 4);
    ck_assert_ptr_nonnull(json_string_value(json_object_get(process, "condlora")));
    ck_assert_ptr_nonnull(json_object_get(process, "commit"));
    ck_assert(number_at(process, "processors") >= 1);
    ck_assert(seconds_of(process, "started") >= before);
  }
  ck_assert(seconds_of(timing, "finished") >= seconds_of(timing, "started"));
  ck_assert(seconds_of(timing, "started") == seconds_of(json_array_get(processes, 1), "started"));
  ck_assert(number_at(timing, "train_seconds") > 0);

  char digest[BASE_SHA256_TEXT];
  base_sha256 hash;
  const size_t size = read_bytes(train, &bytes);
  base_sha256_begin(&hash);
  base_sha256_add(&hash, bytes, size);
  base_sha256_end(&hash, digest);
  static const char *const parts[] = {"train", "dev"};
  for (size_t i = 0; i < 2; i++) {
    json_t *file = json_array_get(json_object_get(json_object_get(run, "inputs"), parts[i]), 0);
    ck_assert_str_eq(json_string_value(json_object_get(file, "path")), train);
    ck_assert_str_eq(json_string_value(json_object_get(file, "sha256")), digest);
    ck_assert_uint_eq((size_t)number_at(file, "bytes"), size);
  }
}
END_TEST

/* No number of a file has more digits than it needs: none is longer than the shortest that reads
 * back as the same double, or in train.jsonl the same float. */
static void check_digits(const char *file, const char *text, bool single)
{
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"') { /* a string */
      for (c++; *c != '"'; c++)
        c += *c == '\\';
      continue;
    }
    if ((*c < '0' || *c > '9') && *c != '-')
      continue;
    char *end;
    const double value = strtod(c, &end);
    size_t digits = 0;
    for (const char *d = c + strspn(c, "-0."); d < end && *d != 'e'; d++)
      digits += *d != '.';
    for (int fewer = 1; fewer < (int)digits; fewer++) {
      char shorter[400];
      snprintf(shorter, sizeof shorter, "%.*g", fewer, value);
      const bool same = single
                            ? strtof(shorter, NULL) == (float)value
                            : !(strtod(shorter, NULL) < value) && !(strtod(shorter, NULL) > value);
      const bool whole = memchr(c, '.', (size_t)(end - c)) == NULL;
      ck_assert_msg(!same || whole || end[-1] == '0', "%s: %.*s could be %s", file, (int)(end - c),
                    c, shorter);
    }
    c = end - 1;
  }
}

START_TEST(numbers_are_short)
{
  static const char *const files[] = {"run.json", "metrics.json", "adapter/adapter_config.json"};
  const char *out = scratch("out"), *log = scratch("out/train.jsonl");
  check_done(RUN(RUN_OF("9"), "--lr", "0.0003", "--dev-fraction", "0.1", "--output", out));
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    check_digits(files[i], read_text(joined(out, files[i])), false);
  const char *at = read_text(log);
  for (size_t i = 0; i < 9; i++) {
    const char *line = line_of(&at), *loss = strstr(line, "\"loss\": "),
               *rate = strstr(line, "\"lr\": ");
    const double given = strtod(rate + 6, NULL), due = 0.0003 * (1 - (double)i / 9);
    ck_assert_msg(fabs(given - due) < 1e-18, "%s, not %.17g", rate, due);
    check_digits("train.jsonl", text_of("%.*s", (int)(rate - loss), loss), true);
    check_digits("train.jsonl", text_of("%.*s", (int)(loss - line), line), false);
  }
}
END_TEST

/* ---- Lines ---- */

START_TEST(lines_of_json_are_whole)
{
  const outcome o =
      RUN(RUN_OF("8"), "--output", scratch("out"), "--log-format", "json", "--log-every", "3");
  check_done(o);
  static const char *const levels[] = {"info", "warning"};
  const char *at = o.err;
  size_t steps = 0, evaluations = 0, starts = 0, messages = 0;
  double best = NAN;
  while (*at != '\0') {
    json_t *line = parsed(line_of(&at));
    const char *event = json_string_value(json_object_get(line, "event")),
               *level = json_string_value(json_object_get(line, "level"));
    (void)seconds_of(line, "time");
    ck_assert(strcmp(level, levels[0]) == 0 || strcmp(level, levels[1]) == 0);
    if (event == NULL) {
      ck_assert_ptr_nonnull(json_string_value(json_object_get(line, "message")));
      messages++;
    } else if (strcmp(event, "step") == 0) {
      steps++;
      ck_assert_uint_eq((size_t)number_at(line, "step"), 3 * steps);
      ck_assert(isnan(best) || number_at(line, "best") == best);
    } else if (strcmp(event, "evaluation") == 0) {
      evaluations++;
      if (json_is_true(json_object_get(line, "is_best")))
        best = number_at(line, "accuracy");
    } else {
      ck_assert_str_eq(event, "start");
      ck_assert_int_eq((int)number_at(line, "steps"), 8);
      starts++;
    }
  }
  ck_assert_uint_eq(steps, 2);
  ck_assert_uint_eq(evaluations, 2);
  ck_assert_uint_eq(starts, 1);
  ck_assert_uint_ge(messages, 1); /* the new head */
}
END_TEST

START_TEST(errors_of_every_command_may_be_json)
{
  static const char *const commands[] = {"train",  "eval",  "predict", "tokenize",  "inspect",
                                         "export", "merge", "search",  "reproduce", "backends"};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    const outcome o = RUN(commands[i], "--log-format", "json", "--no-such-option");
    ck_assert_int_eq(o.exit, 2);
    ck_assert_uint_eq(count_lines(o.err), 1);
    json_t *line = parsed(o.err);
    ck_assert_str_eq(json_string_value(json_object_get(line, "level")), "error");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(line, "message")), "--no-such-option"));
    ck_assert_ptr_nonnull(strstr(RUN(commands[i], "--help").out, "--log-format text|json"));
  }
  check_refused(RUN("train", "--log-format", "xml"), 2, "--log-format", "text", "json", "xml");
}
END_TEST

START_TEST(plain_lines_come_every_so_many_steps)
{
  const outcome o = RUN(RUN_OF("8"), "--output", scratch("out"), "--log-every", "4");
  check_done(o);
  ck_assert_ptr_nonnull(strstr(o.err, "\nstep 4/8  "));
  ck_assert_ptr_nonnull(strstr(o.err, "\nstep 8/8  "));
  ck_assert_ptr_null(strstr(o.err, "step 1/8"));
  /* The evaluation after step 4 is the first, so step 8 has a best value. */
  ck_assert_ptr_nonnull(strstr(strstr(o.err, "step 8/8"), "  best 0."));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("watch");
  CASE(suite, a_table_of_the_steps_goes_on_with_the_run);
  CASE(suite, curves_go_where_they_are_asked_for);
  CASE(suite, other_words_are_refused);
  CASE(suite, records_say_where_when_and_from_what);
  CASE(suite, numbers_are_short);
  CASE(suite, lines_of_json_are_whole);
  CASE(suite, errors_of_every_command_may_be_json);
  CASE(suite, plain_lines_come_every_so_many_steps);
  return run_suite(suite);
}
