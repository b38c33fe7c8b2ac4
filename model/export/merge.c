#include "model/export/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/path.h"
#include "condlora/safetensors.h"
#include "model/files/checkpoint.h"
#include "model/files/family.h"

/* ---- Rounding, ties to even ---- */

static uint32_t bits_of(float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static uint32_t shift_to_even(uint32_t value, uint32_t shift)
{
  const uint32_t kept = value >> shift, lost = value & ((1u << shift) - 1),
                 half = 1u << (shift - 1);
  return kept + (lost > half || (lost == half && (kept & 1) != 0));
}

/* Numbers from 65520 on round to infinity, those below 2⁻²⁵ to zero, between 2⁻²⁴ and 2⁻¹⁴ to
 * multiples of 2⁻²⁴. */
static uint16_t to_half(float value)
{
  const uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
  const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  if (magnitude > 0x7f800000)
    return sign | 0x7e00;
  if (magnitude >= 0x477ff000)
    return sign | 0x7c00;
  if (magnitude >= 0x38800000)
    return (uint16_t)(sign | (shift_to_even(magnitude, 13) - ((127 - 15) << 10)));
  if (magnitude < 0x33000000)
    return sign;
  const uint32_t exponent = magnitude >> 23, fraction = (magnitude & 0x7fffff) | 0x800000;
  return (uint16_t)(sign | shift_to_even(fraction, 126 - exponent));
}

/* ---- Types of the base ---- */

/* The base may have names without the family's prefix, and norms named gamma and beta. */
static const cdl_stored_tensor *find_in_base(const cdl_safetensors *base, model_family family,
                                             const char *name)
{
  static const char *const endings[][2] = {{".LayerNorm.weight", ".LayerNorm.gamma"},
                                           {".LayerNorm.bias", ".LayerNorm.beta"}};
  const char *prefix = model_family_of(family)->prefix;
  const size_t prefix_bytes = strlen(prefix);
  const char *bare = strncmp(name, prefix, prefix_bytes) == 0 ? name + prefix_bytes : name;
  const char *const forms[] = {name, bare};
  for (size_t f = 0; f < 2; f++) {
    const cdl_stored_tensor *t = cdl_safetensors_find(base, forms[f]);
    for (size_t e = 0; t == NULL && e < 2; e++) {
      char other[256];
      const size_t length = strlen(forms[f]), ending = strlen(endings[e][0]);
      if (length < ending || length >= sizeof other - 8 ||
          strcmp(forms[f] + length - ending, endings[e][0]) != 0)
        continue;
      memcpy(other, forms[f], length - ending);
      strcpy(other + length - ending, endings[e][1]);
      t = cdl_safetensors_find(base, other);
    }
    if (t != NULL)
      return t;
  }
  return NULL;
}

/* ---- The file ---- */

static void narrow(cdl_stored_tensor *t, cdl_stored_type type, uint16_t *values)
{
  const uint8_t *source = t->data;
  for (size_t i = 0; i < t->bytes / sizeof(float); i++) {
    float value;
    memcpy(&value, source + i * sizeof value, sizeof value);
    values[i] = type == CDL_STORED_F16 ? to_half(value) : base_bf16_round(value);
  }
  t->type = type;
  t->data = values;
}

static cdl_status rewrite(const char *path, const cdl_safetensors *file,
                          const cdl_safetensors *base, model_family family)
{
  const size_t count = cdl_safetensors_count(file);
  size_t elements = 0, narrowed = 0;
  for (size_t i = 0; i < count; i++)
    elements += cdl_safetensors_get(file, i)->bytes / sizeof(float);
  cdl_stored_tensor *tensors = calloc(count + 1, sizeof *tensors);
  uint16_t *values = malloc((elements + 1) * sizeof *values);
  cdl_status status = tensors == NULL || values == NULL
                          ? cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path)
                          : CDL_STATUS_OK;
  uint16_t *next = values;
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    tensors[i] = *cdl_safetensors_get(file, i);
    const cdl_stored_tensor *wanted = find_in_base(base, family, tensors[i].name);
    if (wanted == NULL || (wanted->type != CDL_STORED_F16 && wanted->type != CDL_STORED_BF16))
      continue;
    narrow(&tensors[i], wanted->type, next);
    next += tensors[i].bytes / sizeof(float);
    narrowed++;
  }
  const cdl_metadata format = {"format", "pt"};
  if (status == CDL_STATUS_OK && narrowed > 0)
    status = cdl_safetensors_write(path, tensors, count, &format, 1);
  free(values);
  free(tensors);
  return status;
}

static cdl_status narrow_to(const char *path, const char *folder, const cdl_safetensors *base)
{
  model_config config;
  cdl_safetensors *file;
  char *config_path = base_path_join(folder, "config.json");
  cdl_status status = config_path != NULL
                          ? model_config_read(config_path, &config)
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(config_path);
  CDL_TRY(status);
  const model_family family = config.family;
  model_config_release(&config);
  CDL_TRY(cdl_safetensors_open(path, &file));
  status = rewrite(path, file, base, family);
  cdl_safetensors_close(file);
  return status;
}

cdl_status export_model_narrow(const char *folder, const char *base_folder)
{
  cdl_safetensors *base;
  CDL_TRY(cdl_safetensors_open(base_folder, &base));
  char *path = base_path_join(folder, "model.safetensors");
  const cdl_status status = path != NULL ? narrow_to(path, folder, base)
                                         : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  cdl_safetensors_close(base);
  return status;
}
