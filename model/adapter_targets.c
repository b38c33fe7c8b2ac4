/* Which linear layers an adapter reaches, and which tensors of the model are trained: PEFT's
 * matching rules. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"
#include "model/adapter_state.h"
#include "model/checkpoint.h"
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

static cdl_status compile_pattern(const char *pattern, pcre2_code **code)
{
  int error;
  PCRE2_SIZE where;
  *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                        PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &error, &where, NULL);
  if (*code != NULL)
    return CDL_OK;
  PCRE2_UCHAR text[128];
  pcre2_get_error_message(error, text, sizeof text);
  return cdl_fail(CDL_USAGE, "target pattern '%s' is no regular expression: %s at character %zu",
                  pattern, (const char *)text, where);
}

static bool matches(const pcre2_code *code, pcre2_match_data *data, const char *path)
{
  return pcre2_match(code, (PCRE2_SPTR)path, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL) >= 0;
}

/* PEFT's word for every linear layer but the head's. */
static const char every_layer[] = "all-linear";

static cdl_status select_by_pattern(cdl_adapter *a, const char *pattern, bool *chosen)
{
  if (strcmp(pattern, every_layer) == 0) {
    for (size_t i = 0; i < cdl_encoder_site_count(a->encoder); i++)
      chosen[i] = true;
    return CDL_OK;
  }
  pcre2_code *code;
  CDL_TRY(compile_pattern(pattern, &code));
  pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
  if (data == NULL) {
    pcre2_code_free(code);
    return cdl_fail(CDL_MEMORY, "out of memory: target pattern '%s'", pattern);
  }
  bool any = false;
  const cdl_site *sites = cdl_encoder_sites(a->encoder);
  for (size_t i = 0; i < cdl_encoder_site_count(a->encoder); i++) {
    chosen[i] = matches(code, data, sites[i].path);
    any = any || chosen[i];
  }
  pcre2_match_data_free(data);
  pcre2_code_free(code);
  return any ? CDL_OK : unmatched(a, "target pattern", pattern);
}

/* RoBERTa's classifier.dense is the head's, trained whole: "dense" matches it for PEFT too, and
 * skips it. */
static cdl_status select_by_suffix(cdl_adapter *a, const cdl_adapter_settings *s, bool *chosen)
{
  const cdl_site *sites = cdl_encoder_sites(a->encoder);
  for (size_t t = 0; t < s->target_count; t++) {
    bool any = false;
    for (size_t i = 0; i < cdl_encoder_site_count(a->encoder); i++)
      if (has_suffix(sites[i].path, strlen(sites[i].path), s->targets[t]))
        chosen[i] = any = true;
    if (!any)
      return unmatched(a, "target", s->targets[t]);
  }
  return CDL_OK;
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

/* Sites of one kind, in the order of their layers, cut where their distance changes. */
static cdl_status make_runs(cdl_adapter *a)
{
  a->runs = calloc(a->site_count, sizeof *a->runs);
  a->run_sites = calloc(a->site_count, sizeof(cdl_site *));
  if (a->runs == NULL || a->run_sites == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: an adapter of %zu layers", a->site_count);
  size_t used = 0;
  for (int kind = 0; kind < CDL_SITES_PER_BLOCK; kind++) {
    site_run *run = NULL;
    int64_t stride = 0;
    const size_t before = a->run_count;
    for (size_t i = 0; i < a->site_count; i++) {
      cdl_site *site = a->sites[i];
      if (site->layer < 0 || (int)site->kind != kind)
        continue;
      const int64_t step =
          run != NULL ? site->weight.offset - run->sites[run->count - 1]->weight.offset : 0;
      if (run == NULL || (run->count > 1 && step != stride)) {
        run = &a->runs[a->run_count++];
        *run = (site_run){.kind = (cdl_site_kind)kind,
                          .sites = a->run_sites + used,
                          .group = a->group_count,
                          .weights = site->weight};
      } else {
        stride = step;
        run->weights.stride[1] = step;
      }
      run->sites[run->count++] = site;
      used++;
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
  bool *chosen = calloc(count, sizeof *chosen);
  a->sites = calloc(count, sizeof(cdl_site *));
  if (chosen == NULL || a->sites == NULL) {
    free(chosen);
    return cdl_fail(CDL_MEMORY, "out of memory: %zu linear layers", count);
  }
  const cdl_status status = s->target_pattern != NULL
                                ? select_by_pattern(a, s->target_pattern, chosen)
                                : select_by_suffix(a, s, chosen);
  const bool shares = a->method->materialize != NULL;
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
            "%s shares its layers by their place in a block: the pooler is left as it is",
            a->method->name);
  if (a->site_count == 0)
    return cdl_fail(CDL_USAGE, "the targets leave no linear layer to adapt");
  return make_runs(a);
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
    p->trained =
        head || saved_whole(s, p->name) || (a->method->trains != NULL && a->method->trains(p));
  }
  return CDL_OK;
}
