#include "model/tokenizer/specials.h"

#include <stdlib.h>

#include "base/json.h"

/* ---- Tokens in files ---- */

static tokenizer_named_token as_text(const char *text)
{
  return (tokenizer_named_token){.text = text, .bytes = text != NULL ? strlen(text) : 0};
}

/* AddedToken(**object): other keys are ignored, and a missing or null "content" is empty.
 * `special`: it is special, whatever the object says. */
static cdl_status made_of(const char *path, const char *key, const json_t *object, bool special,
                          tokenizer_named_token *token)
{
  const json_t *content = json_object_get(object, "content");
  if (content != NULL && !json_is_null(content) && !json_is_string(content))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a token with a text \"content\"", path,
                    key);
  *token = as_text(json_is_string(content) ? json_string_value(content) : "");
  token->made = true;
  bool normalized = false;
  token->special = special;
  const struct {
    const char *name;
    bool *flag;
  } flags[] = {{"special", &token->special},
               {"single_word", &token->single_word},
               {"lstrip", &token->lstrip},
               {"rstrip", &token->rstrip},
               {"normalized", &normalized}};
  for (size_t i = special ? 1 : 0; i < sizeof flags / sizeof flags[0]; i++) {
    const json_t *value = json_object_get(object, flags[i].name);
    if (value != NULL && !json_is_boolean(value))
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: \"%s\": token \"%.64s\": \"%s\": expected true or false", path, key,
                      token->text, flags[i].name);
    *flags[i].flag = json_is_true(value);
  }
  token->normalized = json_object_get(object, "normalized") == NULL
                          ? TOKENIZER_NORMALIZED_UNLESS_SPECIAL
                          : (normalized ? TOKENIZER_NORMALIZED : TOKENIZER_NOT_NORMALIZED);
  return CDL_STATUS_OK;
}

static bool is_made(const json_t *object)
{
  const char *type = json_string_value(json_object_get(object, "__type"));
  return type != NULL && strcmp(type, "AddedToken") == 0;
}

/* A string, or a token with flags: an object in special_tokens_map.json, or an object in
 * tokenizer_config.json that says that it is one. */
static cdl_status token_of(const char *path, const char *key, const json_t *value, bool in_map,
                           tokenizer_named_token *token)
{
  if (json_is_string(value)) {
    *token = as_text(json_string_value(value));
    return CDL_STATUS_OK;
  }
  if (!json_is_object(value) || !(in_map || is_made(value)))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a text%s", path, key,
                    in_map ? ", or an object with \"content\""
                           : ", or an object with \"__type\": \"AddedToken\" and \"content\"");
  return made_of(path, key, value, in_map, token);
}

static bool is_normalized(const tokenizer_named_token *token)
{
  return token->normalized == TOKENIZER_NORMALIZED_UNLESS_SPECIAL
             ? !token->special
             : token->normalized == TOKENIZER_NORMALIZED;
}

static bool same_text(const tokenizer_named_token *a, const tokenizer_named_token *b)
{
  return a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0;
}

/* The text and one character for the flags, with a NUL: equal for equal tokens. */
static cdl_status with_flags(const tokenizer_named_token *token, base_bytes *key)
{
  const char flags[2] = {(char)('@' + token->special + 2 * token->single_word + 4 * token->lstrip +
                                8 * token->rstrip + 16 * is_normalized(token)),
                         '\0'};
  key->count = 0;
  CDL_TRY(base_bytes_append(key, token->text, token->bytes));
  return base_bytes_append(key, flags, sizeof flags);
}

/* ---- Reading ---- */

typedef struct {
  const tokenizer_class *class;
  const tokenizer_settings *settings;
  bool slow, turned; /* turned: the slow class gets what the fast one has made */
  tokenizer_special_tokens *to;
  tokenizer_named_token *additional, *extra;
  size_t additional_count, extra_count;
  tokenizer_vocabulary told; /* texts named in the settings */
  size_t config_count;       /* number of additional tokens from tokenizer_config.json */
} reading;

static cdl_status append(tokenizer_named_token **list, size_t *count,
                         const tokenizer_named_token *token)
{
  CDL_TRY(base_grow(list, *count + 1, sizeof **list));
  (*list)[(*count)++] = *token;
  return CDL_STATUS_OK;
}

