/* What an encoder does with padding and with its config.json, on the backend that the first
 * argument names (default: cpu). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder/distance.h"
#include "tests/run_suite.h"
#include "tests/unit/small_encoder.h"

enum { WORDS = 20, PLACES = 16, HIDDEN = 12, TABLES = 3 };

static cdl_buffer *gradients;

static model_config config_of(model_family family, int64_t pad)
{
  return (model_config){.family = family,
                        .vocabulary_size = WORDS,
                        .hidden_size = HIDDEN,
                        .layers = 1,
                        .heads = 3,
                        .intermediate_size = 17,
                        .position_count = PLACES,
                        .type_count = 1,
                        .pad_id = pad,
                        .layer_norm_epsilon = 1e-5,
                        .activation = CDL_ACTIVATION_GELU};
}

static void begin(const model_config *config)
{
  start();
  ok(encoder_create(queue, config, LABELS, &encoder));
}

static void end(void)
{
  cdl_buffer_destroy(gradients);
  gradients = NULL;
  stop();
}

/* ---- Padding ---- */

/* Values for all, and room for the gradients of the embeddings' tables: words, positions, types. */
static void train_tables(void)
{
  static float values[4096];
  ok(cdl_buffer_create(backend, sizeof(float) * (WORDS + PLACES + 1) * HIDDEN, &gradients));
  int64_t used = 0;
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    encoder_parameter *p = &encoder_parameters(encoder)[i];
    const size_t count = (size_t)cdl_tensor_elements(p->value);
    ck_assert_uint_le(count, sizeof values / sizeof values[0]);
    cdl_random random = cdl_random_start(1, CDL_RANDOM_TEST, (uint32_t)i, 0);
    for (size_t v = 0; v < count; v++)
      values[v] = (float)cdl_random_normal(&random);
    cdl_queue_upload(queue, p->value, values, count * sizeof *values);
    ok(cdl_queue_sync(queue));
    if (strstr(p->name, "_embeddings.weight") == NULL)
      continue;
    p->trained = true;
    p->gradient = cdl_tensor_2d(gradients, CDL_DTYPE_F32, used, p->value.size[2], p->value.size[3]);
    used += (int64_t)count;
    cdl_fill(queue, CDL_ARGS(fill, .out = p->gradient));
  }
  encoder_weights_changed(encoder, queue, false);
}

/* Runs forward and backward with the positions that the model counts. */
static void run(const int32_t *ids, const int32_t *offsets, int32_t first)
{
  static const int32_t types[TOKENS] = {0};
  static const encoder_dropout_rates none = {0};
  static const float d_logits[SEQUENCES * LABELS] = {1, -2, 3, 0.5f, -1, 2};
  int32_t positions[TOKENS], longest = 0;
  for (int s = 0; s < SEQUENCES; s++) {
    const int32_t length = offsets[s + 1] - offsets[s];
    model_count_positions(first, ids + offsets[s], (size_t)length, positions + offsets[s]);
    longest = length > longest ? length : longest;
  }
  const encoder_token_batch batch = {.ids = ids,
                                     .positions = positions,
                                     .types = types,
                                     .offsets = offsets,
                                     .sequences = SEQUENCES,
                                     .tokens = TOKENS,
                                     .longest = longest};
  const encoder_batch_limits limits = {TOKENS, SEQUENCES, longest};
  ok(encoder_plan(encoder, queue, limits, limits));
  ok(encoder_load_batch(encoder, queue, &batch, ENCODER_TRAINING));
  (void)encoder_forward(encoder, queue, &none, (cdl_tensor){0});
  cdl_queue_upload(queue, encoder_d_logits(encoder), d_logits, sizeof d_logits);
  encoder_backward(encoder, queue);
  ok(cdl_queue_sync(queue));
}

/* Rows of a table's gradient that are not zero, as bits, and the sum of all. */
static uint32_t moved_rows(int table, double sum[HIDDEN])
{
  static const char *const names[] = {"word_embeddings", "position_embeddings",
                                      "token_type_embeddings"};
  static float values[WORDS * HIDDEN];
  uint32_t moved = 0;
  memset(sum, 0, HIDDEN * sizeof *sum);
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    const encoder_parameter *p = &encoder_parameters(encoder)[i];
    if (strstr(p->name, names[table]) == NULL)
      continue;
    const int64_t count = cdl_tensor_elements(p->gradient);
    cdl_queue_download(queue, values, p->gradient, (size_t)count * sizeof *values);
    ok(cdl_queue_sync(queue));
    for (int64_t v = 0; v < count; v++) {
      sum[v % HIDDEN] += (double)values[v];
      if (values[v] != 0)
        moved |= 1u << v / HIDDEN;
    }
  }
  return moved;
}

static void check_sums(const double *a, const double *b)
{
  for (int i = 0; i < HIDDEN; i++)
    ck_assert_msg(fabs(a[i] - b[i]) <= 1e-4 * (1 + fabs(a[i])), "%g and %g", a[i], b[i]);
}

#define BIT(row) (1u << (row))

/* nn.Embedding(padding_idx): its row gets nothing, all others get what reaches their tokens. Each
 * token's gradient goes to its word, its position and the one type: over all rows it is the
 * same. */
