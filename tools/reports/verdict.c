#include "tools/reports/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "condlora/random.h"
#include "tools/reports/document.h"
#include "tools/reports/halving.h"

const char *const report_protocol_settings[] = {
    "epochs",          "batch_size",      "accumulate",   "max_length",    "schedule",
    "warmup_ratio",    "weight_decay",    "decay",        "max_grad_norm", "dropout",
    "adapter_dropout", "label_smoothing", "dev_fraction", "precision",     NULL};

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the verdict");
}

/* ---- Records into cells ---- */

static uint64_t protocol_of(const report_record *r)
{
  uint64_t hash = BASE_FNV_START;
  for (size_t i = 0; report_protocol_settings[i] != NULL; i++) {
    char *text = base_json_line(json_object_get(r->settings, report_protocol_settings[i]));
    hash = base_fnv(hash, text != NULL ? text : "", text != NULL ? strlen(text) + 1 : 1);
    free(text);
  }
  return hash;
}

static bool is_of_table(const report_verdict_table *table, const report_record *r)
{
  return table->any->model_hash == r->model_hash && table->protocol == protocol_of(r);
}

static double rate_of(const report_record *r)
{
  return report_record_number(r, "lr", NAN);
}

static double seed_of(const report_record *r)
{
  return report_record_number(r, "seed", NAN);
}

static int compare_rates(const void *a, const void *b)
{
  const double x = rate_of(*(const report_record *const *)a),
               y = rate_of(*(const report_record *const *)b);
  return (x > y) - (x < y);
}

static int compare_seeds(const void *a, const void *b)
{
  const double x = seed_of(*(const report_record *const *)a),
               y = seed_of(*(const report_record *const *)b);
  return (x > y) - (x < y);
}

/* The rate that the search chose: as study/verdict.c goes on, rung after rung, and NaN where a run
 * of it is missing. `records` is reordered. */
static double choose_rate(const report_record **records, size_t count)
{
  if (count == 0)
    return NAN;
  const int64_t epochs = (int64_t)report_record_number(records[0], "epochs", 0);
  for (int rung = 0; rung < REPORT_RUNGS; rung++) {
    const size_t size = report_rung_size(count, rung);
    for (size_t i = 0; i < size; i++)
      if (!report_reached(records[i], (double)report_rung_epochs(epochs, rung)))
        return NAN;
    report_rank(records, size, epochs, rung);
  }
  return rate_of(records[0]);
}

/* Fills the searches of a cell and its rate. */
static cdl_status take_search(report_cell *cell)
{
  const report_record **ranked = calloc(cell->search_count + 1, sizeof *ranked);
  if (ranked == NULL)
    return no_memory();
  qsort(cell->search, cell->search_count, sizeof *cell->search, compare_rates);
  for (size_t i = 0; i < cell->search_count; i++) {
    const report_record *r = ranked[i] = cell->search[i];
    if (r->evaluation_count > 0)
      cell->search_epochs += r->evaluations[r->evaluation_count - 1].epoch;
  }
  cell->rate = choose_rate(ranked, cell->search_count);
  free(ranked);
  if (cell->search_count > 1) {
    cell->rate_is_lowest = cell->rate == rate_of(cell->search[0]);
    cell->rate_is_highest = cell->rate == rate_of(cell->search[cell->search_count - 1]);
  }
  return CDL_STATUS_OK;
}

/* Keeps the finished runs at the chosen rate. */
static void take_seeds(report_cell *cell)
{
  size_t kept = 0;
  for (size_t i = 0; i < cell->seed_count; i++)
    if (rate_of(cell->seeds[i]) == cell->rate && report_record_finished(cell->seeds[i]))
      cell->seeds[kept++] = cell->seeds[i];
  cell->seed_count = kept;
  qsort(cell->seeds, kept, sizeof *cell->seeds, compare_seeds);
}

static cdl_status make_cell(const report_records *records, const report_verdict_table *table,
                            const cdl_task *task, report_cell *cell)
{
  cell->search = calloc(records->count + 1, sizeof *cell->search);
  cell->seeds = calloc(records->count + 1, sizeof *cell->seeds);
  if (cell->search == NULL || cell->seeds == NULL)
    return no_memory();
  for (size_t i = 0; i < records->count; i++) {
    const report_record *r = &records->item[i];
    if (r->task != task || r->method != cell->method || !is_of_table(table, r))
      continue;
    if (r->role == REPORT_ROLE_SEARCH)
      cell->search[cell->search_count++] = r;
    else
      cell->seeds[cell->seed_count++] = r;
  }
  CDL_TRY(take_search(cell));
  take_seeds(cell);
  return CDL_STATUS_OK;
}

