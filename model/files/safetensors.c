#include "condlora/safetensors.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "model/files/stored.h"
#include "model/files/torch_file.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are stored little-endian and are read as they are"
#endif

enum {
  LENGTH_BYTES = 8,
  HEADER_BYTES_MAX = 100000000,
  HEADER_VALUES_MAX = 4000000,
  SHARDS_MAX = 4096
};

typedef struct {
  char *path;
  base_mapping mapping;
  json_t *header;   /* owns the names and the metadata */
  torch_file torch; /* of a file that torch.save wrote, which has no header */
} shard;

struct cdl_safetensors {
  shard *shards;
  size_t shard_count;
  cdl_stored_tensor *tensors; /* by name */
  size_t count;
};

/* ---- Types ---- */

static const struct {
  const char *name;
  size_t bytes;
} types[] = {
#define TYPE(name, bits) {#name, (bits) / 8},
    CDL_STORED_TYPE_LIST(TYPE)
#undef TYPE
};

const char *cdl_stored_type_name(cdl_stored_type type)
{
  return (size_t)type < CDL_STORED_TYPE_COUNT ? types[type].name : "?";
}

size_t cdl_stored_type_bytes(cdl_stored_type type)
{
  return (size_t)type < CDL_STORED_TYPE_COUNT ? types[type].bytes : 0;
}

static bool find_type(const char *name, cdl_stored_type *type)
{
  for (size_t i = 0; i < CDL_STORED_TYPE_COUNT; i++)
    if (strcmp(types[i].name, name) == 0) {
      *type = (cdl_stored_type)i;
      return true;
    }
  return false;
}

/* ---- The header of one file ---- */

static cdl_status fail_at(const shard *file, const char *name, const char *problem)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": %s", file->path, name, problem);
}

static cdl_status parse_shape(const shard *file, const json_t *entry, cdl_stored_tensor *tensor)
{
  const json_t *shape = json_object_get(entry, "shape");
  if (!json_is_array(shape))
    return fail_at(file, tensor->name, "expected a list \"shape\"");
  if (json_array_size(shape) > CDL_STORED_RANK_MAX)
    return fail_at(file, tensor->name, "has more than 8 dimensions");
  tensor->rank = (uint32_t)json_array_size(shape);
  for (uint32_t i = 0; i < tensor->rank; i++) {
    const json_t *size = json_array_get(shape, i);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
      return fail_at(file, tensor->name, "\"shape\" may hold whole numbers from 0 only");
    tensor->shape[i] = json_integer_value(size);
  }
  return CDL_STATUS_OK;
}

/* Gives the bytes that type and shape need. Returns false if they do not fit a size_t, even if
 * another dimension is zero. */
static bool wanted_bytes(const cdl_stored_tensor *tensor, size_t *bytes)
{
  *bytes = types[tensor->type].bytes;
  for (uint32_t i = 0; i < tensor->rank; i++)
    if (__builtin_mul_overflow(*bytes, (size_t)tensor->shape[i], bytes))
      return false;
  return *bytes <= SIZE_MAX / 2;
}

static cdl_status parse_entry(const shard *file, const uint8_t *data, size_t data_bytes,
                              const json_t *entry, cdl_stored_tensor *tensor)
{
  if (!json_is_object(entry))
    return fail_at(file, tensor->name, "expected an object with dtype, shape and data_offsets");
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  if (dtype == NULL)
    return fail_at(file, tensor->name, "expected a string \"dtype\"");
  if (!find_type(dtype, &tensor->type))
    return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": unknown dtype \"%.40s\"", file->path,
                    tensor->name, dtype);
  CDL_TRY(parse_shape(file, entry, tensor));
  const json_t *offsets = json_object_get(entry, "data_offsets");
  const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
    return fail_at(file, tensor->name, "expected two whole numbers as \"data_offsets\"");
  if (json_object_size(entry) != 3)
    return fail_at(file, tensor->name, "has a key other than dtype, shape and data_offsets");
  const json_int_t begin = json_integer_value(first), end = json_integer_value(last);
  if (begin < 0 || end < begin)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensor \"%.200s\": data_offsets %lld to %lld are no range", file->path,
                    tensor->name, (long long)begin, (long long)end);
  if ((uint64_t)end > data_bytes)
    return cdl_fail(
        CDL_STATUS_DATA,
        "%s: tensor \"%.200s\": ends at byte %lld of %zu bytes of data: the file is cut",
        file->path, tensor->name, (long long)end, data_bytes);
  size_t wanted;
  if (!wanted_bytes(tensor, &wanted))
    return fail_at(file, tensor->name, "the product of \"shape\" overflows");
  if (wanted != (size_t)(end - begin))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensor \"%.200s\": dtype and shape need %zu bytes, data_offsets give %lld",
                    file->path, tensor->name, wanted, (long long)(end - begin));
  tensor->data = data + begin;
  tensor->bytes = wanted;
  return CDL_STATUS_OK;
}

