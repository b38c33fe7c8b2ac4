/* Safetensors: values by the definitions of their types, and damaged files of many kinds. */
#include <math.h>

#include "condlora/safetensors.h"
#include "tests/unit/scratch.h"

/* ---- Files made by hand ---- */

/* Writes length, header and `data_bytes` bytes 0, 1, 2, … to NAME. */
static const char *put_file(const char *name, const char *header, size_t data_bytes)
{
  const size_t length = strlen(header);
  uint8_t *file = malloc(8 + length + data_bytes);
  ck_assert_ptr_nonnull(file);
  for (int i = 0; i < 8; i++)
    file[i] = (uint8_t)((uint64_t)length >> 8 * i);
  memcpy(file + 8, header, length);
  for (size_t i = 0; i < data_bytes; i++)
    file[8 + length + i] = (uint8_t)i;
  const char *path = scratch_path(name);
  scratch_put(path, file, 8 + length + data_bytes);
  free(file);
  return path;
}

static void expect_refused(const char *header, size_t data_bytes, const char *reason)
{
  const char *path = put_file("broken.safetensors", header, data_bytes);
  cdl_safetensors *file;
  expect_failure(cdl_safetensors_open(path, &file), CDL_STATUS_DATA, "broken.safetensors");
  ck_assert_msg(strstr(cdl_error_message(), reason) != NULL, "\"%s\" does not say \"%s\"",
                cdl_error_message(), reason);
  ck_assert_ptr_null(file);
}

#define TWO_TENSORS                                                   \
  "{\"__metadata__\":{\"format\":\"pt\",\"who\":\"a test\"},"         \
  "\"b\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[8,14]}," \
  "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   "

START_TEST(opens_and_finds)
{
  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(put_file("x", TWO_TENSORS, 14), &file));
  ck_assert_uint_eq(cdl_safetensors_count(file), 2);
  const cdl_stored_tensor *a = cdl_safetensors_find(file, "a"),
                          *b = cdl_safetensors_find(file, "b");
  ck_assert_ptr_eq(cdl_safetensors_get(file, 0), a);
  ck_assert_ptr_eq(cdl_safetensors_get(file, 1), b);
  ck_assert_ptr_null(cdl_safetensors_get(file, 2));
  ck_assert_ptr_null(cdl_safetensors_find(file, "c"));
  ck_assert_ptr_null(cdl_safetensors_find(file, "__metadata__"));
  ck_assert_int_eq(a->type, CDL_STORED_F32);
  ck_assert_int_eq(b->type, CDL_STORED_U8);
  ck_assert_uint_eq(b->rank, 2);
  ck_assert_int_eq(b->shape[0], 2);
  ck_assert_int_eq(b->shape[1], 3);
  ck_assert_uint_eq(b->bytes, 6);
  ck_assert_mem_eq(b->data, "\10\11\12\13\14\15", 6);
  ck_assert_str_eq(cdl_safetensors_metadata(file, "who"), "a test");
  ck_assert_ptr_null(cdl_safetensors_metadata(file, "whom"));
  ck_assert_ptr_nonnull(strstr(cdl_safetensors_path_of(file, b), "/x"));
  cdl_safetensors_discard(file, b);
  ck_assert_mem_eq(b->data, "\10\11\12\13\14\15", 6);
  cdl_safetensors_close(file);
  cdl_safetensors_close(NULL);
}
END_TEST

