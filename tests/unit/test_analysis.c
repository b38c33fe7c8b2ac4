/* Similarities of subspaces and conversion matrices, against what algebra says of them, on the
 * backend that the first argument names (default: cpu). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/run_suite.h"
#include "tools/analysis/conversion.h"
#include "tools/analysis/correlation.h"
#include "tools/analysis/extreme.h"
#include "tools/analysis/sharing.h"
#include "tools/analysis/similarity.h"

/* Products of float32 values, some thousand roundings. */
#define CLOSE 1e-9

static const char *backend_name = "cpu";
static cdl_backend *backend;
static cdl_queue *queue;
static cdl_random numbers;

static void set_up(void)
{
  ck_assert_int_eq(cdl_backend_open(backend_name, NULL, &backend), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  numbers = cdl_random_start(7, CDL_RANDOM_TEST, 0, 0);
}

static void tear_down(void)
{
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
}

static analysis_matrix normal(int64_t rows, int64_t columns)
{
  analysis_matrix m;
  ck_assert_int_eq(analysis_matrix_normal(rows, columns, &numbers, &m), CDL_STATUS_OK);
  return m;
}

static analysis_matrix transposed(const analysis_matrix *m)
{
  analysis_matrix t;
  ck_assert_int_eq(analysis_matrix_transpose(m, &t), CDL_STATUS_OK);
  return t;
}

/* x y, as it is defined. */
static analysis_matrix product(const analysis_matrix *x, const analysis_matrix *y)
{
  analysis_matrix p;
  ck_assert_int_eq(analysis_matrix_create(x->rows, y->columns, &p), CDL_STATUS_OK);
  for (int64_t i = 0; i < x->rows; i++)
    for (int64_t j = 0; j < y->columns; j++)
      for (int64_t l = 0; l < x->columns; l++)
        analysis_matrix_row(&p, i)[j] +=
            analysis_matrix_row(x, i)[l] * analysis_matrix_row(y, l)[j];
  return p;
}

static analysis_spectrum spectrum(const analysis_matrix *m)
{
  analysis_spectrum s;
  ck_assert_int_eq(analysis_spectrum_of(queue, m, &s), CDL_STATUS_OK);
  return s;
}

static void expect_equal(const analysis_matrix *x, const analysis_matrix *y, double bound)
{
  ck_assert_int_eq(x->rows, y->rows);
  ck_assert_int_eq(x->columns, y->columns);
  for (int64_t i = 0; i < x->rows * x->columns; i++)
    ck_assert_msg(fabs(x->values[i] - y->values[i]) <= bound, "element %lld: %.15g and %.15g",
                  (long long)i, x->values[i], y->values[i]);
}

static void expect_orthonormal_rows(const analysis_matrix *m)
{
  analysis_matrix t = transposed(m), gram = product(m, &t);
  for (int64_t i = 0; i < gram.rows; i++)
    for (int64_t j = 0; j < gram.columns; j++)
      ck_assert_double_le(fabs(analysis_matrix_row(&gram, i)[j] - (i == j)), 1e-12);
  analysis_matrix_free(&t);
  analysis_matrix_free(&gram);
}

/* ---- Similarity ---- */

START_TEST(a_subspace_is_like_itself_and_unlike_an_orthogonal_one)
{
  analysis_matrix m = normal(12, 5);
  analysis_spectrum s = spectrum(&m);
  const analysis_matrix *left = &s.vectors[ANALYSIS_SIDE_LEFT];
  analysis_matrix rest = {2, 12, analysis_matrix_row(left, 3)};
  for (int64_t i = 1; i <= 5; i++)
    ck_assert_double_eq_tol(analysis_phi(left, i, left, i), 1, 1e-12);
  ck_assert_double_eq_tol(analysis_phi(left, 2, left, 5), 1, 1e-12); /* one within the other */
  ck_assert_double_le(analysis_phi(left, 3, &rest, 2), 1e-24);
  analysis_spectrum_free(&s);
  analysis_matrix_free(&m);
}
END_TEST

START_TEST(similarity_is_of_subspaces_alone)
{
  /* x r for any invertible r spans what x does. */
  analysis_matrix x = normal(11, 3), r = normal(3, 3), y = product(&x, &r), z = normal(11, 4);
  analysis_spectrum sx = spectrum(&x), sy = spectrum(&y), sz = spectrum(&z);
  const double before =
      analysis_phi(&sx.vectors[ANALYSIS_SIDE_LEFT], 3, &sz.vectors[ANALYSIS_SIDE_LEFT], 2);
  ck_assert_double_eq_tol(
      analysis_phi(&sy.vectors[ANALYSIS_SIDE_LEFT], 3, &sz.vectors[ANALYSIS_SIDE_LEFT], 2), before,
      CLOSE);
  ck_assert_double_eq_tol(
      analysis_phi(&sz.vectors[ANALYSIS_SIDE_LEFT], 2, &sx.vectors[ANALYSIS_SIDE_LEFT], 3), before,
      CLOSE);
  ck_assert(before > 0 && before < 1);
  analysis_spectrum_free(&sx);
  analysis_spectrum_free(&sy);
  analysis_spectrum_free(&sz);
  analysis_matrix_free(&x);
  analysis_matrix_free(&r);
  analysis_matrix_free(&y);
  analysis_matrix_free(&z);
}
END_TEST

/* E φ = max(i, j) / n, within five standard errors; and orthonormal they are. */
START_TEST(random_subspaces_are_as_similar_as_expected)
{
  static const struct {
    int64_t i, j, n;
  } cases[] = {{3, 3, 30}, {2, 6, 24}, {5, 1, 17}, {4, 4, 4}};
  enum { DRAWS = 300 };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    double sum = 0, squares = 0;
    for (int draw = 0; draw < DRAWS; draw++) {
      analysis_matrix x, y;
      ck_assert_int_eq(analysis_random_vectors(queue, cases[c].i, cases[c].n, &numbers, &x),
                       CDL_STATUS_OK);
      ck_assert_int_eq(analysis_random_vectors(queue, cases[c].j, cases[c].n, &numbers, &y),
                       CDL_STATUS_OK);
      const double phi = analysis_phi(&x, cases[c].i, &y, cases[c].j);
      sum += phi;
      squares += phi * phi;
      if (draw == 0)
        expect_orthonormal_rows(&x);
      analysis_matrix_free(&x);
      analysis_matrix_free(&y);
    }
    const double mean = sum / DRAWS, error = sqrt(fmax(squares / DRAWS - mean * mean, 0) / DRAWS),
                 expected = analysis_phi_expected(cases[c].i, cases[c].j, cases[c].n);
    ck_assert_double_eq_tol(
        expected, (double)(cases[c].i > cases[c].j ? cases[c].i : cases[c].j) / (double)cases[c].n,
        1e-15);
    ck_assert_msg(fabs(mean - expected) <= 5 * error + 1e-12, "case %zu: %g, expected %g", c, mean,
                  expected);
  }
}
END_TEST

