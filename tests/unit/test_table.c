/* Tables of text: what the rules of TSV, RFC 4180 and JSON Lines say a file holds, and what is
 * refused where. */
#include <fcntl.h>
#include <sys/wait.h>

#include "base/utf8.h"
#include "tests/unit/scratch.h"
#include "train/data/table.h"

/* Writes a table as text: fields in <>, absent ones as -, the line before each row. */
static cdl_status write_rows(data_table *table, bool windows, const char *const *columns,
                             size_t count, char *found, size_t room)
{
  size_t used = 0;
  bool more = true, rows = true;
  CDL_TRY(data_table_select(table, columns, count));
  while (more || (windows && rows)) {
    data_field fields[DATA_TABLE_SELECTED];
    uint64_t line;
    if (!more) {
      CDL_TRY(data_table_next_window(table));
      rows = false;
    }
    CDL_TRY(data_table_next(table, fields, &line, &more));
    if (!more)
      continue;
    rows = true;
    used += (size_t)snprintf(found + used, room - used, "%llu", (unsigned long long)line);
    for (size_t i = 0; i < count; i++)
      used += fields[i].data == NULL ? (size_t)snprintf(found + used, room - used, "-")
                                     : (size_t)snprintf(found + used, room - used, "<%.*s>",
                                                        (int)fields[i].bytes, fields[i].data);
    used += (size_t)snprintf(found + used, room - used, ";");
    ck_assert_uint_lt(used, room);
  }
  return CDL_STATUS_OK;
}

/* The same bytes through a pipe, some at a time: as from a program that is slow to write. */
static cdl_status read_windows(const void *bytes, size_t size, size_t step,
                               const data_table_options *options, const char *const *columns,
                               size_t count, char *found, size_t room)
{
  const char *path = scratch_path("pipe");
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  const pid_t writer = fork();
  ck_assert_int_ge(writer, 0);
  if (writer == 0) {
    const int to = open(path, O_WRONLY);
    for (size_t at = 0; at < size; at += step)
      if (write(to, (const char *)bytes + at, size - at < step ? size - at : step) < 0)
        break;
    _exit(0);
  }
  data_table *table;
  found[0] = '\0';
  cdl_status status = data_table_open_windows(path, options, NULL, &table);
  if (status == CDL_STATUS_OK) {
    status = write_rows(table, true, columns, count, found, room);
    data_table_close(table);
  }
  ck_assert_int_eq(waitpid(writer, NULL, 0), writer);
  ck_assert_int_eq(unlink(path), 0);
  return status;
}

/* Windows give the rows, the lines and the message of the whole, wherever they end. */
static void check_windows(const void *bytes, size_t size, const data_table_options *options,
                          const char *const *columns, size_t count, cdl_status wanted,
                          const char *rows)
{
  static const size_t steps[] = {1, 3, 70, 1 << 20};
  char message[1024], found[1 << 13];
  snprintf(message, sizeof message, "%s", wanted == CDL_STATUS_OK ? "" : cdl_error_message() + 1);
  for (size_t i = size > 4096 ? 2 : 0; i < sizeof steps / sizeof steps[0]; i++) {
    ck_assert_int_eq(
        read_windows(bytes, size, steps[i], options, columns, count, found, sizeof found), wanted);
    ck_assert_str_eq(found, rows);
    if (wanted != CDL_STATUS_OK)
      ck_assert_msg(strstr(cdl_error_message(), message) != NULL, "\"%s\" instead of \"%s\"",
                    cdl_error_message(), message);
  }
  if (wanted != CDL_STATUS_OK)
    (void)cdl_fail(wanted, "t%s", message);
}

static cdl_status read_all(const char *name, const void *bytes, size_t size, cdl_data_format format,
                           bool strict, const char *const *columns, size_t count, char *found,
                           size_t room)
{
  data_table *table;
  const data_table_options options = {.format = format, .strict = strict};
  found[0] = '\0';
  cdl_status status = data_table_open_bytes(name, bytes, size, &options, &table);
  if (status == CDL_STATUS_OK) {
    status = write_rows(table, false, columns, count, found, room);
    data_table_close(table);
  }
  if (format != CDL_DATA_BY_NAME) /* a pipe's name says nothing */
    check_windows(bytes, size, &options, columns, count, status, found);
  return status;
}

static const char *const ab[] = {"a", "b"};

