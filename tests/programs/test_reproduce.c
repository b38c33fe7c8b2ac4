/* reproduce: tables say what the runs say, and a call that was stopped ends in the same bytes. */
#include <dirent.h>
#include <math.h>
#include <signal.h>

#include "tests/programs/program.h"

enum { TRAIN_EXAMPLES = 40, DEV_EXAMPLES = 12 };

/* GLUE's folder with RTE and STS-B, a few examples each. */
static const char *small_glue(void)
{
  static const char *const words[] = {"the cat", "a dog",  "sat there",
                                      "ran off", "saw me", "in it"};
  enum { WORDS = sizeof words / sizeof words[0] };
  static const char *const folders[] = {"glue", "glue/RTE", "glue/STS-B"};
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    mkdir(scratch(folders[i]), 0700);
  for (int task = 0; task < 2; task++)
    for (int dev = 0; dev < 2; dev++) {
      char text[8192] = "";
      size_t used = (size_t)snprintf(text, sizeof text, "sentence1\tsentence2\t%s\n",
                                     task == 0 ? "label" : "score");
      for (int i = 0; i < (dev ? DEV_EXAMPLES : TRAIN_EXAMPLES); i++) {
        const int a = (i * 7 + dev) % WORDS, b = (i * 5 + 2 * task) % WORDS;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %s\t%s\t", words[a], words[b],
                                 words[(a + i) % WORDS]);
        if (task == 0)
          used += (size_t)snprintf(text + used, sizeof text - used, "%s\n",
                                   (dev ? i < 7 : (a + b + i / 3) % 2 == 0) ? "entailment"
                                                                            : "not_entailment");
        else
          used += (size_t)snprintf(text + used, sizeof text - used, "%.1f\n",
                                   (a * 3 + b + i) % 11 / 2.0);
      }
      write_text(scratch(text_of("%s/%s.tsv", folders[task + 1], dev ? "dev" : "train")), text);
    }
  return scratch("glue");
}

#define COMMON(data, output, epochs)                                                        \
  "--model", case_file("bert-condlora-paper", "model"), "--data", data, "--output", output, \
      "--epochs", epochs, "--lr", "0.01", "--setting", "max_length=32", "--setting",        \
      "compat=none", "--tasks", "RTE,STS-B", "--threads", "2"
#define TABLE1(data, output, epochs, seeds)                                                    \
  "reproduce", "table1", COMMON(data, output, epochs), "--methods", "lora,condlora-reference", \
      "--seeds", seeds

/* ---- What the report says ---- */

/* Right predictions of a run over all, counted from the file itself. */
static double accuracy_of(const char *path)
{
  const char *line = strchr(read_text(path), '\n') + 1;
  int right = 0, count = 0;
  for (; *line != '\0'; line = strchr(line, '\n') + 1, count++) {
    const char *label = strchr(line, '\t') + 1, *prediction = strchr(label, '\t') + 1;
    const size_t length = (size_t)(prediction - label - 1);
    right += strncmp(label, prediction, length) == 0 && prediction[length] == '\n';
  }
  ck_assert_int_eq(count, DEV_EXAMPLES);
  return (double)right / count;
}

static json_t *row_of(json_t *table, const char *task, const char *method)
{
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(table, "rows"), i, row)
  {
    if (strcmp(json_string_value(json_object_get(row, "task")), task) == 0 &&
        strcmp(json_string_value(json_object_get(row, "method")), method) == 0)
      return row;
  }
  ck_abort_msg("no row of %s and %s", task, method);
}

