#include "tools/cli/answers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/visible.h"
#include "model/inference/evaluation.h"
#include "tools/console/terminal.h"

/* ---- Opening ---- */

/* Returns the labels as JSON strings, [labels]; NULL if memory is out. */
static char **quote_labels(const inference_model *model)
{
  char **quoted = calloc((size_t)model->labels + 1, sizeof *quoted);
  for (int i = 0; quoted != NULL && model->label_names != NULL && i < model->labels; i++) {
    json_t *name = json_string(model->label_names[i]);
    quoted[i] = base_json_line(name);
    json_decref(name);
    if (quoted[i] == NULL) {
      while (i > 0)
        free(quoted[--i]);
      free(quoted);
      return NULL;
    }
  }
  return quoted;
}

static void release(cli_answers *a)
{
  for (int c = 0; a->labels != NULL && c < a->model->labels; c++)
    free(a->labels[c]);
  free(a->labels);
  free(a->scores);
  free(a->chosen);
  free(a->order);
}

cdl_status cli_answers_begin(cli_answers *a, const inference_model *model, const char *path,
                             cli_answers_form form, int64_t top)
{
  const size_t labels = (size_t)model->labels;
  if (top > 0 && model->problem == CDL_PROBLEM_REGRESSION)
    return cdl_fail(CDL_STATUS_USAGE, "--top goes with labels; the model is a regression");
  *a = (cli_answers){.model = model,
                     .form = form,
                     .top = (int)(top < (int64_t)labels ? top : (int64_t)labels),
                     .width = console_terminal_columns(stdout),
                     .labels = quote_labels(model),
                     .scores = calloc(labels, sizeof *a->scores),
                     .chosen = calloc(labels, sizeof *a->chosen),
                     .order = calloc(labels, sizeof *a->order)};
  cdl_status status =
      a->labels != NULL && a->scores != NULL && a->chosen != NULL && a->order != NULL
          ? console_output_begin(&a->output, path)
          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d labels", model->labels);
  if (status != CDL_STATUS_OK)
    release(a);
  return status;
}

cdl_status cli_answers_finish(cli_answers *a, cdl_status status)
{
  const cdl_status finished = console_output_finish(&a->output, status);
  release(a);
  return finished;
}

/* ---- What is answered ---- */

/* Sorts the first `count` places of `order` by falling score, the lower label first of equals. */
static void sort_top(cli_answers *a, int count)
{
  const int labels = a->model->labels;
  for (int c = 0; c < labels; c++)
    a->order[c] = c;
  for (int k = 0; k < count; k++) {
    int best = k;
    for (int c = k + 1; c < labels; c++) {
      const double x = a->scores[a->order[c]], y = a->scores[a->order[best]];
      if (x > y || (x == y && a->order[c] < a->order[best]))
        best = c;
    }
    const int kept = a->order[k];
    a->order[k] = a->order[best];
    a->order[best] = kept;
  }
}

static bool is_several(const inference_model *model)
{
  return model->problem == CDL_PROBLEM_REGRESSION && model->labels > 1;
}

/* Writes the fewest digits that read back as the same float. */
static void write_number(cli_answers *a, double number)
{
  char text[BASE_JSON_REAL_BYTES];
  base_json_float_text(text, (float)number);
  console_output_printf(&a->output, "%s", text);
}

/* ---- JSON lines ---- */

static void write_numbers(cli_answers *a, const char *key, const float *logits,
                          const double *numbers)
{
  console_output_printf(&a->output, ", \"%s\": [", key);
  for (int c = 0; c < a->model->labels; c++) {
    console_output_printf(&a->output, "%s", c > 0 ? ", " : "");
    write_number(a, numbers != NULL ? numbers[c] : (double)logits[c]);
  }
  console_output_printf(&a->output, "]");
}

/* A class, an array of labels, a number, or an object of numbers. */
static void write_json_prediction(cli_answers *a, const float *logits)
{
  const inference_model *model = a->model;
  console_output *out = &a->output;
  const char *separator = "";
  console_output_printf(out, ", \"prediction\": ");
  switch (model->problem) {
  case CDL_PROBLEM_SINGLE_LABEL:
    console_output_printf(out, "%s", a->labels[inference_argmax(logits, model->labels)]);
    return;
  case CDL_PROBLEM_MULTI_LABEL:
    console_output_printf(out, "[");
    for (int c = 0; c < model->labels; c++)
      if (a->chosen[c]) {
        console_output_printf(out, "%s%s", separator, a->labels[c]);
        separator = ", ";
      }
    console_output_printf(out, "]");
    return;
  default:
    if (!is_several(model)) {
      write_number(a, (double)logits[0]);
      return;
    }
    for (int c = 0; c < model->labels; c++) {
      console_output_printf(out, "%s%s: ", c == 0 ? "{" : ", ", a->labels[c]);
      write_number(a, (double)logits[c]);
    }
    console_output_printf(out, "}");
  }
}