START_TEST(opens_unusual_files)
{
  const struct {
    const char *header;
    size_t data_bytes, count;
  } cases[] = {
      {"{}", 0, 0},
      {"{}      ", 0, 0},
      {"{\"__metadata__\":{}}", 0, 0},
      {"{\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, 1},
      {"{\"e\":{\"dtype\":\"F16\",\"shape\":[0,9],\"data_offsets\":[0,0]}}", 0, 1},
      {"{\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]},\"e\":{\"dtype\":\"F32\","
       "\"shape\":[7,0],\"data_offsets\":[3,3]},"
       "\"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[3,4]}}",
       4, 3},
      {"{\"\":{\"dtype\":\"U64\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8, 1},
      {"{\"\\u00e9\\uD83D\\uDE00\":{\"data_offsets\":[0,1],\"shape\":[1],\"dtype\":\"F8_E4M3\"}}",
       1, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cdl_safetensors *file;
    expect_ok(cdl_safetensors_open(put_file("x", cases[i].header, cases[i].data_bytes), &file));
    ck_assert_uint_eq(cdl_safetensors_count(file), cases[i].count);
    cdl_safetensors_close(file);
  }
}
END_TEST

START_TEST(refuses_broken_headers)
{
  expect_refused("", 0, "does not begin with '{'");
  expect_refused("[]", 0, "does not begin with '{'");
  expect_refused(" {}", 0, "does not begin with '{'");
  expect_refused("{", 0, "not valid JSON");
  expect_refused("{}}", 0, "not valid JSON");
  expect_refused("{\"a\":}", 0, "not valid JSON");
  expect_refused("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 "not valid JSON");
  expect_refused("{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 "not valid JSON");
  expect_refused("{\"a\xc0\x80\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 "not valid JSON");
  expect_refused("{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 "not valid JSON");
  expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                 1, "duplicate");
  expect_refused("{\"__metadata__\":[]}", 0, "__metadata__");
  expect_refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__");
}
END_TEST

START_TEST(refuses_broken_entries)
{
  const struct {
    const char *entry, *reason;
  } cases[] = {
      {"1", "expected an object"},
      {"{}", "dtype"},
      {"{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,4]}", "dtype"},
      {"{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}", "unknown dtype"},
      {"{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}", "unknown dtype"},
      {"{\"dtype\":\"U8\",\"data_offsets\":[0,4]}", "shape"},
      {"{\"dtype\":\"U8\",\"shape\":4,\"data_offsets\":[0,4]}", "shape"},
      {"{\"dtype\":\"U8\",\"shape\":[4.0],\"data_offsets\":[0,4]}", "shape"},
      {"{\"dtype\":\"U8\",\"shape\":[-4],\"data_offsets\":[0,4]}", "shape"},
      {"{\"dtype\":\"U8\",\"shape\":[\"4\"],\"data_offsets\":[0,4]}", "shape"},
      {"{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,4]}", "dimensions"},
      {"{\"dtype\":\"U8\",\"shape\":[4]}", "data_offsets"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":4}", "data_offsets"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4]}", "data_offsets"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4,4]}", "data_offsets"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4.0]}", "data_offsets"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[-1,3]}", "no range"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,0]}", "no range"},
      {"{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}", "cut"},
      {"{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]}", "cut"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[9223372036854775803,9223372036854775807]"
       "}",
       "cut"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,9223372036854775808]}",
       "whole numbers"},
      {"{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,4]}", "need 5 bytes"},
      {"{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,4]}", "need 16 bytes"},
      {"{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,4]}", "need 0 bytes"},
      {"{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}", "overflows"},
      {"{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}", "overflows"},
      {"{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"more\":1}", "key other than"},
      {"{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}", "belong to none"},
      {"{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[1,4]}", "hole"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char header[300];
    snprintf(header, sizeof header, "{\"the tensor\":%s}", cases[i].entry);
    expect_refused(header, 4, cases[i].reason);
    if (strstr(cases[i].reason, "JSON") == NULL && strstr(cases[i].reason, "belong") == NULL)
      ck_assert_msg(strstr(cdl_error_message(), "the tensor") != NULL, "%s", cdl_error_message());
  }
}
END_TEST