START_TEST(tables_say_what_the_runs_say)
{
  const char *data = small_glue(), *out = scratch("out");
  check_done(RUN(TABLE1(data, out, "6", "2")));
  json_t *table = parsed(read_text(joined(out, "table.json")));
  static const char *const methods[] = {"lora", "condlora-reference"};
  for (size_t m = 0; m < 2; m++) {
    double scores[2];
    for (int seed = 0; seed < 2; seed++) {
      const char *run = joined(out, text_of("runs/RTE/%s/seed%d", methods[m], seed));
      json_t *metrics = parsed(read_text(joined(run, "metrics.json")));
      scores[seed] = accuracy_of(joined(run, "predictions.tsv"));
      ck_assert_double_eq_tol(scores[seed], number_at(json_object_get(metrics, "dev"), "accuracy"),
                              1e-12);
    }
    json_t *row = row_of(table, "RTE", methods[m]);
    const double mean = (scores[0] + scores[1]) / 2,
                 deviation = fabs(scores[0] - scores[1]) / sqrt(2);
    ck_assert_double_eq_tol(number_at(row, "mean"), mean, 1e-12);
    ck_assert_double_eq_tol(number_at(row, "deviation"), deviation, 1e-12);
    ck_assert_ptr_nonnull(strstr(read_text(joined(out, "report.md")),
                                 text_of("%.2f ± %.2f", 100 * mean, 100 * deviation)));
  }
  const char *report = read_text(joined(out, "report.md")),
             *page = read_text(joined(out, "report.html")),
             *card = read_text(joined(out, "MODEL_CARD.md"));
  const bool drawn = plots_are_drawn();
  const char *const wanted[] = {"12 layers of width 768",
                                "Seeds: 2; the paper has three",
                                "| `epochs` | 100 | 6 | all |",
                                "CondLoRA (orientation reference)",
                                "| always the commonest class | 58.33 | – |",
                                "p per seed",
                                "p per example",
                                drawn ? "plots/STS-B-loss.svg" : "Plots are left out: "};
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    ck_assert_msg(strstr(report, wanted[i]) != NULL, "no '%s' in %s", wanted[i], report);
  ck_assert_int_eq(strstr(page, "src=\"data:image/svg+xml;base64,") != NULL, drawn);
  ck_assert_ptr_null(strstr(page, "src=\"plots"));
  ck_assert_ptr_nonnull(strstr(card, "social biases"));
  /* What the runs used, and no mark for "not set". */
  ck_assert_ptr_null(strstr(card, "| -1"));
  ck_assert_ptr_null(strstr(report, "| -1 |"));
  ck_assert_ptr_nonnull(strstr(card, "| `dropout` | 0"));
  ck_assert_ptr_null(strstr(card, "| `max_length` | 0 |"));
  ck_assert_uint_eq(count_lines(read_text(joined(out, "runs.csv"))), 1 + 2 * 2 * 2);
  ck_assert_uint_eq(count_lines(read_text(joined(out, "table.csv"))), 1 + 2 * 2);
}
END_TEST

START_TEST(every_table_is_written)
{
  static const char map[] = "plots/RTE-seed0-paper-attention.self.value.svg";
  const struct {
    const char *table, *methods, *text;
  } tables[] = {
      {"table2", "lora,condlora-reference", "examples/s"},
      {"table3", "lora,condlora-reference", "LoRA beside CondLoRA (orientation reference)"},
      {"table4", "condlora-reference,condlora-type1,condlora-type2", "input type2"},
      {"table1", "condlora-random,condlora-permuted,shared",
       "The paper has no settings for CondLoRA, random weights (orientation paper); those of "
       "CondLoRA are used."},
      {"table1", "lora-xs,vera,none",
       "The paper has no settings for VeRA; those of LoRA are used."},
      {"figure1", "lora", plots_are_drawn() ? map : "Plots are left out: "}};
  const char *data = small_glue(), *out = scratch("out");
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    check_done(RUN("reproduce", tables[i].table, COMMON(data, out, "2"), "--methods",
                   tables[i].methods, "--seeds", "1"));
    ck_assert_msg(strstr(read_text(joined(out, "report.md")), tables[i].text) != NULL, "%s",
                  tables[i].table);
  }
  ck_assert_int_eq(exists(joined(out, map)), plots_are_drawn());
}
END_TEST

/* ---- Stopping and going on ---- */

/* What does not depend on how fast runs were. */
static void check_same_report(const char *a, const char *b)
{
  static const char *const files[] = {"report.md",          "report.html",         "MODEL_CARD.md",
                                      "table.csv",          "table.json",          "runs.csv",
                                      "plots/RTE-loss.svg", "plots/RTE-metric.svg"};
  const size_t plots = plots_are_drawn() ? 0 : 2;
  for (size_t i = 0; i < sizeof files / sizeof files[0] - plots; i++) {
    const char *left, *right;
    const size_t bytes = read_bytes(joined(a, files[i]), &left);
    ck_assert_uint_eq(read_bytes(joined(b, files[i]), &right), bytes);
    ck_assert_msg(memcmp(left, right, bytes) == 0, "%s differs", files[i]);
  }
}

