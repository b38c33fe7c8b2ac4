/* Words of PTX text. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_SCAN_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in the text, and its line from 1 on. */
typedef struct {
  const char *at;
  size_t line;
} scanner;

/* A piece of the text. */
typedef struct {
  const char *start;
  size_t length;
} piece;

/* Past spaces, comments and the debugger's lines. */
void scan_space(scanner *s);
/* The next word: a name, a number, or one sign; empty at the end. */
piece scan_word(scanner *s);
/* Up to the sign, which it passes, at this level of braces. False at the end of the text. */
bool scan_past(scanner *s, char sign);
/* From behind an opening brace past the closing one. */
bool scan_block(scanner *s);

bool piece_is(piece p, const char *text);
piece piece_trim(piece p);
/* Splits at commas outside braces and brackets; the number of parts, at most `most`. -1: more. */
int piece_split(piece p, piece *parts, int most);
/* A number of PTX: decimal, 0x, 0b, 0f and 0d with bits. False where it is none. */
bool piece_number(piece p, uint64_t *value);
/* Bytes of an element of type b8, u16, f32 and so on; 0 where it is none. `p` has no dot. */
size_t piece_type_bytes(piece p);

#endif
