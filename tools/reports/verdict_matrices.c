#include "tools/reports/verdict_matrices.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/reports/plots.h"

static const char *const matrix_names[] = {"A", "B", "BA"}, *const sides[] = {"left", "right"},
                         *const forms[] = {"reference", "paper"};
enum { MATRICES = 3, SIDES = 2, FORMS = 2 };

/* Returns the matrices of the cell's first run that has them, or NULL. */
static const report_matrices *matrices_of(const report_matrices_list *list, const report_cell *cell)
{
  for (size_t s = 0; s < cell->seed_count; s++) {
    const report_matrices *found = report_matrices_find(list, report_record_key(cell->seeds[s]));
    if (found != NULL)
      return found;
  }
  return NULL;
}

static bool is_first_of_target(const report_matrices *m, size_t measure)
{
  for (size_t i = 0; i < measure; i++)
    if (strcmp(m->measures[i].target, m->measures[measure].target) == 0)
      return false;
  return true;
}

static void titles(report_document *to, const char *const *text, int count)
{
  report_document_table_begin(to, count);
  for (int i = 0; i < count; i++)
    report_document_cell(to, "%s", text[i]);
}

static void number(report_document *to, double value)
{
  if (isnan(value))
    report_document_cell(to, "–");
  else
    report_document_cell(to, "%.3f", value);
}

/* The mean of a measure and that of random matrices; two dashes if there is no such measure. */
static void pair(report_document *to, const report_matrices *m, report_measure_kind kind,
                 const char *name, const char *target)
{
  const report_measure *measure = report_measure_find(m, kind, name, target);
  number(to, measure != NULL ? report_measure_mean(measure) : NAN);
  number(to, measure != NULL ? measure->random : NAN);
}

/* Calls `write` for each kind of layer of each run that has matrices. */
typedef cdl_status write_target(void *user, const report_verdict_task *task,
                                const report_cell *cell, const report_matrices *m,
                                const char *target);

static cdl_status each_target(const report_matrices_list *list, const report_verdict_table *table,
                              write_target *write, void *user)
{
  for (size_t t = 0; t < table->task_count; t++)
    for (size_t c = 0; c < table->tasks[t].cell_count; c++) {
      const report_cell *cell = &table->tasks[t].cells[c];
      const report_matrices *m = matrices_of(list, cell);
      for (size_t i = 0; m != NULL && i < m->count; i++)
        if (is_first_of_target(m, i))
          CDL_TRY(write(user, &table->tasks[t], cell, m, m->measures[i].target));
    }
  return CDL_STATUS_OK;
}

static void where_cell(report_document *to, const report_verdict_task *task,
                       const report_cell *cell, const char *target)
{
  report_document_cell(to, "%s, %s, %s", task->task->name, report_method_title(cell->method).text,
                       report_document_foreign(target).text);
}

/* ---- Table 3 and Section 2 ---- */

static cdl_status write_similarity(void *user, const report_verdict_task *task,
                                   const report_cell *cell, const report_matrices *m,
                                   const char *target)
{
  report_document *to = user;
  if (cell->outcome == REPORT_BASELINE)
    return CDL_STATUS_OK;
  where_cell(to, task, cell, target);
  for (int k = 0; k < MATRICES; k++)
    pair(to, m, REPORT_MEASURE_SIMILARITY, matrix_names[k], target);
  return CDL_STATUS_OK;
}

static cdl_status write_correlation(void *user, const report_verdict_task *task,
                                    const report_cell *cell, const report_matrices *m,
                                    const char *target)
{
  report_document *to = user;
  where_cell(to, task, cell, target);
  for (int k = 0; k < SIDES; k++)
    pair(to, m, REPORT_MEASURE_CORRELATION, sides[k], target);
  return CDL_STATUS_OK;
}

/* ---- Figure 1 ---- */

typedef struct {
  const char *folder;
  size_t number;
  bool drawn;
  report_document *to;
} figure;

static cdl_status write_conversion(void *user, const report_verdict_task *task,
                                   const report_cell *cell, const report_matrices *m,
                                   const char *target)
{
  report_document *to = ((figure *)user)->to;
  char name[32];
  for (int f = 0; f < FORMS; f++) {
    snprintf(name, sizeof name, "%s A", forms[f]);
    if (report_measure_find(m, REPORT_MEASURE_CONVERSION, name, target) == NULL)
      continue;
    report_document_cell(to, "%s, %s, %s, form %s", task->task->name,
                         report_method_title(cell->method).text,
                         report_document_foreign(target).text, forms[f]);
    for (int k = 0; k < MATRICES; k++) {
      snprintf(name, sizeof name, "%s %s", forms[f], matrix_names[k]);
      const report_measure *measure =
          report_measure_find(m, REPORT_MEASURE_CONVERSION, name, target);
      number(to, measure != NULL ? report_measure_mean(measure) : NAN);
      number(to, measure != NULL ? report_measure_deeper_mean(measure) : NAN);
      number(to, measure != NULL ? measure->random : NAN);
    }
  }
  return CDL_STATUS_OK;
}