static void write_json(cli_answers *a, uint64_t index, const float *logits)
{
  console_output_printf(&a->output, "{\"index\": %" PRIu64, index);
  write_numbers(a, "logits", logits, NULL);
  if (a->model->problem != CDL_PROBLEM_REGRESSION)
    write_numbers(a, "probabilities", NULL, a->scores);
  write_json_prediction(a, logits);
  for (int k = 0; k < a->top; k++) {
    console_output_printf(&a->output,
                          "%s{\"label\": %s, \"score\": ", k == 0 ? ", \"top\": [" : ", ",
                          a->labels[a->order[k]]);
    write_number(a, a->scores[a->order[k]]);
    console_output_printf(&a->output, "}");
  }
  console_output_printf(&a->output, a->top > 0 ? "]}\n" : "}\n");
}

/* ---- CSV and TSV ---- */

/* CSV quotes as RFC 4180 says; TSV has no quotes, so a tab or line end becomes a space. */
static void write_field(cli_answers *a, const char *text)
{
  if (a->form == CLI_ANSWERS_CSV && strpbrk(text, ",\"\r\n") != NULL) {
    console_output_printf(&a->output, "\"");
    for (const char *c = text; *c != '\0'; c++)
      console_output_printf(&a->output, *c == '"' ? "\"\"" : "%c", *c);
    console_output_printf(&a->output, "\"");
    return;
  }
  for (const char *c = text; *c != '\0'; c++)
    console_output_printf(&a->output, "%c",
                          a->form == CLI_ANSWERS_TSV && strchr("\t\r\n", *c) != NULL ? ' ' : *c);
}

static void write_separator(cli_answers *a)
{
  console_output_printf(&a->output, a->form == CLI_ANSWERS_CSV ? "," : "\t");
}

static const char *label_of(const cli_answers *a, int label)
{
  return a->model->label_names[label];
}

static void write_header(cli_answers *a)
{
  console_output_printf(&a->output, "index");
  if (!is_several(a->model)) {
    write_separator(a);
    console_output_printf(&a->output, "prediction");
  }
  for (int k = 1; k <= a->top; k++) {
    write_separator(a);
    console_output_printf(&a->output, "label_%d", k);
    write_separator(a);
    console_output_printf(&a->output, "score_%d", k);
  }
  for (int c = 0; a->top == 0 && a->model->label_names != NULL && c < a->model->labels; c++) {
    write_separator(a);
    write_field(a, label_of(a, c));
  }
  console_output_printf(&a->output, "\n");
}

/* The labels of an example, with the character of the training file between them, or ';'. */
static char *join_labels(const cli_answers *a)
{
  const char *recorded = a->model->adapter_config.label_separator;
  const char *separator = recorded != NULL ? recorded : ";";
  size_t bytes = 1;
  for (int c = 0; c < a->model->labels; c++)
    bytes += a->chosen[c] ? strlen(label_of(a, c)) + strlen(separator) : 0;
  char *text = calloc(bytes, 1), *to = text;
  for (int c = 0; text != NULL && c < a->model->labels; c++)
    if (a->chosen[c]) {
      to = stpcpy(to, to > text ? separator : "");
      to = stpcpy(to, label_of(a, c));
    }
  return text;
}

static void write_record(cli_answers *a, uint64_t index, const float *logits)
{
  const inference_model *model = a->model;
  console_output_printf(&a->output, "%" PRIu64, index);
  if (model->problem == CDL_PROBLEM_MULTI_LABEL) {
    char *labels = join_labels(a);
    write_separator(a);
    write_field(a, labels != NULL ? labels : "");
    free(labels);
  } else if (model->problem == CDL_PROBLEM_SINGLE_LABEL) {
    write_separator(a);
    write_field(a, label_of(a, inference_argmax(logits, model->labels)));
  }
  for (int k = 0; k < a->top; k++) {
    write_separator(a);
    write_field(a, label_of(a, a->order[k]));
    write_separator(a);
    write_number(a, a->scores[a->order[k]]);
  }
  for (int c = 0; a->top == 0 && c < model->labels; c++) {
    write_separator(a);
    write_number(a, a->scores[c]);
  }
  console_output_printf(&a->output, "\n");
}

