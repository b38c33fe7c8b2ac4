/* Files of torch.save: archives and pickles made here by the definitions of their formats, and
 * whatever is not a dictionary of tensors. */
#include "condlora/safetensors.h"
#include "tests/unit/scratch.h"

/* ---- Archives made by hand ---- */

enum { ARCHIVE_MOST = 1 << 16, ENTRIES_MOST = 8 };

typedef struct {
  uint8_t bytes[ARCHIVE_MOST];
  size_t size;
  struct {
    char name[64];
    size_t offset, size;
  } entries[ENTRIES_MOST];
  int count;
  unsigned method, flags; /* of the next entry */
} archive;

static void put(archive *a, const void *bytes, size_t count)
{
  ck_assert_uint_le(a->size + count, sizeof a->bytes);
  memcpy(a->bytes + a->size, bytes, count);
  a->size += count;
}

static void put_number(archive *a, uint64_t number, int bytes)
{
  for (int i = 0; i < bytes; i++)
    put(a, &(uint8_t){(uint8_t)(i < 8 ? number >> 8 * i : 0)}, 1);
}

/* The part that local and central headers share. */
static void put_facts(archive *a, int entry)
{
  put_number(a, a->flags, 2);
  put_number(a, a->method, 2);
  put_number(a, 0, 8); /* time, date, checksum */
  put_number(a, a->entries[entry].size, 4);
  put_number(a, a->entries[entry].size, 4);
  put_number(a, strlen(a->entries[entry].name), 2);
}

static void add(archive *a, const char *name, const void *bytes, size_t count)
{
  const int entry = a->count++;
  snprintf(a->entries[entry].name, sizeof a->entries[entry].name, "%s", name);
  a->entries[entry].offset = a->size;
  a->entries[entry].size = count;
  put_number(a, 0x04034b50, 4);
  put_number(a, 10, 2);
  put_facts(a, entry);
  put_number(a, 5, 2); /* padding, as PyTorch aligns data */
  put(a, name, strlen(name));
  put(a, "\0\0\0\0", 5);
  put(a, bytes, count);
}

/* With `wide`, sizes and offsets stand in fields of 64 bits. */
static void finish(archive *a, bool wide)
{
  const size_t start = a->size;
  for (int i = 0; i < a->count; i++) {
    put_number(a, 0x02014b50, 4);
    put_number(a, 0x000a000a, 4);
    const size_t size = a->entries[i].size;
    if (wide)
      a->entries[i].size = UINT32_MAX;
    put_facts(a, i);
    put_number(a, wide ? 28 : 0, 2);
    put_number(a, 0, 10); /* comment, disk, attributes */
    put_number(a, wide ? UINT32_MAX : a->entries[i].offset, 4);
    put(a, a->entries[i].name, strlen(a->entries[i].name));
    if (wide) {
      put_number(a, 1 | 24 << 16, 4);
      put_number(a, size, 8);
      put_number(a, size, 8);
      put_number(a, a->entries[i].offset, 8);
    }
  }
  const size_t bytes = a->size - start, end = a->size;
  if (wide) {
    put_number(a, 0x06064b50, 4);
    put_number(a, 44, 8);
    put_number(a, 0, 12);
    put_number(a, (uint64_t)a->count, 8);
    put_number(a, (uint64_t)a->count, 8);
    put_number(a, bytes, 8);
    put_number(a, start, 8);
    put_number(a, 0x07064b50, 4);
    put_number(a, 0, 4);
    put_number(a, end, 8);
    put_number(a, 1, 4);
  }
  put_number(a, 0x06054b50, 4);
  put_number(a, 0, 4);
  put_number(a, wide ? UINT16_MAX : (uint64_t)a->count, 2);
  put_number(a, wide ? UINT16_MAX : (uint64_t)a->count, 2);
  put_number(a, wide ? UINT32_MAX : bytes, 4);
  put_number(a, wide ? UINT32_MAX : start, 4);
  put_number(a, 0, 2);
}