static int by_place(const void *left, const void *right)
{
  const cdl_stored_tensor *a = left, *b = right;
  if (a->data != b->data)
    return (uintptr_t)a->data < (uintptr_t)b->data ? -1 : 1;
  return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int by_name(const void *left, const void *right)
{
  return strcmp(((const cdl_stored_tensor *)left)->name, ((const cdl_stored_tensor *)right)->name);
}

/* The tensors must cover the data one after the other. */
static cdl_status check_cover(const shard *file, const uint8_t *data, size_t data_bytes,
                              cdl_stored_tensor *tensors, size_t count)
{
  if (count > 0)
    qsort(tensors, count, sizeof *tensors, by_place);
  size_t covered = 0;
  for (size_t i = 0; i < count; i++) {
    const size_t begin = (size_t)((const uint8_t *)tensors[i].data - data);
    if (begin != covered)
      return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": begins at byte %zu, %s byte %zu",
                      file->path, tensors[i].name, begin,
                      begin < covered ? "inside the tensor that ends at" : "after a hole from",
                      covered);
    covered += tensors[i].bytes;
  }
  if (covered != data_bytes)
    return cdl_fail(CDL_STATUS_DATA, "%s: %zu bytes after the last tensor belong to none",
                    file->path, data_bytes - covered);
  return CDL_STATUS_OK;
}

static cdl_status check_metadata(const shard *file)
{
  json_t *metadata = json_object_get(file->header, "__metadata__");
  if (metadata == NULL)
    return CDL_STATUS_OK;
  if (!json_is_object(metadata))
    return cdl_fail(CDL_STATUS_DATA, "%s: __metadata__: expected an object", file->path);
  const char *key;
  json_t *value;
  json_object_foreach(metadata, key, value) if (!json_is_string(value)) return cdl_fail(
      CDL_STATUS_DATA, "%s: __metadata__: \"%.200s\": expected a string", file->path, key);
  return CDL_STATUS_OK;
}

/* A parsed value takes many times the two bytes that it may have in the file. */
static cdl_status check_header_values(const shard *file, const uint8_t *header, size_t length)
{
  size_t values = 0;
  for (size_t i = 0; i < length; i++)
    values += header[i] == ',' || header[i] == '[' || header[i] == '{';
  if (values > HEADER_VALUES_MAX)
    return cdl_fail(CDL_STATUS_DATA, "%s: the header holds more than %d values", file->path,
                    HEADER_VALUES_MAX);
  return CDL_STATUS_OK;
}