START_TEST(rows_of_padding_get_no_gradient)
{
  static const int32_t ids[TOKENS] = {3, 7, 1, 19, 4, 1, 4, 11, 8};
  static const int32_t offsets[SEQUENCES + 1] = {0, 3, 4, 9};
  const uint32_t words = BIT(3) | BIT(7) | BIT(1) | BIT(19) | BIT(4) | BIT(11) | BIT(8);
  const struct {
    model_family family;
    int64_t pad;
    uint32_t words, places;
    bool all; /* nothing is left out */
  } cases[] = {
      {MODEL_FAMILY_BERT, 0, words, BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4), true},
      {MODEL_FAMILY_BERT, MODEL_NO_PAD, words, BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4), true},
      {MODEL_FAMILY_BERT, 1, words & ~BIT(1), BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4), false},
      {MODEL_FAMILY_BERT, -1, words & ~BIT(19), BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4), false},
      /* 2 3 pad, 2, 2 pad 3 4 5 */
      {MODEL_FAMILY_ROBERTA, 1, words & ~BIT(1), BIT(2) | BIT(3) | BIT(4) | BIT(5), false},
      {MODEL_FAMILY_CAMEMBERT, 8, words & ~BIT(8), BIT(9) | BIT(10) | BIT(11) | BIT(12), false},
      {MODEL_FAMILY_XLM_ROBERTA, -1, words & ~BIT(19), BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4),
       false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const model_config config = config_of(cases[i].family, cases[i].pad);
    double of_words[HIDDEN], of_places[HIDDEN], of_types[HIDDEN];
    begin(&config);
    train_tables();
    run(ids, offsets, (int32_t)model_config_first_position(&config));
    ck_assert_uint_eq(moved_rows(0, of_words), cases[i].words);
    ck_assert_uint_eq(moved_rows(1, of_places), cases[i].places);
    ck_assert_uint_eq(moved_rows(2, of_types), BIT(0));
    if (cases[i].all)
      check_sums(of_words, of_types);
    if (cases[i].family == MODEL_FAMILY_BERT)
      check_sums(of_places, of_types);
    else if (cases[i].pad >= 0) /* the same tokens have the word and the position of padding */
      check_sums(of_places, of_words);
    end();
  }
}
END_TEST

START_TEST(texts_of_padding_alone_have_no_words_to_train)
{
  static const int32_t ids[TOKENS] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  static const int32_t offsets[SEQUENCES + 1] = {0, 3, 4, 9};
  const model_config config = config_of(MODEL_FAMILY_ROBERTA, 1);
  double sum[HIDDEN];
  begin(&config);
  train_tables();
  run(ids, offsets, 2);
  ck_assert_uint_eq(moved_rows(0, sum), 0);
  ck_assert_uint_eq(moved_rows(1, sum), 0);
  ck_assert_uint_eq(moved_rows(2, sum), BIT(0));
  end();
}
END_TEST

/* ---- The config ---- */

START_TEST(an_encoder_has_the_names_of_its_labels)
{
  char *names[] = {strdup("no"), strdup("yes"), strdup("perhaps")};
  model_config config = config_of(MODEL_FAMILY_BERT, 0);
  config.label_names = names;
  config.label_count = 3;
  begin(&config);
  for (int i = 0; i < 3; i++) {
    names[i][0] = '?'; /* the caller's own from now on */
    free(names[i]);
  }
  model_encoder *other;
  ok(encoder_share(queue, encoder, 1, &other));
  for (int turn = 0; turn < 2; turn++) {
    const model_config *kept = encoder_config(turn == 0 ? other : encoder);
    ck_assert_int_eq(kept->label_count, 3);
    ck_assert_str_eq(kept->label_names[0], "no");
    ck_assert_str_eq(kept->label_names[2], "perhaps");
    if (turn == 0)
      encoder_destroy(other);
  }
  end();
}
END_TEST

/* Transformers' formula, in double: its floor falls on other integers only where a logarithm is not
 * exact, at powers of two. */
START_TEST(buckets_of_distances)
{
  for (int64_t distance = -3000; distance <= 3000; distance++) {
    const int64_t n = distance < 0 ? -distance : distance;
    const double above = n < 8 ? 0 : floor(log((double)n / 8) / log(16) * 8 + 1e-9);
    const int32_t bucket = n < 8 ? (int32_t)n : 8 + (int32_t)(above < 7 ? above : 7);
    ck_assert_int_eq(encoder_distance_bucket(distance), distance > 0 ? bucket + 16 : bucket);
  }
  for (int side = -1; side <= 1; side += 2) {
    const int32_t last = encoder_distance_bucket(side * ENCODER_DISTANCE_RADIUS);
    ck_assert_int_ne(encoder_distance_bucket(side * (ENCODER_DISTANCE_RADIUS - 1)), last);
    ck_assert_int_eq(encoder_distance_bucket(side * 100000), last);
  }
}
END_TEST

int main(int argc, char **argv)
{
  if (!take_backend(argc, argv))
    return 77;
  Suite *suite = suite_create("encoder");
  TCase *all = tcase_create("padding and config");
  tcase_set_timeout(all, 120);
  tcase_add_test(all, rows_of_padding_get_no_gradient);
  tcase_add_test(all, texts_of_padding_alone_have_no_words_to_train);
  tcase_add_test(all, an_encoder_has_the_names_of_its_labels);
  tcase_add_test(all, buckets_of_distances);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
