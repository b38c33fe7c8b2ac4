/* TensorBoard's event files, byte by byte: records as TFRecord has them, with checksums from a
 * table that is made here, and messages read by protobuf's wire format alone. */
#include <math.h>
#include <time.h>

#include "base/file.h"
#include "tests/unit/scratch.h"
#include "train/event_file.h"

/* ---- CRC-32C, from its table ---- */

static uint32_t table[256];

static void make_table(void)
{
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++)
      c = (c & 1) != 0 ? c >> 1 ^ 0x82f63b78 : c >> 1;
    table[i] = c;
  }
}

static uint32_t crc32c(const uint8_t *bytes, size_t count)
{
  uint32_t c = 0xffffffff;
  for (size_t i = 0; i < count; i++)
    c = table[(c ^ bytes[i]) & 255] ^ c >> 8;
  return c ^ 0xffffffff;
}

START_TEST(the_table_gives_the_values_of_rfc_3720)
{
  uint8_t bytes[32] = {0};
  ck_assert_uint_eq(crc32c(bytes, 32), 0x8a9136aa);
  memset(bytes, 0xff, 32);
  ck_assert_uint_eq(crc32c(bytes, 32), 0x62a8ab43);
  for (int i = 0; i < 32; i++)
    bytes[i] = (uint8_t)i;
  ck_assert_uint_eq(crc32c(bytes, 32), 0x46dd794e);
}
END_TEST

/* ---- Protobuf's wire format ---- */

typedef struct {
  const uint8_t *at, *end;
} message;

typedef struct {
  unsigned number, type;
  uint64_t value; /* of a varint, and of fixed 32 or 64 bits */
  message inner;  /* of bytes */
} field;

static uint64_t varint(message *m)
{
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    ck_assert(m->at < m->end && shift < 64);
    value |= (uint64_t)(*m->at & 127) << shift;
    if ((*m->at++ & 128) == 0)
      return value;
  }
}

static bool next(message *m, field *f)
{
  if (m->at == m->end)
    return false;
  const uint64_t key = varint(m);
  *f = (field){.number = (unsigned)(key >> 3), .type = (unsigned)(key & 7)};
  const size_t width = f->type == 1 ? 8 : 4;
  switch (f->type) {
  case 0:
    f->value = varint(m);
    return true;
  case 2:
    f->value = varint(m);
    ck_assert_uint_le(f->value, (uint64_t)(m->end - m->at));
    f->inner = (message){m->at, m->at + f->value};
    m->at += f->value;
    return true;
  case 1:
  case 5:
    ck_assert_uint_ge((size_t)(m->end - m->at), width);
    for (size_t i = 0; i < width; i++)
      f->value |= (uint64_t)m->at[i] << 8 * i;
    m->at += width;
    return true;
  default:
    ck_abort_msg("wire type %u", f->type);
  }
}

static field find(message m, unsigned number)
{
  field f;
  while (next(&m, &f))
    if (f.number == number)
      return f;
  return (field){0};
}

static double as_double(field f)
{
  double value;
  memcpy(&value, &f.value, sizeof value);
  return value;
}

