#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "model/tokenizer/parts.h"

/* ---- What the sections have in common ---- */

typedef struct {
  const char *path;
  cdl_tokenizer *tokenizer;
} loading;

static const char *type_of(const json_t *section)
{
  const char *type = json_string_value(json_object_get(section, "type"));
  return type != NULL ? type : "";
}

static cdl_status unsupported(const loading *l, const char *section, const char *type,
                              const char *expected)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" is of type \"%.64s\", expected %s", l->path, section,
                  type, expected);
}

/* ---- Model ---- */

static cdl_status load_vocabulary(const loading *l, const json_t *model)
{
  json_t *vocabulary = json_object_get(model, "vocab");
  if (!json_is_object(vocabulary))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"model\": expected an object \"vocab\"", l->path);
  const char *token;
  json_t *id;
  json_object_foreach(vocabulary, token, id)
  {
    if (!json_is_integer(id))
      return cdl_fail(CDL_STATUS_DATA, "%s: vocab: token \"%.64s\": expected a whole number",
                      l->path, token);
    CDL_TRY(cdl_context(tokenizer_vocabulary_add(&l->tokenizer->vocabulary, token, strlen(token),
                                                 json_integer_value(id)),
                        "%s: vocab", l->path));
  }
  if (l->tokenizer->vocabulary.count == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: vocab: no tokens", l->path);
  return CDL_STATUS_OK;
}

static int32_t unknown_of(const loading *l, const char *text)
{
  if (text == NULL)
    return TOKENIZER_UNKNOWN_NONE;
  const int32_t id = tokenizer_vocabulary_find(&l->tokenizer->vocabulary, text, strlen(text));
  return id < 0 ? TOKENIZER_UNKNOWN_MISSING : id;
}

static cdl_status load_wordpiece(const loading *l, const json_t *model)
{
  const char *unknown = "[UNK]", *prefix = "##";
  int64_t characters = 100;
  CDL_TRY(base_json_string(l->path, model, "unk_token", false, &unknown));
  CDL_TRY(base_json_string(l->path, model, "continuing_subword_prefix", false, &prefix));
  CDL_TRY(base_json_integer(l->path, model, "max_input_chars_per_word", 0, INT32_MAX, &characters));
  /* A word needs up to its length times the longest token's, so one of them has a bound. */
  enum { TOKEN_BYTES_MAX = 1024 };
  if (characters > TOKEN_BYTES_MAX && l->tokenizer->vocabulary.longest > TOKEN_BYTES_MAX)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"max_input_chars_per_word\" is %" PRId64
                    " and a token has %zu bytes; expected %d at most of the one or the other",
                    l->path, characters, l->tokenizer->vocabulary.longest, TOKEN_BYTES_MAX);
  return tokenizer_wordpiece_prepare(l->tokenizer, prefix, (size_t)characters,
                                     unknown_of(l, unknown));
}

/* "left right" or ["left", "right"]. */
static cdl_status merge_of(const loading *l, size_t index, const json_t *entry,
                           tokenizer_merge_text *merge)
{
  if (json_is_string(entry)) {
    const char *text = json_string_value(entry);
    const char *space = strchr(text, ' ');
    if (space != NULL && strchr(space + 1, ' ') == NULL) {
      *merge = (tokenizer_merge_text){.left = text,
                                      .left_bytes = (size_t)(space - text),
                                      .right = space + 1,
                                      .right_bytes = strlen(space + 1)};
      return CDL_STATUS_OK;
    }
  } else if (json_array_size(entry) == 2) {
    const json_t *left = json_array_get(entry, 0), *right = json_array_get(entry, 1);
    if (json_is_string(left) && json_is_string(right)) {
      *merge = (tokenizer_merge_text){.left = json_string_value(left),
                                      .left_bytes = json_string_length(left),
                                      .right = json_string_value(right),
                                      .right_bytes = json_string_length(right)};
      return CDL_STATUS_OK;
    }
  }
  return cdl_fail(CDL_STATUS_DATA, "%s: merges: entry %zu: expected two tokens", l->path,
                  index + 1);
}

