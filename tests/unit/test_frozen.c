/* Passes that begin above frozen layers: the same values as passes through all of them. On the
 * backend that the first argument names (default: cpu). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/frozen/cache.h"
#include "tests/run_suite.h"
#include "tests/unit/small_encoder.h"

enum { HIDDEN = 12, LAYERS = 3, PADDED = TOKENS + 3 };

static const encoder_dropout_rates no_dropout = {0};
static const int32_t ids[TOKENS] = {3, 7, 1, 19, 4, 4, 0, 11, 8};
static const int32_t positions[TOKENS] = {1, 2, 3, 1, 1, 2, 3, 4, 5}, types[TOKENS] = {0};
static const int32_t offsets[SEQUENCES + 1] = {0, 3, 4, 9}, examples[SEQUENCES] = {5, 0, 2};

/* The batch of small_encoder.h, with rows after its last sequence. */
static encoder_token_batch batch_of(int32_t tokens, const void *states)
{
  return (encoder_token_batch){.ids = ids,
                               .positions = positions,
                               .types = types,
                               .offsets = offsets,
                               .examples = examples,
                               .sequences = SEQUENCES,
                               .tokens = tokens,
                               .longest = 5,
                               .states = states};
}

static void plan(void)
{
  const encoder_batch_limits limits = {.tokens = PADDED, .sequences = SEQUENCES, .longest = 5};
  ok(encoder_plan(encoder, queue, limits, limits));
}

/* An adapter of query and value from `first` on; of no block if that is LAYERS. */
static void adapt_from(int64_t first)
{
  static char *targets[] = {(char *)(uintptr_t) "query", (char *)(uintptr_t) "value"};
  int64_t layers[LAYERS];
  adapter_settings s = {.method = first < LAYERS ? "lora" : "none", .rank = 2, .alpha = 3};
  fill_options(s.method, (named_option[NAMED_OPTIONS]){{0}}, s.options);
  if (first < LAYERS) {
    s.targets = (base_list){.item = targets, .count = 2};
    s.layers = layers;
    for (int64_t l = first; l < LAYERS; l++)
      layers[s.layer_count++] = l;
  }
  ok(adapter_create(queue, encoder, &s, &adapter));
  ok(adapter_initialize(adapter, queue, 3));
  for (size_t i = 0; i < adapter->own_count; i++)
    draw(adapter->own_parameters[i].value, 1000 + (uint32_t)i, 0, 0.2);
  encoder_weights_changed(encoder, queue, true);
}

/* What a step gives: logits, and the gradients of all that is trained. */
typedef struct {
  float logits[LOGITS];
  float *gradients;
  size_t count;
} outcome;

static outcome step(const encoder_token_batch *batch)
{
  static const float d_logits[LOGITS] = {1, -2, 3, 0.5f, -1, 2};
  outcome o = {.count = (size_t)cdl_tensor_elements(adapter_gradients(adapter))};
  adapter_materialize(adapter, queue);
  adapter_zero_gradients(adapter, queue);
  ok(encoder_load_batch(encoder, queue, batch, ENCODER_TRAINING));
  read_values(encoder_forward(encoder, queue, &no_dropout, (cdl_tensor){0}), o.logits);
  write_values(encoder_d_logits(encoder), d_logits);
  encoder_backward(encoder, queue);
  adapter_pull_back(adapter, queue);
  o.gradients = values_of(adapter_gradients(adapter));
  return o;
}

/* A row has the same bits on the CPU whatever stands beside it. Elsewhere it may round otherwise,
 * and so may sums over padded rows. */
static void check_values(const float *a, const float *b, size_t count, bool padded,
                         const char *what)
{
  const float error = padded || !frozen_states_are_exact(backend) ? 2e-5f : 0;
  for (size_t i = 0; i < count; i++)
    ck_assert_msg(fabsf(a[i] - b[i]) <= error * (1 + fabsf(a[i])), "%s %zu: %.9g and %.9g", what, i,
                  (double)a[i], (double)b[i]);
}

/* ---- Beginning at a block ---- */

/* The states before `block`, to be freed. */
static float *states_before(int block)
{
  const encoder_token_batch batch = batch_of(TOKENS, NULL);
  encoder_begin_at(encoder, block);
  plan();
  ok(encoder_load_batch(encoder, queue, &batch, ENCODER_BELOW));
  const cdl_tensor states = encoder_forward_below(encoder, queue);
  ck_assert_int_eq(states.size[2], block < LAYERS ? TOKENS : SEQUENCES);
  ck_assert_int_eq(states.size[3], HIDDEN);
  return values_of(states);
}

START_TEST(steps_are_those_of_whole_passes)
{
  start();
  make_encoder(HIDDEN, LAYERS);
  adapt_from(_i);
  ck_assert_int_eq(encoder_frozen_blocks(encoder), _i);
  plan();
  const encoder_token_batch whole = batch_of(TOKENS, NULL);
  outcome expected = step(&whole);
  for (int32_t tokens = TOKENS; tokens <= PADDED; tokens += PADDED - TOKENS) {
    float *states = states_before(_i);
    const encoder_token_batch rest = batch_of(tokens, states);
    outcome found = step(&rest);
    const bool padded = tokens > TOKENS;
    check_values(expected.logits, found.logits, LOGITS, padded, "logit");
    check_values(expected.gradients, found.gradients, expected.count, padded, "gradient");
    free(states);
    free(found.gradients);
    encoder_begin_at(encoder, 0);
  }
  free(expected.gradients);
  stop();
}
END_TEST