/* What never comes is ended by the test's time limit: how long it takes is the machine's affair. */
static void await(const char *path)
{
  while (!exists(path))
    usleep(10000);
}

START_TEST(one_that_was_stopped_ends_in_the_same_report)
{
  const char *data = small_glue(), *whole = scratch("whole"), *stopped = scratch("stopped");
  check_done(RUN(TABLE1(data, whole, "12", "1")));
  const char *const arguments[] = {TABLE1(data, stopped, "12", "1"), NULL};
  static const struct {
    int signal;
    const char *after;
  } stops[] = {{SIGKILL, "runs/RTE/lora/seed0/train.jsonl"},
               {SIGHUP, "runs/RTE/condlora-reference/seed0"},
               {SIGKILL, "runs/STS-B/lora/seed0/metrics.json"},
               {SIGTERM, "runs/STS-B/condlora-reference/seed0/predictions.tsv"},
               {SIGKILL, "table.csv"}};
  for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
    if (exists(joined(stopped, stops[i].after)))
      /* the signal before came late, and this one would find a program that hardly runs */
      continue;
    const pid_t program = program_start(arguments);
    await(joined(stopped, stops[i].after));
    kill(program, stops[i].signal);
    const outcome o = program_wait(program); /* or it was done before the signal came */
    if (stops[i].signal == SIGKILL || o.exit == 0)
      ck_assert_msg(o.exit == -SIGKILL || o.exit == 0, "exit status %d: %s", o.exit, o.err);
    else {
      ck_assert_msg(o.exit == 128 + stops[i].signal, "exit status %d: %s", o.exit, o.err);
      ck_assert_ptr_nonnull(strstr(o.err, "the same command continues it"));
    }
  }
  check_done(program_run(NULL, arguments));
  check_same_report(whole, stopped);
  ck_assert_str_eq(listed(stopped), listed(whole));
  const outcome again = program_run(NULL, arguments); /* nothing is left to train */
  check_done(again);
  ck_assert_ptr_null(strstr(again.err, "seed"));
  check_same_report(whole, stopped);
}
END_TEST

/* ---- The verdict ---- */

#define VERDICT(data, output, ...)                                                               \
  "reproduce", "verdict", "--model", case_file("bert-condlora-paper", "model"), "--data", data,  \
      "--output", output, "--epochs", "4", "--setting", "max_length=32", "--tasks", "RTE,STS-B", \
      "--methods", "lora,condlora", "--threads", "2", __VA_ARGS__
#define SMALL_VERDICT(data, output, ...) \
  VERDICT(data, output, "--rates", "1e-3:1e-1:4", "--seeds", "2", __VA_ARGS__)

/* Epochs that the runs of a role and method on a task were trained, all together. */
static double epochs_of(const char *records, const char *task, const char *method, const char *role,
                        int *runs)
{
  double epochs = 0;
  *runs = 0;
  DIR *folder = opendir(records);
  ck_assert_ptr_nonnull(folder);
  const char *prefix = text_of("%s-%s-%s-", task, method, role);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
      continue;
    json_t *record = parsed(read_text(joined(records, entry->d_name)));
    json_t *evaluations = json_object_get(record, "evaluations");
    epochs += number_at(json_array_get(evaluations, json_array_size(evaluations) - 1), "epoch");
    ++*runs;
  }
  closedir(folder);
  return epochs;
}

