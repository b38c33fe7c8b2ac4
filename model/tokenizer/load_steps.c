#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/parts.h"

typedef struct {
  const char *path, *section; /* "normalizer" or "pre_tokenizer" */
  cdl_tokenizer *tokenizer;
} loading;

static const char *type_of(const json_t *step)
{
  const char *type = json_string_value(json_object_get(step, "type"));
  return type != NULL ? type : "";
}

static cdl_status expected(const loading *l, const json_t *step, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": %s: expected %s", l->path, l->section,
                  type_of(step), what);
}

/* A flag that may be null, which is the same as absent. */
static cdl_status flag(const loading *l, const json_t *step, const char *key, bool *value)
{
  return json_is_null(json_object_get(step, key)) ? CDL_STATUS_OK
                                                  : base_json_boolean(l->path, step, key, value);
}

/* {"String": …} or {"Regex": …} */
static cdl_status pattern_of(const loading *l, const json_t *step, const char **text,
                             bool *expression)
{
  const json_t *pattern = json_object_get(step, "pattern");
  const char *literal = json_string_value(json_object_get(pattern, "String"));
  const char *regex = json_string_value(json_object_get(pattern, "Regex"));
  *expression = regex != NULL;
  *text = regex != NULL ? regex : literal;
  return json_object_size(pattern) == 1 && *text != NULL
             ? CDL_STATUS_OK
             : expected(l, step, "as \"pattern\" a String or a Regex");
}

static cdl_status compile(const loading *l, const json_t *step, const char *text, bool expression,
                          tokenizer_text_pattern *pattern)
{
  return cdl_context(tokenizer_text_pattern_compile(text, expression, pattern), "%s: \"%s\": %s",
                     l->path, l->section, type_of(step));
}

/* ---- Normalizer ---- */

static cdl_status load_bert(const loading *l, const json_t *section,
                            tokenizer_bert_normalizer *bert)
{
  *bert = (tokenizer_bert_normalizer){
      .present = true, .clean_text = true, .handle_chinese_chars = true, .lowercase = true};
  CDL_TRY(base_json_boolean(l->path, section, "clean_text", &bert->clean_text));
  CDL_TRY(base_json_boolean(l->path, section, "handle_chinese_chars", &bert->handle_chinese_chars));
  CDL_TRY(base_json_boolean(l->path, section, "lowercase", &bert->lowercase));
  const json_t *strip = json_object_get(section, "strip_accents");
  bert->strip_as_lowercase = strip == NULL || json_is_null(strip);
  return flag(l, section, "strip_accents", &bert->strip_accents);
}

static cdl_status load_charsmap(const loading *l, const json_t *section,
                                tokenizer_normal_step *step)
{
  const json_t *text = json_object_get(section, "precompiled_charsmap");
  if (!json_is_string(text))
    return expected(l, section, "a text \"precompiled_charsmap\"");
  base_bytes bytes = {0};
  cdl_status status =
      tokenizer_base64_decode(json_string_value(text), json_string_length(text), &bytes);
  if (status == CDL_STATUS_OK)
    status = tokenizer_charsmap_read(bytes.data, bytes.count, &step->charsmap);
  free(bytes.data);
  return cdl_context(status, "%s: precompiled_charsmap", l->path);
}

static cdl_status load_replacement(const loading *l, const json_t *section,
                                   tokenizer_normal_step *step)
{
  const char *content = json_string_value(json_object_get(section, "content")), *text;
  bool expression;
  CDL_TRY(pattern_of(l, section, &text, &expression));
  if (content == NULL)
    return expected(l, section, "a text \"content\"");
  step->repeated = expression && strcmp(text, " {2,}") == 0; /* common in files */
  if (step->repeated || (!expression && text[0] != '\0')) {
    step->kind = TOKENIZER_NORMAL_REPLACE;
    return tokenizer_normal_step_texts(step, step->repeated ? "  " : text, content);
  }
  step->kind = TOKENIZER_NORMAL_REPLACE_PATTERN;
  CDL_TRY(tokenizer_normal_step_texts(step, NULL, content));
  return compile(l, section, text, expression, &step->expression);
}

static cdl_status load_prepended(const loading *l, const json_t *section,
                                 tokenizer_normal_step *step)
{
  const char *content = json_string_value(json_object_get(section, "prepend"));
  if (content == NULL)
    return expected(l, section, "a text \"prepend\"");
  return tokenizer_normal_step_texts(step, NULL, content);
}