START_TEST(a_product_has_the_spectrum_of_its_matrix)
{
  analysis_matrix x = normal(14, 3), y = normal(3, 9), m = product(&x, &y);
  analysis_spectrum s = spectrum(&m), p;
  ck_assert_int_eq(analysis_spectrum_of_product(queue, &x, &y, &p), CDL_STATUS_OK);
  ck_assert_int_eq(p.sigma.columns, 3);
  ck_assert_int_eq(p.rank, 3);
  ck_assert_int_eq(s.rank, 3);
  for (int k = 0; k < 3; k++)
    ck_assert_double_eq_tol(p.sigma.values[k], s.sigma.values[k], CLOSE);
  for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
    expect_orthonormal_rows(&p.vectors[side]);
    for (int64_t i = 1; i <= 3; i++)
      ck_assert_double_eq_tol(analysis_phi(&p.vectors[side], i, &s.vectors[side], i), 1, CLOSE);
  }
  analysis_spectrum_free(&s);
  analysis_spectrum_free(&p);
  analysis_matrix_free(&x);
  analysis_matrix_free(&y);
  analysis_matrix_free(&m);
}
END_TEST

START_TEST(more_vectors_than_the_rank_are_orthonormal_and_warned_of)
{
  analysis_matrix m = normal(10, 3), same;
  analysis_spectrum s = spectrum(&m);
  ck_assert(analysis_spectrum_check(&s, 3, "it"));
  ck_assert(!analysis_spectrum_check(&s, 4, "it"));
  ck_assert_int_eq(analysis_spectrum_extend(queue, &s, ANALYSIS_SIDE_LEFT, 7, &numbers),
                   CDL_STATUS_OK);
  expect_orthonormal_rows(&s.vectors[ANALYSIS_SIDE_LEFT]);
  ck_assert_int_eq(s.vectors[ANALYSIS_SIDE_LEFT].rows, 7);
  /* The leading three still span the matrix's columns. */
  analysis_spectrum again = spectrum(&m);
  ck_assert_double_eq_tol(
      analysis_phi(&s.vectors[ANALYSIS_SIDE_LEFT], 3, &again.vectors[ANALYSIS_SIDE_LEFT], 3), 1,
      CLOSE);
  /* Of a matrix with equal singular values no part is determined. */
  ck_assert_int_eq(analysis_matrix_create(4, 4, &same), CDL_STATUS_OK);
  for (int i = 0; i < 4; i++)
    analysis_matrix_row(&same, i)[i] = i < 2 ? 2 : 1;
  analysis_spectrum equal = spectrum(&same);
  ck_assert(!analysis_spectrum_check(&equal, 1, "it"));
  ck_assert(analysis_spectrum_check(&equal, 2, "it"));
  ck_assert(!analysis_spectrum_check(&equal, 3, "it"));
  ck_assert(analysis_spectrum_check(&equal, 4, "it"));
  analysis_spectrum_free(&equal);
  analysis_spectrum_free(&again);
  analysis_spectrum_free(&s);
  analysis_matrix_free(&same);
  analysis_matrix_free(&m);
}
END_TEST

