/* Attention and its gradient in float64, with bounds for their float32 results. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"

static double *doubles(int64_t count)
{
  double *p = calloc((size_t)count + 1, sizeof *p);
  if (p == NULL) {
    fprintf(stderr, "condlora-conformance: out of memory\n");
    exit(2);
  }
  return p;
}

int64_t attention_scores(const attention_shape *s)
{
  int64_t total = 0;
  for (int i = 0; i < s->sequences; i++) {
    const int64_t length = s->offsets[i + 1] - s->offsets[i];
    total += length * length * s->heads;
  }
  return total;
}

/* Probabilities [length] of one row, before dropout; the largest error of a score, in units of
 * u. */
typedef struct {
  double log_sum, score_error;
} score_row;

/* The place in a head's bias of a key's distance from a query. */
static int64_t distance_place(const attention_shape *s, int64_t distance)
{
  const int64_t r = (s->distances - 1) / 2;
  return r + (distance < -r ? -r : distance > r ? r : distance);
}

/* Of query `at` of one head of a sequence, with keys from `keys` on. */
static score_row scores_of_row(const attention_shape *s, int head, int64_t at, const double *query,
                               const double *keys, int64_t stride, int64_t length, double *p)
{
  score_row row = {0};
  double largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < length; j++) {
    double dot = 0, squares = 0;
    for (int k = 0; k < s->d; k++) {
      const double term = query[k] * keys[j * stride + k];
      dot += term;
      squares += term * term;
    }
    const double bias =
        s->bias == NULL ? 0 : s->bias[head * s->distances + distance_place(s, j - at)];
    p[j] = s->scale * dot + bias;
    largest = p[j] > largest ? p[j] : largest;
    const double error = fabs(s->scale) * product_growth(CDL_OP_attention, s->d, squares, dot) +
                         3 * (fabs(s->scale * dot) + fabs(bias));
    row.score_error = error > row.score_error ? error : row.score_error;
  }
  for (int64_t j = 0; j < length; j++)
    sum += exp(p[j] - largest);
  row.log_sum = largest + log(sum);
  for (int64_t j = 0; j < length; j++)
    p[j] = exp(p[j] - row.log_sum);
  return row;
}

void attention_reference(const attention_shape *s, const double *qkv, double *out, double *log_sum,
                         double *error, double *log_sum_error)
{
  const int64_t width = (int64_t)s->heads * s->d, tokens = s->offsets[s->sequences] + s->rest;
  const double *keep = s->keep;
  double *p = doubles(tokens);
  for (int64_t i = s->offsets[s->sequences] * width; i < tokens * width; i++)
    out[i] = 0;
  for (int i = 0; i < s->sequences; i++) {
    const int64_t first = s->offsets[i], length = s->offsets[i + 1] - first;
    for (int h = 0; h < s->heads; h++) {
      const double *q = qkv + first * 3 * width + (int64_t)h * s->d, *k = q + width, *v = k + width;
      for (int64_t r = 0; r < length; r++) {
        const score_row row = scores_of_row(s, h, r, q + r * 3 * width, k, 3 * width, length, p);
        log_sum[h * tokens + first + r] = row.log_sum;
        if (log_sum_error != NULL)
          log_sum_error[h * tokens + first + r] =
              row.score_error + 2 + sqrt((double)length) + 2 * fabs(row.log_sum);
        for (int c = 0; c < s->d; c++) {
          double sum = 0, absolute = 0, squares = 0;
          for (int64_t j = 0; j < length; j++) {
            const double term =
                p[j] * (keep == NULL ? 1 : keep[r * length + j]) * v[j * 3 * width + c];
            sum += term;
            absolute += fabs(term);
            squares += term * term;
          }
          out[(first + r) * width + h * s->d + c] = sum;
          /* An error e of the scores makes 2 e in p, once above and once below the fraction. */
          if (error != NULL)
            error[(first + r) * width + h * s->d + c] =
                absolute * (2 * row.score_error + 4 + sqrt((double)length)) +
                product_growth(CDL_OP_attention, (double)length, squares, sum);
        }
      }
      keep = keep == NULL ? NULL : keep + length * length;
    }
  }
  free(p);
}

