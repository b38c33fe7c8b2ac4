/* Numbers in text. */
#ifndef CONDLORA_BASE_NUMBER_H
#define CONDLORA_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a decimal number that fills all of `text`: a sign, digits with a point, an exponent;
 * independent of the locale. Spaces, hexadecimal, "nan", "inf" and values beyond a float's range
 * are refused. */
bool base_number_parse(const char *text, size_t bytes, double *value);

/* Reads a whole number from 0 on that takes up all of `text`: digits alone, no sign. What int64_t
 * cannot hold is refused. */
bool base_integer_parse(const char *text, size_t bytes, int64_t *value);

#endif
