/* Tables of scores, tests and speeds. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/reports/sections.h"

/* What the paper prints for RoBERTa-base, for the two methods of its tables. */
static const struct {
  const char *task;
  double lora, condlora;
} paper_scores[] = {{"MNLI", 86.6, 86.5}, {"SST-2", 93.7, 93.8}, {"MRPC", 86.2, 86.6},
                    {"CoLA", 61.2, 61.1}, {"QNLI", 92.0, 91.8},  {"QQP", 90.5, 90.1},
                    {"RTE", 74.3, 74.2},  {"STS-B", 89.3, 90.3}};
enum { PAPER_TASKS = sizeof paper_scores / sizeof paper_scores[0] };

cdl_described cdl_method_title(const cdl_compared_method *m)
{
  cdl_described d;
  snprintf(d.text, sizeof d.text, m->form != NULL ? "%s (%s)" : "%s", m->title, m->form);
  return d;
}

size_t cdl_baseline(const cdl_comparison *c)
{
  for (size_t m = 0; m < c->method_count; m++)
    if (strcmp(c->methods[m]->name, "lora") == 0)
      return m;
  return 0;
}

/* "61.20 ± 0.31", of a hundred. */
static void score_cell(cdl_document *to, cdl_spread spread)
{
  if (isnan(spread.mean))
    cdl_document_cell(to, "undefined");
  else if (isnan(spread.deviation))
    cdl_document_cell(to, "%.2f", 100 * spread.mean);
  else
    cdl_document_cell(to, "%.2f ± %.2f", 100 * spread.mean, 100 * spread.deviation);
}

/* What says nothing of an example reaches as much: Matthews' correlation is 0 then. */
static void commonest_row(const cdl_comparison *c, cdl_document *to)
{
  cdl_document_cell(to, "always the commonest class");
  for (size_t t = 0; t < c->task_count; t++) {
    const double share = cdl_compared_run_at(c, t, 0, 0)->commonest;
    if (c->tasks[t]->metrics[0] == CDL_METRIC_MCC)
      cdl_document_cell(to, "%.2f", 0.0);
    else if (isnan(share))
      cdl_document_cell(to, "–");
    else
      cdl_document_cell(to, "%.2f", 100 * share);
  }
  cdl_document_cell(to, "–");
}

static void paper_row(const cdl_comparison *c, cdl_document *to, const char *title, bool lora)
{
  cdl_document_cell(to, "%s", title);
  for (size_t t = 0; t < c->task_count; t++) {
    int known = 0;
    while (known < PAPER_TASKS && strcmp(paper_scores[known].task, c->tasks[t]->name) != 0)
      known++;
    if (known < PAPER_TASKS)
      cdl_document_cell(to, "%.1f", lora ? paper_scores[known].lora : paper_scores[known].condlora);
    else
      cdl_document_cell(to, "–");
  }
  cdl_document_cell(to, lora ? "83.38 (of 8)" : "83.42 (of 8)");
}

static bool has_method(const cdl_comparison *c, const char *name)
{
  for (size_t m = 0; m < c->method_count; m++)
    if (strcmp(c->methods[m]->name, name) == 0)
      return true;
  return false;
}

/* F1 of MRPC and QQP, Spearman's correlation of STS-B. */
static void write_second_metrics(const cdl_comparison *c, cdl_document *to)
{
  int tasks = 0;
  for (size_t t = 0; t < c->task_count; t++)
    tasks += c->tasks[t]->metric_count > 1;
  if (tasks == 0)
    return;
  cdl_document_paragraph(to, "Second metrics, of the same adapters:");
  cdl_document_table_begin(to, tasks + 1);
  cdl_document_cell(to, "method");
  for (size_t t = 0; t < c->task_count; t++)
    if (c->tasks[t]->metric_count > 1)
      cdl_document_cell(to, "%s, %s", c->tasks[t]->name, cdl_metric_name(c->tasks[t]->metrics[1]));
  for (size_t m = 0; m < c->method_count; m++) {
    cdl_document_cell(to, "%s", cdl_method_title(c->methods[m]).text);
    for (size_t t = 0; t < c->task_count; t++)
      if (c->tasks[t]->metric_count > 1)
        score_cell(to, cdl_second_score(c, t, m));
  }
  cdl_document_table_end(to);
}

