/* Chooses the linear layers that an adapter changes and the model's tensors that are trained, by
 * PEFT's matching rules. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "condlora/log.h"
#include "model/adapter/fold.h"
#include "model/adapter/module_pattern.h"
#include "model/adapter/state.h"
#include "model/files/checkpoint.h"

/* Returns whether path is `suffix` or ends in ".suffix". */
static bool has_suffix(const char *path, size_t length, const char *suffix)
{
  const size_t n = strlen(suffix);
  if (n == 0 || n > length || memcmp(path + length - n, suffix, n) != 0)
    return false;
  return n == length || path[length - n - 1] == '.';
}

static const char *last_name(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot != NULL ? dot + 1 : path;
}

/* Lists the modules' last names that are most similar to `wanted`, at most three: "query, key". */
static void near_misses(const model_adapter *a, const char *wanted, char *text, size_t bytes)
{
  const encoder_module *modules = encoder_modules(a->encoder);
  const size_t count = encoder_module_count(a->encoder);
  const char *best[3] = {NULL};
  const char *name = last_name(wanted);
  for (int k = 0; k < 3; k++) {
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
      const char *candidate = last_name(modules[i].path);
      bool listed = false;
      for (int j = 0; j < k; j++)
        listed = listed || strcmp(best[j], candidate) == 0;
      const size_t d = base_distance(name, candidate);
      if (!listed && d < least) {
        least = d;
        best[k] = candidate;
      }
    }
    if (best[k] == NULL)
      break;
  }
  text[0] = '\0';
  for (int k = 0; k < 3 && best[k] != NULL; k++) {
    const size_t used = strlen(text);
    snprintf(text + used, bytes - used, "%s%s", k > 0 ? ", " : "", best[k]);
  }
}

static cdl_status unmatched(const model_adapter *a, const char *what, const char *wanted)
{
  char near[256];
  near_misses(a, wanted, near, sizeof near);
  return cdl_fail(
      CDL_STATUS_USAGE,
      "%s '%s' matches no linear layer of the model; near it are %s (condlora inspect lists all)",
      what, wanted, near);
}

/* ---- Modules ---- */

/* A module that a target can name. */
typedef struct {
  char path[MODEL_NAME_BYTES];
  encoder_module *module; /* NULL: a layer of the head, or an embedding table */
  encoder_parameter *weight;
  bool table;
} candidate;

typedef struct {
  candidate *item;
  size_t count;
  bool *chosen, *scratch; /* [count] */
} module_list;

static void free_modules(module_list *list)
{
  free(list->item);
  free(list->chosen);
  *list = (module_list){0};
}

static encoder_module *module_of(const model_adapter *a, const char *path, size_t length)
{
  encoder_module *modules = encoder_modules(a->encoder);
  for (size_t i = 0; i < encoder_module_count(a->encoder); i++)
    if (strlen(modules[i].path) == length && memcmp(modules[i].path, path, length) == 0)
      return &modules[i];
  return NULL;
}

/* Lists the modules in their order, then the other matrices: those of the head, and embedding
 * tables. Only an adapter from a folder can have the latter as targets. */
static cdl_status list_modules(const model_adapter *a, module_list *list)
{
  static const char ending[] = ".weight";
  encoder_parameter *parameters = encoder_parameters(a->encoder);
  const size_t parameter_count = encoder_parameter_count(a->encoder);
  *list = (module_list){.item = calloc(parameter_count + 1, sizeof *list->item),
                        .chosen = calloc(2 * parameter_count + 1, sizeof *list->chosen)};
  if (list->item == NULL || list->chosen == NULL) {
    free_modules(list);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu linear layers", parameter_count);
  }
  encoder_module *modules = encoder_modules(a->encoder);
  for (size_t i = 0; i < encoder_module_count(a->encoder); i++) {
    candidate *m = &list->item[list->count++];
    *m = (candidate){.module = &modules[i]};
    memcpy(m->path, modules[i].path, sizeof m->path);
  }
  for (size_t i = 0; i < parameter_count; i++) {
    const char *name = parameters[i].name;
    const size_t bytes = strlen(name);
    if (parameters[i].dimensions != 2 || bytes < sizeof ending ||
        strcmp(name + bytes - (sizeof ending - 1), ending) != 0)
      continue;
    const size_t length = bytes - (sizeof ending - 1);
    const bool head = model_checkpoint_is_head(name);
    if (module_of(a, name, length) != NULL || (!head && a->stored == NULL))
      continue;
    candidate *m = &list->item[list->count++];
    *m = (candidate){.weight = &parameters[i], .table = !head};
    memcpy(m->path, name, length);
  }
  list->scratch = list->chosen + list->count;
  return CDL_STATUS_OK;
}

