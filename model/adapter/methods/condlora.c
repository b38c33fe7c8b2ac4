/* CondLoRA (Kim et al. 2024). One pair of linear layers, shared by all blocks, computes A_l and B_l
 * of each layer from its frozen weight W_l. Options add conditioning on the input, by one more
 * layer that all modules share, another matrix in W_l's place, gates, and DoRA and DyLoRA. */
#include <stdlib.h>
#include <string.h>

#include "model/adapter/methods/condition.h"
#include "model/adapter/methods/gates.h"
#include "model/adapter/methods/low_rank.h"
#include "model/adapter/methods/maps.h"
#include "model/files/family.h"

#define X_SCALING 0.5 /* the value in the reference's scripts */
enum { OPTION_USE_X = LOW_RANK_OPTIONS_COUNT, OPTION_X_SCALING, OPTION_CONDITION, OPTION_GATES };

/* type1: y += s·x_scaling · B L x̃,            L [rank, in]
 * type2: y_t += s·x_scaling · ⟨x̃_t, x̃_0⟩ w,   w [out] */
enum { X_NONE, X_TYPE1, X_TYPE2 };

typedef struct {
  condition condition;
  gates gates;
  maps maps;
} condlora;

static int use_x(const model_adapter *a)
{
  return (int)adapter_option_value(a, OPTION_USE_X);
}

static float x_scaling(const model_adapter *a)
{
  return (float)adapter_option_value(a, OPTION_X_SCALING);
}

/* Parameter 2 g is θA of group g, and 2 g + 1 is its θB. A group is named by its path inside the
 * block. L or w follows, then gates. */
static const encoder_parameter *theta_a(const model_adapter *a, const layer_batch *run)
{
  return &a->own_parameters[2 * run->group];
}

static const encoder_parameter *theta_b(const model_adapter *a, const layer_batch *run)
{
  return &a->own_parameters[2 * run->group + 1];
}

static const encoder_parameter *theta_x(const model_adapter *a)
{
  return &a->own_parameters[2 * a->group_count];
}

static const char *path_inside_block(const model_adapter *a, model_module_kind kind)
{
  return model_family_of(encoder_config(a->encoder)->family)->block->paths[kind];
}

static cdl_status check_x(const model_adapter *a)
{
  const double scaling = adapter_option_value(a, OPTION_X_SCALING);
  if (use_x(a) == X_NONE)
    return scaling == X_SCALING || scaling == 0
               ? CDL_STATUS_OK
               : cdl_fail(CDL_STATUS_USAGE, "x_scaling goes with use_x type1 or type2");
  if (scaling == 0)
    return cdl_fail(CDL_STATUS_USAGE, "x_scaling is above 0 with use_x type1 or type2");
  return use_x(a) == X_TYPE2 && adapter_option_value(a, OPTION_USE_DORA) != 0
             ? cdl_fail(CDL_STATUS_USAGE, "use_x type2 does not go with use_dora")
             : CDL_STATUS_OK;
}

/* Adds L or w, which all modules share: their inputs and ranks, or their outputs, must have equal
 * sizes. */
static cdl_status x_parameter(model_adapter *a)
{
  const layer_batch *first = &a->runs[0];
  const int64_t rank = first->rank, out = first->weights.size[2], in = first->weights.size[3];
  if (use_x(a) == X_NONE)
    return CDL_STATUS_OK;
  for (size_t r = 1; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    const bool same = use_x(a) == X_TYPE1 ? run->weights.size[3] == in && run->rank == rank
                                          : run->weights.size[2] == out;
    if (!same)
      return cdl_fail(CDL_STATUS_USAGE,
                      "use_x shares one layer among all targets, but %s is [%lld, %lld] of rank "
                      "%lld and %s [%lld, %lld] of rank %lld",
                      path_inside_block(a, first->kind), (long long)out, (long long)in,
                      (long long)rank, path_inside_block(a, run->kind),
                      (long long)run->weights.size[2], (long long)run->weights.size[3],
                      (long long)run->rank);
  }
  return use_x(a) == X_TYPE1
             ? adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, rank, in, "condlora_x.weight")
             : adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, out, 1, "condlora_x.weight");
}