void cdl_write_scores(const cdl_comparison *c, cdl_document *to)
{
  cdl_document_heading(to, "Scores");
  cdl_document_paragraph(
      to,
      "On the official dev set, times 100, with the adapter that was best on the held-out part of "
      "train: mean ± sample standard deviation over %zu seed%s. The last rows are what the paper "
      "prints for RoBERTa-base.",
      c->seed_count, c->seed_count == 1 ? " (one: no deviation)" : "s");
  cdl_document_table_begin(to, (int)c->task_count + 2);
  cdl_document_cell(to, "method");
  for (size_t t = 0; t < c->task_count; t++)
    cdl_document_cell(to, "%s, %s", c->tasks[t]->name, cdl_metric_name(c->tasks[t]->metrics[0]));
  cdl_document_cell(to, "average");
  for (size_t m = 0; m < c->method_count; m++) {
    cdl_document_cell(to, "%s", cdl_method_title(c->methods[m]).text);
    for (size_t t = 0; t < c->task_count; t++)
      score_cell(to, cdl_task_score(c, t, m));
    score_cell(to, cdl_average_score(c, m));
  }
  commonest_row(c, to);
  if (has_method(c, "lora"))
    paper_row(c, to, "the paper's LoRA", true);
  if (has_method(c, "condlora-reference"))
    paper_row(c, to, "the paper's CondLoRA (orientation reference)", false);
  cdl_document_table_end(to);
  write_second_metrics(c, to);
}

/* ---- Tests ---- */

static void p_cell(cdl_document *to, const cdl_paired_test *test)
{
  if (isnan(test->p))
    cdl_document_cell(to, "–");
  else if (test->p < 0.0005)
    cdl_document_cell(to, "< 0.001");
  else
    cdl_document_cell(to, "%.3f", test->p);
}

static cdl_status test_row(const cdl_comparison *c, cdl_document *to, size_t task, size_t method,
                           size_t base)
{
  cdl_paired_test example, seed = cdl_test_by_seed(c, task, method, base);
  CDL_TRY(cdl_test_by_example(c, task, method, base, &example));
  cdl_document_cell(to, "%s, %s", c->tasks[task]->name, cdl_method_title(c->methods[method]).text);
  cdl_document_cell(to, "%+.2f", 100 * seed.mean);
  cdl_document_cell(to, "%zu", seed.count);
  p_cell(to, &seed);
  if (cdl_task_is_regression(c->tasks[task]))
    cdl_document_cell(to, "%+.4f of squared error", -example.mean);
  else
    cdl_document_cell(to, "%+.2f of 100 right", 100 * example.mean);
  cdl_document_cell(to, "%zu", example.count);
  p_cell(to, &example);
  return CDL_OK;
}

cdl_status cdl_write_tests(const cdl_comparison *c, cdl_document *to)
{
  const size_t base = cdl_baseline(c);
  if (c->method_count < 2)
    return CDL_OK;
  cdl_document_heading(to, "Paired t-tests");
  cdl_document_paragraph(to,
                         "Each method less %s; p is two-sided. Per seed: pairs of scores of runs "
                         "with the same seed. "
                         "Per example: pairs of examples of dev; right is 1 and wrong 0, for a "
                         "regression the squared "
                         "error, averaged over the seeds. A dash: there are fewer than two pairs, "
                         "or all differ alike, which leaves no variance to test against. Many "
                         "tests are made here; single small p are to be expected.",
                         cdl_method_title(c->methods[base]).text);
  cdl_document_table_begin(to, 7);
  static const char *const titles[] = {"task, method", "difference in score",    "seeds",
                                       "p per seed",   "difference per example", "examples",
                                       "p per example"};
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    cdl_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++)
      if (m != base)
        CDL_TRY(test_row(c, to, t, m, base));
  cdl_document_table_end(to);
  return CDL_OK;
}

/* ---- Parameters and speed ---- */

void cdl_write_speed(const cdl_comparison *c, cdl_document *to)
{
  cdl_document_heading(to, "Trained parameters and speed");
  cdl_document_paragraph(
      to, "Examples a second are those of training, without evaluations, as each run measured them "
          "when "
          "it ended; a run that was stopped and went on counts its last part. The paper, with "
          "RoBERTa-base on an A100 of 40 GB: LoRA 294,912 and 39.652, CondLoRA 24,576 and 40.303.");
  cdl_document_table_begin(to, 5);
  static const char *const titles[] = {"task, method", "adapter's numbers", "head's numbers",
                                       "examples/s", "runs"};
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    cdl_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++) {
      const cdl_compared_run *run = cdl_compared_run_at(c, t, m, 0);
      const cdl_spread speed = cdl_speed(c, t, m);
      cdl_document_cell(to, "%s, %s", c->tasks[t]->name, cdl_method_title(c->methods[m]).text);
      cdl_document_cell(to, "%" PRId64, run->adapter_numbers);
      cdl_document_cell(to, "%" PRId64, run->head_numbers);
      if (isnan(speed.deviation))
        cdl_document_cell(to, "%.1f", speed.mean);
      else
        cdl_document_cell(to, "%.1f ± %.1f", speed.mean, speed.deviation);
      cdl_document_cell(to, "%zu", speed.count);
    }
  cdl_document_table_end(to);
}