/* PEFT's word for every linear layer except saved ones. */
static const char every_layer[] = "all-linear";

/* Marks the modules that an expression matches; `*any` says whether there is one. */
static cdl_status select_by_pattern(const module_list *list, const char *what, const char *text,
                                    bool *chosen, bool *any)
{
  *any = true;
  if (strcasecmp(text, every_layer) == 0) {
    for (size_t i = 0; i < list->count; i++)
      chosen[i] = !list->item[i].table;
    return CDL_STATUS_OK;
  }
  module_pattern *pattern;
  CDL_TRY(module_pattern_create(what, text, &pattern));
  *any = false;
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < list->count && status == CDL_STATUS_OK; i++) {
    status = module_pattern_matches(pattern, list->item[i].path, &chosen[i]);
    *any = *any || chosen[i];
  }
  module_pattern_free(pattern);
  return status;
}

/* Marks the modules whose path ends in `name`. RoBERTa's classifier.dense belongs to the head,
 * which is trained whole: PEFT also matches it with "dense", and skips it. */
static bool select_by_suffix(const module_list *list, const char *name, bool *chosen)
{
  bool any = false;
  for (size_t i = 0; i < list->count; i++)
    if (has_suffix(list->item[i].path, strlen(list->item[i].path), name))
      chosen[i] = any = true;
  return any;
}

/* A list from a folder may name modules that this model does not have, but it must match at least
 * one. */
static cdl_status select_targets(const model_adapter *a, const adapter_settings *s,
                                 const module_list *list)
{
  static const char what[] = "target pattern";
  bool some = false;
  if (s->target_pattern != NULL) {
    CDL_TRY(select_by_pattern(list, what, s->target_pattern, list->chosen, &some));
    return some ? CDL_STATUS_OK : unmatched(a, what, s->target_pattern);
  }
  for (size_t t = 0; t < s->targets.count; t++) {
    const bool any = select_by_suffix(list, s->targets.item[t], list->chosen);
    some = some || any;
    if (!any && (!s->ignore_unmatched || (!some && t + 1 == s->targets.count)))
      return unmatched(a, "target", s->targets.item[t]);
  }
  return CDL_STATUS_OK;
}

/* Gives the number of a path's layer, from the first pattern that finds one. */
static cdl_status number_of_layer(const adapter_settings *s, const char *path, int64_t *number)
{
  static const char *const any_module[] = {"[^.]*"};
  const bool named = s->layers_pattern.count > 0;
  const char *const *texts = named ? (const char *const *)s->layers_pattern.item : any_module;
  *number = -1;
  for (size_t p = 0; p < (named ? s->layers_pattern.count : 1) && *number < 0; p++) {
    module_pattern *pattern;
    CDL_TRY(module_pattern_create("layers pattern", texts[p], &pattern));
    const cdl_status status = module_pattern_number(pattern, path, number);
    module_pattern_free(pattern);
    CDL_TRY(status);
  }
  return CDL_STATUS_OK;
}

/* Keeps the chosen targets in the layers that the settings list. As in PEFT, a target given by its
 * full path is always kept. */