static bool has_records(const report_records *records, const report_verdict_table *table,
                        const cdl_task *task, const report_compared_method *method,
                        const report_record **any)
{
  for (size_t i = 0; i < records->count; i++) {
    const report_record *r = &records->item[i];
    if (r->task == task && (method == NULL || r->method == method) && is_of_table(table, r)) {
      *any = r;
      return true;
    }
  }
  return false;
}

/* ---- Scores ---- */

/* The score of a run on examples of dev, which may repeat: `rows` [count]. `scratch` holds 2 ·
 * count numbers, or as many integers. NaN if it is undefined. */
static double score_of(const report_verdict_task *t, const report_record *r, const uint32_t *rows,
                       size_t count, double *scratch)
{
  enum { CLASSES_MOST = 3 };
  if (cdl_task_is_regression(t->task)) {
    for (size_t i = 0; i < count; i++) {
      scratch[i] = t->labels->label[rows[i]];
      scratch[count + i] = r->predictions[rows[i]];
    }
    return cdl_pearson(scratch, scratch + count, count);
  }
  cdl_class_counts counts[CLASSES_MOST] = {{0}};
  for (size_t i = 0; i < count; i++) {
    const size_t truth = (size_t)t->labels->label[rows[i]],
                 predicted = (size_t)r->predictions[rows[i]];
    counts[truth].truth++;
    counts[predicted].predicted++;
    counts[truth].correct += truth == predicted ? 1 : 0;
  }
  return cdl_scores_of_classes(counts, t->task->label_count).value[t->task->metrics[0]];
}

static cdl_status check_predictions(const report_verdict_task *t, const report_record *r)
{
  bool fits = t->labels != NULL && r->examples == t->labels->count;
  for (size_t i = 0; fits && i < r->examples && !cdl_task_is_regression(t->task); i++) {
    const double most = (double)t->task->label_count - 1;
    fits = r->predictions[i] >= 0 && r->predictions[i] <= most && t->labels->label[i] >= 0 &&
           t->labels->label[i] <= most;
  }
  return fits ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_DATA, "records of %s, %s: predictions do not fit the labels",
                         r->task->name, r->method->name);
}

static double dev_score(const report_record *r)
{
  return r->dev.value[r->task->metrics[0]];
}

/* Runs of a cell and the baseline with equal seeds. */
typedef struct {
  const report_record **method, **baseline;
  double *a, *b; /* their scores */
  size_t count;
} pairs;

static void release_pairs(pairs *p)
{
  free(p->method);
  free(p->baseline);
  free(p->a);
  free(p->b);
}

static cdl_status make_pairs(const report_cell *cell, const report_cell *baseline, pairs *p)
{
  const size_t most = cell->seed_count + 1;
  *p = (pairs){calloc(most, sizeof *p->method), calloc(most, sizeof *p->baseline),
               calloc(most, sizeof *p->a), calloc(most, sizeof *p->b), 0};
  if (p->method == NULL || p->baseline == NULL || p->a == NULL || p->b == NULL) {
    release_pairs(p);
    return no_memory();
  }
  for (size_t i = 0; i < cell->seed_count; i++)
    for (size_t k = 0; k < baseline->seed_count; k++)
      if (seed_of(cell->seeds[i]) == seed_of(baseline->seeds[k])) {
        p->method[p->count] = cell->seeds[i];
        p->baseline[p->count] = baseline->seeds[k];
        p->a[p->count] = dev_score(cell->seeds[i]);
        p->b[p->count++] = dev_score(baseline->seeds[k]);
      }
  return CDL_STATUS_OK;
}

/* ---- The bootstrap over examples ---- */