static cdl_status parse_header(shard *file, size_t *data_offset)
{
  const base_mapping *mapping = &file->mapping;
  uint64_t length;
  if (mapping->size < LENGTH_BYTES)
    return cdl_fail(CDL_STATUS_DATA, "%s: %zu bytes are too few for a safetensors file", file->path,
                    mapping->size);
  memcpy(&length, mapping->data, LENGTH_BYTES);
  if (length > HEADER_BYTES_MAX)
    return cdl_fail(CDL_STATUS_DATA, "%s: a header of %llu bytes: the format allows %d", file->path,
                    (unsigned long long)length, HEADER_BYTES_MAX);
  if (length > mapping->size - LENGTH_BYTES)
    return cdl_fail(CDL_STATUS_DATA, "%s: a header of %llu bytes in a file of %zu: the file is cut",
                    file->path, (unsigned long long)length, mapping->size);
  if (length == 0 || mapping->data[LENGTH_BYTES] != '{')
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the header does not begin with '{': this is no safetensors file",
                    file->path);
  CDL_TRY(check_header_values(file, mapping->data + LENGTH_BYTES, (size_t)length));
  CDL_TRY(base_json_parse(file->path, mapping->data + LENGTH_BYTES, (size_t)length, &file->header));
  *data_offset = LENGTH_BYTES + (size_t)length;
  return check_metadata(file);
}

static cdl_status make_room(cdl_safetensors *all, const char *path, size_t room)
{
  cdl_stored_tensor *tensors =
      room > SIZE_MAX / sizeof *tensors - all->count - 1
          ? NULL
          : realloc(all->tensors, (all->count + room + 1) * sizeof *tensors);
  if (tensors == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  all->tensors = tensors;
  return CDL_STATUS_OK;
}

static cdl_status add_torch_tensors(cdl_safetensors *all, shard *file)
{
  CDL_TRY(torch_file_open(file->path, &file->mapping, &file->torch));
  CDL_TRY(make_room(all, file->path, file->torch.count));
  for (size_t i = 0; i < file->torch.count; i++)
    all->tensors[all->count++] = file->torch.tensors[i];
  return CDL_STATUS_OK;
}

static bool ends_in_bin(const char *path)
{
  const size_t length = strlen(path);
  return length > 4 && strcmp(path + length - 4, ".bin") == 0;
}

/* Opens one file and appends its tensors. */
static cdl_status add_shard(cdl_safetensors *all, const char *path)
{
  shard *file = &all->shards[all->shard_count];
  *file = (shard){.path = strdup(path)};
  if (file->path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  all->shard_count++;
  CDL_TRY(base_file_map(path, &file->mapping));
  if (torch_file_is(&file->mapping))
    return add_torch_tensors(all, file);
  if (ends_in_bin(path))
    return cdl_fail(CDL_STATUS_DATA, "%s: is no file of tensors that torch.save wrote", path);
  size_t data_offset = 0;
  CDL_TRY(parse_header(file, &data_offset));
  CDL_TRY(make_room(all, path, json_object_size(file->header)));
  cdl_stored_tensor *tensors = all->tensors;
  const uint8_t *data = file->mapping.data + data_offset;
  const size_t data_bytes = file->mapping.size - data_offset;
  const size_t first = all->count;
  const char *name;
  json_t *entry;
  json_object_foreach(file->header, name, entry)
  {
    if (strcmp(name, "__metadata__") == 0)
      continue;
    cdl_stored_tensor *tensor = &tensors[all->count];
    *tensor = (cdl_stored_tensor){.name = name};
    CDL_TRY(parse_entry(file, data, data_bytes, entry, tensor));
    all->count++;
  }
  return check_cover(file, data, data_bytes, tensors + first, all->count - first);
}

static cdl_status sort_by_name(cdl_safetensors *all)
{
  if (all->count > 0)
    qsort(all->tensors, all->count, sizeof *all->tensors, by_name);
  for (size_t i = 1; i < all->count; i++)
    if (strcmp(all->tensors[i - 1].name, all->tensors[i].name) == 0)
      return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": is in %s too",
                      cdl_safetensors_path_of(all, &all->tensors[i]), all->tensors[i].name,
                      cdl_safetensors_path_of(all, &all->tensors[i - 1]));
  return CDL_STATUS_OK;
}

/* ---- Folders and shards ---- */

static bool is_plain_name(const char *name)
{
  return name[0] != '\0' && strchr(name, '/') == NULL && strchr(name, '\\') == NULL &&
         strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

static bool has_shard(const cdl_safetensors *all, const char *name)
{
  for (size_t i = 0; i < all->shard_count; i++)
    if (strcmp(last_part(all->shards[i].path), name) == 0)
      return true;
  return false;
}

static cdl_status add_named_shard(cdl_safetensors *all, const char *folder, const char *index,
                                  const char *tensor, const json_t *value)
{
  const char *name = json_string_value(value);
  if (name == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: weight_map: \"%.200s\": expected a file's name", index,
                    tensor);
  if (!is_plain_name(name))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: weight_map: \"%.200s\": \"%.200s\" is no name of a file in this folder",
                    index, tensor, name);
  if (has_shard(all, name))
    return CDL_STATUS_OK;
  if (all->shard_count == SHARDS_MAX)
    return cdl_fail(CDL_STATUS_DATA, "%s: weight_map: names more than %d files", index, SHARDS_MAX);
  char *path = base_path_join(folder, name);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", index);
  cdl_status status = add_shard(all, path);
  if (status == CDL_STATUS_ABSENT)
    status = cdl_fail(CDL_STATUS_ABSENT, "%s: no such file, but %s names it for \"%.200s\"", path,
                      index, tensor);
  free(path);
  return status;
}

/* The map and the shards must agree. */
static cdl_status check_map(const cdl_safetensors *all, const char *index, const json_t *map)
{
  for (size_t i = 0; i < all->count; i++) {
    const cdl_stored_tensor *tensor = &all->tensors[i];
    const char *path = cdl_safetensors_path_of(all, tensor);
    const char *named = json_string_value(json_object_get(map, tensor->name));
    if (named == NULL)
      return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": is not in the weight_map of %s",
                      path, tensor->name, index);
    if (strcmp(named, last_part(path)) != 0)
      return cdl_fail(CDL_STATUS_DATA, "%s: weight_map: \"%.200s\": is in %s, not in \"%.200s\"",
                      index, tensor->name, path, named);
  }
  if (all->count == json_object_size(map))
    return CDL_STATUS_OK;
  const char *name;
  json_t *value;
  json_object_foreach(
      (json_t *)(uintptr_t)map, name,
      value) if (cdl_safetensors_find(all, name) ==
                 NULL) return cdl_fail(CDL_STATUS_DATA,
                                       "%s: weight_map: \"%.200s\": is not in \"%.200s\"", index,
                                       name, json_string_value(value));
  return CDL_STATUS_OK;
}

