/* condlora inspect */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/visible.h"
#include "model/adapter/adapter.h"
#include "model/adapter/config.h"
#include "model/files/checkpoint.h"
#include "model/files/family.h"
#include "model/hub/resolve.h"
#include "tools/cli/command.h"
#include "tools/cli/options.h"
#include "tools/console/output.h"
#include "tools/console/progress.h"

/* ---- Tensors, one line for those that all layers have ---- */

typedef struct {
  char name[256]; /* "encoder.layer.*.output.dense.weight" */
  char shape[64], type[16];
  int64_t numbers, count; /* elements of one tensor; tensors */
} tensor_line;

typedef struct {
  tensor_line *lines;
  size_t count, capacity;
  int64_t head, rest; /* elements */
} tensor_table;

/* Replaces the layer's number: "layer.11." becomes "layer.*.". */
static void collapse_layer(const char *name, char *collapsed, size_t bytes)
{
  static const char layer[] = "layer.";
  const char *at = strstr(name, layer);
  const char *number = at != NULL ? at + sizeof layer - 1 : NULL;
  const size_t digits = number != NULL ? strspn(number, "0123456789") : 0;
  if (digits > 0)
    snprintf(collapsed, bytes, "%.*s*%s", (int)(number - name), name, number + digits);
  else
    snprintf(collapsed, bytes, "%s", name);
}

