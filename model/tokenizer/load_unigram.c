#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/tokenizer/parts.h"

__extension__ typedef unsigned __int128 wide;

/* Reads a number as the reference does: its shortest digits as one integer, divided by a power of
 * ten, each rounded. This differs from the number at most in the last bit, which decides between
 * two equally good cuts. */
static double as_reference_reads(double number)
{
  enum { MANTISSA_BITS = 53, FEWEST_DIGITS = 15, MOST_DIGITS = 17 };
  const double magnitude = fabs(number), least = 1e-4, most = 1e6; /* the range of scores */
  if (!(magnitude >= least && magnitude < most))
    return number;
  int exponent, places = 0; /* the number is mantissa / 2^shift, and below 10^places */
  const uint64_t mantissa = (uint64_t)ldexp(frexp(magnitude, &exponent), MANTISSA_BITS);
  const int shift = MANTISSA_BITS - exponent;
  double bound = 1;
  for (; magnitude >= bound; places++)
    bound *= 10;
  for (; magnitude * 10 < bound; places--)
    bound /= 10;
  for (int digits = FEWEST_DIGITS; digits <= MOST_DIGITS; digits++) {
    wide power = 1;
    for (int i = places; i < digits; i++)
      power *= 10;
    const wide exact = mantissa * power, half = (wide)1 << (shift - 1);
    uint64_t whole = (uint64_t)((exact + half) >> shift);
    if (((exact + half) & (2 * half - 1)) == 0) /* halfway: rounds to even */
      whole &= ~(uint64_t)1;
    const wide rounded = (wide)whole << shift;
    const wide error = rounded > exact ? rounded - exact : exact - rounded;
    if (2 * error < power) /* these digits name no other number */
      return copysign((double)whole / (double)power, number);
  }
  return number;
}

static cdl_status load_pieces(const char *path, const json_t *model, cdl_tokenizer *tokenizer)
{
  const json_t *list = json_object_get(model, "vocab"), *entry;
  if (json_array_size(list) == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"model\": expected a list \"vocab\" of pieces", path);
  size_t index;
  json_array_foreach(list, index, entry)
  {
    const json_t *piece = json_array_get(entry, 0), *score = json_array_get(entry, 1);
    if (json_array_size(entry) != 2 || !json_is_string(piece) || !json_is_number(score))
      return cdl_fail(CDL_STATUS_DATA, "%s: vocab: entry %zu: expected a piece and its score", path,
                      index + 1);
    CDL_TRY(cdl_context(tokenizer_unigram_add(tokenizer, json_string_value(piece),
                                              json_string_length(piece),
                                              as_reference_reads(json_number_value(score))),
                        "%s: vocab", path));
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_unigram_load(const char *path, const json_t *model, cdl_tokenizer *tokenizer)
{
  CDL_TRY(base_json_boolean(path, model, "byte_fallback", &tokenizer->unigram.byte_fallback));
  CDL_TRY(load_pieces(path, model, tokenizer));
  const json_t *unknown = json_object_get(model, "unk_id");
  int64_t id = TOKENIZER_UNKNOWN_NONE;
  if (!json_is_null(unknown))
    CDL_TRY(base_json_integer(path, model, "unk_id", 0, (int64_t)tokenizer->vocabulary.id_end - 1,
                              &id));
  tokenizer->unigram.unknown = (int32_t)id;
  return tokenizer_unigram_prepare(tokenizer);
}
