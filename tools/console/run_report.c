#include "tools/console/run_report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/visible.h"
#include "tools/console/log.h"
#include "tools/console/progress.h"

enum { LABEL_WIDTH = -18, VALUE_WIDTH = 10 };

static void row(FILE *to, const char *label, const char *format, ...) CDL_PRINTF(3, 4);
static void row(FILE *to, const char *label, const char *format, ...)
{
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(to, "%*s%s\n", LABEL_WIDTH, label, base_visible(text).text);
}

typedef struct {
  char text[128];
} described;

static described describe_bytes(size_t bytes)
{
  described d;
  const double megabyte = 1e6;
  if ((double)bytes < 1000 * megabyte)
    snprintf(d.text, sizeof d.text, "%.1f MB", (double)bytes / megabyte);
  else
    snprintf(d.text, sizeof d.text, "%.2f GB", (double)bytes / (1000 * megabyte));
  return d;
}

static double option_value(const train_settings *s, const char *name)
{
  /* The function needs writable settings; the option is only read here. */
  return *train_settings_option((train_settings *)(uintptr_t)s, name);
}

/* Describes the method: "condlora (paper), rank 8, alpha 8", "adalora, ranks 12 to 8, alpha 8". */
static described describe_method(const train_settings *s)
{
  described d;
  const char *method = train_method_name(s);
  const base_word orientation = base_word_at(ADAPTER_ORIENTATION_WORDS, s->orientation);
  const bool conditioned = adapter_is_oriented(method);
  size_t count;
  const base_option *options = adapter_options(method, &count);
  if (count > 0 && strcmp(options[0].name, "init_r") == 0)
    snprintf(d.text, sizeof d.text, "%s, ranks %g to %g, alpha %g", method,
             option_value(s, "init_r"), option_value(s, "target_r"), s->alpha);
  else if (adapter_has(method, ADAPTER_HAS_ALPHA))
    snprintf(d.text, sizeof d.text, "%s%s%.*s%s, rank %" PRId64 ", alpha %g", method,
             conditioned ? " (" : "", conditioned ? (int)orientation.bytes : 0, orientation.text,
             conditioned ? ")" : "", s->rank, s->alpha);
  else if (adapter_has(method, ADAPTER_HAS_RANK))
    snprintf(d.text, sizeof d.text, "%s, rank %" PRId64, method, s->rank);
  else
    snprintf(d.text, sizeof d.text, "%s",
             strcmp(method, "none") == 0 ? "none (the head alone)" : method);
  return d;
}

/* Describes dropout as "0.1" or, if rates differ, "0.1 hidden, 0 attention, 0.1 classifier". */
static described describe_dropout(const encoder_dropout_rates *r)
{
  described d;
  const double hidden = (double)r->hidden, attention = (double)r->attention,
               classifier = (double)r->classifier;
  if (r->hidden == r->attention && r->hidden == r->classifier)
    snprintf(d.text, sizeof d.text, "%g", hidden);
  else
    snprintf(d.text, sizeof d.text, "%g hidden, %g attention, %g classifier", hidden, attention,
             classifier);
  return d;
}

static described describe_seeds(const train_settings *s)
{
  described d;
  const uint64_t init = train_settings_seed(s, s->seed_init),
                 data = train_settings_seed(s, s->seed_data),
                 dropout = train_settings_seed(s, s->seed_dropout);
  if (init == data && init == dropout)
    snprintf(d.text, sizeof d.text, "%" PRIu64, init);
  else
    snprintf(d.text, sizeof d.text, "%" PRIu64 " init, %" PRIu64 " data, %" PRIu64 " dropout", init,
             data, dropout);
  return d;
}

static void trained_row(FILE *to, int64_t adapter, int64_t head)
{
  row(to, "trained", "%s parameters: %s adapter, %s head",
      console_group_digits(adapter + head).text, console_group_digits(adapter).text,
      console_group_digits(head).text);
}

/* ---- Counts of the examples ---- */

enum { LABELS_SHOWN = 40, NAME_COLUMNS = 32 };

/* A label for the terminal; a long one is cut. */
typedef struct {
  char text[4 * NAME_COLUMNS + 8];
  int columns;
} shown_name;

static shown_name show_name(const char *name)
{
  shown_name shown = {.columns = 0};
  const base_visible_text visible = base_visible(name);
  char *to = shown.text;
  for (const char *c = visible.text; *c != '\0';) {
    if (shown.columns == NAME_COLUMNS) {
      strcpy(to, "…");
      shown.columns++;
      return shown;
    }
    do
      *to++ = *c++;
    while (((unsigned char)*c & 0xC0) == 0x80);
    shown.columns++;
  }
  *to = '\0';
  return shown;
}

