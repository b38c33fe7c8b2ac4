#include "model/tokenizer/pattern_translation.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer/unicode_classes.h"
#include "model/tokenizer/unicode_text.h"

enum { DEPTH_MAX = 50, SOURCE_MAX = 1 << 14, REPEAT_MAX = 1000 };

typedef struct {
  const char *source, *at;
  base_bytes *out;
  size_t depth;
  bool caseless;
  bool repeatable; /* the last item may be repeated */
  char last;       /* the last letter among caseless ones; '?' for anything else */
} translation;

static cdl_status refuse(const translation *t, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "the pattern \"%.64s\": at byte %zu: %s", t->source,
                  (size_t)(t->at - t->source) + 1, what);
}

static cdl_status add(translation *t, const char *text)
{
  return base_bytes_append(t->out, text, strlen(text));
}

static cdl_status add_point(translation *t, uint32_t c)
{
  char text[16];
  snprintf(text, sizeof text, "\\x{%X}", (unsigned)c);
  return add(t, text);
}

/* ---- Characters ---- */

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads up to `most` digits, at least one. */
static bool hex_number(translation *t, size_t least, size_t most, uint32_t *value)
{
  size_t count = 0;
  *value = 0;
  for (; count < most && hex_digit(*t->at) >= 0; count++)
    *value = *value << 4 | (uint32_t)hex_digit(*t->at++);
  return count >= least;
}

/* Reads the number of a character after \x or \u. */
static cdl_status numbered_character(translation *t, uint32_t *c)
{
  const bool four = *t->at == 'u', braces = t->at[1] == '{';
  t->at += braces ? 2 : 1;
  const bool read = four ? !braces && hex_number(t, 4, 4, c)
                         : hex_number(t, 1, braces ? 6 : 2, c) && (!braces || *t->at++ == '}');
  if (!read || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) || (!four && !braces && *c >= 0x80))
    return refuse(t, "expected a character's number: \\x{3040}, \\x41 or \\u3040");
  return CDL_STATUS_OK;
}

/* Reads a character that means itself after a backslash, or one by its letter; *known is false for
 * all others. */
static cdl_status escaped_character(translation *t, uint32_t *c, bool *known)
{
  static const struct {
    char letter, stands_for;
  } letters[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'f', '\f'},
                 {'v', 0x0b}, {'a', 0x07}, {'e', 0x1b}};
  const char letter = *t->at;
  *known = true;
  if (letter == 'x' || letter == 'u')
    return numbered_character(t, c);
  for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
    if (letters[i].letter == letter) {
      *c = (uint32_t)letters[i].stands_for;
      t->at++;
      return CDL_STATUS_OK;
    }
  *known = letter == ' ' ||
           (letter > ' ' && letter < 0x7f && tokenizer_is_bert_punctuation((uint8_t)letter));
  if (*known)
    *c = (uint8_t)*t->at++;
  return CDL_STATUS_OK;
}

static uint32_t plain_character(translation *t)
{
  const uint8_t *at = (const uint8_t *)t->at;
  const uint32_t c = base_utf8_next(&at);
  t->at = (const char *)at;
  return c;
}

/* Without case, Oniguruma lets ﬆ match "st"; PCRE2 does not. */
static cdl_status check_caseless(translation *t, uint32_t c)
{
  if (!t->caseless)
    return CDL_STATUS_OK;
  if (c >= 0x80)
    return refuse(t, "expected only ASCII where case does not count");
  const char lower = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const bool joins = strchr("sfilt", lower) != NULL && lower != '\0';
  const bool joined = (t->last == 's' && (lower == 's' || lower == 't')) ||
                      (t->last == 'f' && (lower == 'f' || lower == 'i' || lower == 'l')) ||
                      (t->last == '?' && joins);
  if (joined)
    return refuse(t, "letters that are one character in other cases");
  t->last = lower;
  return CDL_STATUS_OK;
}

/* ---- Classes ---- */

/* Reads a property in braces; *negated: it means the characters without it. */
static cdl_status property(translation *t, bool *negated)
{
  char name[16] = "";
  const char *from = t->at + 1;
  *negated = *t->at == 'P';
  if (*from++ != '{')
    return refuse(t, "expected a property in braces: \\p{L}");
  if (*from == '^') {
    *negated = !*negated;
    from++;
  }
  const size_t length = strcspn(from, "}");
  if (from[length] != '}' || length == 0 || length >= sizeof name)
    return refuse(t, "expected a property in braces: \\p{L}");
  memcpy(name, from, length);
  bool known;
  CDL_TRY(tokenizer_class_property(name, t->out, &known));
  if (!known)
    return refuse(t, "a property that is not known here");
  t->at = from + length + 1;
  return CDL_STATUS_OK;
}

/* Writes a class by a letter after the backslash, as the contents of brackets; *negated: it means
 * the other characters. */
