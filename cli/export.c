/* condlora export */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/examples.h"
#include "cli/new_folder.h"
#include "cli/notices.h"
#include "model/adapter_export.h"

static cdl_status check(const cdl_inference_settings *s, const char *output, const char *format)
{
  if (strcmp(format, "peft") != 0)
    return cdl_fail(CDL_USAGE, "--format %s: peft is what export writes", format);
  if (s->model == NULL)
    return cdl_fail(CDL_USAGE, "export wants --model: the encoder that the adapter is for");
  if (s->adapter == NULL)
    return cdl_fail(CDL_USAGE, "export wants --adapter: what to export");
  return output != NULL ? CDL_OK : cdl_fail(CDL_USAGE, "export wants --output: the new folder");
}

static cdl_status run(const cdl_inference_settings *settings, const char *output,
                      const char *format, cli_notices *notices)
{
  CDL_TRY(check(settings, output, format));
  cdl_job job;
  CDL_TRY(cdl_job_open_inference(&job, settings));
  cli_notices_release(notices);
  char *temporary;
  cdl_status status = cli_new_folder_begin(output, &temporary);
  if (status == CDL_OK)
    status = cli_new_folder_finish(
        output, temporary,
        cdl_adapter_export(job.adapter, job.queue, temporary, &job.adapter_config));
  cdl_job_close(&job);
  return status;
}

cdl_status cli_export(int count, char **arguments)
{
  cdl_inference_settings settings = {.backend = "auto", .precision = "fp32"};
  const char *output = NULL, *format = "peft";
  int64_t threads = 0;
  const cli_option options[] = {
      CLI_MODEL_OPTIONS(settings, threads, settings.max_length),
      {CLI_GROUP, .help = "What it writes"},
      {CLI_TEXT, "output", &output, "DIR", "the new folder"},
      {CLI_TEXT, "format", &format, "peft", "LoRA as PEFT has it [peft]"}};
  const cli_grammar grammar = {
      .usage = "condlora export --model DIR --adapter DIR --output DIR [--format peft]",
      .summary = "Writes an adapter for other programs: as plain LoRA, which PEFT reads, with the "
                 "A and B of each layer written out.",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  bool helped;
  CDL_TRY(cli_options_read(&grammar, count, arguments, &helped));
  if (helped)
    return CDL_OK;
  CDL_TRY(cli_take_threads(threads, &settings.threads));
  cli_notices notices;
  cli_notices_begin(&notices);
  const cdl_status status = run(&settings, output, format, &notices);
  cli_notices_end(&notices);
  return status;
}