static cdl_status list_token(reading *r, long long id, bool by_text,
                             const tokenizer_named_token *token)
{
  tokenizer_special_tokens *to = r->to;
  if ((to->listed_count & (to->listed_count - 1)) == 0)
    CDL_TRY(base_grow(&to->listed, 2 * to->listed_count + 1, sizeof *to->listed));
  to->listed[to->listed_count] = (tokenizer_listed_token){
      .id = id, .order = to->listed_count, .by_text = by_text, .token = *token};
  to->listed_count++;
  return CDL_STATUS_OK;
}

static cdl_status read_decoder(reading *r)
{
  const char *path = r->settings->config_path, *key;
  json_t *value;
  json_object_foreach(json_object_get(r->settings->config, "added_tokens_decoder"), key, value)
  {
    char *end = NULL;
    const long long id = strtoll(key, &end, 10);
    tokenizer_named_token token;
    if (end == key || *end != '\0')
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: added_tokens_decoder: \"%.64s\": expected an id as the key", path, key);
    if (!json_is_object(value))
      return cdl_fail(CDL_STATUS_DATA, "%s: added_tokens_decoder: \"%s\": expected an object", path,
                      key);
    CDL_TRY(made_of(path, "added_tokens_decoder", value, false, &token));
    CDL_TRY(list_token(r, id, true, &token));
  }
  return CDL_STATUS_OK;
}

/* Keeps the first place of a text. */
static cdl_status note(tokenizer_vocabulary *texts, const char *text, size_t bytes, size_t place)
{
  return tokenizer_vocabulary_find(texts, text, bytes) >= 0
             ? CDL_STATUS_OK
             : tokenizer_vocabulary_add(texts, text, bytes, (int64_t)place);
}

/* A token of added_tokens.json is special if the settings name it so, except by objects in
 * tokenizer_config.json, which are not tokens yet; the class's own names come later. */
static cdl_status note_told(reading *r)
{
  for (tokenizer_token_role role = 0; role < TOKENIZER_ROLE_COUNT; role++) {
    const char *path;
    const tokenizer_named_token *token = &r->to->roles[role];
    (void)tokenizer_setting(r->settings, tokenizer_token_role_key(role), &path);
    if (token->text != NULL && (!token->made || path == r->settings->map_path))
      CDL_TRY(note(&r->told, token->text, token->bytes, r->told.count));
  }
  for (size_t i = 0; i < r->additional_count; i++)
    if (!r->additional[i].made || i >= r->config_count)
      CDL_TRY(note(&r->told, r->additional[i].text, r->additional[i].bytes, r->told.count));
  return CDL_STATUS_OK;
}

static cdl_status read_added(reading *r)
{
  const char *path = r->settings->added_path, *text;
  json_t *id;
  CDL_TRY(note_told(r));
  json_object_foreach(r->settings->added, text, id)
  {
    if (!json_is_integer(id))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%.64s\": expected an id as the value", path, text);
    tokenizer_named_token token = as_text(text);
    token.made = true;
    token.special = tokenizer_vocabulary_find(&r->told, text, token.bytes) >= 0;
    token.normalized = token.special ? TOKENIZER_NOT_NORMALIZED : TOKENIZER_NORMALIZED;
    CDL_TRY(list_token(r, json_integer_value(id), false, &token));
  }
  return CDL_STATUS_OK;
}

static cdl_status read_json_tokens(reading *r, const char *path, const json_t *root)
{
  const json_t *entry;
  size_t index;
  json_array_foreach(json_object_get(root, "added_tokens"), index, entry)
  {
    const json_t *id = json_object_get(entry, "id");
    tokenizer_named_token token;
    if (!json_is_integer(id))
      return cdl_fail(CDL_STATUS_DATA, "%s: added_tokens: entry %zu: expected an \"id\"", path,
                      index + 1);
    CDL_TRY(made_of(path, "added_tokens", entry, false, &token));
    CDL_TRY(list_token(r, json_integer_value(id), true, &token));
  }
  return CDL_STATUS_OK;
}

static int by_id(const void *left, const void *right)
{
  const tokenizer_listed_token *a = left, *b = right;
  if (a->id != b->id)
    return a->id < b->id ? -1 : 1;
  return a->order < b->order ? -1 : 1;
}

