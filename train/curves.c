#include "train/curves.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "train/step_text.h"

/* ---- The table ---- */

static cdl_status table_failed(const train_curves *c)
{
  return cdl_fail(CDL_STATUS_IO, "%s: %s", c->table_path, strerror(errno));
}

/* Returns where the table ends with the rows up to `step`: 0 if it has no header. */
static off_t end_of_rows(FILE *table, int64_t step)
{
  char line[512];
  off_t end = 0;
  for (bool header = true; fgets(line, sizeof line, table) != NULL; header = false) {
    const bool whole = strchr(line, '\n') != NULL, kept = header || strtoll(line, NULL, 10) <= step;
    if (!whole || !kept)
      break;
    end = ftello(table);
  }
  return end;
}

static cdl_status open_table(train_curves *c, const char *folder, int64_t step)
{
  c->table_path = base_path_join(folder, "steps.csv");
  if (c->table_path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  c->table = fopen(c->table_path, "a+e");
  if (c->table == NULL)
    return table_failed(c);
  rewind(c->table);
  const off_t end = end_of_rows(c->table, step);
  if (ftruncate(fileno(c->table), end) != 0 || fseeko(c->table, 0, SEEK_END) != 0 ||
      (end == 0 && fputs("step,epoch,loss,lr,grad_norm,examples_per_s\n", c->table) < 0) ||
      fflush(c->table) != 0)
    return table_failed(c);
  return CDL_STATUS_OK;
}

static cdl_status add_row(const train_curves *c, const train_step_report *r)
{
  const train_step_text t = train_step_text_of(r);
  const int written = fprintf(c->table, "%s,%s,%s,%s,%s,%s\n", t.step, t.epoch, t.loss, t.lr,
                              t.grad_norm, t.examples_per_s);
  return written < 0 || fflush(c->table) != 0 ? table_failed(c) : CDL_STATUS_OK;
}

/* ---- The whole ---- */

static cdl_status open_events(train_curves *c, const train_settings *s, const char *folder,
                              int64_t step)
{
  json_t *settings = train_settings_json(s, true);
  const cdl_status status =
      settings == NULL ? cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder)
                       : train_event_file_open(s->logging_dir != NULL ? s->logging_dir : folder,
                                               step + 1, settings, &c->events);
  json_decref(settings);
  return status;
}

cdl_status train_curves_open(train_curves *c, const train_settings *s, const char *folder,
                             int64_t step)
{
  train_reports asked;
  *c = (train_curves){0};
  cdl_status status = train_settings_reports(s, &asked);
  if (status == CDL_STATUS_OK && asked.csv)
    status = open_table(c, folder, step);
  if (status == CDL_STATUS_OK && asked.tensorboard)
    status = open_events(c, s, folder, step);
  if (status != CDL_STATUS_OK)
    train_curves_close(c);
  return status;
}

cdl_status train_curves_step(train_curves *c, const train_step_report *r)
{
  const train_scalar scalars[] = {{"train/loss", r->loss},
                                  {"train/learning_rate", r->learning_rate},
                                  {"train/grad_norm", r->gradient_norm},
                                  {"train/epoch", r->epoch},
                                  {"train/examples_per_s", r->examples_per_s}};
  if (c->table != NULL)
    CDL_TRY(add_row(c, r));
  return c->events != NULL
             ? train_event_file_add(c->events, r->step, scalars, sizeof scalars / sizeof scalars[0])
             : CDL_STATUS_OK;
}

cdl_status train_curves_evaluation(train_curves *c, const train_evaluation_report *r)
{
  enum { TAG_BYTES = 64 };
  char tags[CDL_METRIC_COUNT][TAG_BYTES];
  train_scalar scalars[CDL_METRIC_COUNT];
  size_t count = 0;
  if (c->events == NULL)
    return CDL_STATUS_OK;
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    const double value = r->result->scores.value[m];
    if (!isfinite(value))
      continue;
    snprintf(tags[count], TAG_BYTES, "%s/%s", r->split, cdl_metric_name((cdl_metric)m));
    scalars[count] = (train_scalar){tags[count], value};
    count++;
  }
  return train_event_file_add(c->events, r->step, scalars, count);
}

cdl_status train_curves_finish(train_curves *c, int64_t step)
{
  return c->events != NULL ? train_event_file_finish(c->events, step) : CDL_STATUS_OK;
}

void train_curves_close(train_curves *c)
{
  train_event_file_close(c->events);
  if (c->table != NULL)
    fclose(c->table);
  free(c->table_path);
  *c = (train_curves){0};
}
