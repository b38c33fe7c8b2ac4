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