static cdl_status load_merges(const loading *l, const json_t *model)
{
  const json_t *list = json_object_get(model, "merges"), *entry;
  if (!json_is_array(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"model\": expected a list \"merges\"", l->path);
  tokenizer_merge_text *merges = calloc(json_array_size(list) + 1, sizeof *merges);
  if (merges == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu merges", json_array_size(list));
  cdl_status status = CDL_STATUS_OK;
  size_t index, count = 0;
  json_array_foreach(list, index, entry)
  {
    if (json_is_string(entry) && strncmp(json_string_value(entry), "#version", 8) == 0)
      continue;
    status = merge_of(l, index, entry, &merges[count++]);
    if (status != CDL_STATUS_OK)
      break;
  }
  if (status == CDL_STATUS_OK)
    status = cdl_context(tokenizer_bpe_prepare(l->tokenizer, merges, count, true), "%s: merges",
                         l->path);
  free(merges);
  return status;
}

/* The text before or after a character; NULL and "" are the same. */
static cdl_status affix(const char *text, char **copy, size_t *bytes)
{
  *bytes = text != NULL ? strlen(text) : 0;
  *copy = text != NULL ? strdup(text) : NULL;
  return text != NULL && *copy == NULL
             ? cdl_fail(CDL_STATUS_MEMORY, "out of memory for a tokenizer")
             : CDL_STATUS_OK;
}

/* A flag that may be null, which is the same as absent. */
static cdl_status nullable_flag(const loading *l, const json_t *object, const char *key,
                                bool *value)
{
  return json_is_null(json_object_get(object, key))
             ? CDL_STATUS_OK
             : base_json_boolean(l->path, object, key, value);
}

static cdl_status load_bpe(const loading *l, const json_t *model)
{
  tokenizer_bpe *bpe = &l->tokenizer->bpe;
  const char *unknown = NULL, *prefix = NULL, *suffix = NULL;
  double dropout = 0.0;
  CDL_TRY(base_json_string(l->path, model, "unk_token", true, &unknown));
  CDL_TRY(base_json_string(l->path, model, "continuing_subword_prefix", true, &prefix));
  CDL_TRY(base_json_string(l->path, model, "end_of_word_suffix", true, &suffix));
  CDL_TRY(base_json_real(l->path, model, "dropout", 0.0, 1.0, true, &dropout));
  CDL_TRY(nullable_flag(l, model, "byte_fallback", &bpe->byte_fallback));
  CDL_TRY(nullable_flag(l, model, "fuse_unk", &bpe->fuse_unknown));
  CDL_TRY(nullable_flag(l, model, "ignore_merges", &bpe->ignore_merges));
  if (dropout > 0.0)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"model\": expected BPE without \"dropout\"", l->path);
  CDL_TRY(affix(prefix, &bpe->prefix, &bpe->prefix_bytes));
  CDL_TRY(affix(suffix, &bpe->suffix, &bpe->suffix_bytes));
  CDL_TRY(load_merges(l, model));
  bpe->unknown = unknown_of(l, unknown);
  return CDL_STATUS_OK;
}

static cdl_status load_wordlevel(const loading *l, const json_t *model)
{
  const char *unknown = "<unk>";
  CDL_TRY(base_json_string(l->path, model, "unk_token", false, &unknown));
  l->tokenizer->word_unknown = unknown_of(l, unknown);
  return CDL_STATUS_OK;
}

static cdl_status load_model(const loading *l, const json_t *root)
{
  const json_t *model = json_object_get(root, "model");
  if (!json_is_object(model))
    return cdl_fail(CDL_STATUS_DATA, "%s: expected an object \"model\"", l->path);
  static const char *const types[] = {"WordPiece", "BPE", "Unigram", "WordLevel"};
  static const tokenizer_model_kind kinds[] = {TOKENIZER_MODEL_WORDPIECE, TOKENIZER_MODEL_BPE,
                                               TOKENIZER_MODEL_UNIGRAM, TOKENIZER_MODEL_WORDLEVEL};
  const char *type = type_of(model);
  size_t index = 0;
  while (index < sizeof kinds / sizeof kinds[0] && strcmp(type, types[index]) != 0)
    index++;
  if (index == sizeof kinds / sizeof kinds[0])
    return unsupported(l, "model", type, "BPE, WordPiece, WordLevel or Unigram");
  l->tokenizer->kind = kinds[index];
  if (l->tokenizer->kind == TOKENIZER_MODEL_UNIGRAM)
    return tokenizer_unigram_load(l->path, model, l->tokenizer);
  CDL_TRY(load_vocabulary(l, model));
  return l->tokenizer->kind == TOKENIZER_MODEL_BPE         ? load_bpe(l, model)
         : l->tokenizer->kind == TOKENIZER_MODEL_WORDPIECE ? load_wordpiece(l, model)
                                                           : load_wordlevel(l, model);
}

/* ---- Added tokens ---- */

static cdl_status load_added_tokens(const loading *l, const json_t *root)
{
  const json_t *list = json_object_get(root, "added_tokens"), *entry;
  if (list == NULL || json_is_null(list))
    return CDL_STATUS_OK;
  if (!json_is_array(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"added_tokens\": expected a list", l->path);
  size_t index;
  json_array_foreach(list, index, entry)
  {
    const json_t *content = json_object_get(entry, "content"), *id = json_object_get(entry, "id");
    if (!json_is_string(content) || !json_is_integer(id) || json_integer_value(id) < 0)
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: added_tokens: entry %zu: expected a text \"content\" and an \"id\"",
                      l->path, index + 1);
    tokenizer_added_token token = {.content = (char *)(uintptr_t)json_string_value(content),
                                   .bytes = json_string_length(content)};
    CDL_TRY(base_json_boolean(l->path, entry, "special", &token.special));
    token.normalized = !token.special;
    CDL_TRY(base_json_boolean(l->path, entry, "normalized", &token.normalized));
    CDL_TRY(base_json_boolean(l->path, entry, "single_word", &token.single_word));
    CDL_TRY(base_json_boolean(l->path, entry, "lstrip", &token.lstrip));
    CDL_TRY(base_json_boolean(l->path, entry, "rstrip", &token.rstrip));
    CDL_TRY(cdl_context(tokenizer_added_add(l->tokenizer, &token, json_integer_value(id)),
                        "%s: added_tokens", l->path));
  }
  return CDL_STATUS_OK;
}

/* ---- Post-processor ---- */

/* ["[SEP]", 102] */
static cdl_status named_id(const loading *l, const json_t *processor, const char *key, int32_t *id)
{
  const json_t *entry = json_object_get(processor, key);
  const json_t *text = json_array_get(entry, 0), *number = json_array_get(entry, 1);
  if (json_array_size(entry) != 2 || !json_is_string(text) || !json_is_integer(number))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"post_processor\": \"%s\": expected a token and its id",
                    l->path, key);
  CDL_TRY(tokenizer_template_check(l->tokenizer, l->path, json_string_value(text),
                                   json_integer_value(number)));
  *id = (int32_t)json_integer_value(number);
  return CDL_STATUS_OK;
}