static cdl_status lettered_class(translation *t, bool bracketed, bool *negated)
{
  bool known = true;
  const char letter = *t->at;
  if (letter == 'p' || letter == 'P')
    return property(t, negated);
  *negated = letter >= 'A' && letter <= 'Z';
  t->at++;
  switch (*negated ? letter + 32 : letter) {
  case 's':
    return tokenizer_class_space(t->out);
  case 'd':
    return tokenizer_class_property("Nd", t->out, &known);
  case 'w':
    return tokenizer_class_word(t->out, bracketed);
  default:
    return add(t, "0-9A-Fa-f");
  }
}

static bool is_class_letter(char c)
{
  return c != '\0' && strchr("sSdDwWhHpP", c) != NULL;
}

/* Reads a class as an element of another. */
static cdl_status inner_class(translation *t)
{
  bool negated;
  if (*t->at == 'S') {
    t->at++;
    return tokenizer_class_not_space(t->out);
  }
  CDL_TRY(lettered_class(t, true, &negated));
  return negated ? refuse(t, "a negated class within a class") : CDL_STATUS_OK;
}

/* Reads a character of a class, which may be escaped. */
static cdl_status class_character(translation *t, uint32_t *c)
{
  if (*t->at == '[' || (*t->at == '&' && t->at[1] == '&'))
    return refuse(t, "a class within a class");
  if (*t->at != '\\') {
    *c = plain_character(t);
    return CDL_STATUS_OK;
  }
  bool known;
  t->at++;
  CDL_TRY(escaped_character(t, c, &known));
  return known ? CDL_STATUS_OK : refuse(t, "a backslash that is not known here");
}

static cdl_status class_element(translation *t, bool first)
{
  uint32_t low = 0, high = 0;
  if (*t->at == '\\' && is_class_letter(t->at[1])) {
    t->at++;
    if (t->caseless)
      return refuse(t, "expected only ASCII where case does not count");
    CDL_TRY(inner_class(t));
    return *t->at == '-' && t->at[1] != ']' ? refuse(t, "a range that begins with a class")
                                            : CDL_STATUS_OK;
  }
  const bool dash = *t->at == '-';
  CDL_TRY(class_character(t, &low));
  if (dash && !first && *t->at != ']')
    return refuse(t, "a dash between ranges");
  if (t->caseless && low >= 0x80)
    return refuse(t, "expected only ASCII where case does not count");
  CDL_TRY(add_point(t, low));
  if (*t->at != '-' || t->at[1] == ']')
    return CDL_STATUS_OK;
  t->at++;
  if (*t->at == '\\' && is_class_letter(t->at[1]))
    return refuse(t, "a range that ends with a class");
  CDL_TRY(class_character(t, &high));
  if (high < low || (t->caseless && high >= 0x80))
    return refuse(t, "expected a range in order");
  CDL_TRY(add(t, "-"));
  return add_point(t, high);
}

static cdl_status bracketed_class(translation *t)
{
  CDL_TRY(add(t, "["));
  if (*++t->at == '^') {
    if (t->caseless)
      return refuse(t, "a negated class where case does not count");
    CDL_TRY(add(t, "^"));
    t->at++;
  }
  if (*t->at == ']')
    return refuse(t, "an empty class");
  for (bool first = true; *t->at != ']'; first = false) {
    if (*t->at == '\0')
      return refuse(t, "a class without an end");
    CDL_TRY(class_element(t, first));
  }
  t->at++;
  t->repeatable = true;
  t->last = '?';
  return add(t, "]");
}

/* ---- Atoms ---- */

static cdl_status word_boundary(translation *t)
{
  const bool boundary = *t->at++ == 'b';
  const char *const parts[] = {"(?:(?<=[", boundary ? "])(?![" : "])(?=[", "])|(?<![",
                               boundary ? "])(?=[" : "])(?!["};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    CDL_TRY(add(t, parts[i]));
    CDL_TRY(tokenizer_class_word(t->out, false));
  }
  return add(t, "]))");
}

static cdl_status escape(translation *t)
{
  t->at++;
  if (*t->at == 'b' || *t->at == 'B')
    return word_boundary(t);
  if (*t->at == 'A' || *t->at == 'z' || *t->at == 'Z') {
    const char text[] = {'\\', *t->at++, '\0'};
    return add(t, text);
  }
  t->repeatable = true;
  if (is_class_letter(*t->at)) {
    if (t->caseless)
      return refuse(t, "expected only ASCII where case does not count");
    const size_t begin = t->out->count;
    bool negated;
    CDL_TRY(add(t, "[^"));
    CDL_TRY(lettered_class(t, false, &negated));
    if (!negated) { /* removes the mark of negation */
      memmove(t->out->data + begin + 1, t->out->data + begin + 2, t->out->count - begin - 2);
      t->out->count--;
    }
    return add(t, "]");
  }
  uint32_t c;
  bool known;
  CDL_TRY(escaped_character(t, &c, &known));
  if (!known)
    return refuse(t, "a backslash that is not known here");
  CDL_TRY(check_caseless(t, c));
  return add_point(t, c);
}

static cdl_status alternatives(translation *t);

