#include "base/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t skip_digits(const char *text, size_t bytes, size_t at)
{
  while (at < bytes && text[at] >= '0' && text[at] <= '9')
    at++;
  return at;
}

static bool is_decimal(const char *text, size_t bytes)
{
  size_t at = bytes > 0 && (text[0] == '-' || text[0] == '+');
  const size_t whole = skip_digits(text, bytes, at);
  size_t digits = whole - at;
  at = whole;
  if (at < bytes && text[at] == '.') {
    const size_t end = skip_digits(text, bytes, at + 1);
    digits += end - at - 1;
    at = end;
  }
  if (digits == 0)
    return false;
  if (at < bytes && (text[at] == 'e' || text[at] == 'E')) {
    at++;
    at += at < bytes && (text[at] == '-' || text[at] == '+');
    const size_t end = skip_digits(text, bytes, at);
    if (end == at)
      return false;
    at = end;
  }
  return at == bytes;
}

bool base_number_parse(const char *text, size_t bytes, double *value)
{
  char copy[128];
  if (bytes >= sizeof copy || !is_decimal(text, bytes))
    return false;
  memcpy(copy, text, bytes);
  copy[bytes] = '\0';

  const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (plain == (locale_t)0)
    return false;
  *value = strtod_l(copy, NULL, plain);
  freelocale(plain);
  return fabs(*value) <= (double)FLT_MAX;
}

bool base_integer_parse(const char *text, size_t bytes, int64_t *value)
{
  int64_t read = 0;
  if (bytes == 0 || skip_digits(text, bytes, 0) != bytes)
    return false;
  for (size_t i = 0; i < bytes; i++) {
    const int digit = text[i] - '0';
    if (read > (INT64_MAX - digit) / 10)
      return false;
    read = read * 10 + digit;
  }
  *value = read;
  return true;
}