static cdl_status add_line(tensor_table *t, const tensor_line *line)
{
  for (size_t i = 0; i < t->count; i++)
    if (strcmp(t->lines[i].name, line->name) == 0 && strcmp(t->lines[i].shape, line->shape) == 0 &&
        strcmp(t->lines[i].type, line->type) == 0) {
      t->lines[i].count++;
      return CDL_STATUS_OK;
    }
  if (t->count == t->capacity) {
    const size_t capacity = 2 * t->capacity + 64;
    tensor_line *lines = realloc(t->lines, capacity * sizeof *lines);
    if (lines == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu tensors", t->count);
    t->lines = lines;
    t->capacity = capacity;
  }
  t->lines[t->count] = *line;
  t->lines[t->count++].count = 1;
  return CDL_STATUS_OK;
}

static void format_shape(const int64_t *shape, size_t rank, char *text, size_t bytes)
{
  size_t used = (size_t)snprintf(text, bytes, "[");
  for (size_t i = 0; i < rank && used < bytes; i++)
    used += (size_t)snprintf(text + used, bytes - used, "%s%" PRId64, i > 0 ? ", " : "", shape[i]);
  if (used < bytes)
    snprintf(text + used, bytes - used, "]");
}

static bool is_head(const char *name)
{
  const size_t n = strlen(ADAPTER_PREFIX);
  return model_checkpoint_is_head(strncmp(name, ADAPTER_PREFIX, n) == 0 ? name + n : name);
}

static cdl_status collect(const cdl_safetensors *file, tensor_table *t)
{
  for (size_t i = 0; i < cdl_safetensors_count(file); i++) {
    const cdl_stored_tensor *s = cdl_safetensors_get(file, i);
    tensor_line line = {.numbers = 1};
    for (uint32_t d = 0; d < s->rank; d++)
      line.numbers *= s->shape[d];
    char shown[MODEL_NAME_BYTES];
    base_make_visible(s->name, strlen(s->name), shown, sizeof shown);
    collapse_layer(shown, line.name, sizeof line.name);
    format_shape(s->shape, s->rank, line.shape, sizeof line.shape);
    snprintf(line.type, sizeof line.type, "%s", cdl_stored_type_name(s->type));
    if (s->type != CDL_STORED_I64) /* integer tensors such as position_ids are not parameters */
      *(is_head(s->name) ? &t->head : &t->rest) += line.numbers;
    CDL_TRY(add_line(t, &line));
  }
  return CDL_STATUS_OK;
}

static void print_lines(const char *title, const tensor_table *t)
{
  int name = 0, shape = 0;
  for (size_t i = 0; i < t->count; i++) {
    const int n = (int)strlen(t->lines[i].name), s = (int)strlen(t->lines[i].shape);
    name = n > name ? n : name;
    shape = s > shape ? s : shape;
  }
  printf("\n%s\n", title);
  for (size_t i = 0; i < t->count; i++) {
    const tensor_line *l = &t->lines[i];
    printf("  %-*s  %-*s", name, l->name, shape, l->shape);
    if (l->type[0] != '\0')
      printf("  %s", l->type);
    if (l->count > 1)
      printf("  x %" PRId64, l->count);
    putchar('\n');
  }
}

static json_t *tensors_json(const cdl_safetensors *file)
{
  json_t *array = json_array();
  for (size_t i = 0; i < cdl_safetensors_count(file); i++) {
    const cdl_stored_tensor *s = cdl_safetensors_get(file, i);
    json_t *shape = json_array();
    for (uint32_t d = 0; d < s->rank; d++)
      base_json_append(&shape, json_integer(s->shape[d]));
    base_json_append(&array, json_pack("{ss ss so}", "name", s->name, "type",
                                       cdl_stored_type_name(s->type), "shape", shape));
  }
  return array;
}

/* Counts the parameters of the head, and of all other tensors under the key `rest`. */
static json_t *parameters_json(const char *rest, const tensor_table *t)
{
  json_t *o = json_object();
  base_json_set(&o, rest, json_integer(t->rest));
  base_json_set(&o, "head", json_integer(t->head));
  return o;
}

/* ---- An adapter ---- */

static void print_names(const char *label, const base_list *names)
{
  if (names->count == 0)
    return;
  printf("%-12s", label);
  for (size_t i = 0; i < names->count; i++)
    printf("%s%s", i > 0 ? ", " : "", base_visible(names->item[i]).text);
  putchar('\n');
}

/* ---- Adapted modules, read from the names of an adapter's tensors ---- */

/* Extracts a module's path from a tensor's name if it has the ending; otherwise false. */
static bool module_of(const char *name, const char *ending, char *path, size_t bytes)
{
  const size_t n = strlen(name), prefix = strlen(ADAPTER_PREFIX), end = strlen(ending);
  if (n <= prefix + end || strncmp(name, ADAPTER_PREFIX, prefix) != 0 ||
      strcmp(name + n - end, ending) != 0)
    return false;
  snprintf(path, bytes, "%.*s", (int)(n - end - prefix), name + prefix);
  return true;
}

typedef cdl_status module_visitor(const adapter_module *module, void *user);

static cdl_status visit_modules(const adapter_config *c, const cdl_safetensors *file,
                                module_visitor *visit, void *user)
{
  const char *ending = adapter_module_ending(c->settings.method);
  for (size_t i = 0; ending != NULL && i < cdl_safetensors_count(file); i++) {
    const cdl_stored_tensor *s = cdl_safetensors_get(file, i);
    char path[256];
    adapter_module module;
    if (s->rank < 1 || s->shape[0] < 1 || !module_of(s->name, ending, path, sizeof path))
      continue;
    CDL_TRY(adapter_config_module(c, path, s->shape[0], &module));
    CDL_TRY(visit(&module, user));
  }
  return CDL_STATUS_OK;
}

/* Modules that differ in the layer's number only share a line. */
static cdl_status add_module_line(const adapter_module *m, void *user)
{
  tensor_line line = {0};
  collapse_layer(m->path, line.name, sizeof line.name);
  if (m->alpha != 0)
    snprintf(line.shape, sizeof line.shape, "rank %" PRId64 "  alpha %g  scale %g", m->rank,
             m->alpha, m->scale);
  else
    snprintf(line.shape, sizeof line.shape, "rank %" PRId64, m->rank);
  return add_line(user, &line);
}

static cdl_status add_module_json(const adapter_module *m, void *user)
{
  base_json_append(user, json_pack("{ss sI sf sf}", "path", m->path, "rank", (json_int_t)m->rank,
                                   "alpha", m->alpha, "scale", m->scale));
  return CDL_STATUS_OK;
}

/* ---- The description of an adapter ---- */

static void print_values(const char *label, const adapter_module_values *values)
{
  if (values->count == 0)
    return;
  printf("%-12s", label);
  for (size_t i = 0; i < values->count; i++)
    printf("%s%s: %g", i > 0 ? ", " : "", base_visible(values->item[i].pattern).text,
           values->item[i].value);
  putchar('\n');
}

static void print_option(const base_option *o, double value)
{
  printf("%-12s%s", o->name, strlen(o->name) < 12 ? "" : " ");
  if (o->kind == BASE_OPTION_CHOICE) {
    const base_word word = base_word_at(o->placeholder, (int)value);
    printf("%.*s\n", (int)word.bytes, word.text);
  } else if (o->kind == BASE_OPTION_FLAG)
    puts(value != 0 ? "true" : "false");
  else
    printf("%g\n", value);
}

static void print_low_rank(const adapter_config *c)
{
  static const char *const biases[] = {"", "every one", "those of adapted layers"};
  if (c->settings.target_pattern != NULL)
    printf("%-12s%s\n", "targets", base_visible(c->settings.target_pattern).text);
  print_names("targets", &c->settings.targets);
  if (c->settings.layer_count > 0)
    printf("%-12s", "layers");
  for (size_t i = 0; i < c->settings.layer_count; i++)
    printf("%" PRId64 "%s", c->settings.layers[i], i + 1 < c->settings.layer_count ? ", " : "\n");
  print_names("without", &c->settings.excluded);
  if (c->settings.excluded_pattern != NULL)
    printf("%-12s%s\n", "without", base_visible(c->settings.excluded_pattern).text);
  print_values("ranks", &c->settings.rank_pattern);
  print_values("alphas", &c->settings.alpha_pattern);
  if (c->settings.bias != ADAPTER_BIAS_NONE)
    printf("%-12s%s\n", "biases", biases[c->settings.bias]);
  size_t count;
  const base_option *options = adapter_options(c->settings.method, &count);
  for (size_t i = 0; i < count; i++)
    if (c->settings.options[i] != options[i].default_value)
      print_option(&options[i], c->settings.options[i]);
}

/* Counts the ranks of a layer that AdaLoRA kept. */
static size_t ranks_kept(const json_t *list)
{
  size_t kept = 0, i;
  json_t *item;
  json_array_foreach(list, i, item) kept += json_is_true(item);
  return kept;
}

/* Prints one line for each kind of layer, with the ranks in the order of the layers. */
static void print_ranks(json_t *pattern)
{
  const char *path, *other;
  json_t *list;
  size_t kept = 0, all = 0;
  json_object_foreach(pattern, path, list)
  {
    kept += ranks_kept(list);
    all += json_array_size(list);
  }
  if (all == 0)
    return;
  printf("%-12s%zu of %zu\n", "ranks kept", kept, all);
  json_object_foreach(pattern, path, list)
  {
    char kind[MODEL_NAME_BYTES], name[MODEL_NAME_BYTES];
    bool first = true, before = true;
    json_t *same;
    collapse_layer(path, kind, sizeof kind);
    json_object_foreach(pattern, other, same)
    {
      collapse_layer(other, name, sizeof name);
      before = before && strcmp(other, path) != 0;
      if (before && strcmp(name, kind) == 0)
        first = false; /* printed already */
    }
    if (!first)
      continue;
    const char *ending = strstr(kind, ".lora_E"); /* PEFT's name of Λ */
    char shown[MODEL_NAME_BYTES];
    base_make_visible(kind, ending != NULL ? (size_t)(ending - kind) : strlen(kind), shown,
                      sizeof shown);
    printf("  %s:", shown);
    json_object_foreach(pattern, other, same)
    {
      collapse_layer(other, name, sizeof name);
      if (strcmp(name, kind) == 0)
        printf(" %zu", ranks_kept(same));
    }
    putchar('\n');
  }
}

static base_word orientation_of(const adapter_config *c)
{
  return base_word_at(ADAPTER_ORIENTATION_WORDS, (int)c->settings.orientation);
}

static void print_adapter(const char *folder, const adapter_config *c, const tensor_table *t,
                          const tensor_table *modules)
{
  printf("%-12s%s\n", "adapter", base_visible(folder).text);
  printf("%-12s%s", "type", adapter_peft_type(c->settings.method));
  const char *method = c->settings.method;
  if (adapter_is_oriented(method)) {
    const base_word orientation = orientation_of(c);
    printf(" (%.*s)", (int)orientation.bytes, orientation.text);
  }
  if (adapter_has(method, ADAPTER_HAS_RANK))
    printf(", rank %" PRId64, c->settings.rank);
  if (adapter_has(method, ADAPTER_HAS_ALPHA))
    printf(", alpha %g%s", c->settings.alpha,
           c->settings.rslora ? ", scaled by alpha / sqrt(rank)" : "");
  putchar('\n');
  print_low_rank(c);
  print_names("saved whole", &c->settings.modules_to_save);
  if (c->task != NULL)
    printf("%-12s%s\n", "task", base_visible(c->task).text);
  print_names("columns", &c->text_columns);
  print_names("label", &c->label_columns);
  print_names("labels", &c->labels);
  if (c->problem == CDL_PROBLEM_REGRESSION)
    printf("%-12s%s (regression)\n", "output",
           c->labels.count > 1 ? "several numbers" : "one number");
  if (c->problem == CDL_PROBLEM_MULTI_LABEL)
    printf("%-12s%s\n", "output", "any number of labels (multi-label)");
  for (size_t i = 0; c->thresholds != NULL && i < c->labels.count; i++)
    printf(i == 0 ? "%-12s%.4g%s" : "%s%.4g%s", i == 0 ? "thresholds" : ", ", c->thresholds[i],
           i + 1 == c->labels.count ? "\n" : "");
  if (c->base_model != NULL)
    printf("%-12s%s\n", "base", base_visible(c->base_model).text);
  if (c->fingerprint != NULL)
    printf("%-12s%s\n", "fingerprint", base_visible(c->fingerprint).text);
  printf("%-12s%s adapter, %s head\n", "parameters", console_group_digits(t->rest).text,
         console_group_digits(t->head).text);
  print_ranks(json_object_get(c->settings.config_extra, "rank_pattern"));
  if (modules->count > 0)
    print_lines("adapted layers", modules);
  print_lines("tensors", t);
}

static json_t *names_json(const base_list *names)
{
  json_t *array = json_array();
  for (size_t i = 0; i < names->count; i++)
    base_json_append(&array, base_json_string_of(names->item[i]));
  return array;
}

static json_t *values_json(const adapter_module_values *values)
{
  json_t *object = json_object();
  for (size_t i = 0; i < values->count; i++)
    base_json_set(&object, values->item[i].pattern, json_real(values->item[i].value));
  return object;
}

static json_t *options_json(const adapter_config *c)
{
  json_t *object = json_object();
  size_t count;
  const base_option *options = adapter_options(c->settings.method, &count);
  for (size_t i = 0; i < count; i++)
    base_json_set(&object, options[i].name,
                  base_option_to_json(&options[i], base_option_number(c->settings.options[i])));
  return object;
}

static json_t *adapter_json(const adapter_config *c, const tensor_table *t,
                            const cdl_safetensors *file, json_t *modules)
{
  json_t *layers = json_array();
  for (size_t i = 0; i < c->settings.layer_count; i++)
    base_json_append(&layers, json_integer(c->settings.layers[i]));
  json_t *o = json_object();
  base_json_set(&o, "kind", json_string("adapter"));
  base_json_set(&o, "type", json_string(adapter_peft_type(c->settings.method)));
  base_json_set(&o, "rank", json_integer(c->settings.rank));
  if (adapter_has(c->settings.method, ADAPTER_HAS_ALPHA))
    base_json_set(&o, "alpha", json_real(c->settings.alpha));
  base_json_set(&o, "rslora", json_boolean(c->settings.rslora));
  base_json_set(&o, "rank_pattern", values_json(&c->settings.rank_pattern));
  base_json_set(&o, "alpha_pattern", values_json(&c->settings.alpha_pattern));
  base_json_set(&o, "layers", layers);
  base_json_set(&o, "excluded", names_json(&c->settings.excluded));
  base_json_set_text(&o, "excluded_pattern", c->settings.excluded_pattern);
  base_json_set(&o, "options", options_json(c));
  json_t *ranks_kept = json_object_get(c->settings.config_extra, "rank_pattern");
  if (ranks_kept != NULL)
    base_json_set(&o, "ranks_kept", json_incref(ranks_kept));
  const base_word bias = base_word_at(ADAPTER_BIAS_WORDS, c->settings.bias);
  base_json_set(&o, "bias", json_stringn(bias.text, bias.bytes));
  const base_word orientation = orientation_of(c);
  if (adapter_is_oriented(c->settings.method))
    base_json_set(&o, "orientation", json_stringn(orientation.text, orientation.bytes));
  base_json_set_text(&o, "target_pattern", c->settings.target_pattern);
  base_json_set(&o, "targets", names_json(&c->settings.targets));
  base_json_set(&o, "modules_to_save", names_json(&c->settings.modules_to_save));
  base_json_set_text(&o, "task", c->task);
  base_json_set(&o, "labels", names_json(&c->labels));
  base_json_set(&o, "regression", json_boolean(c->problem == CDL_PROBLEM_REGRESSION));
  base_json_set(&o, "problem_type", json_string(cdl_problem_name(c->problem)));
  json_t *thresholds = c->thresholds != NULL ? json_array() : NULL;
  for (size_t i = 0; thresholds != NULL && i < c->labels.count; i++)
    base_json_append(&thresholds, json_real(c->thresholds[i]));
  if (thresholds != NULL)
    base_json_set(&o, "thresholds", thresholds);
  base_json_set_text(&o, "base", c->base_model);
  base_json_set_text(&o, "fingerprint", c->fingerprint);
  base_json_set(&o, "parameters", parameters_json("adapter", t));
  base_json_set(&o, "modules", modules);
  base_json_set(&o, "tensors", tensors_json(file));
  return o;
}

static cdl_status inspect_adapter(const char *folder, bool as_json)
{
  adapter_config config;
  cdl_safetensors *file;
  CDL_TRY(adapter_folder_open(folder, &config, &file));
  tensor_table table = {0}, lines = {0};
  json_t *modules = json_array();
  cdl_status status = collect(file, &table);
  if (status == CDL_STATUS_OK && as_json)
    status = visit_modules(&config, file, add_module_json, &modules);
  else if (status == CDL_STATUS_OK)
    status = visit_modules(&config, file, add_module_line, &lines);
  if (status == CDL_STATUS_OK && as_json)
    status = console_stdout_json(adapter_json(&config, &table, file, json_incref(modules)));
  else if (status == CDL_STATUS_OK)
    print_adapter(folder, &config, &table, &lines);
  json_decref(modules);
  free(lines.lines);
  free(table.lines);
  cdl_safetensors_close(file);
  adapter_config_free(&config);
  return status;
}

/* ---- A model ---- */

typedef struct {
  tensor_table lines;
  json_t *paths; /* of every module that an adapter can target */
} reachable;

/* Creates an encoder of this shape to list its modules; the weights are never read. */
static cdl_status collect_modules(const model_config *config, reachable *r)
{
  const cdl_backend_options options = {.size = sizeof options, .threads = 1};
  cdl_backend *backend;
  cdl_queue *queue = NULL;
  model_encoder *encoder = NULL;
  CDL_TRY(cdl_backend_open("cpu", &options, &backend));
  cdl_status status = cdl_queue_create(backend, &queue);
  if (status == CDL_STATUS_OK)
    status = encoder_create(queue, config, 2, &encoder);
  for (size_t i = 0; status == CDL_STATUS_OK && i < encoder_module_count(encoder); i++) {
    const encoder_module *module = &encoder_modules(encoder)[i];
    tensor_line line = {.numbers = cdl_tensor_elements(module->weight)};
    collapse_layer(module->path, line.name, sizeof line.name);
    format_shape(&module->weight.size[2], 2, line.shape, sizeof line.shape);
    status = add_line(&r->lines, &line);
    base_json_append(&r->paths, json_string(module->path));
  }
  encoder_destroy(encoder);
  if (queue != NULL)
    cdl_queue_destroy(queue);
  (void)cdl_backend_close(backend);
  return status;
}

static void print_model(const char *folder, const model_checkpoint *checkpoint,
                        const tensor_table *t, const reachable *r)
{
  const model_config *c = model_checkpoint_config(checkpoint);
  const int64_t labels = model_checkpoint_head_labels(checkpoint);
  printf("%-12s%s\n", "model", base_visible(folder).text);
  printf("%-12s%s, %" PRId64 " layers, %" PRId64 " wide, %" PRId64 " heads, %" PRId64 " inside\n",
         "encoder", model_family_name(c->family), c->layers, c->hidden_size, c->heads,
         c->intermediate_size);
  printf("%-12s%" PRId64 " tokens, at most %" PRId64 " in an example\n", "vocabulary",
         c->vocabulary_size, model_config_max_tokens(c));
  if (labels == 0)
    printf("%-12snone: training draws one\n", "head");
  else if (labels == 1)
    printf("%-12s1 output\n", "head");
  else {
    printf("%-12s%" PRId64 " labels", "head", labels);
    for (int64_t i = 0; c->label_names != NULL && i < labels && i < c->label_count; i++)
      printf("%s%s", i > 0 ? ", " : ": ", base_visible(c->label_names[i]).text);
    putchar('\n');
  }
  if (model_family_of(c->family)->pooler && !model_checkpoint_has_pooler(checkpoint))
    printf("%-12snone: training draws one\n", "pooler");
  printf("%-12s%016" PRIx64 "\n", "fingerprint", model_checkpoint_fingerprint(checkpoint));
  printf("%-12s%s body, %s head\n", "parameters", console_group_digits(t->rest).text,
         console_group_digits(t->head).text);
  print_lines("tensors", t);
  print_lines(
      "modules that --targets can name, by the end of their paths (query; attention.output.dense)",
      &r->lines);
}

static json_t *model_json(const model_checkpoint *checkpoint, const tensor_table *t,
                          const cdl_safetensors *file, const reachable *r)
{
  const model_config *c = model_checkpoint_config(checkpoint);
  char fingerprint[20];
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
           model_checkpoint_fingerprint(checkpoint));
  json_t *labels = json_array();
  for (int64_t i = 0; c->label_names != NULL && i < c->label_count; i++)
    base_json_append(&labels, json_string(c->label_names[i]));
  json_t *o = json_object();
  base_json_set(&o, "kind", json_string("model"));
  base_json_set(&o, "family", json_string(model_family_name(c->family)));
  base_json_set(&o, "layers", json_integer(c->layers));
  base_json_set(&o, "hidden_size", json_integer(c->hidden_size));
  base_json_set(&o, "heads", json_integer(c->heads));
  base_json_set(&o, "intermediate_size", json_integer(c->intermediate_size));
  base_json_set(&o, "vocabulary_size", json_integer(c->vocabulary_size));
  base_json_set(&o, "max_tokens", json_integer(model_config_max_tokens(c)));
  base_json_set(&o, "head_labels", json_integer(model_checkpoint_head_labels(checkpoint)));
  base_json_set(&o, "labels", labels);
  base_json_set(&o, "fingerprint", json_string(fingerprint));
  base_json_set(&o, "parameters", parameters_json("body", t));
  base_json_set(&o, "targets", json_incref(r->paths));
  base_json_set(&o, "tensors", tensors_json(file));
  return o;
}

