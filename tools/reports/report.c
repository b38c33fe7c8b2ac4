#include "tools/reports/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "tools/reports/card.h"
#include "tools/reports/curves.h"
#include "tools/reports/deviations.h"
#include "tools/reports/matrices.h"
#include "tools/reports/plots.h"
#include "tools/reports/scores.h"
#include "tools/reports/tables.h"

static const report_kind kinds[] = {
    {"verdict", "Does a single linear layer yield task-adapted low-rank matrices?", REPORT_VERDICT,
     "RTE,MRPC,STS-B,CoLA", "lora,condlora-reference,condlora,shared", "3"},
    {"table1", "GLUE scores", REPORT_SCORES, "MNLI,SST-2,MRPC,CoLA,QNLI,QQP,RTE,STS-B",
     "lora,condlora-reference", "3"},
    {"table2", "Trained parameters and speed", REPORT_SPEED, "RTE", "lora,condlora-reference", "1"},
    {"table3", "Similarity of the matrices of LoRA and CondLoRA", REPORT_SIMILARITY, "RTE",
     "lora,condlora-reference", "1"},
    {"table4", "CondLoRA conditioned on the input", REPORT_SCORES,
     "MNLI,SST-2,MRPC,CoLA,QNLI,QQP,RTE,STS-B", "condlora-reference,condlora-type1,condlora-type2",
     "3"},
    {"figure1", "Conversion matrices of LoRA", REPORT_CONVERSION, "RTE", "lora", "1"}};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

cdl_status report_kind_find(const char *name, const report_kind **kind)
{
  const char *names[KIND_COUNT];
  for (size_t i = 0; i < KIND_COUNT; i++) {
    names[i] = kinds[i].name;
    if (strcmp(name, names[i]) == 0) {
      *kind = &kinds[i];
      return CDL_STATUS_OK;
    }
  }
  return cdl_fail(CDL_STATUS_USAGE, "reproduce: there is no %s; the nearest is %s", name,
                  base_nearest(name, names, KIND_COUNT));
}

cdl_status report_check(const report_kind *kind, const report_comparison *c)
{
  const bool of_matrices = kind->content == REPORT_SIMILARITY || kind->content == REPORT_CONVERSION;
  if (of_matrices && strcmp(c->methods[report_baseline(c)]->name, "lora") != 0)
    return cdl_fail(CDL_STATUS_USAGE, "%s needs lora among --methods", kind->name);
  if (kind->content == REPORT_SIMILARITY && c->method_count < 2)
    return cdl_fail(CDL_STATUS_USAGE, "%s needs another method beside lora among --methods",
                    kind->name);
  return CDL_STATUS_OK;
}

static cdl_status write_content(const report_source *source, report_document *to)
{
  const report_comparison *c = source->comparison;
  switch (source->kind->content) {
  case REPORT_SPEED:
    report_write_speed(c, to);
    break;
  case REPORT_SIMILARITY:
    CDL_TRY(report_write_similarity(source, to));
    break;
  case REPORT_CONVERSION:
    CDL_TRY(report_write_conversion(source, to));
    break;
  case REPORT_SCORES:
  case REPORT_VERDICT:
    break;
  }
  report_write_scores(c, to);
  CDL_TRY(report_write_tests(c, to));
  return report_write_curves(c, to);
}

cdl_status report_write(const report_source *source)
{
  const report_comparison *c = source->comparison;
  char *title;
  report_document *to;
  CDL_TRY(report_plots_begin(c->folder));
  CDL_TRY(report_write_tables(source));
  CDL_TRY(report_write_card(source));
  if (asprintf(&title, "%s (%s)", source->kind->title, source->kind->name) < 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
  cdl_status status = report_document_begin(c->folder, "report", title, NULL, &to);
  free(title);
  CDL_TRY(status);
  status = report_write_deviations(source, to);
  if (status == CDL_STATUS_OK)
    status = write_content(source, to);
  if (status == CDL_STATUS_OK)
    return report_document_commit(to);
  report_document_abort(to);
  return status;
}
