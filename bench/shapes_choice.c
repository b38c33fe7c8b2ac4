#include "bench/shapes_choice.h"

#include <stdio.h>
#include <string.h>

#include "bench/shapes_trace.h"

typedef struct {
  const char *name;
  int32_t hidden, wide, heads;
} encoder;

static const encoder minilm = {"MiniLM", 384, 1536, 12}, base = {"RoBERTa-base", 768, 3072, 12},
                     large = {"RoBERTa-large", 1024, 4096, 16};

typedef struct {
  const char *what;
  int64_t m, n, k;
  bool transpose_a, transpose_b, quick;
} bench_product;

static bool add_products(bench_shapes *shapes, const encoder *e, int64_t tokens,
                         const bench_product *products, size_t count, bool quick)
{
  for (size_t i = 0; i < count; i++) {
    const bench_product *p = &products[i];
    bench_gemm_shape shape = {.m = p->m,
                              .n = p->n,
                              .k = p->k,
                              .batch = 1,
                              .transpose_a = p->transpose_a,
                              .transpose_b = p->transpose_b,
                              .quick = quick && p->quick};
    snprintf(shape.what, sizeof shape.what, "%s %s, %lld tokens", e->name, p->what,
             (long long)tokens);
    if (!bench_shapes_add_gemm(shapes, shape))
      return false;
  }
  return true;
}

/* Adds the products of linear layers. n × k of a forward product is the weight's [out, in]; a
 * gradient's product has both exchanged. */
static bool add_layers(bench_shapes *shapes, const encoder *e, int64_t tokens, bool quick)
{
  const int64_t t = tokens, h = e->hidden, w = e->wide;
  const bench_product products[] = {
      {"qkv", t, 3 * h, h, false, true, true},
      {"attention out", t, h, h, false, true, false},
      {"up", t, w, h, false, true, true},
      {"down", t, h, w, false, true, false},
      {"qkv gradient", t, h, 3 * h, false, false, false},
      {"up gradient", t, h, w, false, false, true},
      {"down gradient", t, w, h, false, false, false},
  };
  return add_products(shapes, e, tokens, products, sizeof products / sizeof products[0], quick);
}

static bool add_low_rank(bench_shapes *shapes, const encoder *e, int64_t tokens, bool quick)
{
  const int64_t t = tokens, h = e->hidden, r = 8;
  const bench_product products[] = {
      {"rank 8: x Aᵀ", t, r, h, false, true, true},
      {"rank 8: u Bᵀ", t, h, r, false, true, true},
      {"rank 8: d_out B", t, r, h, false, false, false},
      {"rank 8: d_outᵀ u", h, r, t, true, false, true},
      {"rank 8: duᵀ x", r, h, t, true, false, false},
      {"rank 8: θA W", r, h, h, false, false, false},
  };
  return add_products(shapes, e, tokens, products, sizeof products / sizeof products[0], quick);
}

enum { MPNET_DISTANCES = 183 };

static bool add_sequences(bench_shapes *shapes, const encoder *e, int32_t sequences, int32_t length,
                          int32_t distances, bool quick)
{
  int32_t lengths[64];
  bench_attention_shape shape = {.lengths = lengths,
                                 .sequences = sequences,
                                 .heads = e->heads,
                                 .width = e->hidden / e->heads,
                                 .distances = distances,
                                 .quick = quick};
  for (int32_t i = 0; i < sequences; i++)
    lengths[i] = length;
  snprintf(shape.what, sizeof shape.what, "%s, %d x %d tokens%s", e->name, sequences, length,
           distances > 0 ? ", bias" : "");
  return bench_shapes_add_attention(shapes, shape);
}

static bool add_matrix(bench_shapes *shapes, const char *what, const encoder *e, int64_t m,
                       int64_t n, bool quick)
{
  bench_svd_shape shape = {.m = m, .n = n, .quick = quick};
  snprintf(shape.what, sizeof shape.what, "%s, %s", what, e->name);
  return bench_shapes_add_svd(shapes, shape);
}

/* Adds the ops that take most of this encoder's step. */
static bool add_encoder(bench_shapes *shapes, const encoder *e)
{
  return add_layers(shapes, e, 1100, true) && add_layers(shapes, e, 4096, false) &&
         add_low_rank(shapes, e, 1100, true) &&
         add_matrix(shapes, "query", e, e->hidden, e->hidden, true) &&
         add_matrix(shapes, "up", e, e->wide, e->hidden, false) &&
         add_matrix(shapes, "A of rank 8", e, 8, e->hidden, true) &&
         add_matrix(shapes, "B of rank 8", e, e->hidden, 8, false) &&
         add_sequences(shapes, e, 16, 70, 0, true) && add_sequences(shapes, e, 8, 512, 0, false);
}

static bool add_a_little_of_all(bench_shapes *shapes)
{
  const bench_gemm_shape square = {"square", 1024, 1024, 1024, 1, false, false, true};
  return add_layers(shapes, &minilm, 880, true) && add_layers(shapes, &base, 1100, true) &&
         add_layers(shapes, &base, 4096, false) && add_layers(shapes, &large, 1100, false) &&
         add_low_rank(shapes, &base, 1100, true) && bench_shapes_add_gemm(shapes, square) &&
         add_matrix(shapes, "query", &minilm, minilm.hidden, minilm.hidden, true) &&
         add_matrix(shapes, "query", &base, base.hidden, base.hidden, true) &&
         add_matrix(shapes, "up", &base, base.wide, base.hidden, false) &&
         add_matrix(shapes, "A of rank 8", &base, 8, base.hidden, true) &&
         add_matrix(shapes, "B of rank 8", &base, base.hidden, 8, false) &&
         add_sequences(shapes, &minilm, 16, 55, 0, true) &&
         add_sequences(shapes, &base, 16, 70, 0, true) &&
         add_sequences(shapes, &base, 16, 70, MPNET_DISTANCES, true) &&
         add_sequences(shapes, &base, 8, 512, 0, false) &&
         add_sequences(shapes, &large, 8, 512, 0, false);
}

cdl_status bench_shapes_choose(const char *name, bench_shapes *shapes)
{
  *shapes = (bench_shapes){.encoder = "base"};
  const bool is_large = name != NULL && strcmp(name, "large") == 0;
  if (name != NULL && !is_large && strcmp(name, "base") != 0)
    return bench_shapes_of_trace(name, shapes);
  const encoder *e = is_large ? &large : &base;
  shapes->activations = (bench_activation_shape){20, 55, e->heads, e->hidden, e->wide};
  shapes->encoder = is_large ? "large" : "base";
  if (name == NULL ? add_a_little_of_all(shapes) : add_encoder(shapes, e))
    return CDL_STATUS_OK;
  bench_shapes_release(shapes);
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: shapes");
}