static cdl_status keep_layers(const model_adapter *a, const adapter_settings *s,
                              const module_list *list)
{
  if (s->layer_count == 0)
    return s->layers_pattern.count == 0 || s->ignore_unmatched
               ? CDL_STATUS_OK
               : cdl_fail(CDL_STATUS_USAGE,
                          "a layers pattern (--layers-pattern) wants the numbers of layers too");
  if (s->target_pattern != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "numbers of layers go with a list of targets, not with a pattern");
  const int64_t layers = encoder_config(a->encoder)->layers;
  for (size_t l = 0; l < s->layer_count && !s->ignore_unmatched; l++)
    if (s->layers[l] < 0 || s->layers[l] >= layers)
      return cdl_fail(CDL_STATUS_USAGE, "there is no layer %lld: the model's are 0 to %lld",
                      (long long)s->layers[l], (long long)layers - 1);
  for (size_t i = 0; i < list->count; i++) {
    const char *path = list->item[i].path;
    bool kept = !list->chosen[i];
    for (size_t t = 0; t < s->targets.count && !kept; t++)
      kept = strcmp(s->targets.item[t], path) == 0;
    if (kept)
      continue;
    int64_t number;
    CDL_TRY(number_of_layer(s, path, &number));
    for (size_t l = 0; l < s->layer_count && !kept; l++)
      kept = number == s->layers[l];
    list->chosen[i] = kept;
  }
  return CDL_STATUS_OK;
}

/* A list from a folder may exclude modules that this model does not have. */
static cdl_status leave_out_excluded(const model_adapter *a, const adapter_settings *s,
                                     const module_list *list)
{
  static const char what[] = "excluded module pattern";
  bool any = true;
  if (s->excluded_pattern != NULL)
    CDL_TRY(select_by_pattern(list, what, s->excluded_pattern, list->scratch, &any));
  if (!any && !s->ignore_unmatched)
    return unmatched(a, what, s->excluded_pattern);
  for (size_t e = 0; e < s->excluded.count; e++)
    if (!select_by_suffix(list, s->excluded.item[e], list->scratch) && !s->ignore_unmatched)
      return unmatched(a, "excluded module", s->excluded.item[e]);
  for (size_t i = 0; i < list->count; i++)
    list->chosen[i] = list->chosen[i] && !list->scratch[i];
  return CDL_STATUS_OK;
}

static cdl_status choose_modules(const model_adapter *a, const adapter_settings *s,
                                 const module_list *list)
{
  CDL_TRY(select_targets(a, s, list));
  CDL_TRY(keep_layers(a, s, list));
  return leave_out_excluded(a, s, list);
}

/* Returns how many bytes of a path are the module with suffix `module` that contains it; 0 if none
 * does. */
static size_t bytes_of_module(const char *path, const char *module)
{
  for (size_t end = 1; path[end - 1] != '\0'; end++)
    if ((path[end] == '.' || path[end] == '\0') && has_suffix(path, end, module))
      return end;
  return 0;
}

/* Returns whether the module to save with this suffix is the path's module or contains it. */
static bool within_module(const char *path, const char *module)
{
  return bytes_of_module(path, module) > 0;
}

/* For SEQ_CLS, PEFT adds the head to the modules to save. */
static bool saved_whole(const model_adapter *a, const adapter_settings *s, const char *path)
{
  if (s->train_pooler && within_module(path, "pooler"))
    return true;
  if (a->source != NULL && a->source->saves_head &&
      (within_module(path, "classifier") || within_module(path, "pre_classifier")))
    return true;
  for (size_t m = 0; m < s->modules_to_save.count; m++)
    if (within_module(path, s->modules_to_save.item[m]))
      return true;
  return false;
}

/* ---- Ranks ---- */

float adapter_scale(const adapter_settings *s, int64_t rank, double alpha)
{
  if (!adapter_has(s->method, ADAPTER_HAS_ALPHA))
    return 1;
  return (float)(alpha / (s->rslora ? sqrt((double)rank) : (double)rank));
}

/* Returns the path of a module; folded modules come after the others. */
static const char *path_of(const model_adapter *a, size_t i)
{
  return i < a->module_count ? a->modules[i]->path : a->folded[i - a->module_count].path;
}

