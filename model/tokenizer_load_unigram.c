#include <math.h>
#include <stdlib.h>

#include "model/charsmap.h"
#include "model/json.h"
#include "model/tokenizer_parts.h"
#include "model/unicode_text.h"

typedef struct {
  const char *path;
  cdl_unigram *model;
} loading;

static const char *type_of(const json_t *section)
{
  const char *type = json_string_value(json_object_get(section, "type"));
  return type != NULL ? type : "";
}

/* ---- Model ---- */

__extension__ typedef unsigned __int128 wide;

/* A number as the reference reads it: its shortest digits as one whole number, divided by a power of ten, each rounded.
 * That is the number but for the last bit, which decides between two cuts of equal worth. */
static double as_reference_reads(double number)
{
  enum { MANTISSA_BITS = 53, FEWEST_DIGITS = 15, MOST_DIGITS = 17 };
  const double magnitude = fabs(number), least = 1e-4, most = 1e6; /* where scores are */
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
    if (((exact + half) & (2 * half - 1)) == 0) /* halfway: to the even one */
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
    return cdl_fail(CDL_DATA, "%s: \"model\": expected a list \"vocab\" of pieces", path);
  size_t index;
  json_array_foreach(list, index, entry)
  {
    const json_t *piece = json_array_get(entry, 0), *score = json_array_get(entry, 1);
    if (json_array_size(entry) != 2 || !json_is_string(piece) || !json_is_number(score))
      return cdl_fail(CDL_DATA, "%s: vocab: entry %zu: expected a piece and its score", path,
                      index + 1);
    CDL_TRY(
        cdl_context(cdl_unigram_add(tokenizer, json_string_value(piece), json_string_length(piece),
                                    as_reference_reads(json_number_value(score))),
                    "%s: vocab", path));
  }
  return CDL_OK;
}

static cdl_status load_model(const char *path, const json_t *model, cdl_tokenizer *tokenizer)
{
  bool byte_fallback = false;
  CDL_TRY(cdl_json_boolean(path, model, "byte_fallback", &byte_fallback));
  if (byte_fallback)
    return cdl_fail(CDL_DATA, "%s: \"model\": expected a unigram model without byte_fallback",
                    path);
  CDL_TRY(load_pieces(path, model, tokenizer));
  int64_t unknown = -1;
  CDL_TRY(cdl_json_integer(path, model, "unk_id", 0, (int64_t)tokenizer->vocabulary.count - 1,
                           &unknown));
  if (unknown < 0)
    return cdl_fail(CDL_DATA, "%s: \"model\": expected \"unk_id\", the unknown piece's id", path);
  tokenizer->unigram.unknown = (int32_t)unknown;
  return cdl_unigram_prepare(tokenizer);
}

/* ---- Normalizer ---- */

static cdl_status load_charsmap(const loading *l, const json_t *section)
{
  const json_t *text = json_object_get(section, "precompiled_charsmap");
  if (!json_is_string(text))
    return cdl_fail(CDL_DATA, "%s: \"normalizer\": expected a text \"precompiled_charsmap\"",
                    l->path);
  if (l->model->charsmap.units != NULL)
    return cdl_fail(CDL_DATA, "%s: \"normalizer\": expected one precompiled_charsmap, found two",
                    l->path);
  cdl_bytes bytes = {0};
  cdl_status status = cdl_base64_decode(json_string_value(text), json_string_length(text), &bytes);
  if (status == CDL_OK)
    status = cdl_charsmap_read(bytes.data, bytes.count, &l->model->charsmap);
  free(bytes.data);
  CDL_TRY(cdl_context(status, "%s: precompiled_charsmap", l->path));
  return cdl_unigram_add_step(l->model, &(cdl_text_step){.kind = CDL_STEP_CHARSMAP});
}

static cdl_status load_replacement(const loading *l, const json_t *section)
{
  const json_t *pattern = json_object_get(section, "pattern");
  const char *literal = json_string_value(json_object_get(pattern, "String"));
  const char *expression = json_string_value(json_object_get(pattern, "Regex"));
  const char *content = json_string_value(json_object_get(section, "content"));
  static char two_spaces[] = "  ";
  const bool spaces = expression != NULL && strcmp(expression, " {2,}") == 0;
  if (content == NULL || (literal == NULL && !spaces) || (literal != NULL && literal[0] == '\0'))
    return cdl_fail(CDL_DATA,
                    "%s: \"normalizer\": Replace: expected a text \"content\" and as \"pattern\" "
                    "a String or the Regex \" {2,}\"",
                    l->path);
  return cdl_unigram_add_step(
      l->model, &(cdl_text_step){.kind = CDL_STEP_REPLACE,
                                 .pattern = spaces ? two_spaces : (char *)(uintptr_t)literal,
                                 .content = (char *)(uintptr_t)content,
                                 .repeated = spaces});
}

