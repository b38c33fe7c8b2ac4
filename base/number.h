/* Numbers in text. */
#ifndef CONDLORA_BASE_NUMBER_H
#define CONDLORA_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Reads a decimal number that takes up all of `text`: a sign, digits with a point among them, an
 * exponent. Whatever the locale is; spaces, hexadecimal, "nan" and "inf" are refused, and so is
 * what a float cannot hold. */
bool base_number_parse(const char *text, size_t bytes, double *value);

#endif