START_TEST(refuses_overlaps_and_holes)
{
  const struct {
    int first[2], second[2];
    const char *reason;
  } cases[] = {{{0, 5}, {4, 8}, "inside"}, {{0, 8}, {0, 8}, "inside"},
               {{0, 8}, {2, 4}, "inside"}, {{0, 3}, {4, 8}, "hole"},
               {{4, 8}, {0, 3}, "hole"},   {{0, 2}, {2, 7}, "belong to none"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const int *a = cases[i].first, *b = cases[i].second;
    char header[300];
    snprintf(header, sizeof header,
             "{\"p\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
             "\"q\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
             a[1] - a[0], a[0], a[1], b[1] - b[0], b[0], b[1]);
    expect_refused(header, 8, cases[i].reason);
  }
}
END_TEST

START_TEST(refuses_lengths_that_lie)
{
  const struct {
    uint64_t length;
    size_t bytes;
    const char *reason;
  } cases[] = {{2, 0, "too few"},
               {2, 7, "too few"},
               {0, 8, "does not begin"},
               {3, 10, "cut"},
               {100000000, 10, "cut"},
               {100000001, 10, "format allows"},
               {UINT64_MAX, 10, "format allows"},
               {UINT64_MAX - 7, 10, "format allows"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t file[16] = {0};
    memcpy(file, &cases[i].length, 8);
    memcpy(file + 8, "{}", 2);
    scratch_put(scratch_path("lying"), file, cases[i].bytes);
    cdl_safetensors *opened;
    expect_failure(cdl_safetensors_open(scratch_path("lying"), &opened), CDL_STATUS_DATA, "lying");
    ck_assert_msg(strstr(cdl_error_message(), cases[i].reason) != NULL, "%s", cdl_error_message());
  }
  cdl_safetensors *opened;
  expect_failure(cdl_safetensors_open(scratch_path("absent"), &opened), CDL_STATUS_ABSENT,
                 "absent");
}
END_TEST

/* A header that asks a parser for its stack, or for a hundred times its own size in memory. */
START_TEST(refuses_headers_that_exhaust)
{
  enum { BYTES = 20000000 };
  char *header = malloc(BYTES + 1);
  ck_assert_ptr_nonnull(header);
  header[BYTES] = '\0';
  memset(header, '[', BYTES);
  memcpy(header, "{\"a\":", 5);
  expect_refused(header, 0, "more than");
  for (size_t i = 5; i < BYTES; i++)
    header[i] = i % 2 == 0 ? ',' : '0';
  header[5] = '[';
  expect_refused(header, 0, "more than");
  header[100000] = '\0';
  memset(header + 5, '[', 100000 - 5);
  expect_refused(header, 0, "depth");
  free(header);
}
END_TEST

/* ---- Values ---- */

static void read_values(const char *dtype, const void *bytes, size_t byte_count, int64_t count,
                        float *values)
{
  char header[200];
  uint8_t file[8 + 200 + 600];
  snprintf(header, sizeof header,
           "{\"v\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%zu]}}", dtype, (int)count,
           byte_count);
  const uint64_t length = strlen(header);
  memcpy(file, &length, 8);
  memcpy(file + 8, header, length);
  memcpy(file + 8 + length, bytes, byte_count);
  scratch_put(scratch_path("values"), file, 8 + length + byte_count);
  cdl_safetensors *opened;
  expect_ok(cdl_safetensors_open(scratch_path("values"), &opened));
  expect_ok(cdl_safetensors_read(opened, cdl_safetensors_find(opened, "v"), 1, &count, values));
  cdl_safetensors_close(opened);
}

/* A half's value from its definition (IEEE 754 binary16): (-1)^s · 2^(e - 15) · (1 + m / 1024). */
static double half_by_definition(unsigned bits)
{
  const double sign = bits & 0x8000 ? -1 : 1;
  const int exponent = bits >> 10 & 31;
  const double fraction = (double)(bits & 1023) / 1024;
  if (exponent == 31)
    return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15));
}

START_TEST(halves_are_exact)
{
  for (unsigned start = 0; start < 65536; start += 256) {
    uint16_t bits[256];
    float values[256];
    for (unsigned i = 0; i < 256; i++)
      bits[i] = (uint16_t)(start + i);
    read_values("F16", bits, sizeof bits, 256, values);
    for (unsigned i = 0; i < 256; i++) {
      const double wanted = half_by_definition(start + i);
      if (isnan(wanted)) {
        ck_assert(isnan(values[i]));
      } else {
        ck_assert((double)values[i] == wanted);
        ck_assert(!signbit(values[i]) == !signbit(wanted));
      }
    }
  }
}
END_TEST