/* [length] of one row: probabilities, gradients before and after the softmax's, error of ds. */
typedef struct {
  double *p, *dp, *size;
} grad_row;

/* ds of one row in dp, and its error in units of u. */
static void softmax_part(const attention_shape *s, const grad_row *w, const double *d_out,
                         const double *v, int64_t stride, int64_t length, const double *keep,
                         double score_error)
{
  double sum = 0, sum_absolute = 0;
  for (int64_t j = 0; j < length; j++) {
    double dot = 0, squares = 0, absolute = 0;
    for (int c = 0; c < s->d; c++) {
      const double term = d_out[c] * v[j * stride + c];
      dot += term;
      squares += term * term;
      absolute += fabs(term);
    }
    const double kept = keep == NULL ? 1 : keep[j];
    w->dp[j] = kept * dot;
    w->size[j] = kept * (product_growth(CDL_OP_attention, s->d, squares, dot) + absolute);
    sum += w->p[j] * w->dp[j];
    sum_absolute += w->p[j] * w->size[j];
  }
  const double relative = 2 * score_error + 4 + sqrt((double)length);
  for (int64_t j = 0; j < length; j++) {
    w->size[j] = w->p[j] * (w->size[j] + sum_absolute * (2 + relative) +
                            fabs(w->dp[j] - sum) * relative + fabs(w->dp[j]));
    w->dp[j] = w->p[j] * (w->dp[j] - sum);
  }
}

void attention_grad_reference(const attention_shape *s, const double *qkv, const double *d_out,
                              double *d_qkv, double *error)
{
  const int64_t width = (int64_t)s->heads * s->d, tokens = s->offsets[s->sequences] + s->rest;
  const int64_t step = 3 * width;
  double *sum_squares = doubles(tokens * step);
  const double *keep = s->keep;
  const grad_row w = {doubles(tokens), doubles(tokens), doubles(tokens)};
  for (int64_t i = 0; i < tokens * step; i++) {
    d_qkv[i] = 0;
    if (error != NULL)
      error[i] = 0;
  }
  for (int i = 0; i < s->sequences; i++) {
    const int64_t first = s->offsets[i], length = s->offsets[i + 1] - first;
    for (int h = 0; h < s->heads; h++) {
      const int64_t at = first * step + (int64_t)h * s->d;
      const double *q = qkv + at, *k = q + width, *v = k + width;
      for (int64_t r = 0; r < length; r++) {
        const score_row row = scores_of_row(s, h, r, q + r * step, k, step, length, w.p);
        const double *kept = keep == NULL ? NULL : keep + r * length;
        const double *d_row = d_out + (first + r) * width + h * s->d;
        softmax_part(s, &w, d_row, v, step, length, kept, row.score_error + fabs(row.log_sum));
        for (int64_t j = 0; j < length; j++)
          for (int c = 0; c < s->d; c++) {
            const int64_t to_q = at + r * step + c, to_k = at + j * step + width + c,
                          to_v = to_k + width;
            const double term_q = s->scale * w.dp[j] * k[j * step + c];
            const double term_k = s->scale * w.dp[j] * q[r * step + c];
            const double term_v = w.p[j] * (kept == NULL ? 1 : kept[j]) * d_row[c];
            d_qkv[to_q] += term_q;
            d_qkv[to_k] += term_k;
            d_qkv[to_v] += term_v;
            sum_squares[to_q] += term_q * term_q;
            sum_squares[to_k] += term_k * term_k;
            sum_squares[to_v] += term_v * term_v;
            if (error != NULL) {
              error[to_q] += fabs(s->scale * w.size[j] * k[j * step + c]);
              error[to_k] += fabs(s->scale * w.size[j] * q[r * step + c]);
              error[to_v] += fabs(term_v) * (2 * row.score_error + 4 + fabs(row.log_sum));
            }
          }
      }
      for (int64_t r = 0; r < length && error != NULL; r++)
        for (int part = 0; part < 3; part++)
          for (int c = 0; c < s->d; c++) {
            const int64_t to = at + r * step + part * width + c;
            error[to] +=
                product_growth(CDL_OP_attention, (double)length, sum_squares[to], d_qkv[to]) +
                fabs(d_qkv[to]);
          }
      keep = keep == NULL ? NULL : keep + length * length;
    }
  }
  free(w.p);
  free(w.dp);
  free(w.size);
  free(sum_squares);
}