static cdl_status open_shards(cdl_safetensors *all, const char *folder, const char *index,
                              json_t *document)
{
  json_t *map = json_object_get(document, "weight_map");
  if (!json_is_object(map) || json_object_size(map) == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: expected an object \"weight_map\"", index);
  all->shards = calloc(SHARDS_MAX, sizeof *all->shards);
  if (all->shards == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", index);
  const char *name;
  json_t *value;
  json_object_foreach(map, name, value) CDL_TRY(add_named_shard(all, folder, index, name, value));
  CDL_TRY(sort_by_name(all));
  return check_map(all, index, map);
}

static cdl_status open_file(cdl_safetensors *all, const char *path)
{
  all->shards = calloc(1, sizeof *all->shards);
  if (all->shards == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  CDL_TRY(add_shard(all, path));
  return sort_by_name(all);
}

static cdl_status open_index(cdl_safetensors *all, const char *folder, const char *index)
{
  json_t *document = NULL;
  cdl_status status = base_json_read(index, &document);
  if (status == CDL_STATUS_OK)
    status = open_shards(all, folder, index, document);
  json_decref(document);
  return status;
}

/* Opens the first of these that exists. */
static cdl_status open_folder(cdl_safetensors *all, const char *folder)
{
  static const struct {
    const char *name;
    bool is_index;
  } files[] = {{"model.safetensors", false},
               {"model.safetensors.index.json", true},
               {"pytorch_model.bin", false},
               {"pytorch_model.bin.index.json", true}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    char *path = base_path_join(folder, files[i].name);
    if (path == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
    const bool found = base_file_exists(path);
    cdl_status status = CDL_STATUS_OK;
    if (found)
      status = files[i].is_index ? open_index(all, folder, path) : open_file(all, path);
    free(path);
    if (found)
      return status;
  }
  return cdl_fail(CDL_STATUS_ABSENT, "%s: has neither model.safetensors nor pytorch_model.bin",
                  folder);
}

static bool is_folder(const char *path)
{
  struct stat facts;
  return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

cdl_status cdl_safetensors_open(const char *path, cdl_safetensors **file)
{
  *file = NULL;
  cdl_safetensors *all = calloc(1, sizeof *all);
  if (all == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  const cdl_status status = is_folder(path) ? open_folder(all, path) : open_file(all, path);
  if (status != CDL_STATUS_OK) {
    cdl_safetensors_close(all);
    return status;
  }
  *file = all;
  return CDL_STATUS_OK;
}

void cdl_safetensors_close(cdl_safetensors *file)
{
  if (file == NULL)
    return;
  for (size_t i = 0; i < file->shard_count; i++) {
    json_decref(file->shards[i].header);
    torch_file_release(&file->shards[i].torch);
    base_file_unmap(&file->shards[i].mapping);
    free(file->shards[i].path);
  }
  free(file->shards);
  free(file->tensors);
  free(file);
}

/* ---- What is inside ---- */

size_t cdl_safetensors_count(const cdl_safetensors *file)
{
  return file->count;
}

const cdl_stored_tensor *cdl_safetensors_get(const cdl_safetensors *file, size_t index)
{
  return index < file->count ? &file->tensors[index] : NULL;
}

const cdl_stored_tensor *cdl_safetensors_find(const cdl_safetensors *file, const char *name)
{
  const cdl_stored_tensor key = {.name = name};
  return file->count == 0 ? NULL : bsearch(&key, file->tensors, file->count, sizeof key, by_name);
}

static bool is_copy(const shard *file, const cdl_stored_tensor *tensor)
{
  const uintptr_t place = (uintptr_t)tensor->data, begin = (uintptr_t)file->torch.copies;
  return begin != 0 && place >= begin && place + tensor->bytes <= begin + file->torch.copied_bytes;
}

static const shard *shard_of(const cdl_safetensors *file, const cdl_stored_tensor *tensor)
{
  const uintptr_t place = (uintptr_t)tensor->data;
  for (size_t i = 0; i < file->shard_count; i++) {
    const uintptr_t begin = (uintptr_t)file->shards[i].mapping.data;
    if (is_copy(&file->shards[i], tensor) ||
        (place >= begin + LENGTH_BYTES &&
         place + tensor->bytes <= begin + file->shards[i].mapping.size))
      return &file->shards[i];
  }
  return &file->shards[0];
}

const char *cdl_safetensors_path_of(const cdl_safetensors *file, const cdl_stored_tensor *tensor)
{
  return shard_of(file, tensor)->path;
}

const char *cdl_safetensors_metadata(const cdl_safetensors *file, const char *key)
{
  const char *value = NULL;
  for (size_t i = 0; i < file->shard_count && value == NULL; i++)
    value = json_string_value(
        json_object_get(json_object_get(file->shards[i].header, "__metadata__"), key));
  return value;
}

void cdl_safetensors_discard(const cdl_safetensors *file, const cdl_stored_tensor *tensor)
{
  const shard *holder = shard_of(file, tensor);
  const base_mapping *mapping = &holder->mapping;
  if (is_copy(holder, tensor))
    return;
  base_file_discard(mapping, (size_t)((const uint8_t *)tensor->data - mapping->data),
                    tensor->bytes);
}

bool model_stored_is_mapped(const cdl_safetensors *file, const cdl_stored_tensor *tensor)
{
  return !is_copy(shard_of(file, tensor), tensor);
}

cdl_status model_stored_check(const cdl_safetensors *file)
{
  for (size_t i = 0; i < file->shard_count; i++)
    if (!base_file_unchanged(file->shards[i].path, &file->shards[i].mapping))
      return cdl_fail(CDL_STATUS_IO,
                      "%s: was overwritten while it was in use; results would mix both contents",
                      file->shards[i].path);
  return CDL_STATUS_OK;
}