START_TEST(other_types_are_exact)
{
  float values[4];
  const uint16_t brain[] = {0x3f80, 0xc049, 0x0001, 0xff80};
  read_values("BF16", brain, sizeof brain, 4, values);
  ck_assert(values[0] == 1.0f);
  ck_assert(values[1] == -3.140625f);
  ck_assert((double)values[2] == ldexp(1, -133));
  ck_assert(values[3] == -INFINITY);
  const float single[] = {1.5f, -0.0f, 1e-45f, INFINITY};
  read_values("F32", single, sizeof single, 4, values);
  ck_assert_mem_eq(values, single, sizeof single);
  const double wide[] = {0.1, -1e300, 1 + 0x1p-24,
                         1 + 0x1.8p-23}; /* rounded to nearest, ties to even */
  read_values("F64", wide, sizeof wide, 4, values);
  ck_assert(values[0] == 0.1f);
  ck_assert(values[1] == -INFINITY);
  ck_assert(values[2] == 1.0f);
  ck_assert(values[3] == 1.0f + 0x1p-22f);
}
END_TEST

START_TEST(reads_only_what_is_asked)
{
  cdl_safetensors *file;
  float values[6];
  expect_ok(cdl_safetensors_open(put_file("x", TWO_TENSORS, 14), &file));
  const cdl_stored_tensor *a = cdl_safetensors_find(file, "a");
  expect_failure(cdl_safetensors_read(file, a, 2, (const int64_t[]){1, 2}, values), CDL_STATUS_DATA,
                 "/x");
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "\"a\": shape [2], expected [1, 2]"));
  expect_failure(cdl_safetensors_read(file, a, 1, (const int64_t[]){3}, values), CDL_STATUS_DATA,
                 "shape [2], expected [3]");
  expect_failure(cdl_safetensors_read(file, a, 0, NULL, values), CDL_STATUS_DATA,
                 "shape [2], expected []");
  expect_failure(cdl_safetensors_read(file, cdl_safetensors_find(file, "b"), 2,
                                      (const int64_t[]){2, 3}, values),
                 CDL_STATUS_DATA, "dtype U8");
  cdl_safetensors_close(file);
}
END_TEST

START_TEST(finds_what_is_not_finite)
{
  float values[3] = {1, 2, NAN};
  double wide[2] = {-INFINITY, 0};
  uint16_t half[2] = {0x7bff, 0x7c00}, brain[2] = {0x7f7f, 0xffc0};
  const cdl_stored_tensor tensors[] = {
      {.name = "fine", .type = CDL_STORED_F32, .rank = 1, .shape = {2}, .data = values},
      {.name = "nan", .type = CDL_STORED_F32, .rank = 1, .shape = {3}, .data = values},
      {.name = "wide", .type = CDL_STORED_F64, .rank = 1, .shape = {2}, .data = wide},
      {.name = "half", .type = CDL_STORED_F16, .rank = 1, .shape = {2}, .data = half},
      {.name = "brain", .type = CDL_STORED_BF16, .rank = 1, .shape = {2}, .data = brain},
      {.name = "whole", .type = CDL_STORED_U8, .rank = 1, .shape = {8}, .data = values},
  };
  expect_ok(cdl_safetensors_write(scratch_path("x"), tensors, 6, NULL, 0));
  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(scratch_path("x"), &file));
  expect_ok(cdl_safetensors_check_finite(file, cdl_safetensors_find(file, "fine")));
  expect_ok(cdl_safetensors_check_finite(file, cdl_safetensors_find(file, "whole")));
  const char *cases[][2] = {{"nan", "\"nan\": element 2"},
                            {"wide", "\"wide\": element 0"},
                            {"half", "\"half\": element 1"},
                            {"brain", "\"brain\": element 1"}};
  for (size_t i = 0; i < 4; i++)
    expect_failure(cdl_safetensors_check_finite(file, cdl_safetensors_find(file, cases[i][0])),
                   CDL_STATUS_DATA, cases[i][1]);
  cdl_safetensors_close(file);
}
END_TEST

/* ---- Writing ---- */

