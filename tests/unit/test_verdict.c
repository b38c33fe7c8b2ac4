/* Records, the search's rule and the verdict's outcomes, on records that are made up so that the
 * answer is known. The tests behind them are compared with SciPy and statsmodels by
 * tests/peers/statistics_parity.py. */
#include <math.h>

#include "base/json.h"
#include "tests/unit/scratch.h"
#include "tools/reports/halving.h"
#include "tools/reports/matrix_records.h"
#include "tools/reports/verdict.h"
#include "tools/reports/verdict_write.h"

enum { EXAMPLES = 400, EPOCHS = 8, RATES = 4 };
static const double rates[RATES] = {0.001, 0.002, 0.004, 0.008};

static report_record record_of(const char *task, const char *method, report_role role, double rate,
                               int64_t seed)
{
  report_record r = {.role = role, .model_hash = 1, .data_hash = 2, .kept_epoch = 1, .seconds = 3};
  expect_ok(cdl_task_find(task, &r.task));
  expect_ok(report_compared_method_find(method, &r.method));
  r.settings = json_pack("{ss sf sI si}", "method", method, "lr", rate, "seed", (json_int_t)seed,
                         "epochs", EPOCHS);
  r.model = strdup("model");
  r.version = strdup("1");
  r.kernels = strdup("kernels");
  return r;
}

static void add_evaluation(report_record *r, double epoch, double score, double loss)
{
  r->evaluations = realloc(r->evaluations, (r->evaluation_count + 1) * sizeof *r->evaluations);
  ck_assert_ptr_nonnull(r->evaluations);
  r->evaluations[r->evaluation_count++] = (report_evaluation){epoch, score, loss};
}

/* ---- The search ---- */

