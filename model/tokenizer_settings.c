#include <stdlib.h>

#include "model/file.h"
#include "model/json.h"
#include "model/tokenizer_parts.h"

/* ---- Reading ---- */

static cdl_status read_if_there(const char *folder, const char *name, char **path, json_t **object)
{
  *path = cdl_path_join(folder, name);
  if (*path == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for a path");
  return cdl_file_exists(*path) ? cdl_json_read(*path, object) : CDL_OK;
}

cdl_status cdl_tokenizer_settings_read(const char *folder, cdl_tokenizer_settings *settings)
{
  CDL_TRY(
      read_if_there(folder, "tokenizer_config.json", &settings->config_path, &settings->config));
  CDL_TRY(read_if_there(folder, "special_tokens_map.json", &settings->map_path, &settings->map));
  CDL_TRY(read_if_there(folder, "added_tokens.json", &settings->added_path, &settings->added));
  const json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
  if (decoder != NULL && !json_is_object(decoder))
    return cdl_fail(CDL_DATA, "%s: \"added_tokens_decoder\": expected an object",
                    settings->config_path);
  return CDL_OK;
}

void cdl_tokenizer_settings_release(cdl_tokenizer_settings *settings)
{
  free(settings->config_path);
  free(settings->map_path);
  free(settings->added_path);
  json_decref(settings->config);
  json_decref(settings->map);
  json_decref(settings->added);
  *settings = (cdl_tokenizer_settings){0};
}

/* ---- Special tokens by role ---- */

/* In the order in which Transformers adds them. */
static const struct {
  const char *key, *bert, *roberta;
} roles[] = {
    {"bos_token", NULL, "<s>"},         {"eos_token", NULL, "</s>"},
    {"unk_token", "[UNK]", "<unk>"},    {"sep_token", "[SEP]", "</s>"},
    {"pad_token", "[PAD]", "<pad>"},    {"cls_token", "[CLS]", "<s>"},
    {"mask_token", "[MASK]", "<mask>"},
};

enum { ROLES = sizeof roles / sizeof roles[0] };

/* tokenizer_config.json with added_tokens_decoder is the newer form and makes special_tokens_map.json void. */
static const json_t *value_of(const cdl_tokenizer_settings *settings, const char *key,
                              const char **path)
{
  const bool newer = json_object_get(settings->config, "added_tokens_decoder") != NULL;
  const json_t *value = newer ? NULL : json_object_get(settings->map, key);
  *path = value != NULL ? settings->map_path : settings->config_path;
  return value != NULL ? value : json_object_get(settings->config, key);
}

static cdl_status flag(const char *path, const json_t *object, const char *key, bool *value)
{
  const json_t *found = json_object_get(object, key);
  return found == NULL || json_is_null(found) ? CDL_OK : cdl_json_boolean(path, object, key, value);
}

/* A token as an object with its flags; `special` is the default of that flag. */
static cdl_status token_object(const char *path, const char *key, const json_t *object,
                               bool special, cdl_added_token *token)
{
  const json_t *content = json_object_get(object, "content");
  if (!json_is_string(content))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected an object with a text \"content\"", path, key);
  *token = (cdl_added_token){.content = (char *)(uintptr_t)json_string_value(content),
                             .bytes = json_string_length(content),
                             .special = special};
  CDL_TRY(flag(path, object, "special", &token->special));
  token->special = token->special || special;
  token->normalized = !token->special;
  CDL_TRY(flag(path, object, "normalized", &token->normalized));
  CDL_TRY(flag(path, object, "single_word", &token->single_word));
  CDL_TRY(flag(path, object, "lstrip", &token->lstrip));
  return flag(path, object, "rstrip", &token->rstrip);
}

/* The token that `value` names; content NULL when it names none. *plain: as a text, without flags. */
static cdl_status token_of(const char *path, const char *key, const json_t *value, bool in_map,
                           cdl_added_token *token, bool *plain)
{
  *token = (cdl_added_token){.special = true};
  *plain = json_is_string(value);
  if (value == NULL || json_is_null(value))
    return CDL_OK;
  if (*plain) {
    token->content = (char *)(uintptr_t)json_string_value(value);
    token->bytes = json_string_length(value);
    return CDL_OK;
  }
  if (!json_is_object(value))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected a token: a text, or an object with \"content\"",
                    path, key);
  CDL_TRY(token_object(path, key, value, in_map, token));
  token->special = true;
  return CDL_OK;
}