static cdl_status draw_form(const figure *p, const report_verdict_task *task,
                            const report_matrices *m, const char *target, const char *form)
{
  report_conversion_maps maps = {.task = task->task->name, .target = target, .form = form};
  char name[256];
  for (int k = 0; k < MATRICES; k++) {
    snprintf(name, sizeof name, "%s %s", form, matrix_names[k]);
    const report_measure *measure = report_measure_find(m, REPORT_MEASURE_CONVERSION, name, target);
    if (measure == NULL || (k > 0 && (int)measure->count != maps.count))
      return CDL_STATUS_OK;
    maps.layers = measure->layers;
    maps.count = (int)measure->count;
    maps.values[k] = measure->values;
    maps.means[k] = report_measure_mean(measure);
  }
  snprintf(name, sizeof name, "plots/verdict-%zu-%s-%s-%.80s.svg", p->number, task->task->name,
           form, target);
  return report_draw_conversion(p->folder, name, &maps, p->to);
}

static cdl_status draw_conversion(void *user, const report_verdict_task *task,
                                  const report_cell *cell, const report_matrices *m,
                                  const char *target)
{
  (void)cell;
  for (int f = 0; f < FORMS; f++)
    CDL_TRY(draw_form(user, task, m, target, forms[f]));
  return CDL_STATUS_OK;
}

/* ---- The section ---- */

static const report_matrices *any_matrices(const report_matrices_list *list,
                                           const report_verdict_table *table)
{
  for (size_t t = 0; t < table->task_count; t++)
    for (size_t c = 0; c < table->tasks[t].cell_count; c++) {
      const report_matrices *m = matrices_of(list, &table->tasks[t].cells[c]);
      if (m != NULL)
        return m;
    }
  return NULL;
}

static void write_heading(const report_verdict_table *table, const report_matrices *any,
                          report_document *to)
{
  char heading[600];
  snprintf(heading, sizeof heading, "Trained matrices: %s", report_verdict_title(table).text);
  report_document_heading(to, heading);
  report_document_paragraph(
      to,
      "One seed for each task and method: the similarity of equation 2 (1: the same subspace) "
      "with i = j = %" PRId64 ", as means over layers, and that of random matrices. The paper "
      "finds all of them above random ones, and conversion matrices most alike between deeper "
      "layers.",
      any->vectors);
}

static cdl_status write_similarities(const report_matrices_list *list,
                                     const report_verdict_table *table, report_document *to)
{
  static const char *const names[] = {
      "task, method, layers", "A", "random", "B", "random", "BA", "random"};
  report_document_paragraph(to, "The matrices beside LoRA's of the same seed (Table 3):");
  titles(to, names, sizeof names / sizeof names[0]);
  const cdl_status status = each_target(list, table, write_similarity, to);
  report_document_table_end(to);
  return status;
}

static cdl_status write_correlations(const report_matrices_list *list,
                                     const report_verdict_table *table, report_document *to)
{
  static const char *const names[] = {"task, method, layers", "left", "random", "right", "random"};
  report_document_paragraph(to, "BA beside the frozen W, by their singular vectors (Section 2):");
  titles(to, names, sizeof names / sizeof names[0]);
  const cdl_status status = each_target(list, table, write_correlation, to);
  report_document_table_end(to);
  return status;
}

static cdl_status write_conversions(const report_matrices_list *list,
                                    const report_verdict_table *table, figure *p)
{
  static const char *const names[] = {"task, method, layers, form",
                                      "C_A",
                                      "deeper",
                                      "random",
                                      "C_B",
                                      "deeper",
                                      "random",
                                      "C_BA",
                                      "deeper",
                                      "random"};
  report_document_paragraph(p->to, "LoRA's conversion matrices of all pairs of layers (Figure 1); "
                                   "deeper: of the pairs within the deeper half of the layers:");
  titles(p->to, names, sizeof names / sizeof names[0]);
  const cdl_status status = each_target(list, table, write_conversion, p);
  report_document_table_end(p->to);
  return status == CDL_STATUS_OK && p->drawn ? each_target(list, table, draw_conversion, p)
                                             : status;
}

cdl_status report_verdict_write_matrices(const char *folder, const report_matrices_list *list,
                                         const report_verdict_table *table, size_t number_of_table,
                                         bool drawn, report_document *to)
{
  const report_matrices *any = any_matrices(list, table);
  figure p = {folder, number_of_table, drawn, to};
  if (any == NULL)
    return CDL_STATUS_OK;
  write_heading(table, any, to);
  CDL_TRY(write_similarities(list, table, to));
  CDL_TRY(write_correlations(list, table, to));
  return write_conversions(list, table, &p);
}