void attention_bias_reference(const attention_shape *s, const double *qkv, const double *d_out,
                              double *d_bias, double *error)
{
  const int64_t width = (int64_t)s->heads * s->d, tokens = s->offsets[s->sequences] + s->rest;
  const int64_t step = 3 * width, places = s->heads * s->distances;
  double *squares = doubles(places), *count = doubles(places);
  const double *keep = s->keep;
  const grad_row w = {doubles(tokens), doubles(tokens), doubles(tokens)};
  for (int64_t i = 0; i < places; i++) {
    squares[i] = d_bias[i] * d_bias[i]; /* what is added to is a term of the sum */
    count[i] = 1;
    error[i] = fabs(d_bias[i]);
  }
  for (int i = 0; i < s->sequences; i++) {
    const int64_t first = s->offsets[i], length = s->offsets[i + 1] - first;
    for (int h = 0; h < s->heads; h++) {
      const double *q = qkv + first * step + (int64_t)h * s->d, *k = q + width, *v = k + width;
      for (int64_t r = 0; r < length; r++) {
        const score_row row = scores_of_row(s, h, r, q + r * step, k, step, length, w.p);
        softmax_part(s, &w, d_out + (first + r) * width + h * s->d, v, step, length,
                     keep == NULL ? NULL : keep + r * length, row.score_error + fabs(row.log_sum));
        for (int64_t j = 0; j < length; j++) {
          const int64_t to = h * s->distances + distance_place(s, j - r);
          d_bias[to] += w.dp[j];
          squares[to] += w.dp[j] * w.dp[j];
          error[to] += w.size[j];
          count[to]++;
        }
      }
      keep = keep == NULL ? NULL : keep + length * length;
    }
  }
  for (int64_t i = 0; i < places; i++)
    error[i] += sum_growth(count[i], squares[i], d_bias[i]) + fabs(d_bias[i]);
  free(squares);
  free(count);
  free(w.p);
  free(w.dp);
  free(w.size);
}

/* ---- BF16 ----
 *
 * Where activations are BF16 three things are rounded to it, with u = 2⁻⁸: the factors that go into
 * a product after a product (probabilities before V and dO, dS before K and Q), attention's output
 * from which D is made, and the results. All else is float32, and its errors are those above.
 *
 * Roundings of n terms are independent, of at most u/√3 in the mean square, so that a sum of terms
 * x errs by 3 u √Σx² (five standard deviations, once in two million) at most. Equal probabilities
 * round alike, and all of a sum then errs by u of itself. So with E(Σx) = u (3 √Σx² + |Σx|):
 *
 *   out    E(Σ_j P V)   + u |out|
 *   D_i    δ_i = E(Σ_c dO out)
 *   dV     E(Σ_i P dO)  + u |dV|
 *   dQ_i   scale (E(Σ_j dS K) + |Σ_j P K| δ_i) + u |dQ|
 *   dK_j   scale (E(Σ_i dS Q) + √Σ_i (P Q δ_i)²) + u |dK|
 *   bias   E(Σ dS) + √Σ_i (Σ_j P δ_i)²
 *
 * with dropout's factors in P where V or dO follows. Probabilities below the smallest normal number
 * may become 0 (ex2.approx.ftz), and then their terms are lost. */