static cdl_status role_token(const cdl_tokenizer_settings *settings, size_t role,
                             const char *fallback, cdl_added_token *token, bool *plain)
{
  const char *path;
  const json_t *value = value_of(settings, roles[role].key, &path);
  CDL_TRY(token_of(path, roles[role].key, value, path == settings->map_path, token, plain));
  if (value == NULL && fallback != NULL) {
    *plain = true;
    token->content = (char *)(uintptr_t)fallback;
    token->bytes = strlen(fallback);
  }
  return CDL_OK;
}

cdl_status cdl_tokenizer_settings_special(const cdl_tokenizer_settings *settings,
                                          cdl_model_kind kind, const char *key, const char **text)
{
  *text = NULL;
  for (size_t role = 0; role < ROLES; role++) {
    if (strcmp(roles[role].key, key) != 0)
      continue;
    cdl_added_token token;
    bool plain;
    CDL_TRY(role_token(settings, role,
                       kind == CDL_MODEL_WORDPIECE ? roles[role].bert : roles[role].roberta, &token,
                       &plain));
    *text = token.content;
  }
  return CDL_OK;
}

/* ---- Adding what the settings name ---- */

typedef struct {
  const cdl_tokenizer_settings *settings;
  cdl_tokenizer *tokenizer;
  bool defaults;
} adding;

static const char *fallback_of(const adding *a, size_t role)
{
  if (!a->defaults)
    return NULL;
  return a->tokenizer->kind == CDL_MODEL_WORDPIECE ? roles[role].bert : roles[role].roberta;
}

static cdl_status is_special_name(const adding *a, const char *content, bool *special)
{
  *special = false;
  cdl_added_token token;
  bool plain;
  for (size_t role = 0; role < ROLES && !*special; role++) {
    CDL_TRY(role_token(a->settings, role, fallback_of(a, role), &token, &plain));
    *special = token.content != NULL && strcmp(token.content, content) == 0;
  }
  const char *path;
  const json_t *more = value_of(a->settings, "additional_special_tokens", &path), *value;
  size_t index;
  json_array_foreach(more, index, value)
  {
    CDL_TRY(token_of(path, "additional_special_tokens", value, false, &token, &plain));
    *special = *special || (token.content != NULL && strcmp(token.content, content) == 0);
  }
  return CDL_OK;
}

typedef struct {
  long long id;
  const char *content;  /* of added_tokens.json */
  const json_t *object; /* of added_tokens_decoder */
} listed_token;

static int by_id(const void *left, const void *right)
{
  const listed_token *a = left, *b = right;
  return a->id < b->id ? -1 : a->id > b->id;
}

static cdl_status add_listed(const adding *a, const char *path, const listed_token *listed)
{
  cdl_added_token token = {.content = (char *)(uintptr_t)listed->content};
  if (listed->object != NULL) {
    CDL_TRY(token_object(path, "added_tokens_decoder", listed->object, false, &token));
  } else {
    token.bytes = strlen(listed->content);
    if (cdl_added_find(&a->tokenizer->added, token.content, token.bytes) != NULL)
      return CDL_OK;
  }
  bool special;
  CDL_TRY(is_special_name(a, token.content, &special));
  if (listed->object == NULL)
    token.normalized = !special;
  token.special = token.special || special;
  return cdl_context(cdl_added_add(a->tokenizer, &token, listed->id), "%s", path);
}

