#include "model/adapter/module_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A path has about 60 characters, and usual expressions need fewer than a thousand steps. A match
 * that reaches the limit takes about 0.2 ms; a file may have thousands of expressions for hundreds
 * of paths. */
enum { STEPS_MOST = 20000, HEAP_KIB_MOST = 16384 };

struct module_pattern {
  const char *what, *text;
  pcre2_code *code;
  pcre2_match_data *data;
  pcre2_match_context *limits;
};

/* ---- Python's syntax ---- */

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

/* Returns the bytes of an escape with a letter that both libraries read alike, from the backslash
 * on; 0 for other escapes. */
static size_t escape_bytes(const char *c, bool in_class)
{
  static const char everywhere[] = "bdDsSwWafnrtv", outside[] = "AZB",
                    hexadecimal[] = "0123456789abcdefABCDEF";
  if (c[1] == 'x')
    return strspn(c + 2, hexadecimal) >= 2 ? 4 : 0;
  if ((c[1] >= 'a' && c[1] <= 'z') || (c[1] >= 'A' && c[1] <= 'Z'))
    return strchr(everywhere, c[1]) != NULL || (!in_class && strchr(outside, c[1]) != NULL) ? 2 : 0;
  return c[1] != '\0' ? 2 : 0;
}

/* Returns whether Python has the kind of group that begins with "(?" or "(*" at the parenthesis. */
static bool is_group(const char *c)
{
  static const char *const kinds[] = {":", "P<", "P=", "=", "!", "<=", "<!", "#", ">"};
  if (c[1] == '*')
    return false;
  if (c[1] != '?')
    return true;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strncmp(c + 2, kinds[i], strlen(kinds[i])) == 0)
      return true;
  if (c[2] == '(')
    return is_digit(c[3]);
  const size_t flags = strspn(c + 2, "imsx-");
  return flags > 0 && (c[2 + flags] == ')' || c[2 + flags] == ':');
}

/* Returns the bytes of a character class from its bracket on; 0 if the two libraries read it
 * differently. */
static size_t class_bytes(const char *text)
{
  const char *c = text + 1;
  c += *c == '^';
  for (bool first = true; *c != '\0' && (first || *c != ']'); first = false) {
    if (*c == '[' && strchr(":.=", c[1]) != NULL)
      return 0;
    const size_t bytes = *c == '\\' ? escape_bytes(c, true) : 1;
    if (bytes == 0)
      return 0;
    c += bytes;
  }
  return (size_t)(c - text) + (*c == ']');
}

/* "{,3}" means 0 to 3 repetitions in Python, and these four characters in PCRE2. */
static bool is_open_repeat(const char *c)
{
  const size_t digits = c[0] == '{' && c[1] == ',' ? strspn(c + 2, "0123456789") : 0;
  return digits > 0 && c[2 + digits] == '}';
}

/* Returns the bytes of the next unit at `c`; 0 for syntax that Python refuses or reads
 * differently. */
static size_t part_bytes(const char *c)
{
  if (*c == '\\')
    return escape_bytes(c, false);
  if (*c == '[')
    return class_bytes(c);
  if (strncmp(c, "(?#", 3) == 0)
    return strcspn(c, ")");
  return *c != '(' || is_group(c);
}

/* Translates `text` to PCRE2's syntax; `translated` has room for twice its length. Returns NULL, or
 * the place that cannot be translated. */
static const char *translate(const char *text, char *translated)
{
  const char *c = text;
  while (*c != '\0') {
    const size_t bytes = part_bytes(c);
    if (bytes == 0)
      return c;
    memcpy(translated, c, bytes);
    translated += bytes;
    if (is_open_repeat(c))
      *translated++ = '0';
    c += bytes;
  }
  *translated = '\0';
  return NULL;
}

/* ---- Compiling ---- */