static float as_float(field f)
{
  const uint32_t bits = (uint32_t)f.value;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static bool is_text(field f, const char *text)
{
  return (size_t)(f.inner.end - f.inner.at) == strlen(text) &&
         memcmp(f.inner.at, text, strlen(text)) == 0;
}

/* ---- The file ---- */

enum { RECORDS_MOST = 32 };

typedef struct {
  base_mapping mapping;
  message record[RECORDS_MOST];
  size_t count;
} records;

static uint64_t little_endian(const uint8_t *bytes, int count)
{
  uint64_t value = 0;
  for (int i = 0; i < count; i++)
    value |= (uint64_t)bytes[i] << 8 * i;
  return value;
}

static void check_sum(const uint8_t *sum, const uint8_t *bytes, size_t count)
{
  const uint32_t crc = crc32c(bytes, count);
  ck_assert_uint_eq(little_endian(sum, 4), (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u));
}

static records read_records(const char *path)
{
  records r = {0};
  ck_assert_int_eq(base_file_map(path, &r.mapping), CDL_STATUS_OK);
  for (size_t at = 0; at < r.mapping.size;) {
    const uint8_t *bytes = r.mapping.data + at;
    ck_assert_uint_ge(r.mapping.size - at, 16);
    const size_t count = (size_t)little_endian(bytes, 8);
    ck_assert_uint_le(count, r.mapping.size - at - 16);
    check_sum(bytes + 8, bytes, 8);
    check_sum(bytes + 12 + count, bytes + 12, count);
    ck_assert_uint_lt(r.count, RECORDS_MOST);
    r.record[r.count++] = (message){bytes + 12, bytes + 12 + count};
    at += count + 16;
  }
  return r;
}

/* The only file of a folder, or the last by name. */
static const char *last_file(const char *folder, size_t *count)
{
  static char path[700];
  char last[300] = "";
  DIR *names = opendir(folder);
  ck_assert_ptr_nonnull(names);
  *count = 0;
  for (const struct dirent *entry; (entry = readdir(names)) != NULL;)
    if (entry->d_name[0] != '.') {
      (*count)++;
      if (strcmp(entry->d_name, last) > 0)
        snprintf(last, sizeof last, "%s", entry->d_name);
    }
  closedir(names);
  snprintf(path, sizeof path, "%s/%s", folder, last);
  return path;
}

static void write_file(const char *folder, int64_t first_step)
{
  train_event_file *file;
  const train_scalar scalars[] = {{"train/loss", 0.75}, {"valid/accuracy", 1.0 / 3}};
  json_t *settings = json_pack("{sf si sb ss sn s[i]}", "lr", 0.25, "rank", 8, "rslora", 1,
                               "method", "lora", "trace", "layers", 3);
  ck_assert_int_eq(train_event_file_open(folder, first_step, settings, &file), CDL_STATUS_OK);
  json_decref(settings);
  ck_assert_int_eq(train_event_file_add(file, 300, scalars, 2), CDL_STATUS_OK);
  ck_assert_int_eq(train_event_file_finish(file, 300), CDL_STATUS_OK);
  train_event_file_close(file);
}

START_TEST(records_hold_what_was_put_in)
{
  size_t files;
  const double before = (double)time(NULL);
  write_file(scratch_path("made/for/it"), 42);
  records r = read_records(last_file(scratch_path("made/for/it"), &files));
  ck_assert_uint_eq(files, 1);
  ck_assert_uint_eq(r.count, 5);
  for (size_t i = 0; i < r.count; i++) {
    const double at = as_double(find(r.record[i], 1));
    ck_assert(at >= before && at < before + 3600);
  }
  ck_assert(is_text(find(r.record[0], 3), "brain.Event:2"));
  ck_assert_uint_eq(find(r.record[1], 2).value, 42);
  ck_assert_uint_eq(find(find(r.record[1], 7).inner, 1).value, 1); /* SessionLog.START */

  message summary = find(r.record[3], 5).inner;
  field value;
  ck_assert_uint_eq(find(r.record[3], 2).value, 300);
  ck_assert(next(&summary, &value) && is_text(find(value.inner, 1), "train/loss"));
  ck_assert(as_float(find(value.inner, 2)) == 0.75f);
  ck_assert(next(&summary, &value) && is_text(find(value.inner, 1), "valid/accuracy"));
  ck_assert(as_float(find(value.inner, 2)) == (float)(1.0 / 3));
  ck_assert(!next(&summary, &value));
  base_file_unmap(&r.mapping);
}
END_TEST

START_TEST(settings_have_their_kinds)
{
  size_t files;
  write_file(scratch_folder, 1);
  records r = read_records(last_file(scratch_folder, &files));
  const message value = find(find(r.record[2], 5).inner, 1).inner;
  ck_assert(is_text(find(value, 1), "_hparams_/session_start_info"));
  const message plugin = find(find(value, 9).inner, 1).inner;
  ck_assert(is_text(find(plugin, 1), "hparams"));
  message start = find(find(plugin, 2).inner, 3).inner;
  size_t seen = 0;
  for (field f; next(&start, &f);) {
    if (f.number != 1)
      continue;
    const message of = find(f.inner, 2).inner;
    const field key = find(f.inner, 1);
    seen++;
    if (is_text(key, "lr"))
      ck_assert(as_double(find(of, 2)) == 0.25);
    else if (is_text(key, "rank"))
      ck_assert(as_double(find(of, 2)) == 8);
    else if (is_text(key, "rslora"))
      ck_assert_uint_eq(find(of, 4).value, 1);
    else if (is_text(key, "method"))
      ck_assert(is_text(find(of, 3), "lora"));
    else
      ck_assert(is_text(key, "layers") && is_text(find(of, 3), "[3]"));
  }
  ck_assert_uint_eq(seen, 5);
  base_file_unmap(&r.mapping);
}
END_TEST

/* TensorBoard reads a folder's files in the order of their names, whatever the clock says. */
START_TEST(a_later_file_sorts_behind)
{
  size_t files;
  char first[700];
  FILE *ahead = fopen(scratch_path("events.out.tfevents.9000000000.other.1"), "w");
  ck_assert(ahead != NULL && fclose(ahead) == 0);
  write_file(scratch_folder, 1);
  snprintf(first, sizeof first, "%s", last_file(scratch_folder, &files));
  ck_assert_uint_eq(files, 2);
  ck_assert_ptr_nonnull(strstr(first, "tfevents.9000000001."));
  write_file(scratch_folder, 1);
  ck_assert_int_gt(strcmp(last_file(scratch_folder, &files), first), 0);
  ck_assert_uint_eq(files, 3);
}
END_TEST

START_TEST(a_folder_that_cannot_be_is_named)
{
  train_event_file *file;
  json_t *settings = json_object();
  FILE *in_the_way = fopen(scratch_path("file"), "w");
  ck_assert(in_the_way != NULL && fclose(in_the_way) == 0);
  ck_assert_int_eq(train_event_file_open(scratch_path("file"), 1, settings, &file), CDL_STATUS_IO);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), scratch_path("file")));
  ck_assert_ptr_null(file);
  json_decref(settings);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("event_file");
  TCase *all = tcase_create("all");
  make_table();
  tcase_add_checked_fixture(all, scratch_make, scratch_remove);
  tcase_add_test(all, the_table_gives_the_values_of_rfc_3720);
  tcase_add_test(all, records_hold_what_was_put_in);
  tcase_add_test(all, settings_have_their_kinds);
  tcase_add_test(all, a_later_file_sorts_behind);
  tcase_add_test(all, a_folder_that_cannot_be_is_named);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
