/* The identity behind CondLoRA's update, and what docs/methods/condlora.md says follows from it.
 * Orientation paper, square weights: s B_l A_l = s W_l M W_l, M = θBᵀ θA, which has no index of a
 * layer. A, B and θ are those of an adapter on the backend that the first argument names (default:
 * cpu); everything else is computed here in float64. */
#include <math.h>

#include "tests/run_suite.h"
#include "tests/unit/small_encoder.h"

enum { D = 12, RANK = 4 };

typedef struct {
  float a[RANK * D], b[RANK * D]; /* [r, d] each */
} shared_layers;

static double update[D][D], weight[D][D];

static void make_adapter(void)
{
  static const char *const targets[] = {"query"};
  adapter_settings s = {.method = "condlora",
                        .rank = RANK,
                        .alpha = 3,
                        .orientation = ADAPTER_ORIENTATION_PAPER,
                        .targets = {.item = (char **)(uintptr_t)targets, .count = 1}};
  static const named_option none[NAMED_OPTIONS] = {{NULL, 0}};
  fill_options("condlora", none, s.options);
  ok(adapter_create(queue, encoder, &s, &adapter));
}

static void begin_with_drawn_layers(shared_layers *theta)
{
  make_adapter();
  ok(adapter_initialize(adapter, queue, 3));
  for (uint32_t i = 0; i < 2; i++)
    draw(adapter->own_parameters[i].value, 1000 + i, 0, 0.2);
  read_values(adapter->own_parameters[0].value, theta->a);
  read_values(adapter->own_parameters[1].value, theta->b);
  adapter_materialize(adapter, queue);
}

/* Reads W_l, and s B_l A_l of the A and B that the encoder gets. Returns s. */
static double read_layer(size_t layer)
{
  const encoder_low_rank_term *t = &adapter->modules[layer]->delta.low_rank;
  float *w = values_of(adapter->modules[layer]->weight), *a = values_of(t->a), *b = values_of(t->b);
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++) {
      double sum = 0;
      for (int r = 0; r < RANK; r++)
        sum += (double)b[i * RANK + r] * (double)a[r * D + j];
      update[i][j] = (double)t->scale * sum;
      weight[i][j] = (double)w[i * D + j];
    }
  free(w);
  free(a);
  free(b);
  return (double)t->scale;
}

/* Every layer's update is s W_l M W_l. */
static void check_one_matrix(const shared_layers *theta, size_t layers)
{
  double m[D][D] = {{0}};
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++)
      for (int r = 0; r < RANK; r++)
        m[i][j] += (double)theta->b[r * D + i] * (double)theta->a[r * D + j];
  for (size_t layer = 0; layer < layers; layer++) {
    const double scale = read_layer(layer);
    double mw[D][D] = {{0}};
    for (int i = 0; i < D; i++)
      for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++)
          mw[i][j] += m[i][k] * weight[k][j];
    for (int i = 0; i < D; i++)
      for (int j = 0; j < D; j++) {
        double product = 0;
        for (int k = 0; k < D; k++)
          product += weight[i][k] * mw[k][j];
        ck_assert_double_eq_tol(update[i][j], scale * product, 1e-5);
      }
  }
}

START_TEST(an_update_is_the_weight_times_one_matrix_for_all_layers)
{
  shared_layers theta;
  start();
  make_encoder(D, 3);
  begin_with_drawn_layers(&theta);
  check_one_matrix(&theta, 3);
  stop();
}
END_TEST

/* Eliminates with the largest element left as pivot, and returns how many pivots are above `least`
 * times the first. */
static int rank_of(double x[D][D], double least)
{
  double first = 0;
  for (int k = 0; k < D; k++) {
    int row = k, column = k;
    for (int i = k; i < D; i++)
      for (int j = k; j < D; j++)
        if (fabs(x[i][j]) > fabs(x[row][column])) {
          row = i;
          column = j;
        }
    const double pivot = x[row][column];
    if (k == 0)
      first = fabs(pivot);
    if (fabs(pivot) <= least * first)
      return k;
    for (int j = 0; j < D; j++) {
      const double other = x[k][j];
      x[k][j] = x[row][j];
      x[row][j] = other;
    }
    for (int i = 0; i < D; i++) {
      const double other = x[i][k];
      x[i][k] = x[i][column];
      x[i][column] = other;
    }
    for (int i = k + 1; i < D; i++) {
      const double factor = x[i][k] / pivot;
      for (int j = k; j < D; j++)
        x[i][j] -= factor * x[k][j];
    }
  }
  return D;
}

