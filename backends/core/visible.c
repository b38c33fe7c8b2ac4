#include "backends/core/visible.h"

#include <string.h>

bool cdl_is_hidden(uint32_t c)
{
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

size_t cdl_code_point(const char *text, size_t bytes, uint32_t *code_point)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (bytes == 0)
    return 0;
  const unsigned char lead = (unsigned char)text[0];
  const size_t length = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 0 || length > bytes || lead >= 0xF8)
    return 0;
  uint32_t c = length == 1 ? lead : lead & (0x7FU >> length);
  for (size_t i = 1; i < length; i++) {
    const unsigned char next = (unsigned char)text[i];
    if ((next & 0xC0) != 0x80)
      return 0;
    c = c << 6 | (next & 0x3F);
  }
  if (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
    return 0;
  *code_point = c;
  return length;
}

/* "\\x1b", "\\u202e": not by snprintf, which no signal handler may call. */
static void spell(char kind, int digits, uint32_t value, char shown[12])
{
  shown[0] = '\\';
  shown[1] = kind;
  for (int i = digits; i > 0; i--, value >>= 4)
    shown[1 + i] = "0123456789abcdef"[value & 15];
  shown[2 + digits] = '\0';
}

/* A character as it is shown, NUL-terminated; how many bytes of `text` it is. */
static size_t show(const char *text, size_t bytes, char shown[12])
{
  static const char names[] = "tnr", controls[] = "\t\n\r";
  uint32_t c = 0;
  const size_t length = cdl_code_point(text, bytes, &c);
  const char *named = length == 1 && c != 0 ? strchr(controls, (int)c) : NULL;
  if (length == 0)
    spell('x', 2, (unsigned char)text[0], shown);
  else if (named != NULL) {
    shown[0] = '\\';
    shown[1] = names[named - controls];
    shown[2] = '\0';
  } else if (cdl_is_hidden(c))
    spell(c < 0x80 ? 'x' : 'u', c < 0x80 ? 2 : 4, c, shown);
  else {
    memcpy(shown, text, length);
    shown[length] = '\0';
  }
  return length > 0 ? length : 1;
}

void cdl_make_visible(const char *text, size_t bytes, char *visible, size_t room)
{
  static const char more[] = "…";
  size_t used = 0, cut = 0; /* `cut`: where there is still room for what says that more follows */
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

cdl_visible_text cdl_visible(const char *text)
{
  cdl_visible_text visible;
  cdl_make_visible(text, text != NULL ? strlen(text) : 0, visible.text, sizeof visible.text);
  return visible;
}
