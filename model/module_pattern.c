#include "model/module_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct module_pattern {
  pcre2_code *code;
  pcre2_match_data *data;
};

/* `before` and `after` stand around the text, which is an expression by itself. */
static cdl_status compile(const char *what, const char *before, const char *text, const char *after,
                          uint32_t options, module_pattern **pattern)
{
  int error;
  PCRE2_SIZE where;
  PCRE2_UCHAR reason[128];
  *pattern = NULL;
  pcre2_code *alone =
      pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &where, NULL);
  if (alone == NULL) {
    pcre2_get_error_message(error, reason, sizeof reason);
    return cdl_fail(CDL_USAGE, "%s '%s' is no regular expression: %s at character %zu", what, text,
                    (const char *)reason, where);
  }
  pcre2_code_free(alone);

  char *whole = NULL;
  module_pattern *p = calloc(1, sizeof *p);
  if (p != NULL && asprintf(&whole, "%s%s%s", before, text, after) >= 0)
    p->code = pcre2_compile((PCRE2_SPTR)whole, PCRE2_ZERO_TERMINATED, PCRE2_UTF | options, &error,
                            &where, NULL);
  if (p != NULL && p->code != NULL)
    p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
  free(whole);
  if (p == NULL || p->data == NULL) {
    module_pattern_free(p);
    return cdl_fail(CDL_MEMORY, "out of memory: %s '%s'", what, text);
  }
  *pattern = p;
  return CDL_OK;
}

cdl_status module_pattern_whole(const char *what, const char *text, module_pattern **pattern)
{
  return compile(what, "", text, "", PCRE2_ANCHORED | PCRE2_ENDANCHORED, pattern);
}

cdl_status module_pattern_end(const char *what, const char *text, module_pattern **pattern)
{
  return compile(what, "(?:.*\\.)?(?:", text, ")", PCRE2_ANCHORED | PCRE2_ENDANCHORED, pattern);
}

cdl_status module_pattern_layer(const char *what, const char *text, module_pattern **pattern)
{
  return compile(what, ".*\\.(?:", text, ")\\.(?<layer>[0-9]+)\\.", PCRE2_ANCHORED, pattern);
}

void module_pattern_free(module_pattern *p)
{
  if (p == NULL)
    return;
  pcre2_match_data_free(p->data);
  pcre2_code_free(p->code);
  free(p);
}

bool module_pattern_matches(const module_pattern *p, const char *path)
{
  return pcre2_match(p->code, (PCRE2_SPTR)path, PCRE2_ZERO_TERMINATED, 0, 0, p->data, NULL) >= 0;
}

int64_t module_pattern_number(const module_pattern *p, const char *path)
{
  PCRE2_UCHAR digits[24];
  PCRE2_SIZE bytes = sizeof digits;
  if (!module_pattern_matches(p, path) ||
      pcre2_substring_copy_byname(p->data, (PCRE2_SPTR) "layer", digits, &bytes) != 0)
    return -1;
  return strtoll((const char *)digits, NULL, 10);
}
