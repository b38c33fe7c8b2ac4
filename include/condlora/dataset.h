/* Examples of one or two texts with a label, read from a GLUE task or a file of one's own, and
 * their tokens. */
#ifndef CONDLORA_DATASET_H
#define CONDLORA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "condlora/status.h"
#include "condlora/task.h"
#include "condlora/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Owns its texts and tokens. Reading functions may be called by several threads at once, the others
 * not. */
typedef struct cdl_dataset cdl_dataset;

typedef enum {
  CDL_DATA_BY_NAME, /* by extension: .tsv, .csv, .jsonl, .ndjson */
  CDL_DATA_TSV,     /* tabs separate, quotes mean nothing, nothing is trimmed */
  CDL_DATA_CSV,     /* RFC 4180 */
  CDL_DATA_JSONL    /* one object a line */
} cdl_data_format;

/* A file of one's own. Every row must be whole: what is missing or not understood is an error
 * naming the line. */
typedef struct {
  size_t size;
  const char *path; /* "-": standard input, TSV or JSONL by its first byte unless `format` says */
  cdl_data_format format;
  const char *text_column[2]; /* the second NULL: single texts */
  /* Instead of columns: a text a line, or two with a tab between, as on line 1. Unless `format` is
   * TSV, a file that begins with '{' is JSONL all the same, and wants columns. */
  bool plain_lines;
  /* NULL: the columns were named for this file. Else they are those that a model was trained on, or
   * NULL, and this says which options name others: for the message that lists the file's. */
  const char *unnamed;
  const char *label_column; /* NULL: labels are not read */
  bool label_optional;      /* column or field may be missing; what is there is checked */
  bool regression;          /* the label is a finite number */
  /* By id. NULL: the strings found, sorted: by value where all are whole numbers, else bytewise; then
   * -1 beside numbers from 0 on, and - beside others but +, which mark rows without a label in some
   * data sets, are an error. */
  const char *const *labels;
  size_t label_count;
  const char *skip_label; /* rows with this label are left out and counted; NULL: none are */
} cdl_dataset_source;

static inline cdl_dataset_source cdl_dataset_source_init(void)
{
  cdl_dataset_source source;
  memset(&source, 0, sizeof source);
  source.size = sizeof source;
  return source;
}

/* Errors: USAGE for a source that cannot be; ABSENT, IO; DATA, naming file and line; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_dataset_read_file(const cdl_dataset_source *source,
                                                      cdl_dataset **dataset);

/* A split of a GLUE task: `folder` holds a folder a task. Splits are "train", "dev", "test", for
 * MNLI "dev_matched" and the like too. Rows that lack a used column are dropped, and a notice says
 * how many. Errors: as above. */
CDL_API CDL_MUST_USE cdl_status cdl_dataset_read_task(const cdl_task *task, const char *folder,
                                                      const char *split, cdl_dataset **dataset);

CDL_API void cdl_dataset_close(cdl_dataset *dataset);

typedef struct {
  const char *text[2]; /* UTF-8, not NUL-terminated; the second NULL for a single text. Borrowed */
  size_t bytes[2];
  int32_t label;  /* class id; -1 without a label and for a regression */
  double target;  /* of a regression, finite as a float; NaN without a label and for classes */
  uint32_t index; /* among the rows that were kept, from 0: what the example is known by */
  uint32_t line;  /* in its file, from 1 */
} cdl_example;

CDL_API size_t cdl_dataset_count(const cdl_dataset *dataset);
/* `index` is below the count. */
CDL_API cdl_example cdl_dataset_get(const cdl_dataset *dataset, size_t index);
CDL_API bool cdl_dataset_is_regression(const cdl_dataset *dataset);
CDL_API bool cdl_dataset_is_pair(const cdl_dataset *dataset);
/* Whether every example has a label. */
CDL_API bool cdl_dataset_has_labels(const cdl_dataset *dataset);
/* Classes; 0 for a regression. Where no labels are read, the ones given. */
CDL_API size_t cdl_dataset_label_count(const cdl_dataset *dataset);
/* Borrowed; NULL for an id that is not there. */
CDL_API const char *cdl_dataset_label_name(const cdl_dataset *dataset, int32_t label);
/* Rows of official files that were dropped. */
CDL_API size_t cdl_dataset_dropped(const cdl_dataset *dataset);
/* Rows that were left out for their label, `skip_label`. */
CDL_API size_t cdl_dataset_skipped(const cdl_dataset *dataset);

/* The files a data set came from: one, or MNLI's matched and mismatched. Examples [first, first +
 * count). */
typedef struct {
  const char *name; /* "matched", "mismatched", or "" */
  const char *path; /* borrowed */
  size_t first, count;
} cdl_dataset_part;
CDL_API size_t cdl_dataset_part_count(const cdl_dataset *dataset);
CDL_API cdl_dataset_part cdl_dataset_get_part(const cdl_dataset *dataset, size_t part);

/* Tokens of all examples end to end: example i has ids[offsets[i]] … ids[offsets[i + 1] - 1]. */
typedef struct {
  const int32_t *ids;      /* [offsets[count]] */
  const uint8_t *type_ids; /* [offsets[count]] */
  const uint64_t *offsets; /* [count + 1], from 0 */
  size_t count, longest;   /* examples; tokens of the longest one */
  size_t truncated;        /* examples that max_length cut */
} cdl_tokens;

/* Encodes every example on `threads` threads (0 counts as 1); the result does not depend on their
 * number. Examples cut to `max_length` (0: none) are counted, and a notice says how many. Tokens of
 * an earlier call are replaced. Errors: the tokenizer's, MEMORY; the data set stays as it was. */
CDL_API CDL_MUST_USE cdl_status cdl_dataset_tokenize(cdl_dataset *dataset,
                                                     const cdl_tokenizer *tokenizer,
                                                     size_t max_length, unsigned threads);
/* Borrowed until the next cdl_dataset_tokenize; all zero before the first. */
CDL_API cdl_tokens cdl_dataset_tokens(const cdl_dataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
