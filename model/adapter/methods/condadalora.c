/* AdaLoRA conditioned on weights, as in CondLoRA. Three linear layers, shared by all blocks,
 * compute P, Λ and Q of each layer from its frozen weight W [out, in]. docs/methods/condadalora.md
 * has the derivation.
 *
 *   Q = θQ W [r, in],  P = W θPᵀ [out, r],  Λ_i = m_i ⟨(θΛ W)_i, Q_i⟩,  ΔW = s P diag(Λ) Q
 *
 * m in {0, 1}ʳ is the allocator's choice in this layer. */
#include <math.h>
#include <stdlib.h>

#include "model/adapter/methods/triplets.h"
#include "model/encoder/layout.h"
#include "model/files/family.h"

enum { THETA_P, THETA_LAMBDA, THETA_Q, THETAS };

/* The tensors of a run besides A, B and their gradients. */
typedef struct {
  cdl_tensor q, c, d_q, d_c;           /* [count, r, in]: Q, C = θΛ W */
  cdl_tensor lambda, masked, d_lambda; /* [count, r, 1]: before and after the mask; ∂L/∂(m Λ) */
  cdl_tensor d_masked;                 /* [count, r, 1]: m ∂L/∂(m Λ) */
} conditioned;

typedef struct {
  triplets triplets; /* batch i belongs to run i */
  conditioned *runs; /* [run_count] */
  cdl_buffer *buffer;
} condadalora;

/* ---- Parameters ---- */

/* Group g has three parameters: θP [r, in], θΛ [r, out], θQ [r, out]. */
static const encoder_parameter *theta(const model_adapter *a, const layer_batch *run, int which)
{
  return &a->own_parameters[THETAS * run->group + which];
}

static cdl_status parameters(model_adapter *a)
{
  condadalora *own = calloc(1, sizeof *own);
  if (own == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter");
  a->own_state = own;
  triplets *t = &own->triplets;
  t->pattern_ending = "";
  CDL_TRY(triplets_prepare(a, t));
  own->runs = calloc(a->run_count, sizeof *own->runs);
  if (own->runs == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter");
  int known = 0;
  for (size_t r = 0; r < a->run_count; r++) {
    layer_batch *run = &a->runs[r];
    run->rank = a->per_module[run->numbers[0]].rank;
    t->batches[t->batch_count++] = (triplet_batch){
        .modules = run->numbers, .count = run->count, .rank = run->rank, .stored_lambda = -1};
    if (run->group < known)
      continue;
    known = run->group + 1;
    const char *path = model_family_of(encoder_config(a->encoder)->family)->block->paths[run->kind];
    const int64_t out = run->weights.size[2], in = run->weights.size[3];
    CDL_TRY(
        adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->rank, in, "%s.condlora_P.weight", path));
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->rank, out, "%s.condlora_E.weight",
                                  path));
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->rank, out, "%s.condlora_Q.weight",
                                  path));
  }
  return CDL_STATUS_OK;
}

/* θΛ is zero, so that training starts at the base model; θP and θQ are uniform in ±1/√columns. */
static void initialize(const model_adapter *a, size_t index, cdl_random *random, float *values,
                       int64_t count)
{
  const double bound =
      index % THETAS == THETA_LAMBDA ? 0 : 1 / sqrt((double)a->own_parameters[index].value.size[3]);
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)((2 * cdl_random_double(random) - 1) * bound);
}

static void release(model_adapter *a)
{
  condadalora *own = a->own_state;
  if (own == NULL)
    return;
  triplets_release(&own->triplets);
  cdl_buffer_destroy(own->buffer);
  free(own->runs);
  free(own);
}

/* ---- Deltas ---- */

static int64_t lay_out_conditioned(condadalora *own, const model_adapter *a, cdl_buffer *buffer)
{
  int64_t used = 0;
  for (size_t r = 0; r < a->run_count; r++) {
    conditioned *c = &own->runs[r];
    const int64_t count = a->runs[r].count, rank = a->runs[r].rank;
    cdl_tensor *const rows[] = {&c->q, &c->c, &c->d_q, &c->d_c};
    cdl_tensor *const numbers[] = {&c->lambda, &c->masked, &c->d_lambda, &c->d_masked};
    for (int i = 0; i < 4; i++) {
      *rows[i] =
          cdl_tensor_3d(buffer, CDL_DTYPE_F32, used, count, rank, a->runs[r].weights.size[3]);
      used += encoder_aligned(cdl_tensor_elements(*rows[i]));
      *numbers[i] = cdl_tensor_3d(buffer, CDL_DTYPE_F32, used, count, rank, 1);
      used += encoder_aligned(cdl_tensor_elements(*numbers[i]));
    }
  }
  return used;
}

