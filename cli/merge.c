/* condlora merge */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/examples.h"
#include "cli/new_folder.h"
#include "cli/notices.h"
#include "model/adapter_io.h"
#include "model/model_merge.h"

enum { PROBE_SEQUENCES = 8, PROBE_TOKENS = 32 };

static cdl_status check(const cdl_inference_settings *s, const char *output)
{
  if (s->model == NULL)
    return cdl_fail(CDL_USAGE, "merge wants --model: the encoder that the adapter is for");
  if (s->adapter == NULL)
    return cdl_fail(CDL_USAGE, "merge wants --adapter: what to merge into it");
  return output != NULL ? CDL_OK : cdl_fail(CDL_USAGE, "merge wants --output: the new folder");
}

/* ---- What merging changes ---- */

/* Sequences of token ids drawn from the whole vocabulary, the same each time. */
typedef struct {
  int32_t ids[PROBE_SEQUENCES * PROBE_TOKENS], positions[PROBE_SEQUENCES * PROBE_TOKENS],
      types[PROBE_SEQUENCES * PROBE_TOKENS];
  int32_t offsets[PROBE_SEQUENCES + 1], examples[PROBE_SEQUENCES];
  int32_t length;
} probe;

static void draw_probe(const cdl_job *job, probe *p)
{
  const cdl_model_config *config = cdl_encoder_config(job->encoder);
  const int64_t most = cdl_model_config_max_tokens(config);
  *p = (probe){.length = most < PROBE_TOKENS ? (int32_t)most : PROBE_TOKENS};
  uint32_t state = 1;
  for (int32_t s = 0; s < PROBE_SEQUENCES; s++) {
    p->examples[s] = s;
    p->offsets[s + 1] = (s + 1) * p->length;
    for (int32_t t = 0; t < p->length; t++) {
      state = state * 1664525u + 1013904223u; /* Knuth's linear congruence */
      const int32_t at = s * p->length + t;
      p->ids[at] = (int32_t)((uint64_t)state * (uint64_t)config->vocabulary_size >> 32);
      p->positions[at] = job->first_position + t;
    }
  }
}

/* [PROBE_SEQUENCES, labels] into `logits`. */
static cdl_status probe_logits(const cdl_job *job, const probe *p, float *logits)
{
  static const cdl_dropout_rates no_dropout = {0};
  const cdl_token_batch batch = {.ids = p->ids,
                                 .positions = p->positions,
                                 .types = p->types,
                                 .offsets = p->offsets,
                                 .examples = p->examples,
                                 .sequences = PROBE_SEQUENCES,
                                 .tokens = PROBE_SEQUENCES * p->length,
                                 .longest = p->length};
  const cdl_batch_limits none = {0}, limits = {.tokens = batch.tokens,
                                               .sequences = batch.sequences,
                                               .longest = batch.longest};
  CDL_TRY(cdl_encoder_plan(job->encoder, job->queue, none, limits));
  CDL_TRY(cdl_encoder_load_batch(job->encoder, job->queue, &batch));
  const cdl_tensor y =
      cdl_encoder_forward(job->encoder, job->queue, &no_dropout, (cdl_tensor){0}, false);
  cdl_download(job->queue, logits, y,
               (size_t)PROBE_SEQUENCES * (size_t)job->labels * sizeof *logits);
  return cdl_sync(job->queue);
}

/* The merged folder as anyone will read it, beside the base with its adapter. */
static cdl_status compare(const cdl_inference_settings *settings, const char *folder,
                          const probe *p, const float *before, size_t count, double *change)
{
  cdl_inference_settings merged = *settings;
  merged.model = folder;
  merged.adapter = NULL;
  merged.rank = 0;
  cdl_job job;
  CDL_TRY(cdl_job_open_inference(&job, &merged));
  float *after = calloc(count + 1, sizeof *after);
  cdl_status status = after != NULL ? probe_logits(&job, p, after)
                                    : cdl_fail(CDL_MEMORY, "out of memory: %zu logits", count);
  *change = 0;
  for (size_t i = 0; status == CDL_OK && i < count; i++) {
    if (!isfinite(after[i]))
      status = cdl_fail(CDL_NUMERIC, "the merged weights give a logit of %g in the base's type",
                        (double)after[i]);
    *change = fmax(*change, fabs((double)after[i] - (double)before[i]));
  }
  free(after);
  cdl_job_close(&job);
  return status;
}

/* ---- The command ---- */

static cdl_status write_merged(cdl_job *job, const char *base, const char *folder)
{
  const cdl_problem problem = job->regression ? CDL_PROBLEM_REGRESSION : CDL_PROBLEM_CLASSIFICATION;
  CDL_TRY(cdl_encoder_merge(job->encoder, job->queue));
  CDL_TRY(cdl_model_write(job->encoder, job->queue, base, folder,
                          (const char *const *)job->label_names, problem));
  return cdl_model_narrow(folder, base);
}

static cdl_status merge(cdl_job *job, const cdl_inference_settings *settings, const char *output,
                        double *change)
{
  const size_t count = PROBE_SEQUENCES * (size_t)job->labels;
  probe *p = malloc(sizeof *p);
  float *before = calloc(count + 1, sizeof *before);
  char *temporary = NULL;
  cdl_status status = p == NULL || before == NULL
                          ? cdl_fail(CDL_MEMORY, "out of memory: %zu logits", count)
                          : cli_new_folder_begin(output, &temporary);
  if (status == CDL_OK) {
    draw_probe(job, p);
    status = probe_logits(job, p, before);
    if (status == CDL_OK)
      status = write_merged(job, settings->model, temporary);
    if (status == CDL_OK)
      status = compare(settings, temporary, p, before, count, change);
    status = cli_new_folder_finish(output, temporary, status);
  }
  free(before);
  free(p);
  return status;
}

static cdl_status run(const cdl_inference_settings *settings, const char *output,
                      cli_notices *notices)
{
  CDL_TRY(check(settings, output));
  cdl_job job;
  double change = 0;
  CDL_TRY(cdl_job_open_inference(&job, settings));
  cli_notices_release(notices);
  cdl_status status =
      cdl_encoder_merges_whole(job.encoder)
          ? merge(&job, settings, output, &change)
          : cdl_fail(CDL_UNSUPPORTED, "use_x type2 multiplies tokens with each other: no weights "
                                      "hold it");
  cdl_job_close(&job);
  if (status == CDL_OK)
    printf("%s: the largest change of a logit is %.3g, on %d sequences of random tokens\n", output,
           change, PROBE_SEQUENCES);
  return status;
}

cdl_status cli_merge(int count, char **arguments)
{
  cdl_inference_settings settings = {.backend = "auto", .precision = "fp32"};
  const char *output = NULL;
  int64_t threads = 0;
  const cli_option options[] = {CLI_MODEL_OPTIONS(settings, threads, settings.max_length),
                                {CLI_GROUP, .help = "What it writes"},
                                {CLI_TEXT, "output", &output, "DIR", "the new folder"}};
  const cli_grammar grammar = {
      .usage = "condlora merge --model DIR --adapter DIR --output DIR",
      .summary = "Adds an adapter to the weights it is for, and writes a whole model, which "
                 "Transformers reads. The base stays as it is.",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  bool helped;
  CDL_TRY(cli_options_read(&grammar, count, arguments, &helped));
  if (helped)
    return CDL_OK;
  CDL_TRY(cli_take_threads(threads, &settings.threads));
  cli_notices notices;
  cli_notices_begin(&notices);
  const cdl_status status = run(&settings, output, &notices);
  cli_notices_end(&notices);
  return status;
}