/* ---- Inverses ---- */

/* Reflects the rows of `m`, as vectors, in the plane across a random one. */
static void reflect_rows(analysis_matrix *m)
{
  analysis_matrix v = normal(1, m->columns);
  const double square = analysis_matrix_dot(&v, &v);
  for (int64_t i = 0; i < m->rows; i++) {
    double *row = analysis_matrix_row(m, i), dot = 0;
    for (int64_t j = 0; j < m->columns; j++)
      dot += row[j] * v.values[j];
    for (int64_t j = 0; j < m->columns; j++)
      row[j] -= 2 * dot / square * v.values[j];
  }
  analysis_matrix_free(&v);
}

/* Square, with singular values from `largest` to `least` in equal ratios, or in equal steps. */
static analysis_matrix square_with(int64_t n, double largest, double least, bool ratios)
{
  analysis_matrix m;
  ck_assert_int_eq(analysis_matrix_create(n, n, &m), CDL_STATUS_OK);
  for (int64_t i = 0; i < n; i++) {
    const double part = n > 1 ? (double)i / (double)(n - 1) : 0;
    analysis_matrix_row(&m, i)[i] =
        ratios ? largest * pow(least / largest, part) : largest + part * (least - largest);
  }
  for (int turn = 0; turn < 4; turn++) {
    reflect_rows(&m);
    analysis_matrix t = transposed(&m);
    analysis_matrix_free(&m);
    m = t;
  }
  return m;
}

/* A matrix whose singular values are known says what its condition is; many near the largest make
 * it hard to find, and past 1e8 the inverse does not tell any more. */
START_TEST(an_inverse_knows_its_condition)
{
  static const struct {
    int64_t n;
    double largest, least;
    bool ratios;
    double bound;
  } cases[] = {{1, 3, 3, true, 1e-7},      {2, 5, 1, false, 1e-7},     {40, 2, 2, true, 1e-7},
               {60, 7, 1e-3, true, 1e-7},  {150, 1, 0.5, false, 1e-7}, {200, 30, 1e-5, false, 1e-6},
               {400, 1, 0.9, false, 1e-7}, {80, 1, 1e-10, true, 1e-4}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    analysis_matrix m = square_with(cases[i].n, cases[i].largest, cases[i].least, cases[i].ratios);
    const double condition = cases[i].largest / cases[i].least;
    analysis_inverted found;
    ck_assert_int_eq(analysis_invert(queue, &m, &found), CDL_STATUS_OK);
    ck_assert_int_eq(found.rank, cases[i].n);
    ck_assert_msg(fabs(found.condition - condition) <= cases[i].bound * condition,
                  "case %zu: %.12g, not %.12g", i, found.condition, condition);
    analysis_matrix wanted = normal(cases[i].n, 3), turned = transposed(&m);
    for (int side = 0; side < 2; side++) {
      analysis_matrix b = product(side == 0 ? &m : &turned, &wanted), x;
      ck_assert_int_eq(analysis_inverted_solve(&found, side == 1, &b, &x), CDL_STATUS_OK);
      expect_equal(&x, &wanted, 1e-14 * condition * (double)cases[i].n);
      analysis_matrix_free(&b);
      analysis_matrix_free(&x);
    }
    analysis_matrix_free(&wanted);
    analysis_matrix_free(&turned);
    analysis_inverted_free(&found);
    analysis_matrix_free(&m);
  }
}
END_TEST