static cdl_status load_strip(const loading *l, const json_t *section, tokenizer_normal_step *step)
{
  CDL_TRY(base_json_boolean(l->path, section, "strip_left", &step->left));
  return base_json_boolean(l->path, section, "strip_right", &step->right);
}

static cdl_status load_bert_step(const loading *l, const json_t *section,
                                 tokenizer_normal_step *step)
{
  CDL_TRY(load_bert(l, section, &step->bert));
  if (step->bert.strip_as_lowercase)
    step->bert.strip_accents = step->bert.lowercase;
  return CDL_STATUS_OK;
}

static const struct {
  const char *type;
  enum tokenizer_normal_kind kind;
  tokenizer_normal_form form;
  cdl_status (*load)(const loading *l, const json_t *section, tokenizer_normal_step *step);
} normal_types[] = {
    {"BertNormalizer", TOKENIZER_NORMAL_BERT, TOKENIZER_FORM_C, load_bert_step},
    {"ByteLevel", TOKENIZER_NORMAL_BYTES, TOKENIZER_FORM_C, NULL},
    {"Lowercase", TOKENIZER_NORMAL_LOWERCASE, TOKENIZER_FORM_C, NULL},
    {"NFC", TOKENIZER_NORMAL_FORM, TOKENIZER_FORM_C, NULL},
    {"NFD", TOKENIZER_NORMAL_FORM, TOKENIZER_FORM_D, NULL},
    {"NFKC", TOKENIZER_NORMAL_FORM, TOKENIZER_FORM_KC, NULL},
    {"NFKD", TOKENIZER_NORMAL_FORM, TOKENIZER_FORM_KD, NULL},
    {"Nmt", TOKENIZER_NORMAL_NMT, TOKENIZER_FORM_C, NULL},
    {"Precompiled", TOKENIZER_NORMAL_CHARSMAP, TOKENIZER_FORM_C, load_charsmap},
    {"Prepend", TOKENIZER_NORMAL_PREPEND, TOKENIZER_FORM_C, load_prepended},
    {"Replace", TOKENIZER_NORMAL_REPLACE, TOKENIZER_FORM_C, load_replacement},
    {"Strip", TOKENIZER_NORMAL_STRIP, TOKENIZER_FORM_C, load_strip},
    {"StripAccents", TOKENIZER_NORMAL_STRIP_ACCENTS, TOKENIZER_FORM_C, NULL},
};

static cdl_status load_normal_step(const loading *l, const json_t *section)
{
  for (size_t i = 0; i < sizeof normal_types / sizeof normal_types[0]; i++)
    if (strcmp(type_of(section), normal_types[i].type) == 0) {
      tokenizer_normal_step *step;
      CDL_TRY(cdl_context(tokenizer_normalizer_add(&l->tokenizer->normal_steps, &step),
                          "%s: \"%s\"", l->path, l->section));
      step->kind = normal_types[i].kind;
      step->form = normal_types[i].form;
      return normal_types[i].load != NULL ? normal_types[i].load(l, section, step) : CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: \"%s\" is of type \"%.64s\", expected BertNormalizer, ByteLevel, Lowercase, "
                  "NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Strip, StripAccents "
                  "or Sequence",
                  l->path, l->section, type_of(section));
}

/* ---- Pre-tokenizer ---- */

