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
#include "tools/cli/probe.h"
#include "tools/study/new_folder.h"

/* ---- What was asked for ---- */

typedef enum { FORMAT_PEFT, FORMAT_ONNX } request_format;

typedef struct {
  train_inference_settings settings;
  const char *output;
  int format; /* request_format */
} request;

static bool is_onnx(const request *r)
{
  return r->format == FORMAT_ONNX;
}

static cdl_status check(const request *r)
{
  if (r->settings.model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "export wants --model: the encoder that the adapter is for");
  if (r->settings.adapter == NULL && !is_onnx(r))
    return cdl_fail(CDL_STATUS_USAGE, "export wants --adapter: what to export");
  return r->output != NULL ? CDL_STATUS_OK
                           : cdl_fail(CDL_STATUS_USAGE, "export wants --output: the new folder");
}

/* ---- The formats ---- */

/* Whether the tokenizer tells a pair's texts apart. RoBERTa's does not, and gives no token_type_ids
 * in Transformers, however many types its model has. */
static cdl_status tells_types(const train_session *session, bool *tells)
{
  cdl_encoding encoding = {0};
  CDL_TRY(cdl_tokenizer_encode(session->tokenizer, "a", 1, "a", 1, 0, &encoding));
  *tells = false;
  for (size_t i = 0; i < encoding.count; i++)
    *tells = *tells || encoding.type_ids[i] != 0;
  cdl_encoding_release(&encoding);
  return CDL_STATUS_OK;
}

static const char *tokenizer_of(const train_session *session, const char *base)
{
  return session->tokenizer_folder != NULL ? session->tokenizer_folder : base;
}

/* With what PEFT's users want beside it: the tokenizer, which PEFT counts the words of, and a card. */
static cdl_status write_peft(const train_session *session, const char *base, const char *folder)
{
  CDL_TRY(export_adapter(session->adapter, session->queue, folder, &session->adapter_config));
  CDL_TRY(adapter_tokenizer_files_copy(tokenizer_of(session, base), folder));
  return export_card_write(folder, &session->adapter_config, session->labels);
}

static cdl_status write_onnx(const train_session *session, const char *base, const char *folder)
{
  bool types;
  CDL_TRY(tells_types(session, &types));
  const model_problem problem =
      session->regression ? MODEL_PROBLEM_REGRESSION : MODEL_PROBLEM_CLASSIFICATION;
  const adapter_model_origin origin = {.base = base,
                                       .tokenizer = tokenizer_of(session, base),
                                       .labels = (const char *const *)session->label_names,
                                       .problem = problem};
  CDL_TRY(adapter_model_write_settings(session->encoder, &origin, folder));
  return export_encoder_write_onnx(session->encoder, session->queue, folder,
                                   session->types_zero || !types);
}

/* `*change`: the largest of a logit that merging makes. */
static cdl_status merge(const train_session *session, double *change)
{
  cli_probe probe;
  if (!encoder_merges_whole(session->encoder))
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "use_x type2 multiplies tokens with each other: no weights hold it");
  CDL_TRY(cli_probe_begin(&probe, session));
  cdl_status status = encoder_merge(session->encoder, session->queue);
  if (status == CDL_STATUS_OK)
    status = cli_probe_change(&probe, session, change);
  cli_probe_end(&probe);
  return status;
}

static cdl_status export(const request *r, const train_session *session, double *change)
{
  study_new_folder folder;
  if (is_onnx(r) && session->adapter != NULL)
    CDL_TRY(merge(session, change));
  CDL_TRY(study_new_folder_begin(&folder, r->output));
  const cdl_status status = is_onnx(r) ? write_onnx(session, r->settings.model, folder.temporary)
                                       : write_peft(session, r->settings.model, folder.temporary);
  return study_new_folder_finish(&folder, status);
}

/* ---- The command ---- */

static cdl_status run(void *command, console_notices *notices)
{
  const request *r = command;
  CDL_TRY(check(r));
  train_session session;
  double change = 0;
  CDL_TRY(train_session_open_inference(&session, &r->settings));
  console_notices_release(notices);
  const bool merged = is_onnx(r) && session.adapter != NULL;
  const cdl_status status = export(r, &session, &change);
  train_session_close(&session);
  if (status == CDL_STATUS_OK && merged)
    printf(
        "%s: the largest change of a logit by merging is %.3g, on %d sequences of random tokens\n",
        base_visible(r->output).text, change, CLI_PROBE_SEQUENCES);
  return status;
}

cdl_status cli_export(int count, char **arguments)
{
  request r = {.settings = {.backend = "auto", .precision = "fp32"}};
  const base_option options[] = {
      CLI_MODEL_OPTIONS(r.settings), BASE_SECTION("What it writes"),
      BASE_OPTION(STRING, "output", &r.output, "DIR", "the new folder"),
      BASE_OPTION(CHOICE, "format", &r.format, "peft|onnx",
                  "LoRA as PEFT has it, or the merged model as ONNX [peft]")};
  const base_command_line line = {
      .usage = "condlora export --model DIR --adapter DIR --output DIR\n"
               "       condlora export --model DIR [--adapter DIR] --output DIR --format onnx",
      .summary = "Writes an adapter for other programs: as plain LoRA, which PEFT reads, with the "
                 "A and B of each layer written out; or merged into its model, as ONNX.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &r);
}
