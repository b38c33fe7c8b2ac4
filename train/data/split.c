#include "train/data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/data/table.h"

/* A 128-bit integer in two halves, because C and many machines have none. */
typedef struct {
  uint64_t high, low;
} wide;

static wide wide_add(wide a, wide b)
{
  const uint64_t low = a.low + b.low;
  return (wide){.high = a.high + b.high + (low < a.low), .low = low};
}

static wide wide_multiply(wide a, wide b)
{
  const uint64_t a0 = a.low & UINT32_MAX, a1 = a.low >> 32, b0 = b.low & UINT32_MAX,
                 b1 = b.low >> 32;
  const uint64_t low = a0 * b0;
  const uint64_t middle = a1 * b0 + (low >> 32);
  const uint64_t middle2 = a0 * b1 + (middle & UINT32_MAX);
  return (wide){
      .high = a1 * b1 + (middle >> 32) + (middle2 >> 32) + a.high * b.low + a.low * b.high,
      .low = middle2 << 32 | (low & UINT32_MAX),
  };
}

/* PCG XSL-RR 128/64 (O'Neill 2014), as NumPy's PCG64. NumPy takes a 64-bit draw as two 32-bit ones,
 * the low half first. */
typedef struct {
  wide state, increment;
  uint32_t high_half;
  int has_high_half;
} pcg64;

static void pcg64_step(pcg64 *generator)
{
  const wide multiplier = {.high = 2549297995355413924u, .low = 4865540595714422341u};
  generator->state = wide_add(wide_multiply(generator->state, multiplier), generator->increment);
}

static uint32_t pcg64_next32(pcg64 *generator)
{
  if (generator->has_high_half) {
    generator->has_high_half = 0;
    return generator->high_half;
  }
  pcg64_step(generator);
  const uint64_t folded = generator->state.high ^ generator->state.low;
  const unsigned turn = (unsigned)(generator->state.high >> 58);
  const uint64_t draw = folded >> turn | folded << (-turn & 63);
  generator->high_half = (uint32_t)(draw >> 32);
  generator->has_high_half = 1;
  return (uint32_t)draw;
}

/* NumPy's SeedSequence for one 32-bit seed: a pool of four words, hashed and mixed with each other
 * (the seed_seq design of O'Neill 2015), and eight words drawn from it. */

static uint32_t pool_hash(uint32_t value, uint32_t *constant)
{
  value ^= *constant;
  *constant *= 0x931e8875u;
  value *= *constant;
  return value ^ value >> 16;
}

static uint32_t pool_mix(uint32_t x, uint32_t y)
{
  const uint32_t mixed = 0xca01f9ddu * x - 0x4973f715u * y;
  return mixed ^ mixed >> 16;
}

static void seed_words(uint32_t seed, uint32_t words[8])
{
  enum { POOL = 4 };
  uint32_t pool[POOL], constant = 0x43b0d7e5u;
  for (int i = 0; i < POOL; i++)
    pool[i] = pool_hash(i == 0 ? seed : 0, &constant);
  for (int from = 0; from < POOL; from++)
    for (int to = 0; to < POOL; to++)
      if (from != to)
        pool[to] = pool_mix(pool[to], pool_hash(pool[from], &constant));

  constant = 0x8b51f9ddu;
  for (int i = 0; i < 8; i++) {
    uint32_t value = pool[i % POOL] ^ constant;
    constant *= 0x58f38dedu;
    value *= constant;
    words[i] = value ^ value >> 16;
  }
}

static pcg64 pcg64_seeded(uint32_t seed)
{
  uint32_t words[8];
  seed_words(seed, words);
  uint64_t halves[4]; /* of the initial state, then of the stream's number, the high half first */
  for (int i = 0; i < 4; i++)
    halves[i] = (uint64_t)words[2 * i + 1] << 32 | words[2 * i];

  pcg64 generator = {
      .increment = {.high = halves[2] << 1 | halves[3] >> 63, .low = halves[3] << 1 | 1}};
  pcg64_step(&generator);
  generator.state = wide_add(generator.state, (wide){.high = halves[0], .low = halves[1]});
  pcg64_step(&generator);
  return generator;
}

void data_split_permutation(uint32_t seed, uint32_t *permutation, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    permutation[i] = i;

  pcg64 generator = pcg64_seeded(seed);
  uint32_t mask = UINT32_MAX;
  for (uint32_t i = count; i-- > 1;) {
    while (mask >> 1 >= i)
      mask >>= 1;
    uint32_t j;
    do
      j = pcg64_next32(&generator) & mask;
    while (j > i);
    const uint32_t kept = permutation[i];
    permutation[i] = permutation[j];
    permutation[j] = kept;
  }
}

size_t data_split_valid_count(double fraction, size_t count)
{
  const double exact = fraction * (double)count, below = floor(exact), rest = exact - below;
  const size_t rounded = (size_t)below;
  return rest > 0.5 || (rest == 0.5 && rounded % 2 == 1) ? rounded + 1 : rounded;
}

/* ---- Quotas ---- */

typedef struct {
  uint64_t rest; /* remainder of the share, in parts of an example */
  size_t count, id;
} class_rest;

