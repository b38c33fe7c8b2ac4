/* condlora merge */
#include <stdio.h>

#include "base/visible.h"
#include "model/adapter/io.h"
#include "model/export/merge.h"
#include "tools/cli/command.h"
#include "tools/cli/examples.h"
#include "tools/cli/probe.h"
#include "tools/study/new_folder.h"
#include "train/columns.h"

typedef struct {
  train_inference_settings settings;
  const char *output;
} merging;

static cdl_status check(const merging *m)
{
  if (m->settings.model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "merge wants --model: the encoder that the adapter is for");
  if (m->settings.adapter == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "merge wants --adapter: what to merge into it");
  return m->output != NULL ? CDL_STATUS_OK
                           : cdl_fail(CDL_STATUS_USAGE, "merge wants --output: the new folder");
}

/* ---- What merging changes ---- */

/* The merged folder as anyone will read it, beside the base with its adapter. */
static cdl_status compare(const train_inference_settings *settings, const char *folder,
                          const cli_probe *p, double *change)
{
  train_inference_settings merged = *settings;
  merged.model = folder;
  merged.adapter = NULL;
  merged.rank = 0;
  train_session session;
  CDL_TRY(train_session_open_inference(&session, &merged));
  const cdl_status status = cli_probe_change(p, &session, change);
  train_session_close(&session);
  return status;
}

/* ---- The command ---- */

static cdl_status write_merged(train_session *session, const char *base, const char *folder)
{
  const model_problem problem =
      session->regression ? MODEL_PROBLEM_REGRESSION : MODEL_PROBLEM_CLASSIFICATION;
  CDL_TRY(encoder_merge(session->encoder, session->queue));
  const adapter_model_origin origin = {
      .base = base,
      .tokenizer = session->tokenizer_folder != NULL ? session->tokenizer_folder : base,
      .labels = (const char *const *)session->label_names,
      .problem = problem};
  CDL_TRY(adapter_model_write(session->encoder, session->queue, &origin, folder));
  CDL_TRY(train_columns_write(folder, &session->adapter_config));
  return export_model_narrow(folder, base);
}

static cdl_status merge(train_session *session, const train_inference_settings *settings,
                        const char *output, double *change)
{
  cli_probe p;
  study_new_folder folder;
  CDL_TRY(cli_probe_begin(&p, session));
  cdl_status status = study_new_folder_begin(&folder, output);
  if (status == CDL_STATUS_OK) {
    status = write_merged(session, settings->model, folder.temporary);
    if (status == CDL_STATUS_OK)
      status = compare(settings, folder.temporary, &p, change);
    status = study_new_folder_finish(&folder, status);
  }
  cli_probe_end(&p);
  return status;
}

static cdl_status run(void *command, console_notices *notices)
{
  const merging *m = command;
  CDL_TRY(check(m));
  train_session session;
  double change = 0;
  CDL_TRY(train_session_open_inference(&session, &m->settings));
  console_notices_release(notices);
  cdl_status status = encoder_merges_whole(session.encoder)
                          ? merge(&session, &m->settings, m->output, &change)
                          : cdl_fail(CDL_STATUS_UNSUPPORTED,
                                     "use_x type2 multiplies tokens with each other: no weights "
                                     "hold it");
  train_session_close(&session);
  if (status == CDL_STATUS_OK)
    printf("%s: the largest change of a logit is %.3g, on %d sequences of random tokens\n",
           base_visible(m->output).text, change, CLI_PROBE_SEQUENCES);
  return status;
}

cdl_status cli_merge(int count, char **arguments)
{
  merging m = {.settings = {.backend = "auto", .precision = "fp32"}};
  const base_option options[] = {CLI_MODEL_OPTIONS(m.settings), BASE_SECTION("What it writes"),
                                 BASE_OPTION(STRING, "output", &m.output, "DIR", "the new folder")};
  const base_command_line line = {
      .usage = "condlora merge --model DIR --adapter DIR --output DIR",
      .summary = "Adds an adapter to the weights it is for, and writes a whole model, which "
                 "Transformers reads. The base stays as it is.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &m);
}