enum { DEVIATIONS = 3, NARROW_SUMS = 11 };

static double rounded_sum(double squares, double sum)
{
  return unit_roundoff(CDL_DTYPE_BF16) * (DEVIATIONS * sqrt(squares) + fabs(sum));
}

/* Sums over a head of a sequence, [length, d] each. */
typedef struct {
  double *q, *q_squares, *q_mean; /* Σ_j P K */
  double *k, *k_squares, *k_mean; /* Σ_i (P Q δ)² */
  double *v, *v_squares;
  double *q_lost, *k_lost, *v_lost; /* Σ of |terms| whose probability may become 0 */
} narrow_sums;

/* Gives the error of D of one row, from the output before it is rounded. */
static double mean_error(int d, const double *d_out, const double *out)
{
  double sum = 0, squares = 0;
  for (int c = 0; c < d; c++) {
    sum += d_out[c] * out[c];
    squares += d_out[c] * d_out[c] * out[c] * out[c];
  }
  return rounded_sum(squares, sum);
}

static void narrow_row(const attention_shape *s, const narrow_sums *n, const grad_row *w,
                       const double *kept, int64_t r, int64_t length, const double *q,
                       const double *k, const double *d_out, double delta)
{
  const int64_t step = 3 * (int64_t)s->heads * s->d;
  for (int64_t j = 0; j < length; j++)
    for (int c = 0; c < s->d; c++) {
      const int64_t at_r = r * s->d + c, at_j = j * s->d + c;
      const double term_q = w->dp[j] * k[j * step + c], term_k = w->dp[j] * q[r * step + c];
      const double term_v = w->p[j] * (kept == NULL ? 1 : kept[j]) * d_out[c];
      const double mean = w->p[j] * q[r * step + c] * delta;
      n->q[at_r] += term_q;
      n->q_squares[at_r] += term_q * term_q;
      n->q_mean[at_r] += w->p[j] * k[j * step + c];
      n->k[at_j] += term_k;
      n->k_squares[at_j] += term_k * term_k;
      n->k_mean[at_j] += mean * mean;
      n->v[at_j] += term_v;
      n->v_squares[at_j] += term_v * term_v;
      if (w->p[j] < 2 * smallest_normal(CDL_DTYPE_F32)) {
        n->q_lost[at_r] += fabs(term_q);
        n->k_lost[at_j] += fabs(term_k);
        n->v_lost[at_j] += fabs(term_v);
      }
    }
  for (int c = 0; c < s->d; c++)
    n->q_mean[r * s->d + c] *= delta;
}

/* The output's row and its error. */
static void narrow_out(const attention_shape *s, const double *p, const double *kept,
                       int64_t length, const double *v, double *out, double *error)
{
  const int64_t step = 3 * (int64_t)s->heads * s->d;
  for (int c = 0; c < s->d; c++) {
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < length; j++) {
      const double term = p[j] * (kept == NULL ? 1 : kept[j]) * v[j * step + c];
      sum += term;
      squares += term * term;
    }
    out[c] = sum;
    if (error != NULL)
      error[c] = rounded_sum(squares, sum) + unit_roundoff(CDL_DTYPE_BF16) * fabs(sum);
  }
}

/* Sums over places of the bias, and of one row. */
typedef struct {
  double *sum, *squares, *mean, *row;
} narrow_places;

static void narrow_places_row(const attention_shape *s, const narrow_places *b, const grad_row *w,
                              int head, int64_t r, int64_t length, double delta)
{
  for (int64_t e = 0; e < s->distances; e++)
    b->row[e] = 0;
  for (int64_t j = 0; j < length; j++) {
    const int64_t place = distance_place(s, j - r), to = head * s->distances + place;
    b->sum[to] += w->dp[j];
    b->squares[to] += w->dp[j] * w->dp[j];
    b->row[place] += w->p[j] * delta;
  }
  for (int64_t e = 0; e < s->distances; e++)
    b->mean[head * s->distances + e] += b->row[e] * b->row[e];
}

