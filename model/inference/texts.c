#include "model/inference/texts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/inference/inference.h"

static cdl_status make_room(inference_texts *t, size_t wanted)
{
  if (wanted <= t->capacity)
    return CDL_STATUS_OK;
  const size_t capacity = wanted > 2 * t->capacity ? wanted : 2 * t->capacity;
  int32_t *ids = realloc(t->ids, capacity * sizeof *ids);
  t->ids = ids != NULL ? ids : t->ids;
  uint8_t *types = realloc(t->type_ids, capacity);
  t->type_ids = types != NULL ? types : t->type_ids;
  if (ids == NULL || types == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu tokens", capacity);
  t->capacity = capacity;
  return CDL_STATUS_OK;
}

/* Takes an encoding over as the example at `index`, the `number`th text of the caller's. */
static cdl_status append(inference_texts *t, const inference_model *model,
                         const cdl_encoding *encoding, size_t index, size_t number)
{
  const size_t begin = (size_t)t->offsets[index], count = encoding->count;
  CDL_TRY(make_room(t, begin + count));
  memcpy(t->ids + begin, encoding->ids, count * sizeof *t->ids);
  for (size_t i = 0; i < count; i++)
    t->type_ids[begin + i] = (uint8_t)encoding->type_ids[i];
  t->offsets[index + 1] = begin + count;
  t->tokens.longest = count > t->tokens.longest ? count : t->tokens.longest;
  t->tokens.truncated += encoding->truncated;
  const char *what;
  int32_t id;
  int64_t limit;
  if (!inference_has_tokens(model, t->ids + begin, t->type_ids + begin, count, &what, &id, &limit))
    return cdl_fail(CDL_STATUS_DATA,
                    "text %zu: the tokenizer gives a %s of %d, the model has %" PRId64 " of them",
                    number, what, id, limit);
  return CDL_STATUS_OK;
}

static cdl_status encode(inference_texts *t, const inference_model *model, const char *const *first,
                         const char *const *pairs, size_t count, size_t before)
{
  cdl_encoding encoding = {0};
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < count && status == CDL_STATUS_OK; i++) {
    const char *second = pairs != NULL ? pairs[i] : NULL;
    if (first[i] == NULL || (pairs != NULL && second == NULL))
      status = cdl_fail(CDL_STATUS_ARGUMENT, "text %zu is NULL", before + i);
    else
      status =
          cdl_tokenizer_encode(model->tokenizer, first[i], strlen(first[i]), second,
                               second != NULL ? strlen(second) : 0, model->max_length, &encoding);
    if (status == CDL_STATUS_OK)
      status = append(t, model, &encoding, i, before + i);
  }
  cdl_encoding_release(&encoding);
  return status;
}

cdl_status inference_texts_encode(inference_texts *t, const inference_model *model,
                                  const char *const *first, const char *const *pairs, size_t count,
                                  size_t before)
{
  *t = (inference_texts){.offsets = calloc(count + 1, sizeof *t->offsets)};
  if (t->offsets == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu texts", count);
  CDL_TRY(encode(t, model, first, pairs, count, before));
  t->tokens.ids = t->ids;
  t->tokens.type_ids = t->type_ids;
  t->tokens.offsets = t->offsets;
  t->tokens.count = count;
  return CDL_STATUS_OK;
}

void inference_texts_release(inference_texts *t)
{
  free(t->ids);
  free(t->type_ids);
  free(t->offsets);
  *t = (inference_texts){0};
}