static int compare_numbers(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double mean_difference(const report_verdict_task *t, const pairs *p, const uint32_t *rows,
                              double *scratch)
{
  double sum = 0;
  for (size_t i = 0; i < p->count; i++)
    sum += score_of(t, p->method[i], rows, t->labels->count, scratch) -
           score_of(t, p->baseline[i], rows, t->labels->count, scratch);
  return sum / (double)p->count;
}

/* Percentiles of the mean difference over draws of dev's examples with replacement (Efron 1979).
 * Runs stay as they are: the interval says how far this dev set carries. */
static cdl_status bootstrap(const report_verdict_task *t, const pairs *p, report_interval *interval)
{
  enum { DRAWS = 2000, SEED = 1 };
  const size_t count = t->labels->count;
  uint32_t *rows = calloc(count + 1, sizeof *rows);
  double *scratch = calloc(2 * count + 1, sizeof *scratch), *drawn = calloc(DRAWS, sizeof *drawn);
  const bool complete = rows != NULL && scratch != NULL && drawn != NULL;
  cdl_random random = cdl_random_start(SEED, CDL_RANDOM_ANALYSIS, 0, 0);
  size_t defined = 0;
  for (int d = 0; complete && d < DRAWS; d++) {
    for (size_t i = 0; i < count; i++)
      rows[i] = (uint32_t)((uint64_t)cdl_random_u32(&random) * count >> 32);
    drawn[defined] = mean_difference(t, p, rows, scratch);
    defined += isnan(drawn[defined]) ? 0 : 1;
  }
  if (defined > 0) {
    qsort(drawn, defined, sizeof *drawn, compare_numbers);
    *interval = (report_interval){drawn[(size_t)(0.025 * (double)(defined - 1))],
                                  drawn[(size_t)(ceil(0.975 * (double)(defined - 1)))]};
  }
  free(rows);
  free(scratch);
  free(drawn);
  return complete ? CDL_STATUS_OK : no_memory();
}

/* ---- Judging ---- */

static cdl_status compare(const report_verdict_task *t, report_cell *cell)
{
  const report_cell *baseline = &t->cells[t->baseline];
  pairs p;
  CDL_TRY(make_pairs(cell, baseline, &p));
  cdl_status status = CDL_STATUS_OK;
  if (p.count > 0) {
    double *differences = calloc(p.count, sizeof *differences);
    if (differences == NULL)
      status = no_memory();
    for (size_t i = 0; differences != NULL && i < p.count; i++)
      differences[i] = p.a[i] - p.b[i];
    if (differences != NULL)
      cell->difference = report_mean_interval(differences, p.count, 0.95);
    free(differences);
    cell->test = report_paired_t_test(p.a, p.b, p.count);
    cell->p_equivalence = report_paired_equivalence(p.a, p.b, p.count, t->margin);
    if (status == CDL_STATUS_OK)
      status = bootstrap(t, &p, &cell->examples);
  }
  release_pairs(&p);
  return status;
}

/* The seeds, beyond the present ones, with which one of the tests would reject if mean and
 * deviation of the differences stay and p is corrected for all cells; 0: no number up to the limit.
 */
static size_t seeds_wanted(const report_cell *cell, double margin, size_t cells)
{
  const double level = REPORT_VERDICT_LEVEL / (double)cells, mean = cell->test.mean;
  for (size_t more = 1; more <= REPORT_SEEDS_MORE_MOST; more++) {
    const double n = (double)(cell->test.count + more), freedom = n - 1,
                 error = cell->test.deviation / sqrt(n);
    const double different = report_student_two_sided(mean / error, freedom),
                 level_p = fmax(report_student_above((mean + margin) / error, freedom),
                                report_student_above((margin - mean) / error, freedom));
    if (different < level || level_p < level)
      return more;
  }
  return 0;
}

static void judge(const report_verdict_task *t, report_cell *cell, size_t cells)
{
  if (cell == &t->cells[t->baseline])
    cell->outcome = REPORT_BASELINE;
  else if (cell->test.count < 2)
    cell->outcome = REPORT_UNDER_WAY;
  else if (isnan(cell->test.p))
    cell->outcome = REPORT_NO_SPREAD;
  else {
    cell->is_level = cell->p_equivalence_holm < REPORT_VERDICT_LEVEL;
    if (cell->p_difference_holm < REPORT_VERDICT_LEVEL)
      cell->outcome = cell->test.mean > 0 ? REPORT_AHEAD : REPORT_BEHIND;
    else if (cell->is_level)
      cell->outcome = REPORT_LEVEL;
    else {
      cell->more_seeds = seeds_wanted(cell, t->margin, cells);
      cell->outcome = cell->more_seeds > 0 ? REPORT_MORE_SEEDS : REPORT_DEV_TOO_SMALL;
    }
  }
}

/* Holm's correction over the cells of a table, for each of the two families of tests. */
static cdl_status judge_table(report_verdict_table *table)
{
  size_t count = 0, tested = 0;
  for (size_t t = 0; t < table->task_count; t++)
    count += table->tasks[t].cell_count;
  double *numbers = calloc(4 * count + 1, sizeof *numbers);
  if (numbers == NULL)
    return no_memory();
  double *different = numbers, *equivalent = numbers + count, *adjusted = numbers + 2 * count;
  size_t at = 0;
  for (size_t t = 0; t < table->task_count; t++)
    for (size_t c = 0; c < table->tasks[t].cell_count; c++, at++) {
      different[at] = table->tasks[t].cells[c].test.p;
      equivalent[at] = table->tasks[t].cells[c].p_equivalence;
      tested += isnan(different[at]) ? 0 : 1;
    }
  report_holm(different, count, adjusted);
  report_holm(equivalent, count, adjusted + count);
  at = 0;
  for (size_t t = 0; t < table->task_count; t++)
    for (size_t c = 0; c < table->tasks[t].cell_count; c++, at++) {
      report_cell *cell = &table->tasks[t].cells[c];
      cell->p_difference_holm = adjusted[at];
      cell->p_equivalence_holm = adjusted[count + at];
      judge(&table->tasks[t], cell, tested);
    }
  free(numbers);
  return CDL_STATUS_OK;
}

/* ---- The whole ---- */

static cdl_status score_cell(const report_verdict_task *t, report_cell *cell)
{
  double *scores = calloc(cell->seed_count + 1, sizeof *scores);
  if (scores == NULL)
    return no_memory();
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < cell->seed_count; i++) {
    status = check_predictions(t, cell->seeds[i]);
    scores[i] = dev_score(cell->seeds[i]);
  }
  cell->score = (report_spread){.count = cell->seed_count,
                                .mean = report_mean(scores, cell->seed_count),
                                .deviation = report_deviation(scores, cell->seed_count)};
  cell->interval = report_mean_interval(scores, cell->seed_count, 0.95);
  free(scores);
  return status;
}

