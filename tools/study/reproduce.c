#include "tools/study/reproduce.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/number.h"
#include "model/hub/resolve.h"
#include "tools/reports/report.h"
#include "tools/study/reproduce_manifest.h"
#include "tools/study/reproduce_ranks.h"
#include "tools/study/reproduce_run.h"
#include "tools/study/reproduce_settings.h"
#include "tools/study/verdict.h"

/* ---- The lists ---- */

static cdl_status read_tasks(study_reproduction *r)
{
  report_comparison *c = &r->comparison;
  c->tasks = calloc(r->tasks.count + 1, sizeof *c->tasks);
  if (c->tasks == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --tasks");
  for (size_t i = 0; i < r->tasks.count; i++) {
    CDL_TRY(cdl_context(cdl_task_find(r->tasks.item[i], &c->tasks[i]), "--tasks"));
    for (size_t k = 0; k < i; k++)
      if (c->tasks[k] == c->tasks[i])
        return cdl_fail(CDL_STATUS_USAGE, "--tasks names %s twice", c->tasks[i]->name);
    c->task_count++;
  }
  return CDL_STATUS_OK;
}

static cdl_status read_methods(study_reproduction *r)
{
  report_comparison *c = &r->comparison;
  c->methods = calloc(r->methods.count + 1, sizeof *c->methods);
  if (c->methods == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --methods");
  for (size_t i = 0; i < r->methods.count; i++) {
    CDL_TRY(report_compared_method_find(r->methods.item[i], &c->methods[i]));
    for (size_t k = 0; k < i; k++)
      if (c->methods[k] == c->methods[i])
        return cdl_fail(CDL_STATUS_USAGE, "--methods names %s twice", c->methods[i]->name);
    c->method_count++;
  }
  return CDL_STATUS_OK;
}

static bool is_whole(const char *text, int64_t *value)
{
  return base_integer_parse(text, strlen(text), value) && *value <= INT32_MAX;
}

/* Reads seeds: "3" means 0, 1, 2; "5,7" means 5 and 7; "5," means 5 alone. */
static cdl_status read_seeds(study_reproduction *r, const char *text)
{
  enum { MOST = 1000 };
  report_comparison *c = &r->comparison;
  int64_t count = 0;
  const bool counted = is_whole(text, &count);
  if (counted && (count < 1 || count > MOST))
    return cdl_fail(CDL_STATUS_USAGE, "--seeds: a number is 1 to %d seeds, not %s", MOST, text);
  const size_t length = strlen(text);
  char *list = strndup(text, length > 0 && text[length - 1] == ',' ? length - 1 : length);
  cdl_status status =
      list != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: --seeds");
  if (status == CDL_STATUS_OK)
    status = base_list_split("--seeds", list, &r->seeds);
  free(list);
  CDL_TRY(status);
  c->seed_count = counted ? (size_t)count : r->seeds.count;
  int64_t *seeds = calloc(c->seed_count + 1, sizeof *seeds);
  c->seeds = seeds;
  if (seeds == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --seeds");
  for (size_t i = 0; i < c->seed_count; i++) {
    seeds[i] = (int64_t)i;
    if (!counted && !is_whole(r->seeds.item[i], &seeds[i]))
      return cdl_fail(CDL_STATUS_USAGE, "--seeds needs how many (3) or which (0,7), not '%s'",
                      text);
    for (size_t k = 0; k < i; k++)
      if (seeds[k] == seeds[i])
        return cdl_fail(CDL_STATUS_USAGE, "--seeds names %" PRId64 " twice", seeds[i]);
  }
  return CDL_STATUS_OK;
}

static cdl_status add_setting(base_list *list, const char *key, const char *value)
{
  char **larger = realloc(list->item, (list->count + 1) * sizeof *larger);
  if (larger == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --setting");
  list->item = larger;
  if (asprintf(&list->item[list->count], "%s%s%s", key, value != NULL ? "=" : "",
               value != NULL ? value : "") < 0)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --setting");
  list->count++;
  return CDL_STATUS_OK;
}

static void release(study_reproduction *r)
{
  base_list *const lists[] = {&r->tasks, &r->methods, &r->seeds, &r->settings};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    base_list_release(lists[i]);
  cdl_hub_source_close(r->model);
  free(r->comparison.tasks);
  free(r->comparison.methods);
  free((void *)(uintptr_t)r->comparison.seeds);
  *r = (study_reproduction){0};
}

/* ---- The reproduction ---- */

/* Trains seed by seed, so that a stopped reproduction leaves complete comparisons. */
static cdl_status run_all(const study_reproduction *r)
{
  const report_comparison *c = &r->comparison;
  for (size_t s = 0; s < c->seed_count; s++)
    for (size_t t = 0; t < c->task_count; t++)
      for (size_t m = 0; m < c->method_count; m++)
        CDL_TRY(study_reproduce_run(r, t, m, s));
  return CDL_STATUS_OK;
}

/* Reads the recipes' settings, [tasks, methods]; the caller releases each. */
static cdl_status read_recipes(const study_reproduction *r, json_t **recipes)
{
  const report_comparison *c = &r->comparison;
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++) {
      train_settings settings;
      char folder[] = "run"; /* nothing is written */
      const study_run run = {.task = t,
                             .method = m,
                             .seed = c->seeds[0],
                             .rate = NAN,
                             .folder = folder,
                             .recipe_only = true};
      CDL_TRY(study_reproduce_settings(r, &run, &settings));
      json_t *object = recipes[t * c->method_count + m] = train_settings_json(&settings, true);
      train_settings_release(&settings);
      if (object == NULL)
        return cdl_fail(CDL_STATUS_MEMORY, "out of memory: recipes");
    }
  return CDL_STATUS_OK;
}

static cdl_status write_report(const study_reproduction *r)
{
  const size_t count = r->comparison.task_count * r->comparison.method_count;
  json_t **recipes = calloc(count + 1, sizeof *recipes);
  report_source source = {.kind = r->kind,
                          .comparison = &r->comparison,
                          .recipes = recipes,
                          .model = r->asked.model,
                          .folder = cdl_hub_source_folder(r->model),
                          .backend = r->asked.backend,
                          .threads = (int)r->asked.threads,
                          .no_fallback = r->asked.no_fallback};
  cdl_status status = recipes != NULL ? read_recipes(r, recipes)
                                      : cdl_fail(CDL_STATUS_MEMORY, "out of memory: recipes");
  if (status == CDL_STATUS_OK)
    status = report_write(&source);
  for (size_t i = 0; recipes != NULL && i < count; i++)
    json_decref(recipes[i]);
  free(recipes);
  return status;
}

static cdl_status read_lists(study_reproduction *r)
{
  const study_reproduce_request *given = &r->asked;
  const report_kind *kind = r->kind;
  CDL_TRY(base_list_split("--tasks", given->tasks != NULL ? given->tasks : kind->tasks, &r->tasks));
  CDL_TRY(base_list_split("--methods", given->methods != NULL ? given->methods : kind->methods,
                          &r->methods));
  CDL_TRY(read_tasks(r));
  CDL_TRY(read_methods(r));
  CDL_TRY(report_check(kind, &r->comparison));
  CDL_TRY(read_seeds(r, given->seeds != NULL ? given->seeds : kind->seeds));
  if (given->epochs != NULL)
    CDL_TRY(add_setting(&r->settings, "epochs", given->epochs));
  if (given->lr != NULL)
    CDL_TRY(add_setting(&r->settings, "lr", given->lr));
  for (size_t i = 0; i < given->setting_count; i++)
    CDL_TRY(add_setting(&r->settings, given->settings[i], NULL));
  return CDL_STATUS_OK;
}

/* Options that only some of the reports have. */
static cdl_status check_options(const study_reproduction *r)
{
  const study_reproduce_request *a = &r->asked;
  if (r->kind->content != REPORT_VERDICT)
    return a->rates == NULL && a->records == NULL
               ? CDL_STATUS_OK
               : cdl_fail(CDL_STATUS_USAGE, "%s is for verdict, not for %s",
                          a->rates != NULL ? "--rates" : "--records", r->kind->name);
  if (a->output == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "reproduce wants --output: the folder of the report");
  return a->lr == NULL ? CDL_STATUS_OK
                       : cdl_fail(CDL_STATUS_USAGE,
                                  "--lr is not for verdict, which searches the rate; --rates says "
                                  "among which");
}

static cdl_status check_places(const study_reproduction *r)
{
  if (r->asked.model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "reproduce needs --model: the folder of the encoder");
  if (r->asked.data == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "reproduce needs --data: the folder that holds GLUE's tasks");
  return r->asked.output != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE,
                        "reproduce needs --output: the folder of runs and report");
}

/* Trains the runs and writes the report. */
static cdl_status lead(study_reproduction *r)
{
  if (r->kind->content == REPORT_VERDICT)
    return study_verdict_run(r);
  cdl_status status = run_all(r);
  if (status == CDL_STATUS_OK)
    status = report_comparison_read(&r->comparison);
  if (status == CDL_STATUS_OK)
    status = write_report(r);
  report_comparison_release(&r->comparison);
  return status;
}

static bool only_reports(const study_reproduction *r)
{
  return r->kind->content == REPORT_VERDICT && r->asked.model == NULL;
}

static cdl_status check(study_reproduction *r)
{
  if (r->asked.table == NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "reproduce what? verdict, table1, table2, table3, table4 or figure1");
  CDL_TRY(report_kind_find(r->asked.table, &r->kind));
  CDL_TRY(check_options(r));
  if (only_reports(r))
    return CDL_STATUS_OK;
  CDL_TRY(check_places(r));
  CDL_TRY(read_lists(r));
  CDL_TRY(hub_resolve(r->asked.model, CDL_HUB_MODEL, &r->model));
  r->comparison.folder = r->asked.output;
  CDL_TRY(study_reproduce_check(r));
  return r->kind->content == REPORT_VERDICT ? study_verdict_check(r) : CDL_STATUS_OK;
}

static cdl_status enter_folder(const study_reproduction *r, base_lock **lock)
{
  CDL_TRY(base_lock_take(r->asked.output, lock));
  return study_reproduce_manifest(r);
}

static cdl_status run(study_reproduction *r)
{
  ranks_job *job = r->asked.job;
  const bool leads = ranks_rank(job) == 0;
  base_lock *lock = NULL;
  CDL_TRY(ranks_agree(job, check(r), "the settings"));
  if (only_reports(r))
    return ranks_agree(job, leads ? study_verdict_report(r) : CDL_STATUS_OK, "the report");
  const cdl_status entered = leads ? enter_folder(r, &lock) : CDL_STATUS_OK;
  cdl_status status = ranks_agree(job, entered, "the output folder");
  if (status == CDL_STATUS_OK) {
    if (r->events.began != NULL)
      r->events.began(r->events.user);
    status = leads ? study_ranks_dismiss(r, lead(r)) : study_ranks_follow(r);
  }
  base_lock_release(lock);
  return status;
}

cdl_status study_reproduce(const study_reproduce_request *request,
                           const study_reproduce_events *events)
{
  study_reproduction r = {.asked = *request, .events = *events};
  const cdl_status status = run(&r);
  release(&r);
  return status;
}
