/* What a run leaves for those who watch and keep it: curves for other programs, facts about where
 * and from what it was made, and lines that a program can read. */
#include <math.h>
#include <signal.h>
#include <time.h>

#include "base/sha.h"
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

  char digest[BASE_SHA_TEXT];
  base_sha hash;
  const size_t size = read_bytes(train, &bytes);
  base_sha_begin(&hash, BASE_SHA256);
  base_sha_add(&hash, bytes, size);
  base_sha_end(&hash, digest);
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
 * back as the same double, or where `single` the same float. */
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
  static const char *const forms[] = {"jsonl", "csv", "tsv"};
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    for (int top = 0; top <= 2; top += 2) {
      const outcome o =
          RUN("predict", "--adapter", out, "--input", case_file("bert-condlora-paper", "train.tsv"),
              "--format", forms[i], "--top", top == 0 ? "0" : "2");
      check_done(o);
      check_digits(forms[i], o.out, true);
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
  static const char *const commands[] = {"train",     "eval",     "predict", "tokenize",
                                         "inspect",   "export",   "merge",   "search",
                                         "reproduce", "backends", "runs"};
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

/* ---- Runs side by side ---- */

static json_t *listed_run(json_t *runs, const char *name)
{
  size_t i;
  json_t *run;
  json_array_foreach(runs, i, run)
  {
    if (strcmp(json_string_value(json_object_get(run, "run")), name) == 0)
      return run;
  }
  ck_abort_msg("no run %s", name);
}

static void check_state(const char *folder, const char *name, const char *state)
{
  json_t *run = listed_run(parsed(RUN("runs", folder, "--format", "json").out), name);
  ck_assert_str_eq(json_string_value(json_object_get(run, "state")), state);
}

/* Two finished runs that differ in rank and rate, and one that fails. */
static const char *three_runs(void)
{
  const char *all = scratch("all");
  check_done(RUN(RUN_OF("8"), "--lr", "0.02", "--rank", "4", "--output", joined(all, "a/one")));
  check_done(RUN(RUN_OF("8"), "--lr", "1e-6", "--output", joined(all, "b")));
  ck_assert_int_eq(
      RUN(RUN_OF("8"), "--lr", "1e6", "--weight-decay", "1e6", "--output", joined(all, "failed"))
          .exit,
      1);
  return all;
}

START_TEST(runs_stand_side_by_side)
{
  const char *all = three_runs();
  json_t *runs = parsed(RUN("runs", all, "--format", "json", "--sort", "name").out);
  ck_assert_uint_eq(json_array_size(runs), 3);
  static const char *const names[] = {"a/one", "b"};
  for (size_t i = 0; i < 2; i++) {
    json_t *run = json_array_get(runs, i),
           *metrics = parsed(read_text(joined(joined(all, names[i]), "metrics.json")));
    ck_assert_str_eq(json_string_value(json_object_get(run, "run")), names[i]);
    ck_assert_str_eq(json_string_value(json_object_get(run, "state")), "finished");
    ck_assert_str_eq(json_string_value(json_object_get(run, "metric")), "accuracy");
    ck_assert(number_at(run, "valid") == number_at(json_object_get(metrics, "valid"), "accuracy"));
    ck_assert_int_eq((int)number_at(run, "step"), 8);
    ck_assert(json_is_null(json_object_get(run, "dev")));
  }
  json_t *failed = json_array_get(runs, 2);
  ck_assert_str_eq(json_string_value(json_object_get(failed, "state")), "failed");
  ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(failed, "error")), "the loss is"));

  const char *csv = RUN("runs", all, "--format", "csv", "--sort", "name").out;
  ck_assert_str_eq(line_of(&csv), "run,state,method,rank,lr,weight_decay,step,metric,valid,dev,"
                                  "examples_per_s,train_seconds,started");
  const char *row = line_of(&csv);
  ck_assert_msg(strncmp(row, "a/one,finished,condlora,4,0.02,0.0,8,accuracy,", 45) == 0, "%s", row);
  const char *markdown = RUN("runs", all, "--format", "markdown").out;
  ck_assert_ptr_nonnull(strstr(markdown, "| run | state | method | rank | lr |"));
  ck_assert_ptr_nonnull(strstr(markdown, "|---|---|---|---:|---:|"));
}
END_TEST