START_TEST(a_matrix_without_an_inverse_says_its_rank)
{
  analysis_matrix x = normal(9, 4), y = normal(4, 9), none;
  analysis_matrix deficient = product(&x, &y);
  ck_assert_int_eq(analysis_matrix_create(5, 5, &none), CDL_STATUS_OK);
  const analysis_matrix *const cases[] = {&deficient, &none};
  for (int i = 0; i < 2; i++) {
    analysis_inverted found;
    ck_assert_int_eq(analysis_invert(queue, cases[i], &found), CDL_STATUS_OK);
    ck_assert_int_eq(found.rank, i == 0 ? 4 : 0);
    ck_assert(isinf(found.condition));
    analysis_inverted_free(&found);
  }
  analysis_matrix *const all[] = {&x, &y, &none, &deficient};
  for (int i = 0; i < 4; i++)
    analysis_matrix_free(all[i]);
}
END_TEST

static double largest_of(const analysis_matrix *m)
{
  analysis_resident r;
  double sigma;
  ck_assert_int_eq(analysis_resident_begin(queue, m, &r), CDL_STATUS_OK);
  ck_assert_int_eq(analysis_largest_singular_value(&r, &sigma), CDL_STATUS_OK);
  analysis_resident_end(&r);
  return sigma;
}

START_TEST(the_largest_singular_value_of_any_shape)
{
  static const int64_t shapes[][2] = {{1, 7}, {7, 1}, {31, 12}, {12, 31}, {300, 300}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    analysis_matrix m = normal(shapes[i][0], shapes[i][1]), none, sigma;
    const double largest = largest_of(&m);
    ck_assert_int_eq(analysis_matrix_svd(queue, &m, NULL, &sigma, NULL), CDL_STATUS_OK);
    ck_assert_double_eq_tol(largest, sigma.values[0], 1e-7 * sigma.values[0]);
    ck_assert_int_eq(analysis_matrix_create(shapes[i][0], shapes[i][1], &none), CDL_STATUS_OK);
    ck_assert(largest_of(&none) == 0);
    analysis_matrix_free(&m);
    analysis_matrix_free(&none);
    analysis_matrix_free(&sigma);
  }
}
END_TEST

/* ---- Conversion matrices ---- */

enum { RANK = 3 };

/* A = θA W (or θA Wᵀ), B = W θBᵀ. */
typedef struct {
  analysis_matrix w, theta_a, theta_b, a, b;
} conditioned;

static conditioned condition(analysis_matrix w, adapter_orientation form)
{
  const bool paper = form == ADAPTER_ORIENTATION_PAPER;
  conditioned c = {.w = w,
                   .theta_a = normal(RANK, paper ? w.rows : w.columns),
                   .theta_b = normal(RANK, w.columns)};
  analysis_matrix wt = transposed(&w), bt = transposed(&c.theta_b);
  c.a = product(&c.theta_a, paper ? &w : &wt);
  c.b = product(&w, &bt);
  analysis_matrix_free(&wt);
  analysis_matrix_free(&bt);
  return c;
}

static void release(conditioned *c)
{
  analysis_matrix_free(&c->w);
  analysis_matrix_free(&c->theta_a);
  analysis_matrix_free(&c->theta_b);
  analysis_matrix_free(&c->a);
  analysis_matrix_free(&c->b);
}

static void expect_theta(const analysis_matrix *found, const analysis_matrix *theta)
{
  analysis_matrix t = transposed(theta);
  expect_equal(found, &t, CLOSE);
  analysis_matrix_free(&t);
}

