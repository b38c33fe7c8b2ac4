#include "tools/reports/scores.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/reports/aggregate.h"

/* The paper's scores of RoBERTa-base for the two methods of its tables. */
static const struct {
  const char *task;
  double lora, condlora;
} paper_scores[] = {{"MNLI", 86.6, 86.5}, {"SST-2", 93.7, 93.8}, {"MRPC", 86.2, 86.6},
                    {"CoLA", 61.2, 61.1}, {"QNLI", 92.0, 91.8},  {"QQP", 90.5, 90.1},
                    {"RTE", 74.3, 74.2},  {"STS-B", 89.3, 90.3}};
enum { PAPER_TASKS = sizeof paper_scores / sizeof paper_scores[0] };

/* Writes a cell such as "61.20 ± 0.31", in percent. */
static void score_cell(report_document *to, report_spread spread)
{
  if (isnan(spread.mean))
    report_document_cell(to, "undefined");
  else if (isnan(spread.deviation))
    report_document_cell(to, "%.2f", 100 * spread.mean);
  else
    report_document_cell(to, "%.2f ± %.2f", 100 * spread.mean, 100 * spread.deviation);
}

/* Adds the score of always answering the most frequent class; Matthews' correlation of that is
 * 0. */
static void commonest_row(const report_comparison *c, report_document *to)
{
  report_document_cell(to, "always the commonest class");
  for (size_t t = 0; t < c->task_count; t++) {
    const double share = report_compared_run_at(c, t, 0, 0)->commonest;
    if (c->tasks[t]->metrics[0] == CDL_METRIC_MCC)
      report_document_cell(to, "%.2f", 0.0);
    else if (isnan(share))
      report_document_cell(to, "–");
    else
      report_document_cell(to, "%.2f", 100 * share);
  }
  report_document_cell(to, "–");
}

static void paper_row(const report_comparison *c, report_document *to, const char *title, bool lora)
{
  report_document_cell(to, "%s", title);
  for (size_t t = 0; t < c->task_count; t++) {
    int known = 0;
    while (known < PAPER_TASKS && strcmp(paper_scores[known].task, c->tasks[t]->name) != 0)
      known++;
    if (known < PAPER_TASKS)
      report_document_cell(to, "%.1f",
                           lora ? paper_scores[known].lora : paper_scores[known].condlora);
    else
      report_document_cell(to, "–");
  }
  report_document_cell(to, lora ? "83.38 (of 8)" : "83.42 (of 8)");
}

static bool has_method(const report_comparison *c, const char *name)
{
  for (size_t m = 0; m < c->method_count; m++)
    if (strcmp(c->methods[m]->name, name) == 0)
      return true;
  return false;
}

/* Writes the second metrics: F1 of MRPC and QQP, Spearman's correlation of STS-B. */
static void write_second_metrics(const report_comparison *c, report_document *to)
{
  int tasks = 0;
  for (size_t t = 0; t < c->task_count; t++)
    tasks += c->tasks[t]->metric_count > 1;
  if (tasks == 0)
    return;
  report_document_paragraph(to, "Second metrics, of the same adapters:");
  report_document_table_begin(to, tasks + 1);
  report_document_cell(to, "method");
  for (size_t t = 0; t < c->task_count; t++)
    if (c->tasks[t]->metric_count > 1)
      report_document_cell(to, "%s, %s", c->tasks[t]->name,
                           cdl_metric_name(c->tasks[t]->metrics[1]));
  for (size_t m = 0; m < c->method_count; m++) {
    report_document_cell(to, "%s", report_method_title(c->methods[m]).text);
    for (size_t t = 0; t < c->task_count; t++)
      if (c->tasks[t]->metric_count > 1)
        score_cell(to, report_second_score(c, t, m));
  }
  report_document_table_end(to);
}