/* ---- Pickles ---- */

#define TEXT(length, text) "X" length "\0\0\0" text
#define STORAGE(type, key, count) \
  "(" TEXT("\7", "storage") "ctorch\n" type "\n" TEXT("\1", key) TEXT("\3", "cpu") "K" count "tQ"
#define ORDERED "ccollections\nOrderedDict\n)R"
/* Arguments after the storage: offset, shape, strides. */
#define TENSOR(storage, offset, shape, stride)                                                    \
  "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset "(" shape "t(" stride "t\x89" ORDERED \
  "tR"
#define ENTRY(name, tensor) TEXT("\1", name) tensor "s"
#define F32_6 STORAGE("FloatStorage", "0", "\6")
#define SIX TENSOR(F32_6, "\0", "K\2K\3", "K\3K\1")
#define PICKLE(text) (text), sizeof(text) - 1

static const float numbers[] = {0, 1, 2, 3, 4, 5};
static const int64_t wholes[] = {7, 8};

static archive *archive_with(const void *pickle, size_t bytes)
{
  archive *a = calloc(1, sizeof *a);
  ck_assert_ptr_nonnull(a);
  add(a, "model/data.pkl", pickle, bytes);
  add(a, "model/byteorder", "little", 6);
  add(a, "model/data/0", numbers, sizeof numbers);
  add(a, "model/data/1", wholes, sizeof wholes);
  add(a, "model/version", "3\n", 2);
  return a;
}

static const char *write_archive(archive *a)
{
  const char *path = scratch_path("file.bin");
  scratch_put(path, a->bytes, a->size);
  free(a);
  return path;
}

static const char *write_pickle(const void *pickle, size_t bytes)
{
  archive *a = archive_with(pickle, bytes);
  finish(a, false);
  return write_archive(a);
}

static void expect_refused_file(const char *path, const char *reason)
{
  cdl_safetensors *file;
  const cdl_status status = cdl_safetensors_open(path, &file);
  expect_failure(status, status == CDL_STATUS_UNSUPPORTED ? status : CDL_STATUS_DATA, "file.bin");
  ck_assert_msg(strstr(cdl_error_message(), reason) != NULL, "\"%s\" does not say \"%s\"",
                cdl_error_message(), reason);
  ck_assert_ptr_null(file);
}

static void expect_refused(const void *pickle, size_t bytes, const char *reason)
{
  expect_refused_file(write_pickle(pickle, bytes), reason);
}

/* A tensor with attributes. */
#define DRESSED(maker, class, arguments) \
  "ctorch._tensor\n_rebuild_from_type_v2\n(" maker class arguments "}" TEXT("\1", "n") "K\1stR"

/* ---- Good files ---- */

#define GOOD                                                                \
  "\x80\2" ORDERED "q\0(" TEXT("\1", "b") SIX TEXT("\1", "t")               \
      TENSOR(F32_6, "\1", "K\2K\2", "K\1K\3") TEXT("\1", "i")               \
          TENSOR(STORAGE("LongStorage", "1", "\2"), "\0", "K\2", "K\1") "u" \
                                                                        "}" TEXT("\1", "_") "}sb."

static void expect_good(const char *path)
{
  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(path, &file));
  ck_assert_uint_eq(cdl_safetensors_count(file), 3);
  const cdl_stored_tensor *b = cdl_safetensors_find(file, "b"),
                          *i = cdl_safetensors_find(file, "i"),
                          *t = cdl_safetensors_find(file, "t");
  float read[6];
  ck_assert_int_eq(i->type, CDL_STORED_I64);
  ck_assert_mem_eq(i->data, wholes, sizeof wholes);
  expect_ok(cdl_safetensors_read(file, b, 2, (const int64_t[]){2, 3}, read));
  ck_assert_mem_eq(read, numbers, sizeof numbers);
  /* Element (r, c) is number 1 + r + 3 c. */
  for (int turn = 0; turn < 2; turn++) {
    expect_ok(cdl_safetensors_read(file, t, 2, (const int64_t[]){2, 2}, read));
    ck_assert_mem_eq(read, ((const float[]){1, 4, 2, 5}), 4 * sizeof *read);
    cdl_safetensors_discard(file, t);
    cdl_safetensors_discard(file, b);
  }
  ck_assert_ptr_nonnull(strstr(cdl_safetensors_path_of(file, t), "file.bin"));
  ck_assert_ptr_null(cdl_safetensors_metadata(file, "format"));
  cdl_safetensors_close(file);
}

START_TEST(opens_a_dictionary_of_tensors)
{
  expect_good(write_pickle(PICKLE(GOOD)));
  archive *a = archive_with(PICKLE(GOOD));
  finish(a, true);
  expect_good(write_archive(a));
}
END_TEST

/* What torch.save writes of attributes, of sizes, of the first versions' tensors, and what Python 2
 * made of an OrderedDict. */
#define ARGUMENTS(shape, stride) "(" F32_6 "K\0" shape stride
#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
#define PARAMETER(tensor) "ctorch._utils\n_rebuild_parameter_with_state\n(" tensor "\x88" ORDERED
#define ATTRIBUTES                                                                            \
  "}(K\1G\x3f\xf0\0\0\0\0\0\0)NU\2\n\t](K\1K\2eX\1\0\0\0x" SIX TEXT("\1", "y") "]" TEXT("\1", \
                                                                                        "z") "}u"
#define FLAT ARGUMENTS("K\6\x85", "K\1\x85")
static void expect_flat(const void *pickle, size_t bytes)
{
  cdl_safetensors *file;
  float read[6];
  expect_ok(cdl_safetensors_open(write_pickle(pickle, bytes), &file));
  ck_assert_uint_eq(cdl_safetensors_count(file), 1);
  const cdl_stored_tensor *a = cdl_safetensors_find(file, "a");
  ck_assert_ptr_nonnull(a);
  expect_ok(cdl_safetensors_read(file, a, 1, (const int64_t[]){6}, read));
  ck_assert_mem_eq(read, numbers, sizeof numbers);
  cdl_safetensors_close(file);
}

START_TEST(reads_over_attributes_and_older_forms)
{
  expect_flat(PICKLE("\x80\3}" ENTRY("a", V2 FLAT "\x89" ORDERED "tR") "."));
  expect_flat(PICKLE("\x80\2}" ENTRY("a", "ctorch._utils\n_rebuild_tensor\n" FLAT "tR") "."));
  expect_flat(PICKLE("\x80\2}" ENTRY("a", V2 "(" F32_6 "K\0ctorch\nSize\nK\6\x85\x85R"
                                             "K\1\x85\x89" ORDERED "}tR") "."));
  expect_flat(
      PICKLE("\x80\2}" ENTRY("a", DRESSED(V2, "ctorch\nTensor\n", FLAT "\x89" ORDERED "t")) "."));
  expect_flat(PICKLE("\x80\2}" ENTRY("a", PARAMETER(V2 FLAT "\x89" ORDERED "tR") "}tR") "."));
  expect_flat(PICKLE("\x80\2" ORDERED ENTRY("a", V2 FLAT "\x89" ORDERED "tR") ATTRIBUTES "b."));
  expect_flat(PICKLE("\x80\2ccollections\nOrderedDict\n](](U\1a" V2 FLAT "\x89" ORDERED "tRee"
                     "\x85R."));
}
END_TEST

/* ---- Before 1.6 ---- */

#define OLD_START "\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\2M\xe9\3."
#define OLD_SYSTEM(flag) \
  "\x80\2}" TEXT("\x0d", "little_endian") flag "s" TEXT("\x05", "sizes") "}s."
#define OLD_STORAGE(type, key, count, view)                                                       \
  "(" TEXT("\7", "storage") "ctorch\n" type "\n" TEXT("\1", key) TEXT("\3", "cpu") "K" count view \
                                                                                   "tQ"
#define OLD_F32(view) OLD_STORAGE("FloatStorage", "0", "\6", view)
#define OLD_TENSORS                                                                            \
  "\x80\2}(" TEXT("\1", "b") TENSOR(OLD_F32("N"), "\0", "K\2K\3", "K\3K\1") TEXT("\1", "t")    \
      TENSOR(OLD_F32("(" TEXT("\1", "v") "K\1K\5t"), "\0", "K\2K\2", "K\1K\3") TEXT("\1", "i") \
          TENSOR(OLD_STORAGE("LongStorage", "1", "\2", "N"), "\0", "K\2", "K\1") "u."
#define OLD_KEYS "\x80\2](" TEXT("\1", "1") TEXT("\1", "0") "e."

/* As torch.save writes: the storages behind, each with its size, in the order of the keys. */
static const char *write_old(const void *pickles, size_t bytes)
{
  static uint8_t content[2000];
  const uint64_t wholes_count = 2, numbers_count = 6;
  size_t size = 0;
  const struct {
    const void *bytes;
    size_t count;
  } parts[] = {{pickles, bytes},
               {&wholes_count, sizeof wholes_count},
               {wholes, sizeof wholes},
               {&numbers_count, sizeof numbers_count},
               {numbers, sizeof numbers}};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    ck_assert_uint_le(size + parts[i].count, sizeof content);
    memcpy(content + size, parts[i].bytes, parts[i].count);
    size += parts[i].count;
  }
  const char *path = scratch_path("file.bin");
  scratch_put(path, content, size);
  return path;
}

