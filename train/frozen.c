#include "train/frozen.h"

#include "condlora/log.h"

cdl_status train_frozen_open(train_session *session, const train_settings *s)
{
  const double gigabyte = 1e9;
  const frozen_cache_settings settings = {.on_disk = s->cache_frozen == TRAIN_CACHE_DISK,
                                          .narrow = s->cache_type == TRAIN_CACHE_BF16,
                                          .limit = (uint64_t)(s->cache_limit * gigabyte),
                                          .folder = s->cache_dir,
                                          .precision = (cdl_precision)s->precision};
  return s->cache_frozen != TRAIN_CACHE_OFF ? frozen_cache_create(&settings, &session->model.frozen)
                                            : CDL_STATUS_OK;
}

int train_first_dropping_block(const train_session *session, const train_settings *s)
{
  return s->freeze_dropout ? encoder_frozen_blocks(session->model.encoder) : 0;
}

/* Returns how many of the untrained blocks give the same states in every step. */
static int unchanging_blocks(int untrained, const encoder_dropout_rates *rates)
{
  const bool drops = rates->hidden > 0 || rates->attention > 0;
  return drops && rates->from_block < untrained ? rates->from_block : untrained;
}

static void count_examples(const cdl_dataset *dataset, uint64_t *tokens, uint64_t *examples)
{
  if (dataset == NULL)
    return;
  const cdl_tokens all = cdl_dataset_tokens(dataset);
  *tokens += all.offsets[all.count];
  *examples += all.count;
}

/* Returns the share of a training step's products that lie below `block`, by an example of middle
 * length. */
static double share_below(model_encoder *e, int block, uint64_t tokens, uint64_t examples)
{
  const int32_t middle = examples > 0 ? (int32_t)((tokens + examples / 2) / examples) : 1;
  const int32_t offsets[2] = {0, middle > 0 ? middle : 1};
  const encoder_token_batch one = {
      .offsets = offsets, .sequences = 1, .tokens = offsets[1], .longest = offsets[1]};
  const int before = encoder_first_block(e);
  encoder_begin_at(e, 0);
  const double all = encoder_gemm_operations(e, &one, true);
  encoder_begin_at(e, block);
  const double rest = encoder_gemm_operations(e, &one, true);
  encoder_begin_at(e, before);
  return 1 - rest / all;
}

/* Returns whether a run without an explicit choice uses the cache. */
static bool is_worth_it(const train_session *session, const train_frozen_plan *plan,
                        bool several_epochs)
{
  return (several_epochs || session->serves_runs) && plan->bytes <= plan->limit &&
         frozen_states_are_exact(session->model.backend);
}

void train_frozen_choose(const train_session *session, const train_settings *s,
                         const encoder_dropout_rates *rates, bool several_epochs,
                         train_frozen_plan *plan)
{
  const inference_model *model = &session->model;
  uint64_t tokens = 0, examples = 0;
  *plan = (train_frozen_plan){.layers = (int)encoder_config(model->encoder)->layers,
                              .untrained = encoder_frozen_blocks(model->encoder)};
  plan->frozen = unchanging_blocks(plan->untrained, rates);
  const bool asked = s->cache_frozen == TRAIN_CACHE_MEMORY || s->cache_frozen == TRAIN_CACHE_DISK;
  if (plan->frozen == 0 && asked)
    cdl_log(CDL_LOG_NOTICE,
            "--cache-frozen has nothing to keep: the lowest layers are trained or have dropout");
  if (model->frozen == NULL || plan->frozen == 0)
    return;
  count_examples(session->train, &tokens, &examples);
  count_examples(session->dev, &tokens, &examples);
  plan->bytes = frozen_cache_bytes(model->frozen, model->encoder, plan->frozen, tokens, examples);
  plan->limit = frozen_cache_limit(model->frozen);
  plan->saved = share_below(model->encoder, plan->frozen, tokens, examples);
  if (s->cache_frozen != TRAIN_CACHE_AUTO || is_worth_it(session, plan, several_epochs))
    plan->block = plan->frozen;
}
