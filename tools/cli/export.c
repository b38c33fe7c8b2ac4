/* condlora export */
#include <stdio.h>

#include "base/visible.h"
#include "model/inference/logit_check.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"

typedef enum { FORMAT_PEFT, FORMAT_ONNX } request_format;

typedef struct {
  inference_settings settings;
  const char *output;
  int format; /* request_format */
} request;

static bool is_onnx(const request *r)
{
  return r->format == FORMAT_ONNX;
}

static cdl_status run(void *command, console_notices *notices)
{
  const request *r = command;
  cdl_model *model;
  double change;
  CDL_TRY(cli_open_adapted("export", &r->settings, !is_onnx(r), r->output, &model));
  console_notices_release(notices);
  cdl_export_options options = cdl_export_options_init();
  options.format = is_onnx(r) ? CDL_EXPORT_ONNX : CDL_EXPORT_LORA;
  const cdl_status status = cdl_model_export(model, r->output, &options, &change);
  cdl_model_close(model);
  if (status == CDL_STATUS_OK && is_onnx(r) && r->settings.adapter != NULL)
    printf(
        "%s: the largest change of a logit by merging is %.3g, on %d sequences of random tokens\n",
        base_visible(r->output).text, change, INFERENCE_CHECK_SEQUENCES);
  return status;
}

cdl_status cli_export(int count, char **arguments)
{
  request r = {.settings = {.backend = "auto", .precision = "fp32"}};
  const base_option options[] = {
      CLI_MODEL_OPTIONS(r.settings), BASE_SECTION("Output"),
      BASE_OPTION(STRING, "output", &r.output, "DIR", "new folder"),
      BASE_OPTION(CHOICE, "format", &r.format, "peft|onnx",
                  "peft: plain LoRA in PEFT's format; onnx: the merged model [peft]")};
  const base_command_line line = {
      .usage =
          "condlora export --adapter ADAPTER [--model MODEL] --output DIR\n"
          "       condlora export [--adapter ADAPTER] [--model MODEL] --output DIR --format onnx",
      .summary = "Writes an adapter for other programs: as plain LoRA with A and B of each layer, "
                 "which PEFT reads, or merged into its model as ONNX.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &r);
}