START_TEST(writes_what_it_reads)
{
  const float values[6] = {1, -2, 3.5f, 0, 1e-30f, 7};
  const uint8_t bytes[3] = {9, 8, 7};
  const double one = 1.25;
  const cdl_stored_tensor tensors[] = {
      {.name = "z.bytes", .type = CDL_STORED_U8, .rank = 1, .shape = {3}, .data = bytes},
      {.name = "b \"quoted\" \xc3\xa9",
       .type = CDL_STORED_F32,
       .rank = 2,
       .shape = {2, 3},
       .data = values},
      {.name = "a", .type = CDL_STORED_F32, .rank = 1, .shape = {1}, .data = values},
      {.name = "scalar", .type = CDL_STORED_F64, .rank = 0, .data = &one},
      {.name = "empty", .type = CDL_STORED_F32, .rank = 2, .shape = {4, 0}, .data = NULL},
  };
  const cdl_metadata metadata[] = {{"format", "pt"}, {"note", "line\nline"}};
  expect_ok(cdl_safetensors_write(scratch_path("x"), tensors, 5, metadata, 2));
  size_t size;
  uint8_t *content = scratch_get(scratch_path("x"), &size);
  uint64_t length;
  memcpy(&length, content, 8);
  ck_assert_uint_eq(length % 8, 0);
  ck_assert_uint_eq(size, 8 + length + 8 + 4 + 24 + 3);
  ck_assert_mem_eq(content + 8 + length, &one, 8); /* the widest type first */

  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(scratch_path("x"), &file));
  ck_assert_uint_eq(cdl_safetensors_count(file), 5);
  ck_assert_str_eq(cdl_safetensors_metadata(file, "note"), "line\nline");
  float read[6];
  expect_ok(cdl_safetensors_read(file, cdl_safetensors_find(file, tensors[1].name), 2,
                                 (const int64_t[]){2, 3}, read));
  ck_assert_mem_eq(read, values, sizeof values);
  expect_ok(cdl_safetensors_read(file, cdl_safetensors_find(file, "scalar"), 0, NULL, read));
  ck_assert(read[0] == 1.25f);
  const cdl_stored_tensor *floats = cdl_safetensors_find(file, tensors[1].name);
  const void *viewed;
  float staging[6] = {0};
  expect_ok(cdl_safetensors_view(file, floats, 2, (const int64_t[]){2, 3}, staging, &viewed));
  ck_assert_ptr_eq(viewed, floats->data);
  expect_ok(
      cdl_safetensors_view(file, cdl_safetensors_find(file, "scalar"), 0, NULL, staging, &viewed));
  ck_assert_ptr_eq(viewed, staging);
  ck_assert(staging[0] == 1.25f);
  expect_failure(cdl_safetensors_view(file, cdl_safetensors_find(file, "z.bytes"), 1,
                                      (const int64_t[]){3}, staging, &viewed),
                 CDL_STATUS_DATA, "dtype U8");
  ck_assert_mem_eq(cdl_safetensors_find(file, "z.bytes")->data, bytes, 3);
  ck_assert_uint_eq(cdl_safetensors_find(file, "empty")->bytes, 0);
  cdl_safetensors_close(file);

  cdl_stored_tensor turned[5];
  for (size_t i = 0; i < 5; i++)
    turned[i] = tensors[4 - i];
  expect_ok(cdl_safetensors_write(scratch_path("y"), turned, 5, metadata, 2));
  expect_content(scratch_path("y"), content, size);
  free(content);
}
END_TEST

START_TEST(refuses_to_write_nonsense)
{
  const float value = 1;
  const cdl_stored_tensor good = {
      .name = "a", .type = CDL_STORED_F32, .rank = 1, .shape = {1}, .data = &value};
  cdl_stored_tensor bad[2] = {good, good};
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "out");
  bad[1].name = "__metadata__";
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "__metadata__");
  bad[1].name = "\xff";
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "UTF-8");
  bad[1] = good;
  bad[1].name = "b";
  bad[1].shape[0] = -1;
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "\"b\"");
  bad[1].shape[0] = INT64_MAX;
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "\"b\"");
  bad[1].shape[0] = 1;
  bad[1].rank = 9;
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "\"b\"");
  bad[1].rank = 1;
  bad[1].type = CDL_STORED_TYPE_COUNT;
  expect_failure(cdl_safetensors_write(scratch_path("out"), bad, 2, NULL, 0), CDL_STATUS_ARGUMENT,
                 "\"b\"");
  const cdl_metadata metadata = {"key", "\xc3"};
  expect_failure(cdl_safetensors_write(scratch_path("out"), &good, 1, &metadata, 1),
                 CDL_STATUS_ARGUMENT, "key");
  expect_failure(cdl_safetensors_write(scratch_path("no/out"), &good, 1, NULL, 0), CDL_STATUS_IO,
                 "no/out");
  ck_assert_uint_eq(scratch_count_entries(), 0);
}
END_TEST