/* Sorts by id; of several with one id, keeps the last. */
static cdl_status sort_listed(tokenizer_special_tokens *to)
{
  if (to->listed_count == 0)
    return CDL_STATUS_OK;
  qsort(to->listed, to->listed_count, sizeof *to->listed, by_id);
  size_t kept = 0;
  for (size_t i = 1; i < to->listed_count; i++) {
    kept += to->listed[i].id != to->listed[kept].id;
    to->listed[kept] = to->listed[i];
  }
  to->listed_count = kept + 1;
  for (size_t i = 0; i < to->listed_count; i++) {
    const tokenizer_named_token *token = &to->listed[i].token;
    CDL_TRY(note(&to->listed_names, token->text, token->bytes, i));
    CDL_TRY(with_flags(token, &to->key));
    CDL_TRY(note(&to->listed_tokens, (const char *)to->key.data, to->key.count - 1, i));
  }
  return CDL_STATUS_OK;
}

static cdl_status read_roles(reading *r)
{
  for (tokenizer_token_role role = 0; role < TOKENIZER_ROLE_COUNT; role++) {
    const char *path, *key = tokenizer_token_role_key(role);
    const json_t *value = tokenizer_setting(r->settings, key, &path);
    if (value != NULL && !json_is_null(value))
      CDL_TRY(token_of(path, key, value, path == r->settings->map_path, &r->to->roles[role]));
  }
  return CDL_STATUS_OK;
}

/* From both files, tokenizer_config.json's first. */
static cdl_status read_additional(reading *r)
{
  static const char key[] = "additional_special_tokens";
  const bool newer = tokenizer_settings_newer(r->settings);
  const json_t *lists[] = {json_object_get(r->settings->config, key),
                           newer ? NULL : json_object_get(r->settings->map, key)};
  if (lists[1] != NULL && !json_is_array(lists[1]))
    lists[0] = NULL; /* null there means none at all */
  for (size_t i = 0; i < 2; i++) {
    const char *path = i == 0 ? r->settings->config_path : r->settings->map_path;
    if (lists[i] != NULL && !json_is_null(lists[i]) && !json_is_array(lists[i]))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list", path, key);
    const json_t *value;
    size_t index;
    json_array_foreach(lists[i], index, value)
    {
      tokenizer_named_token token;
      CDL_TRY(token_of(path, key, value, i == 1, &token));
      CDL_TRY(append(&r->additional, &r->additional_count, &token));
      r->config_count += i == 0;
    }
  }
  return CDL_STATUS_OK;
}

/* Uses the class's own if the settings have none. */
static cdl_status fill_additional(reading *r)
{
  const char *path;
  if (tokenizer_setting(r->settings, "additional_special_tokens", &path) != NULL)
    return CDL_STATUS_OK;
  for (size_t i = 0; r->class->additional[i] != NULL; i++) {
    const tokenizer_named_token token = as_text(r->class->additional[i]);
    CDL_TRY(append(&r->additional, &r->additional_count, &token));
  }
  return CDL_STATUS_OK;
}

/* If a listed token has the text of a string, the string means that token. */
static void take_listed(const reading *r, tokenizer_named_token *token)
{
  const tokenizer_listed_token *found = NULL;
  for (size_t i = 0; i < r->to->listed_count; i++) {
    const tokenizer_listed_token *listed = &r->to->listed[i];
    if (listed->by_text && same_text(&listed->token, token) &&
        (found == NULL || listed->order > found->order))
      found = listed;
  }
  if (found != NULL)
    *token = found->token;
}

static void make(const reading *r, size_t role)
{
  const bool mask = role == TOKENIZER_ROLE_MASK;
  const tokenizer_token_form *fast = mask ? &r->class->fast.mask : &r->class->fast.others,
                             *slow = mask ? &r->class->slow.mask : &r->class->slow.others;
  const tokenizer_token_form *form = r->slow && !(r->turned && fast->made) ? slow : fast;
  tokenizer_named_token *token = &r->to->roles[role];
  if (token->text == NULL || token->made || !form->made)
    return;
  token->made = true;
  token->lstrip = form->lstrip;
  token->special = form->special;
  token->normalized = (int)form->normalized;
}

/* Uses the class's names for roles without a setting. PreTrainedTokenizerFast, which has no names,
 * takes the padding token from the stored padding of tokenizer.json. */