static cdl_status special_piece(const loading *l, const json_t *processor, const char *name,
                                int32_t type_id, tokenizer_template *to)
{
  const json_t *special = json_object_get(json_object_get(processor, "special_tokens"), name), *id;
  const json_t *ids = json_object_get(special, "ids");
  if (json_array_size(ids) == 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"post_processor\": \"special_tokens\" has no ids for \"%.64s\"", l->path,
                    name);
  const json_t *texts = json_object_get(special, "tokens");
  size_t index;
  json_array_foreach(ids, index, id)
  {
    const char *text = json_string_value(json_array_get(texts, index));
    if (!json_is_integer(id) || text == NULL)
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: \"post_processor\": \"%.64s\": expected as many \"tokens\" as \"ids\"",
                      l->path, name);
    CDL_TRY(tokenizer_template_check(l->tokenizer, l->path, text, json_integer_value(id)));
    CDL_TRY(tokenizer_template_add(to, TOKENIZER_PIECE_TOKEN, (int32_t)json_integer_value(id),
                                   type_id));
  }
  return CDL_STATUS_OK;
}

static cdl_status load_template(const loading *l, const json_t *processor, const char *key,
                                bool pair, tokenizer_template *to)
{
  const json_t *list = json_object_get(processor, key), *piece;
  if (json_array_size(list) == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"post_processor\": \"%s\": expected a list of pieces",
                    l->path, key);
  size_t index;
  json_array_foreach(list, index, piece)
  {
    const json_t *sequence = json_object_get(piece, "Sequence"),
                 *special = json_object_get(piece, "SpecialToken");
    const json_t *body = sequence != NULL ? sequence : special;
    const char *id = json_string_value(json_object_get(body, "id"));
    int64_t type_id = 0;
    if (id == NULL)
      return cdl_fail(
          CDL_STATUS_DATA,
          "%s: \"post_processor\": \"%s\": piece %zu: expected a Sequence or SpecialToken with id",
          l->path, key, index + 1);
    CDL_TRY(base_json_integer(l->path, body, "type_id", 0, INT32_MAX, &type_id));
    if (sequence == NULL) {
      CDL_TRY(special_piece(l, processor, id, (int32_t)type_id, to));
      continue;
    }
    const bool second = strcmp(id, "B") == 0;
    if ((!second && strcmp(id, "A") != 0) || (second && !pair))
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: \"post_processor\": \"%s\": piece %zu: no sequence \"%.64s\" here",
                      l->path, key, index + 1, id);
    CDL_TRY(tokenizer_template_add(to, second ? TOKENIZER_PIECE_SECOND : TOKENIZER_PIECE_FIRST, 0,
                                   (int32_t)type_id));
  }
  return CDL_STATUS_OK;
}