/* ---- Shards ---- */

static void put_shards(const char *index)
{
  put_file("one.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
  put_file("two.safetensors",
           "{\"__metadata__\":{\"k\":\"v\"},\"c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":"
           "[3,4]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
           4);
  scratch_put_text(scratch_path("model.safetensors.index.json"), index);
}

START_TEST(opens_shards)
{
  put_shards("{\"metadata\":{\"total_size\":6},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":"
             "\"two.safetensors\","
             "\"c\":\"two.safetensors\"}}");
  cdl_safetensors *file;
  expect_ok(cdl_safetensors_open(scratch_folder, &file));
  ck_assert_uint_eq(cdl_safetensors_count(file), 3);
  ck_assert_str_eq(cdl_safetensors_metadata(file, "k"), "v");
  ck_assert_ptr_nonnull(
      strstr(cdl_safetensors_path_of(file, cdl_safetensors_find(file, "a")), "one.safetensors"));
  ck_assert_ptr_nonnull(
      strstr(cdl_safetensors_path_of(file, cdl_safetensors_find(file, "c")), "two.safetensors"));
  ck_assert_mem_eq(cdl_safetensors_find(file, "c")->data, "\3", 1);
  cdl_safetensors_close(file);

  /* A whole file goes before an index. */
  put_file("model.safetensors", TWO_TENSORS, 14);
  expect_ok(cdl_safetensors_open(scratch_folder, &file));
  ck_assert_uint_eq(cdl_safetensors_count(file), 2);
  cdl_safetensors_close(file);
}
END_TEST

START_TEST(refuses_broken_indexes)
{
#define REST "\"b\":\"two.safetensors\",\"c\":\"two.safetensors\"}}"
  const struct {
    const char *index, *reason;
    cdl_status status;
  } cases[] = {
      {"", "not valid JSON", CDL_STATUS_DATA},
      {"[]", "expected a JSON object", CDL_STATUS_DATA},
      {"{}", "weight_map", CDL_STATUS_DATA},
      {"{\"weight_map\":{}}", "weight_map", CDL_STATUS_DATA},
      {"{\"weight_map\":[\"one.safetensors\"]}", "weight_map", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":1," REST, "\"a\": expected a file's name", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"three.safetensors\"," REST, "three.safetensors",
       CDL_STATUS_ABSENT},
      {"{\"weight_map\":{\"a\":\"../one.safetensors\"," REST, "no name of a file", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"/etc/passwd\"," REST, "no name of a file", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"..\"," REST, "no name of a file", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"\"," REST, "no name of a file", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"two.safetensors\"," REST, "\"a\": is not in \"two.safetensors\"",
       CDL_STATUS_DATA},
      {"{\"weight_map\":{\"d\":\"one.safetensors\"," REST, "\"a\": is not in the weight_map",
       CDL_STATUS_DATA},
      {"{\"weight_map\":{\"d\":\"two.safetensors\",\"a\":\"one.safetensors\"," REST,
       "\"d\": is not in", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"c\":\"two."
       "safetensors\"}}",
       "\"b\": is in", CDL_STATUS_DATA},
      {"{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"," REST, "duplicate",
       CDL_STATUS_DATA},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    put_shards(cases[i].index);
    cdl_safetensors *file;
    expect_failure(cdl_safetensors_open(scratch_folder, &file), cases[i].status, cases[i].reason);
    ck_assert_ptr_nonnull(strstr(cdl_error_message(), scratch_folder));
  }
  /* The same tensor in two shards. */
  put_shards("{\"weight_map\":{\"a\":\"one.safetensors\"," REST);
  put_file("one.safetensors",
           "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\","
           "\"shape\":[0],"
           "\"data_offsets\":[2,2]}}",
           2);
  cdl_safetensors *file;
  expect_failure(cdl_safetensors_open(scratch_folder, &file), CDL_STATUS_DATA, "two.safetensors");
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "one.safetensors"));
}
END_TEST

