/* Text from files and devices, as one line that a terminal shows and does not obey. */
#ifndef CONDLORA_BASE_VISIBLE_H
#define CONDLORA_BASE_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a character acts instead of being shown: controls (C0, DEL, C1), line separators (U+2028,
 * U+2029), and bidirectional marks, which move other characters. All are below U+10000. */
bool base_is_hidden(uint32_t code_point);

/* Writes `text` and spells out hidden characters (\n, \x1b, \u202e) and bytes that are not UTF-8
 * (\xff). Cuts it with "…" at `room`, which counts the NUL and is at least 16. A signal handler may
 * call it. */
void base_make_visible(const char *text, size_t bytes, char *visible, size_t room);

/* For printf: base_visible(name).text. NULL is empty. */
typedef struct {
  char text[1024];
} base_visible_text;
base_visible_text base_visible(const char *text);

#endif