static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  condadalora *own = a->own_state;
  triplets *t = &own->triplets;
  CDL_TRY(triplets_allocate(a, q, t));
  const int64_t elements = lay_out_conditioned(own, a, NULL);
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)elements * sizeof(float), &own->buffer));
  lay_out_conditioned(own, a, own->buffer);
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    const conditioned *c = &own->runs[r];
    triplet_batch *b = &t->batches[r];
    b->value[TRIPLET_P] = run->b;
    b->value[TRIPLET_LAMBDA] = c->lambda;
    b->value[TRIPLET_Q] = c->q;
    /* The gradient of Λ without the mask: the effect of a dropped triplet if it were kept. */
    b->gradient[TRIPLET_P] = run->d_b;
    b->gradient[TRIPLET_LAMBDA] = c->d_lambda;
    b->gradient[TRIPLET_Q] = c->d_q;
    for (int i = 0; i < run->count; i++)
      run->modules[i]->delta = (encoder_delta){
          .dropout = a->dropout,
          .low_rank = adapter_low_rank_of_layer(run, i, a->per_module[run->numbers[i]].scale)};
  }
  return cdl_queue_status(q);
}

static void multiply_weights(cdl_queue *q, cdl_tensor out, const encoder_parameter *shared,
                             const layer_batch *run)
{
  cdl_gemm(q, CDL_ARGS(gemm, .out = out, .a = adapter_repeated(shared->value, run->count),
                       .b = run->weights, .alpha = 1));
}

static void mask(cdl_queue *q, cdl_tensor out, cdl_tensor x, cdl_tensor by)
{
  cdl_binary(q, CDL_ARGS(binary, .out = out, .x = x, .y = by, .function = CDL_BINARY_MULTIPLY));
}

/* Computes P, Q, C and Λ of every layer, and A_l = diag(m Λ) Q, B_l = P. */
static void materialize(model_adapter *a, cdl_queue *q)
{
  const condadalora *own = a->own_state;
  const triplets *t = &own->triplets;
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    const conditioned *c = &own->runs[r];
    multiply_weights(q, c->q, theta(a, run, THETA_Q), run);
    multiply_weights(q, c->c, theta(a, run, THETA_LAMBDA), run);
    cdl_gemm(q, CDL_ARGS(gemm, .out = run->b, .a = run->weights,
                         .b = adapter_repeated(theta(a, run, THETA_P)->value, run->count),
                         .transpose_b = true, .alpha = 1));
    triplets_row_dots(t, q, c->lambda, c->c, c->q, false);
    mask(q, c->masked, c->lambda, t->batches[r].mask);
    triplets_scale_rows(t, q, run->a, c->q, c->masked, false);
  }
}

/* With g = m ∂L/∂(m Λ):  dQ = diag(m Λ) dA + diag(g) C,  dC = diag(g) Q, plus the gradients of the
 * penalty in P and Q;  then  dθP += Σ dPᵀ W,  dθΛ += Σ dC Wᵀ,  dθQ += Σ dQ Wᵀ. */
static void pull_back(model_adapter *a, cdl_queue *q)
{
  condadalora *own = a->own_state;
  triplets *t = &own->triplets;
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    const conditioned *c = &own->runs[r];
    triplets_row_dots(t, q, c->d_lambda, run->d_a, c->q, false);
    mask(q, c->d_masked, c->d_lambda, t->batches[r].mask);
    triplets_scale_rows(t, q, c->d_q, run->d_a, c->masked, false);
    triplets_scale_rows(t, q, c->d_q, c->c, c->d_masked, true);
    triplets_scale_rows(t, q, c->d_c, c->q, c->d_masked, false);
  }
  triplets_penalty(a, t, q, (cdl_tensor){0}, true);
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    const conditioned *c = &own->runs[r];
    adapter_add_products(a, q, run, theta(a, run, THETA_P)->gradient, run->d_b, true, false);
    adapter_add_products(a, q, run, theta(a, run, THETA_LAMBDA)->gradient, c->d_c, false, true);
    adapter_add_products(a, q, run, theta(a, run, THETA_Q)->gradient, c->d_q, false, true);
  }
}

/* pull_back has already added the penalty's gradients. */
static void extra_loss(model_adapter *a, cdl_queue *q, cdl_tensor loss)
{
  condadalora *own = a->own_state;
  triplets_penalty(a, &own->triplets, q, loss, false);
}

/* The next materialize uses the masks. */
static cdl_status after_step(model_adapter *a, cdl_queue *q, int64_t step, cdl_tensor factor)
{
  condadalora *own = a->own_state;
  bool masked;
  return triplets_after_step(a, &own->triplets, q, step, factor, &masked);
}

const adapter_method adapter_method_condadalora = {.name = "condadalora",
                                                   .peft_type = "CONDADALORA",
                                                   .has = ADAPTER_HAS_ALPHA | ADAPTER_HAS_DROPOUT,
                                                   .lack_reason = triplet_lack_reason,
                                                   .keys = &triplet_keys,
                                                   .options = triplet_options,
                                                   .config_extra_keys = triplet_extra_keys,
                                                   .shares = true,
                                                   .parameters = parameters,
                                                   .initialize = initialize,
                                                   .attach = attach,
                                                   .release = release,
                                                   .materialize = materialize,
                                                   .pull_back = pull_back,
                                                   .begin_run = triplets_begin_run,
                                                   .extra_loss = extra_loss,
                                                   .after_step = after_step,
                                                   .state = triplets_state,
                                                   .config_extra = triplets_extra};
