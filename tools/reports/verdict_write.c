#include "tools/reports/verdict_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/visible.h"
#include "tools/reports/document.h"
#include "tools/reports/plots.h"
#include "tools/reports/verdict.h"
#include "tools/reports/verdict_matrices.h"
#include "tools/reports/verdict_plots.h"

static const report_cell *cell_of(const report_verdict_task *t, const char *method)
{
  for (size_t c = 0; c < t->cell_count; c++)
    if (strcmp(t->cells[c].method->name, method) == 0)
      return &t->cells[c];
  return NULL;
}

/* ---- The answer ---- */

/* "On RTE level within 1.0 points; on MRPC behind by 2.1 points." of one method in one table. */
static report_described answer_of(const report_verdict_table *table, const char *method)
{
  report_described d = {""};
  size_t used = 0;
  for (size_t t = 0; t < table->task_count; t++) {
    const report_cell *cell = cell_of(&table->tasks[t], method);
    if (cell == NULL || cell->outcome == REPORT_BASELINE || used >= sizeof d.text)
      continue;
    used += (size_t)snprintf(d.text + used, sizeof d.text - used, "%s%s %s", used > 0 ? "; " : "",
                             table->tasks[t].task->name,
                             report_verdict_sentence(&table->tasks[t], cell).text);
  }
  return d;
}

static void write_answer(const report_verdict *v, report_document *to)
{
  static const char *const asked[] = {"condlora-reference", "condlora"};
  report_document_heading(to, "Answer");
  report_document_paragraph(to, "CondLoRA against LoRA, each at the learning rate that the same "
                                "search chose for it; scores are those of the official dev sets:");
  for (size_t i = 0; i < v->count; i++)
    for (size_t m = 0; m < sizeof asked / sizeof asked[0]; m++) {
      const report_described answer = answer_of(&v->tables[i], asked[m]);
      const report_compared_method *method = NULL;
      for (size_t t = 0; t < v->tables[i].task_count; t++) {
        const report_cell *cell = cell_of(&v->tables[i].tasks[t], asked[m]);
        method = cell != NULL ? cell->method : method;
      }
      if (answer.text[0] != '\0' && method != NULL)
        report_document_item(to, "%s, %s: %s.", report_verdict_title(&v->tables[i]).text,
                             report_method_title(method).text, answer.text);
    }
}

/* ---- Tables ---- */

static void score_text(report_document *to, const report_cell *cell)
{
  if (cell == NULL || cell->seed_count == 0)
    report_document_cell(to, "–");
  else if (cell->seed_count == 1)
    report_document_cell(to, "%.2f", 100 * cell->score.mean);
  else
    report_document_cell(to, "%.2f ± %.2f", 100 * cell->score.mean, 100 * cell->score.deviation);
}

/* All methods of a table, in the order of report_compared_methods. */
static size_t methods_of(const report_verdict_table *table, const report_cell **cells, size_t most)
{
  size_t all, count = 0;
  const report_compared_method *methods = report_compared_methods(&all);
  for (size_t m = 0; m < all && count < most; m++)
    for (size_t t = 0; t < table->task_count; t++) {
      const report_cell *cell = cell_of(&table->tasks[t], methods[m].name);
      if (cell == NULL)
        continue;
      cells[count++] = cell;
      break;
    }
  return count;
}

enum { METHODS_MOST = 64 };

static void write_scores(const report_verdict_table *table, report_document *to)
{
  const report_cell *methods[METHODS_MOST];
  const size_t count = methods_of(table, methods, METHODS_MOST);
  report_document_table_begin(to, (int)table->task_count + 2);
  report_document_cell(to, "method");
  report_document_cell(to, "trainable parameters");
  for (size_t t = 0; t < table->task_count; t++)
    report_document_cell(to, "%s, %s", table->tasks[t].task->name,
                         report_verdict_metric(&table->tasks[t]));
  for (size_t m = 0; m < count; m++) {
    report_document_cell(to, "%s", report_method_title(methods[m]->method).text);
    const report_record *any =
        methods[m]->search_count > 0 ? methods[m]->search[0] : methods[m]->seeds[0];
    report_document_cell(to, "%" PRId64, any->adapter_parameters);
    for (size_t t = 0; t < table->task_count; t++)
      score_text(to, cell_of(&table->tasks[t], methods[m]->method->name));
  }
  report_document_table_end(to);
}

