/* AdaLoRA and its conditional form: the budget and the choice of ranks, and gradients, penalty and
 * masks included, against differences of the loss; on the backend that the first argument names
 * (default: cpu). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/adapter/methods/triplets.h"
#include "tests/run_suite.h"
#include "tests/unit/small_encoder.h"

/* ---- The budget ---- */

/* PEFT 0.17's RankAllocator.budget_schedule in Python, 24 triplets, 10 of them in the end, for
 * steps 0 to 19 of 20. */
START_TEST(budget_falls_along_a_cubic)
{
  static const struct {
    int64_t first, last, interval;
    int kept[20];
  } runs[] = {
      {0, 0, 1, {24, 22, 20, 18, 17, 15, 14, 13, 13, 12, 11, 11, 10, 10, 10, 10, 10, 10, 10, 10}},
      {2, 5, 3, {24, 24, 24, 21, 18, 16, 14, 13, 12, 11, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10}}};
  for (size_t r = 0; r < sizeof runs / sizeof runs[0]; r++) {
    const rank_budget b = {24, 10, runs[r].first, runs[r].last, runs[r].interval, 20};
    ck_assert(rank_budget_check(&b) == CDL_STATUS_OK);
    for (int64_t step = 0; step < 20; step++) {
      const rank_plan plan = rank_plan_at(&b, step);
      ck_assert_int_eq(plan.kept, runs[r].kept[step]);
      const int64_t settled = 20 - b.last;
      ck_assert(plan.measures == (step < settled));
      ck_assert(plan.repeats == (step > settled));
      ck_assert(plan.chooses ==
                ((step > b.first && step < settled && step % b.interval == 0) || step == settled));
    }
  }
}
END_TEST

START_TEST(a_run_without_final_steps_ends_with_a_choice)
{
  const rank_budget b = {24, 10, 0, 0, 7, 20};
  ck_assert(!rank_plan_at(&b, 18).chooses);
  ck_assert(rank_plan_at(&b, 19).chooses && rank_plan_at(&b, 19).measures);
}
END_TEST

START_TEST(a_schedule_without_room_is_refused)
{
  ck_assert(rank_budget_check(&(rank_budget){24, 10, 9, 10, 1, 20}) == CDL_STATUS_OK);
  ck_assert(rank_budget_check(&(rank_budget){24, 10, 10, 10, 1, 20}) == CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "tinit 10 and tfinal 10"));
}
END_TEST

