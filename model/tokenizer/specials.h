/* Which tokens Transformers adds to a tokenizer, and with which flags, from the settings, the class's own names and
 * tokenizer.json: first the listed ones (added_tokens_decoder; in the older form added_tokens.json and the "added_tokens"
 * of tokenizer.json) in order of id, then those by role, additional_special_tokens and extra_special_tokens.
 *   - A text that is among the added tokens is left as it is; a token with flags is added again unless a listed one is
 *     its equal, flag for flag, and then has the new flags.
 *   - A text of the settings that a listed token has stands for that token.
 *   - Whoever has the name of a special token becomes one. Ids are those that `tokenizers` gives, whatever the list says.
 * Where a token has no flag "normalized", it has the opposite of "special". */
#ifndef CONDLORA_MODEL_TOKENIZER_SPECIALS_H
#define CONDLORA_MODEL_TOKENIZER_SPECIALS_H

#include "model/tokenizer/class.h"

/* Borrows its text from the settings, the class or tokenizer.json. */
typedef struct {
  const char *text; /* NULL: none */
  size_t bytes;
  bool made; /* a token with flags; else a mere text */
  bool special, single_word, lstrip, rstrip;
  int normalized; /* as tokenizer_token_form's */
} tokenizer_named_token;

typedef struct {
  long long id;
  size_t order;
  bool by_text; /* texts of the settings that are equal stand for it */
  tokenizer_named_token token;
} tokenizer_listed_token;

typedef struct {
  const char *path; /* for messages */
  tokenizer_named_token roles[TOKENIZER_ROLE_COUNT];
  tokenizer_listed_token *listed; /* in order of id */
  size_t listed_count;
  tokenizer_named_token *named; /* in the order in which they are added, the roles among them */
  size_t named_count;
  tokenizer_vocabulary names, listed_names; /* their texts, to places in `named` and `listed` */
  tokenizer_vocabulary listed_tokens;       /* listed texts with a character for their flags */
  base_bytes key;
} tokenizer_special_tokens;

/* `slow`: the slow class reads the files. `root` is tokenizer.json's, or NULL, and outlives the result, as the settings
 * do. To be released also after an error. */
CDL_MUST_USE cdl_status tokenizer_special_tokens_read(const tokenizer_class *class,
                                                      const tokenizer_settings *settings, bool slow,
                                                      const char *json_path, const json_t *root,
                                                      tokenizer_special_tokens *tokens);
CDL_MUST_USE cdl_status tokenizer_special_tokens_add(tokenizer_special_tokens *tokens,
                                                     cdl_tokenizer *tokenizer);
void tokenizer_special_tokens_release(tokenizer_special_tokens *tokens);

#endif