static void fill_roles(const reading *r, const json_t *root)
{
  for (tokenizer_token_role role = 0; role < TOKENIZER_ROLE_COUNT; role++) {
    const char *path;
    tokenizer_named_token *token = &r->to->roles[role];
    if (token->text != NULL)
      take_listed(r, token);
    else if (tokenizer_setting(r->settings, tokenizer_token_role_key(role), &path) == NULL)
      *token = as_text(r->class->special[role]);
    if (token->text == NULL && role == TOKENIZER_ROLE_PAD && r->class->prefix &&
        tokenizer_setting(r->settings, tokenizer_token_role_key(role), &path) == NULL)
      *token = as_text(
          json_string_value(json_object_get(json_object_get(root, "padding"), "pad_token")));
    make(r, role);
  }
}

static bool role_of(const char *key, size_t *role)
{
  for (*role = 0; *role < TOKENIZER_ROLE_COUNT; ++*role)
    if (strcmp(tokenizer_token_role_key((tokenizer_token_role)*role), key) == 0)
      return true;
  return false;
}

/* Reads the user's names; a name that is a role's replaces it. */
static cdl_status read_extra(reading *r)
{
  static const char key[] = "extra_special_tokens", additional[] = "additional_special_tokens";
  const char *path, *name;
  json_t *object = (json_t *)(uintptr_t)tokenizer_setting(r->settings, key, &path), *value;
  if (object != NULL && (!json_is_object(object) || is_made(object)))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected an object of names and tokens", path,
                    key);
  json_object_foreach(object, name, value)
  {
    tokenizer_named_token token;
    size_t role;
    CDL_TRY(token_of(path, key, value, false, &token));
    if (role_of(name, &role))
      r->to->roles[role] = token;
    else if (strcmp(name, additional) != 0)
      CDL_TRY(append(&r->extra, &r->extra_count, &token));
    else {
      r->additional_count = 0;
      CDL_TRY(append(&r->additional, &r->additional_count, &token));
    }
  }
  return CDL_STATUS_OK;
}

/* The slow class's tokens have been copied, and a copy states every flag. */
static void settle(const reading *r, tokenizer_named_token *token)
{
  if (r->slow && token->text != NULL && token->made)
    token->normalized = is_normalized(token) ? TOKENIZER_NORMALIZED : TOKENIZER_NOT_NORMALIZED;
}

/* Names each text once, but those of additional_special_tokens as often as they occur. */
static cdl_status name(const reading *r, const tokenizer_named_token *tokens, size_t count,
                       bool once)
{
  tokenizer_special_tokens *to = r->to;
  const size_t before = to->named_count;
  for (size_t i = 0; i < count; i++) {
    tokenizer_named_token token = tokens[i];
    if (token.text == NULL || (!token.made && token.bytes == 0))
      continue;
    settle(r, &token);
    const int32_t place = tokenizer_vocabulary_find(&to->names, token.text, token.bytes);
    if (place >= 0 && (once || (size_t)place < before))
      continue;
    if (place < 0)
      CDL_TRY(
          tokenizer_vocabulary_add(&to->names, token.text, token.bytes, (int64_t)to->named_count));
    CDL_TRY(append(&to->named, &to->named_count, &token));
  }
  return CDL_STATUS_OK;
}

static cdl_status read_all(reading *r, const char *json_path, const json_t *root)
{
  CDL_TRY(read_roles(r));
  CDL_TRY(read_additional(r));
  if (tokenizer_settings_newer(r->settings)) {
    CDL_TRY(read_decoder(r));
  } else {
    CDL_TRY(read_added(r));
    CDL_TRY(read_json_tokens(r, json_path, root));
  }
  fill_roles(r, r->slow ? NULL : root);
  CDL_TRY(fill_additional(r));
  CDL_TRY(sort_listed(r->to));
  CDL_TRY(read_extra(r));
  CDL_TRY(name(r, r->to->roles, TOKENIZER_ROLE_COUNT, true));
  CDL_TRY(name(r, r->additional, r->additional_count, false));
  return name(r, r->extra, r->extra_count, true);
}

cdl_status tokenizer_special_tokens_read(const tokenizer_class *class,
                                         const tokenizer_settings *settings, bool slow,
                                         const char *json_path, const json_t *root,
                                         tokenizer_special_tokens *tokens)
{
  *tokens = (tokenizer_special_tokens){.path = settings->config_path};
  reading r = {.class = class,
               .settings = settings,
               .slow = slow,
               .turned = slow && root != NULL,
               .to = tokens};
  const cdl_status status = read_all(&r, json_path, root);
  free(r.additional);
  free(r.extra);
  tokenizer_vocabulary_release(&r.told);
  return status;
}

