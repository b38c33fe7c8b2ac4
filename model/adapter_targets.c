/* Which linear layers an adapter reaches, and which tensors of the model are trained: PEFT's
 * matching rules. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"
#include "model/adapter_state.h"
#include "model/checkpoint.h"
#include "model/module_pattern.h"
#include "model/nearest.h"

/* path is `suffix`, or ends in ".suffix". */
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

/* The sites' last names nearest to `wanted`: at most three, "query, key". */
static void near_misses(const cdl_adapter *a, const char *wanted, char *text, size_t bytes)
{
  const cdl_site *sites = cdl_encoder_sites(a->encoder);
  const size_t count = cdl_encoder_site_count(a->encoder);
  const char *best[3] = {NULL};
  const char *name = last_name(wanted);
  for (int k = 0; k < 3; k++) {
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
      const char *candidate = last_name(sites[i].path);
      bool listed = false;
      for (int j = 0; j < k; j++)
        listed = listed || strcmp(best[j], candidate) == 0;
      const size_t d = cdl_distance(name, candidate);
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

static cdl_status unmatched(const cdl_adapter *a, const char *what, const char *wanted)
{
  char near[256];
  near_misses(a, wanted, near, sizeof near);
  return cdl_fail(
      CDL_USAGE,
      "%s '%s' matches no linear layer of the model; near it are %s (condlora inspect lists all)",
      what, wanted, near);
}

/* PEFT's word for every linear layer but the head's. */
static const char every_layer[] = "all-linear";

/* Marks the sites that one expression names. */
static cdl_status select_by_pattern(const cdl_adapter *a, const char *what, const char *text,
                                    bool *chosen)
{
  const cdl_site *sites = cdl_encoder_sites(a->encoder);
  const size_t count = cdl_encoder_site_count(a->encoder);
  if (strcmp(text, every_layer) == 0) {
    for (size_t i = 0; i < count; i++)
      chosen[i] = true;
    return CDL_OK;
  }
  module_pattern *pattern;
  char name[64];
  snprintf(name, sizeof name, "%s pattern", what);
  CDL_TRY(module_pattern_create(name, text, &pattern));
  bool any = false;
  cdl_status status = CDL_OK;
  for (size_t i = 0; i < count && status == CDL_OK; i++) {
    status = module_pattern_matches(pattern, sites[i].path, &chosen[i]);
    any = any || chosen[i];
  }
  module_pattern_free(pattern);
  CDL_TRY(status);
  return any ? CDL_OK : unmatched(a, name, text);
}

/* Marks the sites that a list names by the ends of their paths. RoBERTa's classifier.dense is the
 * head's, trained whole: "dense" matches it for PEFT too, and skips it. */
static cdl_status select_by_suffix(const cdl_adapter *a, const char *what, const char *const *names,
                                   size_t name_count, bool *chosen)
{
  const cdl_site *sites = cdl_encoder_sites(a->encoder);
  for (size_t t = 0; t < name_count; t++) {
    bool any = false;
    for (size_t i = 0; i < cdl_encoder_site_count(a->encoder); i++)
      if (has_suffix(sites[i].path, strlen(sites[i].path), names[t]))
        chosen[i] = any = true;
    if (!any)
      return unmatched(a, what, names[t]);
  }
  return CDL_OK;
}

/* The number of a path's layer by the first of the patterns that finds one. */
static cdl_status number_of_layer(const cdl_adapter_settings *s, const char *path, int64_t *number)
{
  static const char *const any_module[] = {"[^.]*"};
  const bool named = s->layers_pattern_count > 0;
  const char *const *texts = named ? s->layers_pattern : any_module;
  *number = -1;
  for (size_t p = 0; p < (named ? s->layers_pattern_count : 1) && *number < 0; p++) {
    module_pattern *pattern;
    CDL_TRY(module_pattern_create("layers pattern", texts[p], &pattern));
    const cdl_status status = module_pattern_number(pattern, path, number);
    module_pattern_free(pattern);
    CDL_TRY(status);
  }
  return CDL_OK;
}

/* Of the targets chosen, those in the layers that the settings list. A target given by its whole
 * path stays in any case, as in PEFT. */
static cdl_status keep_layers(const cdl_adapter *a, const cdl_adapter_settings *s, bool *chosen)
{
  if (s->layer_count == 0)
    return s->layers_pattern_count == 0
               ? CDL_OK
               : cdl_fail(CDL_USAGE,
                          "a layers pattern (--layers-pattern) wants the numbers of layers too");
  if (s->target_pattern != NULL)
    return cdl_fail(CDL_USAGE, "numbers of layers go with a list of targets, not with a pattern");
  const cdl_site *sites = cdl_encoder_sites(a->encoder);
  const int64_t layers = cdl_encoder_config(a->encoder)->layers;
  for (size_t l = 0; l < s->layer_count && !s->ignore_unmatched; l++)
    if (s->layers[l] < 0 || s->layers[l] >= layers)
      return cdl_fail(CDL_USAGE, "there is no layer %lld: the model's are 0 to %lld",
                      (long long)s->layers[l], (long long)layers - 1);
  for (size_t i = 0; i < cdl_encoder_site_count(a->encoder); i++) {
    bool kept = !chosen[i];
    for (size_t t = 0; t < s->target_count && !kept; t++)
      kept = strcmp(s->targets[t], sites[i].path) == 0;
    if (kept)
      continue;
    int64_t number;
    CDL_TRY(number_of_layer(s, sites[i].path, &number));
    for (size_t l = 0; l < s->layer_count && !kept; l++)
      kept = number == s->layers[l];
    chosen[i] = kept;
  }
  return CDL_OK;
}

/* A list read from a folder may exclude what this model does not have. */
static cdl_status leave_out_excluded(const cdl_adapter *a, const cdl_adapter_settings *s,
                                     bool *chosen, bool *scratch)
{
  static const char what[] = "excluded module";
  const size_t count = cdl_encoder_site_count(a->encoder);
  if (s->excluded_pattern == NULL && s->excluded_count == 0)
    return CDL_OK;
  memset(scratch, 0, count * sizeof *scratch);
  cdl_status status = CDL_OK;
  if (s->excluded_pattern != NULL)
    status = select_by_pattern(a, what, s->excluded_pattern, scratch);
  for (size_t e = 0; e < s->excluded_count && status == CDL_OK; e++) {
    status = select_by_suffix(a, what, &s->excluded[e], 1, scratch);
    if (s->ignore_unmatched)
      status = CDL_OK;
  }
  if (status != CDL_OK && !s->ignore_unmatched)
    return status;
  for (size_t i = 0; i < count; i++)
    chosen[i] = chosen[i] && !scratch[i];
  return CDL_OK;
}

static cdl_status choose_sites(const cdl_adapter *a, const cdl_adapter_settings *s, bool *chosen,
                               bool *scratch)
{
  CDL_TRY(s->target_pattern != NULL
              ? select_by_pattern(a, "target", s->target_pattern, chosen)
              : select_by_suffix(a, "target", s->targets, s->target_count, chosen));
  CDL_TRY(keep_layers(a, s, chosen));
  return leave_out_excluded(a, s, chosen, scratch);
}

/* Whether a module to save, by its suffix, is the path's module or holds it. */
static bool within_module(const char *path, const char *module)
{
  for (size_t end = 1; path[end - 1] != '\0'; end++)
    if ((path[end] == '.' || path[end] == '\0') && has_suffix(path, end, module))
      return true;
  return false;
}

static bool saved_whole(const cdl_adapter_settings *s, const char *path)
{
  if (s->train_pooler && within_module(path, "pooler"))
    return true;
  for (size_t m = 0; m < s->module_count; m++)
    if (within_module(path, s->modules_to_save[m]))
      return true;
  return false;
}

/* ---- Ranks ---- */

float adapter_scale(const cdl_adapter_settings *s, int64_t rank, double alpha)
{
  return (float)(alpha / (s->rslora ? sqrt((double)rank) : (double)rank));
}

/* The value of the first pattern that matches each site; where none does, it stays. */
static cdl_status apply_patterns(const cdl_adapter *a, const cdl_adapter_settings *s,
                                 const char *what, const cdl_module_value *list, size_t count,
                                 double *values)
{
  bool *decided = calloc(a->site_count + 1, sizeof *decided);
  if (decided == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %s", what);
  cdl_status status = CDL_OK;
  for (size_t p = 0; p < count && status == CDL_OK; p++) {
    module_pattern *pattern;
    status = module_pattern_create(what, list[p].pattern, &pattern);
    if (status != CDL_OK)
      break;
    bool any = false;
    for (size_t i = 0; i < a->site_count && status == CDL_OK; i++) {
      bool matches;
      status = module_pattern_matches_end(pattern, a->sites[i]->path, &matches);
      if (!matches)
        continue;
      any = true;
      if (!decided[i])
        values[i] = list[p].value;
      decided[i] = true;
    }
    module_pattern_free(pattern);
    if (status == CDL_OK && !any && !s->ignore_unmatched)
      status = unmatched(a, what, list[p].pattern);
  }
  free(decided);
  return status;
}

static cdl_status check_module(const site_settings *m, const char *path)
{
  if (m->rank < 1 || m->rank > 65536)
    return cdl_fail(CDL_USAGE, "%s: rank is 1 to 65536, not %lld", path, (long long)m->rank);
  if (!(m->alpha > 0 && m->alpha <= 1e9))
    return cdl_fail(CDL_USAGE, "%s: alpha is above 0 and at most 1e9, not %g", path, m->alpha);
  return CDL_OK;
}

static cdl_status settle_modules(cdl_adapter *a, const cdl_adapter_settings *s)
{
  a->per_site = calloc(a->site_count, sizeof *a->per_site);
  double *values = calloc(2 * a->site_count, sizeof *values), *alphas = values + a->site_count;
  if (a->per_site == NULL || values == NULL) {
    free(values);
    return cdl_fail(CDL_MEMORY, "out of memory: an adapter of %zu layers", a->site_count);
  }
  for (size_t i = 0; i < a->site_count; i++) {
    values[i] = (double)s->rank;
    alphas[i] = s->alpha;
  }
  cdl_status status =
      apply_patterns(a, s, "rank pattern", s->rank_pattern, s->rank_pattern_count, values);
  if (status == CDL_OK)
    status =
        apply_patterns(a, s, "alpha pattern", s->alpha_pattern, s->alpha_pattern_count, alphas);
  for (size_t i = 0; i < a->site_count && status == CDL_OK; i++) {
    site_settings *m = &a->per_site[i];
    *m = (site_settings){.rank = (int64_t)values[i], .alpha = alphas[i]};
    m->scale = adapter_scale(s, m->rank, m->alpha);
    status = check_module(m, a->sites[i]->path);
  }
  free(values);
  return status;
}

/* ---- Runs ---- */

/* Sites of one kind, in the order of their layers, cut where their distance changes. Layers that
 * share parameters share their rank. */
static cdl_status make_runs(cdl_adapter *a)
{
  a->runs = calloc(a->site_count, sizeof *a->runs);
  a->run_sites = calloc(a->site_count, sizeof(cdl_site *));
  a->run_numbers = calloc(a->site_count, sizeof *a->run_numbers);
  if (a->runs == NULL || a->run_sites == NULL || a->run_numbers == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: an adapter of %zu layers", a->site_count);
  size_t used = 0;
  for (int kind = 0; kind < CDL_SITES_PER_BLOCK; kind++) {
    site_run *run = NULL;
    int64_t stride = 0, rank = 0;
    const size_t before = a->run_count;
    for (size_t i = 0; i < a->site_count; i++) {
      cdl_site *site = a->sites[i];
      if (site->layer < 0 || (int)site->kind != kind)
        continue;
      rank = rank == 0 ? a->per_site[i].rank : rank;
      if (a->method->shares && a->per_site[i].rank != rank)
        return cdl_fail(CDL_USAGE,
                        "method %s shares the rank of layers of one kind: %s cannot have rank "
                        "%lld beside %lld",
                        a->method->name, site->path, (long long)a->per_site[i].rank,
                        (long long)rank);
      const int64_t step =
          run != NULL ? site->weight.offset - run->sites[run->count - 1]->weight.offset : 0;
      if (run == NULL || (run->count > 1 && step != stride)) {
        run = &a->runs[a->run_count++];
        *run = (site_run){.kind = (cdl_site_kind)kind,
                          .sites = a->run_sites + used,
                          .numbers = a->run_numbers + used,
                          .rank = rank,
                          .group = a->group_count,
                          .weights = site->weight};
      } else {
        stride = step;
        run->weights.stride[1] = step;
      }
      a->run_numbers[used++] = i;
      run->sites[run->count++] = site;
      run->weights.size[1] = run->count;
    }
    a->group_count += a->run_count > before;
  }
  return CDL_OK;
}

cdl_status adapter_find_targets(cdl_adapter *a, const cdl_adapter_settings *s)
{
  cdl_site *sites = cdl_encoder_sites(a->encoder);
  const size_t count = cdl_encoder_site_count(a->encoder);
  bool *chosen = calloc(2 * count, sizeof *chosen);
  a->sites = calloc(count, sizeof(cdl_site *));
  if (chosen == NULL || a->sites == NULL) {
    free(chosen);
    return cdl_fail(CDL_MEMORY, "out of memory: %zu linear layers", count);
  }
  const cdl_status status = choose_sites(a, s, chosen, chosen + count);
  const bool shares = a->method->shares;
  a->site_count = 0;
  bool outside = false;
  for (size_t i = 0; status == CDL_OK && i < count; i++) {
    if (!chosen[i] || saved_whole(s, sites[i].path))
      continue;
    if (shares && sites[i].layer < 0)
      outside = true;
    else
      a->sites[a->site_count++] = &sites[i];
  }
  free(chosen);
  CDL_TRY(status);
  if (outside)
    cdl_log(CDL_LOG_NOTICE,
            "%s shares its layers by their place in a block: those outside are left as they are",
            a->method->name);
  if (a->site_count == 0)
    return cdl_fail(CDL_USAGE, "the targets leave no linear layer to adapt");
  CDL_TRY(settle_modules(a, s));
  return make_runs(a);
}

/* ---- What of the model is trained ---- */

bool adapter_is_bias(const cdl_parameter *p)
{
  static const char ending[] = ".bias";
  const size_t n = strlen(p->name);
  return n >= sizeof ending && strcmp(p->name + n - (sizeof ending - 1), ending) == 0;
}

static bool bias_of_adapted(const cdl_adapter *a, const cdl_parameter *p)
{
  if (!adapter_is_bias(p))
    return false;
  for (size_t i = 0; i < a->site_count; i++) {
    const size_t n = strlen(a->sites[i]->path);
    if (strncmp(p->name, a->sites[i]->path, n) == 0 && strcmp(p->name + n, ".bias") == 0)
      return true;
  }
  return false;
}

cdl_status adapter_mark_trained(cdl_adapter *a, const cdl_adapter_settings *s)
{
  cdl_parameter *parameters = cdl_encoder_parameters(a->encoder);
  const size_t count = cdl_encoder_parameter_count(a->encoder);
  for (size_t m = 0; m < s->module_count && !s->ignore_unmatched; m++) {
    bool any = false;
    for (size_t i = 0; i < count; i++)
      any = any || within_module(parameters[i].name, s->modules_to_save[m]);
    if (!any)
      return cdl_fail(
          CDL_USAGE,
          "module to save '%s' matches no module of the model (condlora inspect lists all)",
          s->modules_to_save[m]);
  }
  for (size_t i = 0; i < count; i++) {
    cdl_parameter *p = &parameters[i];
    const bool head = cdl_checkpoint_is_head(p->name);
    p->trained = head || saved_whole(s, p->name) ||
                 (a->method->trains != NULL && a->method->trains(p)) ||
                 (s->bias == CDL_BIAS_ALL && adapter_is_bias(p)) ||
                 (s->bias == CDL_BIAS_ADAPTED && bias_of_adapted(a, p));
  }
  return CDL_OK;
}
