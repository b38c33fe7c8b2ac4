/* Numbers of the library for split_parity.py, schedule_parity.py, metrics_parity.py and
 * statistics_parity.py, which compare them with NumPy, Transformers, scikit-learn, SciPy and
 * statsmodels. One
 * request a line on standard input, one answer a line on standard output:
 *   split SEED COUNT                      the permutation
 *   count FRACTION COUNT                  examples held out
 *   quotas VALID CLASSES COUNTS…          of each class
 *   warmup RATIO TOTAL                    warm-up steps
 *   schedule KIND RATE TOTAL WARMUP CYCLES POWER END_RATE STEPS
 *                                         rates of steps 0 … STEPS - 1
 *   classes CLASSES COUNT TRUTH… PREDICTED…
 *                                         accuracy f1 macro_f1 mcc, then of each class precision
 *                                         recall f1 support
 *   regression COUNT TRUTH… PREDICTED…    pearson spearman
 *   sample COUNT VALUES…                  mean, sample deviation
 *   student T FREEDOM                     two-sided p
 *   paired COUNT A… B…                    mean difference, its deviation, t, p
 *   interval LEVEL COUNT VALUES…          Student's interval for the mean
 *   equivalence MARGIN COUNT A… B…        p of the two one-sided tests
 *   holm COUNT P…                         corrected p */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"
#include "condlora/metrics.h"
#include "tools/reports/statistics.h"
#include "train/data/split.h"
#include "train/schedule.h"

static double next_real(void)
{
  char word[64];
  if (scanf("%63s", word) != 1)
    exit(2);
  return strtod(word, NULL);
}

static size_t next_count(void)
{
  return (size_t)next_real();
}

static void *allocate(size_t count, size_t bytes)
{
  void *memory = calloc(count + 1, bytes);
  if (memory == NULL)
    exit(2);
  return memory;
}

static void must(cdl_status status)
{
  if (status != CDL_STATUS_OK) {
    fprintf(stderr, "%s\n", cdl_error_message());
    exit(1);
  }
}

static void answer_split(void)
{
  const uint32_t seed = (uint32_t)next_count(), count = (uint32_t)next_count();
  uint32_t *rows = allocate(count, sizeof *rows);
  data_split_permutation(seed, rows, count);
  for (uint32_t i = 0; i < count; i++)
    printf("%u ", rows[i]);
  free(rows);
}

static void answer_quotas(void)
{
  const size_t valid = next_count(), classes = next_count();
  size_t *counts = allocate(classes, sizeof *counts), *quotas = allocate(classes, sizeof *quotas),
         lost;
  bool possible;
  for (size_t c = 0; c < classes; c++)
    counts[c] = next_count();
  must(data_split_quotas(counts, classes, valid, quotas, &possible, &lost));
  for (size_t c = 0; c < classes; c++)
    printf("%zu ", quotas[c]);
  free(counts);
  free(quotas);
}

static void answer_schedule(void)
{
  char name[64];
  if (scanf("%63s", name) != 1)
    exit(2);
  const int kind = base_word_place(TRAIN_SCHEDULE_WORDS, name);
  if (kind < 0)
    exit(2);
  train_schedule schedule = {.kind = (train_schedule_kind)kind, .rate = next_real()};
  schedule.total = next_count();
  schedule.warmup = next_count();
  schedule.cycles = next_real();
  schedule.power = next_real();
  schedule.end_rate = next_real();
  must(train_schedule_check(&schedule));
  const size_t steps = next_count();
  for (size_t step = 0; step < steps; step++)
    printf("%.17g ", train_schedule_rate(&schedule, step));
}

static void answer_classes(void)
{
  const size_t classes = next_count(), count = next_count();
  int32_t *given = allocate(2 * count, sizeof *given);
  cdl_class_counts *counts = allocate(classes, sizeof *counts);
  cdl_class_score *each = allocate(classes, sizeof *each);
  for (size_t i = 0; i < 2 * count; i++)
    given[i] = (int32_t)next_real();
  must(cdl_class_counts_add(counts, classes, given, given + count, count));
  const cdl_scores scores = cdl_scores_of_classes(counts, classes);
  cdl_class_scores(counts, classes, each);
  for (int metric = CDL_METRIC_ACCURACY; metric <= CDL_METRIC_MCC; metric++)
    printf("%.17g ", scores.value[metric]);
  for (size_t c = 0; c < classes; c++)
    printf("%.17g %.17g %.17g %llu ", each[c].precision, each[c].recall, each[c].f1,
           (unsigned long long)each[c].support);
  free(given);
  free(counts);
  free(each);
}

static void answer_regression(void)
{
  const size_t count = next_count();
  double *given = allocate(2 * count, sizeof *given);
  for (size_t i = 0; i < 2 * count; i++)
    given[i] = next_real();
  cdl_scores scores;
  must(cdl_scores_of_regression(given, given + count, count, &scores));
  printf("%.17g %.17g %.17g %.17g %.17g", scores.value[CDL_METRIC_PEARSON],
         scores.value[CDL_METRIC_SPEARMAN], scores.value[CDL_METRIC_MAE],
         scores.value[CDL_METRIC_RMSE], scores.value[CDL_METRIC_R2]);
  free(given);
}