START_TEST(rungs_are_a_quarter_a_half_and_all)
{
  ck_assert_int_eq(report_rung_epochs(20, 0), 5);
  ck_assert_int_eq(report_rung_epochs(20, 1), 10);
  ck_assert_int_eq(report_rung_epochs(20, 2), 20);
  ck_assert_int_eq(report_rung_epochs(1, 0), 1);
  ck_assert_int_eq(report_rung_epochs(6, 0), 2);
  static const struct {
    size_t rates, second;
  } sizes[] = {{6, 3}, {4, 2}, {5, 3}, {1, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    ck_assert_uint_eq(report_rung_size(sizes[i].rates, 0), sizes[i].rates);
    ck_assert_uint_eq(report_rung_size(sizes[i].rates, 1), sizes[i].second);
    ck_assert_uint_eq(report_rung_size(sizes[i].rates, 2), 1);
  }
  /* Six rates for 5 epochs, three for 5 more, one for 10 more. */
  ck_assert_int_eq(report_search_epochs(20, 6), 30 + 15 + 10);
}
END_TEST

START_TEST(ranks_by_score_then_loss_then_rate)
{
  report_record r[5];
  const report_record *order[5];
  for (int i = 0; i < 5; i++)
    order[i] = &r[i];
  for (int i = 0; i < 5; i++)
    r[i] = record_of("RTE", "lora", REPORT_ROLE_SEARCH, 0.01 * (5 - i), 1000);
  add_evaluation(&r[0], 1, 0.7, 0.5);
  add_evaluation(&r[0], 2, 0.6, 0.4);
  add_evaluation(&r[0], 3, 0.99, 0.1); /* after the rung: does not count */
  add_evaluation(&r[1], 1, 0.5, 0.6);
  add_evaluation(&r[1], 2, 0.7, 0.3); /* as good, with less loss */
  add_evaluation(&r[2], 2, 0.8, 0.9);
  add_evaluation(&r[3], 2, NAN, 0.1);
  add_evaluation(&r[4], 1, 0.7, 0.5); /* as r[0], with a lower rate */
  add_evaluation(&r[4], 2, 0.1, 0.5);
  report_rank(order, 5, EPOCHS, 0);
  const report_record *const expected[] = {&r[2], &r[1], &r[4], &r[0], &r[3]};
  for (int i = 0; i < 5; i++)
    ck_assert_ptr_eq(order[i], expected[i]);
  ck_assert(report_reached(&r[0], 3) && !report_reached(&r[1], 3));
  for (int i = 0; i < 5; i++)
    report_record_release(&r[i]);
}
END_TEST

/* ---- Records ---- */

START_TEST(a_record_is_read_as_it_was_written)
{
  const char *folder = scratch_path("records");
  report_record r = record_of("STS-B", "condlora", REPORT_ROLE_REPORT, 0.1, 3);
  add_evaluation(&r, 0.5, 0.25, NAN);
  add_evaluation(&r, 1, -0.125, 1e-9);
  for (int m = 0; m < CDL_METRIC_COUNT; m++)
    r.dev.value[m] = m == CDL_METRIC_PEARSON ? 1.0 / 3 : NAN;
  r.examples = 3;
  r.predictions = calloc(3, sizeof *r.predictions);
  r.predictions[0] = (double)0.1f;
  r.predictions[1] = -4;
  r.predictions[2] = (double)1.17549435e-38f;
  expect_ok(report_record_write(folder, &r));
  double values[] = {5, 0.25, 1e-7};
  const report_labels labels = {r.task, r.data_hash, values, 3};
  expect_ok(report_labels_write(folder, &labels));
  report_records records;
  expect_ok(report_records_read(folder, &records));
  ck_assert_uint_eq(records.count, 1);
  const report_record *found = report_records_find(&records, report_record_key(&r));
  ck_assert_ptr_nonnull(found);
  ck_assert(found->task == r.task && found->method == r.method && found->role == r.role);
  ck_assert(json_equal(found->settings, r.settings));
  ck_assert_uint_eq(found->evaluation_count, 2);
  ck_assert(isnan(found->evaluations[0].loss) && found->evaluations[1].score == -0.125);
  ck_assert_double_eq(found->dev.value[CDL_METRIC_PEARSON], 1.0 / 3);
  ck_assert(isnan(found->dev.value[CDL_METRIC_MCC]));
  for (int i = 0; i < 3; i++)
    ck_assert((float)found->predictions[i] == (float)r.predictions[i]);
  const report_labels *kept = report_records_labels(&records, r.task, r.data_hash);
  ck_assert_ptr_nonnull(kept);
  ck_assert_double_eq(kept->label[2], 1e-7);
  report_records_release(&records);
  report_record_release(&r);
}
END_TEST

START_TEST(other_runs_have_other_keys)
{
  report_record a = record_of("RTE", "lora", REPORT_ROLE_REPORT, 0.1, 3);
  const uint64_t key = report_record_key(&a);
  json_object_set_new(a.settings, "dropout", json_real(0.1));
  ck_assert_uint_ne(report_record_key(&a), key);
  json_object_del(a.settings, "dropout");
  ck_assert_uint_eq(report_record_key(&a), key);
  /* Settings are a set. */
  json_t *lr = json_incref(json_object_get(a.settings, "lr"));
  json_object_del(a.settings, "lr");
  json_object_set_new(a.settings, "lr", lr);
  ck_assert_uint_eq(report_record_key(&a), key);
  a.model_hash++;
  ck_assert_uint_ne(report_record_key(&a), key);
  a.model_hash--;
  a.data_hash++;
  ck_assert_uint_ne(report_record_key(&a), key);
  a.data_hash--;
  a.role = REPORT_ROLE_SEARCH;
  ck_assert_uint_ne(report_record_key(&a), key);
  report_record_release(&a);
}
END_TEST

START_TEST(damaged_records_are_named)
{
  static const struct {
    const char *text, *said;
  } cases[] = {{"{}", "semantics"},
               {"{\"semantics\": 99, \"task\": \"RTE\"}", "obsolete"},
               {"{\"semantics\": 1, \"task\": \"RTX\"}", "RTX"},
               {"{\"semantics\": 1, \"task\": \"RTE\", \"data\": \"12\"}", "16 hexadecimal"},
               {"{\"semantics\": 1, \"task\": \"RTE\", \"data\": \"0123456789abcdef\", \"labels\": "
                "\"0 1 x\"}",
                "numbers"},
               {"{\"semantics\": 1, \"task\": \"RTE\", \"data\": \"0123456789abcdef\", \"role\": "
                "\"other\"}",
                "role"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char name[64];
    snprintf(name, sizeof name, "folder%zu", i);
    const char *folder = scratch_path(name);
    mkdir(folder, 0700);
    snprintf(name, sizeof name, "folder%zu/one.json", i);
    scratch_put_text(scratch_path(name), cases[i].text);
    report_records records;
    ck_assert_int_eq(report_records_read(folder, &records), CDL_STATUS_DATA);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), "one.json"));
    ck_assert_msg(strstr(cdl_error_message(), cases[i].said) != NULL, "%s", cdl_error_message());
    report_records_release(&records);
  }
}
END_TEST