START_TEST(a_search_trains_by_halving_and_seeds_at_the_chosen_rate)
{
  const char *data = small_glue(), *out = scratch("out"), *records = joined(out, "records");
  check_done(RUN(SMALL_VERDICT(data, out, NULL)));
  static const char *const tasks[] = {"RTE", "STS-B"}, *const methods[] = {"lora", "condlora"};
  for (int t = 0; t < 2; t++)
    for (int m = 0; m < 2; m++) {
      int runs;
      /* Four rates for an epoch, two for another, one for two more. */
      ck_assert_double_eq(epochs_of(records, tasks[t], methods[m], "search", &runs), 4 + 2 + 2);
      ck_assert_int_eq(runs, 4);
      ck_assert_double_eq(epochs_of(records, tasks[t], methods[m], "report", &runs), 2 * 4);
      ck_assert_int_eq(runs, 2);
    }
  json_t *cells = json_object_get(parsed(read_text(joined(out, "verdict.json"))), "cells");
  ck_assert_uint_eq(json_array_size(cells), 4);
  for (size_t i = 0; i < 4; i++) {
    json_t *cell = json_array_get(cells, i);
    const double rate = number_at(cell, "rate");
    for (int seed = 0; seed < 2; seed++) {
      const char *run = text_of("runs/%s/%s/rate%g-seed%d/metrics.json",
                                json_string_value(json_object_get(cell, "task")),
                                json_string_value(json_object_get(cell, "method")), rate, seed);
      json_t *dev = json_object_get(parsed(read_text(joined(out, run))), "dev");
      ck_assert_double_eq(
          json_number_value(json_array_get(json_object_get(cell, "scores"), (size_t)seed)),
          number_at(dev, json_string_value(json_object_get(cell, "metric"))));
    }
  }
  /* The figure follows the answer; without plots the report says so, once. */
  static const char figure[] = "plots/verdict-differences.svg",
                    map[] = "plots/verdict-1-RTE-paper-attention.self.value.svg",
                    left_out[] = "Plots are left out: ";
  const char *report = read_text(joined(out, "verdict.md")),
             *shown = strstr(report, plots_are_drawn() ? figure : left_out);
  ck_assert_ptr_nonnull(shown);
  ck_assert_ptr_null(strstr(shown + 1, left_out));
  ck_assert(strstr(report, "## Answer") < shown && shown < strstr(report, "## model, 4 epochs"));
  ck_assert_int_eq(exists(joined(out, figure)), plots_are_drawn());
  ck_assert_ptr_nonnull(strstr(report, "## Trained matrices: model, 4 epochs"));
  ck_assert_int_eq(strstr(report, map) != NULL, plots_are_drawn());
  /* Records alone give the same bytes; of records alone, nothing is trained. */
  const char *again = scratch("again");
  check_done(RUN("reproduce", "verdict", "--records", records, "--output", again));
  const char *const files[] = {"verdict.md", "verdict.html", "verdict.json", figure, map};
  for (size_t i = 0; i < (plots_are_drawn() ? 5 : 3); i++)
    ck_assert_str_eq(read_text(joined(again, files[i])), read_text(joined(out, files[i])));
  ck_assert(!exists(joined(again, "runs")));
}
END_TEST

/* The path of the one file whose name begins so. */
static const char *file_of(const char *folder, const char *prefix)
{
  const char *found = NULL;
  DIR *stream = opendir(folder);
  ck_assert_msg(stream != NULL, "%s", folder);
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
      found = joined(folder, entry->d_name);
  closedir(stream);
  ck_assert_msg(found != NULL, "%s in %s", prefix, folder);
  return found;
}

/* The values of a measure of attention.self.value in a record of matrices. */
static const char *values_of(json_t *record, const char *of, const char *name)
{
  size_t i;
  json_t *measure;
  json_array_foreach(json_object_get(record, "measures"), i, measure)
  {
    if (strcmp(json_string_value(json_object_get(measure, "of")), of) == 0 &&
        strcmp(json_string_value(json_object_get(measure, "name")), name) == 0 &&
        strcmp(json_string_value(json_object_get(measure, "target")), "attention.self.value") == 0)
      return json_string_value(json_object_get(measure, "values"));
  }
  ck_abort_msg("no %s %s", of, name);
}

static json_t *value_target(const char *path)
{
  size_t i;
  json_t *target;
  json_array_foreach(json_object_get(parsed(read_text(path)), "targets"), i, target)
  {
    if (strcmp(json_string_value(json_object_get(target, "target")), "attention.self.value") == 0)
      return target;
  }
  ck_abort_msg("%s: no attention.self.value", path);
}

/* Takes one number from the text. */
static void check_next(const char **text, double wanted)
{
  char *end;
  const double value = strtod(*text, &end);
  ck_assert(end != *text);
  ck_assert_double_eq_tol(value, wanted, 0.50001e-4); /* four decimals are kept */
  *text = end;
}

