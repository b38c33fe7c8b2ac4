/* Writes safetensors files: the same bytes for the same values. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "condlora/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGNMENT = 8, HEADER_BYTES_MAX = 100000000 };

/* The widest type first keeps every tensor aligned to its type. */
static int by_width_and_name(const void *left, const void *right)
{
  const cdl_stored_tensor *a = left, *b = right;
  const size_t wide_a = cdl_stored_type_bytes(a->type), wide_b = cdl_stored_type_bytes(b->type);
  if (wide_a != wide_b)
    return wide_a > wide_b ? -1 : 1;
  return strcmp(a->name, b->name);
}

static cdl_status fail_argument(const char *path, const char *name, const char *problem)
{
  return cdl_fail(CDL_STATUS_ARGUMENT, "%s: tensor \"%.200s\": %s", path, name, problem);
}

static cdl_status measure(const char *path, cdl_stored_tensor *tensor)
{
  tensor->bytes = cdl_stored_type_bytes(tensor->type);
  if (tensor->bytes == 0)
    return fail_argument(path, tensor->name, "no such type");
  if (tensor->rank > CDL_STORED_RANK_MAX)
    return fail_argument(path, tensor->name, "has more than 8 dimensions");
  for (uint32_t i = 0; i < tensor->rank; i++)
    if (tensor->shape[i] < 0 ||
        __builtin_mul_overflow(tensor->bytes, (size_t)tensor->shape[i], &tensor->bytes) ||
        tensor->bytes > INT64_MAX)
      return fail_argument(path, tensor->name, "its shape cannot be");
  return CDL_STATUS_OK;
}

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

static bool is_utf8(const char *text)
{
  const size_t bytes = strlen(text);
  return base_utf8_well_formed((const uint8_t *)text, bytes) == bytes;
}

/* Adds "name": {"dtype", "shape", "data_offsets"}. */
static cdl_status add_entry(const char *path, json_t *header, const cdl_stored_tensor *tensor,
                            size_t begin)
{
  if (strcmp(tensor->name, "__metadata__") == 0 || json_object_get(header, tensor->name) != NULL)
    return fail_argument(path, tensor->name, "this name is taken");
  if (!is_utf8(tensor->name))
    return fail_argument(path, tensor->name, "its name is not UTF-8");
  json_t *shape = json_array();
  for (uint32_t i = 0; i < tensor->rank; i++)
    base_json_append(&shape, json_integer(tensor->shape[i]));
  json_t *entry =
      json_pack("{s:s, s:o, s:[I, I]}", "dtype", cdl_stored_type_name(tensor->type), "shape", shape,
                "data_offsets", (json_int_t)begin, (json_int_t)(begin + tensor->bytes));
  return json_object_set_new(header, tensor->name, entry) == 0 ? CDL_STATUS_OK : no_memory(path);
}

static cdl_status add_metadata(const char *path, json_t *header, const cdl_metadata *metadata,
                               size_t count)
{
  if (count == 0)
    return CDL_STATUS_OK;
  json_t *object = json_object();
  if (json_object_set_new(header, "__metadata__", object) != 0)
    return no_memory(path);
  for (size_t i = 0; i < count; i++) {
    if (!is_utf8(metadata[i].key) || !is_utf8(metadata[i].value))
      return cdl_fail(CDL_STATUS_ARGUMENT, "%s: metadata \"%.200s\": is not UTF-8", path,
                      metadata[i].key);
    if (json_object_set_new(object, metadata[i].key, json_string(metadata[i].value)) != 0)
      return no_memory(path);
  }
  return CDL_STATUS_OK;
}

static cdl_status write_file(const char *path, const char *header, const cdl_stored_tensor *tensors,
                             size_t count)
{
  const size_t length = strlen(header);
  const size_t padding = (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
  const uint64_t stored_length = length + padding;
  if (stored_length > HEADER_BYTES_MAX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: the header would be longer than the format allows",
                    path);
  base_output *output = NULL;
  CDL_TRY(base_output_begin(path, &output));
  base_output_write(output, &stored_length, LENGTH_BYTES);
  base_output_write(output, header, length);
  base_output_write(output, "        ", padding);
  for (size_t i = 0; i < count; i++)
    base_output_write(output, tensors[i].data, tensors[i].bytes);
  return base_output_commit(output);
}

static cdl_status write_sorted(const char *path, json_t *header, cdl_stored_tensor *tensors,
                               size_t count, const cdl_metadata *metadata, size_t metadata_count)
{
  CDL_TRY(add_metadata(path, header, metadata, metadata_count));
  size_t offset = 0;
  for (size_t i = 0; i < count; i++) {
    CDL_TRY(measure(path, &tensors[i]));
    if (tensors[i].bytes > INT64_MAX - offset)
      return fail_argument(path, tensors[i].name, "the file would be too large");
    CDL_TRY(add_entry(path, header, &tensors[i], offset));
    offset += tensors[i].bytes;
  }
  char *text = base_json_line(header);
  if (text == NULL)
    return no_memory(path);
  const cdl_status status = write_file(path, text, tensors, count);
  free(text);
  return status;
}

cdl_status cdl_safetensors_write(const char *path, const cdl_stored_tensor *tensors, size_t count,
                                 const cdl_metadata *metadata, size_t metadata_count)
{
  cdl_stored_tensor *sorted = calloc(count + 1, sizeof *sorted);
  json_t *header = json_object();
  cdl_status status;
  if (sorted == NULL || header == NULL) {
    status = no_memory(path);
  } else {
    if (count > 0) {
      memcpy(sorted, tensors, count * sizeof *sorted);
      qsort(sorted, count, sizeof *sorted, by_width_and_name);
    }
    status = write_sorted(path, header, sorted, count, metadata, metadata_count);
  }
  json_decref(header);
  free(sorted);
  return status;
}