/* ---- The verdict ---- */

/* Writes a search that ends with rates[best], and `seeds` runs whose accuracies on dev are those.
 */
static void write_method(const char *folder, const char *method, int best, const int *right,
                         int seeds)
{
  for (int i = 0; i < RATES; i++) {
    report_record r = record_of("MRPC", method, REPORT_ROLE_SEARCH, rates[i], 1000);
    const int reached = i == best ? EPOCHS : i == (best + 1) % RATES ? EPOCHS / 2 : EPOCHS / 4;
    for (int e = 1; e <= reached; e++)
      add_evaluation(&r, e, i == best ? 0.9 : i == (best + 1) % RATES ? 0.8 : 0.7, 0.5);
    expect_ok(report_record_write(folder, &r));
    report_record_release(&r);
  }
  for (int s = 0; s < seeds; s++) {
    report_record r = record_of("MRPC", method, REPORT_ROLE_REPORT, rates[best], s);
    add_evaluation(&r, EPOCHS, 0.9, 0.5);
    r.examples = EXAMPLES;
    r.predictions = calloc(EXAMPLES, sizeof *r.predictions);
    for (int i = 0; i < EXAMPLES; i++) /* every label is 1 */
      r.predictions[i] = i < right[s] ? 1 : 0;
    r.dev.value[CDL_METRIC_ACCURACY] = (double)right[s] / EXAMPLES;
    expect_ok(report_record_write(folder, &r));
    report_record_release(&r);
  }
}

static void write_labels(const char *folder)
{
  double values[EXAMPLES];
  report_labels labels = {NULL, 2, values, EXAMPLES};
  for (int i = 0; i < EXAMPLES; i++)
    values[i] = 1;
  expect_ok(cdl_task_find("MRPC", &labels.task));
  expect_ok(report_labels_write(folder, &labels));
}