START_TEST(the_best_triplets_stay_and_ties_go_together)
{
  static const struct {
    float scores[6];
    int64_t kept;
    float keep[6];
  } cases[] = {
      {{3, 1, 2, 6, 5, 4}, 2, {0, 0, 0, 1, 1, 0}},   {{3, 1, 2, 6, 5, 4}, 6, {1, 1, 1, 1, 1, 1}},
      {{3, 1, 2, 6, 5, 4}, 9, {1, 1, 1, 1, 1, 1}},   {{3, 1, 2, 6, 5, 4}, 0, {0, 0, 0, 0, 0, 0}},
      {{2, 2, 2, 1, 3, 3}, 4, {0, 0, 0, 0, 1, 1}},   {{0, 0, 0, 0, 0, 0}, 3, {0, 0, 0, 0, 0, 0}},
      {{2, NAN, 1, 3, 0, 4}, 2, {0, 1, 0, 0, 0, 1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    float keep[6];
    ck_assert(rank_choose(cases[i].scores, 6, cases[i].kept, keep) == CDL_STATUS_OK);
    for (int k = 0; k < 6; k++)
      ck_assert_msg(keep[k] == cases[i].keep[k], "case %zu, triplet %d", i, k);
  }
}
END_TEST

/* ---- Gradients ---- */

static cdl_buffer *loss_buffer;

static void begin(void)
{
  draw_seed = 11;
  start();
  ok(cdl_buffer_create(backend, 2 * sizeof(float), &loss_buffer));
  make_encoder(12, 2);
}

static void end(void)
{
  cdl_buffer_destroy(loss_buffer);
  stop();
}

enum { INIT_R = 3, TARGET_R = 2 };

static void make_adapter(const char *method, bool reference_compat)
{
  const char *const targets[] = {"query", "value", "output.dense"};
  adapter_settings s = {.method = method,
                        .rank = 8,
                        .alpha = 9,
                        .targets = {(char **)(uintptr_t)targets, 3},
                        .reference_compat = reference_compat};
  fill_options(method, (named_option[NAMED_OPTIONS]){{"init_r", INIT_R}, {"target_r", TARGET_R}},
               s.options);
  ok(adapter_create(queue, encoder, &s, &adapter));
  ok(adapter_initialize(adapter, queue, 3));
  plan_batch();
}

static const float weights_of_logits[LOGITS] = {0.7f, -1.1f, 0.4f, 0.9f, -0.6f, 1.3f};

static cdl_tensor loss_tensor(void)
{
  return cdl_tensor_1d(loss_buffer, CDL_DTYPE_F32, 0, 1);
}

/* Logits weighted, and the penalty, with what the parameters are. */
static double loss_of_present_values(void)
{
  float logits[LOGITS];
  adapter_materialize(adapter, queue);
  logits_of(ENCODER_TRAINING, NULL, logits);
  double loss = 0;
  for (int i = 0; i < LOGITS; i++)
    loss += (double)logits[i] * (double)weights_of_logits[i];
  cdl_fill(queue, CDL_ARGS(fill, .out = loss_tensor()));
  triplets_penalty(adapter, adapter->own_state, queue, loss_tensor(), false);
  float *penalty = values_of(loss_tensor());
  loss += (double)penalty[0];
  free(penalty);
  return loss;
}

static void take_gradients(void)
{
  float logits[LOGITS];
  adapter_materialize(adapter, queue);
  adapter_zero_gradients(adapter, queue);
  logits_of(ENCODER_TRAINING, NULL, logits);
  write_values(encoder_d_logits(encoder), weights_of_logits);
  encoder_backward(encoder, queue);
  adapter_pull_back(adapter, queue);
  adapter_extra_loss(adapter, queue, loss_tensor());
  ok(cdl_queue_sync(queue));
}

/* The slope along the gradient is the gradient's norm. */
static void check_slope(const encoder_parameter *p)
{
  const double step = 0.01;
  float *values = values_of(p->value), *direction = values_of(p->gradient);
  double norm = 0, losses[2];
  for (int64_t i = 0; i < cdl_tensor_elements(p->value); i++)
    norm += (double)direction[i] * (double)direction[i];
  norm = sqrt(norm);
  ck_assert_msg(norm > 0.02, "%s: gradient of norm %g", p->name, norm);
  float *moved = calloc((size_t)cdl_tensor_elements(p->value), sizeof *moved);
  for (int side = 0; side < 2; side++) {
    for (int64_t i = 0; i < cdl_tensor_elements(p->value); i++)
      moved[i] = (float)((double)values[i] + (side - 0.5) * 2 * step * (double)direction[i] / norm);
    write_values(p->value, moved);
    losses[side] = loss_of_present_values();
  }
  write_values(p->value, values);
  const double slope = (losses[1] - losses[0]) / (2 * step);
  ck_assert_msg(fabs(slope - norm) <= 0.01 * norm + 5e-4, "%s: slope %g, gradient of norm %g",
                p->name, slope, norm);
  free(moved);
  free(direction);
  free(values);
}

static const char *const methods[] = {"adalora", "condadalora"};

/* Some triplets are out, in one layer all. */
START_TEST(gradients_are_slopes_of_loss_and_penalty)
{
  begin();
  make_adapter(methods[_i], false);
  for (size_t i = 0; i < adapter->own_count; i++)
    draw(adapter->own_parameters[i].value, 1000 + (uint32_t)i, 0, 0.3);
  triplets *t = adapter->own_state;
  float *state = values_of(t->state);
  for (size_t k = 0; k < t->mask_count; k++)
    state[t->first_mask + (int64_t)k] = k < INIT_R || k % 4 == 1 ? 0 : 1;
  write_values(t->state, state);
  free(state);
  take_gradients();
  for (size_t i = 0; i < adapter->own_count; i++)
    check_slope(&adapter->own_parameters[i]);
  end();
}
END_TEST

/* P and Q with orthonormal columns and rows: the penalty and its gradient are zero, not NaN. */
START_TEST(an_orthonormal_adapter_has_no_penalty)
{
  begin();
  make_adapter("adalora", false);
  for (size_t i = 0; i < adapter->own_count; i++) {
    const cdl_tensor v = adapter->own_parameters[i].value;
    float *values = calloc((size_t)cdl_tensor_elements(v), sizeof *values);
    for (int64_t k = 0; k < INIT_R && v.size[3] > 1; k++)
      values[v.size[3] == INIT_R ? k * INIT_R + k : k * v.size[3] + k] = 1;
    write_values(v, values);
    free(values);
  }
  adapter_materialize(adapter, queue);
  adapter_zero_gradients(adapter, queue);
  cdl_fill(queue, CDL_ARGS(fill, .out = loss_tensor()));
  adapter_extra_loss(adapter, queue, loss_tensor());
  float *penalty = values_of(loss_tensor()), *gradients = values_of(adapter->gradients);
  ck_assert(penalty[0] == 0);
  for (int64_t i = 0; i < cdl_tensor_elements(adapter->gradients); i++)
    ck_assert(gradients[i] == 0);
  free(gradients);
  free(penalty);
  end();
}
END_TEST

/* ---- In a run ---- */

START_TEST(training_starts_at_the_base_model)
{
  float bare[LOGITS], adapted[LOGITS];
  begin();
  plan_batch();
  logits_of(ENCODER_EVALUATION, NULL, bare);
  make_adapter(methods[_i], false);
  adapter_materialize(adapter, queue);
  logits_of(ENCODER_EVALUATION, NULL, adapted);
  for (int i = 0; i < LOGITS; i++)
    ck_assert_msg(bare[i] == adapted[i], "logit %d is %g, not %g", i, (double)adapted[i],
                  (double)bare[i]);
  end();
}
END_TEST

/* After the last of some steps the budget is kept, and what a snapshot holds is what is in use. */
START_TEST(a_run_ends_at_its_budget)
{
  enum { STEPS = 4 };
  begin();
  make_adapter(methods[_i], false);
  for (size_t i = 0; i < adapter->own_count; i++)
    draw(adapter->own_parameters[i].value, 1000 + (uint32_t)i, 0, 0.3);
  ok(adapter_begin_run(adapter, queue, STEPS));
  const cdl_tensor factor = cdl_tensor_1d(loss_buffer, CDL_DTYPE_F32, 1, 1);
  cdl_fill(queue, CDL_ARGS(fill, .out = factor, .value = 1));
  for (int64_t step = 0; step < STEPS; step++) {
    take_gradients();
    ok(adapter_after_step(adapter, queue, step, factor));
  }
  const triplets *t = adapter->own_state;
  const rank_plan last = rank_plan_at(&t->budget, STEPS - 1);
  adapter_snapshot snapshot;
  ok(adapter_snapshot_create(adapter, &snapshot));
  ok(adapter_snapshot_take(&snapshot, adapter, queue));
  ck_assert(triplets_chosen(t, &snapshot));
  int64_t kept = 0;
  for (size_t b = 0; b < t->batch_count; b++)
    for (int layer = 0; layer < t->batches[b].count; layer++)
      for (int64_t k = 0; k < t->batches[b].rank; k++)
        kept += triplets_kept(t, &snapshot, &t->batches[b], layer, k);
  ck_assert_int_eq(kept, last.kept);
  ck_assert_int_lt(kept, (int64_t)t->mask_count);
  json_t *extra = triplets_extra(adapter, &snapshot);
  ck_assert_int_eq(json_integer_value(json_object_get(extra, "total_step")), STEPS);
  ck_assert_uint_eq(json_object_size(json_object_get(extra, "rank_pattern")),
                    adapter->module_count);
  json_decref(extra);
  adapter_snapshot_release(&snapshot);
  end();
}
END_TEST

START_TEST(the_references_form_never_allocates)
{
  begin();
  make_adapter("adalora", true);
  ok(adapter_begin_run(adapter, queue, 4));
  const triplets *t = adapter->own_state;
  ck_assert_int_eq(t->budget.steps, 0);
  double penalty, squares = 0;
  ok(adapter_evaluation_penalty(adapter, queue, &penalty));
  ck_assert(penalty > 0);
  for (size_t i = 0; i < adapter->own_count; i++)
    if (strstr(adapter->own_parameters[i].name, "lora_E") != NULL) {
      float *values = values_of(adapter->own_parameters[i].value);
      for (int64_t k = 0; k < INIT_R; k++)
        squares += (double)values[k] * (double)values[k];
      free(values);
    }
  ck_assert_msg(squares > 0, "lambda starts at zero");
  end();
}
END_TEST

/* test-triplets [BACKEND]; 77 where it is not there. */
int main(int argc, char **argv)
{
  if (!take_backend(argc, argv))
    return 77;
  Suite *suite = suite_create("triplets");
  TCase *plans = tcase_create("budget"), *values = tcase_create("adapters");
  tcase_add_test(plans, budget_falls_along_a_cubic);
  tcase_add_test(plans, a_run_without_final_steps_ends_with_a_choice);
  tcase_add_test(plans, a_schedule_without_room_is_refused);
  tcase_add_test(plans, the_best_triplets_stay_and_ties_go_together);
  tcase_set_timeout(values, 60);
  tcase_add_loop_test(values, gradients_are_slopes_of_loss_and_penalty, 0, 2);
  tcase_add_test(values, an_orthonormal_adapter_has_no_penalty);
  tcase_add_loop_test(values, training_starts_at_the_base_model, 0, 2);
  tcase_add_loop_test(values, a_run_ends_at_its_budget, 0, 2);
  tcase_add_test(values, the_references_form_never_allocates);
  suite_add_tcase(suite, plans);
  suite_add_tcase(suite, values);
  return run_suite(suite);
}
