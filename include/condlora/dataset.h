/* Data sets: examples of one or two texts with a label, read from a GLUE task or a user's file, and
 * their tokens. */
#ifndef CONDLORA_DATASET_H
#define CONDLORA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "condlora/problem.h"
#include "condlora/status.h"
#include "condlora/task.h"
#include "condlora/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Owns its texts and tokens. Several threads may call the reading functions at once, but not the
 * others. */
typedef struct cdl_dataset cdl_dataset;

typedef enum {
  CDL_DATA_BY_NAME, /* by the file name's extension: .tsv, .csv, .jsonl, .ndjson */
  CDL_DATA_TSV,     /* separated by tabs; no quoting, no trimming */
  CDL_DATA_CSV,     /* RFC 4180 */
  CDL_DATA_JSONL    /* one object per line */
} cdl_data_format;

/* A user's file. Every row must be complete: a missing or invalid value is an error that names the
 * line. */
typedef struct {
  size_t size;
  /* "-" is standard input: TSV or JSONL by its first byte, unless `format` is set */
  const char *path;
  cdl_data_format format;
  const char *text_column[2]; /* the second is NULL for single texts */
  /* The file has no columns: each line is one text, or two texts with a tab between if line 1 has
   * them. A file that begins with '{' is still read as JSONL, with columns, unless `format` is
   * TSV. */
  bool plain_lines;
  /* NULL if the user named the columns for this file. Otherwise the columns are those that a model
   * was trained on, or NULL, and this text names the options that choose others. It completes the
   * message that lists the file's columns. */
  const char *unnamed;
  const char *label_column; /* NULL: do not read labels */
  /* the column or field may be missing; labels that are present are checked */
  bool label_optional;
  bool regression; /* the label is a finite number, or several, not a class */
  /* Label names in the order of their ids. NULL: all strings that occur, sorted by value if all of
   * them are integers, otherwise bytewise. Some data sets mark rows without a label by -1 beside
   * integers from 0 on, or by "-" beside other labels than "+"; without a list of names both are
   * errors. */
  const char *const *labels;
  size_t label_count;
  const char *skip_label; /* drop rows with this label and count them; NULL: keep all rows */
  /* Each row has any number of labels: an array in JSONL, or one text with `label_separator`
   * between the labels. An empty array and an empty text mean no label. */
  bool multi_label;
  const char *label_separator; /* one character; blanks around labels are removed; NULL: none */
  /* Several columns, instead of `label_column`: with `regression` a number in each, with
   * `multi_label` 0 or 1 for the label that is named as the column. NULL: label_column alone. */
  const char *const *label_columns;
  size_t label_column_count;
} cdl_dataset_source;

static inline cdl_dataset_source cdl_dataset_source_init(void)
{
  cdl_dataset_source source;
  memset(&source, 0, sizeof source);
  source.size = sizeof source;
  return source;
}

/* Reads a file. Errors: USAGE for an invalid source; ABSENT, IO; DATA, with file and line;
 * MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_dataset_read_file(const cdl_dataset_source *source,
                                                      cdl_dataset **dataset);

/* Reads a split of a GLUE task. `folder` holds one folder per task. Splits are "train", "dev" and
 * "test"; MNLI also has "dev_matched" and so on. Rows that lack a used column are dropped, and a
 * notice gives their number. Errors: as cdl_dataset_read_file. */
CDL_API CDL_MUST_USE cdl_status cdl_dataset_read_task(const cdl_task *task, const char *folder,
                                                      const char *split, cdl_dataset **dataset);

CDL_API void cdl_dataset_close(cdl_dataset *dataset);

typedef struct {
  /* UTF-8, not NUL-terminated, borrowed; the second is NULL for a single text */
  const char *text[2];
  size_t bytes[2];
  int32_t label;  /* class id; -1 without a label, for several labels and for a regression */
  double target;  /* of a regression with one output, finite as a float; otherwise NaN */
  uint32_t index; /* index among the rows that were kept, from 0; identifies the example */
  uint32_t line;  /* line in its file, from 1 */
} cdl_example;

CDL_API size_t cdl_dataset_count(const cdl_dataset *dataset);
/* `index` must be below the count. */
CDL_API cdl_example cdl_dataset_get(const cdl_dataset *dataset, size_t index);
CDL_API cdl_problem cdl_dataset_problem(const cdl_dataset *dataset);
CDL_API bool cdl_dataset_is_regression(const cdl_dataset *dataset);
/* Returns the number of outputs of a model for these examples: labels, or numbers. */
CDL_API size_t cdl_dataset_output_count(const cdl_dataset *dataset);
/* Returns a borrowed name: of a label, or of the column of a regression with several outputs. NULL
 * for a regression with one output and past the last one. */
CDL_API const char *cdl_dataset_output_name(const cdl_dataset *dataset, size_t output);
/* Writes what a model should give for an example, `targets` [outputs]: 1 for each of its labels and
 * 0 for the others, or the numbers of a regression; NaN without labels. */
CDL_API void cdl_dataset_targets(const cdl_dataset *dataset, size_t index, double *targets);
CDL_API bool cdl_dataset_is_pair(const cdl_dataset *dataset);
/* Returns whether every example has a label. */
CDL_API bool cdl_dataset_has_labels(const cdl_dataset *dataset);
/* Returns the number of classes; 0 for a regression. If labels were not read, it is the number of
 * labels in the source. */
CDL_API size_t cdl_dataset_label_count(const cdl_dataset *dataset);
/* Returns a borrowed name; NULL for an id that does not exist. */
CDL_API const char *cdl_dataset_label_name(const cdl_dataset *dataset, int32_t label);
/* Returns how many rows of official files were dropped. */
CDL_API size_t cdl_dataset_dropped(const cdl_dataset *dataset);
/* Returns how many rows were dropped for their label (`skip_label`). */
CDL_API size_t cdl_dataset_skipped(const cdl_dataset *dataset);

/* One file of a data set, with examples [first, first + count). Most data sets have one file; MNLI
 * has two, matched and mismatched. */
typedef struct {
  const char *name; /* "matched", "mismatched", or "" */
  const char *path; /* borrowed */
  size_t first, count;
} cdl_dataset_part;
CDL_API size_t cdl_dataset_part_count(const cdl_dataset *dataset);
CDL_API cdl_dataset_part cdl_dataset_get_part(const cdl_dataset *dataset, size_t part);

/* Tokens of all examples, end to end: example i has ids[offsets[i]] … ids[offsets[i + 1] - 1]. */
typedef struct {
  const int32_t *ids;      /* [offsets[count]] */
  const uint8_t *type_ids; /* [offsets[count]] */
  const uint64_t *offsets; /* [count + 1], from 0 */
  size_t count, longest;   /* number of examples; number of tokens in the longest one */
  size_t truncated;        /* number of examples that max_length cut */
} cdl_tokens;

/* Tokenizes every example on `threads` threads (0 means 1). The result does not depend on the
 * number of threads. Examples are cut to `max_length` tokens (0: no limit); a notice gives the
 * number of cut ones. Replaces the tokens of an earlier call. Errors: those of the tokenizer,
 * MEMORY; the data set is then unchanged. */
CDL_API CDL_MUST_USE cdl_status cdl_dataset_tokenize(cdl_dataset *dataset,
                                                     const cdl_tokenizer *tokenizer,
                                                     size_t max_length, unsigned threads);
/* Returns a view that is borrowed until the next cdl_dataset_tokenize; all zero before the
 * first. */
CDL_API cdl_tokens cdl_dataset_tokens(const cdl_dataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