static void interval_text(report_document *to, report_interval interval)
{
  if (isnan(interval.low))
    report_document_cell(to, "–");
  else
    report_document_cell(to, "%+.1f … %+.1f", 100 * interval.low, 100 * interval.high);
}

static void p_text(report_document *to, double p)
{
  if (isnan(p))
    report_document_cell(to, "–");
  else if (p < 0.0005)
    report_document_cell(to, "< 0.001");
  else
    report_document_cell(to, "%.3f", p);
}

static void write_comparisons(const report_verdict_table *table, report_document *to)
{
  static const char *const titles[] = {"task, method",
                                       "verdict",
                                       "difference, points",
                                       "95 % over seeds",
                                       "pairs",
                                       "p of a difference",
                                       "corrected",
                                       "p against equivalence",
                                       "corrected",
                                       "95 % over examples of dev"};
  report_document_table_begin(to, sizeof titles / sizeof titles[0]);
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    report_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < table->task_count; t++)
    for (size_t c = 0; c < table->tasks[t].cell_count; c++) {
      const report_cell *cell = &table->tasks[t].cells[c];
      if (cell->outcome == REPORT_BASELINE)
        continue;
      report_document_cell(to, "%s, %s", table->tasks[t].task->name,
                           report_method_title(cell->method).text);
      report_document_cell(to, "%s", report_verdict_sentence(&table->tasks[t], cell).text);
      if (isnan(cell->test.mean))
        report_document_cell(to, "–");
      else
        report_document_cell(to, "%+.2f", 100 * cell->test.mean);
      interval_text(to, cell->difference);
      report_document_cell(to, "%zu", cell->test.count);
      p_text(to, cell->test.p);
      p_text(to, cell->p_difference_holm);
      p_text(to, cell->p_equivalence);
      p_text(to, cell->p_equivalence_holm);
      interval_text(to, cell->examples);
    }
  report_document_table_end(to);
}

static void write_rates(const report_verdict_table *table, report_document *to)
{
  report_document_table_begin(to, 5);
  static const char *const titles[] = {"task, method", "rate", "rates searched", "epochs searched",
                                       "remark"};
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    report_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < table->task_count; t++)
    for (size_t c = 0; c < table->tasks[t].cell_count; c++) {
      const report_cell *cell = &table->tasks[t].cells[c];
      report_document_cell(to, "%s, %s", table->tasks[t].task->name,
                           report_method_title(cell->method).text);
      if (isnan(cell->rate))
        report_document_cell(to, "–");
      else
        report_document_cell(to, "%g", cell->rate);
      report_document_cell(to, "%zu", cell->search_count);
      report_document_cell(to, "%g", round(cell->search_epochs * 100) / 100);
      report_document_cell(to, "%s",
                           isnan(cell->rate)       ? "under way"
                           : cell->rate_is_lowest  ? "the lowest: the best may be lower"
                           : cell->rate_is_highest ? "the highest: the best may be higher"
                                                   : "");
    }
  report_document_table_end(to);
}

/* ---- The text around ---- */

