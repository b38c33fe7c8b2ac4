/* VeRA (Kopiczko et al. 2024): all layers share one frozen random pair A, B, and each layer
 * trains two vectors:
 *   y = x Wᵀ + b ∘ ((d ∘ (x Aᵀ)) Bᵀ),   so  A_l = diag(d_l) A,  B_l = diag(b_l) B.
 * A and B have the largest sizes of all adapted layers; each layer uses the first columns of A
 * and the first rows of B. They are read from the folder or drawn from projection_prng_key as in
 * PEFT. */
#include <math.h>

#include "model/adapter/state.h"

enum { OPTION_D_INITIAL, OPTION_PRNG_KEY };
enum { FROZEN_A, FROZEN_B };

/* Parameter 2 i is d of module i, and 2 i + 1 is its b. */
static cdl_status parameters(model_adapter *a)
{
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_module *module = a->modules[i];
    CDL_TRY(adapter_add_vector(a, ENCODER_ROLE_WEIGHT, a->per_module[i].rank, "%s.vera_lambda_d",
                               module->path));
    CDL_TRY(adapter_add_vector(a, ENCODER_ROLE_WEIGHT, module->weight.size[2], "%s.vera_lambda_b",
                               module->path));
  }
  return CDL_STATUS_OK;
}

/* b is zero, so that training starts at the base model. */
static void initialize(const model_adapter *a, size_t index, cdl_random *random, float *values,
                       int64_t count)
{
  (void)random;
  const double value = index % 2 == 0 ? adapter_option_value(a, OPTION_D_INITIAL) : 0;
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)value;
}

static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  (void)q;
  for (size_t i = 0; i < a->module_count; i++)
    a->modules[i]->delta = (encoder_delta){.dropout = a->dropout, .low_rank = a->derived[i]};
  return CDL_STATUS_OK;
}

/* ---- The frozen pair ---- */

static int64_t largest_size(const model_adapter *a, int dimension)
{
  int64_t largest = 0;
  for (size_t i = 0; i < a->module_count; i++)
    if (a->modules[i]->weight.size[dimension] > largest)
      largest = a->modules[i]->weight.size[dimension];
  return largest;
}

static const char *const frozen_names[] = {
    [FROZEN_A] = "base_model.vera_A", [FROZEN_B] = "base_model.vera_B", NULL};

static cdl_status frozen(model_adapter *a)
{
  CDL_TRY(adapter_add_frozen(a, a->rank, largest_size(a, 3), "%s", frozen_names[FROZEN_A]));
  return adapter_add_frozen(a, largest_size(a, 2), a->rank, "%s", frozen_names[FROZEN_B]);
}

/* MT19937 (Matsumoto and Nishimura 1998), PyTorch's generator on the CPU. */
typedef struct {
  uint32_t word[624];
  int next;
} twister;

static void twister_start(twister *t, uint32_t seed)
{
  t->word[0] = seed;
  for (uint32_t i = 1; i < 624; i++)
    t->word[i] = 1812433253u * (t->word[i - 1] ^ t->word[i - 1] >> 30) + i;
  t->next = 624;
}

static uint32_t twister_draw(twister *t)
{
  if (t->next == 624) {
    for (int i = 0; i < 624; i++) {
      const uint32_t y = (t->word[i] & 0x80000000u) | (t->word[(i + 1) % 624] & 0x7fffffffu);
      t->word[i] = t->word[(i + 397) % 624] ^ y >> 1 ^ (y % 2 != 0 ? 0x9908b0dfu : 0);
    }
    t->next = 0;
  }
  uint32_t x = t->word[t->next++];
  x ^= x >> 11;
  x ^= x << 7 & 0x9d2c5680u;
  x ^= x << 15 & 0xefc60000u;
  return x ^ x >> 18;
}

/* Draws uniformly in ±√(6 / columns), with 24 random bits each, like PyTorch's uniform_, after
 * skipping `skipped` numbers. */
static void draw(const model_adapter *a, int64_t skipped, int64_t columns, float *values,
                 int64_t count)
{
  twister t;
  twister_start(&t, (uint32_t)adapter_option_value(a, OPTION_PRNG_KEY));
  for (int64_t i = 0; i < skipped; i++)
    twister_draw(&t);
  const float bound = (float)(sqrt(3.0) * (sqrt(2.0) / sqrt((double)columns)));
  const float width = bound - -bound;
  for (int64_t i = 0; i < count; i++)
    values[i] =
        (float)((double)(twister_draw(&t) & 0xffffffu) / 0x1000000 * (double)width - (double)bound);
}

