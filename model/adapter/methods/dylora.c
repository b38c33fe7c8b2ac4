/* DyLoRA (Valipour et al. 2023). Each step draws a rank b and trains only the first b rows of A
 * and the first b columns of B, with the scale of that rank. Later any rank in the range can be
 * used. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/adapter/methods/low_rank.h"

static int64_t rank_min(const model_adapter *a)
{
  return (int64_t)adapter_option_value(a, OPTION_DYLORA_RANK_MIN);
}

cdl_status low_rank_check_options(const model_adapter *a)
{
  const bool frozen = adapter_option_value(a, OPTION_DYLORA_FROZEN) != 0;
  if (frozen && rank_min(a) == 0)
    return cdl_fail(CDL_STATUS_USAGE, "dylora_frozen goes with a dylora_rank_min");
  if (rank_min(a) > 0 && (a->init == ADAPTER_INIT_PISSA || a->init == ADAPTER_INIT_OLORA))
    return cdl_fail(CDL_STATUS_USAGE,
                    "initial values from the weights give no adapter of every rank: "
                    "dylora_rank_min does not go with pissa and olora");
  if (rank_min(a) > a->rank)
    return cdl_fail(CDL_STATUS_USAGE, "dylora_rank_min is at most the rank, %lld, not %lld",
                    (long long)a->rank, (long long)rank_min(a));
  return CDL_STATUS_OK;
}

cdl_status dylora_attach(model_adapter *a)
{
  if (rank_min(a) == 0)
    return CDL_STATUS_OK;
  a->whole_deltas = calloc(a->module_count, sizeof *a->whole_deltas);
  if (a->whole_deltas == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu layers", a->module_count);
  for (size_t i = 0; i < a->module_count; i++)
    a->whole_deltas[i] = a->modules[i]->delta.low_rank;
  a->rank_in_use = a->rank;
  return CDL_STATUS_OK;
}

static int64_t smaller(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* A module with a smaller rank than b keeps its rank. */
static void use_rank(model_adapter *a, int64_t rank)
{
  a->rank_in_use = rank;
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_low_rank_term *whole = &a->whole_deltas[i];
    encoder_low_rank_term *d = &a->modules[i]->delta.low_rank;
    const int64_t full = a->per_module[i].rank, b = smaller(rank, full);
    const double ratio = (double)full / (double)b;
    d->a = cdl_tensor_rows(whole->a, 0, b);
    d->d_a = cdl_tensor_rows(whole->d_a, 0, b);
    d->b = cdl_tensor_columns(whole->b, 0, b);
    d->d_b = cdl_tensor_columns(whole->d_b, 0, b);
    d->scale = (float)((double)whole->scale * (a->rslora ? sqrt(ratio) : ratio));
  }
}

cdl_status dylora_begin_step(model_adapter *a, cdl_queue *q, const cdl_step_record *record)
{
  (void)q;
  if (a->whole_deltas == NULL)
    return CDL_STATUS_OK;
  const uint64_t seed = (uint64_t)record->seed[1] << 32 | record->seed[0];
  cdl_random random = cdl_random_start(seed, CDL_RANDOM_DYLORA_RANK, 0, record->step);
  const int64_t least = rank_min(a);
  use_rank(a, least + (int64_t)cdl_random_below(&random, (uint64_t)(a->rank - least + 1)));
  return CDL_STATUS_OK;
}

void dylora_pull_back(model_adapter *a, cdl_queue *q)
{
  if (a->whole_deltas == NULL || adapter_option_value(a, OPTION_DYLORA_FROZEN) == 0)
    return;
  for (size_t i = 0; i < a->module_count; i++) {
    const int64_t before = smaller(a->rank_in_use, a->per_module[i].rank) - 1;
    cdl_fill(q, CDL_ARGS(fill, .out = cdl_tensor_rows(a->whole_deltas[i].d_a, 0, before)));
    cdl_fill(q, CDL_ARGS(fill, .out = cdl_tensor_columns(a->whole_deltas[i].d_b, 0, before)));
  }
}

cdl_status dylora_after_step(model_adapter *a, cdl_queue *q, int64_t step, cdl_tensor factor)
{
  (void)q;
  (void)step;
  (void)factor;
  if (a->whole_deltas != NULL)
    use_rank(a, a->rank);
  return CDL_STATUS_OK;
}

bool dylora_varies(const model_adapter *a)
{
  return a->whole_deltas != NULL;
}

void dylora_release(model_adapter *a)
{
  free(a->whole_deltas);
  a->whole_deltas = NULL;
}

cdl_status adapter_use_rank(model_adapter *a, cdl_queue *q, int64_t rank)
{
  if (a->whole_deltas == NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "rank %lld: only an adapter that DyLoRA trained serves with another "
                    "rank than its own",
                    (long long)rank);
  if (rank < rank_min(a) || rank > a->rank)
    return cdl_fail(CDL_STATUS_USAGE, "rank %lld: the adapter was trained for ranks %lld to %lld",
                    (long long)rank, (long long)rank_min(a), (long long)a->rank);
  use_rank(a, rank);
  adapter_materialize(a, q);
  return cdl_queue_status(q);
}