static void label_rows(FILE *to, const data_census *c)
{
  static const char *const parts[DATA_PART_COUNT] = {"train", "valid", "dev"};
  const bool has[DATA_PART_COUNT] = {true, c->examples[DATA_PART_VALID] > 0, c->has_dev};
  const size_t shown = c->classes < LABELS_SHOWN ? c->classes : LABELS_SHOWN;
  int width = -LABEL_WIDTH;
  for (size_t i = 0; i < shown; i++) {
    const int columns = show_name(c->names[i]).columns + 4;
    width = columns > width ? columns : width;
  }
  fprintf(to, "%-*s", width, "labels");
  for (int p = 0; p < DATA_PART_COUNT; p++)
    if (has[p])
      fprintf(to, "%9s", parts[p]);
  for (size_t i = 0; i < shown; i++) {
    const shown_name name = show_name(c->names[i]);
    fprintf(to, "\n  %s%*s", name.text, width - 2 - name.columns, "");
    for (int p = 0; p < DATA_PART_COUNT; p++)
      if (has[p])
        fprintf(to, "%9zu", c->labelled[(size_t)p * c->classes + i]);
  }
  fputc('\n', to);
  if (shown < c->classes)
    fprintf(to, "  and %zu more; run.json has all\n", c->classes - shown);
}

/* Prints "12 of 2490 of train, 3 of 277 of dev"; prints nothing if both counts are 0. */
static void count_row(FILE *to, const char *label, const char *what, const size_t counts[2],
                      const data_census *c, bool skipped)
{
  if (counts[0] + counts[1] == 0)
    return;
  const size_t train = c->read[0] + (skipped ? c->skipped[0] : 0),
               dev = c->read[1] + (skipped ? c->skipped[1] : 0);
  if (c->has_dev)
    row(to, label, "%zu of %zu in train and valid, %zu of %zu in dev%s", counts[0], train,
        counts[1], dev, what);
  else
    row(to, label, "%zu of %zu%s", counts[0], train, what);
}

static void census_rows(FILE *to, const data_census *c)
{
  if (c->classes > 0)
    label_rows(to, c);
  count_row(to, "left out", " (--skip-label)", c->skipped, c, true);
  count_row(to, "cut", " (--max-length)", c->truncated, c, false);
  if (c->contradicting > 0)
    row(to, "repeated texts",
        "%zu in train and valid; %zu examples there have the text of one with another label",
        c->repeated, c->contradicting);
  else if (c->repeated > 0)
    row(to, "repeated texts", "%zu in train and valid", c->repeated);
  if (c->valid_in_train > 0)
    row(to, "overlap", "the texts of %zu of %zu in valid are in train", c->valid_in_train,
        c->examples[DATA_PART_VALID]);
  if (c->dev_in_train > 0)
    row(to, "overlap", "the texts of %zu of %zu in dev are in train or valid", c->dev_in_train,
        c->examples[DATA_PART_DEV]);
}

/* Says which blocks are computed once; nothing if all are trained. */
static void frozen_row(FILE *to, const train_settings *s, const train_frozen_plan *p)
{
  static const char label[] = "frozen layers";
  if (p->untrained == 0)
    return;
  if (p->frozen == 0)
    row(to, label, "%d of %d, with dropout, so they are computed in every pass (--freeze-dropout)",
        p->untrained, p->layers);
  else if (p->limit == 0)
    row(to, label, "%d of %d, computed in every pass (--cache-frozen off)", p->frozen, p->layers);
  else if (p->block == 0)
    row(to, label, "%d of %d, computed in every pass; --cache-frozen would keep %s of at most %s",
        p->frozen, p->layers, describe_bytes(p->bytes).text, describe_bytes(p->limit).text);
  else
    row(to, label, "%d of %d, computed once: %s %s for %s, %.0f %% of a later step is saved",
        p->block, p->layers, describe_bytes(p->bytes < p->limit ? p->bytes : p->limit).text,
        s->cache_frozen == TRAIN_CACHE_DISK ? "on disk" : "in memory",
        p->bytes <= p->limit ? "all examples" : "a part of the examples", 100 * p->saved);
}

void console_report_plan(FILE *to, const train_settings *s, const train_plan *p)
{
  row(to, "method", "%s", describe_method(s).text);
  trained_row(to, p->adapter_numbers, p->head_numbers);
  row(to, "examples", "%zu train, %zu valid, %zu dev", p->census->examples[DATA_PART_TRAIN],
      p->census->examples[DATA_PART_VALID], p->census->examples[DATA_PART_DEV]);
  census_rows(to, p->census);
  row(to, "dropout", "%s", describe_dropout(&p->dropout).text);
  row(to, "seeds", "%s", describe_seeds(s).text);
  row(to, "steps", "%" PRId64 ", %" PRId64 " an epoch, %" PRId64 " examples each", p->steps,
      p->steps_per_epoch, s->batch_size * s->accumulate);
  if (p->shards > 0)
    row(to, "shards", "%d, each passed alone: %d passes a step, %d of them on one rank", p->shards,
        p->step_passes, p->rank_passes);
  row(to, "largest batch", "%zu tokens, longest example %zu", p->batch_tokens, p->longest_tokens);
  row(to, "memory", "%s model%s%s, %s activations in %s", describe_bytes(p->model_bytes).text,
      p->mapped_bytes > 0 ? " beside its file of " : "",
      p->mapped_bytes > 0 ? describe_bytes(p->mapped_bytes).text : "",
      describe_bytes(p->activation_bytes).text,
      p->activation_type == CDL_DTYPE_BF16 ? "bf16" : "float32");
  frozen_row(to, s, &p->frozen);
  row(to, "backend", "%s", p->backend);
}