static cdl_status parameters(model_adapter *a)
{
  int known = 0;
  condlora *own = calloc(1, sizeof *own);
  if (own == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter");
  a->own_state = own;
  own->condition.kind = (condition_kind)adapter_option_value(a, OPTION_CONDITION);
  own->gates.on = adapter_option_value(a, OPTION_GATES) != 0;
  CDL_TRY(low_rank_check_options(a));
  CDL_TRY(check_x(a));
  for (size_t i = 0; i < a->run_count; i++) {
    const layer_batch *run = &a->runs[i];
    if (run->group < known)
      continue;
    known = run->group + 1;
    const int64_t out = run->weights.size[2], in = run->weights.size[3];
    const char *path = path_inside_block(a, run->kind);
    if (a->orientation == ADAPTER_ORIENTATION_REFERENCE && out != in)
      return cdl_fail(
          CDL_STATUS_USAGE,
          "orientation reference wants square weights, but %s is [%lld, %lld]; use paper", path,
          (long long)out, (long long)in);
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->rank, out, "%s.condlora_A.weight",
                                  path));
    CDL_TRY(
        adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->rank, in, "%s.condlora_B.weight", path));
  }
  CDL_TRY(x_parameter(a));
  CDL_TRY(gates_parameters(&own->gates, a));
  return dora_parameters(a);
}

/* The layer of the input starts at zero, like θB; gates start at one. */
static void initialize(const model_adapter *a, size_t index, cdl_random *random, float *values,
                       int64_t count)
{
  const condlora *own = a->own_state;
  if (index < 2 * (size_t)a->group_count)
    adapter_initialize_pair(a, index, random, values, count);
  else
    for (int64_t i = 0; i < count; i++)
      values[i] = gates_own(&own->gates, index) ? 1 : 0;
}

/* True for θB only. */
static bool takes_ratio(const model_adapter *a, size_t index)
{
  return index < 2 * (size_t)a->group_count && adapter_pair_takes_ratio(a, index);
}

static void attach_pair(const model_adapter *a, encoder_delta *delta)
{
  if (use_x(a) != X_TYPE2)
    return;
  delta->pair = (encoder_pair_term){.value = theta_x(a)->value,
                                    .gradient = theta_x(a)->gradient,
                                    .scale = delta->low_rank.scale * x_scaling(a)};
}

static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  condlora *own = a->own_state;
  CDL_TRY(condition_create(&own->condition, a, q));
  CDL_TRY(gates_create(&own->gates, a, q, theta_a));
  CDL_TRY(maps_create(&own->maps, a, q));
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    for (int i = 0; i < run->count; i++) {
      run->modules[i]->delta = (encoder_delta){
          .dropout = a->dropout,
          .dropout_hits_base = a->dropout_hits_base,
          .low_rank = adapter_low_rank_of_layer(run, i, a->per_module[run->numbers[i]].scale)};
      attach_pair(a, &run->modules[i]->delta);
    }
  }
  CDL_TRY(dora_attach(a, q));
  return dylora_attach(a);
}

/* Eq. 5 and 6: A_l = θA W_l (paper) or θA W_lᵀ (reference), B_l = W_l θBᵀ. For type1, A_l +
 * x_scaling L replaces A_l: B (A + L) x = B A x + B L x. */
static void materialize(model_adapter *a, cdl_queue *q)
{
  const bool type1 = use_x(a) == X_TYPE1;
  condlora *own = a->own_state;
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    if (type1)
      cdl_axpby(q,
                CDL_ARGS(axpby, .out = run->a, .x = adapter_repeated(theta_x(a)->value, run->count),
                         .alpha = x_scaling(a)));
    own->maps.parameters[r] =
        (map_parameters){.a = gates_apply(&own->gates, a, q, r, theta_a(a, run)->value),
                         .b = theta_b(a, run)->value};
  }
  maps_forward(&own->maps, a, q, type1);
  dora_materialize(a, q);
}

