/* condlora merge */
#include <stdio.h>

#include "base/visible.h"
#include "model/inference/logit_check.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"

typedef struct {
  inference_settings settings;
  const char *output;
} merging;

static cdl_status run(void *command, console_notices *notices)
{
  const merging *m = command;
  cdl_model *model;
  double change;
  CDL_TRY(cli_open_adapted("merge", &m->settings, true, m->output, &model));
  console_notices_release(notices);
  const cdl_status status = cdl_model_merge(model, m->output, &change);
  cdl_model_close(model);
  if (status == CDL_STATUS_OK)
    printf("%s: the largest change of a logit is %.3g, on %d sequences of random tokens\n",
           base_visible(m->output).text, change, INFERENCE_CHECK_SEQUENCES);
  return status;
}

cdl_status cli_merge(int count, char **arguments)
{
  merging m = {.settings = {.backend = "auto", .precision = "fp32"}};
  const base_option options[] = {CLI_MODEL_OPTIONS(m.settings), BASE_SECTION("Output"),
                                 BASE_OPTION(STRING, "output", &m.output, "DIR", "new folder")};
  const base_command_line line = {
      .usage = "condlora merge --adapter ADAPTER [--model MODEL] --output DIR",
      .summary = "Adds an adapter to the weights of its base and writes a complete model, which "
                 "Transformers reads. The base is not changed.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &m);
}