static json_t *start_json(const train_plan *p)
{
  const size_t *examples = p->census->examples;
  json_t *fields = json_object();
  base_json_set_text(&fields, "event", "start");
  base_json_set_text(&fields, "method", p->method);
  base_json_set_text(&fields, "backend", p->backend);
  base_json_set(&fields, "adapter_parameters", json_integer((json_int_t)p->adapter_numbers));
  base_json_set(&fields, "head_parameters", json_integer((json_int_t)p->head_numbers));
  base_json_set(&fields, "train_examples", json_integer((json_int_t)examples[DATA_PART_TRAIN]));
  base_json_set(&fields, "valid_examples", json_integer((json_int_t)examples[DATA_PART_VALID]));
  base_json_set(&fields, "dev_examples", json_integer((json_int_t)examples[DATA_PART_DEV]));
  base_json_set(&fields, "first_block", json_integer(p->frozen.block));
  base_json_set(&fields, "first_step", json_integer((json_int_t)p->first_step));
  base_json_set(&fields, "steps", json_integer((json_int_t)p->steps));
  return fields;
}

void console_report_start(FILE *to, const train_plan *p)
{
  if (console_log_is_json()) {
    console_log_object(CONSOLE_LOG_INFO, start_json(p));
    return;
  }
  fprintf(to, "%s on %s: %s adapter and %s head parameters, %zu examples, %" PRId64 " steps\n",
          p->method, base_visible(p->backend).text, console_group_digits(p->adapter_numbers).text,
          console_group_digits(p->head_numbers).text, p->census->examples[DATA_PART_TRAIN],
          p->steps);
  census_rows(to, p->census);
  if (p->first_step > 0)
    fprintf(to, "going on from step %" PRId64 "\n", p->first_step);
}

/* Prints the metrics of the kind of task in the order of cdl_metric, with both splits side by
 * side. */
static void metric_rows(FILE *to, const train_session *session, const train_summary *s)
{
  const train_result *results[2];
  const char *names[2];
  size_t splits = 0;
  if (s->has_valid) {
    results[splits] = &s->valid;
    names[splits++] = "valid";
  }
  if (s->has_dev) {
    results[splits] = &s->dev;
    names[splits++] = "dev";
  }
  if (splits == 0)
    return;
  fprintf(to, "%*s", LABEL_WIDTH, "measured on");
  for (size_t i = 0; i < splits; i++)
    fprintf(to, "%s%*s", i > 0 ? "  " : "", i + 1 < splits ? -VALUE_WIDTH : 0, names[i]);
  fputc('\n', to);
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    if (m == CDL_METRIC_LOSS ||
        !cdl_metric_applies((cdl_metric)m, session->model.problem, (size_t)session->model.labels))
      continue;
    char label[32];
    snprintf(label, sizeof label, "%s",
             m == CDL_METRIC_MACRO_F1 ? "macro-F1" : cdl_metric_name((cdl_metric)m));
    fprintf(to, "%*s", LABEL_WIDTH, label);
    for (size_t i = 0; i < splits; i++) {
      char value[32] = "undefined";
      if (!isnan(results[i]->scores.value[m]))
        snprintf(value, sizeof value, "%.4f", results[i]->scores.value[m]);
      fprintf(to, "%s%*s", i > 0 ? "  " : "", i + 1 < splits ? -VALUE_WIDTH : 0, value);
    }
    fputc('\n', to);
  }
}

void console_report_summary(FILE *to, const train_session *session, const train_settings *settings,
                            const train_summary *s)
{
  const bool best = settings->keep == TRAIN_KEEP_BEST && (s->has_valid || s->has_dev);
  row(to, "method", "%s", describe_method(settings).text);
  trained_row(to, s->adapter_numbers, s->head_numbers);
  row(to, "examples/s", "%.*f", s->examples_per_s < 10 ? 2 : 1, s->examples_per_s);
  row(to, "peak memory", "%s", describe_bytes(s->peak_bytes).text);
  metric_rows(to, session, s);
  row(to, best ? "best epoch" : "last epoch", "%.4g (step %" PRId64 " of %" PRId64 ")",
      s->best_epoch, s->best_step, s->steps);
  row(to, adapter_is_whole_model(train_method_name(settings)) ? "model" : "adapter", "%s",
      s->adapter_path);
}
