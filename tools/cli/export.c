/* condlora export */
#include <stdio.h>
#include <string.h>

#include "base/visible.h"
#include "model/adapter/io.h"
#include "model/export/adapter_card.h"
#include "model/export/adapter_export.h"
#include "model/export/onnx.h"
#include "tools/cli/command.h"
#include "tools/cli/examples.h"
#include "tools/cli/new_folder.h"
#include "tools/cli/probe.h"

/* ---- What was asked for ---- */

typedef struct {
  cdl_inference_settings settings;
  const char *output, *format;
} request;

static bool is_onnx(const request *r)
{
  return strcmp(r->format, "onnx") == 0;
}

static cdl_status check(const request *r)
{
  if (strcmp(r->format, "peft") != 0 && !is_onnx(r))
    return cdl_fail(CDL_USAGE, "--format %s: peft and onnx are what export writes", r->format);
  if (r->settings.model == NULL)
    return cdl_fail(CDL_USAGE, "export wants --model: the encoder that the adapter is for");
  if (r->settings.adapter == NULL && !is_onnx(r))
    return cdl_fail(CDL_USAGE, "export wants --adapter: what to export");
  return r->output != NULL ? CDL_OK : cdl_fail(CDL_USAGE, "export wants --output: the new folder");
}

/* ---- The formats ---- */

/* Whether the tokenizer tells a pair's texts apart. RoBERTa's does not, and gives no token_type_ids
 * in Transformers, however many types its model has. */
static cdl_status tells_types(const cdl_job *job, bool *tells)
{
  cdl_encoding encoding = {0};
  CDL_TRY(cdl_tokenizer_encode(job->tokenizer, "a", 1, "a", 1, 0, &encoding));
  *tells = false;
  for (size_t i = 0; i < encoding.count; i++)
    *tells = *tells || encoding.type_ids[i] != 0;
  cdl_encoding_release(&encoding);
  return CDL_OK;
}

static const char *tokenizer_of(const cdl_job *job, const char *base)
{
  return job->tokenizer_folder != NULL ? job->tokenizer_folder : base;
}

/* With what PEFT's users want beside it: the tokenizer, which PEFT counts the words of, and a card. */
static cdl_status write_peft(const cdl_job *job, const char *base, const char *folder)
{
  CDL_TRY(cdl_adapter_export(job->adapter, job->queue, folder, &job->adapter_config));
  CDL_TRY(cdl_tokenizer_files_copy(tokenizer_of(job, base), folder));
  return cdl_adapter_card_write(folder, &job->adapter_config, job->labels);
}

static cdl_status write_onnx(const cdl_job *job, const char *base, const char *folder)
{
  bool types;
  CDL_TRY(tells_types(job, &types));
  const cdl_problem problem = job->regression ? CDL_PROBLEM_REGRESSION : CDL_PROBLEM_CLASSIFICATION;
  const cdl_model_origin origin = {.base = base,
                                   .tokenizer = tokenizer_of(job, base),
                                   .labels = (const char *const *)job->label_names,
                                   .problem = problem};
  CDL_TRY(cdl_model_write_settings(job->encoder, &origin, folder));
  return cdl_encoder_write_onnx(job->encoder, job->queue, folder, job->types_zero || !types);
}

/* `*change`: the largest of a logit that merging makes. */
static cdl_status merge(const cdl_job *job, double *change)
{
  cli_probe probe;
  if (!cdl_encoder_merges_whole(job->encoder))
    return cdl_fail(CDL_UNSUPPORTED,
                    "use_x type2 multiplies tokens with each other: no weights hold it");
  CDL_TRY(cli_probe_begin(&probe, job));
  cdl_status status = cdl_encoder_merge(job->encoder, job->queue);
  if (status == CDL_OK)
    status = cli_probe_change(&probe, job, change);
  cli_probe_end(&probe);
  return status;
}

static cdl_status export(const request *r, const cdl_job *job, double *change)
{
  cli_new_folder folder;
  if (is_onnx(r) && job->adapter != NULL)
    CDL_TRY(merge(job, change));
  CDL_TRY(cli_new_folder_begin(&folder, r->output));
  const cdl_status status = is_onnx(r) ? write_onnx(job, r->settings.model, folder.temporary)
                                       : write_peft(job, r->settings.model, folder.temporary);
  return cli_new_folder_finish(&folder, status);
}

/* ---- The command ---- */

static cdl_status run(const void *command, cli_notices *notices)
{
  const request *r = command;
  CDL_TRY(check(r));
  cdl_job job;
  double change = 0;
  CDL_TRY(cdl_job_open_inference(&job, &r->settings));
  cli_notices_release(notices);
  const bool merged = is_onnx(r) && job.adapter != NULL;
  const cdl_status status = export(r, &job, &change);
  cdl_job_close(&job);
  if (status == CDL_OK && merged)
    printf(
        "%s: the largest change of a logit by merging is %.3g, on %d sequences of random tokens\n",
        cdl_visible(r->output).text, change, CLI_PROBE_SEQUENCES);
  return status;
}

cdl_status cli_export(int count, char **arguments)
{
  request r = {.settings = {.backend = "auto", .precision = "fp32"}, .format = "peft"};
  const cli_option options[] = {CLI_MODEL_OPTIONS(r.settings),
                                {CLI_GROUP, .help = "What it writes"},
                                {CLI_TEXT, "output", &r.output, "DIR", "the new folder"},
                                {CLI_TEXT, "format", &r.format, "peft|onnx",
                                 "LoRA as PEFT has it, or the merged model as ONNX [peft]"}};
  const cli_grammar grammar = {
      .usage = "condlora export --model DIR --adapter DIR --output DIR\n"
               "       condlora export --model DIR [--adapter DIR] --output DIR --format onnx",
      .summary = "Writes an adapter for other programs: as plain LoRA, which PEFT reads, with the "
                 "A and B of each layer written out; or merged into its model, as ONNX.",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  return cli_run(&grammar, count, arguments, run, &r);
}