START_TEST(outcomes_follow_the_rule)
{
  /* Of 400 examples 4 are a point. */
  static const struct {
    int base[5], method[5], seeds;
    report_outcome outcome;
    bool is_level;
    const char *sentence;
  } cases[] = {
      {{320, 324, 322, 321, 323},
       {320, 325, 321, 321, 324},
       5,
       REPORT_LEVEL,
       true,
       "level within 1.0"},
      {{320, 324, 322, 321, 323},
       {340, 345, 341, 340, 344},
       5,
       REPORT_AHEAD,
       false,
       "ahead by 5.0"},
      {{340, 345, 341, 340, 344},
       {320, 324, 322, 321, 323},
       5,
       REPORT_BEHIND,
       false,
       "behind by 5.0"},
      /* Always a little more, and less than a point. */
      {{320, 324, 322, 321, 323}, {322, 326, 324, 324, 325}, 5, REPORT_AHEAD, true, "yet level"},
      {{320, 324, 322}, {328, 325, 332}, 3, REPORT_MORE_SEEDS, false, "more seed"},
      {{300, 340, 320}, {342, 301, 325}, 3, REPORT_DEV_TOO_SMALL, false, "too small"},
      {{320, 324, 322}, {324, 328, 326}, 3, REPORT_NO_SPREAD, false, "alike, by +1.0"},
      {{320}, {324}, 1, REPORT_UNDER_WAY, false, "1 of at least 2"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char name[32];
    snprintf(name, sizeof name, "case%zu", i);
    const char *folder = scratch_path(name);
    write_labels(folder);
    write_method(folder, "lora", 1, cases[i].base, cases[i].seeds);
    write_method(folder, "condlora", 3, cases[i].method, cases[i].seeds);
    report_records records;
    report_verdict verdict;
    expect_ok(report_records_read(folder, &records));
    expect_ok(report_verdict_make(&records, &verdict));
    ck_assert_uint_eq(verdict.count, 1);
    const report_verdict_task *t = &verdict.tables[0].tasks[0];
    ck_assert_uint_eq(t->cell_count, 2);
    const report_cell *base = &t->cells[0], *cell = &t->cells[1];
    ck_assert(base->outcome == REPORT_BASELINE && base->rate == rates[1]);
    ck_assert(cell->rate == rates[3] && cell->rate_is_highest && !base->rate_is_highest);
    ck_assert_double_eq(cell->search_epochs, EPOCHS + EPOCHS / 2 + 2 * (EPOCHS / 4));
    ck_assert_msg(cell->outcome == cases[i].outcome, "case %zu: outcome %d, p %g and %g", i,
                  (int)cell->outcome, cell->p_difference_holm, cell->p_equivalence_holm);
    ck_assert_int_eq(cell->is_level, cases[i].is_level);
    const report_described said = report_verdict_sentence(t, cell);
    ck_assert_msg(strstr(said.text, cases[i].sentence) != NULL, "%s", said.text);
    report_verdict_release(&verdict);
    report_records_release(&records);
  }
}
END_TEST

/* With one label and predictions that are right on the first examples, the score of a draw is the
 * share of its examples that are among these: its deviation is that of a binomial. */
START_TEST(the_bootstrap_is_as_wide_as_the_binomial)
{
  static const int base[] = {320, 321}, method[] = {280, 282};
  const char *folder = scratch_path("records");
  write_labels(folder);
  write_method(folder, "lora", 1, base, 2);
  write_method(folder, "condlora", 1, method, 2);
  report_records records;
  report_verdict verdict;
  expect_ok(report_records_read(folder, &records));
  expect_ok(report_verdict_make(&records, &verdict));
  const report_cell *cell = &verdict.tables[0].tasks[0].cells[1];
  const double p = 0.5 * (320 + 321 - 280 - 282) / EXAMPLES;
  const double half = 1.96 * sqrt(p * (1 - p) / EXAMPLES);
  ck_assert_double_eq_tol(cell->examples.low, -p - half, 0.15 * half);
  ck_assert_double_eq_tol(cell->examples.high, -p + half, 0.15 * half);
  report_verdict_release(&verdict);
  report_records_release(&records);
}
END_TEST

START_TEST(predictions_must_fit_the_labels)
{
  static const int right[] = {300, 310};
  const char *folder = scratch_path("records");
  double values[] = {1, 0};
  report_labels labels = {NULL, 2, values, 2};
  expect_ok(cdl_task_find("MRPC", &labels.task));
  expect_ok(report_labels_write(folder, &labels));
  write_method(folder, "lora", 1, right, 2);
  report_records records;
  report_verdict verdict;
  expect_ok(report_records_read(folder, &records));
  ck_assert_int_eq(report_verdict_make(&records, &verdict), CDL_STATUS_DATA);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "MRPC"));
  report_verdict_release(&verdict);
  report_records_release(&records);
}
END_TEST

/* ---- Matrices ---- */

static void write_matrices(const char *folder)
{
  report_matrices m = {.run = 0x0123456789abcdef, .vectors = 8};
  expect_ok(cdl_task_find("MRPC", &m.task));
  expect_ok(report_compared_method_find("lora", &m.method));
  report_measure *pairs = report_measure_add(&m, REPORT_MEASURE_CONVERSION, "paper A", "query", 4);
  ck_assert_ptr_nonnull(pairs);
  for (int i = 0; i < 16; i++) {
    pairs->layers[i / 4] = 2 + i / 4;
    pairs->values[i] = i / 4 == i % 4 ? 1 : 0.01 * (i / 4 + i % 4);
  }
  pairs->random = NAN;
  pairs->expected = 0.25;
  report_measure *one = report_measure_add(&m, REPORT_MEASURE_SIMILARITY, "B", "query", 2);
  ck_assert_ptr_nonnull(one);
  one->layers[1] = 1;
  one->values[0] = 0.12344;
  one->values[1] = 0.5;
  one->random = one->expected = 0.125;
  expect_ok(report_matrices_write(folder, &m));
  report_matrices_release(&m);
}