static cdl_status load_processor(const loading *l, const json_t *processor, bool *done)
{
  const char *type = type_of(processor);
  if (strcmp(type, "ByteLevel") == 0) /* changes offsets, not ids */
    return CDL_STATUS_OK;
  if (*done)
    return cdl_fail(
        CDL_STATUS_DATA,
        "%s: \"post_processor\": expected one that adds tokens, found another, \"%.64s\"", l->path,
        type);
  *done = true;
  const bool roberta = strcmp(type, "RobertaProcessing") == 0;
  if (roberta || strcmp(type, "BertProcessing") == 0) {
    int32_t begin = 0, end = 0;
    CDL_TRY(named_id(l, processor, "cls", &begin));
    CDL_TRY(named_id(l, processor, "sep", &end));
    return tokenizer_template_usual(l->tokenizer, roberta, begin, end);
  }
  if (strcmp(type, "TemplateProcessing") != 0)
    return unsupported(l, "post_processor", type,
                       "RobertaProcessing, BertProcessing, TemplateProcessing or ByteLevel");
  CDL_TRY(load_template(l, processor, "single", false, &l->tokenizer->single));
  return load_template(l, processor, "pair", true, &l->tokenizer->pair);
}

static cdl_status load_post_processor(const loading *l, const json_t *root)
{
  const json_t *section = json_object_get(root, "post_processor"), *processor;
  bool done = false;
  if (section != NULL && strcmp(type_of(section), "Sequence") == 0) {
    size_t index;
    json_array_foreach(json_object_get(section, "processors"), index, processor)
        CDL_TRY(load_processor(l, processor, &done));
  } else if (section != NULL && !json_is_null(section)) {
    CDL_TRY(load_processor(l, section, &done));
  }
  if (done)
    return CDL_STATUS_OK;
  CDL_TRY(tokenizer_template_add(&l->tokenizer->single, TOKENIZER_PIECE_FIRST, 0, 0));
  CDL_TRY(tokenizer_template_add(&l->tokenizer->pair, TOKENIZER_PIECE_FIRST, 0, 0));
  return tokenizer_template_add(&l->tokenizer->pair, TOKENIZER_PIECE_SECOND, 0, 1);
}

cdl_status tokenizer_load_json(const char *path, const json_t *root, cdl_tokenizer *tokenizer)
{
  const loading l = {.path = path, .tokenizer = tokenizer};
  cdl_status status = load_model(&l, root);
  if (status == CDL_STATUS_OK)
    status = tokenizer_load_steps(path, root, tokenizer);
  if (status == CDL_STATUS_OK)
    status = load_added_tokens(&l, root);
  if (status == CDL_STATUS_OK)
    status = load_post_processor(&l, root);
  return status;
}