static cdl_status make_task(const report_records *records, const report_verdict_table *table,
                            const report_record *any, report_verdict_task *t)
{
  size_t methods;
  const report_compared_method *all = report_compared_methods(&methods);
  const report_interval none = {NAN, NAN};
  const report_paired_test untested = {.mean = NAN, .deviation = NAN, .t = NAN, .p = NAN};
  t->task = any->task;
  t->labels = report_records_labels(records, any->task, any->data_hash);
  t->margin = 0.01;
  if (t->labels != NULL && t->labels->count > 0)
    t->margin = fmax(t->margin, 1 / (double)t->labels->count);
  t->cells = calloc(methods + 1, sizeof *t->cells);
  if (t->cells == NULL)
    return no_memory();
  for (size_t m = 0; m < methods; m++) {
    const report_record *found;
    if (!has_records(records, table, t->task, &all[m], &found))
      continue;
    report_cell *cell = &t->cells[t->cell_count++];
    *cell = (report_cell){.method = &all[m],
                          .rate = NAN,
                          .test = untested,
                          .difference = none,
                          .p_equivalence = NAN,
                          .examples = none};
    if (strcmp(all[m].name, "lora") == 0)
      t->baseline = t->cell_count - 1;
    CDL_TRY(make_cell(records, table, t->task, cell));
    CDL_TRY(score_cell(t, cell));
  }
  for (size_t c = 0; c < t->cell_count; c++)
    if (c != t->baseline)
      CDL_TRY(compare(t, &t->cells[c]));
  return CDL_STATUS_OK;
}

static cdl_status make_table(const report_records *records, report_verdict_table *table)
{
  size_t count;
  const cdl_task *all = cdl_task_list(&count);
  table->tasks = calloc(count + 1, sizeof *table->tasks);
  if (table->tasks == NULL)
    return no_memory();
  for (size_t i = 0; i < count; i++) {
    const report_record *any;
    if (has_records(records, table, &all[i], NULL, &any))
      CDL_TRY(make_task(records, table, any, &table->tasks[table->task_count++]));
  }
  return judge_table(table);
}