START_TEST(matrices_are_read_as_they_were_written)
{
  const char *folder = scratch_path("records");
  report_matrices_list list;
  expect_ok(report_matrices_read(folder, &list));
  ck_assert_uint_eq(list.count, 0);
  report_matrices_list_release(&list);
  write_matrices(folder);
  expect_ok(report_matrices_read(folder, &list));
  ck_assert_ptr_null(report_matrices_find(&list, 1));
  const report_matrices *m = report_matrices_find(&list, 0x0123456789abcdef);
  ck_assert_ptr_nonnull(m);
  ck_assert_int_eq(m->vectors, 8);
  const report_measure *pairs =
      report_measure_find(m, REPORT_MEASURE_CONVERSION, "paper A", "query");
  ck_assert_ptr_nonnull(pairs);
  ck_assert_int_eq(pairs->layers[3], 5);
  ck_assert(isnan(pairs->random));
  /* Pairs 01 02 03 12 13 23; of the deeper two layers, 23. */
  ck_assert_double_eq_tol(report_measure_mean(pairs), 0.01 * (1 + 2 + 3 + 3 + 4 + 5) / 6, 1e-12);
  ck_assert_double_eq_tol(report_measure_deeper_mean(pairs), 0.05, 1e-12);
  const report_measure *one = report_measure_find(m, REPORT_MEASURE_SIMILARITY, "B", "query");
  ck_assert_ptr_nonnull(one);
  ck_assert_double_eq_tol(report_measure_mean(one), (0.1234 + 0.5) / 2, 1e-12);
  ck_assert_ptr_null(report_measure_find(m, REPORT_MEASURE_SIMILARITY, "A", "query"));
  report_matrices_list_release(&list);

  /* Runs are read without them: the two do not disturb each other. */
  report_records records;
  expect_ok(report_records_read(folder, &records));
  ck_assert_uint_eq(records.count, 0);
  report_records_release(&records);
}
END_TEST

START_TEST(damaged_matrices_are_named)
{
  static const char name[] = "MRPC-lora-0123456789abcdef.json";
  static const struct {
    const char *from, *to, *said;
  } cases[] = {{"\"semantics\": 1", "\"semantics\": 2", "obsolete"},
               {"\"lora\"", "\"nothing\"", "no method"},
               {"\"MRPC\"", "\"nothing\"", "no task"},
               {"0123456789abcdef", "0123", "hexadecimal"},
               {"\"similarity\"", "\"nothing\"", "similarity, correlation or conversion"},
               {"\"0.1234 0.5\"", "\"0.1234\"", "as many values"},
               {"\"0.1234 0.5\"", "\"0.1234 x\"", "list of numbers"},
               {"\"0 1\"", "\"0 1.5\"", "whole numbers"},
               {"\"0 1\"", "\"\"", "1 to 1000"}};
  const char *folder = scratch_path("records"), *place = scratch_path("records/matrices");
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", place, name);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t bytes;
    write_matrices(folder);
    char *text = (char *)scratch_get(path, &bytes);
    text = realloc(text, bytes + 1);
    ck_assert_ptr_nonnull(text);
    text[bytes] = '\0';
    const char *at = strstr(text, cases[i].from);
    ck_assert_msg(at != NULL, "%s", cases[i].from);
    char *changed;
    ck_assert_int_ge(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, cases[i].to,
                              at + strlen(cases[i].from)),
                     0);
    scratch_put_text(path, changed);
    report_matrices_list list;
    expect_failure(report_matrices_read(folder, &list), CDL_STATUS_DATA, name);
    ck_assert_msg(strstr(cdl_error_message(), cases[i].said) != NULL, "%s", cdl_error_message());
    report_matrices_list_release(&list);
    free(text);
    free(changed);
  }
}
END_TEST

int main(void)
{
  return scratch_run(
      "verdict",
      (const TTest *[]){rungs_are_a_quarter_a_half_and_all, ranks_by_score_then_loss_then_rate,
                        a_record_is_read_as_it_was_written, other_runs_have_other_keys,
                        damaged_records_are_named, outcomes_follow_the_rule,
                        the_bootstrap_is_as_wide_as_the_binomial, predictions_must_fit_the_labels,
                        matrices_are_read_as_they_were_written, damaged_matrices_are_named, NULL});
}