#define OLD_GOOD OLD_START OLD_SYSTEM("\x88") OLD_TENSORS OLD_KEYS

START_TEST(opens_files_from_before_1_6)
{
  expect_good(write_old(PICKLE(OLD_GOOD)));
#define REFUSED(pickles, reason) expect_refused_file(write_old(PICKLE(pickles)), reason)
  REFUSED(OLD_START OLD_SYSTEM("\x89") OLD_TENSORS OLD_KEYS, "little-endian");
  REFUSED("\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\2M\xea\3.", "1001");
  REFUSED(OLD_START "\x80\2]." OLD_TENSORS OLD_KEYS, "dictionary");
  REFUSED(OLD_START OLD_SYSTEM("\x88") "\x80\2cos\nsystem\n", "os.system");
  REFUSED(OLD_START OLD_SYSTEM("\x88") OLD_TENSORS "\x80\2}.", "list of texts");
  REFUSED(OLD_START OLD_SYSTEM("\x88") OLD_TENSORS "\x80\2]K\1a.", "list of texts");
  REFUSED(OLD_START OLD_SYSTEM("\x88") OLD_TENSORS "\x80\2]" TEXT("\1", "7") "a.", "\"7\"");
  REFUSED(OLD_START OLD_SYSTEM("\x88") OLD_TENSORS "\x80\2]" TEXT("\1", "1") "a.",
          "\"b\": its storage is not in the file");
  REFUSED(OLD_START OLD_SYSTEM("\x88") OLD_TENSORS "\x80\2](" TEXT("\1", "0") TEXT("\1", "1") "e.",
          "storage");
  REFUSED(OLD_START OLD_SYSTEM("\x88") "\x80\2}" ENTRY(
              "a", TENSOR(OLD_F32("(" TEXT("\1", "v") "K\1K\5t"), "\0", "K\6", "K\1")) "." OLD_KEYS,
          "storage");
  REFUSED(OLD_START OLD_SYSTEM("\x88") "\x80\2}" ENTRY(
              "a", TENSOR(OLD_F32("K\1"), "\0", "K\6", "K\1")) "." OLD_KEYS,
          "part of a storage");
  const size_t pickles = sizeof(OLD_GOOD) - 1;
  size_t size;
  uint8_t *whole = scratch_get(write_old(PICKLE(OLD_GOOD)), &size);
  scratch_put(scratch_path("file.bin"), whole, pickles + 7);
  expect_refused_file(scratch_path("file.bin"), "ends before its storage \"1\"");
  scratch_put(scratch_path("file.bin"), whole, size - 1);
  expect_refused_file(scratch_path("file.bin"), "ends within its storage \"0\"");
  whole[pickles + 7] = 0x80; /* so many elements that their bytes overflow */
  scratch_put(scratch_path("file.bin"), whole, size);
  expect_refused_file(scratch_path("file.bin"), "ends within its storage \"1\"");
  free(whole);
}
END_TEST

