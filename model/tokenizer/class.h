/* Transformers' classes of tokenizers: what each makes of a folder's files. One row a class, read off the sources of
 * Transformers 4.57 (tokenization_*_fast.py, tokenization_*.py, convert_slow_tokenizer.py).
 *
 * AutoTokenizer loads the class that tokenizer_config.json names, else the one that config.json names, else the one of
 * config.json's model_type, each with "Fast" behind its name. That class reads tokenizer.json and then puts what it was
 * told, or its own defaults, in place of what the file says:
 *   - a normalizer that is a BertNormalizer, not one within a Sequence, gets do_lower_case (true), strip_accents (null)
 *     and tokenize_chinese_chars (true) where one of them differs from it (`lowers`);
 *   - a pre-tokenizer that is a ByteLevel, not one within a Sequence, gets add_prefix_space (false);
 *   - special tokens that the file lacks, or has with other flags, are added (tokenizer_specials.h).
 * The post-processor stays as it is: cls_token and sep_token do not change it. A missing key means the default; a value
 * of another type is taken where Python's comparison finds nothing to replace, and else an error.
 * Where there is no tokenizer.json the slow class reads its own files and is converted. */
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

/* "cls_token" say */
const char *tokenizer_token_role_key(tokenizer_token_role role);

/* What a class makes of a special token that was named by its text. */
typedef struct {
  bool made; /* a token with flags; else it stays a text */
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
  const char *model_type; /* of config.json; NULL: has to be named */
  tokenizer_vocabulary_files files;
  const char *special[TOKENIZER_ROLE_COUNT];
  const char *additional[4];        /* additional_special_tokens */
  tokenizer_token_forms fast, slow; /* the slow class hands its own to the fast one */
  bool lowers,
      ideographs; /* do_lower_case and strip_accents replace the normalizer's; tokenize_chinese_chars too */
  bool processor_flags; /* add_prefix_space and trim_offsets replace the post-processor's */
  bool prefix;          /* add_prefix_space replaces the pre-tokenizer's */
  bool doubled,
      second_type; /* converted: two separators between the texts of a pair; its second text is of type 1 */
  bool
      offset_by_four; /* converted from SentencePiece: fairseq's five pieces for the file's first */
  bool types;         /* the model is given token types */
} tokenizer_class;

/* *class NULL: neither file names one. Errors: UNSUPPORTED, a class that is not in the table. */
CDL_MUST_USE cdl_status tokenizer_class_find(const char *folder, const tokenizer_settings *settings,
                                             const tokenizer_class **class);
/* The class that reads such files and nothing names: tokenizer.json (NONE) as `tokenizers` itself reads it. */
const tokenizer_class *tokenizer_class_usual(tokenizer_vocabulary_files files);

/* The settings that are no special tokens, into `tokenizer`; refuses those that would have to do something that is not
 * done here. `root` is tokenizer.json's, NULL where the slow class reads its files. */
CDL_MUST_USE cdl_status tokenizer_class_settings(const tokenizer_class *class,
                                                 const tokenizer_settings *settings,
                                                 const json_t *root, cdl_tokenizer *tokenizer);
/* What the class writes into the pre-tokenizer of tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_class_prefix(const tokenizer_class *class,
                                               const tokenizer_settings *settings, const char *path,
                                               json_t *root);
/* What the class writes into a BertNormalizer, once the added tokens are there. `path`: of the file that it comes from. */
CDL_MUST_USE cdl_status tokenizer_class_normalizer(const tokenizer_class *class,
                                                   const tokenizer_settings *settings,
                                                   tokenizer_bert_normalizer *normalizer);
/* What the slow class makes of the settings where there is no tokenizer.json. */
CDL_MUST_USE cdl_status tokenizer_class_slow(const tokenizer_class *class,
                                             const tokenizer_settings *settings,
                                             cdl_tokenizer *tokenizer);

#endif