static void answer_outputs(void)
{
  const size_t outputs = next_count(), count = next_count();
  double *given = allocate(2 * count * outputs, sizeof *given);
  for (size_t i = 0; i < 2 * count * outputs; i++)
    given[i] = next_real();
  cdl_scores scores;
  must(cdl_scores_of_outputs(given, given + count * outputs, count, outputs, &scores));
  printf("%.17g %.17g %.17g", scores.value[CDL_METRIC_MAE], scores.value[CDL_METRIC_RMSE],
         scores.value[CDL_METRIC_R2]);
  free(given);
}

/* Of examples one after another: truth [labels], then prediction [labels]. */
static void answer_labels(void)
{
  const size_t labels = next_count(), count = next_count();
  bool *given = allocate(2 * labels, sizeof *given);
  cdl_label_counts counts = {.label = allocate(labels, sizeof *counts.label), .labels = labels};
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < 2 * labels; k++)
      given[k] = next_real() > 0;
    cdl_label_counts_add(&counts, given, given + labels);
  }
  const cdl_scores scores = cdl_scores_of_labels(&counts);
  printf("%.17g %.17g %.17g %.17g", scores.value[CDL_METRIC_ACCURACY],
         scores.value[CDL_METRIC_MACRO_F1], scores.value[CDL_METRIC_MICRO_F1],
         scores.value[CDL_METRIC_HAMMING_LOSS]);
  free(counts.label);
  free(given);
}

static void answer_threshold(void)
{
  const size_t count = next_count();
  double *probability = allocate(count, sizeof *probability), threshold;
  bool *truth = allocate(count, sizeof *truth);
  for (size_t i = 0; i < count; i++)
    truth[i] = next_real() > 0;
  for (size_t i = 0; i < count; i++)
    probability[i] = next_real();
  must(cdl_best_threshold(truth, probability, count, &threshold));
  printf("%.17g", threshold);
  free(probability);
  free(truth);
}

static double *next_reals(size_t count)
{
  double *values = allocate(count, sizeof *values);
  for (size_t i = 0; i < count; i++)
    values[i] = next_real();
  return values;
}

static void answer_sample(void)
{
  const size_t count = next_count();
  double *values = next_reals(count);
  printf("%.17g %.17g", report_mean(values, count), report_deviation(values, count));
  free(values);
}

static void answer_student(void)
{
  const double t = next_real();
  printf("%.17g", report_student_two_sided(t, next_real()));
}

static void answer_paired(void)
{
  const size_t count = next_count();
  double *values = next_reals(2 * count);
  const report_paired_test test = report_paired_t_test(values, values + count, count);
  printf("%.17g %.17g %.17g %.17g", test.mean, test.deviation, test.t, test.p);
  free(values);
}

static void answer_interval(void)
{
  const double level = next_real();
  const size_t count = next_count();
  double *values = next_reals(count);
  const report_interval interval = report_mean_interval(values, count, level);
  printf("%.17g %.17g", interval.low, interval.high);
  free(values);
}

static void answer_equivalence(void)
{
  const double margin = next_real();
  const size_t count = next_count();
  double *values = next_reals(2 * count);
  printf("%.17g", report_paired_equivalence(values, values + count, count, margin));
  free(values);
}

static void answer_holm(void)
{
  const size_t count = next_count();
  double *p = next_reals(count), *adjusted = allocate(count, sizeof *adjusted);
  report_holm(p, count, adjusted);
  for (size_t i = 0; i < count; i++)
    printf("%.17g ", adjusted[i]);
  free(p);
  free(adjusted);
}

int main(void)
{
  char request[16];
  while (scanf("%15s", request) == 1) {
    if (strcmp(request, "split") == 0) {
      answer_split();
    } else if (strcmp(request, "count") == 0) {
      const double fraction = next_real();
      printf("%zu", data_split_valid_count(fraction, next_count()));
    } else if (strcmp(request, "quotas") == 0) {
      answer_quotas();
    } else if (strcmp(request, "warmup") == 0) {
      const double ratio = next_real();
      printf("%llu", (unsigned long long)train_schedule_warmup_steps(ratio, next_count()));
    } else if (strcmp(request, "schedule") == 0) {
      answer_schedule();
    } else if (strcmp(request, "classes") == 0) {
      answer_classes();
    } else if (strcmp(request, "regression") == 0) {
      answer_regression();
    } else if (strcmp(request, "outputs") == 0) {
      answer_outputs();
    } else if (strcmp(request, "labels") == 0) {
      answer_labels();
    } else if (strcmp(request, "threshold") == 0) {
      answer_threshold();
    } else if (strcmp(request, "sample") == 0) {
      answer_sample();
    } else if (strcmp(request, "student") == 0) {
      answer_student();
    } else if (strcmp(request, "paired") == 0) {
      answer_paired();
    } else if (strcmp(request, "interval") == 0) {
      answer_interval();
    } else if (strcmp(request, "equivalence") == 0) {
      answer_equivalence();
    } else if (strcmp(request, "holm") == 0) {
      answer_holm();
    } else {
      return 2;
    }
    putchar('\n');
  }
  return 0;
}