#define ANALYZE(what, adapter, output, ...)                                                    \
  "analyze", what, "--model", case_file("bert-condlora-paper", "model"), "--adapter", adapter, \
      "--i", vectors, "--j", vectors, "--plots", "none", "--output", output, "--seed", "0",    \
      __VA_ARGS__

/* What the records say of matrices is what condlora analyze says of the adapters. */
START_TEST(matrices_are_recorded_as_they_are)
{
  const char *data = small_glue(), *out = scratch("out"),
             *records = joined(out, "records/matrices");
  check_done(RUN(SMALL_VERDICT(data, out, NULL)));
  ck_assert_uint_eq(count_lines(listed(records)), 2 * 2);
  const char *beside = file_of(records, "RTE-condlora-");
  json_t *base = parsed(read_text(file_of(records, "RTE-lora-"))),
         *other = parsed(read_text(beside));
  const char *vectors = text_of("%g", number_at(base, "vectors")), *adapters[2];
  json_t *cells = json_object_get(parsed(read_text(joined(out, "verdict.json"))), "cells"), *cell;
  size_t i;
  json_array_foreach(cells, i, cell)
  {
    const char *method = json_string_value(json_object_get(cell, "method"));
    if (strcmp(json_string_value(json_object_get(cell, "task")), "RTE") == 0)
      adapters[strcmp(method, "lora") != 0] =
          joined(out, text_of("runs/RTE/%s/rate%g-seed0/adapter", method, number_at(cell, "rate")));
  }
  check_done(RUN(ANALYZE("conversion", adapters[0], scratch("conversion"), NULL)));
  check_done(RUN(ANALYZE("correlation", adapters[1], scratch("correlation"), NULL)));
  check_done(
      RUN(ANALYZE("similarity", adapters[0], scratch("similarity"), "--adapter2", adapters[1])));

  json_t *row, *number;
  size_t k;
  const char *values = values_of(base, "conversion", "paper BA");
  json_t *matrices =
      json_object_get(value_target(scratch("conversion/conversion.json")), "matrices");
  json_array_foreach(
      json_object_get(json_object_get(json_object_get(matrices, "BA"), "left"), "phi"), i, row)
  {
    json_array_foreach(row, k, number) check_next(&values, json_number_value(number));
  }
  ck_assert_str_eq(values, "");
  values = values_of(other, "similarity", "B");
  json_array_foreach(json_object_get(value_target(scratch("similarity/similarity.json")), "layers"),
                     i, row) check_next(&values, number_at(json_object_get(row, "B"), "phi"));
  ck_assert_str_eq(values, "");
  values = values_of(other, "correlation", "right");
  json_array_foreach(
      json_object_get(value_target(scratch("correlation/correlation.json")), "layers"), i, row)
      check_next(&values, number_at(json_object_get(row, "right"), "phi"));
  ck_assert_str_eq(values, "");

  /* A record that is missing is made again from the adapters, and not without them. */
  const char *before = read_text(beside);
  ck_assert_int_eq(unlink(beside), 0);
  check_done(RUN(SMALL_VERDICT(data, scratch("elsewhere"), "--records", joined(out, "records"))));
  ck_assert(!exists(beside));
  check_done(RUN(SMALL_VERDICT(data, out, NULL)));
  ck_assert_str_eq(read_text(beside), before);
}
END_TEST

