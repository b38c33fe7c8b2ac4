#include "train/data/table_kind.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* ---- By name ---- */

static const char unpack[] = "is a compressed file; unpack it, a table is read as it is",
                  resave[] = "is a spreadsheet; save the sheet as CSV in UTF-8",
                  convert[] = "is no text; write the table as CSV, TSV or JSONL";

cdl_status data_table_format_of_name(const char *path, cdl_data_format *format)
{
  static const struct {
    const char *extension, *advice; /* advice NULL: a table */
    cdl_data_format format;
  } known[] = {
      {".tsv", NULL, CDL_DATA_TSV},
      {".csv", NULL, CDL_DATA_CSV},
      {".jsonl", NULL, CDL_DATA_JSONL},
      {".ndjson", NULL, CDL_DATA_JSONL},
      {".gz", unpack, 0},
      {".bz2", unpack, 0},
      {".xz", unpack, 0},
      {".zst", unpack, 0},
      {".zip", unpack, 0},
      {".xlsx", resave, 0},
      {".xls", resave, 0},
      {".ods", resave, 0},
      {".parquet", convert, 0},
      {".arrow", convert, 0},
      {".feather", convert, 0},
      {".json", "is one JSON text by its name; write an object a line and call it .jsonl", 0}};
  const char *slash = strrchr(path, '/'), *dot = strrchr(slash != NULL ? slash : path, '.');
  for (size_t i = 0; dot != NULL && i < sizeof known / sizeof known[0]; i++) {
    if (strcasecmp(dot, known[i].extension) != 0)
      continue;
    if (known[i].advice != NULL)
      return cdl_fail(CDL_STATUS_USAGE,
                      "%s: '%s' %s; expected a name that ends in .tsv, .csv, .jsonl or .ndjson",
                      path, dot, known[i].advice);
    *format = known[i].format;
    return CDL_STATUS_OK;
  }
  return cdl_fail(CDL_STATUS_USAGE,
                  "%s: cannot tell what kind of table this is; expected a name that ends in .tsv, "
                  ".csv, .jsonl or .ndjson",
                  path);
}

/* ---- By contents ---- */

/* Returns whether only byte `place` of each of the first units of `width` bytes is not NUL: ASCII
 * in wide units. There must be at least two units; text has no NUL. */
static bool is_wide(const uint8_t *bytes, size_t size, size_t width, size_t place)
{
  enum { UNITS = 16 };
  const size_t units = size / width < UNITS ? size / width : UNITS;
  for (size_t i = 0; i < units * width; i++)
    if ((bytes[i] != 0) != (i % width == place))
      return false;
  return units >= 2;
}

static const char *wide_text(const uint8_t *bytes, size_t size)
{
  static const struct {
    const char *mark, *name; /* a mark that begins another one comes after it */
    size_t length;
  } marks[] = {{"\xFF\xFE\0\0", "UTF-32", 4},
               {"\0\0\xFE\xFF", "UTF-32", 4},
               {"\xFF\xFE", "UTF-16", 2},
               {"\xFE\xFF", "UTF-16", 2}};
  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if (size >= marks[i].length && memcmp(bytes, marks[i].mark, marks[i].length) == 0)
      return marks[i].name;
  return is_wide(bytes, size, 4, 0) || is_wide(bytes, size, 4, 3)   ? "UTF-32"
         : is_wide(bytes, size, 2, 0) || is_wide(bytes, size, 2, 1) ? "UTF-16"
                                                                    : NULL;
}

#define SIGNATURE(text) text, sizeof(text) - 1

static const struct {
  const char *bytes;
  size_t length;
  const char *name;
} signatures[] = {
    {SIGNATURE("\x1F\x8B"), "a gzip file; expected it unpacked"},
    {SIGNATURE("BZh"), "a bzip2 file; expected it unpacked"},
    {SIGNATURE("\xFD"
               "7zXZ\0"),
     "an xz file; expected it unpacked"},
    {SIGNATURE("\x28\xB5\x2F\xFD"), "a zstd file; expected it unpacked"},
    {SIGNATURE("7z\xBC\xAF\x27\x1C"), "a 7z archive; expected it unpacked"},
    {SIGNATURE("PK\3\4"),
     "a zip archive, perhaps a spreadsheet (.xlsx, .ods); expected a sheet saved as CSV in UTF-8"},
    {SIGNATURE("\xD0\xCF\x11\xE0"),
     "a file of an office program (.xls); expected a sheet saved as CSV in UTF-8"},
    {SIGNATURE("PAR1"), "a Parquet file; expected text: CSV, TSV or JSONL"},
    {SIGNATURE("ARROW1"), "an Arrow file; expected text: CSV, TSV or JSONL"},
    {SIGNATURE("FEA1"), "a Feather file; expected text: CSV, TSV or JSONL"},
    {SIGNATURE("Obj\1"), "an Avro file; expected text: CSV, TSV or JSONL"},
    {SIGNATURE("SQLite format 3"), "an SQLite database; expected text: CSV, TSV or JSONL"},
    {SIGNATURE("%PDF-"), "a PDF; expected text: CSV, TSV or JSONL"},
    {SIGNATURE("\x93NUMPY"), "an array of NumPy; expected text: CSV, TSV or JSONL"},
};

cdl_status data_table_check_kind(const char *name, const void *bytes, size_t size)
{
  const char *wide = wide_text(bytes, size);
  if (wide != NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s:1: the file is %s text; expected UTF-8 (iconv -f %s -t UTF-8, or saved as "
                    "\"CSV UTF-8\")",
                    name, wide, wide);
  for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++)
    if (size >= signatures[i].length &&
        memcmp(bytes, signatures[i].bytes, signatures[i].length) == 0)
      return cdl_fail(CDL_STATUS_DATA, "%s:1: the file is %s", name, signatures[i].name);
  return CDL_STATUS_OK;
}
