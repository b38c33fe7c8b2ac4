#include "tests/cuda_emulator/ptx/scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool skip_line(scanner *s)
{
  while (*s->at != '\0' && *s->at != '\n')
    s->at++;
  return true;
}

static bool skip_comment(scanner *s)
{
  if (s->at[0] == '/' && s->at[1] == '/')
    return skip_line(s);
  if (s->at[0] != '/' || s->at[1] != '*')
    return false;
  for (s->at += 2; *s->at != '\0' && !(s->at[0] == '*' && s->at[1] == '/'); s->at++)
    s->line += *s->at == '\n';
  s->at += *s->at != '\0' ? 2 : 0;
  return true;
}

static bool skip_debug_line(scanner *s)
{
  if (*s->at != '.' || (strncmp(s->at, ".loc\t", 5) != 0 && strncmp(s->at, ".loc ", 5) != 0 &&
                        strncmp(s->at, ".file", 5) != 0))
    return false;
  return skip_line(s);
}

void scan_space(scanner *s)
{
  for (;;) {
    if (isspace((unsigned char)*s->at)) {
      s->line += *s->at == '\n';
      s->at++;
    } else if (!skip_comment(s) && !skip_debug_line(s))
      return;
  }
}

static bool is_of_name(char c)
{
  return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.' || c == ':';
}

piece scan_word(scanner *s)
{
  scan_space(s);
  piece word = {s->at, 0};
  if (*s->at == '\0')
    return word;
  if (is_of_name(*s->at) && *s->at != ':')
    while (is_of_name(s->at[word.length]) &&
           (s->at[word.length] != ':' || s->at[word.length + 1] == ':' ||
            (word.length > 0 && s->at[word.length - 1] == ':')))
      word.length++;
  else
    word.length = 1;
  s->at += word.length;
  return word;
}

bool scan_past(scanner *s, char sign)
{
  for (int depth = 0;;) {
    const piece word = scan_word(s);
    if (word.length == 0)
      return false;
    if (depth == 0 && *word.start == sign)
      return true;
    depth += (*word.start == '{') - (*word.start == '}');
  }
}

bool scan_block(scanner *s)
{
  return scan_past(s, '}');
}

bool piece_is(piece p, const char *text)
{
  return strlen(text) == p.length && memcmp(p.start, text, p.length) == 0;
}

piece piece_trim(piece p)
{
  while (p.length > 0 && isspace((unsigned char)*p.start)) {
    p.start++;
    p.length--;
  }
  while (p.length > 0 && isspace((unsigned char)p.start[p.length - 1]))
    p.length--;
  return p;
}

int piece_split(piece p, piece *parts, int most)
{
  int count = 0, depth = 0;
  size_t first = 0;
  p = piece_trim(p);
  for (size_t i = 0; i <= p.length && p.length > 0; i++) {
    const char c = i < p.length ? p.start[i] : ',';
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (c != ',' || (depth > 0 && i < p.length))
      continue;
    if (count == most)
      return -1;
    parts[count++] = piece_trim((piece){p.start + first, i - first});
    first = i + 1;
  }
  return count;
}

bool piece_number(piece p, uint64_t *value)
{
  char text[72];
  if (p.length == 0 || p.length >= sizeof text)
    return false;
  memcpy(text, p.start, p.length);
  text[p.length] = '\0';
  const bool negative = text[0] == '-';
  const char *digits = text + negative;
  int base = 10;
  if (digits[0] == '0' && digits[1] != '\0' && strchr("xXbBfFdD", digits[1]) != NULL) {
    base = strchr("bB", digits[1]) != NULL ? 2 : 16;
    digits += 2;
  } else if (digits[0] == '0' && digits[1] != '\0')
    base = 8;
  if (!isxdigit((unsigned char)digits[0]))
    return false;
  char *end;
  *value = strtoull(digits, &end, base);
  if (negative)
    *value = 0 - *value;
  return *end == '\0' || strcmp(end, "U") == 0;
}

size_t piece_type_bytes(piece p)
{
  if (p.length < 2 || strchr("busf", *p.start) == NULL)
    return 0;
  uint64_t bits;
  if (!piece_number((piece){p.start + 1, p.length - 1}, &bits))
    return 0;
  return bits == 8 || bits == 16 || bits == 32 || bits == 64 ? (size_t)bits / 8 : 0;
}