/* Sets the value of the first matching pattern for each module. Without a match the value stays. */
static cdl_status apply_patterns(const model_adapter *a, const adapter_settings *s,
                                 const char *what, const adapter_module_values *list,
                                 double *values)
{
  const size_t modules = a->module_count + a->folded_count;
  bool *decided = calloc(modules + 1, sizeof *decided);
  if (decided == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", what);
  cdl_status status = CDL_STATUS_OK;
  for (size_t p = 0; p < list->count && status == CDL_STATUS_OK; p++) {
    module_pattern *pattern;
    status = module_pattern_create(what, list->item[p].pattern, &pattern);
    if (status != CDL_STATUS_OK)
      break;
    bool any = false;
    for (size_t i = 0; i < modules && status == CDL_STATUS_OK; i++) {
      bool matches;
      status = module_pattern_matches_end(pattern, path_of(a, i), &matches);
      if (!matches)
        continue;
      any = true;
      if (!decided[i])
        values[i] = list->item[p].value;
      decided[i] = true;
    }
    module_pattern_free(pattern);
    if (status == CDL_STATUS_OK && !any && !s->ignore_unmatched)
      status = unmatched(a, what, list->item[p].pattern);
  }
  free(decided);
  return status;
}

/* PEFT does not train with an alpha of 0 or below, but reads such adapters. */
static cdl_status check_module(const adapter_settings *s, const module_settings *m,
                               const char *path)
{
  if (m->rank < 1 || m->rank > 65536)
    return cdl_fail(CDL_STATUS_USAGE, "%s: rank is 1 to 65536, not %lld", path, (long long)m->rank);
  if (adapter_has(s->method, ADAPTER_HAS_ALPHA) &&
      (!(fabs(m->alpha) <= 1e9) || (m->alpha <= 0 && !s->ignore_unmatched)))
    return cdl_fail(CDL_STATUS_USAGE, "%s: alpha is above 0 and at most 1e9, not %g", path,
                    m->alpha);
  return CDL_STATUS_OK;
}

static cdl_status settle_modules(model_adapter *a, const adapter_settings *s)
{
  const size_t modules = a->module_count + a->folded_count;
  a->per_module = calloc(a->module_count + 1, sizeof *a->per_module);
  double *values = calloc(2 * modules + 1, sizeof *values), *alphas = values + modules;
  if (a->per_module == NULL || values == NULL) {
    free(values);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu layers", modules);
  }
  for (size_t i = 0; i < modules; i++) {
    values[i] = (double)s->rank;
    alphas[i] = s->alpha;
  }
  cdl_status status = apply_patterns(a, s, "rank pattern", &s->rank_pattern, values);
  if (status == CDL_STATUS_OK)
    status = apply_patterns(a, s, "alpha pattern", &s->alpha_pattern, alphas);
  for (size_t i = 0; i < modules && status == CDL_STATUS_OK; i++) {
    module_settings *m =
        i < a->module_count ? &a->per_module[i] : &a->folded[i - a->module_count].settings;
    *m = (module_settings){.rank = (int64_t)values[i], .alpha = alphas[i]};
    m->scale = adapter_scale(s, m->rank, m->alpha);
    status = check_module(s, m, path_of(a, i));
  }
  free(values);
  return status;
}

/* ---- Runs ---- */

/* Groups modules of one kind, in the order of their layers, into runs of equal distance. Layers
 * that share parameters must have equal ranks. */
static cdl_status make_runs(model_adapter *a)
{
  a->runs = calloc(a->module_count + 1, sizeof *a->runs);
  a->run_modules = calloc(a->module_count + 1, sizeof(encoder_module *));
  a->run_numbers = calloc(a->module_count + 1, sizeof *a->run_numbers);
  if (a->runs == NULL || a->run_modules == NULL || a->run_numbers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu layers", a->module_count);
  size_t used = 0;
  for (int kind = 0; kind < MODEL_MODULES_PER_BLOCK; kind++) {
    layer_batch *run = NULL;
    int64_t stride = 0, rank = 0;
    const size_t before = a->run_count;
    for (size_t i = 0; i < a->module_count; i++) {
      encoder_module *module = a->modules[i];
      if (module->layer < 0 || (int)module->kind != kind)
        continue;
      rank = rank == 0 ? a->per_module[i].rank : rank;
      if (a->method->shares && a->per_module[i].rank != rank)
        return cdl_fail(CDL_STATUS_USAGE,
                        "method %s shares the rank of layers of one kind: %s cannot have rank "
                        "%lld beside %lld",
                        a->method->name, module->path, (long long)a->per_module[i].rank,
                        (long long)rank);
      const int64_t step =
          run != NULL ? module->weight.offset - run->modules[run->count - 1]->weight.offset : 0;
      if (run == NULL || module->weight.buffer != run->weights.buffer ||
          (run->count > 1 && step != stride)) {
        run = &a->runs[a->run_count++];
        *run = (layer_batch){.kind = (model_module_kind)kind,
                             .modules = a->run_modules + used,
                             .numbers = a->run_numbers + used,
                             .rank = rank,
                             .group = a->group_count,
                             .weights = module->weight};
      } else {
        stride = step;
        run->weights.stride[1] = step;
      }
      a->run_numbers[used++] = i;
      run->modules[run->count++] = module;
      run->weights.size[1] = run->count;
    }
    a->group_count += a->run_count > before;
  }
  return CDL_STATUS_OK;
}

/* Takes the chosen modules that are not saved whole. `*outside` says whether some of them are
 * outside the blocks, where the method cannot share parameters. */
static void take_modules(model_adapter *a, const adapter_settings *s, const module_list *list,
                         bool *outside)
{
  *outside = false;
  for (size_t i = 0; i < list->count; i++) {
    const candidate *m = &list->item[i];
    if (!list->chosen[i] || saved_whole(a, s, m->path))
      continue;
    if (a->method->shares && (m->module == NULL || m->module->layer < 0))
      *outside = *outside || m->module != NULL;
    else if (m->module != NULL)
      a->modules[a->module_count++] = m->module;
    else if (a->stored != NULL) {
      adapter_folded *f = &a->folded[a->folded_count++];
      *f = (adapter_folded){.weight = m->weight, .table = m->table};
      memcpy(f->path, m->path, sizeof f->path);
    }
  }
}

cdl_status adapter_own_weights(model_adapter *a, cdl_queue *queue, bool written)
{
  encoder_parameter **list = calloc(a->module_count + 1, sizeof *list);
  if (list == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu layers", a->module_count);
  for (size_t i = 0; i < a->module_count; i++)
    list[i] = a->modules[i]->parameter;
  const cdl_status status = encoder_own(a->encoder, queue, list, a->module_count, written);
  free(list);
  return status;
}

cdl_status adapter_find_targets(model_adapter *a, cdl_queue *queue, const adapter_settings *s)
{
  module_list list;
  CDL_TRY(list_modules(a, &list));
  a->modules = calloc(list.count + 1, sizeof(encoder_module *));
  a->folded = calloc(list.count + 1, sizeof *a->folded);
  a->module_count = a->folded_count = 0;
  cdl_status status =
      a->modules != NULL && a->folded != NULL
          ? choose_modules(a, s, &list)
          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu linear layers", list.count);
  bool outside = false;
  if (status == CDL_STATUS_OK)
    take_modules(a, s, &list, &outside);
  free_modules(&list);
  CDL_TRY(status);
  if (outside)
    cdl_log(CDL_LOG_NOTICE,
            "%s shares its layers by their place in a block: those outside are left as they are",
            a->method->name);
  if (a->module_count + a->folded_count == 0)
    return cdl_fail(CDL_STATUS_USAGE, "the targets leave no linear layer to adapt");
  CDL_TRY(settle_modules(a, s));
  /* The weights of equal layers are multiplied in one call. */
  if (a->method->shares)
    CDL_TRY(adapter_own_weights(a, queue, false));
  return make_runs(a);
}

/* ---- Trained tensors of the model ---- */

bool adapter_is_bias(const encoder_parameter *p)
{
  static const char ending[] = ".bias";
  const size_t n = strlen(p->name);
  return n >= sizeof ending && strcmp(p->name + n - (sizeof ending - 1), ending) == 0;
}

static bool bias_of_adapted(const model_adapter *a, const encoder_parameter *p)
{
  if (!adapter_is_bias(p))
    return false;
  for (size_t i = 0; i < a->module_count + a->folded_count; i++) {
    const char *path = path_of(a, i);
    const size_t n = strlen(path);
    if (strncmp(p->name, path, n) == 0 && strcmp(p->name + n, ".bias") == 0)
      return true;
  }
  return false;
}

bool adapter_says_saved(const model_adapter *a, const char *name)
{
  return saved_whole(a, &a->source->settings, name);
}

cdl_status adapter_mark_trained(model_adapter *a, const adapter_settings *s)
{
  encoder_parameter *parameters = encoder_parameters(a->encoder);
  const size_t count = encoder_parameter_count(a->encoder);
  for (size_t m = 0; m < s->modules_to_save.count && !s->ignore_unmatched; m++) {
    bool any = false;
    for (size_t i = 0; i < count; i++)
      any = any || within_module(parameters[i].name, s->modules_to_save.item[m]);
    if (!any)
      return cdl_fail(
          CDL_STATUS_USAGE,
          "module to save '%s' matches no module of the model (condlora inspect lists all)",
          s->modules_to_save.item[m]);
  }
  for (size_t i = 0; i < count; i++) {
    encoder_parameter *p = &parameters[i];
    const bool head = model_checkpoint_is_head(p->name);
    p->trained = head || saved_whole(a, s, p->name) || adapter_holds(a, p) ||
                 (a->method->trains != NULL && a->method->trains(p)) ||
                 (s->bias == ADAPTER_BIAS_ALL && adapter_is_bias(p)) ||
                 (s->bias == ADAPTER_BIAS_ADAPTED && bias_of_adapted(a, p));
  }
  return CDL_STATUS_OK;
}

/* ---- Modules to save in a folder ---- */

/* Returns whether a name matches a part of the head, as "dense" matches classifier.dense. */
static bool picks_part_of_head(const model_adapter *a, const char *name)
{
  const encoder_parameter *parameters = encoder_parameters(a->encoder);
  for (size_t i = 0; i < encoder_parameter_count(a->encoder); i++) {
    const char *path = parameters[i].name;
    const size_t bytes = model_checkpoint_is_head(path) ? bytes_of_module(path, name) : 0;
    if (memchr(path, '.', bytes) != NULL)
      return true;
  }
  return false;
}

static cdl_status add_name(base_list *names, const char *name, size_t bytes)
{
  for (size_t i = 0; i < names->count; i++)
    if (strlen(names->item[i]) == bytes && memcmp(names->item[i], name, bytes) == 0)
      return CDL_STATUS_OK;
  return base_list_add(names, name, bytes)
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: modules to save");
}

cdl_status adapter_saved_modules(const model_adapter *a, const base_list *given, base_list *saved)
{
  const encoder_parameter *parameters = encoder_parameters(a->encoder);
  *saved = (base_list){0};
  for (size_t n = 0; n < given->count; n++) {
    const char *name = given->item[n];
    if (!picks_part_of_head(a, name)) {
      CDL_TRY(add_name(saved, name, strlen(name)));
      continue;
    }
    for (size_t i = 0; i < encoder_parameter_count(a->encoder); i++) {
      const char *path = parameters[i].name;
      const size_t bytes = model_checkpoint_is_head(path) ? 0 : bytes_of_module(path, name);
      if (bytes > 0)
        CDL_TRY(add_name(saved, path, bytes));
    }
  }
  return CDL_STATUS_OK;
}