static cdl_status load_behavior(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  static const struct {
    const char *name;
    tokenizer_split_behavior behavior;
  } behaviors[] = {{"Removed", TOKENIZER_SPLIT_REMOVED},
                   {"Isolated", TOKENIZER_SPLIT_ISOLATED},
                   {"MergedWithPrevious", TOKENIZER_SPLIT_MERGED_WITH_PREVIOUS},
                   {"MergedWithNext", TOKENIZER_SPLIT_MERGED_WITH_NEXT},
                   {"Contiguous", TOKENIZER_SPLIT_CONTIGUOUS}};
  const char *name = json_string_value(json_object_get(section, "behavior"));
  for (size_t i = 0; name != NULL && i < sizeof behaviors / sizeof behaviors[0]; i++)
    if (strcmp(name, behaviors[i].name) == 0) {
      step->behavior = behaviors[i].behavior;
      return CDL_STATUS_OK;
    }
  return expected(l, section,
                  "as \"behavior\" Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                  "Contiguous");
}

static cdl_status load_punctuation(const loading *l, const json_t *section,
                                   tokenizer_cut_step *step)
{
  step->behavior = TOKENIZER_SPLIT_ISOLATED;
  return json_object_get(section, "behavior") != NULL ? load_behavior(l, section, step)
                                                      : CDL_STATUS_OK;
}

static cdl_status load_digits(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  bool single = false;
  CDL_TRY(base_json_boolean(l->path, section, "individual_digits", &single));
  step->behavior = single ? TOKENIZER_SPLIT_ISOLATED : TOKENIZER_SPLIT_CONTIGUOUS;
  return CDL_STATUS_OK;
}

static cdl_status load_split(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  const char *text;
  bool expression;
  CDL_TRY(pattern_of(l, section, &text, &expression));
  CDL_TRY(load_behavior(l, section, step));
  CDL_TRY(base_json_boolean(l->path, section, "invert", &step->invert));
  return compile(l, section, text, expression, &step->pattern);
}

/* Returns the bytes of a single character, or 0 if it is not one. */
static size_t character_of(const json_t *section, const char *key)
{
  const json_t *text = json_object_get(section, key);
  const size_t bytes = json_string_length(text);
  size_t subpart;
  return bytes != 0 && base_utf8_sequence((const uint8_t *)json_string_value(text), bytes,
                                          &subpart) == bytes
             ? bytes
             : 0;
}

static cdl_status load_delimiter(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  if (character_of(section, "delimiter") == 0)
    return expected(l, section, "one character as \"delimiter\"");
  const uint8_t *at = (const uint8_t *)json_string_value(json_object_get(section, "delimiter"));
  step->character = base_utf8_next(&at);
  return CDL_STATUS_OK;
}

static cdl_status load_length(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  int64_t length = 5;
  CDL_TRY(base_json_integer(l->path, section, "length", 1, INT32_MAX, &length));
  step->length = (size_t)length;
  return CDL_STATUS_OK;
}

static cdl_status load_byte_level(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  step->add_prefix_space = step->use_regex = true;
  CDL_TRY(base_json_boolean(l->path, section, "add_prefix_space", &step->add_prefix_space));
  return base_json_boolean(l->path, section, "use_regex", &step->use_regex);
}

static cdl_status load_prepend(const loading *l, const json_t *section, tokenizer_metaspace *m)
{
  static const char *const schemes[] = {"always", "first", "never"};
  const char *scheme = NULL;
  bool prefix = true;
  CDL_TRY(base_json_string(l->path, section, "prepend_scheme", false, &scheme));
  CDL_TRY(flag(l, section, "add_prefix_space", &prefix));
  if (scheme == NULL)
    scheme = prefix ? "always" : "never";
  for (int i = 0; i < 3; i++)
    if (strcmp(scheme, schemes[i]) == 0 && (prefix || i == TOKENIZER_PREPEND_NEVER)) {
      m->prepend = i == 0   ? TOKENIZER_PREPEND_ALWAYS
                   : i == 1 ? TOKENIZER_PREPEND_FIRST
                            : TOKENIZER_PREPEND_NEVER;
      return CDL_STATUS_OK;
    }
  return cdl_fail(
      CDL_STATUS_DATA,
      "%s: Metaspace: \"prepend_scheme\" is \"%.64s\", expected always, first or never, "
      "and never without add_prefix_space",
      l->path, scheme);
}

static cdl_status load_metaspace(const loading *l, const json_t *section, tokenizer_cut_step *step)
{
  tokenizer_metaspace *m = &step->metaspace;
  m->space_bytes = character_of(section, "replacement");
  if (m->space_bytes == 0)
    return expected(l, section, "one character as \"replacement\"");
  memcpy(m->space, json_string_value(json_object_get(section, "replacement")), m->space_bytes);
  m->split = true;
  CDL_TRY(flag(l, section, "split", &m->split));
  return load_prepend(l, section, m);
}

static const struct {
  const char *type;
  enum tokenizer_cut_kind kind;
  cdl_status (*load)(const loading *l, const json_t *section, tokenizer_cut_step *step);
} cut_types[] = {
    {"ByteLevel", TOKENIZER_CUT_BYTES, load_byte_level},
    {"CharDelimiterSplit", TOKENIZER_CUT_CHARACTER, load_delimiter},
    {"Digits", TOKENIZER_CUT_DIGITS, load_digits},
    {"FixedLength", TOKENIZER_CUT_LENGTH, load_length},
    {"Metaspace", TOKENIZER_CUT_METASPACE, load_metaspace},
    {"Punctuation", TOKENIZER_CUT_PUNCTUATION, load_punctuation},
    {"Split", TOKENIZER_CUT_PATTERN, load_split},
    {"Whitespace", TOKENIZER_CUT_WORDS, NULL},
    {"WhitespaceSplit", TOKENIZER_CUT_SPACES, NULL},
};

static cdl_status add_cut_step(const loading *l, enum tokenizer_cut_kind kind,
                               tokenizer_cut_step **step)
{
  return cdl_context(tokenizer_pre_tokenizer_add(&l->tokenizer->pre_tokenizer, kind, step),
                     "%s: \"%s\"", l->path, l->section);
}

static cdl_status load_cut_step(const loading *l, const json_t *section)
{
  tokenizer_cut_step *step;
  if (strcmp(type_of(section), "BertPreTokenizer") == 0) {
    CDL_TRY(add_cut_step(l, TOKENIZER_CUT_SPACES, &step));
    CDL_TRY(add_cut_step(l, TOKENIZER_CUT_PUNCTUATION, &step));
    step->behavior = TOKENIZER_SPLIT_ISOLATED;
    return CDL_STATUS_OK;
  }
  for (size_t i = 0; i < sizeof cut_types / sizeof cut_types[0]; i++)
    if (strcmp(type_of(section), cut_types[i].type) == 0) {
      CDL_TRY(add_cut_step(l, cut_types[i].kind, &step));
      return cut_types[i].load != NULL ? cut_types[i].load(l, section, step) : CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: \"%s\" is of type \"%.64s\", expected BertPreTokenizer, ByteLevel, "
                  "CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, Split, "
                  "Whitespace, WhitespaceSplit or Sequence",
                  l->path, l->section, type_of(section));
}

/* ---- Both ---- */

/* Loads one step, or the steps of a sequence, which may contain sequences. */
static cdl_status load_steps(const loading *l, const json_t *section, const char *list_key,
                             unsigned depth,
                             cdl_status (*load)(const loading *l, const json_t *section))
{
  enum { DEPTH_MAX = 8 };
  if (!json_is_object(section))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected an object", l->path, l->section);
  if (strcmp(type_of(section), "Sequence") != 0)
    return load(l, section);
  const json_t *list = json_object_get(section, list_key), *step;
  if (!json_is_array(list) || depth == DEPTH_MAX)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"%s\": expected a list \"%s\", at most %d within one another", l->path,
                    l->section, list_key, DEPTH_MAX);
  size_t index;
  json_array_foreach(list, index, step) CDL_TRY(load_steps(l, step, list_key, depth + 1, load));
  return CDL_STATUS_OK;
}

