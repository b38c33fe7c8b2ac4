/* Text from files and devices, as one line that a terminal shows and does not obey. */
#ifndef CONDLORA_BASE_VISIBLE_H
#define CONDLORA_BASE_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is not shown but done: controls (C0, DEL, C1), separators of lines (U+2028, U+2029), and the
 * marks of bidirectional text, which put characters elsewhere than they stand. All are below
 * U+10000. */
bool base_is_hidden(uint32_t code_point);

/* Writes `text` with what is hidden spelled out (\n, \x1b, \u202e), as are bytes that are not UTF-8
 * (\xff); cut with "…" at `room`, which counts the NUL and is 16 at least. A signal handler may call
 * it. */
void base_make_visible(const char *text, size_t bytes, char *visible, size_t room);

/* For printf, as base_visible(name).text; NULL is empty. */
typedef struct {
  char text[1024];
} base_visible_text;
base_visible_text base_visible(const char *text);

#endif