/* ---- A terminal ---- */

enum { ANSWER_COLUMNS = 24, TEXT_BYTES = 400 };

static size_t columns_of(const char *text)
{
  size_t columns = 0;
  for (; *text != '\0'; text++)
    columns += ((unsigned char)*text & 0xC0) != 0x80;
  return columns;
}

/* Cuts a text to a number of columns, the last of which is then "…". */
static void cut(char *text, size_t columns)
{
  size_t seen = 0;
  if (columns_of(text) <= columns)
    return;
  for (char *c = text; *c != '\0'; c++)
    if (((unsigned char)*c & 0xC0) != 0x80 && ++seen == columns) {
      strcpy(c, "…");
      return;
    }
}

static size_t print_label(cli_answers *a, const char *before, int label)
{
  base_visible_text name = base_visible(label_of(a, label));
  char score[16];
  cut(name.text, ANSWER_COLUMNS);
  snprintf(score, sizeof score, "%.1f %%", 100 * a->scores[label]);
  console_output_printf(&a->output, "%s%s %s", before, name.text, score);
  return columns_of(before) + columns_of(name.text) + 1 + strlen(score);
}

static size_t print_number(cli_answers *a, const char *before, int output)
{
  char number[32];
  snprintf(number, sizeof number, "%.4g", a->scores[output]);
  base_visible_text name = base_visible(is_several(a->model) ? label_of(a, output) : "");
  cut(name.text, ANSWER_COLUMNS);
  const char *gap = name.text[0] != '\0' ? " " : "";
  console_output_printf(&a->output, "%s%s%s%s", before, name.text, gap, number);
  return columns_of(before) + columns_of(name.text) + strlen(gap) + strlen(number);
}

/* Prints the answer; returns its columns. */
static size_t print_answer(cli_answers *a, const float *logits)
{
  const inference_model *model = a->model;
  size_t used = 0;
  if (a->top > 0)
    for (int k = 0; k < a->top; k++)
      used += print_label(a, k > 0 ? ", " : "", a->order[k]);
  else if (model->problem == CDL_PROBLEM_SINGLE_LABEL)
    used = print_label(a, "", inference_argmax(logits, model->labels));
  else
    for (int c = 0; c < model->labels; c++)
      if (model->problem == CDL_PROBLEM_REGRESSION)
        used += print_number(a, used > 0 ? ", " : "", c);
      else if (a->chosen[c])
        used += print_label(a, used > 0 ? ", " : "", c);
  if (used == 0) {
    console_output_printf(&a->output, "(no label)");
    used = strlen("(no label)");
  }
  return used;
}

static void print_text(cli_answers *a, const cdl_example *example, size_t room)
{
  char text[2][TEXT_BYTES] = {"", ""};
  char line[2 * TEXT_BYTES + 4];
  for (int i = 0; i < 2 && example->text[i] != NULL; i++)
    base_make_visible(example->text[i], example->bytes[i], text[i], sizeof text[i]);
  snprintf(line, sizeof line, "%s%s%s", text[0], example->text[1] != NULL ? " | " : "", text[1]);
  cut(line, room);
  console_output_printf(&a->output, "%s\n", line);
}

/* The answer, and in the rest of the line, or the next one if little is left, the text. */
static void print_line(cli_answers *a, const cdl_example *example, const float *logits)
{
  enum { LEAST = 30, USUAL_WIDTH = 80 };
  const size_t width = a->width > 0 ? a->width : USUAL_WIDTH;
  size_t used = print_answer(a, logits);
  do {
    console_output_printf(&a->output, " ");
    used++;
  } while (used < ANSWER_COLUMNS);
  if (used + LEAST > width) {
    console_output_printf(&a->output, "\n    ");
    used = 4;
  }
  print_text(a, example, width - used > 4 ? width - used : 4);
}

/* ---- All ---- */

void cli_answers_write(cli_answers *a, uint64_t index, const cdl_example *example,
                       const float *logits)
{
  inference_scores(a->model, logits, a->scores);
  inference_decide(a->model, logits, a->chosen);
  sort_top(a, a->top);
  if (!a->begun && (a->form == CLI_ANSWERS_CSV || a->form == CLI_ANSWERS_TSV))
    write_header(a);
  a->begun = true;
  switch (a->form) {
  case CLI_ANSWERS_TABLE:
    print_line(a, example, logits);
    return;
  case CLI_ANSWERS_JSONL:
    write_json(a, index, logits);
    return;
  case CLI_ANSWERS_CSV:
  case CLI_ANSWERS_TSV:
    write_record(a, index, logits);
  }
}
