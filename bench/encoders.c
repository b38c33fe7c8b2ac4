#include "bench/encoders.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "model/hub/resolve.h"

static model_config roberta(bool large)
{
  return (model_config){.family = MODEL_FAMILY_ROBERTA,
                        .vocabulary_size = 50265,
                        .hidden_size = large ? 1024 : 768,
                        .layers = large ? 24 : 12,
                        .heads = large ? 16 : 12,
                        .intermediate_size = large ? 4096 : 3072,
                        .position_count = 514,
                        .type_count = 1,
                        .pad_id = 1,
                        .layer_norm_epsilon = 1e-5,
                        .activation = CDL_ACTIVATION_GELU,
                        .initializer_range = 0.02};
}

static cdl_status choose_model(const bench *b, bench_encoder *t)
{
  const bench_options *o = &b->options;
  enum { QUICK_LAYERS = 3 };
  t->model.no_record = o->no_record;
  if (o->model != NULL) {
    CDL_TRY(hub_resolve(o->model, CDL_HUB_MODEL, &t->source));
    CDL_TRY(model_config_read(cdl_hub_source_folder(t->source), &t->model.config));
    t->model.folder = cdl_hub_source_folder(t->source);
  } else {
    t->model.config = roberta(strcmp(b->shapes->encoder, "large") == 0);
    if (o->quick)
      t->model.config.layers = QUICK_LAYERS;
  }
  return CDL_STATUS_OK;
}

static cdl_status make_batches(const bench *b, bench_encoder *t, const char *lengths)
{
  const bench_options *o = &b->options;
  const size_t count = o->quick ? 2 : 6, examples = (size_t)o->batch_size;
  const bench_shapes *s = b->shapes;
  if (o->task != NULL)
    return bench_batches_read(&t->model.config, t->model.folder, o->task, o->data, count, examples,
                              &t->batches);
  if (s->batch_count > 0 && o->lengths == NULL)
    return bench_batches_like(&t->model.config, s->batches,
                              s->batch_count < count ? s->batch_count : count, &t->batches);
  return bench_batches_make(&t->model.config, lengths, count, examples, &t->batches);
}

static cdl_status choose_batches(const bench *b, bench_encoder *t)
{
  const bench_options *o = &b->options;
  const bool traced = b->shapes->batch_count > 0 && o->lengths == NULL && o->task == NULL;
  const char *lengths = o->lengths != NULL ? o->lengths : o->model != NULL ? "mrpc" : "rte";
  CDL_TRY(make_batches(b, t, lengths));
  const model_config *c = &t->model.config;
  const char *kind = o->task != NULL                      ? ""
                     : traced                             ? "'s lengths"
                     : isdigit((unsigned char)lengths[0]) ? " tokens"
                                                          : "'s lengths";
  char like[64];
  snprintf(like, sizeof like, ", random, as RoBERTa-%s's", b->shapes->encoder);
  snprintf(t->title, sizeof t->title,
           "%lld layers of %lld%s; %zu batches of %zu examples, %s%s: %.0f tokens each, "
           "longest example %zu",
           (long long)c->layers, (long long)c->hidden_size, o->model != NULL ? "" : like,
           t->batches.count, t->batches.bound.examples,
           o->task != NULL ? o->task
           : traced        ? "the trace"
                           : lengths,
           kind, t->batches.tokens / (double)t->batches.count, t->batches.bound.longest);
  return CDL_STATUS_OK;
}

cdl_status bench_encoder_choose(const bench *b, bench_encoder *encoder)
{
  *encoder = (bench_encoder){0};
  CDL_TRY(choose_model(b, encoder));
  return choose_batches(b, encoder);
}

void bench_encoder_release(bench_encoder *encoder)
{
  bench_batches_release(&encoder->batches);
  if (encoder->model.folder != NULL)
    model_config_release(&encoder->model.config);
  cdl_hub_source_close(encoder->source);
}
