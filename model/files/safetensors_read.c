/* Values of stored tensors as float32. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "condlora/safetensors.h"

enum { SHAPE_TEXT_BYTES = 200 };

static float float_of(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Exact: a subnormal half is a normal float, which a subtraction without rounding makes. */
static float half_value(uint16_t half)
{
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00)
    return float_of(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  if (magnitude >= 0x0400)
    return float_of(sign | (magnitude + ((127 - 15) << 10)) << 13);
  const float value = float_of(0x38800000 | magnitude << 13) - float_of(0x38800000);
  return sign != 0 ? -value : value;
}

static void convert(const cdl_stored_tensor *tensor, float *destination)
{
  const uint8_t *source = tensor->data;
  const size_t size = cdl_stored_type_bytes(tensor->type), count = tensor->bytes / size;
  uint16_t half;
  double wide;
  switch (tensor->type) {
  case CDL_STORED_F32:
    if (tensor->bytes > 0)
      memcpy(destination, source, tensor->bytes);
    break;
  case CDL_STORED_BF16:
    for (size_t i = 0; i < count; i++) {
      memcpy(&half, source + i * sizeof half, sizeof half);
      destination[i] = float_of((uint32_t)half << 16);
    }
    break;
  case CDL_STORED_F16:
    for (size_t i = 0; i < count; i++) {
      memcpy(&half, source + i * sizeof half, sizeof half);
      destination[i] = half_value(half);
    }
    break;
  default:
    for (size_t i = 0; i < count; i++) {
      memcpy(&wide, source + i * sizeof wide, sizeof wide);
      destination[i] = (float)wide;
    }
  }
}

static bool is_floating(cdl_stored_type type)
{
  return type == CDL_STORED_F32 || type == CDL_STORED_BF16 || type == CDL_STORED_F16 ||
         type == CDL_STORED_F64;
}

static const char *shape_text(uint32_t rank, const int64_t *shape, char text[SHAPE_TEXT_BYTES])
{
  int used = snprintf(text, SHAPE_TEXT_BYTES, "[");
  for (uint32_t i = 0; i < rank; i++)
    used += snprintf(text + used, SHAPE_TEXT_BYTES - (size_t)used, "%s%" PRId64, i > 0 ? ", " : "",
                     shape[i]);
  snprintf(text + used, SHAPE_TEXT_BYTES - (size_t)used, "]");
  return text;
}

/* Checks for floating-point numbers of this shape. */
static cdl_status check_readable(const cdl_safetensors *file, const cdl_stored_tensor *tensor,
                                 uint32_t rank, const int64_t *shape)
{
  const char *path = cdl_safetensors_path_of(file, tensor);
  if (rank > CDL_STORED_RANK_MAX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: tensor \"%.200s\": a rank of %u is asked for", path,
                    tensor->name, rank);
  if (rank != tensor->rank ||
      (rank > 0 && memcmp(shape, tensor->shape, rank * sizeof *shape) != 0)) {
    char wanted[SHAPE_TEXT_BYTES], found[SHAPE_TEXT_BYTES];
    return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": shape %s, expected %s", path,
                    tensor->name, shape_text(tensor->rank, tensor->shape, found),
                    shape_text(rank, shape, wanted));
  }
  if (!is_floating(tensor->type))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensor \"%.200s\": dtype %s, expected F32, F16, BF16 or F64", path,
                    tensor->name, cdl_stored_type_name(tensor->type));
  return CDL_STATUS_OK;
}

cdl_status cdl_safetensors_read(const cdl_safetensors *file, const cdl_stored_tensor *tensor,
                                uint32_t rank, const int64_t *shape, float *destination)
{
  CDL_TRY(check_readable(file, tensor, rank, shape));
  convert(tensor, destination);
  return CDL_STATUS_OK;
}

cdl_status cdl_safetensors_view(const cdl_safetensors *file, const cdl_stored_tensor *tensor,
                                uint32_t rank, const int64_t *shape, float *staging,
                                const void **values)
{
  CDL_TRY(check_readable(file, tensor, rank, shape));
  *values = tensor->data;
  if (tensor->type != CDL_STORED_F32) {
    convert(tensor, staging);
    *values = staging;
  }
  return CDL_STATUS_OK;
}

/* All exponent bits set means infinity or NaN. */
static bool element_is_finite(const cdl_stored_tensor *tensor, size_t index)
{
  const uint8_t *source =
      (const uint8_t *)tensor->data + index * cdl_stored_type_bytes(tensor->type);
  uint64_t bits = 0;
  memcpy(&bits, source, cdl_stored_type_bytes(tensor->type));
  switch (tensor->type) {
  case CDL_STORED_F16:
    return (bits & 0x7c00) != 0x7c00;
  case CDL_STORED_BF16:
    return (bits & 0x7f80) != 0x7f80;
  case CDL_STORED_F32:
    return (bits & 0x7f800000) != 0x7f800000;
  default:
    return (bits & UINT64_C(0x7ff0000000000000)) != UINT64_C(0x7ff0000000000000);
  }
}

cdl_status cdl_safetensors_check_finite(const cdl_safetensors *file,
                                        const cdl_stored_tensor *tensor)
{
  if (!is_floating(tensor->type))
    return CDL_STATUS_OK;
  const size_t count = tensor->bytes / cdl_stored_type_bytes(tensor->type);
  for (size_t i = 0; i < count; i++)
    if (!element_is_finite(tensor, i))
      return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": element %zu is not a finite number",
                      cdl_safetensors_path_of(file, tensor), tensor->name, i);
  return CDL_STATUS_OK;
}