static cdl_status compile(module_pattern *p, char *translated)
{
  int error;
  PCRE2_SIZE where;
  PCRE2_UCHAR reason[128];
  const char *foreign = translate(p->text, translated);
  if (foreign != NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s '%.200s' is no regular expression of Python's: see character %zu", p->what,
                    p->text, (size_t)(foreign - p->text));
  p->code = pcre2_compile((PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error, &where, NULL);
  if (p->code == NULL) {
    pcre2_get_error_message(error, reason, sizeof reason);
    return cdl_fail(CDL_STATUS_USAGE, "%s '%.200s' is no regular expression: %s at character %zu",
                    p->what, p->text, (const char *)reason, where);
  }
  p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
  p->limits = pcre2_match_context_create(NULL);
  if (p->data == NULL || p->limits == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s '%.200s'", p->what, p->text);
  pcre2_set_match_limit(p->limits, STEPS_MOST);
  pcre2_set_depth_limit(p->limits, STEPS_MOST);
  pcre2_set_heap_limit(p->limits, HEAP_KIB_MOST);
  return CDL_STATUS_OK;
}

cdl_status module_pattern_create(const char *what, const char *text, module_pattern **pattern)
{
  *pattern = NULL;
  module_pattern *p = calloc(1, sizeof *p);
  if (p == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s '%.200s'", what, text);
  p->what = what;
  p->text = text;
  char *translated = malloc(2 * strlen(text) + 1);
  const cdl_status status =
      translated != NULL ? compile(p, translated)
                         : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s '%.200s'", what, text);
  free(translated);
  if (status != CDL_STATUS_OK) {
    module_pattern_free(p);
    return status;
  }
  *pattern = p;
  return CDL_STATUS_OK;
}

void module_pattern_free(module_pattern *p)
{
  if (p == NULL)
    return;
  pcre2_match_context_free(p->limits);
  pcre2_match_data_free(p->data);
  pcre2_code_free(p->code);
  free(p);
}

/* ---- Matching ---- */

/* Tests whether the pattern matches all of path[first, end). "^" and lookbehind see the text before
 * it. */
static cdl_status match(const module_pattern *p, const char *path, size_t first, size_t end,
                        bool *matches)
{
  const int found = pcre2_match(p->code, (PCRE2_SPTR)path, end, first, 0, p->data, p->limits);
  *matches = found >= 0;
  if (found >= 0 || found == PCRE2_ERROR_NOMATCH)
    return CDL_STATUS_OK;
  if (found == PCRE2_ERROR_NOMEMORY)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s '%.200s'", p->what, p->text);
  return cdl_fail(CDL_STATUS_USAGE,
                  "%s '%.200s' takes too long to match: after %d steps it is undecided for %s",
                  p->what, p->text, STEPS_MOST, path);
}

cdl_status module_pattern_matches(const module_pattern *p, const char *path, bool *matches)
{
  return match(p, path, 0, strlen(path), matches);
}

/* Returns the start of the next component; 0 if there is none. */
static size_t next_component(const char *path, size_t first)
{
  const char *dot = strchr(path + first, '.');
  return dot != NULL ? (size_t)(dot - path) + 1 : 0;
}

/* Tests whether the pattern matches whole components that end before `end` and start at the path's
 * beginning or after a dot. */
static cdl_status match_before(const module_pattern *p, const char *path, size_t end, bool *matches)
{
  size_t first = 0;
  *matches = false;
  do {
    CDL_TRY(match(p, path, first, end, matches));
    first = next_component(path, first);
  } while (!*matches && first > 0 && first <= end);
  return CDL_STATUS_OK;
}

cdl_status module_pattern_matches_end(const module_pattern *p, const char *path, bool *matches)
{
  return match_before(p, path, strlen(path), matches);
}

cdl_status module_pattern_number(const module_pattern *p, const char *path, int64_t *number)
{
  *number = -1;
  for (size_t at = next_component(path, 0); at > 0; at = next_component(path, at)) {
    const size_t digits = strspn(path + at, "0123456789");
    bool matches = false;
    if (digits > 0 && digits < 18 && path[at + digits] == '.')
      CDL_TRY(match_before(p, path, at - 1, &matches));
    if (matches) {
      *number = strtoll(path + at, NULL, 10);
      return CDL_STATUS_OK;
    }
  }
  return CDL_STATUS_OK;
}