static int compare_remainders(const void *a, const void *b)
{
  const class_rest *x = a, *y = b;
  if (x->rest != y->rest)
    return x->rest > y->rest ? -1 : 1;
  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

cdl_status data_split_quotas(const size_t *counts, size_t classes, size_t valid, size_t *quotas,
                             bool *possible, size_t *lost)
{
  size_t total = 0, missing = valid, refused = classes;
  for (size_t c = 0; c < classes; c++)
    total += counts[c];
  class_rest *order = calloc(classes + 1, sizeof *order);
  if (order == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the shares of %zu classes", classes);
  for (size_t c = 0; c < classes; c++) {
    const uint64_t parts = (uint64_t)valid * counts[c]; /* both are below 2^32 */
    quotas[c] = (size_t)(parts / total);
    order[c] = (class_rest){.rest = parts % total, .count = counts[c], .id = c};
    missing -= quotas[c];
  }
  qsort(order, classes, sizeof *order, compare_remainders);
  for (size_t i = 0; i < classes && missing > 0; i++) {
    const size_t c = order[i].id;
    if (counts[c] == 0)
      continue;
    if (quotas[c] + 1 < counts[c]) {
      quotas[c]++;
      missing--;
    } else if (refused == classes)
      refused = c;
  }
  free(order);
  *possible = missing == 0;
  *lost = refused;
  return CDL_STATUS_OK;
}

/* ---- Splits ---- */

const char *data_split_form_name(data_split_form form)
{
  return form == DATA_SPLIT_STRATIFIED ? "stratified" : "reference";
}

cdl_status data_split_make(double fraction, size_t count, data_split *split)
{
  *split = (data_split){0};
  if (!(fraction >= 0 && fraction < 1))
    return cdl_fail(CDL_STATUS_USAGE,
                    "a held-out fraction of %g; expected 0 or more and less than 1", fraction);
  if (count > UINT32_MAX)
    return cdl_fail(CDL_STATUS_DATA, "%zu examples; at most %u can be split", count, UINT32_MAX);
  const size_t valid_count = data_split_valid_count(fraction, count);
  if (valid_count >= count)
    return cdl_fail(CDL_STATUS_USAGE,
                    "a held-out fraction of %g of %zu examples leaves none to train on", fraction,
                    count);

  uint32_t *rows = calloc(count, sizeof *rows);
  if (rows == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the order of %zu examples", count);
  if (fraction > 0)
    data_split_permutation(DATA_SPLIT_SEED, rows, (uint32_t)count);
  else
    for (size_t i = 0; i < count; i++)
      rows[i] = (uint32_t)i;
  *split = (data_split){.rows = rows,
                        .valid = rows,
                        .train = rows + valid_count,
                        .valid_count = valid_count,
                        .train_count = count - valid_count};
  return CDL_STATUS_OK;
}

/* Moves each class's first `quotas` rows of the permutation to the front; `left` [count] is
 * scratch. */
static void move_to_front(const cdl_dataset *dataset, size_t *quotas, data_split *split,
                          uint32_t *left)
{
  const size_t count = split->valid_count + split->train_count;
  size_t held_out = 0, rest = 0;
  for (size_t i = 0; i < count; i++) {
    const uint32_t row = split->rows[i];
    size_t *quota = &quotas[cdl_dataset_get(dataset, row).label];
    if (*quota > 0) {
      (*quota)--;
      split->rows[held_out++] = row; /* never ahead of i */
    } else
      left[rest++] = row;
  }
  for (size_t i = 0; i < rest; i++)
    split->rows[held_out + i] = left[i];
}

static cdl_status lost_class(const cdl_dataset *dataset, double fraction, const data_split *split,
                             const size_t *counts, size_t lost)
{
  const size_t total = split->valid_count + split->train_count;
  const char *name = cdl_dataset_label_name(dataset, (int32_t)lost);
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: the class %s has %zu example%s, and holding out %g of all (%zu of %zu) "
                  "would leave none of it to train on; give more examples of it, a smaller "
                  "--dev-fraction, or --dev-fraction 0 to hold out nothing",
                  cdl_dataset_get_part(dataset, 0).path, data_quote(name, strlen(name)).text,
                  counts[lost], counts[lost] == 1 ? "" : "s", fraction, split->valid_count, total);
}

static cdl_status stratify(const cdl_dataset *dataset, double fraction, data_split *split)
{
  const size_t count = cdl_dataset_count(dataset), classes = cdl_dataset_label_count(dataset);
  size_t *counts = calloc(classes + 1, sizeof *counts),
         *quotas = calloc(classes + 1, sizeof *quotas), lost;
  uint32_t *left = calloc(count + 1, sizeof *left);
  bool possible = false;
  cdl_status status = CDL_STATUS_OK;
  if (counts == NULL || quotas == NULL || left == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory for the order of %zu examples", count);
  if (status == CDL_STATUS_OK) {
    for (size_t i = 0; i < count; i++)
      counts[cdl_dataset_get(dataset, i).label]++;
    status = data_split_quotas(counts, classes, split->valid_count, quotas, &possible, &lost);
  }
  if (status == CDL_STATUS_OK && !possible)
    status = lost_class(dataset, fraction, split, counts, lost);
  if (status == CDL_STATUS_OK)
    move_to_front(dataset, quotas, split, left);
  free(counts);
  free(quotas);
  free(left);
  return status;
}

cdl_status data_split_dataset(const cdl_dataset *dataset, double fraction, data_split_form form,
                              data_split *split)
{
  CDL_TRY(data_split_make(fraction, cdl_dataset_count(dataset), split));
  if (form == DATA_SPLIT_REFERENCE || split->valid_count == 0 ||
      cdl_dataset_problem(dataset) != CDL_PROBLEM_SINGLE_LABEL || !cdl_dataset_has_labels(dataset))
    return CDL_STATUS_OK;
  const cdl_status status = stratify(dataset, fraction, split);
  if (status != CDL_STATUS_OK)
    data_split_release(split);
  return status;
}

void data_split_release(data_split *split)
{
  free(split->rows);
  *split = (data_split){0};
}