static bool is_there(const json_t *section)
{
  return section != NULL && !json_is_null(section);
}

cdl_status tokenizer_load_steps(const char *path, const json_t *root, cdl_tokenizer *tokenizer)
{
  loading l = {.path = path, .section = "normalizer", .tokenizer = tokenizer};
  const json_t *normalizer = json_object_get(root, "normalizer");
  if (is_there(normalizer) && strcmp(type_of(normalizer), "BertNormalizer") == 0)
    CDL_TRY(load_bert(&l, normalizer, &tokenizer->normalizer));
  else if (is_there(normalizer))
    CDL_TRY(load_steps(&l, normalizer, "normalizers", 0, load_normal_step));
  l.section = "pre_tokenizer";
  const json_t *pre = json_object_get(root, "pre_tokenizer");
  if (!is_there(pre))
    return CDL_STATUS_OK;
  if (strcmp(type_of(pre), "BertPreTokenizer") == 0) {
    tokenizer->pre_kind = TOKENIZER_PRE_BERT;
    return CDL_STATUS_OK;
  }
  CDL_TRY(load_steps(&l, pre, "pretokenizers", 0, load_cut_step));
  if (strcmp(type_of(pre), "ByteLevel") == 0) {
    tokenizer->pre_kind = TOKENIZER_PRE_BYTE_LEVEL;
    tokenizer->bpe.add_prefix_space = tokenizer->pre_tokenizer.steps[0].add_prefix_space;
  }
  return CDL_STATUS_OK;
}
