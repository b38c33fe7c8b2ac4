/* Transformers' tokenizer classes: how each reads a folder's files. One row per class, according to
 * the sources of Transformers 4.57 (tokenization_*_fast.py, tokenization_*.py,
 * convert_slow_tokenizer.py).
 *
 * AutoTokenizer loads the class that tokenizer_config.json names, else the one that config.json
 * names, else the one of config.json's model_type, each with "Fast" after its name. That class
 * reads tokenizer.json and then replaces parts of it by its settings or its own defaults:
 *   - a normalizer that is a BertNormalizer, not one within a Sequence, gets do_lower_case (true),
 *     strip_accents (null) and tokenize_chinese_chars (true) if one of them differs from it
 *     (`lowers`);
 *   - a pre-tokenizer that is a ByteLevel, not one within a Sequence, gets add_prefix_space
 *     (false);
 *   - special tokens that the file lacks, or has with other flags, are added (specials.h).
 * The post-processor stays as it is: cls_token and sep_token do not change it. A missing key means
 * the default. A value of another type is accepted if Python's comparison finds nothing to replace,
 * and is an error otherwise.
 * Without a tokenizer.json the slow class reads its own files and is converted. */
#ifndef CONDLORA_MODEL_TOKENIZER_CLASS_H
#define CONDLORA_MODEL_TOKENIZER_CLASS_H

#include "model/tokenizer/parts.h"
#include "model/tokenizer/settings.h"

/* Special tokens by role, in the order in which Transformers adds them. */
typedef enum {
  TOKENIZER_ROLE_BOS,
  TOKENIZER_ROLE_EOS,
  TOKENIZER_ROLE_UNK,
  TOKENIZER_ROLE_SEP,
  TOKENIZER_ROLE_PAD,
  TOKENIZER_ROLE_CLS,
  TOKENIZER_ROLE_MASK,
  TOKENIZER_ROLE_COUNT
} tokenizer_token_role;

/* For example "cls_token". */
const char *tokenizer_token_role_key(tokenizer_token_role role);

/* How a class treats a special token that is given as a string. */
typedef struct {
  bool made; /* it becomes a token with flags; otherwise it stays a string */
  bool lstrip, special;
  enum {
    TOKENIZER_NORMALIZED_UNLESS_SPECIAL,
    TOKENIZER_NORMALIZED,
    TOKENIZER_NOT_NORMALIZED
  } normalized;
} tokenizer_token_form;

typedef struct {
  tokenizer_token_form mask, others;
} tokenizer_token_forms;

/* The files of the slow class. */
typedef enum {
  TOKENIZER_FILES_NONE,
  TOKENIZER_FILES_LINES,        /* vocab.txt */
  TOKENIZER_FILES_MERGES,       /* vocab.json and merges.txt */
  TOKENIZER_FILES_SENTENCEPIECE /* sentencepiece.bpe.model */
} tokenizer_vocabulary_files;

typedef struct {
  const char *name;       /* without "Fast" */
  const char *model_type; /* in config.json; NULL: the class must be named */
  tokenizer_vocabulary_files files;
  const char *special[TOKENIZER_ROLE_COUNT];
  const char *additional[4];        /* the class's additional_special_tokens */
  tokenizer_token_forms fast, slow; /* the slow class passes its own forms to the fast one */
  /* do_lower_case and strip_accents replace the normalizer's; with `ideographs` also
   * tokenize_chinese_chars */
  bool lowers, ideographs;
  bool processor_flags; /* add_prefix_space and trim_offsets replace the post-processor's */
  bool prefix;          /* add_prefix_space replaces the pre-tokenizer's */
  /* if converted: two separators between the texts of a pair; the second text has type 1 */
  bool doubled, second_type;
  /* if converted from SentencePiece: fairseq's five pieces replace the file's first */
  bool offset_by_four;
  bool types; /* the model gets token types */
} tokenizer_class;

/* *class is NULL if neither file names one. Errors: UNSUPPORTED for a class that is not in the
 * table. */
CDL_MUST_USE cdl_status tokenizer_class_find(const char *folder, const tokenizer_settings *settings,
                                             const tokenizer_class **class);
/* Returns the class for such files if nothing names one; for tokenizer.json (NONE), what
 * `tokenizers` itself does. */
const tokenizer_class *tokenizer_class_usual(tokenizer_vocabulary_files files);

/* Reads the settings that are not special tokens into `tokenizer`, and refuses those that would
 * need something unsupported. `root` is tokenizer.json's, or NULL if the slow class reads its
 * files. */
CDL_MUST_USE cdl_status tokenizer_class_settings(const tokenizer_class *class,
                                                 const tokenizer_settings *settings,
                                                 const json_t *root, cdl_tokenizer *tokenizer);
/* Writes the class's settings into the pre-tokenizer of tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_class_prefix(const tokenizer_class *class,
                                               const tokenizer_settings *settings, const char *path,
                                               json_t *root);
/* Writes the class's settings into a BertNormalizer, after the added tokens are known. `path` is
 * the file that it comes from. */
CDL_MUST_USE cdl_status tokenizer_class_normalizer(const tokenizer_class *class,
                                                   const tokenizer_settings *settings,
                                                   tokenizer_bert_normalizer *normalizer);
/* Applies the settings as the slow class does if there is no tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_class_slow(const tokenizer_class *class,
                                             const tokenizer_settings *settings,
                                             cdl_tokenizer *tokenizer);

#endif