START_TEST(a_condlora_adapter_gives_back_its_theta)
{
  static const struct {
    int64_t out, in;
    adapter_orientation form;
  } cases[] = {{9, 9, ADAPTER_ORIENTATION_PAPER},
               {9, 9, ADAPTER_ORIENTATION_REFERENCE},
               {13, 8, ADAPTER_ORIENTATION_PAPER},
               {8, 13, ADAPTER_ORIENTATION_PAPER}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    conditioned c = condition(normal(cases[i].out, cases[i].in), cases[i].form);
    analysis_conversion_matrices m;
    ck_assert_int_eq(analysis_conversion_matrices_of(queue, &c.w, &c.a, &c.b, cases[i].form, &m),
                     CDL_STATUS_OK);
    ck_assert(m.condition >= 1 && isfinite(m.condition));
    if (cases[i].out <= cases[i].in) /* W has full row rank */
      expect_theta(&m.a, &c.theta_a);
    if (cases[i].in <= cases[i].out) /* full column rank */
      expect_theta(&m.b, &c.theta_b);
    analysis_conversion_matrices_free(&m);
    release(&c);
  }
}
END_TEST

/* Moore and Penrose: W W⁺ W = W, and what W⁺ gives lies in the rows of W. */
START_TEST(a_weight_without_full_rank_has_its_pseudo_inverse)
{
  analysis_matrix x = normal(10, 4), y = normal(4, 7), yt = transposed(&y);
  conditioned c = condition(product(&x, &y), ADAPTER_ORIENTATION_PAPER);
  analysis_conversion_matrices m;
  ck_assert_int_eq(
      analysis_conversion_matrices_of(queue, &c.w, &c.a, &c.b, ADAPTER_ORIENTATION_PAPER, &m),
      CDL_STATUS_OK);
  ck_assert(isinf(m.condition));
  analysis_matrix wt = transposed(&c.w), at = transposed(&c.a), b = product(&c.w, &m.b),
                  a = product(&wt, &m.a);
  expect_equal(&b, &c.b, CLOSE);
  expect_equal(&a, &at, CLOSE);
  analysis_spectrum rows = spectrum(&yt), columns = spectrum(&x), of_b = spectrum(&m.b),
                    of_a = spectrum(&m.a);
  ck_assert_double_eq_tol(
      analysis_phi(&of_b.vectors[ANALYSIS_SIDE_LEFT], RANK, &rows.vectors[ANALYSIS_SIDE_LEFT], 4),
      1, CLOSE);
  ck_assert_double_eq_tol(analysis_phi(&of_a.vectors[ANALYSIS_SIDE_LEFT], RANK,
                                       &columns.vectors[ANALYSIS_SIDE_LEFT], 4),
                          1, CLOSE);
  analysis_spectrum *const spectra[] = {&rows, &columns, &of_b, &of_a};
  for (int i = 0; i < 4; i++)
    analysis_spectrum_free(spectra[i]);
  analysis_matrix *const all[] = {&x, &y, &yt, &wt, &at, &a, &b};
  for (int i = 0; i < 7; i++)
    analysis_matrix_free(all[i]);
  analysis_conversion_matrices_free(&m);
  release(&c);
}
END_TEST

START_TEST(what_has_no_inverse_is_refused)
{
  analysis_conversion_matrices m;
  conditioned wide = condition(normal(4, 6), ADAPTER_ORIENTATION_PAPER);
  ck_assert_int_eq(analysis_conversion_matrices_of(queue, &wide.w, &wide.a, &wide.b,
                                                   ADAPTER_ORIENTATION_REFERENCE, &m),
                   CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "[4, 6]"));
  analysis_matrix x = normal(6, 2), y = normal(2, 6);
  conditioned singular = condition(product(&x, &y), ADAPTER_ORIENTATION_REFERENCE);
  ck_assert_int_eq(analysis_conversion_matrices_of(queue, &singular.w, &singular.a, &singular.b,
                                                   ADAPTER_ORIENTATION_REFERENCE, &m),
                   CDL_STATUS_NUMERIC);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "rank 2 of 6"));
  analysis_matrix_free(&x);
  analysis_matrix_free(&y);
  release(&wide);
  release(&singular);
}
END_TEST

/* ---- Whole analyses, on layers made up here ---- */

enum { LAYERS = 4, OUT = 11, IN = 11 };

static encoder_module modules[LAYERS];
static cdl_buffer *weights[LAYERS];
static analysis_adapted_layer layers[LAYERS];
static analysis_adapted_target target;
static analysis_adapted adapted;