START_TEST(runs_are_sorted_by_a_metric)
{
  const char *all = three_runs();
  json_t *runs = parsed(RUN("runs", all, "--format", "json", "--metric", "loss").out);
  const char *best = json_string_value(json_object_get(json_array_get(runs, 0), "run"));
  double losses[2];
  static const char *const names[] = {"a/one", "b"};
  for (size_t i = 0; i < 2; i++)
    losses[i] = number_at(
        json_object_get(parsed(read_text(joined(joined(all, names[i]), "metrics.json"))), "valid"),
        "loss");
  /* The smaller loss is the better; the run without a score comes last. */
  ck_assert_str_eq(best, names[losses[1] < losses[0]]);
  ck_assert(number_at(json_array_get(runs, 0), "valid") == fmin(losses[0], losses[1]));
  ck_assert_str_eq(json_string_value(json_object_get(json_array_get(runs, 2), "run")), "failed");
  const char *text = RUN("runs", all, "--sort", "started").out;
  ck_assert(strstr(text, "\na/one") < strstr(text, "\nb "));
  ck_assert(strstr(text, "\nb ") < strstr(text, "\nfailed"));
}
END_TEST

START_TEST(a_run_is_running_stopped_and_finished)
{
  const char *all = scratch("all"), *out = joined(all, "run");
  const char *const arguments[] = {RUN_OF("300"), "--checkpoint-every", "1", "--output", out, NULL};
  const pid_t program = program_start_held(arguments, out);
  check_state(all, "run", "running");
  kill(program, SIGKILL);
  (void)program_wait(program);
  check_state(all, "run", "stopped");
  json_t *run = listed_run(parsed(RUN("runs", out, "--format", "json").out), "run");
  ck_assert(number_at(run, "step") >= 1 && number_at(run, "step") < 300);
  check_done(RUN(RUN_OF("300"), "--checkpoint-every", "1", "--output", out, "--resume"));
  check_state(all, "run", "finished");
}
END_TEST

START_TEST(a_page_shows_the_curves)
{
  const char *all = three_runs(), *page = scratch("page");
  check_done(RUN("runs", all, "--page", page));
  const char *html = read_text(joined(page, "runs.html"));
  ck_assert_ptr_nonnull(strstr(html, "<td>a/one</td>"));
  ck_assert_ptr_null(strstr(html, "src=\"plots/"));
  if (!plots_are_drawn())
    return;
  static const char *const plots[] = {"runs-loss.svg", "runs-metric.svg", "runs-rate.svg"};
  for (size_t i = 0; i < 3; i++)
    ck_assert(exists(joined(joined(page, "plots"), plots[i])));
  ck_assert_ptr_nonnull(strstr(html, "src=\"data:image/svg+xml;base64,"));
}
END_TEST

START_TEST(folders_without_a_run_are_refused)
{
  ck_assert_int_eq(mkdir(scratch("empty"), 0700), 0);
  check_refused(RUN("runs", scratch("empty")), 1, "empty", "no run");
  check_refused(RUN("runs", scratch("none")), 1, "none");
  check_refused(RUN("runs"), 2, "expected folders");
  check_refused(RUN("runs", scratch("empty"), "--metric", "accurate"), 2, "--metric", "accurate",
                "macro_f1");
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
  CASE(suite, runs_stand_side_by_side);
  CASE(suite, runs_are_sorted_by_a_metric);
  CASE(suite, a_run_is_running_stopped_and_finished);
  CASE(suite, a_page_shows_the_curves);
  CASE(suite, folders_without_a_run_are_refused);
  return run_suite(suite);
}