static void expect_rows(cdl_data_format format, bool strict, const char *text, const char *expected)
{
  char found[4096];
  expect_ok(read_all("t", text, strlen(text), format, strict, ab, 2, found, sizeof found));
  ck_assert_str_eq(found, expected);
}

static void expect_refused(cdl_data_format format, const char *text, const char *place,
                           const char *what)
{
  char found[4096];
  const cdl_status status =
      read_all("t", text, strlen(text), format, true, ab, 2, found, sizeof found);
  expect_failure(status, CDL_STATUS_DATA, what);
  ck_assert_msg(strncmp(cdl_error_message(), place, strlen(place)) == 0,
                "\"%s\" does not begin with %s", cdl_error_message(), place);
}

START_TEST(tsv_takes_every_byte_between_tabs)
{
  expect_rows(CDL_DATA_TSV, true, "a\tb\n1\t2\n", "2<1><2>;");
  expect_rows(CDL_DATA_TSV, true, "a\tb\n1\t2", "2<1><2>;");
  expect_rows(CDL_DATA_TSV, true,
              "\xEF\xBB\xBF"
              "a\tb\r\n 1 \t\"2\r\n",
              "2< 1 ><\"2>;");
  expect_rows(CDL_DATA_TSV, true, "b\tx\ta\n\t\t\n\"q\"\t\t'\n", "2<><>;3<'><\"q\">;");
  expect_rows(CDL_DATA_TSV, true, "a\tb\nx\ry\tz\n", "2<x\ry><z>;"); /* a lone CR ends no line */
  expect_rows(CDL_DATA_TSV, true, "a\tb\n1\t2\n\n\r\n\n", "2<1><2>;");
  expect_rows(CDL_DATA_TSV, true, "a\tb\n1\t2\n3\t", "2<1><2>;3<3><>;");
}
END_TEST

START_TEST(official_rows_may_be_short_or_long)
{
  expect_rows(CDL_DATA_TSV, false, "a\tx\tb\n1\n1\t2\n1\t2\t3\n1\t2\t3\t4\n\n5\t6\t7\n",
              "2<1>-;3<1>-;4<1><3>;5<1><3>;6<>-;7<5><7>;");
}
END_TEST

START_TEST(strict_rows_are_whole)
{
  expect_refused(CDL_DATA_TSV, "a\tb\n1\t2\n1\n", "t:3: ", "1 field; the header has 2");
  expect_refused(CDL_DATA_TSV, "a\tb\n1\t2\t3\n", "t:2: ", "3 fields; the header has 2");
  expect_refused(CDL_DATA_TSV, "a\tb\n1\t2\n\n3\t4\n", "t:3: ", "an empty line");
  expect_refused(CDL_DATA_CSV, "a,b\n1,2\n1\n", "t:3: ", "1 field; the header has 2");
  expect_refused(CDL_DATA_CSV, "a,b\n\"1\n1\",2\n1,2,3\n", "t:4: ", "3 fields");
}
END_TEST

START_TEST(columns_are_found_by_name)
{
  expect_refused(CDL_DATA_TSV, "a\tc\n1\t2\n", "t:1: ", "no column 'b'; the header has 'a', 'c'");
  expect_refused(CDL_DATA_TSV, "a\tB\n1\t2\n", "t:1: ", "no column 'b'");
  expect_refused(CDL_DATA_CSV, "a, b\n1,2\n", "t:1: ", "' b'");
  expect_refused(CDL_DATA_TSV, "a\tb\tb\n1\t2\t3\n", "t:1: ", "more than once");
  expect_rows(CDL_DATA_TSV, true, "a\tx\tb\tx\n1\t2\t3\t4\n", "2<1><3>;");
}
END_TEST

START_TEST(csv_follows_the_rfc)
{
  expect_rows(CDL_DATA_CSV, true, "a,b\r\n1,2\r\n", "2<1><2>;");
  expect_rows(CDL_DATA_CSV, true, "\"a\",\"b\"\n\"1\",\"\"\n,\n", "2<1><>;3<><>;");
  expect_rows(CDL_DATA_CSV, true, "a,b\n\"x, y\",\"he said \"\"no\"\"\"\n",
              "2<x, y><he said \"no\">;");
  expect_rows(CDL_DATA_CSV, true, "a,b\n\"1\r\n2\n\n3\",4\n5,6", "2<1\r\n2\n\n3><4>;6<5><6>;");
  expect_rows(CDL_DATA_CSV, true, "a,b\n\"\"\"\",\"\"\"\"\"\"\n", "2<\"><\"\">;");
  expect_rows(CDL_DATA_CSV, true, "a,b\n 1 ,\t2\n", "2< 1 ><\t2>;");
}
END_TEST