/* One θ for all layers, or one for each. */
static void make_layers(bool shared)
{
  analysis_matrix theta_a = normal(RANK, OUT), theta_b = normal(IN, RANK);
  target = (analysis_adapted_target){.name = "attention.self.query",
                                     .rows = OUT,
                                     .columns = IN,
                                     .layers = layers,
                                     .count = LAYERS};
  adapted = (analysis_adapted){.targets = &target, .count = 1};
  for (int l = 0; l < LAYERS; l++) {
    float values[OUT * IN];
    analysis_matrix w = normal(OUT, IN);
    if (!shared && l > 0) {
      analysis_matrix_free(&theta_a);
      analysis_matrix_free(&theta_b);
      theta_a = normal(RANK, OUT);
      theta_b = normal(IN, RANK);
    }
    for (int i = 0; i < OUT * IN; i++) {
      values[i] = (float)w.values[i];
      w.values[i] = (double)values[i]; /* the weight that is there */
    }
    ck_assert_int_eq(cdl_buffer_create(backend, sizeof values, &weights[l]), CDL_STATUS_OK);
    modules[l] = (encoder_module){.layer = l,
                                  .weight = cdl_tensor_2d(weights[l], CDL_DTYPE_F32, 0, OUT, IN)};
    cdl_queue_upload(queue, modules[l].weight, values, sizeof values);
    ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
    layers[l] = (analysis_adapted_layer){
        .number = l, .module = &modules[l], .a = product(&theta_a, &w), .b = product(&w, &theta_b)};
    analysis_matrix_free(&w);
  }
  analysis_matrix_free(&theta_a);
  analysis_matrix_free(&theta_b);
}

static void free_layers(void)
{
  for (int l = 0; l < LAYERS; l++) {
    cdl_buffer_destroy(weights[l]);
    analysis_matrix_free(&layers[l].a);
    analysis_matrix_free(&layers[l].b);
  }
}

START_TEST(what_is_shared_is_found_in_every_layer)
{
  const analysis_conversion_settings settings = {
      .form = ADAPTER_ORIENTATION_PAPER, .i = 2, .j = 2, .sides = {true, true}, .seed = 3};
  analysis_conversion figure;
  analysis_sharing sharing;
  make_layers(true);
  ck_assert_int_eq(analysis_conversion_compute(queue, &adapted, &settings, &figure), CDL_STATUS_OK);
  ck_assert_int_eq(analysis_sharing_compute(queue, &adapted, ADAPTER_ORIENTATION_PAPER, &sharing),
                   CDL_STATUS_OK);
  for (analysis_conversion_kind k = ANALYSIS_CONVERSION_A; k <= ANALYSIS_CONVERSION_B; k++) {
    for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
      ck_assert_double_eq_tol(figure.targets[0].figures[k][side].grid.upper, 1, CLOSE);
      ck_assert_double_eq_tol(figure.targets[0].figures[k][side].grid.all, 1, CLOSE);
    }
    ck_assert_double_eq_tol(sharing.targets[0].figures[k].same, 1, CLOSE);
    ck_assert_double_eq_tol(sharing.targets[0].figures[k].scaled, 1, CLOSE);
  }
  /* C_BA = θBᵀ A_l: the left vectors' space is θB's, of full rank. */
  ck_assert_int_eq(sharing.targets[0].figures[ANALYSIS_CONVERSION_BA].layers[0].rank, RANK);
  analysis_conversion_free(&figure);
  analysis_sharing_free(&sharing);
  free_layers();
}
END_TEST