void report_write_scores(const report_comparison *c, report_document *to)
{
  report_document_heading(to, "Scores");
  report_document_paragraph(
      to,
      "On the official dev set, times 100, with the adapter that was best on the held-out part of "
      "train: mean ± sample standard deviation over %zu seed%s. The last rows are what the paper "
      "prints for RoBERTa-base.",
      c->seed_count, c->seed_count == 1 ? " (one: no deviation)" : "s");
  report_document_table_begin(to, (int)c->task_count + 2);
  report_document_cell(to, "method");
  for (size_t t = 0; t < c->task_count; t++)
    report_document_cell(to, "%s, %s", c->tasks[t]->name, cdl_metric_name(c->tasks[t]->metrics[0]));
  report_document_cell(to, "average");
  for (size_t m = 0; m < c->method_count; m++) {
    report_document_cell(to, "%s", report_method_title(c->methods[m]).text);
    for (size_t t = 0; t < c->task_count; t++)
      score_cell(to, report_task_score(c, t, m));
    score_cell(to, report_average_score(c, m));
  }
  commonest_row(c, to);
  if (has_method(c, "lora"))
    paper_row(c, to, "the paper's LoRA", true);
  if (has_method(c, "condlora-reference"))
    paper_row(c, to, "the paper's CondLoRA (orientation reference)", false);
  report_document_table_end(to);
  write_second_metrics(c, to);
}

/* ---- Tests ---- */

static void p_cell(report_document *to, const report_paired_test *test)
{
  if (isnan(test->p))
    report_document_cell(to, "–");
  else if (test->p < 0.0005)
    report_document_cell(to, "< 0.001");
  else
    report_document_cell(to, "%.3f", test->p);
}

static cdl_status test_row(const report_comparison *c, report_document *to, size_t task,
                           size_t method, size_t base)
{
  report_paired_test example, seed = report_test_by_seed(c, task, method, base);
  CDL_TRY(report_test_by_example(c, task, method, base, &example));
  report_document_cell(to, "%s, %s", c->tasks[task]->name,
                       report_method_title(c->methods[method]).text);
  report_document_cell(to, "%+.2f", 100 * seed.mean);
  report_document_cell(to, "%zu", seed.count);
  p_cell(to, &seed);
  if (cdl_task_is_regression(c->tasks[task]))
    report_document_cell(to, "%+.4f of squared error", -example.mean);
  else
    report_document_cell(to, "%+.2f of 100 right", 100 * example.mean);
  report_document_cell(to, "%zu", example.count);
  p_cell(to, &example);
  return CDL_STATUS_OK;
}

cdl_status report_write_tests(const report_comparison *c, report_document *to)
{
  const size_t base = report_baseline(c);
  if (c->method_count < 2)
    return CDL_STATUS_OK;
  report_document_heading(to, "Paired t-tests");
  report_document_paragraph(
      to,
      "Each method less %s; p is two-sided. Per seed: pairs of scores of runs "
      "with the same seed. "
      "Per example: pairs of examples of dev; right is 1 and wrong 0, for a "
      "regression the squared "
      "error, averaged over the seeds. A dash: there are fewer than two pairs, "
      "or all differ alike, which leaves no variance to test against. Many "
      "tests are made here; single small p are to be expected.",
      report_method_title(c->methods[base]).text);
  report_document_table_begin(to, 7);
  static const char *const titles[] = {"task, method", "difference in score",    "seeds",
                                       "p per seed",   "difference per example", "examples",
                                       "p per example"};
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    report_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++)
      if (m != base)
        CDL_TRY(test_row(c, to, t, m, base));
  report_document_table_end(to);
  return CDL_STATUS_OK;
}

/* ---- Parameters and speed ---- */

void report_write_speed(const report_comparison *c, report_document *to)
{
  report_document_heading(to, "Trained parameters and speed");
  report_document_paragraph(
      to, "Examples a second are those of training, without evaluations, as each run measured them "
          "when "
          "it ended; a run that was stopped and went on counts its last part. The paper, with "
          "RoBERTa-base on an A100 of 40 GB: LoRA 294,912 and 39.652, CondLoRA 24,576 and 40.303.");
  report_document_table_begin(to, 5);
  static const char *const titles[] = {"task, method", "adapter's numbers", "head's numbers",
                                       "examples/s", "runs"};
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    report_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++) {
      const report_compared_run *run = report_compared_run_at(c, t, m, 0);
      const report_spread speed = report_speed(c, t, m);
      report_document_cell(to, "%s, %s", c->tasks[t]->name,
                           report_method_title(c->methods[m]).text);
      report_document_cell(to, "%" PRId64, run->adapter_numbers);
      report_document_cell(to, "%" PRId64, run->head_numbers);
      if (isnan(speed.deviation))
        report_document_cell(to, "%.1f", speed.mean);
      else
        report_document_cell(to, "%.1f ± %.1f", speed.mean, speed.deviation);
      report_document_cell(to, "%zu", speed.count);
    }
  report_document_table_end(to);
}