static cdl_status group(translation *t)
{
  static const char *const kinds[] = {"?:", "?=", "?!", "?>", "?<=", "?<!", "?i:"};
  enum { KINDS = sizeof kinds / sizeof kinds[0], CASELESS = KINDS - 1 };
  const bool caseless = t->caseless;
  size_t kind = 0;
  t->at++;
  if (*t->at == '?') {
    while (kind < KINDS && strncmp(t->at, kinds[kind], strlen(kinds[kind])) != 0)
      kind++;
    if (kind == KINDS)
      return refuse(t, "a kind of group that is not known here");
    t->at += strlen(kinds[kind]);
  }
  if (++t->depth > DEPTH_MAX)
    return refuse(t, "groups that are nested too deeply");
  CDL_TRY(add(t, "("));
  CDL_TRY(add(t, kinds[kind]));
  t->caseless = caseless || kind == CASELESS;
  t->last = caseless ? '?' : '\0';
  CDL_TRY(alternatives(t));
  if (*t->at != ')')
    return refuse(t, "a group without an end");
  t->at++;
  t->depth--;
  t->caseless = caseless;
  t->last = '?';
  t->repeatable = kind == 0 || kind == 3 || kind == CASELESS;
  return add(t, ")");
}

static bool repeat_count(translation *t, size_t *count)
{
  const char *const begin = t->at;
  for (*count = 0; *t->at >= '0' && *t->at <= '9' && *count <= REPEAT_MAX; t->at++)
    *count = *count * 10 + (size_t)(*t->at - '0');
  return t->at != begin;
}

/* {2}, {2,}, {,3}, {2,3} */
static cdl_status interval(translation *t)
{
  size_t low, high;
  t->at++;
  const bool has_low = repeat_count(t, &low), comma = *t->at == ',';
  t->at += comma;
  const bool has_high = repeat_count(t, &high);
  if (!has_high)
    high = comma ? REPEAT_MAX : low;
  if ((!has_low && !has_high) || (has_high && !comma) || *t->at != '}' || low > high ||
      high > REPEAT_MAX)
    return refuse(t, "expected a number of repeats: {2}, {2,}, {,3} or {2,3}");
  t->at++;
  if (!comma && *t->at == '?')
    return refuse(t, "a fixed number of repeats with a mark");
  char text[32];
  if (comma && !has_high)
    snprintf(text, sizeof text, "{%zu,}", low);
  else
    snprintf(text, sizeof text, "{%zu,%zu}", low, high);
  return add(t, text);
}

static cdl_status quantifier(translation *t)
{
  if (!t->repeatable)
    return refuse(t, "nothing that could be repeated");
  if (t->caseless && t->last != '\0' && *t->at != '?')
    t->last = '?';
  t->repeatable = false;
  if (*t->at == '{') {
    CDL_TRY(interval(t));
    if (*t->at == '+')
      return refuse(t, "repeats of repeats");
    if (*t->at != '?')
      return CDL_STATUS_OK;
    t->at++;
    return add(t, "?");
  }
  const char first[] = {*t->at++, '\0'};
  CDL_TRY(add(t, first));
  if (*t->at != '?' && *t->at != '+')
    return CDL_STATUS_OK;
  const char second[] = {*t->at++, '\0'};
  return add(t, second);
}

static cdl_status atom(translation *t)
{
  const char c = *t->at;
  if (strchr("*+?{", c) != NULL)
    return quantifier(t);
  if (c == '(')
    return group(t);
  if (c == '[')
    return bracketed_class(t);
  t->repeatable = false;
  if (c == '\\')
    return escape(t);
  t->repeatable = c != '^' && c != '$';
  if (c == '^' || c == '$' || c == '.') {
    const char text[] = {c, '\0'};
    t->at++;
    t->last = '?';
    return add(t, text);
  }
  const uint32_t point = plain_character(t);
  CDL_TRY(check_caseless(t, point));
  return add_point(t, point);
}

static cdl_status alternatives(translation *t)
{
  const char before = t->last;
  t->repeatable = false;
  while (*t->at != '\0' && *t->at != ')') {
    if (*t->at == '|') {
      t->at++;
      t->last = before;
      t->repeatable = false;
      CDL_TRY(add(t, "|"));
    } else {
      CDL_TRY(atom(t));
    }
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_pattern_translate(const char *source, base_bytes *out)
{
  translation t = {.source = source, .at = source, .out = out};
  if (strlen(source) > SOURCE_MAX)
    return cdl_fail(CDL_STATUS_DATA, "the pattern \"%.64s\" has %zu bytes, expected at most %d",
                    source, strlen(source), SOURCE_MAX);
  if (strncmp(source, "(?i)", 4) == 0) {
    t.at += 4;
    t.caseless = true;
    CDL_TRY(add(&t, "(?i)"));
  }
  CDL_TRY(alternatives(&t));
  return *t.at == ')' ? refuse(&t, "a group without a beginning") : CDL_STATUS_OK;
}
