/* condlora reproduce */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/visible.h"
#include "tools/cli/command.h"
#include "tools/console/log.h"
#include "tools/console/progress.h"
#include "tools/console/signals.h"
#include "tools/study/reproduce.h"

typedef struct {
  study_reproduce_request request;
  base_strings settings;
  console_notices *notices;
  console_progress progress;
} reproducing;

/* ---- Events ---- */

static void on_began(void *user)
{
  reproducing *c = user;
  console_notices_release(c->notices);
  console_signals_defer();
}

static json_t *run_json(const study_run_begin *run)
{
  json_t *fields = json_object();
  base_json_set_text(&fields, "event", "run");
  if (run->number > 0) {
    base_json_set(&fields, "number", json_integer((json_int_t)run->number));
    base_json_set(&fields, "of", json_integer((json_int_t)run->of));
  }
  if (!isnan(run->seconds_left))
    base_json_set(&fields, "seconds_left", base_json_rounded(run->seconds_left, 0));
  base_json_set_text(&fields, "task", run->task);
  base_json_set_text(&fields, "method", run->method);
  if (!isnan(run->rate))
    base_json_set(&fields, "lr", base_json_number(run->rate));
  base_json_set(&fields, "seed", json_integer((json_int_t)run->seed));
  return fields;
}

/* "run 17 of 96, about 3:40 left: RTE, lora, rate 0.0005, seed 0". */
static void on_run_began(void *user, const study_run_begin *run)
{
  reproducing *c = user;
  console_progress_best(&c->progress, NAN);
  if (console_log_is_json()) {
    console_log_object(CONSOLE_LOG_INFO, run_json(run));
    return;
  }
  if (run->number > 0)
    fprintf(stderr, "run %zu of %zu", run->number, run->of);
  if (!isnan(run->seconds_left)) {
    const long minutes = lround(run->seconds_left / 60);
    fprintf(stderr, ", about %ld:%02ld left", minutes / 60, minutes % 60);
  }
  fprintf(stderr, "%s%s, %s", run->number > 0 ? ": " : "", run->task, run->method);
  if (!isnan(run->rate))
    fprintf(stderr, ", rate %g%s", run->rate, run->search ? " of the search" : "");
  fprintf(stderr, ", seed %" PRId64 "\n", run->seed);
}

static void on_stepped(void *user, const train_step_report *report)
{
  reproducing *c = user;
  console_progress_step(&c->progress, report);
}

static void on_evaluated(void *user, const train_evaluation_report *report)
{
  reproducing *c = user;
  console_progress_evaluation(&c->progress, report);
}

static void on_run_trained(void *user)
{
  reproducing *c = user;
  console_progress_clear(&c->progress);
}

static void clear_line(void *user)
{
  console_progress_clear(user);
}

/* ---- The command ---- */

static cdl_status run(void *command, console_notices *notices)
{
  reproducing *c = command;
  const study_reproduce_events events = {.user = c,
                                         .began = on_began,
                                         .run_began = on_run_began,
                                         .stepped = on_stepped,
                                         .evaluated = on_evaluated,
                                         .run_trained = on_run_trained,
                                         .stop = console_signals_flag()};
  c->notices = notices;
  console_progress_begin(&c->progress);
  notices->before_line = clear_line;
  notices->user = &c->progress;
  c->request.settings = c->settings.item;
  c->request.setting_count = c->settings.count;
  c->request.job = cli_job();
  cli_job_share_threads(&c->request.threads);
  CDL_TRY(study_reproduce(&c->request, &events));
  if (console_log_is_quiet())
    return CDL_STATUS_OK;
  const base_visible_text output = base_visible(c->request.output);
  const char *name = strcmp(c->request.table, "verdict") == 0 ? "verdict" : "report";
  printf("%s/%s.md\n%s/%s.html\n", output.text, name, output.text, name);
  return CDL_STATUS_OK;
}

static const base_operand tables[] = {{"verdict", NULL}, {"table1", NULL}, {"table2", NULL},
                                      {"table3", NULL},  {"table4", NULL}, {"figure1", NULL}};

cdl_status cli_reproduce(int count, char **arguments)
{
  reproducing c = {.request = {.backend = "auto"}};
  const base_option options[] = {
      BASE_SECTION("Model and data"),
      BASE_OPTION(STRING, "model", &c.request.model, "MODEL", "the encoder, as a folder or a name"),
      BASE_OPTION(STRING, "data", &c.request.data, "DIR",
                  "folder with one folder for each GLUE task"),
      BASE_OPTION(STRING, "output", &c.request.output, "DIR",
                  "folder for runs and report; finished runs in it are reused"),
      BASE_SECTION("Runs"),
      BASE_OPTION(STRING, "tasks", &c.request.tasks, "A,B", "GLUE tasks [the table's]"),
      BASE_OPTION(STRING, "methods", &c.request.methods, "A,B",
                  "lora, condlora-reference, condlora, condlora-type1, condlora-type2, adalora, "
                  "condadalora [the table's]"),
      BASE_OPTION(
          STRING, "seeds", &c.request.seeds, "N",
          "number of seeds, counted from 0, or a list of seeds with commas: 0,7 [the table's]"),
      BASE_OPTION(STRING, "rates", &c.request.rates, "LOW:HIGH:COUNT",
                  "learning rates that verdict searches, evenly spaced in the logarithm "
                  "[2e-4:2e-2:6]"),
      BASE_OPTION(STRING, "records", &c.request.records, "DIR",
                  "records of the runs of verdict; runs with a record are not repeated "
                  "[OUTPUT/records]"),
      BASE_SECTION("Changes to the recipes"),
      BASE_OPTION(STRING, "epochs", &c.request.epochs, "N", "passes over the training examples"),
      BASE_OPTION(STRING, "lr", &c.request.lr, "RATE", "peak learning rate"),
      BASE_OPTION(
          STRINGS, "setting", &c.settings, "KEY=VALUE",
          "any setting of condlora train, or METHOD:KEY=VALUE for one method; may be repeated"),
      BASE_SECTION("Backend"),
      CLI_BACKEND_OPTION(c.request),
      CLI_THREADS_OPTIONS(c.request)};
  const base_command_line line = {
      .usage = "condlora reproduce TABLE --model MODEL --data DIR --output DIR [OPTION …]\n"
               "condlora reproduce verdict --records DIR --output DIR",
      .summary = "Trains the runs that a table or figure of the CondLoRA paper compares, with the "
                 "paper's recipes, and writes a report. TABLE is table1, table2, table3, table4, "
                 "figure1 or verdict, which compares methods, each at a learning rate that the "
                 "same search chose for it. To continue a stopped call, repeat it.",
      .options = BASE_OPTIONS(options),
      .operands = &c.request.table,
      .operands_most = 1,
      .words = tables,
      .word_count = sizeof tables / sizeof tables[0]};
  return cli_run(&line, count, arguments, run, &c);
}