START_TEST(what_is_not_shared_is_as_random)
{
  const analysis_conversion_settings settings = {
      .form = ADAPTER_ORIENTATION_PAPER, .i = 3, .j = 2, .sides = {true, false}, .seed = 3};
  analysis_conversion_settings several = settings;
  analysis_conversion figure, again;
  several.workers = 3;
  analysis_sharing sharing;
  make_layers(false);
  ck_assert_int_eq(analysis_conversion_compute(queue, &adapted, &settings, &figure), CDL_STATUS_OK);
  ck_assert_int_eq(analysis_conversion_compute(queue, &adapted, &several, &again), CDL_STATUS_OK);
  ck_assert_int_eq(analysis_sharing_compute(queue, &adapted, ADAPTER_ORIENTATION_PAPER, &sharing),
                   CDL_STATUS_OK);
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
    const analysis_conversion_figure *f = &figure.targets[0].figures[k][ANALYSIS_SIDE_LEFT];
    ck_assert_ptr_null(figure.targets[0].figures[k][ANALYSIS_SIDE_RIGHT].grid.values);
    ck_assert_double_eq_tol(f->expected, 3.0 / 11, 1e-15);
    ck_assert(f->grid.upper < 0.8 && f->random.upper < 0.8);
    for (int l = 0; l < LAYERS; l++) /* the first two are within the first three */
      ck_assert_double_eq_tol(f->grid.values[l * LAYERS + l], 1, CLOSE);
    /* A seed gives the same numbers again, and so do three threads. */
    ck_assert_mem_eq(f->grid.values, again.targets[0].figures[k][ANALYSIS_SIDE_LEFT].grid.values,
                     sizeof(double) * LAYERS * LAYERS);
    ck_assert_mem_eq(f->random.values,
                     again.targets[0].figures[k][ANALYSIS_SIDE_LEFT].random.values,
                     sizeof(double) * LAYERS * LAYERS);
    const analysis_sharing_figure *s = &sharing.targets[0].figures[k];
    ck_assert(s->same >= 0 && s->same < 0.7 && s->scaled < 0.9);
    ck_assert(s->scaled >= s->expected); /* the largest of LAYERS shares of 1 */
  }
  analysis_conversion_free(&figure);
  analysis_conversion_free(&again);
  analysis_sharing_free(&sharing);
  free_layers();
}
END_TEST

START_TEST(an_adapter_is_like_itself)
{
  const analysis_similarity_settings settings = {.i = 2, .j = 3, .seed = 1};
  analysis_similarity s;
  make_layers(false);
  ck_assert_int_eq(analysis_similarity_compute(queue, &adapted, &adapted, &settings, &s),
                   CDL_STATUS_OK);
  for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++) {
    ck_assert_double_eq_tol(s.phi[k], 1, CLOSE);
    ck_assert(s.random[k] > 0 && s.random[k] < 0.7);
    ck_assert_double_eq_tol(s.targets[0].expected[k], 3.0 / 11, 1e-15);
  }
  analysis_similarity_free(&s);
  free_layers();
}
END_TEST

START_TEST(vectors_that_are_not_there_are_refused)
{
  const analysis_conversion_settings settings = {
      .form = ADAPTER_ORIENTATION_PAPER, .i = 2, .j = 4, .sides = {false, true}, .seed = 3};
  const analysis_correlation_settings correlation = {.i = 12, .j = 2, .sides = {true, true}};
  analysis_conversion figure;
  analysis_correlation c;
  make_layers(false);
  ck_assert_int_eq(analysis_conversion_compute(queue, &adapted, &settings, &figure),
                   CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "--j 4"));
  ck_assert_int_eq(analysis_correlation_compute(queue, &adapted, &correlation, &c),
                   CDL_STATUS_USAGE);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "--i 12"));
  free_layers();
}
END_TEST

int main(int argc, char **argv)
{
  Suite *suite = suite_create("analysis");
  TCase *cases = tcase_create("analysis");
  if (argc > 1)
    backend_name = argv[1];
  tcase_add_checked_fixture(cases, set_up, tear_down);
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, a_subspace_is_like_itself_and_unlike_an_orthogonal_one);
  tcase_add_test(cases, similarity_is_of_subspaces_alone);
  tcase_add_test(cases, random_subspaces_are_as_similar_as_expected);
  tcase_add_test(cases, a_product_has_the_spectrum_of_its_matrix);
  tcase_add_test(cases, more_vectors_than_the_rank_are_orthonormal_and_warned_of);
  tcase_add_test(cases, an_inverse_knows_its_condition);
  tcase_add_test(cases, a_matrix_without_an_inverse_says_its_rank);
  tcase_add_test(cases, the_largest_singular_value_of_any_shape);
  tcase_add_test(cases, a_condlora_adapter_gives_back_its_theta);
  tcase_add_test(cases, a_weight_without_full_rank_has_its_pseudo_inverse);
  tcase_add_test(cases, what_has_no_inverse_is_refused);
  tcase_add_test(cases, what_is_shared_is_found_in_every_layer);
  tcase_add_test(cases, what_is_not_shared_is_as_random);
  tcase_add_test(cases, an_adapter_is_like_itself);
  tcase_add_test(cases, vectors_that_are_not_there_are_refused);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