static void write_rules(report_document *to)
{
  report_document_heading(to, "How it is decided");
  report_document_item(to,
                       "Learning rates: all methods search the same rates with the same number of "
                       "epochs. All rates train a quarter of the epochs, the better half of them "
                       "goes on to a half, the best to the end. The held-out part of train ranks "
                       "them; dev plays no part. The seed of the search is no seed of the table.");
  report_document_item(
      to, "Scores: the best epoch by the held-out part of train, measured on dev; mean "
          "± sample standard deviation over seeds.");
  report_document_item(to,
                       "Tests: differences are paired by seed, which fixes the order of examples, "
                       "the held-out part and all random streams. A difference is tested by a "
                       "paired t-test, equivalence by two one-sided t-tests with the margin of one "
                       "point, or of one example of dev if that is more. Both p are corrected "
                       "after Holm over the cells of a table, at the level 0.05.");
  report_document_item(to,
                       "\"N more seeds\": with so many more, one of the tests would reject if mean "
                       "and spread stay as they are. Where %d would not be enough, the dev set is "
                       "too small.",
                       REPORT_SEEDS_MORE_MOST);
  report_document_item(to,
                       "The verdict is on seeds, given this dev set. The last column says how far "
                       "the dev set itself carries: percentiles of the mean difference over 2000 "
                       "draws of its examples.");
  report_document_item(to, "The p of a difference, before the correction, is the paper's own "
                           "pairwise test.");
}

/* Adds `text` to a list of names with counts. */
typedef struct {
  const char *version, *kernels;
  size_t runs;
} maker;

static void write_makers(const report_records *records, report_document *to)
{
  enum { MAKERS_MOST = 32 };
  maker makers[MAKERS_MOST];
  size_t count = 0;
  for (size_t i = 0; i < records->count; i++) {
    const report_record *r = &records->item[i];
    size_t m = 0;
    while (m < count && (strcmp(makers[m].version, r->version) != 0 ||
                         strcmp(makers[m].kernels, r->kernels) != 0))
      m++;
    if (m == MAKERS_MOST)
      continue;
    if (m == count)
      makers[count++] = (maker){r->version, r->kernels, 0};
    makers[m].runs++;
  }
  report_document_heading(to, "Records");
  report_document_paragraph(
      to, "Every number comes from the records of %zu runs. What computed them:", records->count);
  for (size_t m = 0; m < count; m++)
    report_document_item(to, "condlora %s, %s: %zu runs.",
                         report_document_foreign(makers[m].version).text,
                         report_document_foreign(makers[m].kernels).text, makers[m].runs);
  report_document_paragraph(to, "`condlora reproduce verdict --records RECORDS --output DIR` "
                                "writes this page again from them. With `--model` and `--data` "
                                "it makes the runs that are missing.");
}

static void write_protocol(const report_verdict_table *table, report_document *to)
{
  char text[1024] = "";
  size_t used = 0;
  for (size_t i = 0; report_protocol_settings[i] != NULL; i++) {
    const json_t *value = json_object_get(table->any->settings, report_protocol_settings[i]);
    char *shown = value != NULL ? base_json_line(value) : NULL;
    if (shown != NULL && used < sizeof text)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s`%s` %s", used > 0 ? ", " : "",
                               report_protocol_settings[i], shown);
    free(shown);
  }
  report_document_paragraph(to, "Settings of all methods that are not defaults: %s.", text);
}

static cdl_status write_tables(const char *folder, const report_matrices_list *matrices,
                               const report_verdict *v, bool drawn, report_document *to)
{
  for (size_t i = 0; i < v->count; i++) {
    const report_verdict_table *table = &v->tables[i];
    report_document_heading(to, report_verdict_title(table).text);
    write_protocol(table, to);
    write_scores(table, to);
    write_comparisons(table, to);
    report_document_paragraph(to, "Learning rates:");
    write_rates(table, to);
    for (size_t t = 0; drawn && t < table->task_count; t++)
      CDL_TRY(report_verdict_draw_rates(folder, table, i + 1, &table->tasks[t], to));
    CDL_TRY(report_verdict_write_matrices(folder, matrices, table, i + 1, drawn, to));
  }
  return CDL_STATUS_OK;
}