START_TEST(a_verdict_that_was_stopped_has_the_same_records)
{
  const char *data = small_glue(), *whole = scratch("whole"), *stopped = scratch("stopped");
  check_done(RUN(SMALL_VERDICT(data, whole, NULL)));
  const char *const arguments[] = {SMALL_VERDICT(data, stopped, NULL), NULL};
  static const struct {
    int signal;
    const char *after;
  } stops[] = {{SIGKILL, "runs/RTE/lora/rate0.001-seed1000/train.jsonl"},
               {SIGTERM, "runs/RTE/condlora/rate0.1-seed1000/train.jsonl"},
               {SIGKILL, "runs/STS-B/lora/rate0.00464-seed1000/train.jsonl"}};
  for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
    const pid_t program = program_start(arguments);
    await(joined(stopped, stops[i].after));
    kill(program, stops[i].signal);
    program_wait(program);
  }
  /* What is left of the runs is lost, too: another machine has the records alone. */
  check_done(RUN("reproduce", "verdict", "--records", joined(stopped, "records"), "--output",
                 scratch("partial")));
  const char *const elsewhere[] = {
      SMALL_VERDICT(data, scratch("elsewhere"), "--records", joined(stopped, "records")), NULL};
  check_done(program_run(NULL, elsewhere));
  ck_assert_str_eq(read_text(joined(scratch("elsewhere"), "verdict.json")),
                   read_text(joined(whole, "verdict.json")));
  const outcome again = program_run(NULL, elsewhere);
  check_done(again);
  ck_assert_ptr_null(strstr(again.err, "run 1 of"));
}
END_TEST

START_TEST(bad_calls_of_the_verdict_say_what_is_wrong)
{
  const char *data = small_glue(), *out = scratch("out");
  static const char *const bad_rates[] = {"1e-3",  "1e-2:1e-3:3", "0:1:3", "1:2:0",
                                          "1:2:1", "1:2:99",      "1:2:3x"};
  for (size_t i = 0; i < sizeof bad_rates / sizeof bad_rates[0]; i++)
    check_refused(RUN(VERDICT(data, out, "--rates", bad_rates[i])), 2, "--rates", bad_rates[i]);
  check_refused(RUN(VERDICT(data, out, "--lr", "0.1")), 2, "--lr");
  check_refused(RUN(VERDICT(data, out, "--seeds", "1000,")), 2, "1000");
  check_refused(RUN(VERDICT(data, out, "--setting", "dev_fraction=0")), 2, "dev_fraction");
  check_refused(RUN("reproduce", "verdict", "--output", out), 1, "records");
  check_refused(RUN("reproduce", "verdict", "--records", out), 2, "--output");
  check_refused(RUN("reproduce", "table1", "--output", out, "--records", out), 2, "--records");
  check_refused(RUN("reproduce", "table1", "--output", out, "--rates", "1:2:3"), 2, "--rates");
  ck_assert(!exists(out));
}
END_TEST

/* ---- What is refused ---- */

START_TEST(anything_else_in_the_same_folder_is_refused)
{
  const char *data = small_glue(), *out = scratch("out");
#define SHORT(epochs, ...)                                                                         \
  RUN("reproduce", "table2", "--model", case_file("bert-condlora-paper", "model"), "--data", data, \
      "--output", out, "--seeds", "1", "--epochs", epochs, "--setting", "max_length=32",           \
      __VA_ARGS__)
  check_done(SHORT("1", "--methods", "lora"));
  check_refused(SHORT("2", "--methods", "lora"), 2, "epochs 1, not 2", "out");
  check_refused(SHORT("1", "--methods", "lora", "--lr", "0.5"), 2, "lr nothing, not 0.5");
  check_refused(SHORT("1", "--methods", "lora", "--setting", "lora:rank=4"), 2, "lora:rank");
  check_done(SHORT("1", "--methods", "lora,condlora")); /* more of the same */
  const char *file = joined(data, "RTE/dev.tsv");
  char *text = strdup(read_text(file));
  write_text(file, text_of("%sanother one\tin it\tentailment\n", text));
  check_refused(SHORT("1", "--methods", "lora"), 1, "out", "another content of RTE");
  write_text(file, text);
  free(text);
  check_done(SHORT("1", "--methods", "lora"));
#undef SHORT
}
END_TEST

/* Of a run that is finished, nothing is made again. */
START_TEST(a_damaged_run_is_named)
{
  static const struct {
    const char *file, *text, *said;
  } damages[] = {{"predictions.tsv", "index\tlabel\n", "line 1"},
                 {"predictions.tsv", "index\tlabel\tprediction\n0\tentailment\n", "line 2"},
                 {"train.jsonl", "{\"step\": 1}\n{\"step\"", "line 2"},
                 {"metrics.json", "{}", "\"dev\""},
                 {"run.json", "{}", "\"settings\""}};
  const char *data = small_glue();
#define ONE(output)                                                                                \
  RUN("reproduce", "table2", "--model", case_file("bert-condlora-paper", "model"), "--data", data, \
      "--output", output, "--seeds", "7,", "--methods", "lora", "--epochs", "1", "--setting",      \
      "max_length=32")
  for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
    const char *out = scratch(text_of("out%zu", i));
    check_done(ONE(out));
    write_text(joined(out, text_of("runs/RTE/lora/seed7/%s", damages[i].file)), damages[i].text);
    check_refused(ONE(out), 1, damages[i].file, damages[i].said);
  }
  write_text(scratch("file"), "x");
  check_refused(ONE(scratch("file")), 1, "file", "expected a folder");