static cdl_status load_step(const loading *l, const json_t *section)
{
  const char *type = type_of(section);
  if (strcmp(type, "Precompiled") == 0)
    return load_charsmap(l, section);
  if (strcmp(type, "Replace") == 0)
    return load_replacement(l, section);
  if (strcmp(type, "Strip") != 0)
    return cdl_fail(
        CDL_DATA, "%s: \"normalizer\" is of type \"%.64s\", expected Precompiled, Strip or Replace",
        l->path, type);
  cdl_text_step strip = {.kind = CDL_STEP_STRIP};
  CDL_TRY(cdl_json_boolean(l->path, section, "strip_left", &strip.left));
  CDL_TRY(cdl_json_boolean(l->path, section, "strip_right", &strip.right));
  return cdl_unigram_add_step(l->model, &strip);
}

/* One step, or a sequence of them. */
static cdl_status load_normalizer(const loading *l, const json_t *section)
{
  if (section == NULL || json_is_null(section))
    return CDL_OK;
  if (strcmp(type_of(section), "Sequence") != 0)
    return load_step(l, section);
  const json_t *list = json_object_get(section, "normalizers"), *step;
  if (!json_is_array(list))
    return cdl_fail(CDL_DATA, "%s: \"normalizer\": expected a list \"normalizers\"", l->path);
  size_t index;
  json_array_foreach(list, index, step) CDL_TRY(load_step(l, step));
  return CDL_OK;
}

/* ---- Pre-tokenizer ---- */

static cdl_status load_prepend(const loading *l, const json_t *section)
{
  static const char *const schemes[] = {"always", "first", "never"};
  const char *scheme = NULL;
  bool prefix = true;
  CDL_TRY(cdl_json_string(l->path, section, "prepend_scheme", false, &scheme));
  if (!json_is_null(json_object_get(section, "add_prefix_space")))
    CDL_TRY(cdl_json_boolean(l->path, section, "add_prefix_space", &prefix));
  if (scheme == NULL)
    scheme = prefix ? "always" : "never";
  for (int i = 0; i < 3; i++)
    if (strcmp(scheme, schemes[i]) == 0 && (prefix || i == CDL_PREPEND_NEVER)) {
      l->model->prepend = i == 0   ? CDL_PREPEND_ALWAYS
                          : i == 1 ? CDL_PREPEND_FIRST
                                   : CDL_PREPEND_NEVER;
      return CDL_OK;
    }
  return cdl_fail(
      CDL_DATA,
      "%s: Metaspace: \"prepend_scheme\" is \"%.64s\", expected always, first or never, "
      "and never without add_prefix_space",
      l->path, scheme);
}

static cdl_status load_metaspace(const loading *l, const json_t *section)
{
  const json_t *replacement = json_object_get(section, "replacement");
  const char *text = json_string_value(replacement);
  const size_t bytes = json_string_length(replacement);
  size_t subpart;
  if (bytes == 0 || cdl_utf8_sequence((const uint8_t *)text, bytes, &subpart) != bytes)
    return cdl_fail(CDL_DATA, "%s: Metaspace: \"replacement\": expected one character", l->path);
  memcpy(l->model->space, text, bytes);
  l->model->space_bytes = bytes;
  l->model->split = true;
  if (!json_is_null(json_object_get(section, "split")))
    CDL_TRY(cdl_json_boolean(l->path, section, "split", &l->model->split));
  return load_prepend(l, section);
}

/* Metaspace, perhaps behind WhitespaceSplit. */
static cdl_status load_pre_tokenizer(const loading *l, const json_t *section)
{
  const json_t *list = json_object_get(section, "pretokenizers");
  const bool sequence = strcmp(type_of(section), "Sequence") == 0;
  const size_t count = sequence ? json_array_size(list) : 1;
  const json_t *first = sequence ? json_array_get(list, 0) : section;
  const json_t *last = sequence && count > 0 ? json_array_get(list, count - 1) : first;
  l->model->split_spaces = count == 2 && strcmp(type_of(first), "WhitespaceSplit") == 0;
  if ((count != 1 && !l->model->split_spaces) || strcmp(type_of(last), "Metaspace") != 0)
    return cdl_fail(CDL_DATA,
                    "%s: \"pre_tokenizer\" is of type \"%.64s\", expected Metaspace, or "
                    "WhitespaceSplit and Metaspace",
                    l->path, type_of(section));
  return load_metaspace(l, last);
}

cdl_status cdl_unigram_load(const char *path, const json_t *root, cdl_tokenizer *tokenizer)
{
  const loading l = {.path = path, .model = &tokenizer->unigram};
  tokenizer->kind = CDL_MODEL_UNIGRAM;
  CDL_TRY(load_model(path, json_object_get(root, "model"), tokenizer));
  CDL_TRY(load_normalizer(&l, json_object_get(root, "normalizer")));
  return load_pre_tokenizer(&l, json_object_get(root, "pre_tokenizer"));
}
