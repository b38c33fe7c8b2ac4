#include "bench/shapes_trace.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Reads the files that tools/console/trace.c writes, where each event's `args` have the op's sizes.
 * Batches differ in their number of tokens, so each op is measured at the median of the run. */

/* Calls that differ only in m, the tokens of a batch. */
typedef struct {
  char op[32], transpose[4];
  int64_t n, k, rank, batch;
  int64_t *m;
  size_t count;
} family;

typedef struct {
  const char *path;
  family *families;
  size_t family_count;
  bench_attention_shape *attentions; /* forward calls; lengths are owned */
  size_t attention_count;
  size_t shaped; /* events with sizes */
} reading;

static void release(reading *r)
{
  for (size_t i = 0; i < r->family_count; i++)
    free(r->families[i].m);
  for (size_t i = 0; i < r->attention_count; i++)
    free(r->attentions[i].lengths);
  free(r->families);
  free(r->attentions);
}

/* Returns a size of an event, an integer from 1; 0 if it is missing. */
static int64_t size_of(const json_t *args, const char *key)
{
  const json_int_t value = json_integer_value(json_object_get(args, key));
  return value > 0 && value < 1 << 24 ? (int64_t)value : 0;
}

static cdl_status add_to_family(reading *r, const char *op, const json_t *args)
{
  const char *transpose = json_string_value(json_object_get(args, "transpose"));
  family f = {.n = size_of(args, "n"),
              .k = size_of(args, "k"),
              .rank = size_of(args, "rank"),
              .batch = size_of(args, "batch")};
  const int64_t m = size_of(args, "m");
  if (m == 0 || (strcmp(op, "svd") != 0 && f.k == 0) || f.n == 0)
    return CDL_STATUS_OK; /* an empty product, or no product */
  snprintf(f.op, sizeof f.op, "%s", op);
  snprintf(f.transpose, sizeof f.transpose, "%s", transpose != NULL ? transpose : "");
  size_t i = 0;
  while (i < r->family_count &&
         (strcmp(r->families[i].op, f.op) != 0 || r->families[i].n != f.n ||
          r->families[i].k != f.k || r->families[i].rank != f.rank ||
          r->families[i].batch != f.batch || strcmp(r->families[i].transpose, f.transpose) != 0))
    i++;
  if (i == r->family_count) {
    family *all = realloc(r->families, (i + 1) * sizeof *all);
    if (all == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: shapes of a trace");
    r->families = all;
    all[r->family_count++] = f;
  }
  family *found = &r->families[i];
  if ((found->count & (found->count - 1)) == 0) { /* it is full at each power of two */
    int64_t *larger = realloc(found->m, (2 * found->count + 1) * sizeof *larger);
    if (larger == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: shapes of a trace");
    found->m = larger;
  }
  found->m[found->count++] = m;
  return CDL_STATUS_OK;
}

static cdl_status add_attention(reading *r, const json_t *args)
{
  const json_t *list = json_object_get(args, "lengths");
  bench_attention_shape shape = {.sequences = (int32_t)json_array_size(list),
                                 .heads = (int32_t)size_of(args, "heads"),
                                 .width = (int32_t)size_of(args, "width"),
                                 .distances = (int32_t)size_of(args, "distances")};
  if (shape.sequences == 0 || shape.heads == 0 || shape.width == 0)
    return CDL_STATUS_OK;
  if (shape.distances % 2 == 0) /* as many before a query as after it, and the query's own */
    shape.distances = 0;
  bench_attention_shape *all = realloc(r->attentions, (r->attention_count + 1) * sizeof *all);
  if (all == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: shapes of a trace");
  r->attentions = all;
  shape.lengths = calloc((size_t)shape.sequences, sizeof *shape.lengths);
  if (shape.lengths == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: shapes of a trace");
  for (int32_t i = 0; i < shape.sequences; i++) {
    const json_int_t length = json_integer_value(json_array_get(list, (size_t)i));
    shape.lengths[i] = length > 0 && length < 1 << 20 ? (int32_t)length : 1;
  }
  all[r->attention_count++] = shape;
  return CDL_STATUS_OK;
}

static cdl_status read_events(reading *r, const json_t *events)
{
  size_t i;
  json_t *event;
  json_array_foreach(events, i, event)
  {
    const char *name = json_string_value(json_object_get(event, "name"));
    const json_t *args = json_object_get(event, "args");
    if (name == NULL || args == NULL)
      continue;
    r->shaped++;
    if (strcmp(name, "attention") == 0)
      CDL_TRY(add_attention(r, args));
    else
      CDL_TRY(add_to_family(r, name, args));
    size_t k;
    const json_t *term;
    json_array_foreach(json_object_get(args, "more"), k, term)
    {
      CDL_TRY(add_to_family(r, name, term));
    }
  }
  return CDL_STATUS_OK;
}

/* ---- From families to shapes ---- */

static int ascending(const void *a, const void *b)
{
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static bool add_product(bench_shapes *shapes, const char *op, const char *part, int64_t m,
                        int64_t n, int64_t k, const char *transpose, int64_t batch)
{
  bench_gemm_shape shape = {.m = m,
                            .n = n,
                            .k = k,
                            .batch = batch > 0 ? batch : 1,
                            .transpose_a = transpose[0] == 'T',
                            .transpose_b = transpose[0] != '\0' && transpose[1] == 'T',
                            .quick = true};
  snprintf(shape.what, sizeof shape.what, "%s%s", op, part);
  for (size_t i = 0; i < shapes->gemm_count; i++) {
    const bench_gemm_shape *had = &shapes->gemm[i];
    if (strcmp(had->what, shape.what) == 0 && had->m == m && had->n == n && had->k == k &&
        had->batch == shape.batch && had->transpose_a == shape.transpose_a &&
        had->transpose_b == shape.transpose_b)
      return true; /* the layers differ in other sizes */
  }
  return bench_shapes_add_gemm(shapes, shape);
}

static bool add_family(bench_shapes *shapes, family *f)
{
  qsort(f->m, f->count, sizeof *f->m, ascending);
  const int64_t m = f->m[f->count / 2], n = f->n, k = f->k, r = f->rank;
  if (strcmp(f->op, "gemm") == 0)
    return add_product(shapes, f->op, "", m, n, k, f->transpose, f->batch);
  if (strcmp(f->op, "linear") == 0)
    return add_product(shapes, f->op, "", m, n, k, "NT", 1);
  if (strcmp(f->op, "linear_grad") == 0)
    return add_product(shapes, f->op, "", m, n, k, "NN", 1);
  if (strcmp(f->op, "low_rank") == 0)
    return add_product(shapes, f->op, ": x Aᵀ", m, r, k, "NT", 1) &&
           add_product(shapes, f->op, ": u Bᵀ", m, n, r, "NT", 1);
  if (strcmp(f->op, "low_rank_grad") == 0)
    return add_product(shapes, f->op, ": d_out B", m, r, n, "NN", 1) &&
           add_product(shapes, f->op, ": d_outᵀ u", n, r, m, "TN", 1) &&
           add_product(shapes, f->op, ": duᵀ x", r, k, m, "TN", 1) &&
           add_product(shapes, f->op, ": du A", m, k, r, "NN", 1);
  const bool transposed = strcmp(f->transpose, "NT") == 0;
  if (strcmp(f->op, "map_weights") == 0)
    return (transposed ? add_product(shapes, f->op, ": θA Wᵀ", r, m, k, "NT", f->batch)
                       : add_product(shapes, f->op, ": θA W", r, k, m, "NN", f->batch)) &&
           add_product(shapes, f->op, ": W θBᵀ", m, r, k, "NT", f->batch);
  if (strcmp(f->op, "map_weights_grad") == 0)
    return (transposed ? add_product(shapes, f->op, ": d_a W", r, k, m, "NN", f->batch)
                       : add_product(shapes, f->op, ": d_a Wᵀ", r, m, k, "NT", f->batch)) &&
           add_product(shapes, f->op, ": d_bᵀ W", r, k, m, "TN", f->batch);
  if (strcmp(f->op, "svd") != 0)
    return true;
  bench_svd_shape shape = {.m = m, .n = n, .quick = true};
  snprintf(shape.what, sizeof shape.what, "svd");
  return bench_shapes_add_svd(shapes, shape);
}

static double work_of(const bench_attention_shape *a)
{
  double work = 0;
  for (int32_t i = 0; i < a->sequences; i++)
    work += (double)a->lengths[i] * a->lengths[i];
  return work;
}

static int by_work(const void *a, const void *b)
{
  const double x = work_of(a), y = work_of(b);
  return (x > y) - (x < y);
}

static bool same_lengths(const bench_attention_shape *a, const bench_attention_shape *b)
{
  return a->sequences == b->sequences &&
         memcmp(a->lengths, b->lengths, (size_t)a->sequences * sizeof *a->lengths) == 0;
}

static bool add_chosen(bench_shapes *shapes, bench_attention_shape chosen, const char *which)
{
  int64_t tokens = 0;
  for (int32_t i = 0; i < chosen.sequences; i++)
    tokens += chosen.lengths[i];
  snprintf(chosen.what, sizeof chosen.what, "%s batch: %d sequences, %lld tokens%s", which,
           chosen.sequences, (long long)tokens, chosen.distances > 0 ? ", bias" : "");
  chosen.quick = true;
  return bench_shapes_add_attention(shapes, chosen);
}

/* The layers of a batch follow one another, so each series of equal lengths is a batch. */
static bool add_attentions(bench_shapes *shapes, reading *r)
{
  enum { BATCHES = 6 };
  for (size_t i = 0; i < r->attention_count && shapes->batch_count < BATCHES; i++)
    if ((i == 0 || !same_lengths(&r->attentions[i], &r->attentions[i - 1])) &&
        !bench_shapes_add_batch(shapes, r->attentions[i]))
      return false;
  qsort(r->attentions, r->attention_count, sizeof *r->attentions, by_work);
  const bench_attention_shape middle = r->attentions[r->attention_count / 2],
                              most = r->attentions[r->attention_count - 1];
  int64_t tokens = 0;
  for (int32_t i = 0; i < middle.sequences; i++)
    tokens += middle.lengths[i];
  shapes->activations = (bench_activation_shape){
      .sequences = middle.sequences,
      .length = (int32_t)((tokens + middle.sequences - 1) / middle.sequences),
      .heads = middle.heads,
      .hidden = middle.heads * middle.width};
  return add_chosen(shapes, middle, "middle") &&
         (same_lengths(&middle, &most) || add_chosen(shapes, most, "largest"));
}

/* Adds the layers' weights for svd. Training has no decompositions; the analyses decompose these
 * weights. */
static bool add_weights(bench_shapes *shapes, const reading *r)
{
  bool ok = true;
  for (size_t i = 0; ok && i < r->family_count; i++) {
    const family *f = &r->families[i];
    if (strcmp(f->op, "linear") != 0)
      continue;
    if (f->k == shapes->activations.hidden && f->n > shapes->activations.wide)
      shapes->activations.wide = (int32_t)f->n;
    bench_svd_shape shape = {.m = f->n, .n = f->k, .quick = f->n == f->k};
    snprintf(shape.what, sizeof shape.what, "weight");
    if (f->n >= f->k)
      ok = bench_shapes_add_svd(shapes, shape);
  }
  return ok;
}

static cdl_status collect(bench_shapes *shapes, reading *r)
{
  if (r->shaped == 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: no event says its sizes; condlora train --trace writes such files",
                    r->path);
  if (r->attention_count == 0 || r->family_count == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: the trace holds no attention or no product", r->path);
  bool ok = add_attentions(shapes, r);
  for (size_t i = 0; ok && i < r->family_count; i++)
    ok = add_family(shapes, &r->families[i]);
  ok = ok && add_weights(shapes, r);
  return ok ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: shapes of a trace");
}

cdl_status bench_shapes_of_trace(const char *path, bench_shapes *shapes)
{
  json_t *root;
  CDL_TRY(cdl_context(base_json_read(path, &root), "--shapes wants base, large or a trace"));
  reading r = {.path = path};
  const json_t *events = json_object_get(root, "traceEvents");
  cdl_status status =
      json_is_array(events)
          ? read_events(&r, events)
          : cdl_fail(CDL_STATUS_DATA, "%s: no trace: it has no list of traceEvents", path);
  if (status == CDL_STATUS_OK)
    status = collect(shapes, &r);
  release(&r);
  json_decref(root);
  if (status != CDL_STATUS_OK)
    bench_shapes_release(shapes);
  return status;
}
