#include "model/files/torch_file.h"

#include <stdlib.h>
#include <string.h>

#include "model/files/pickle.h"
#include "model/files/zip.h"

/* The start of files from before 1.6: two pickles of one number each, the magic number and the
 * version. */
static const uint8_t old_start[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
static const uint8_t old_version[] = {0x80, 0x02, 'M', 0xe9, 0x03, '.'};

typedef struct {
  pickled_text key;
  const uint8_t *data;
  size_t size;
} raw_storage;

typedef struct {
  const char *path;
  size_t copies_most;
  /* For an archive. */
  const zip_entry *entries;
  size_t entry_count;
  const char *folder; /* the part before "/data.pkl" */
  size_t folder_bytes;
  /* For an old file, by key. */
  const raw_storage *storages;
  size_t storage_count;
} archive;

static bool is_old(const base_mapping *file)
{
  return file->size >= sizeof old_start && memcmp(file->data, old_start, sizeof old_start) == 0;
}

bool torch_file_is(const base_mapping *file)
{
  return zip_is_archive(file) || is_old(file);
}

static int compare_texts(pickled_text a, pickled_text b)
{
  const int order = memcmp(a.text, b.text, a.bytes < b.bytes ? a.bytes : b.bytes);
  return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static cdl_status fail_at(const archive *a, const pickled_tensor *p, const char *problem)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.*s\": %s", a->path,
                  p->name.bytes < 200 ? (int)p->name.bytes : 200, p->name.text, problem);
}

/* ---- Entries ---- */

static const zip_entry *find_pickle(archive *a)
{
  static const char name[] = "/data.pkl";
  const size_t length = sizeof name - 1;
  for (size_t i = 0; i < a->entry_count; i++) {
    const zip_entry *e = &a->entries[i];
    if (e->name_bytes <= length || memcmp(e->name + e->name_bytes - length, name, length) != 0)
      continue;
    a->folder = e->name;
    a->folder_bytes = e->name_bytes - length;
    if (memchr(a->folder, '/', a->folder_bytes) == NULL)
      return e;
  }
  return NULL;
}