void tokenizer_special_tokens_release(tokenizer_special_tokens *tokens)
{
  free(tokens->listed);
  free(tokens->named);
  tokenizer_vocabulary_release(&tokens->names);
  tokenizer_vocabulary_release(&tokens->listed_names);
  tokenizer_vocabulary_release(&tokens->listed_tokens);
  free(tokens->key.data);
  *tokens = (tokenizer_special_tokens){0};
}

/* ---- Adding ---- */

static tokenizer_added_token added_token(const tokenizer_named_token *named, bool special)
{
  tokenizer_named_token settled = *named;
  settled.special = special;
  return (tokenizer_added_token){.content = (char *)(uintptr_t)settled.text,
                                 .bytes = settled.bytes,
                                 .special = special,
                                 .normalized = is_normalized(&settled),
                                 .single_word = settled.single_word,
                                 .lstrip = settled.lstrip,
                                 .rstrip = settled.rstrip};
}

/* Returns whether a listed token equals the named one. */
static cdl_status is_listed(tokenizer_special_tokens *tokens, const tokenizer_named_token *token,
                            bool *listed)
{
  *listed = tokenizer_vocabulary_find(&tokens->listed_names, token->text, token->bytes) >= 0;
  if (!*listed || !token->made)
    return CDL_STATUS_OK;
  CDL_TRY(with_flags(token, &tokens->key));
  *listed = tokenizer_vocabulary_find(&tokens->listed_tokens, tokens->key.data,
                                      tokens->key.count - 1) >= 0;
  return CDL_STATUS_OK;
}

typedef struct {
  tokenizer_added_token *tokens; /* `bytes` 0: not to be added */
  tokenizer_vocabulary special;  /* from the texts of special tokens to their first place */
} token_batch;

static cdl_status collect(tokenizer_special_tokens *tokens, const cdl_tokenizer *tokenizer,
                          token_batch *batch)
{
  const size_t count = tokens->listed_count + tokens->named_count;
  batch->tokens = calloc(count + 1, sizeof *batch->tokens);
  if (batch->tokens == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for added tokens");
  for (size_t i = 0; i < count; i++) {
    const bool listed = i < tokens->listed_count;
    const tokenizer_named_token *token =
        listed ? &tokens->listed[i].token : &tokens->named[i - tokens->listed_count];
    const bool named =
        !listed || tokenizer_vocabulary_find(&tokens->names, token->text, token->bytes) >= 0;
    const tokenizer_added_token wanted = added_token(token, token->special || named);
    const tokenizer_added_entry *there =
        tokenizer_added_find(&tokenizer->added, token->text, token->bytes);
    bool passed = false;
    if (!listed)
      CDL_TRY(is_listed(tokens, token, &passed));
    /* `tokenizers` skips tokens that it had before this batch, even if the batch has changed them
     * since. */
    if (passed || (there != NULL &&
                   (!(listed || token->made) || tokenizer_added_same(&there->token, &wanted))))
      continue;
    batch->tokens[i] = wanted;
    if (wanted.special)
      CDL_TRY(note(&batch->special, wanted.content, wanted.bytes, i));
  }
  return CDL_STATUS_OK;
}

/* If a special token of the same text is still to come, it is added first: it keeps its place in
 * the search, although the other's flags come in between. */
static cdl_status add_one(const token_batch *batch, size_t place, cdl_tokenizer *tokenizer)
{
  const tokenizer_added_token *token = &batch->tokens[place];
  if (token->bytes == 0)
    return CDL_STATUS_OK;
  const int32_t special = tokenizer_vocabulary_find(&batch->special, token->content, token->bytes);
  if (special > (int32_t)place)
    CDL_TRY(tokenizer_added_add(tokenizer, &batch->tokens[special], -1));
  return tokenizer_added_add(tokenizer, token, -1);
}

cdl_status tokenizer_special_tokens_add(tokenizer_special_tokens *tokens, cdl_tokenizer *tokenizer)
{
  token_batch batch = {0};
  cdl_status status = collect(tokens, tokenizer, &batch);
  for (size_t i = 0; status == CDL_STATUS_OK && i < tokens->listed_count + tokens->named_count; i++)
    status = cdl_context(add_one(&batch, i, tokenizer), "%s", tokens->path);
  free(batch.tokens);
  tokenizer_vocabulary_release(&batch.special);
  return status;
}
