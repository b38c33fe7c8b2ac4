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
  CDL_ROLE_BOS,
  CDL_ROLE_EOS,
  CDL_ROLE_UNK,
  CDL_ROLE_SEP,
  CDL_ROLE_PAD,
  CDL_ROLE_CLS,
  CDL_ROLE_MASK,
  CDL_ROLE_COUNT
} cdl_token_role;

/* "cls_token" say */
const char *cdl_token_role_key(cdl_token_role role);

/* What a class makes of a special token that was named by its text. */
typedef struct {
  bool made; /* a token with flags; else it stays a text */
  bool lstrip, special;
  enum { CDL_NORMALIZED_UNLESS_SPECIAL, CDL_NORMALIZED, CDL_NOT_NORMALIZED } normalized;
} cdl_token_form;

typedef struct {
  cdl_token_form mask, others;
} cdl_token_forms;

/* The files of the slow class. */
typedef enum {
  CDL_FILES_NONE,
  CDL_FILES_LINES,        /* vocab.txt */
  CDL_FILES_MERGES,       /* vocab.json and merges.txt */
  CDL_FILES_SENTENCEPIECE /* sentencepiece.bpe.model */
} cdl_vocabulary_files;

typedef struct {
  const char *name;       /* without "Fast" */
  const char *model_type; /* of config.json; NULL: has to be named */
  cdl_vocabulary_files files;
  const char *special[CDL_ROLE_COUNT];
  const char *additional[4];  /* additional_special_tokens */
  cdl_token_forms fast, slow; /* the slow class hands its own to the fast one */
  bool lowers,
      ideographs; /* do_lower_case and strip_accents replace the normalizer's; tokenize_chinese_chars too */
  bool processor_flags; /* add_prefix_space and trim_offsets replace the post-processor's */
  bool prefix;          /* add_prefix_space replaces the pre-tokenizer's */
  bool doubled,
      second_type; /* converted: two separators between the texts of a pair; its second text is of type 1 */
  bool
      offset_by_four; /* converted from SentencePiece: fairseq's five pieces for the file's first */
  bool types;         /* the model is given token types */
} cdl_tokenizer_class;

/* *class NULL: neither file names one. Errors: UNSUPPORTED, a class that is not in the table. */
CDL_MUST_USE cdl_status cdl_tokenizer_class_find(const char *folder,
                                                 const cdl_tokenizer_settings *settings,
                                                 const cdl_tokenizer_class **class);
/* The class that reads such files and nothing names: tokenizer.json (NONE) as `tokenizers` itself reads it. */
const cdl_tokenizer_class *cdl_tokenizer_class_usual(cdl_vocabulary_files files);

/* The settings that are no special tokens, into `tokenizer`; refuses those that would have to do something that is not
 * done here. `root` is tokenizer.json's, NULL where the slow class reads its files. */
CDL_MUST_USE cdl_status cdl_tokenizer_class_settings(const cdl_tokenizer_class *class,
                                                     const cdl_tokenizer_settings *settings,
                                                     const json_t *root, cdl_tokenizer *tokenizer);
/* What the class writes into the pre-tokenizer of tokenizer.json. */
CDL_MUST_USE cdl_status cdl_tokenizer_class_prefix(const cdl_tokenizer_class *class,
                                                   const cdl_tokenizer_settings *settings,
                                                   const char *path, json_t *root);
/* What the class writes into a BertNormalizer, once the added tokens are there. `path`: of the file that it comes from. */
CDL_MUST_USE cdl_status cdl_tokenizer_class_normalizer(const cdl_tokenizer_class *class,
                                                       const cdl_tokenizer_settings *settings,
                                                       cdl_bert_normalizer *normalizer);
/* What the slow class makes of the settings where there is no tokenizer.json. */
CDL_MUST_USE cdl_status cdl_tokenizer_class_slow(const cdl_tokenizer_class *class,
                                                 const cdl_tokenizer_settings *settings,
                                                 cdl_tokenizer *tokenizer);

#endif