START_TEST(an_update_has_the_shared_layers_rank)
{
  shared_layers theta;
  start();
  make_encoder(D, 2);
  begin_with_drawn_layers(&theta);
  for (size_t layer = 0; layer < 2; layer++) {
    read_layer(layer);
    ck_assert_int_eq(rank_of(update, 1e-6), RANK);
    ck_assert_int_eq(rank_of(weight, 1e-6), D);
  }
  stop();
}
END_TEST

/* Draws the weights anew with two equal columns and two equal rows: W x = 0 and yᵀ W = 0 for the
 * differences x and y of two unit vectors. */
static void make_singular(cdl_tensor w)
{
  float *values = values_of(w);
  for (int i = 0; i < D; i++)
    values[i * D + 5] = values[i * D + 3];
  for (int j = 0; j < D; j++)
    values[7 * D + j] = values[2 * D + j];
  write_values(w, values);
  free(values);
}

START_TEST(an_update_lies_in_the_weight_s_row_and_column_space)
{
  shared_layers theta;
  start();
  make_encoder(D, 2);
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    const encoder_parameter *p = &encoder_parameters(encoder)[i];
    if (strstr(p->name, "query.weight") != NULL)
      make_singular(p->value);
  }
  encoder_weights_changed(encoder, queue, false);
  begin_with_drawn_layers(&theta);
  for (size_t layer = 0; layer < 2; layer++) {
    read_layer(layer);
    double largest = 0, other = 0;
    for (int i = 0; i < D; i++) {
      ck_assert(weight[i][3] == weight[i][5] && weight[2][i] == weight[7][i]);
      ck_assert_double_eq_tol(update[i][3], update[i][5], 1e-6);
      ck_assert_double_eq_tol(update[2][i], update[7][i], 1e-6);
      largest = fmax(largest, fabs(update[i][3]));
      other = fmax(other, fabs(update[i][3] - update[i][4]));
    }
    ck_assert_double_gt(largest, 1e-2);
    ck_assert_double_gt(other, 1e-2);
  }
  stop();
}
END_TEST

/* The same θ on a base of the same width with other weights and more layers. */
START_TEST(shared_layers_give_another_base_its_own_updates)
{
  enum { LAYERS = 3, MORE = 5 };
  shared_layers theta;
  double of_first[D][D];
  start();
  make_encoder(D, LAYERS);
  begin_with_drawn_layers(&theta);
  read_layer(0);
  memcpy(of_first, update, sizeof of_first);
  adapter_destroy(adapter);
  encoder_destroy(encoder);
  draw_seed++;
  make_encoder(D, MORE);
  draw_seed--;
  make_adapter();
  ok(adapter_initialize(adapter, queue, 4));
  write_values(adapter->own_parameters[0].value, theta.a);
  write_values(adapter->own_parameters[1].value, theta.b);
  adapter_materialize(adapter, queue);
  check_one_matrix(&theta, MORE);
  read_layer(0);
  double difference = 0;
  for (int i = 0; i < D; i++)
    for (int j = 0; j < D; j++)
      difference = fmax(difference, fabs(update[i][j] - of_first[i][j]));
  ck_assert_double_gt(difference, 1e-2);
  stop();
}
END_TEST

int main(int argc, char **argv)
{
  if (!take_backend(argc, argv))
    return 77;
  Suite *suite = suite_create("condlora");
  TCase *identity = tcase_create("identity");
  tcase_set_timeout(identity, 120);
  tcase_add_test(identity, an_update_is_the_weight_times_one_matrix_for_all_layers);
  tcase_add_test(identity, an_update_has_the_shared_layers_rank);
  tcase_add_test(identity, an_update_lies_in_the_weight_s_row_and_column_space);
  tcase_add_test(identity, shared_layers_give_another_base_its_own_updates);
  suite_add_tcase(suite, identity);
  return run_suite(suite);
}
