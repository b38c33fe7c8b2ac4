#include "tools/reports/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/nearest.h"
#include "base/temporary.h"
#include "tools/reports/sections.h"

static const cdl_report_kind kinds[] = {
    {"table1", "GLUE scores", CDL_REPORT_SCORES, "MNLI,SST-2,MRPC,CoLA,QNLI,QQP,RTE,STS-B",
     "lora,condlora-reference", "3"},
    {"table2", "Trained parameters and speed", CDL_REPORT_SPEED, "RTE", "lora,condlora-reference",
     "1"},
    {"table3", "Similarity of the matrices of LoRA and CondLoRA", CDL_REPORT_SIMILARITY, "RTE",
     "lora,condlora-reference", "1"},
    {"table4", "CondLoRA conditioned on the input", CDL_REPORT_SCORES,
     "MNLI,SST-2,MRPC,CoLA,QNLI,QQP,RTE,STS-B", "condlora-reference,condlora-type1,condlora-type2",
     "3"},
    {"figure1", "Conversion matrices of LoRA", CDL_REPORT_CONVERSION, "RTE", "lora", "1"}};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

cdl_status cdl_report_kind_find(const char *name, const cdl_report_kind **kind)
{
  const char *names[KIND_COUNT];
  for (size_t i = 0; i < KIND_COUNT; i++) {
    names[i] = kinds[i].name;
    if (strcmp(name, names[i]) == 0) {
      *kind = &kinds[i];
      return CDL_OK;
    }
  }
  return cdl_fail(CDL_USAGE, "reproduce: there is no %s; the nearest is %s", name,
                  cdl_nearest(name, names, KIND_COUNT));
}

cdl_status cdl_report_check(const cdl_report_kind *kind, const cdl_comparison *c)
{
  const bool of_matrices =
      kind->content == CDL_REPORT_SIMILARITY || kind->content == CDL_REPORT_CONVERSION;
  if (of_matrices && strcmp(c->methods[cdl_baseline(c)]->name, "lora") != 0)
    return cdl_fail(CDL_USAGE, "%s wants lora among --methods", kind->name);
  if (kind->content == CDL_REPORT_SIMILARITY && c->method_count < 2)
    return cdl_fail(CDL_USAGE, "%s wants another method beside lora among --methods", kind->name);
  return CDL_OK;
}

static cdl_status write_content(const cdl_report_source *source, cdl_document *to)
{
  const cdl_comparison *c = source->comparison;
  switch (source->kind->content) {
  case CDL_REPORT_SPEED:
    cdl_write_speed(c, to);
    break;
  case CDL_REPORT_SIMILARITY:
    CDL_TRY(cdl_write_similarity(source, to));
    break;
  case CDL_REPORT_CONVERSION:
    CDL_TRY(cdl_write_conversion(source, to));
    break;
  case CDL_REPORT_SCORES:
    break;
  }
  cdl_write_scores(c, to);
  CDL_TRY(cdl_write_tests(c, to));
  return cdl_write_curves(c, to);
}

static cdl_status make_plot_folder(const cdl_comparison *c)
{
  char *plots = cdl_path_join(c->folder, "plots");
  const cdl_status status =
      plots != NULL ? cdl_folder_make(plots) : cdl_fail(CDL_MEMORY, "%s: out of memory", c->folder);
  if (status == CDL_OK)
    cdl_folder_sweep(plots);
  cdl_folder_sweep(c->folder);
  free(plots);
  return status;
}

cdl_status cdl_report_write(const cdl_report_source *source)
{
  const cdl_comparison *c = source->comparison;
  char *title;
  cdl_document *to;
  CDL_TRY(make_plot_folder(c));
  CDL_TRY(cdl_write_tables(source));
  CDL_TRY(cdl_write_card(source));
  if (asprintf(&title, "%s (%s)", source->kind->title, source->kind->name) < 0)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", c->folder);
  cdl_status status = cdl_document_begin(c->folder, "report", title, &to);
  free(title);
  CDL_TRY(status);
  status = cdl_write_deviations(source, to);
  if (status == CDL_OK)
    status = write_content(source, to);
  if (status == CDL_OK)
    return cdl_document_commit(to);
  cdl_document_abort(to);
  return status;
}