START_TEST(states_are_those_of_a_model_cut_there)
{
  start();
  make_encoder(HIDDEN, LAYERS);
  float *states = states_before(_i);
  encoder_destroy(encoder);
  make_encoder(HIDDEN, _i); /* draws the body's values in the same order */
  plan();
  cdl_buffer *kept;
  ok(cdl_buffer_create(backend, sizeof(float) * SEQUENCES * HIDDEN * LAYERS, &kept));
  encoder_capture_hidden(encoder, cdl_tensor_3d(kept, CDL_DTYPE_F32, 0, _i, SEQUENCES, HIDDEN));
  const encoder_token_batch whole = batch_of(TOKENS, NULL);
  ok(encoder_load_batch(encoder, queue, &whole, ENCODER_EVALUATION));
  (void)encoder_forward(encoder, queue, &no_dropout, (cdl_tensor){0});
  float *firsts = values_of(
      cdl_tensor_2d(kept, CDL_DTYPE_F32, (_i - 1) * SEQUENCES * HIDDEN, SEQUENCES, HIDDEN));
  for (int s = 0; s < SEQUENCES; s++)
    check_values(firsts + s * HIDDEN, states + (_i < LAYERS ? offsets[s] : s) * HIDDEN, HIDDEN,
                 false, "state");
  free(firsts);
  free(states);
  cdl_buffer_destroy(kept);
  stop();
}
END_TEST

START_TEST(what_is_trained_is_not_frozen)
{
  static const struct {
    const char *name;
    int frozen;
  } cases[] = {
      {"embeddings.word_embeddings.weight", 0},       {"embeddings.LayerNorm.bias", 0},
      {"layer.0.output.LayerNorm.weight", 0},         {"layer.1.attention.self.query.bias", 1},
      {"layer.1.attention.output.LayerNorm.bias", 1}, {"layer.2.output.dense.weight", 2},
      {"classifier.out_proj.weight", LAYERS}};
  start();
  make_encoder(HIDDEN, LAYERS);
  ck_assert_int_eq(encoder_frozen_blocks(encoder), LAYERS);
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    size_t met = 0;
    for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
      encoder_parameter *p = &encoder_parameters(encoder)[i];
      p->trained = strstr(p->name, cases[c].name) != NULL;
      met += p->trained;
    }
    ck_assert_msg(met == 1, "%zu are named %s", met, cases[c].name);
    ck_assert_msg(encoder_frozen_blocks(encoder) == cases[c].frozen, "%s: %d", cases[c].name,
                  encoder_frozen_blocks(encoder));
  }
  stop();
}
END_TEST

START_TEST(states_are_asked_for)
{
  start();
  make_encoder(HIDDEN, LAYERS);
  encoder_begin_at(encoder, 2);
  plan();
  const encoder_token_batch batch = batch_of(TOKENS, NULL);
  ck_assert_int_eq(encoder_load_batch(encoder, queue, &batch, ENCODER_EVALUATION),
                   CDL_STATUS_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "block 2"));
  encoder_release_plan(encoder);
  plan();
  ok(encoder_load_batch(encoder, queue, &batch, ENCODER_EVALUATION));
  stop();
}
END_TEST

/* Blocks that drop nothing give what they give without dropout; the others drop. */
START_TEST(dropout_begins_at_a_block)
{
  static const encoder_dropout_rates rates = {.hidden = 0.5f, .attention = 0.5f};
  float without[LOGITS], with[LOGITS];
  const cdl_step_record record = {.loss_scale = 1, .step = 3, .seed = {1, 2}};
  start();
  cdl_queue_upload(queue, step_tensor(), &record, sizeof record);
  make_encoder(HIDDEN, LAYERS);
  adapt_from(0);
  plan();
  logits_of(ENCODER_TRAINING, NULL, without);
  for (int block = 0; block <= LAYERS; block++) {
    encoder_dropout_rates from = rates;
    from.from_block = block;
    logits_of(ENCODER_TRAINING, &from, with);
    const bool same = memcmp(with, without, sizeof with) == 0;
    ck_assert_msg(same == (block == LAYERS), "dropout from block %d on", block);
  }
  stop();
}
END_TEST

int main(int argc, char **argv)
{
  if (!take_backend(argc, argv))
    return 77;
  Suite *suite = suite_create("frozen");
  TCase *group = tcase_create("frozen");
  tcase_set_timeout(group, 120);
  tcase_add_loop_test(group, steps_are_those_of_whole_passes, 1, LAYERS + 1);
  tcase_add_loop_test(group, states_are_those_of_a_model_cut_there, 1, LAYERS + 1);
  tcase_add_test(group, what_is_trained_is_not_frozen);
  tcase_add_test(group, states_are_asked_for);
  tcase_add_test(group, dropout_begins_at_a_block);
  suite_add_tcase(suite, group);
  return run_suite(suite);
}