static void draw_frozen(const model_adapter *a, size_t index, float *values, int64_t count)
{
  if (index == FROZEN_A)
    draw(a, 0, largest_size(a, 3), values, count);
  else
    draw(a, a->rank * largest_size(a, 3), a->rank, values, count);
}

static cdl_tensor cut(cdl_tensor frozen, int64_t rows, int64_t columns)
{
  return cdl_tensor_columns(cdl_tensor_rows(frozen, 0, rows), 0, columns);
}

static cdl_tensor a_of(const model_adapter *a, size_t i)
{
  return cut(a->frozen[FROZEN_A].value, a->per_module[i].rank, a->modules[i]->weight.size[3]);
}

static cdl_tensor b_of(const model_adapter *a, size_t i)
{
  return cut(a->frozen[FROZEN_B].value, a->modules[i]->weight.size[2], a->per_module[i].rank);
}

/* ---- A and B of each layer ---- */

static cdl_tensor as_column(cdl_tensor t)
{
  return cdl_tensor_2d(t.buffer, CDL_DTYPE_F32, t.offset, cdl_tensor_elements(t), 1);
}

/* A_l = diag(d) A, B_l = diag(b) B */
static void materialize(model_adapter *a, cdl_queue *q)
{
  for (size_t i = 0; i < a->module_count; i++) {
    cdl_binary(q, CDL_ARGS(binary, .out = a->derived[i].a, .x = a_of(a, i),
                           .y = as_column(a->own_parameters[2 * i].value),
                           .function = CDL_BINARY_MULTIPLY));
    cdl_binary(q, CDL_ARGS(binary, .out = a->derived[i].b, .x = b_of(a, i),
                           .y = as_column(a->own_parameters[2 * i + 1].value),
                           .function = CDL_BINARY_MULTIPLY));
  }
}

/* gradient [rows] += row sums of x ∘ y */
static void add_row_products(const model_adapter *a, cdl_queue *q, cdl_tensor gradient,
                             cdl_tensor x, cdl_tensor y)
{
  const cdl_tensor products =
      cdl_tensor_2d(a->scratch.buffer, CDL_DTYPE_F32, a->scratch.offset, x.size[2], x.size[3]);
  cdl_binary(q, CDL_ARGS(binary, .out = products, .x = x, .y = y, .function = CDL_BINARY_MULTIPLY));
  cdl_reduce(q, CDL_ARGS(reduce, .out = as_column(gradient), .x = products,
                         .function = CDL_REDUCE_SUM, .axis = 3, .accumulate = true));
}

/* dd_i += ⟨(dA_l)_i, A_i⟩,  db_o += ⟨(dB_l)_o, B_o⟩ */
static void pull_back(model_adapter *a, cdl_queue *q)
{
  for (size_t i = 0; i < a->module_count; i++) {
    add_row_products(a, q, a->own_parameters[2 * i].gradient, a->derived[i].d_a, a_of(a, i));
    add_row_products(a, q, a->own_parameters[2 * i + 1].gradient, a->derived[i].d_b, b_of(a, i));
  }
}

static const base_option options[] = {{.name = "d_initial",
                                       .kind = BASE_OPTION_FLOAT,
                                       .default_value = 0.1,
                                       .low = -100,
                                       .high = 100,
                                       .help = "every element of d at the start"},
                                      {.name = "projection_prng_key",
                                       .kind = BASE_OPTION_INT,
                                       .high = 4294967295.0,
                                       .help = "seed of the frozen A and B, as in PEFT"},
                                      {0}};

static const adapter_keys keys = {
    .rank = "r", .dropout = "vera_dropout", .adapted_bias = "vera_only"};
static const char *const void_keys[] = {"init_weights", "save_projection", NULL};

const adapter_method adapter_method_vera = {.name = "vera",
                                            .peft_type = "VERA",
                                            .has = ADAPTER_HAS_RANK | ADAPTER_HAS_DROPOUT,
                                            .lack_reason = "all layers have one rank and no scale",
                                            .keys = &keys,
                                            .void_keys = void_keys,
                                            .default_rank = 256,
                                            .options = options,
                                            .frozen_names = frozen_names,
                                            .frozen = frozen,
                                            .draw_frozen = draw_frozen,
                                            .module_ending = ".vera_lambda_d",
                                            .derives = true,
                                            .parameters = parameters,
                                            .initialize = initialize,
                                            .attach = attach,
                                            .materialize = materialize,
                                            .pull_back = pull_back};
