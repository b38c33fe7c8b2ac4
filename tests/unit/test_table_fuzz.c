/* Mutated tables: whatever the bytes are, reading ends with rows or with an error of one line that
 * names the file. Of most use under AddressSanitizer. */
#include "base/utf8.h"
#include "condlora/dataset.h"
#include "condlora/random.h"
#include "tests/unit/scratch.h"
#include "train/data/table.h"

static void expect_text(const char *data, size_t bytes)
{
  ck_assert_uint_eq(base_utf8_well_formed((const uint8_t *)data, bytes), bytes);
  ck_assert_ptr_null(memchr(data, '\0', bytes));
}

static const struct {
  cdl_data_format format;
  const char *text;
} seeds[] = {
    {CDL_DATA_TSV, "\xEF\xBB\xBFtext\tkind\tother\r\nab \"c\"\tx\t\r\n\tx\t1\nlonger text, "
                   "\xE2\x82\xAC and so on\ty\t2\n"},
    {CDL_DATA_CSV,
     "text,kind,other\r\n\"a \"\"b\"\"\r\n\nc\",x,\r\nplain \xC3\xA9,y,\"\"\n,x,1\n\"last\",y,2"},
    {CDL_DATA_JSONL,
     "{\"text\": \"a\\u00e9\\n\", \"kind\": \"x\", \"other\": [1, {\"b\": null}]}\n"
     "{\"kind\": 1.5e3, \"text\": \"\xF0\x9F\x98\x80\"}\r\n{\"text\":\"\",\"kind\":true}\n"},
};

/* What a mutation likes to put in. */
static const char interesting[] = "\0\t\n\r\"\",:{}[]\\\xEF\xBB\xBF\xC3\xFF\x80 x0";

static size_t mutate(cdl_random *random, char *bytes, size_t size, size_t room)
{
  for (uint64_t edits = 1 + cdl_random_below(random, 5); edits > 0; edits--) {
    const size_t at = (size_t)cdl_random_below(random, size + 1);
    const char byte = interesting[cdl_random_below(random, sizeof interesting - 1)];
    const size_t span = (size_t)cdl_random_below(random, size - at + 1);
    switch (cdl_random_below(random, 5)) {
    case 0: /* overwrite */
      if (at < size)
        bytes[at] = byte;
      break;
    case 1: /* insert */
      if (size < room) {
        memmove(bytes + at + 1, bytes + at, size - at);
        bytes[at] = byte;
        size++;
      }
      break;
    case 2: /* cut off the end */
      size = at;
      break;
    case 3: /* take out a piece */
      memmove(bytes + at, bytes + at + span, size - at - span);
      size -= span;
      break;
    default: /* say a piece twice */
      if (span <= room - size) {
        memmove(bytes + at + span, bytes + at, size - at);
        size += span;
      }
    }
  }
  return size;
}

static void expect_one_line(void)
{
  ck_assert_msg(strncmp(cdl_error_message(), "fuzz", 4) == 0, "%s", cdl_error_message());
  ck_assert_ptr_null(strchr(cdl_error_message(), '\n'));
}

/* Reads all rows; a field lies within valid text, or it is an error of ours. */
static void read_table(const char *bytes, size_t size, cdl_data_format format, bool strict)
{
  static const char *const columns[] = {"text", "kind"};
  data_table *table;
  const data_table_options options = {.format = format, .strict = strict};
  cdl_status status = data_table_open_bytes("fuzz", bytes, size, &options, &table);
  if (status == CDL_STATUS_OK)
    status = data_table_select(table, columns, 2);
  uint64_t last = 0;
  for (bool more = true; status == CDL_STATUS_OK && more;) {
    data_field fields[2] = {{0}};
    uint64_t line = 0;
    status = data_table_next(table, fields, &line, &more);
    if (status != CDL_STATUS_OK || !more)
      break;
    ck_assert_uint_gt(line, last);
    last = line;
    for (size_t i = 0; i < 2; i++)
      if (fields[i].data != NULL)
        expect_text(fields[i].data, fields[i].bytes);
  }
  if (status != CDL_STATUS_OK) {
    ck_assert_int_eq((int)status, CDL_STATUS_DATA);
    expect_one_line();
  }
  data_table_close(table);
}

START_TEST(mutated_tables_never_crash)
{
  enum { ROUNDS = 20000, ROOM = 1024 };
  cdl_random random = cdl_random_start(20, CDL_RANDOM_TEST, 0, 0);
  for (int round = 0; round < ROUNDS; round++) {
    const size_t seed = (size_t)cdl_random_below(&random, 3);
    char working[ROOM];
    const size_t length = strlen(seeds[seed].text);
    memcpy(working, seeds[seed].text, length);
    const size_t size = mutate(&random, working, length, ROOM);
    /* A block of exactly this size lets AddressSanitizer see the first byte too far. */
    char *bytes = malloc(size + (size == 0));
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, working, size);
    const bool usual = cdl_random_below(&random, 8) != 0;
    read_table(bytes, size,
               usual ? seeds[seed].format : (cdl_data_format)cdl_random_below(&random, 4),
               cdl_random_below(&random, 2) == 0);
    free(bytes);
  }
}
END_TEST

START_TEST(mutated_files_never_crash)
{
  enum { ROUNDS = 600, ROOM = 1024 };
  static const char *const names[] = {"fuzz.tsv", "fuzz.csv", "fuzz.jsonl"};
  cdl_random random = cdl_random_start(21, CDL_RANDOM_TEST, 0, 0);
  ck_assert_int_eq(chdir(scratch_folder), 0);
  for (int round = 0; round < ROUNDS; round++) {
    const size_t seed = (size_t)cdl_random_below(&random, 3);
    char bytes[ROOM];
    const size_t length = strlen(seeds[seed].text);
    memcpy(bytes, seeds[seed].text, length);
    scratch_put(names[seed], bytes, mutate(&random, bytes, length, ROOM));
    cdl_dataset_source source = {
        .size = sizeof source,
        .path = names[seed],
        .text_column = {"text", cdl_random_below(&random, 2) == 0 ? "other" : NULL},
        .label_column = "kind",
        .label_optional = cdl_random_below(&random, 2) == 0,
        .regression = cdl_random_below(&random, 4) == 0};
    source.multi_label = !source.regression && cdl_random_below(&random, 3) == 0;
    source.label_separator = source.multi_label && seed < 2 ? "e" : NULL;
    cdl_dataset *dataset;
    if (cdl_dataset_read_file(&source, &dataset) != CDL_STATUS_OK) {
      expect_one_line();
      continue;
    }
    for (size_t i = 0; i < cdl_dataset_count(dataset); i++) {
      const cdl_example example = cdl_dataset_get(dataset, i);
      expect_text(example.text[0], example.bytes[0]);
      ck_assert(example.label < (int32_t)cdl_dataset_label_count(dataset) || source.regression);
    }
    cdl_dataset_close(dataset);
  }
  ck_assert_int_eq(chdir(".."), 0);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {mutated_tables_never_crash, mutated_files_never_crash, NULL};
  return scratch_run("table_fuzz", tests);
}