#undef ONE
}
END_TEST

START_TEST(bad_calls_say_what_is_wrong)
{
  const char *data = small_glue(), *model = case_file("bert-condlora-paper", "model"),
             *out = scratch("out");
#define CALL(...)                                                                               \
  RUN("reproduce", __VA_ARGS__, "--model", model, "--data", data, "--output", out, "--setting", \
      "max_length=32")
  check_refused(CALL("table9"), 2, "table9", "table");
  check_refused(RUN("reproduce", "--model", model, "--data", data, "--output", out), 2, "table1");
  check_refused(RUN("reproduce", "table1", "--data", data, "--output", out), 2, "--model");
  check_refused(RUN("reproduce", "table1", "--model", model, "--output", out), 2, "--data");
  check_refused(RUN("reproduce", "table1", "--model", model, "--data", data), 2, "--output");
  check_refused(CALL("table1", "--tasks", "RTX"), 2, "--tasks", "RTX");
  check_refused(CALL("table1", "--tasks", "RTE,rte"), 2, "RTE", "twice");
  check_refused(CALL("table1", "--tasks", "WNLI"), 2, "wnli-lora");
  check_refused(CALL("table1", "--methods", "condlor"), 2, "condlor", "condlora");
  check_refused(CALL("table1", "--tasks", "RTE", "--seeds", "0"), 2, "--seeds");
  check_refused(CALL("table1", "--tasks", "RTE", "--seeds", "1,x"), 2, "--seeds", "1,x");
  check_refused(CALL("table1", "--tasks", "RTE", "--seeds", "4,4"), 2, "4", "twice");
  check_refused(CALL("table1", "--tasks", "RTE", "--setting", "lr"), 2, "KEY=VALUE");
  check_refused(CALL("table1", "--tasks", "RTE", "--setting", "ranc=4"), 2, "ranc");
  check_refused(CALL("table1", "--tasks", "RTE", "--setting", "seed=4"), 2, "seed");
  check_refused(CALL("table1", "--tasks", "RTE", "--setting", "adalora:lr=4"), 2, "adalora");
  check_refused(CALL("table1", "--tasks", "RTE", "--epochs", "many"), 2, "--epochs", "many");
  check_refused(CALL("table3", "--tasks", "RTE", "--methods", "condlora"), 2, "table3", "lora");
  check_refused(CALL("table1", "--tasks", "CoLA"), 1, "glue/CoLA/train.tsv");
  check_refused(RUN("reproduce", "table2", "--model", model, "--data", data, "--output", out), 2,
                "--max-length 512"); /* the recipes' is more than this model can take */
  unlink(scratch("glue/RTE/dev.tsv"));
  check_refused(CALL("table1", "--tasks", "RTE"), 1, "glue/RTE/dev.tsv");
  ck_assert(!exists(out));
#undef CALL
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("reproduce");
  CASE(suite, tables_say_what_the_runs_say);
  CASE(suite, every_table_is_written);
  CASE_THAT_REPEATS(suite, one_that_was_stopped_ends_in_the_same_report);
  CASE(suite, a_search_trains_by_halving_and_seeds_at_the_chosen_rate);
  CASE(suite, matrices_are_recorded_as_they_are);
  CASE_THAT_REPEATS(suite, a_verdict_that_was_stopped_has_the_same_records);
  CASE(suite, bad_calls_of_the_verdict_say_what_is_wrong);
  CASE(suite, anything_else_in_the_same_folder_is_refused);
  CASE(suite, a_damaged_run_is_named);
  CASE(suite, bad_calls_say_what_is_wrong);
  return run_suite(suite);
}