/* dL += x_scaling Σ_l dA_l */
static void add_x_gradient(const model_adapter *a, cdl_queue *q, const layer_batch *run)
{
  const cdl_tensor gradient = theta_x(a)->gradient;
  const cdl_tensor sum = cdl_tensor_2d(a->scratch.buffer, CDL_DTYPE_F32, a->scratch.offset,
                                       gradient.size[2], gradient.size[3]);
  cdl_reduce(q, CDL_ARGS(reduce, .out = sum, .x = run->d_a, .function = CDL_REDUCE_SUM, .axis = 1));
  cdl_axpby(q, CDL_ARGS(axpby, .out = gradient, .x = sum, .alpha = x_scaling(a), .beta = 1));
}

/* dθA += Σ_l dA_l W_lᵀ (paper) or dA_l W_l (reference), behind gates where there are some;
 * dθB += Σ_l dB_lᵀ W_l */
static void pull_back(model_adapter *a, cdl_queue *q)
{
  const bool paper = a->orientation == ADAPTER_ORIENTATION_PAPER;
  condlora *own = a->own_state;
  dylora_pull_back(a, q);
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    map_parameters *p = &own->maps.parameters[r];
    *p = (map_parameters){.a = theta_a(a, run)->value,
                          .b = theta_b(a, run)->value,
                          .gradient_b = theta_b(a, run)->gradient};
    if (own->gates.on)
      gates_pull_back(&own->gates, a, q, r, theta_a(a, run),
                      adapter_products(a, q, run, p->a.size[3], run->d_a, false, paper));
    else
      p->gradient_a = theta_a(a, run)->gradient;
    if (use_x(a) == X_TYPE1)
      add_x_gradient(a, q, run);
  }
  maps_backward(&own->maps, a, q);
  dora_pull_back(a, q);
}

static cdl_status prepare_base(model_adapter *a, cdl_queue *q)
{
  condlora *own = a->own_state;
  CDL_TRY(condition_begin(&own->condition, a, q));
  dora_initialize(a, q);
  return CDL_STATUS_OK;
}

static cdl_status restored(model_adapter *a, cdl_queue *q)
{
  condlora *own = a->own_state;
  return condition_make(&own->condition, a, q);
}

static json_t *config_extra(const model_adapter *a, const struct adapter_snapshot *snapshot)
{
  const condlora *own = a->own_state;
  (void)snapshot;
  return condition_extra(&own->condition);
}

static void release(model_adapter *a)
{
  condlora *own = a->own_state;
  if (own != NULL) {
    condition_release(&own->condition);
    gates_release(&own->gates);
    maps_release(&own->maps);
  }
  free(own);
  dora_release(a);
  dylora_release(a);
}

static const base_option options[] = {
    LOW_RANK_OPTIONS,
    {.name = "use_x",
     .kind = BASE_OPTION_CHOICE,
     .placeholder = "none|type1|type2",
     .help =
         "condition on the input too, by one layer that all modules share: type1 adds its product "
         "with the input to A's, type2 a vector times the products with the first token"},
    {.name = "x_scaling",
     .key = "lora_x_scaling",
     .kind = BASE_OPTION_FLOAT,
     .default_value = X_SCALING,
     .high = 1,
     .help = "of that layer's part"},
    {.name = "condition",
     .kind = BASE_OPTION_CHOICE,
     .placeholder = CONDITION_WORDS,
     .help = "what gives a layer's A and B: its own weight, a random matrix with that weight's "
             "singular values, or the weight of another layer"},
    {.name = "gates",
     .kind = BASE_OPTION_FLAG,
     .help = "train a factor for each layer and rank, too"},
    {0}};

static const char *const extra_keys[] = {condition_seed_key, NULL};

const adapter_method adapter_method_condlora = {.name = "condlora",
                                                .peft_type = "CONDLORA",
                                                .has = ADAPTER_HAS_ALL,
                                                .takes_ratio = takes_ratio,
                                                .options = options,
                                                .config_extra_keys = extra_keys,
                                                .config_extra = config_extra,
                                                .initial_values = 1u << ADAPTER_INIT_GAUSSIAN,
                                                .oriented = true,
                                                .shares = true,
                                                .parameters = parameters,
                                                .initialize = initialize,
                                                .attach = attach,
                                                .release = release,
                                                .materialize = materialize,
                                                .pull_back = pull_back,
                                                .prepare_base = prepare_base,
                                                .begin_step = dylora_begin_step,
                                                .after_step = dylora_after_step,
                                                .varies = dylora_varies,
                                                .restored = restored};