START_TEST(an_empty_folder_says_what_is_wanted)
{
  cdl_safetensors *file;
  expect_failure(cdl_safetensors_open(scratch_folder, &file), CDL_STATUS_ABSENT,
                 "model.safetensors");
  scratch_put_text(scratch_path("pytorch_model.bin"), "x");
  expect_failure(cdl_safetensors_open(scratch_folder, &file), CDL_STATUS_DATA, "pytorch_model.bin");
}
END_TEST

/* ---- Any bytes ---- */

/* Whatever is opened after a change is read to the last byte, so that a wrong bound is a fault. */
static void open_and_touch(const char *path)
{
  cdl_safetensors *file;
  const cdl_status status = cdl_safetensors_open(path, &file);
  if (status != CDL_STATUS_OK) {
    expect_failure(status, CDL_STATUS_DATA, path);
    return;
  }
  for (size_t i = 0; i < cdl_safetensors_count(file); i++) {
    const cdl_stored_tensor *tensor = cdl_safetensors_get(file, i);
    float *values =
        malloc(tensor->bytes / cdl_stored_type_bytes(tensor->type) * sizeof *values + 1);
    ck_assert_ptr_nonnull(values);
    const cdl_status read = cdl_safetensors_read(file, tensor, tensor->rank, tensor->shape, values);
    ck_assert(read == CDL_STATUS_OK || read == CDL_STATUS_DATA);
    ck_assert_ptr_eq(cdl_safetensors_find(file, tensor->name), tensor);
    free(values);
  }
  cdl_safetensors_close(file);
}

START_TEST(survives_any_bytes)
{
  const char *whole = put_file("x", TWO_TENSORS, 14);
  size_t size;
  uint8_t *content = scratch_get(whole, &size);
  const char *path = scratch_path("changed");
  char keep[512];
  strcpy(keep, path);
  for (size_t cut = 0; cut < size; cut++) {
    scratch_put(keep, content, cut);
    cdl_safetensors *file;
    expect_failure(cdl_safetensors_open(keep, &file), CDL_STATUS_DATA, "changed");
  }
  const uint8_t flips[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
  for (size_t at = 0; at < size; at++)
    for (size_t f = 0; f < sizeof flips; f++) {
      content[at] ^= flips[f];
      scratch_put(keep, content, size);
      open_and_touch(keep);
      content[at] ^= flips[f];
    }
  /* Several changes at once, by a linear congruential sequence. */
  uint8_t *changed = malloc(size);
  ck_assert_ptr_nonnull(changed);
  uint64_t random = 88172645463325252u;
  static const char pieces[] = "0123456789-[]{},:\"\\eE.";
  for (int round = 0; round < 3000; round++) {
    memcpy(changed, content, size);
    for (int change = 0; change < 3; change++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      changed[8 + (random >> 33) % (size - 8)] =
          (uint8_t)pieces[(random >> 20) % (sizeof pieces - 1)];
    }
    scratch_put(keep, changed, size);
    open_and_touch(keep);
  }
  free(changed);
  free(content);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      opens_and_finds,
      opens_unusual_files,
      refuses_broken_headers,
      refuses_broken_entries,
      refuses_overlaps_and_holes,
      refuses_lengths_that_lie,
      refuses_headers_that_exhaust,
      halves_are_exact,
      other_types_are_exact,
      reads_only_what_is_asked,
      finds_what_is_not_finite,
      writes_what_it_reads,
      refuses_to_write_nonsense,
      opens_shards,
      refuses_broken_indexes,
      an_empty_folder_says_what_is_wanted,
      survives_any_bytes,
      NULL,
  };
  return scratch_run("safetensors", tests);
}
