/* CondLoRA (Kim et al. 2024): one pair of linear layers, shared by all blocks, gives each layer's
 * A_l and B_l from its frozen weight W_l. */
#include "model/adapter_state.h"
#include "model/family.h"

/* Parameter 2 g is θA of group g, 2 g + 1 its θB. A group is named by its path inside the block. */
static const cdl_parameter *theta_a(const cdl_adapter *a, const site_run *run)
{
  return &a->own[2 * run->group];
}

static const cdl_parameter *theta_b(const cdl_adapter *a, const site_run *run)
{
  return &a->own[2 * run->group + 1];
}

static const char *path_inside_block(const cdl_adapter *a, cdl_site_kind kind)
{
  return cdl_family_of(cdl_encoder_config(a->encoder)->family)->block->paths[kind];
}

static cdl_status parameters(cdl_adapter *a)
{
  int known = 0;
  for (size_t i = 0; i < a->run_count; i++) {
    const site_run *run = &a->runs[i];
    if (run->group < known)
      continue;
    known = run->group + 1;
    const int64_t out = run->weights.size[2], in = run->weights.size[3];
    const char *path = path_inside_block(a, run->kind);
    if (a->orientation == CDL_ORIENTATION_REFERENCE && out != in)
      return cdl_fail(
          CDL_USAGE,
          "orientation reference wants square weights, but %s is [%lld, %lld]; use paper", path,
          (long long)out, (long long)in);
    CDL_TRY(
        adapter_add_parameter(a, CDL_ROLE_WEIGHT, run->rank, out, "%s.condlora_A.weight", path));
    CDL_TRY(adapter_add_parameter(a, CDL_ROLE_WEIGHT, run->rank, in, "%s.condlora_B.weight", path));
  }
  return CDL_OK;
}

/* Matrix `index` of a run's batch. */
static cdl_tensor of_layer(cdl_tensor batch, int index)
{
  batch.offset += index * batch.stride[1];
  batch.size[1] = 1;
  return batch;
}

static cdl_status attach(cdl_adapter *a, cdl_queue *q)
{
  (void)q;
  for (size_t r = 0; r < a->run_count; r++) {
    const site_run *run = &a->runs[r];
    for (int i = 0; i < run->count; i++)
      run->sites[i]->delta = (cdl_delta){.a = of_layer(run->a, i),
                                         .b = of_layer(run->b, i),
                                         .d_a = of_layer(run->d_a, i),
                                         .d_b = of_layer(run->d_b, i),
                                         .scale = a->per_site[run->numbers[i]].scale,
                                         .dropout = a->dropout,
                                         .dropout_hits_base = a->dropout_hits_base};
  }
  return CDL_OK;
}

/* One shared matrix as a batch of `count` equal ones. */
static cdl_tensor repeated(cdl_tensor matrix, int count)
{
  matrix.size[1] = count;
  matrix.stride[1] = 0;
  return matrix;
}

/* Eq. 5 and 6: A_l = θA W_l (paper) or θA W_lᵀ (reference), B_l = W_l θBᵀ; all layers of a run in
 * one batched GEMM each. */
static void materialize(cdl_adapter *a, cdl_queue *q)
{
  const bool transposed = a->orientation == CDL_ORIENTATION_REFERENCE;
  for (size_t r = 0; r < a->run_count; r++) {
    const site_run *run = &a->runs[r];
    cdl_gemm(q, CDL_ARGS(gemm, .out = run->a, .a = repeated(theta_a(a, run)->value, run->count),
                         .b = run->weights, .transpose_b = transposed, .alpha = 1));
    cdl_gemm(q, CDL_ARGS(gemm, .out = run->b, .a = run->weights,
                         .b = repeated(theta_b(a, run)->value, run->count), .transpose_b = true,
                         .alpha = 1));
  }
}

/* gradient += Σ_l op(x_l) op(W_l), by way of one product a layer. */
static void add_products(const cdl_adapter *a, cdl_queue *q, const site_run *run,
                         cdl_tensor gradient, cdl_tensor x, bool transpose_x,
                         bool transpose_weights)
{
  const cdl_tensor products = cdl_tensor_3d(a->scratch.buffer, CDL_F32, a->scratch.offset,
                                            run->count, run->rank, gradient.size[3]);
  cdl_gemm(q, CDL_ARGS(gemm, .out = products, .a = x, .b = run->weights, .transpose_a = transpose_x,
                       .transpose_b = transpose_weights, .alpha = 1));
  cdl_reduce(q, CDL_ARGS(reduce, .out = gradient, .x = products, .function = CDL_REDUCE_SUM,
                         .axis = 1, .accumulate = true));
}

/* dθA += Σ_l dA_l W_lᵀ (paper) or dA_l W_l (reference),  dθB += Σ_l dB_lᵀ W_l */
static void pull_back(cdl_adapter *a, cdl_queue *q)
{
  const bool paper = a->orientation == CDL_ORIENTATION_PAPER;
  for (size_t r = 0; r < a->run_count; r++) {
    const site_run *run = &a->runs[r];
    add_products(a, q, run, theta_a(a, run)->gradient, run->d_a, false, paper);
    add_products(a, q, run, theta_b(a, run)->gradient, run->d_b, true, false);
  }
}

const cdl_adapter_method cdl_method_condlora = {.name = "condlora",
                                                .peft_type = "CONDLORA",
                                                .initial_values = 1u << CDL_INIT_GAUSSIAN,
                                                .oriented = true,
                                                .parameters = parameters,
                                                .initialize = adapter_initialize_pair,
                                                .attach = attach,
                                                .materialize = materialize,
                                                .pull_back = pull_back};