cdl_status report_verdict_make(const report_records *records, report_verdict *verdict)
{
  *verdict = (report_verdict){calloc(records->count + 1, sizeof *verdict->tables), 0};
  if (verdict->tables == NULL)
    return no_memory();
  for (size_t i = 0; i < records->count; i++) {
    bool known = false;
    for (size_t k = 0; k < verdict->count && !known; k++)
      known = is_of_table(&verdict->tables[k], &records->item[i]);
    if (known)
      continue;
    report_verdict_table *table = &verdict->tables[verdict->count++];
    *table = (report_verdict_table){.any = &records->item[i],
                                    .protocol = protocol_of(&records->item[i])};
    CDL_TRY(make_table(records, table));
  }
  return CDL_STATUS_OK;
}

void report_verdict_release(report_verdict *verdict)
{
  for (size_t i = 0; i < verdict->count; i++) {
    report_verdict_table *table = &verdict->tables[i];
    for (size_t t = 0; t < table->task_count; t++) {
      for (size_t c = 0; c < table->tasks[t].cell_count; c++) {
        free(table->tasks[t].cells[c].search);
        free(table->tasks[t].cells[c].seeds);
      }
      free(table->tasks[t].cells);
    }
    free(table->tasks);
  }
  free(verdict->tables);
  *verdict = (report_verdict){0};
}

/* ---- Names and sentences ---- */

int64_t report_verdict_epochs(const report_verdict_table *table)
{
  return (int64_t)report_record_number(table->any, "epochs", 0);
}

report_described report_verdict_title(const report_verdict_table *table)
{
  report_described d;
  snprintf(d.text, sizeof d.text, "%.200s, %" PRId64 " epochs",
           report_document_foreign(table->any->model).text, report_verdict_epochs(table));
  return d;
}

const char *report_verdict_metric(const report_verdict_task *t)
{
  return cdl_metric_name(t->task->metrics[0]);
}

const char *report_outcome_name(report_outcome outcome)
{
  static const char *const names[] = {[REPORT_BASELINE] = "baseline",
                                      [REPORT_UNDER_WAY] = "under way",
                                      [REPORT_LEVEL] = "level",
                                      [REPORT_AHEAD] = "ahead",
                                      [REPORT_BEHIND] = "behind",
                                      [REPORT_MORE_SEEDS] = "more seeds",
                                      [REPORT_DEV_TOO_SMALL] = "dev too small",
                                      [REPORT_NO_SPREAD] = "no spread"};
  return names[outcome];
}

report_described report_verdict_sentence(const report_verdict_task *t, const report_cell *cell)
{
  report_described d = {""};
  const double points = 100 * fabs(cell->test.mean), margin = 100 * t->margin,
               half = 50 * (cell->examples.high - cell->examples.low);
  switch (cell->outcome) {
  case REPORT_BASELINE:
    snprintf(d.text, sizeof d.text, "what the others are compared with");
    break;
  case REPORT_UNDER_WAY:
    snprintf(d.text, sizeof d.text,
             isnan(cell->rate) ? "the search of its rate is under way"
                               : "%zu of at least 2 seeds are there",
             cell->seed_count);
    break;
  case REPORT_LEVEL:
    snprintf(d.text, sizeof d.text, "level within %.1f points", margin);
    break;
  case REPORT_AHEAD:
  case REPORT_BEHIND:
    snprintf(d.text, sizeof d.text, "%s by %.1f points%s",
             cell->outcome == REPORT_AHEAD ? "ahead" : "behind", points,
             cell->is_level ? ", yet level within the margin" : "");
    break;
  case REPORT_MORE_SEEDS:
    snprintf(d.text, sizeof d.text, "undecided: %zu more seed%s", cell->more_seeds,
             cell->more_seeds == 1 ? "" : "s");
    break;
  case REPORT_DEV_TOO_SMALL:
    snprintf(d.text, sizeof d.text,
             "undecided: this dev set is too small (its examples carry ± %.1f points)", half);
    break;
  case REPORT_NO_SPREAD:
    snprintf(d.text, sizeof d.text, "undecided: every seed differs alike, by %+.1f points",
             100 * cell->test.mean);
    break;
  }
  return d;
}