/* Finds FOLDER/PART/KEY; `*entry` is NULL if there is none. */
static cdl_status find_entry(const archive *a, const char *part, const char *key, size_t key_bytes,
                             const zip_entry **entry)
{
  const size_t part_bytes = strlen(part);
  char *name = malloc(a->folder_bytes + part_bytes + key_bytes + 1);
  if (name == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", a->path);
  memcpy(name, a->folder, a->folder_bytes);
  memcpy(name + a->folder_bytes, part, part_bytes);
  memcpy(name + a->folder_bytes + part_bytes, key, key_bytes);
  *entry = zip_find(a->entries, a->entry_count, name, a->folder_bytes + part_bytes + key_bytes);
  free(name);
  return CDL_STATUS_OK;
}

static cdl_status check_byte_order(const archive *a)
{
  const zip_entry *e;
  CDL_TRY(find_entry(a, "/byteorder", "", 0, &e));
  if (e == NULL || (e->size == 6 && memcmp(e->data, "little", 6) == 0))
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: its numbers are not little-endian", a->path);
}

/* ---- Tensors ---- */

/* Gives the tensor's elements and the first one past its last; false if they overflow. */
static bool measure(const pickled_tensor *p, int64_t *elements, int64_t *end)
{
  *elements = 1;
  *end = p->offset;
  if (p->offset < 0)
    return false;
  for (uint32_t i = 0; i < p->rank; i++)
    if (p->shape[i] < 0 || p->stride[i] < 0 ||
        __builtin_mul_overflow(*elements, p->shape[i], elements))
      return false;
  if (*elements == 0)
    return true;
  for (uint32_t i = 0; i < p->rank; i++) {
    int64_t reach;
    if (__builtin_mul_overflow(p->shape[i] - 1, p->stride[i], &reach) ||
        __builtin_add_overflow(*end, reach, end))
      return false;
  }
  return !__builtin_add_overflow(*end, 1, end);
}

static bool is_row_major(const pickled_tensor *p, int64_t elements)
{
  int64_t dense = 1;
  for (uint32_t i = p->rank; elements > 0 && i-- > 0;) {
    if (p->shape[i] != 1 && p->stride[i] != dense)
      return false;
    dense *= p->shape[i];
  }
  return true;
}

static int by_key(const void *left, const void *right)
{
  return compare_texts(((const raw_storage *)left)->key, ((const raw_storage *)right)->key);
}

/* Finds the bytes of a storage. */
static cdl_status find_storage(const archive *a, const pickled_tensor *p, raw_storage *storage)
{
  *storage = (raw_storage){.key = p->storage.key};
  if (a->storages != NULL) {
    const raw_storage *found =
        bsearch(storage, a->storages, a->storage_count, sizeof *found, by_key);
    if (found != NULL)
      *storage = *found;
  } else {
    const zip_entry *entry;
    CDL_TRY(find_entry(a, "/data/", storage->key.text, storage->key.bytes, &entry));
    if (entry != NULL)
      *storage = (raw_storage){storage->key, entry->data, entry->size};
  }
  if (storage->data == NULL)
    return fail_at(a, p, "its storage is not in the file");
  size_t bytes;
  if (__builtin_mul_overflow((size_t)p->storage.count, cdl_stored_type_bytes(p->storage.type),
                             &bytes) ||
      bytes != storage->size)
    return fail_at(a, p, "its storage has another size than the pickle says");
  return CDL_STATUS_OK;
}

/* Copies in row-major order, the last dimension fastest. */
static void gather(const pickled_tensor *p, const uint8_t *storage, size_t size, int64_t elements,
                   uint8_t *copy)
{
  int64_t index[CDL_STORED_RANK_MAX] = {0}, place = p->offset;
  for (int64_t n = 0; n < elements; n++) {
    memcpy(copy + (size_t)n * size, storage + (size_t)place * size, size);
    for (uint32_t i = p->rank; i-- > 0;) {
      place += p->stride[i];
      if (++index[i] < p->shape[i])
        break;
      place -= p->shape[i] * p->stride[i];
      index[i] = 0;
    }
  }
}

/* `t->copies` has room for as many bytes as the whole file: except for expanded ones, PyTorch saves
 * no tensor that is larger than its storage. */
static cdl_status add_copy(const archive *a, torch_file *t, const pickled_tensor *p,
                           const uint8_t *storage, int64_t elements, cdl_stored_tensor *tensor)
{
  const size_t size = cdl_stored_type_bytes(p->storage.type);
  if (elements > p->storage.count || tensor->bytes > a->copies_most - t->copied_bytes)
    return fail_at(a, p, "its strides repeat elements");
  if (t->copies == NULL && (t->copies = malloc(a->copies_most)) == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", a->path);
  gather(p, storage, size, elements, t->copies + t->copied_bytes);
  tensor->data = t->copies + t->copied_bytes;
  t->copied_bytes += tensor->bytes;
  return CDL_STATUS_OK;
}

static cdl_status add_tensor(const archive *a, torch_file *t, const pickled_tensor *p,
                             const char *name)
{
  raw_storage storage;
  int64_t elements, end;
  CDL_TRY(find_storage(a, p, &storage));
  if (!measure(p, &elements, &end) || (elements > 0 && end > p->storage.count) ||
      (elements == 0 && p->offset > p->storage.count))
    return fail_at(a, p, "shape and strides reach outside its storage");
  cdl_stored_tensor *tensor = &t->tensors[t->count++];
  *tensor = (cdl_stored_tensor){.name = name, .type = p->storage.type, .rank = p->rank};
  memcpy(tensor->shape, p->shape, sizeof tensor->shape);
  const size_t size = cdl_stored_type_bytes(p->storage.type);
  if (__builtin_mul_overflow((size_t)elements, size, &tensor->bytes))
    return fail_at(a, p, "the product of its shape overflows");
  tensor->data = storage.data + (size_t)p->offset * size;
  return is_row_major(p, elements) ? CDL_STATUS_OK
                                   : add_copy(a, t, p, storage.data, elements, tensor);
}

static cdl_status add_tensors(const archive *a, torch_file *t, const pickled_file *pickled)
{
  const size_t count = pickled->tensor_count;
  size_t bytes = 1;
  for (size_t i = 0; i < count; i++)
    bytes += pickled->tensors[i].name.bytes + 1;
  t->names = malloc(bytes);
  t->tensors = calloc(count + 1, sizeof *t->tensors);
  if (t->names == NULL || t->tensors == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", a->path);
  char *name = t->names;
  for (size_t i = 0; i < count; i++) {
    const pickled_text *given = &pickled->tensors[i].name;
    memcpy(name, given->text, given->bytes);
    name[given->bytes] = '\0';
    CDL_TRY(add_tensor(a, t, &pickled->tensors[i], name));
    name += given->bytes + 1;
  }
  return CDL_STATUS_OK;
}

/* ---- An archive ---- */

static cdl_status open_archive(archive *a, torch_file *t)
{
  const zip_entry *pickle = find_pickle(a);
  if (pickle == NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: a zip archive without data.pkl: torch.save did not write it", a->path);
  CDL_TRY(check_byte_order(a));
  pickle_input input = {a->path, pickle->data, pickle->data, pickle->data + pickle->size};
  pickled_file pickled;
  CDL_TRY(pickle_read(&input, &pickled));
  const cdl_status status =
      input.next == input.end
          ? add_tensors(a, t, &pickled)
          : cdl_fail(CDL_STATUS_DATA,
                     "%s: the pickle is damaged at byte %zu: something follows its end", a->path,
                     (size_t)(input.next - input.start));
  pickle_release(&pickled);
  return status;
}

/* ---- A file from before 1.6 ---- */

static int by_storage_key(const void *left, const void *right)
{
  return compare_texts(((const pickled_storage *)left)->key, ((const pickled_storage *)right)->key);
}

/* Reads the next storage: its number of elements in 8 bytes, and the elements. */
static cdl_status take_storage(pickle_input *input, pickled_text key, const pickled_file *pickled,
                               raw_storage *storage)
{
  const pickled_storage wanted = {.key = key};
  const pickled_storage *known =
      bsearch(&wanted, pickled->storages, pickled->storage_count, sizeof *known, by_storage_key);
  const int key_bytes = key.bytes < 40 ? (int)key.bytes : 40;
  const size_t left = (size_t)(input->end - input->next);
  uint64_t count = 0;
  size_t bytes;
  if (known == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: no tensor has the storage \"%.*s\" that is in the file",
                    input->path, key_bytes, key.text);
  if (left < sizeof count)
    return cdl_fail(CDL_STATUS_DATA, "%s: ends before its storage \"%.*s\"", input->path, key_bytes,
                    key.text);
  for (size_t i = 0; i < sizeof count; i++)
    count |= (uint64_t)input->next[i] << 8 * i;
  if (__builtin_mul_overflow(count, cdl_stored_type_bytes(known->type), &bytes) ||
      bytes > left - sizeof count)
    return cdl_fail(CDL_STATUS_DATA, "%s: ends within its storage \"%.*s\"", input->path, key_bytes,
                    key.text);
  *storage = (raw_storage){key, input->next + sizeof count, bytes};
  input->next += sizeof count + bytes;
  return CDL_STATUS_OK;
}

static cdl_status take_storages(archive *a, torch_file *t, pickle_input *input,
                                pickled_file *pickled)
{
  pickled_text *keys;
  CDL_TRY(pickle_read_texts(input, &keys, &a->storage_count));
  raw_storage *storages = calloc(a->storage_count + 1, sizeof *storages);
  cdl_status status =
      storages != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", a->path);
  qsort(pickled->storages, pickled->storage_count, sizeof *pickled->storages, by_storage_key);
  for (size_t i = 0; status == CDL_STATUS_OK && i < a->storage_count; i++)
    status = take_storage(input, keys[i], pickled, &storages[i]);
  if (status == CDL_STATUS_OK) {
    qsort(storages, a->storage_count, sizeof *storages, by_key);
    a->storages = storages;
    status = add_tensors(a, t, pickled);
  }
  free(storages);
  free(keys);
  return status;
}

/* Reads the pickles of the magic number, the version, the system, the tensors, and the storages'
 * keys in their order; then the storages. */
static cdl_status open_old(archive *a, const base_mapping *file, torch_file *t)
{
  const uint8_t *version = file->data + sizeof old_start;
  if (file->size < sizeof old_start + sizeof old_version ||
      memcmp(version, old_version, sizeof old_version) != 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: is of another version of the format of PyTorch before 1.6 than 1001",
                    a->path);
  pickle_input input = {a->path, file->data, version + sizeof old_version, file->data + file->size};
  bool little_endian;
  CDL_TRY(pickle_read_flag(&input, "little_endian", &little_endian));
  if (!little_endian)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: its numbers are not little-endian", a->path);
  pickled_file pickled;
  CDL_TRY(pickle_read(&input, &pickled));
  const cdl_status status = take_storages(a, t, &input, &pickled);
  pickle_release(&pickled);
  return status;
}

/* ---- The file ---- */

cdl_status torch_file_open(const char *path, const base_mapping *file, torch_file *t)
{
  *t = (torch_file){0};
  archive a = {.path = path, .copies_most = file->size};
  cdl_status status;
  if (is_old(file)) {
    status = open_old(&a, file, t);
  } else {
    zip_entry *entries;
    CDL_TRY(zip_list(path, file, &entries, &a.entry_count));
    a.entries = entries;
    status = open_archive(&a, t);
    free(entries);
  }
  if (status != CDL_STATUS_OK)
    torch_file_release(t);
  return status;
}

void torch_file_release(torch_file *t)
{
  free(t->tensors);
  free(t->names);
  free(t->copies);
  *t = (torch_file){0};
}