START_TEST(a_folder_has_pytorch_model_bin)
{
  const char *path = write_pickle(PICKLE("\x80\2}" ENTRY("a", SIX) "."));
  ck_assert_int_eq(rename(path, scratch_path("pytorch_model.bin")), 0);
  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(scratch_folder, &file));
  ck_assert_ptr_nonnull(cdl_safetensors_find(file, "a"));
  cdl_safetensors_close(file);
  ck_assert_int_eq(rename(scratch_path("pytorch_model.bin"), scratch_path("one.bin")), 0);
  scratch_put_text(scratch_path("pytorch_model.bin.index.json"),
                   "{\"weight_map\":{\"a\":\"one.bin\"}}");
  expect_ok(cdl_safetensors_open(scratch_folder, &file));
  ck_assert_ptr_nonnull(cdl_safetensors_find(file, "a"));
  cdl_safetensors_close(file);
}
END_TEST

/* ---- What is no dictionary of tensors ---- */

START_TEST(nothing_is_imported)
{
  expect_refused(PICKLE("\x80\2cos\nsystem\n" TEXT("\2", "ls") "\x85R."), "os.system");
  expect_refused(PICKLE("\x80\2cbuiltins\neval\n" TEXT("\2", "ls") "\x85R."), "builtins.eval");
  expect_refused(PICKLE("\x80\2ctorch\nload\n)R."), "torch.load");
  expect_refused(PICKLE("\x80\2ccollections\nOrderedDic\n)R."), "collections.OrderedDic;");
  expect_refused(PICKLE("\x80\2ctorch._utils\n_rebuild_tensor_v4\n)R."), "_rebuild_tensor_v4;");
  expect_refused(PICKLE("\x80\2ctorch\nFloatStorage\n)R."), "call of a type");
  expect_refused(PICKLE("\x80\2ctorch\nTensor\n)R."), "call of a type");
  expect_refused(PICKLE("\x80\2ccol\x1blections\nOrderedDict\n)R."), "control characters");
}
END_TEST

