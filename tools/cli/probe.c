#include "tools/cli/probe.h"

#include <math.h>
#include <stdlib.h>

static void draw(cli_probe *p, const train_session *session)
{
  const model_config *config = encoder_config(session->encoder);
  const int64_t most = model_config_max_tokens(config);
  *p = (cli_probe){.length = most < CLI_PROBE_TOKENS ? (int32_t)most : CLI_PROBE_TOKENS};
  uint32_t state = 1;
  for (int32_t s = 0; s < CLI_PROBE_SEQUENCES; s++) {
    p->examples[s] = s;
    p->offsets[s + 1] = (s + 1) * p->length;
    for (int32_t t = 0; t < p->length; t++) {
      state = state * 1664525u + 1013904223u; /* Knuth's linear congruence */
      const int32_t at = s * p->length + t;
      p->ids[at] = (int32_t)((uint64_t)state * (uint64_t)config->vocabulary_size >> 32);
    }
    model_count_positions(session->first_position, p->ids + s * p->length, (size_t)p->length,
                          p->positions + s * p->length);
  }
}

static size_t logit_count(const train_session *session)
{
  return CLI_PROBE_SEQUENCES * (size_t)session->labels;
}

/* [sequences, labels] into `logits`. */
static cdl_status compute(const cli_probe *p, const train_session *session, float *logits)
{
  static const encoder_dropout_rates no_dropout = {0};
  const encoder_token_batch batch = {.ids = p->ids,
                                     .positions = p->positions,
                                     .types = p->types,
                                     .offsets = p->offsets,
                                     .examples = p->examples,
                                     .sequences = CLI_PROBE_SEQUENCES,
                                     .tokens = CLI_PROBE_SEQUENCES * p->length,
                                     .longest = p->length};
  const encoder_batch_limits none = {0}, limits = {.tokens = batch.tokens,
                                                   .sequences = batch.sequences,
                                                   .longest = batch.longest};
  CDL_TRY(encoder_plan(session->encoder, session->queue, none, limits));
  CDL_TRY(encoder_load_batch(session->encoder, session->queue, &batch, ENCODER_EVALUATION));
  const cdl_tensor y =
      encoder_forward(session->encoder, session->queue, &no_dropout, (cdl_tensor){0});
  cdl_queue_download(session->queue, logits, y, logit_count(session) * sizeof *logits);
  return cdl_queue_sync(session->queue);
}

static cdl_status allocate(const train_session *session, float **logits)
{
  *logits = calloc(logit_count(session) + 1, sizeof **logits);
  return *logits != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu logits", logit_count(session));
}

cdl_status cli_probe_begin(cli_probe *probe, const train_session *session)
{
  draw(probe, session);
  CDL_TRY(allocate(session, &probe->logits));
  const cdl_status status = compute(probe, session, probe->logits);
  if (status != CDL_STATUS_OK)
    cli_probe_end(probe);
  return status;
}

void cli_probe_end(cli_probe *probe)
{
  free(probe->logits);
  probe->logits = NULL;
}

cdl_status cli_probe_change(const cli_probe *p, const train_session *session, double *change)
{
  float *after;
  CDL_TRY(allocate(session, &after));
  cdl_status status = compute(p, session, after);
  *change = 0;
  for (size_t i = 0; status == CDL_STATUS_OK && i < logit_count(session); i++) {
    if (!isfinite(after[i]))
      status =
          cdl_fail(CDL_STATUS_NUMERIC, "the merged weights give a logit of %g in the base's type",
                   (double)after[i]);
    *change = fmax(*change, fabs((double)after[i] - (double)p->logits[i]));
  }
  free(after);
  return status;
}