START_TEST(csv_refuses_stray_quotes)
{
  expect_refused(CDL_DATA_CSV, "a,b\n1,2\nx\"y\",2\n",
                 "t:3: ", "a '\"' inside a field without quotes");
  expect_refused(CDL_DATA_CSV, "a,b\n\"x\"y,2\n", "t:2: ", "text after a closing '\"'");
  expect_refused(CDL_DATA_CSV, "a,b\n1,2\n\"1\n2\"x,3\n", "t:4: ", "text after a closing '\"'");
  expect_refused(CDL_DATA_CSV, "a,b\n1,2\n3,\"4\n5,6\n", "t:3: ", "never ends");
  expect_refused(CDL_DATA_CSV, "a,b\n1\r,2\n", "t:2: ", "carriage return");
  expect_refused(CDL_DATA_CSV, "a,\"b", "t:1: ", "never ends");
}
END_TEST

START_TEST(jsonl_is_an_object_a_line)
{
  expect_rows(CDL_DATA_JSONL, true,
              "{\"a\": \"1\", \"b\": \"x\\ty\\n\\u00e9\\ud83d\\ude00\"}\r\n{\"b\":2,\"a\":\"\"}",
              "1<1><x\ty\n\xC3\xA9\xF0\x9F\x98\x80>;2<><2>;");
  expect_rows(CDL_DATA_JSONL, true,
              "{\"a\":-12,\"b\":0.1}\n{\"a\":true,\"b\":false}\n{\"a\":null,\"c\":[1]}\n",
              "1<-12><0.1>;2<true><false>;3--;");
  expect_rows(CDL_DATA_JSONL, true, "{\"a\":3.25e2,\"b\":1e100}\n", "1<325.0><1e100>;");
}
END_TEST

START_TEST(jsonl_refuses_what_is_no_object)
{
  expect_refused(CDL_DATA_JSONL, "{\"a\":1}\n[1]\n", "t:2: ", "expected a JSON object");
  expect_refused(CDL_DATA_JSONL, "[{\"a\":1},\n{\"a\":2}]\n",
                 "t:1: ", "a JSON array; expected a JSON object");
  expect_refused(CDL_DATA_JSONL, "1\n", "t:1: ", "expected a JSON object");
  expect_refused(CDL_DATA_JSONL, "{\"a\":1\n", "t:1: ", "the line ends before its object does");
  expect_refused(CDL_DATA_JSONL, "{\n\"a\":1\n}\n", "t:1: ", "a whole JSON object on each line");
  expect_refused(CDL_DATA_JSONL, "{\"a\":1} x\n", "t:1: ", "one JSON object on each line");
  expect_refused(CDL_DATA_JSONL, "{\"a\":1}{\"a\":1}\n", "t:1: ", "more behind the object");
  expect_refused(CDL_DATA_JSONL, "{\"a\":1}\n\xEF\xBB\xBF{\"a\":1}\n",
                 "t:2: ", "a byte-order mark");
  expect_refused(CDL_DATA_JSONL, "{\"a\":18446744073709551616}\n", "t:1: ", "the number in quotes");
  expect_refused(CDL_DATA_JSONL, "{\"a\":1}\n\n{\"a\":1}\n", "t:2: ", "an empty line");
  expect_refused(CDL_DATA_JSONL, "{\"a\":[1]}\n", "t:1: ", "'a' is an array or object");
  expect_refused(CDL_DATA_JSONL, "{\"a\":1,\"a\":2}\n", "t:1: ", "duplicate");
  expect_refused(CDL_DATA_JSONL, "{\"a\":\"\\\\u0000x\\u0000\"}\n",
                 "t:1: ", "holds \\u0000 at byte 15");
  ck_assert_ptr_null(strstr(cdl_error_message(), "JSON_"));
  expect_refused(CDL_DATA_JSONL, "{\"a\\u0000\":1}\n", "t:1: ", "holds \\u0000 at byte ");
  ck_assert_ptr_null(strstr(cdl_error_message(), "JSON_"));
  expect_refused(CDL_DATA_JSONL, "{\"a\":\"\\ud800\"}\n", "t:1: ", "half of a surrogate pair");
  expect_refused(CDL_DATA_JSONL, "{\"a\":\"\\udc00\"}\n", "t:1: ", "half of a surrogate pair");
}
END_TEST

