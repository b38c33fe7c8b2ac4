#include "base/visible.h"

#include <string.h>

#include "base/utf8.h"

bool base_is_hidden(uint32_t c)
{
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* Writes "\\x1b" or "\\u202e". snprintf is not allowed in a signal handler. */
static void spell(char kind, int digits, uint32_t value, char shown[12])
{
  shown[0] = '\\';
  shown[1] = kind;
  for (int i = digits; i > 0; i--, value >>= 4)
    shown[1 + i] = "0123456789abcdef"[value & 15];
  shown[2 + digits] = '\0';
}

/* Writes a character as it is shown, NUL-terminated. Returns the number of its bytes in `text`. */
static size_t show(const char *text, size_t bytes, char shown[12])
{
  static const char names[] = "tnr", controls[] = "\t\n\r";
  uint32_t c = 0;
  const size_t length = base_code_point(text, bytes, &c);
  const char *named = length == 1 && c != 0 ? strchr(controls, (int)c) : NULL;
  if (length == 0)
    spell('x', 2, (unsigned char)text[0], shown);
  else if (named != NULL) {
    shown[0] = '\\';
    shown[1] = names[named - controls];
    shown[2] = '\0';
  } else if (base_is_hidden(c))
    spell(c < 0x80 ? 'x' : 'u', c < 0x80 ? 2 : 4, c, shown);
  else {
    memcpy(shown, text, length);
    shown[length] = '\0';
  }
  return length > 0 ? length : 1;
}

void base_make_visible(const char *text, size_t bytes, char *visible, size_t room)
{
  static const char more[] = "…";
  size_t used = 0, cut = 0; /* `cut`: the last place with room for the mark that more follows */
  for (size_t at = 0; at < bytes;) {
    char shown[12];
    at += show(text + at, bytes - at, shown);
    const size_t length = strlen(shown);
    if (used + length >= room) {
      memcpy(visible + cut, more, sizeof more);
      return;
    }
    memcpy(visible + used, shown, length);
    used += length;
    cut = used + sizeof more <= room ? used : cut;
  }
  visible[used] = '\0';
}

base_visible_text base_visible(const char *text)
{
  base_visible_text visible;
  base_make_visible(text, text != NULL ? strlen(text) : 0, visible.text, sizeof visible.text);
  return visible;
}
