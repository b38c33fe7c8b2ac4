/* The tokens that Transformers adds to a tokenizer, and their flags, from the settings, the class's
 * own names and tokenizer.json. First come the listed ones (added_tokens_decoder; in the older form
 * added_tokens.json and the "added_tokens" of tokenizer.json) in order of id, then those by role,
 * additional_special_tokens and extra_special_tokens.
 *   - A string that is among the added tokens is left as it is. A token with flags is added again
 *     and gets the new flags, unless a listed one equals it, flag for flag.
 *   - If the settings have a string and a listed token has that text, the string means that token.
 *   - A token with the name of a special token becomes one. Ids are those that `tokenizers` gives,
 *     whatever the list says.
 * A token without the flag "normalized" has the opposite of "special". */
#ifndef CONDLORA_MODEL_TOKENIZER_SPECIALS_H
#define CONDLORA_MODEL_TOKENIZER_SPECIALS_H

#include "model/tokenizer/class.h"

/* Borrows its text from the settings, the class or tokenizer.json. */
typedef struct {
  const char *text; /* NULL: none */
  size_t bytes;
  bool made; /* a token with flags; otherwise a string */
  bool special, single_word, lstrip, rstrip;
  int normalized; /* as in tokenizer_token_form */
} tokenizer_named_token;

typedef struct {
  long long id;
  size_t order;
  bool by_text; /* equal strings in the settings mean it */
  tokenizer_named_token token;
} tokenizer_listed_token;

typedef struct {
  const char *path; /* for messages */
  tokenizer_named_token roles[TOKENIZER_ROLE_COUNT];
  tokenizer_listed_token *listed; /* in order of id */
  size_t listed_count;
  tokenizer_named_token *named; /* in the order in which they are added, including the roles */
  size_t named_count;
  tokenizer_vocabulary names, listed_names; /* from their texts to places in `named` and `listed` */
  tokenizer_vocabulary listed_tokens;       /* listed texts with a character for their flags */
  base_bytes key;
} tokenizer_special_tokens;

/* `slow`: the slow class reads the files. `root` is tokenizer.json's, or NULL. `root` and the
 * settings must outlive the result. Release the result even after an error. */
CDL_MUST_USE cdl_status tokenizer_special_tokens_read(const tokenizer_class *class,
                                                      const tokenizer_settings *settings, bool slow,
                                                      const char *json_path, const json_t *root,
                                                      tokenizer_special_tokens *tokens);
CDL_MUST_USE cdl_status tokenizer_special_tokens_add(tokenizer_special_tokens *tokens,
                                                     cdl_tokenizer *tokenizer);
void tokenizer_special_tokens_release(tokenizer_special_tokens *tokens);

#endif