/* added_tokens_decoder of tokenizer_config.json, else added_tokens.json, in order of id. */
cdl_status cdl_tokenizer_settings_add_listed(const cdl_tokenizer_settings *settings,
                                             cdl_tokenizer *tokenizer, bool defaults)
{
  const adding a = {.settings = settings, .tokenizer = tokenizer, .defaults = defaults};
  json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
  json_t *list = decoder != NULL ? decoder : settings->added;
  const char *path = decoder != NULL ? settings->config_path : settings->added_path;
  const size_t size = json_object_size(list);
  if (size == 0)
    return CDL_OK;
  listed_token *listed = calloc(size, sizeof *listed);
  if (listed == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for added tokens");
  cdl_status status = CDL_OK;
  size_t count = 0;
  const char *key;
  json_t *value;
  json_object_foreach(list, key, value)
  {
    char *end = NULL;
    listed_token *next = &listed[count++];
    *next = decoder != NULL ? (listed_token){.id = strtoll(key, &end, 10), .object = value}
                            : (listed_token){.id = json_integer_value(value), .content = key};
    const bool numbered = decoder != NULL ? end != key && *end == '\0' : json_is_integer(value);
    if (!numbered || next->id < 0 || next->id >= CDL_TOKEN_ID_END) {
      status = cdl_fail(CDL_DATA, "%s: \"%s\": expected %s", path, key,
                        decoder != NULL ? "an id as the key" : "an id as the value");
      break;
    }
  }
  if (status == CDL_OK)
    qsort(listed, count, sizeof *listed, by_id);
  for (size_t i = 0; status == CDL_OK && i < count; i++)
    status = add_listed(&a, path, &listed[i]);
  free(listed);
  return status;
}

/* RoBERTa's own class makes tokens with flags of the texts it is given: <mask> takes the spaces before it, the others
 * are looked for only after those. XLM-RoBERTa's looks for all of them in the text as given. */
static cdl_status add_role(const adding *a, const cdl_added_token *named, bool plain, bool is_mask)
{
  cdl_tokenizer *tokenizer = a->tokenizer;
  if (named->content == NULL)
    return CDL_OK;
  cdl_added_token token = *named;
  const bool known = cdl_added_find(&tokenizer->added, token.content, token.bytes) != NULL;
  const bool roberta = tokenizer->kind != CDL_MODEL_WORDPIECE;
  const bool by_roberta = plain && a->defaults && roberta;
  const bool listed = json_object_get(a->settings->config, "added_tokens_decoder") != NULL;
  if (known && (!a->defaults || listed || (plain && !by_roberta)))
    return CDL_OK;
  if (by_roberta) {
    token.lstrip = is_mask;
    token.normalized = !is_mask && tokenizer->kind == CDL_MODEL_BPE;
  } else if (plain && is_mask && roberta) {
    token.lstrip = true;
  }
  return cdl_added_add(tokenizer, &token, -1);
}

cdl_status cdl_tokenizer_settings_add_named(const cdl_tokenizer_settings *settings,
                                            cdl_tokenizer *tokenizer, bool defaults)
{
  const adding a = {.settings = settings, .tokenizer = tokenizer, .defaults = defaults};
  cdl_added_token token;
  bool plain;
  for (size_t role = 0; role < ROLES; role++) {
    CDL_TRY(role_token(settings, role, fallback_of(&a, role), &token, &plain));
    CDL_TRY(cdl_context(add_role(&a, &token, plain, strcmp(roles[role].key, "mask_token") == 0),
                        "%s", settings->config_path));
  }
  const char *path;
  const json_t *more = value_of(settings, "additional_special_tokens", &path), *value;
  if (more != NULL && !json_is_null(more) && !json_is_array(more))
    return cdl_fail(CDL_DATA, "%s: \"additional_special_tokens\": expected a list", path);
  size_t index;
  json_array_foreach(more, index, value)
  {
    CDL_TRY(token_of(path, "additional_special_tokens", value, path == settings->map_path, &token,
                     &plain));
    const bool known = token.content != NULL &&
                       cdl_added_find(&tokenizer->added, token.content, token.bytes) != NULL;
    if (token.content != NULL && !(known && (plain || !defaults)))
      CDL_TRY(cdl_context(cdl_added_add(tokenizer, &token, -1), "%s", path));
  }
  return CDL_OK;
}

/* ---- The rest ---- */

cdl_status cdl_tokenizer_settings_apply(const cdl_tokenizer_settings *settings,
                                        cdl_tokenizer *tokenizer)
{
  cdl_bert_normalizer *normalizer = &tokenizer->normalizer;
  const char *path = settings->config_path;
  if (tokenizer->kind == CDL_MODEL_BPE)
    return flag(path, settings->config, "add_prefix_space", &tokenizer->bpe.add_prefix_space);
  if (!normalizer->present)
    return CDL_OK;
  /* PreTrainedTokenizerFast, unlike BertTokenizer, leaves the normalizer of tokenizer.json as it is. */
  const char *class = NULL;
  CDL_TRY(cdl_json_string(path, settings->config, "tokenizer_class", true, &class));
  if (class != NULL && strcmp(class, "PreTrainedTokenizerFast") == 0)
    return CDL_OK;
  CDL_TRY(flag(path, settings->config, "do_lower_case", &normalizer->lowercase));
  CDL_TRY(
      flag(path, settings->config, "tokenize_chinese_chars", &normalizer->handle_chinese_chars));
  const json_t *strip = json_object_get(settings->config, "strip_accents");
  if (strip == NULL)
    return CDL_OK;
  normalizer->strip_as_lowercase = json_is_null(strip);
  return flag(path, settings->config, "strip_accents", &normalizer->strip_accents);
}