static cdl_status write_document(const char *folder, const report_records *records,
                                 const report_matrices_list *matrices, const report_verdict *v)
{
  report_document *to;
  CDL_TRY(report_document_begin(folder, "verdict",
                                "Does a single linear layer yield task-adapted low-rank matrices?",
                                NULL, &to));
  report_document_paragraph(
      to, "The paper says that CondLoRA, which trains one linear layer for all blocks, is level "
          "with LoRA at a twelfth of its trainable parameters. Here each method has the learning "
          "rate that suits it, and tests may say \"equal\" as well as \"different\".");
  write_answer(v, to);
  const bool drawn = report_can_draw(to);
  cdl_status status = drawn ? report_verdict_draw_differences(folder, v, to) : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK)
    status = write_tables(folder, matrices, v, drawn, to);
  write_rules(to);
  write_makers(records, to);
  if (status == CDL_STATUS_OK)
    return report_document_commit(to);
  report_document_abort(to);
  return status;
}

/* ---- verdict.json ---- */

static json_t *interval_json(report_interval interval)
{
  return json_pack("[oo]", base_json_number(interval.low), base_json_number(interval.high));
}

static json_t *cell_json(const report_verdict_table *table, const report_verdict_task *t,
                         const report_cell *cell)
{
  json_t *seeds = json_array(), *scores = json_array();
  for (size_t i = 0; i < cell->seed_count; i++) {
    const report_record *r = cell->seeds[i];
    base_json_append(&seeds, json_integer((json_int_t)report_record_number(r, "seed", 0)));
    base_json_append(&scores, base_json_number(r->dev.value[t->task->metrics[0]]));
  }
  json_t *object =
      json_pack("{ss ss ss? ss sI ss so so so so so so}", "task", t->task->name, "method",
                cell->method->name, "form", cell->method->form, "model", table->any->model,
                "epochs", (json_int_t)report_verdict_epochs(table), "metric",
                report_verdict_metric(t), "rate", base_json_number(cell->rate), "search_epochs",
                base_json_number(cell->search_epochs), "seeds", seeds, "scores", scores, "mean",
                base_json_number(cell->score.mean), "interval", interval_json(cell->interval));
  base_json_set(&object, "verdict", json_string(report_outcome_name(cell->outcome)));
  if (cell->outcome == REPORT_BASELINE)
    return object;
  base_json_update(
      &object,
      json_pack("{ss ss so so so so so so so so so}", "sentence",
                report_verdict_sentence(t, cell).text, "against",
                t->cells[t->baseline].method->name, "difference", base_json_number(cell->test.mean),
                "difference_interval", interval_json(cell->difference), "p_difference",
                base_json_number(cell->test.p), "p_difference_holm",
                base_json_number(cell->p_difference_holm), "margin", base_json_number(t->margin),
                "p_equivalence", base_json_number(cell->p_equivalence), "p_equivalence_holm",
                base_json_number(cell->p_equivalence_holm), "examples_interval",
                interval_json(cell->examples), "examples",
                json_integer(t->labels != NULL ? (json_int_t)t->labels->count : 0)));
  return object;
}

static cdl_status write_json(const char *folder, const report_verdict *v)
{
  json_t *cells = json_array();
  for (size_t i = 0; i < v->count; i++)
    for (size_t t = 0; t < v->tables[i].task_count; t++)
      for (size_t c = 0; c < v->tables[i].tasks[t].cell_count; c++)
        base_json_append(&cells, cell_json(&v->tables[i], &v->tables[i].tasks[t],
                                           &v->tables[i].tasks[t].cells[c]));
  json_t *object = json_pack("{si so}", "semantics", REPORT_SEMANTICS, "cells", cells);
  char *path = base_path_join(folder, "verdict.json");
  const cdl_status status = object != NULL && path != NULL
                                ? base_json_write(path, object)
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  json_decref(object);
  return status;
}

/* ---- The whole ---- */

cdl_status report_verdict_write(const char *folder, const report_records *records,
                                const report_matrices_list *matrices)
{
  report_verdict verdict;
  CDL_TRY(report_plots_begin(folder));
  cdl_status status = report_verdict_make(records, &verdict);
  if (status == CDL_STATUS_OK)
    status = write_json(folder, &verdict);
  if (status == CDL_STATUS_OK)
    status = write_document(folder, records, matrices, &verdict);
  report_verdict_release(&verdict);
  return status;
}