static void narrow_finish(const attention_shape *s, const narrow_sums *n, int64_t length,
                          double *error)
{
  const int64_t width = (int64_t)s->heads * s->d;
  const double u = unit_roundoff(CDL_DTYPE_BF16), scale = fabs(s->scale);
  for (int64_t r = 0; r < length; r++)
    for (int c = 0; c < s->d; c++) {
      const int64_t at = r * s->d + c;
      double *to = error + r * 3 * width + c;
      to[0] = scale * (rounded_sum(n->q_squares[at], n->q[at]) + fabs(n->q_mean[at]) +
                       u * fabs(n->q[at]) + n->q_lost[at]);
      to[width] = scale * (rounded_sum(n->k_squares[at], n->k[at]) + sqrt(n->k_mean[at]) +
                           u * fabs(n->k[at]) + n->k_lost[at]);
      to[2 * width] = rounded_sum(n->v_squares[at], n->v[at]) + u * fabs(n->v[at]) + n->v_lost[at];
    }
}

void attention_narrow_errors(const attention_shape *s, const double *qkv, const double *d_out,
                             const narrow_errors *error)
{
  const int64_t width = (int64_t)s->heads * s->d, tokens = s->offsets[s->sequences] + s->rest;
  const int64_t step = 3 * width, places = s->heads * s->distances;
  const double *keep = s->keep;
  const grad_row w = {doubles(tokens), doubles(tokens), doubles(tokens)};
  const narrow_places b = {doubles(places), doubles(places), doubles(places),
                           doubles(s->distances)};
  double *sums = doubles(NARROW_SUMS * tokens * s->d), *out = doubles(s->d);
  for (int i = 0; i < s->sequences; i++) {
    const int64_t first = s->offsets[i], length = s->offsets[i + 1] - first, each = length * s->d;
    for (int h = 0; h < s->heads; h++) {
      const narrow_sums n = {sums,
                             sums + each,
                             sums + 2 * each,
                             sums + 3 * each,
                             sums + 4 * each,
                             sums + 5 * each,
                             sums + 6 * each,
                             sums + 7 * each,
                             sums + 8 * each,
                             sums + 9 * each,
                             sums + 10 * each};
      for (int64_t e = 0; e < NARROW_SUMS * each; e++)
        sums[e] = 0;
      const int64_t at = first * step + (int64_t)h * s->d;
      const double *q = qkv + at, *k = q + width, *v = k + width;
      for (int64_t r = 0; r < length; r++) {
        const score_row row = scores_of_row(s, h, r, q + r * step, k, step, length, w.p);
        const double *kept = keep == NULL ? NULL : keep + r * length;
        const int64_t of_row = (first + r) * width + h * s->d;
        narrow_out(s, w.p, kept, length, v, out, error->out == NULL ? NULL : error->out + of_row);
        if (d_out == NULL)
          continue;
        const double delta = mean_error(s->d, d_out + of_row, out);
        softmax_part(s, &w, d_out + of_row, v, step, length, kept, row.score_error);
        narrow_row(s, &n, &w, kept, r, length, q, k, d_out + of_row, delta);
        narrow_places_row(s, &b, &w, h, r, length, delta);
      }
      if (d_out != NULL)
        narrow_finish(s, &n, length, error->d_qkv + at);
      keep = keep == NULL ? NULL : keep + length * length;
    }
  }
  for (int64_t e = 0; e < places && error->d_bias != NULL; e++)
    error->d_bias[e] = rounded_sum(b.squares[e], b.sum[e]) + sqrt(b.mean[e]);
  free(w.p);
  free(w.dp);
  free(w.size);
  free(b.sum);
  free(b.squares);
  free(b.mean);
  free(b.row);
  free(sums);
  free(out);
}