START_TEST(text_is_utf8_without_nul)
{
  char found[256];
  static const char nul[] = "a\tb\n1\t2\n3\t\0"
                            "4\n";
  expect_failure(read_all("t", nul, sizeof nul - 1, CDL_DATA_TSV, true, ab, 2, found, sizeof found),
                 CDL_STATUS_DATA, "t:3: byte 3 of the line is NUL");
  expect_refused(CDL_DATA_TSV, "a\tb\n1\t\xFF\n", "t:2: ", "byte 3 of the line, 0xff");
  expect_refused(CDL_DATA_TSV, "a\tb\tc\xC0\x80\n1\t2\t3\n", "t:1: ", "0xc0");
  expect_refused(CDL_DATA_TSV, "a\tb\n1\t2\xE2\x82",
                 "t:2: ", "0xe2"); /* cut off by the end of the file */
  expect_refused(CDL_DATA_CSV, "a,b\n\"1\n2\xED\xA0\x80\",3\n",
                 "t:3: ", "byte 2 of the line, 0xed, begins half of a surrogate pair");
  expect_refused(CDL_DATA_JSONL, "{\"a\":\"\xF5\"}\n", "t:1: ", "0xf5");
}
END_TEST

/* `bytes` [size] as a table of any format. */
static void expect_kind(const char *bytes, size_t size, const char *what)
{
  static const cdl_data_format formats[] = {CDL_DATA_TSV, CDL_DATA_CSV, CDL_DATA_JSONL};
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    char found[256];
    expect_failure(read_all("t", bytes, size, formats[i], true, ab, 2, found, sizeof found),
                   CDL_STATUS_DATA, what);
    ck_assert_msg(strncmp(cdl_error_message(), "t:1: ", 5) == 0, "%s", cdl_error_message());
  }
}
#define EXPECT_KIND(bytes, what) expect_kind(bytes, sizeof(bytes) - 1, what)

