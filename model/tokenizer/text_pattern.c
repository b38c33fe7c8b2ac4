#include "model/tokenizer/text_pattern.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer/pattern_translation.h"

/* The steps of a search, besides eight for each byte of the text, and its memory in KiB. */
enum { STEPS = 200000, STEPS_A_BYTE = 8, DEPTH = 20000, MEMORY_KIB = 65536 };

static cdl_status compile(const char *text, size_t bytes, uint32_t options,
                          tokenizer_text_pattern *pattern)
{
  pcre2_compile_context *context = pcre2_compile_context_create(NULL);
  if (context == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a pattern");
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pattern->code = pcre2_compile((PCRE2_SPTR)text, bytes, options | PCRE2_UTF | PCRE2_NO_UTF_CHECK,
                                &error, &offset, context);
  pcre2_compile_context_free(context);
  if (pattern->code == NULL) {
    PCRE2_UCHAR reason[128];
    pcre2_get_error_message(error, reason, sizeof reason);
    return cdl_fail(error == PCRE2_ERROR_NOMEMORY ? CDL_STATUS_MEMORY : CDL_STATUS_DATA,
                    "the pattern \"%.64s\": %s", pattern->source, (const char *)reason);
  }
  /* If the system forbids generated code, PCRE2 interprets instead. */
  (void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_text_pattern_compile(const char *source, bool expression,
                                          tokenizer_text_pattern *pattern)
{
  *pattern = (tokenizer_text_pattern){.source = strdup(source)};
  if (pattern->source == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a pattern");
  if (!expression)
    return compile(source, strlen(source), PCRE2_LITERAL, pattern);
  base_bytes translated = {0};
  cdl_status status = tokenizer_pattern_translate(source, &translated);
  if (status == CDL_STATUS_OK)
    status = compile(translated.count > 0 ? (const char *)translated.data : "", translated.count,
                     PCRE2_MULTILINE, pattern);
  free(translated.data);
  return status;
}

void tokenizer_text_pattern_release(tokenizer_text_pattern *pattern)
{
  free(pattern->source);
  pcre2_code_free(pattern->code);
  *pattern = (tokenizer_text_pattern){0};
}

void tokenizer_text_matcher_release(tokenizer_text_matcher *matcher)
{
  pcre2_match_data_free(matcher->match);
  pcre2_match_context_free(matcher->limits);
  *matcher = (tokenizer_text_matcher){0};
}

static cdl_status prepare(tokenizer_text_matcher *matcher, size_t bytes)
{
  if (matcher->match == NULL)
    matcher->match = pcre2_match_data_create(1, NULL);
  if (matcher->limits == NULL)
    matcher->limits = pcre2_match_context_create(NULL);
  if (matcher->match == NULL || matcher->limits == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a pattern");
  const size_t steps = bytes > UINT32_MAX / 16 ? UINT32_MAX : STEPS + STEPS_A_BYTE * bytes;
  pcre2_set_match_limit(matcher->limits, (uint32_t)steps);
  pcre2_set_depth_limit(matcher->limits, (uint32_t)(bytes > steps - DEPTH ? steps : DEPTH + bytes));
  pcre2_set_heap_limit(matcher->limits, MEMORY_KIB);
  return CDL_STATUS_OK;
}

static cdl_status search(const tokenizer_text_walk *walk, tokenizer_text_matcher *matcher,
                         bool *found)
{
  const tokenizer_text_pattern *pattern = walk->pattern;
  int result = pcre2_match(pattern->code, walk->text, walk->bytes, walk->searched,
                           PCRE2_NO_UTF_CHECK, matcher->match, matcher->limits);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its stack on the heap */
    result = pcre2_match(pattern->code, walk->text, walk->bytes, walk->searched,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->match, matcher->limits);
  *found = result >= 0;
  if (*found || result == PCRE2_ERROR_NOMATCH)
    return CDL_STATUS_OK;
  if (result == PCRE2_ERROR_NOMEMORY)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the pattern \"%.64s\"", pattern->source);
  PCRE2_UCHAR reason[128];
  pcre2_get_error_message(result, reason, sizeof reason);
  return cdl_fail(
      CDL_STATUS_DATA,
      "the tokenizer's pattern \"%.64s\" takes too much work in a text of %zu bytes: %s",
      pattern->source, walk->bytes, (const char *)reason);
}

cdl_status tokenizer_text_walk_next(tokenizer_text_walk *walk, tokenizer_text_matcher *matcher,
                                    size_t *begin, size_t *end, bool *found)
{
  CDL_TRY(prepare(matcher, walk->bytes));
  while (walk->searched <= walk->bytes) {
    CDL_TRY(search(walk, matcher, found));
    if (!*found)
      return CDL_STATUS_OK;
    const PCRE2_SIZE *match = pcre2_get_ovector_pointer(matcher->match);
    *begin = match[0];
    *end = match[1];
    if (*begin != *end || !walk->matched || walk->last_end != *end) {
      walk->searched = walk->last_end = *end;
      walk->matched = true;
      return CDL_STATUS_OK;
    }
    do
      walk->searched++;
    while (walk->searched < walk->bytes && (walk->text[walk->searched] & 0xc0) == 0x80);
  }
  *found = false;
  return CDL_STATUS_OK;
}
