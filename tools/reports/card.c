#include "tools/reports/card.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/backend.h"
#include "model/export/card.h"
#include "tools/reports/deviations.h"
#include "tools/reports/document.h"
#include "tools/reports/scores.h"

static void write_base(const report_source *source, report_document *to, const char *model)
{
  const report_comparison *c = source->comparison;
  report_document_heading(to, "Model");
  report_document_item(
      to,
      "Base: %s. It is frozen and not part of these files; its own model card and licence apply.",
      model);
  for (size_t m = 0; m < c->method_count; m++) {
    const report_compared_run *run = report_compared_run_at(c, 0, m, 0);
    report_document_item(to,
                         "%s: %" PRId64 " trainable parameters, and %" PRId64
                         " of the classification head "
                         "on %s.",
                         report_method_title(c->methods[m]).text, run->adapter_numbers,
                         run->head_numbers, c->tasks[0]->name);
  }
  report_document_item(
      to,
      "There is one adapter for each task, method and seed: `runs/TASK/METHOD/seedN/adapter`. "
      "Made with condlora %s.",
      cdl_version());
}

static void write_data(const report_comparison *c, report_document *to)
{
  report_document_heading(to, "Data");
  report_document_paragraph(to, "English sentences of GLUE (Wang et al. 2019). The training data "
                                "is the official train set without the part held out to choose the "
                                "epoch; the scores are those on the official dev set.");
  for (size_t t = 0; t < c->task_count; t++) {
    const report_compared_run *run = report_compared_run_at(c, t, 0, 0);
    report_document_item(to, "%s: %zu examples held out, %zu of dev.", c->tasks[t]->name,
                         run->valid.examples, run->dev.examples);
  }
}

static void write_settings(const report_comparison *c, report_document *to)
{
  static const char *const keys[] = {
      "rank",         "alpha",    "targets",      "epochs",       "max_steps", "batch_size",
      "lr",           "schedule", "warmup_ratio", "weight_decay", "dropout",   "adapter_dropout",
      "dev_fraction", "keep",     "max_length",   "precision",    "compat"};
  report_document_heading(to, "Settings");
  report_document_paragraph(
      to, "The table has all values of the runs; `table.json` has those of each run.");
  report_document_table_begin(to, 2);
  report_document_cell(to, "setting");
  report_document_cell(to, "values");
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const report_described values = report_setting_values(c, keys[i]);
    if (strcmp(keys[i], "max_steps") == 0 && strcmp(values.text, "0") == 0)
      continue; /* the run's length is given in epochs */
    report_document_cell(to, "`%s`", keys[i]);
    report_document_cell(to, "%s", values.text);
  }
  report_document_table_end(to);
}

static void write_use(report_document *to)
{
  report_document_heading(to, "Intended use");
  report_document_paragraph(
      to, "The adapters are for comparing methods of low-rank adaptation and for classifying texts "
          "like those of the task. The scores say nothing about other languages, other kinds of "
          "text or longer texts. Do not use the adapters for decisions about people.");
  report_document_heading(to, "Bias");
  report_document_paragraph(
      to, "Pre-trained encoders carry the social biases of the corpora they were "
          "trained on, and the tasks' data has biases too. An adapter inherits the biases of its "
          "frozen base. Biases were neither measured nor reduced here.");
}

/* The scores stand in the document: the hub's index of results has one model, not many. */
static cdl_status begin(const report_source *source, report_document **to)
{
  const export_card_head head = {
      .base = source->model, .relation = "adapter", .library = "condlora", .tags = {"lora"}};
  char *metadata;
  CDL_TRY(export_card_head_make(&head, &metadata));
  const cdl_status status =
      report_document_begin(source->comparison->folder, "MODEL_CARD", "Model card", metadata, to);
  free(metadata);
  return status;
}

cdl_status report_write_card(const report_source *source)
{
  const report_comparison *c = source->comparison;
  report_described model;
  bool as_paper;
  report_document *to;
  CDL_TRY(report_describe_model(source, &model, &as_paper));
  CDL_TRY(begin(source, &to));
  write_base(source, to, model.text);
  write_data(c, to);
  write_settings(c, to);
  report_write_scores(c, to);
  write_use(to);
  return report_document_commit(to);
}