START_TEST(every_other_opcode_is_refused_by_its_number)
{
  static const char known[] = "(.NKMJGXUc)t}]aesuqrhjQRb\x80\x85\x86\x87\x88\x89\x8a";
  int refused = 0;
  for (int opcode = 0; opcode < 256; opcode++) {
    if (strchr(known, opcode) != NULL && opcode != 0)
      continue;
    char pickle[] = "\x80\2}?.", wanted[16];
    pickle[3] = (char)opcode;
    snprintf(wanted, sizeof wanted, "0x%02x", opcode);
    expect_refused(pickle, 5, wanted);
    refused++;
  }
  ck_assert_int_eq(refused, 256 - (int)strlen(known));
  for (char version = 0; version < 7; version++)
    if (version != 2 && version != 3)
      expect_refused(((const char[]){(char)0x80, version, '}', '.'}), 4, "protocol");
}
END_TEST

START_TEST(refuses_damaged_pickles)
{
  const struct {
    const char *pickle;
    size_t bytes;
    const char *reason;
  } cases[] = {
      {PICKLE(""), "too early"},
      {PICKLE("\x80\2"), "too early"},
      {PICKLE("\x80\2}"), "too early"},
      {PICKLE("\x80\2."), "dictionary"},
      {PICKLE("\x80\2}}."), "dictionary"},
      {PICKLE("\x80\2(}."), "dictionary"},
      {PICKLE("\x80\2K\1."), "dictionary"},
      {PICKLE("\x80\2}.."), "follows"},
      {PICKLE("\x80\2}K\1K\1s."), "no text"},
      {PICKLE("\x80\2}s."), "keys and values"},
      {PICKLE("\x80\2(}K\1u."), "keys and values"},
      {PICKLE("\x80\2u."), "no mark"},
      {PICKLE("\x80\2t."), "no mark"},
      {PICKLE("\x80\2\x87."), "tuple"},
      {PICKLE("\x80\2K\1(\x85."), "tuple"},
      {PICKLE("\x80\2R."), "nothing"},
      {PICKLE("\x80\2K\1)R."), "no name"},
      {PICKLE("\x80\2ccollections\nOrderedDict\nK\1R."), "no name"},
      {PICKLE("\x80\2ccollections\nOrderedDict\nK\1\x85R."), "arguments"},
      {PICKLE("\x80\2)}b."), "attributes"},
      {PICKLE("\x80\2ccollections\nOrderedDict\n]K\1a\x85R."), "key and value"},
      {PICKLE("\x80\2ccollections\nOrderedDict\n]]a\x85R."), "key and value"},
      {PICKLE("\x80\2ccollections\nOrderedDict\n]]\x86R."), "arguments"},
      {PICKLE("\x80\2ctorch\nSize\nK\1\x85R."), "torch.Size"},
      {PICKLE("\x80\2" DRESSED("ctorch._utils\n_rebuild_tensor_v2\n", "ctorch\nTensor\n", "K\1")),
       "with attributes"},
      {PICKLE("\x80\2" DRESSED("ctorch\nTensor\n", "ctorch\nTensor\n", ")")), "with attributes"},
      {PICKLE("\x80\2" DRESSED("ctorch._tensor\n_rebuild_from_type_v2\n", "ctorch\nTensor\n", ")")),
       "with attributes"},
      {PICKLE("\x80\2a."), "list's items"},
      {PICKLE("\x80\2}K\1a."), "a list"},
      {PICKLE("\x80\2](u."), "dictionary is expected"},
      {PICKLE("\x80\2]K\1K\1s."), "dictionary is expected"},
      {PICKLE("\x80\2G1234567"), "too early"},
      {PICKLE("\x80\2U\4abc"), "too early"},
      {PICKLE("\x80\2]."), "dictionary of tensors"},
      {PICKLE("\x80\2h\0."), "never filled"},
      {PICKLE("\x80\2}j\xff\xff\xff\xff."), "never filled"},
      {PICKLE("\x80\2}r\xff\xff\xff\x7f."), "not the next"},
      {PICKLE("\x80\2q\0."), "not the next"},
      {PICKLE("\x80\2X\xff\xff\xff\xff."), "too early"},
      {PICKLE("\x80\2}" TEXT("\1", "\n") "K\1s."), "control characters"},
      {PICKLE("\x80\2\x8a\x09"
              "123456789."),
       "64 bits"},
      {PICKLE("\x80\2ctorch"), "too early"},
      {PICKLE("\x80\2K\1Q."), "storage"},
      {PICKLE("\x80\2)Q."), "storage"},
      {PICKLE("\x80\2}" ENTRY("a", "K\1") "."), "no tensor"},
      {PICKLE("\x80\2}" ENTRY("a", F32_6) "."), "no tensor"},
      {PICKLE("\x80\2}" ENTRY("a", "}") "."), "no tensor"},
      {PICKLE("\x80\2}" ENTRY("a", SIX) ENTRY("a", SIX) "."), "\"a\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_refused(cases[i].pickle, cases[i].bytes, cases[i].reason);
}
END_TEST

START_TEST(refuses_tensors_outside_their_storage)
{
#define ONE(storage, offset, shape, stride) \
  PICKLE("\x80\2}" ENTRY("a", TENSOR(storage, offset, shape, stride)) ".")
  expect_refused(ONE(F32_6, "\0", "K\7", "K\1"), "outside");
  expect_refused(ONE(F32_6, "\1", "K\2K\3", "K\3K\1"), "outside");
  expect_refused(ONE(F32_6, "\0", "K\2K\3", "K\4K\1"), "outside");
  expect_refused(ONE(F32_6, "\7", "K\0", "K\1"), "outside");
  expect_refused(ONE(F32_6, "\0", "J\xff\xff\xff\xff", "K\1"), "outside");
  expect_refused(ONE(F32_6, "\0", "K\2", "J\xff\xff\xff\xff"), "outside");
  expect_refused(ONE(F32_6, "\0", "K\2K\3", "K\1"), "expected");
  expect_refused(ONE(F32_6, "\0", "K\1N", "K\1K\1"), "expected");
  expect_refused(ONE(F32_6, "\0", "J\xff\xff\xff\x7f", "K\0"), "repeat");
  /* Products that overflow 64 bits. */
#define LARGE "\x8a\x8\0\0\0\0\0\0\0\x40"
  expect_refused(ONE(F32_6, "\0", LARGE LARGE, "K\0K\0"), "outside");
  expect_refused(ONE(F32_6, "\0", "K\3", LARGE), "outside");
  expect_refused(ONE(F32_6, "\0", LARGE, "K\0"), "overflows");
  expect_refused(ONE(F32_6, "\0", "K\1K\1K\1K\1K\1K\1K\1K\1K\1", "K\1K\1K\1K\1K\1K\1K\1K\1K\1"),
                 "dimensions");
  /* Storages that are not as the pickle says. */
  expect_refused(ONE(STORAGE("FloatStorage", "0", "\5"), "\0", "K\1", "K\1"), "size");
  expect_refused(ONE(STORAGE("HalfStorage", "0", "\6"), "\0", "K\1", "K\1"), "size");
  expect_refused(ONE(STORAGE("FloatStorage", "9", "\6"), "\0", "K\1", "K\1"), "not in the file");
}
END_TEST

/* ---- Archives ---- */

START_TEST(refuses_other_archives)
{
  archive *a = calloc(1, sizeof *a);
  add(a, "model/other", "x", 1);
  finish(a, false);
  expect_refused_file(write_archive(a), "data.pkl");
  a = archive_with(PICKLE(GOOD));
  add(a, "model/data/0", "x", 1);
  finish(a, false);
  expect_refused_file(write_archive(a), "twice");
  a = archive_with(PICKLE(GOOD));
  a->method = 8;
  finish(a, false);
  expect_refused_file(write_archive(a), "compressed");
  a = calloc(1, sizeof *a);
  add(a, "model/data.pkl", PICKLE("\x80\2}."));
  add(a, "model/byteorder", "big", 3);
  finish(a, false);
  expect_refused_file(write_archive(a), "little-endian");
  scratch_put(scratch_path("file.bin"), "\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15);
  expect_refused_file(scratch_path("file.bin"), "1001");
  scratch_put_text(scratch_path("file.bin"), "hello");
  expect_refused_file(scratch_path("file.bin"), "torch.save");
}
END_TEST

/* Opens whatever it is and reads what was opened to the last byte, so that a wrong bound is a
 * fault; a refusal is one line. */
static void open_and_touch(const uint8_t *bytes, size_t count)
{
  const char *path = scratch_path("file.bin");
  scratch_put(path, bytes, count);
  cdl_safetensors *file;
  const cdl_status status = cdl_safetensors_open(path, &file);
  if (status != CDL_STATUS_OK) {
    expect_failure(status, status, "file.bin");
    return;
  }
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < cdl_safetensors_count(file); i++) {
    const cdl_stored_tensor *t = cdl_safetensors_get(file, i);
    for (size_t b = 0; b < t->bytes; b++)
      sum = (uint8_t)(sum + ((const uint8_t *)t->data)[b]);
  }
  cdl_safetensors_close(file);
}

START_TEST(any_bytes_are_one_line_or_tensors)
{
  size_t size;
  uint8_t *old = scratch_get(write_old(PICKLE(OLD_GOOD)), &size);
  for (size_t cut = 0; cut < size; cut++)
    open_and_touch(old, cut);
  for (size_t at = 0; at < size; at++)
    for (int kind = 0; kind < 3; kind++) {
      const uint8_t kept = old[at];
      old[at] = (uint8_t[]){0xff, 0, (uint8_t)(kept + 1)}[kind];
      open_and_touch(old, size);
      old[at] = kept;
    }
  free(old);
  for (int wide = 0; wide < 2; wide++) {
    archive *a = archive_with(PICKLE(GOOD)), *changed = malloc(sizeof *changed);
    finish(a, wide);
    for (size_t cut = 0; cut < a->size; cut += 3)
      open_and_touch(a->bytes, cut);
    for (size_t at = 0; at < a->size; at++)
      for (int kind = 0; kind < 3; kind++) {
        *changed = *a;
        changed->bytes[at] = (uint8_t[]){0xff, 0, (uint8_t)(a->bytes[at] + 1)}[kind];
        open_and_touch(changed->bytes, a->size);
      }
    free(changed);
    free(a);
  }
}
END_TEST

/* A million marks, tuples in tuples, one tensor under ever the same memo: bounded and refused. */
START_TEST(bombs_are_refused)
{
  enum { LENGTH = 3 << 20 };
  static const char *const fillers[] = {"(", "\x85", "0", ")", "q\0", "h\0", "}"};
  for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
    const size_t unit = i == 4 || i == 5 ? 2 : 1;
    archive *a = calloc(1, sizeof *a);
    uint8_t *bomb = malloc(LENGTH);
    memcpy(bomb, "\x80\2}q\0", 5);
    size_t used = 5;
    while (used + unit < LENGTH) {
      memcpy(bomb + used, fillers[i], unit);
      used += unit;
    }
    bomb[used++] = '.';
    FILE *stream = fopen(scratch_path("file.bin"), "wb");
    /* Entry and directory around a pickle that is too large for an archive here. */
    add(a, "m/data.pkl", "", 0);
    a->entries[0].size = used;
    uint8_t local[64];
    memcpy(local, a->bytes, a->size);
    const size_t head = a->size;
    a->size = 0;
    fwrite(local, 1, head, stream);
    fwrite(bomb, 1, used, stream);
    finish(a, false);
    /* The directory's offset is the last but two bytes. */
    const uint32_t start = (uint32_t)(head + used);
    memcpy(a->bytes + a->size - 6, &start, sizeof start);
    fwrite(a->bytes, 1, a->size, stream);
    ck_assert_int_eq(fclose(stream), 0);
    expect_refused_file(scratch_path("file.bin"), "pickle");
    free(bomb);
    free(a);
  }
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {opens_a_dictionary_of_tensors,
                                reads_over_attributes_and_older_forms,
                                opens_files_from_before_1_6,
                                a_folder_has_pytorch_model_bin,
                                nothing_is_imported,
                                every_other_opcode_is_refused_by_its_number,
                                refuses_damaged_pickles,
                                refuses_tensors_outside_their_storage,
                                refuses_other_archives,
                                any_bytes_are_one_line_or_tensors,
                                bombs_are_refused,
                                NULL};
  return scratch_run("torch_file", tests);
}