START_TEST(what_is_no_text_is_told_by_its_first_bytes)
{
  /* "a,b\n" as Python's encoders write it. */
  EXPECT_KIND("\xFF\xFE"
              "a\0,\0b\0\n\0",
              "UTF-16 text; expected UTF-8");
  EXPECT_KIND("\xFE\xFF"
              "\0a\0,\0b\0\n",
              "UTF-16 text; expected UTF-8");
  EXPECT_KIND("a\0,\0b\0\n\0", "UTF-16 text; expected UTF-8");
  EXPECT_KIND("\0a\0,\0b\0\n", "UTF-16 text; expected UTF-8");
  EXPECT_KIND("\xFF\xFE\0\0"
              "a\0\0\0,\0\0\0",
              "UTF-32 text; expected UTF-8");
  EXPECT_KIND("\0\0\xFE\xFF"
              "\0\0\0a\0\0\0,",
              "UTF-32 text; expected UTF-8");
  EXPECT_KIND("a\0\0\0,\0\0\0", "UTF-32 text; expected UTF-8");
  EXPECT_KIND("\0\0\0a\0\0\0,", "UTF-32 text; expected UTF-8");
  EXPECT_KIND("\x1F\x8B\x08\0\0\0", "a gzip file");
  EXPECT_KIND("BZh91AY&SY", "a bzip2 file");
  EXPECT_KIND("\xFD"
              "7zXZ\0\0",
              "an xz file");
  EXPECT_KIND("\x28\xB5\x2F\xFD\x04", "a zstd file");
  EXPECT_KIND("PK\3\4\x14\0", "a zip archive, perhaps a spreadsheet");
  EXPECT_KIND("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "(.xls)");
  EXPECT_KIND("PAR1\x15\4", "a Parquet file");
  EXPECT_KIND("SQLite format 3\0", "an SQLite database");
  expect_rows(CDL_DATA_TSV, true, "a\tb\nBZ\tPK\n", "2<BZ><PK>;");
}
END_TEST

START_TEST(a_header_with_other_separators_says_so)
{
  expect_refused(CDL_DATA_CSV, "a\tb\n1\t2\n", "t:1: no column 'a': tabs separate ",
                 "expected commas");
  expect_refused(CDL_DATA_CSV, "a;b\n1;2\n", "t:1: no column 'a': semicolons separate ",
                 "expected commas");
  expect_refused(CDL_DATA_CSV, "a|b\n1|2\n", "t:1: no column 'a': bars '|' separate ",
                 "expected commas");
  expect_refused(CDL_DATA_TSV, "a,b\n1,2\n", "t:1: no column 'a': commas separate ",
                 "expected tabs");
  expect_refused(CDL_DATA_CSV,
                 "\xEF\xBB\xBF\xEF\xBB\xBF"
                 "a,b\n1,2\n",
                 "t:1: two byte-order marks", "one at most");
  expect_refused(CDL_DATA_TSV, "a\rb\r1\r2\r", "t:1: byte 2 of the header is a carriage return",
                 "LF");
  expect_refused(CDL_DATA_CSV, "a\rb\r1\r2\r", "t:1: a carriage return within a line", "LF");
}
END_TEST

static size_t well_formed(const char *text)
{
  return base_utf8_well_formed((const uint8_t *)text, strlen(text));
}

START_TEST(utf8_is_checked_to_the_letter)
{
  static const char *const good[] = {"",
                                     "a",
                                     "\x7F",
                                     "\xC2\x80",
                                     "\xDF\xBF",
                                     "\xE0\xA0\x80",
                                     "\xED\x9F\xBF",
                                     "\xEE\x80\x80",
                                     "\xEF\xBF\xBF",
                                     "\xF0\x90\x80\x80",
                                     "\xF4\x8F\xBF\xBF",
                                     "eight or more plain \xE2\x82\xAC and again plain ones"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    ck_assert_uint_eq(well_formed(good[i]), strlen(good[i]));

  static const char *const bad[] = {"\x80",
                                    "\xBF",
                                    "\xC0\xAF",
                                    "\xC1\xBF",
                                    "\xC2",
                                    "\xC2 ",
                                    "\xE0\x80\x80",
                                    "\xE0\x9F\xBF",
                                    "\xE1\x80",
                                    "\xE1\x80\x7F",
                                    "\xED\xA0\x80",
                                    "\xED\xBF\xBF",
                                    "\xF0\x8F\xBF\xBF",
                                    "\xF1\x80\x80",
                                    "\xF4\x90\x80\x80",
                                    "\xF8\x88\x80\x80\x80",
                                    "\xFE",
                                    "\xFF"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    for (size_t before = 0; before < 18; before++) {
      char text[64];
      memset(text, 'x', before);
      strcpy(text + before, bad[i]);
      strcat(text, "tail of plain text");
      ck_assert_uint_eq(well_formed(text), before);
    }
}
END_TEST

START_TEST(empty_files_are_refused)
{
  static const char *const empty[] = {"", "\n", "\r\n\n", "\xEF\xBB\xBF", "\xEF\xBB\xBF\n"};
  for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
    for (int format = CDL_DATA_BY_NAME; format <= CDL_DATA_JSONL; format++)
      expect_refused((cdl_data_format)format, empty[i], "t:1: ", "an empty file");
  expect_rows(CDL_DATA_TSV, true, "a\tb", "");
}
END_TEST

START_TEST(long_lines_are_ordinary)
{
  enum { LONG = 1 << 20 };
  static char text[2 * LONG + 64];
  static const cdl_data_format formats[] = {CDL_DATA_TSV, CDL_DATA_CSV, CDL_DATA_JSONL};
  static const char *const before[] = {"a\tb\n", "a,b\n\"", "{\"a\":\""};
  static const char *const after[] = {"\tx", "\"\"\",x", "\",\"b\":\"x\"}"};
  for (size_t f = 0; f < 3; f++) {
    size_t size = strlen(strcpy(text, before[f]));
    memset(text + size, 'y', LONG);
    size += LONG;
    strcpy(text + size, after[f]);
    size += strlen(after[f]);

    data_table *table;
    data_field fields[2];
    uint64_t line;
    bool more;
    expect_ok(data_table_open_bytes("t", text, size, &(data_table_options){.format = formats[f]},
                                    &table));
    expect_ok(data_table_select(table, ab, 2));
    expect_ok(data_table_next(table, fields, &line, &more));
    ck_assert(more);
    ck_assert_uint_eq(fields[0].bytes, (size_t)LONG + (formats[f] == CDL_DATA_CSV));
    ck_assert_int_eq(fields[0].data[LONG - 1], 'y');
    ck_assert_uint_eq(fields[1].bytes, 1);
    data_table_close(table);
  }
}
END_TEST

START_TEST(the_name_says_the_format)
{
  static const struct {
    const char *name, *text;
  } files[] = {{"x.tsv", "a\tb\n1\t2\n"},
               {"x.CSV", "a,b\n1,2\n"},
               {"x.y.jsonl", "{\"a\":\"1\",\"b\":\"2\"}\n"},
               {"x.NDJSON", "{\"a\":\"1\",\"b\":\"2\"}\n"}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    const char *path = scratch_path(files[i].name);
    scratch_put_text(path, files[i].text);
    data_table *table;
    data_field fields[2];
    uint64_t line;
    bool more;
    expect_ok(data_table_open(path, &(data_table_options){.strict = true}, &table));
    ck_assert_str_eq(data_table_name(table), path);
    expect_ok(data_table_select(table, ab, 2));
    expect_ok(data_table_next(table, fields, &line, &more));
    data_table_discard(table); /* the pages come back when they are read */
    ck_assert_int_eq(fields[0].data[0], '1');
    ck_assert_int_eq(fields[1].data[0], '2');
    data_table_close(table);
  }

  static const char *const unknown[] = {"x.txt", "tsv", "x.tsv/y", ".tsv.gz"};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    data_table *table;
    expect_failure(data_table_open(unknown[i], &(data_table_options){0}, &table), CDL_STATUS_USAGE,
                   ".tsv, .csv, .jsonl or .ndjson");
    ck_assert_ptr_null(table);
  }
  data_table *table;
  expect_failure(data_table_open(scratch_path("none.tsv"), &(data_table_options){0}, &table),
                 CDL_STATUS_ABSENT, "none.tsv");
}
END_TEST

static void expect_standard_input(const char *text, const char *expected)
{
  const char *path = scratch_path("input");
  scratch_put_text(path, text);
  ck_assert_ptr_nonnull(freopen(path, "r", stdin));
  data_table *table;
  data_field fields[2] = {{0}};
  uint64_t line;
  bool more;
  expect_ok(data_table_open("-", &(data_table_options){.strict = true}, &table));
  ck_assert_str_eq(data_table_name(table), "standard input");
  expect_ok(data_table_select(table, ab, 2));
  expect_ok(data_table_next(table, fields, &line, &more));
  ck_assert(more);
  ck_assert_mem_eq(fields[1].data, expected, strlen(expected));
  data_table_close(table);
}

START_TEST(standard_input_is_told_by_its_first_byte)
{
  expect_standard_input("a\tb\n1\t{2}\n", "{2}");
  expect_standard_input("{\"a\":\"1\",\"b\":\"2\"}\n", "2");
  expect_standard_input("\xEF\xBB\xBF{\"a\":\"1\",\"b\":\"3\"}\n", "3");

  static char large[300000];
  size_t size = strlen(strcpy(large, "a\tb\n"));
  memset(large + size, 'x', 250000);
  strcpy(large + size + 250000, "\tend\n");
  expect_standard_input(large, "end");
}
END_TEST

START_TEST(quotes_are_cut_between_characters)
{
  ck_assert_str_eq(data_quote("short", 5).text, "'short'");
  char text[61];
  memset(text, 'x', 39);
  for (size_t i = 39; i < 60; i += 3)
    memcpy(text + i, "\xE2\x82\xAC", 3);
  text[60] = '\0';
  char expected[64] = "'";
  memset(expected + 1, 'x', 39);
  strcpy(expected + 40, "\xE2\x80\xA6'");
  ck_assert_str_eq(data_quote(text, 60).text, expected);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {tsv_takes_every_byte_between_tabs,
                                official_rows_may_be_short_or_long,
                                strict_rows_are_whole,
                                columns_are_found_by_name,
                                csv_follows_the_rfc,
                                csv_refuses_stray_quotes,
                                jsonl_is_an_object_a_line,
                                jsonl_refuses_what_is_no_object,
                                text_is_utf8_without_nul,
                                what_is_no_text_is_told_by_its_first_bytes,
                                a_header_with_other_separators_says_so,
                                utf8_is_checked_to_the_letter,
                                empty_files_are_refused,
                                long_lines_are_ordinary,
                                the_name_says_the_format,
                                standard_input_is_told_by_its_first_byte,
                                quotes_are_cut_between_characters,
                                NULL};
  return scratch_run("table", tests);
}