static cdl_status inspect_model(const char *folder, bool as_json)
{
  model_checkpoint *checkpoint;
  cdl_safetensors *file = NULL;
  tensor_table table = {0};
  reachable modules = {.paths = json_array()};
  cdl_status status = model_checkpoint_open(folder, NULL, &checkpoint);
  if (status == CDL_STATUS_OK) {
    status = cdl_safetensors_open(folder, &file);
    if (status == CDL_STATUS_OK)
      status = collect(file, &table);
    if (status == CDL_STATUS_OK)
      status = collect_modules(model_checkpoint_config(checkpoint), &modules);
    if (status == CDL_STATUS_OK && as_json)
      status = console_stdout_json(model_json(checkpoint, &table, file, &modules));
    else if (status == CDL_STATUS_OK)
      print_model(folder, checkpoint, &table, &modules);
    model_checkpoint_note_left_out(checkpoint);
    model_checkpoint_close(checkpoint);
  }
  cdl_safetensors_close(file);
  free(table.lines);
  free(modules.lines.lines);
  json_decref(modules.paths);
  return status;
}

/* ---- The command ---- */

typedef struct {
  const char *model; /* or an adapter */
  bool as_json;
} inspecting;

static cdl_status inspect(const char *folder, bool as_json)
{
  char *own = adapter_folder_find(folder);
  char *config = own != NULL ? base_path_join(own, "adapter_config.json") : NULL;
  cdl_status status;
  if (config == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", folder);
  else if (base_file_exists(config))
    status = inspect_adapter(own, as_json);
  else
    status = inspect_model(folder, as_json);
  free(config);
  free(own);
  return status;
}

static cdl_status run(void *command, console_notices *notices)
{
  const inspecting *c = command;
  cdl_hub_source *source;
  (void)notices;
  if (c->model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "expected a model or an adapter, as a folder or a name");
  CDL_TRY(hub_resolve(c->model, CDL_HUB_ANY, &source));
  const cdl_status status = inspect(cdl_hub_source_folder(source), c->as_json);
  cdl_hub_source_close(source);
  return status;
}

cdl_status cli_inspect(int count, char **arguments)
{
  inspecting c = {0};
  const base_option options[] = {
      BASE_OPTION(FLAG, "json", &c.as_json, NULL, "print JSON, with one entry for each tensor")};
  const base_command_line line = {.usage = "condlora inspect MODEL [--json]",
                                  .summary =
                                      "Lists modules, shapes and parameters of a model or an "
                                      "adapter, and the modules that an adapter can target.",
                                  .options = BASE_OPTIONS(options),
                                  .operands = &c.model,
                                  .operands_most = 1};
  return cli_run(&line, count, arguments, run, &c);
}
