#include "model/tokenizer/class.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/path.h"
#include "model/files/family.h"

/* ---- The table ---- */

#define BERT_SPECIALS                                               \
  {                                                                 \
    [TOKENIZER_ROLE_UNK] = "[UNK]", [TOKENIZER_ROLE_SEP] = "[SEP]", \
    [TOKENIZER_ROLE_PAD] = "[PAD]", [TOKENIZER_ROLE_CLS] = "[CLS]", \
    [TOKENIZER_ROLE_MASK] = "[MASK]"                                \
  }
#define ROBERTA_SPECIALS(unknown)                                                                  \
  {                                                                                                \
    [TOKENIZER_ROLE_BOS] = "<s>", [TOKENIZER_ROLE_EOS] = "</s>", [TOKENIZER_ROLE_UNK] = (unknown), \
    [TOKENIZER_ROLE_SEP] = "</s>", [TOKENIZER_ROLE_PAD] = "<pad>", [TOKENIZER_ROLE_CLS] = "<s>",   \
    [TOKENIZER_ROLE_MASK] = "<mask>"                                                               \
  }

static const tokenizer_class classes[] = {
    {.name = "BertTokenizer",
     .model_type = "bert",
     .files = TOKENIZER_FILES_LINES,
     .special = BERT_SPECIALS,
     .lowers = true,
     .ideographs = true,
     .prefix = true,
     .second_type = true,
     .types = true},
    {.name = "DistilBertTokenizer",
     .model_type = "distilbert",
     .files = TOKENIZER_FILES_LINES,
     .special = BERT_SPECIALS,
     .lowers = true,
     .ideographs = true,
     .prefix = true,
     .second_type = true},
    {.name = "ElectraTokenizer",
     .model_type = "electra",
     .files = TOKENIZER_FILES_LINES,
     .special = BERT_SPECIALS,
     .lowers = true,
     .ideographs = true,
     .prefix = true,
     .second_type = true,
     .types = true},
    {.name = "RobertaTokenizer",
     .model_type = "roberta",
     .files = TOKENIZER_FILES_MERGES,
     .special = ROBERTA_SPECIALS("<unk>"),
     .fast = {.mask = {.made = true, .lstrip = true, .normalized = TOKENIZER_NOT_NORMALIZED}},
     .slow = {.mask = {.made = true, .lstrip = true, .normalized = TOKENIZER_NOT_NORMALIZED},
              .others = {.made = true}},
     .processor_flags = true,
     .prefix = true,
     .doubled = true},
    {.name = "XLMRobertaTokenizer",
     .model_type = "xlm-roberta",
     .files = TOKENIZER_FILES_SENTENCEPIECE,
     .special = ROBERTA_SPECIALS("<unk>"),
     .fast = {.mask = {.made = true, .lstrip = true}},
     .slow = {.mask = {.made = true, .lstrip = true, .special = true}},
     .prefix = true,
     .doubled = true},
    {.name = "CamembertTokenizer",
     .model_type = "camembert",
     .files = TOKENIZER_FILES_SENTENCEPIECE,
     .special = ROBERTA_SPECIALS("<unk>"),
     .additional = {"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"},
     .fast = {.mask = {.made = true, .lstrip = true, .special = true}},
     .slow = {.mask = {.made = true,
                       .lstrip = true,
                       .special = true,
                       .normalized = TOKENIZER_NOT_NORMALIZED}},
     .prefix = true,
     .doubled = true,
     .offset_by_four = true},
    {.name = "MPNetTokenizer",
     .model_type = "mpnet",
     .files = TOKENIZER_FILES_LINES,
     .special = ROBERTA_SPECIALS("[UNK]"),
     .fast = {.mask = {.made = true, .lstrip = true}, .others = {.made = true}},
     .slow = {.mask = {.made = true, .lstrip = true, .special = true},
              .others = {.made = true, .special = true}},
     .lowers = true,
     .prefix = true,
     .doubled = true,
     .second_type = true},
    {.name = "PreTrainedTokenizer", .prefix = true, .types = true},
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

static const char *const role_keys[TOKENIZER_ROLE_COUNT] = {
    [TOKENIZER_ROLE_BOS] = "bos_token",  [TOKENIZER_ROLE_EOS] = "eos_token",
    [TOKENIZER_ROLE_UNK] = "unk_token",  [TOKENIZER_ROLE_SEP] = "sep_token",
    [TOKENIZER_ROLE_PAD] = "pad_token",  [TOKENIZER_ROLE_CLS] = "cls_token",
    [TOKENIZER_ROLE_MASK] = "mask_token"};

const char *tokenizer_token_role_key(tokenizer_token_role role)
{
  return role_keys[role];
}

const tokenizer_class *tokenizer_class_usual(tokenizer_vocabulary_files files)
{
  static const tokenizer_class bare = {.name = "Tokenizer", .types = true};
  for (size_t i = 0; files != TOKENIZER_FILES_NONE && i < CLASSES; i++)
    if (classes[i].files == files)
      return &classes[i];
  return &bare;
}

/* ---- Which class ---- */

static cdl_status by_name(const char *path, const char *name, const tokenizer_class **class)
{
  static const char fast[] = "Fast";
  size_t bytes = strlen(name);
  if (bytes >= sizeof fast && strcmp(name + bytes - (sizeof fast - 1), fast) == 0)
    bytes -= sizeof fast - 1;
  for (size_t i = 0; i < CLASSES; i++)
    if (strlen(classes[i].name) == bytes && memcmp(classes[i].name, name, bytes) == 0) {
      *class = &classes[i];
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: \"tokenizer_class\": tokenizers of class \"%.100s\" are not supported, "
                  "expected Bert-, DistilBert-, Electra-, Roberta-, XLMRoberta-, Camembert- or "
                  "MPNetTokenizer, or PreTrainedTokenizerFast",
                  path, name);
}

/* The class of config.json: by name, otherwise by the type of the model. */
static cdl_status by_model(const char *path, const json_t *config, const tokenizer_class **class)
{
  const char *name = NULL, *type = NULL;
  CDL_TRY(base_json_string(path, config, "tokenizer_class", true, &name));
  if (name != NULL)
    return by_name(path, name, class);
  CDL_TRY(base_json_string(path, config, "model_type", true, &type));
  const char *architecture =
      json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
  model_family family;
  if (type == NULL && architecture != NULL && model_family_find(NULL, architecture, &family))
    type = model_family_name(family);
  for (size_t i = 0; type != NULL && i < CLASSES; i++)
    if (classes[i].model_type != NULL && strcmp(classes[i].model_type, type) == 0) {
      *class = &classes[i];
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: no file names the class of the tokenizer, and none is known for models of "
                  "type \"%.100s\"",
                  path, type != NULL ? type : "");
}

cdl_status tokenizer_class_find(const char *folder, const tokenizer_settings *settings,
                                const tokenizer_class **class)
{
  *class = NULL;
  const char *name = NULL;
  CDL_TRY(
      base_json_string(settings->config_path, settings->config, "tokenizer_class", true, &name));
  if (name != NULL)
    return by_name(settings->config_path, name, class);
  char *path = base_path_join(folder, "config.json");
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a path");
  cdl_status status = CDL_STATUS_OK;
  json_t *config = NULL;
  if (base_file_exists(path)) {
    status = base_json_read(path, &config);
    if (status == CDL_STATUS_OK)
      status = by_model(path, config, class);
  }
  json_decref(config);
  free(path);
  return status;
}

/* ---- Settings ---- */

static cdl_status side(const tokenizer_settings *settings, const char *key, bool *left)
{
  const char *path;
  const json_t *value = tokenizer_setting(settings, key, &path);
  if (value == NULL)
    return CDL_STATUS_OK;
  const char *text = json_string_value(value);
  *left = text != NULL && strcmp(text, "left") == 0;
  if (text == NULL || (!*left && strcmp(text, "right") != 0))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected \"left\" or \"right\"", path, key);
  return CDL_STATUS_OK;
}

/* Refuses keys that make Transformers fail, or read another file or another tokenizer. */
static cdl_status refuse(const tokenizer_settings *settings, bool slow)
{
  const char *path;
  const json_t *value = tokenizer_setting(settings, "init_inputs", &path);
  if (value != NULL && !(json_is_array(value) && json_array_size(value) == 0))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"init_inputs\": expected an empty list", path);
  static const char *const keys[] = {"tokenizer_object", "__slow_tokenizer", "gguf_file",
                                     "fix_mistral_regex"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (tokenizer_python_truth(tokenizer_setting(settings, keys[i], &path)))
      return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: \"%s\" is not supported", path, keys[i]);
  /* Names of methods, which no setting may have. */
  static const char *const methods[] = {
      "add_special_tokens", "add_tokens", "tokenize", "encode", "decode", "pad",
      "truncate_sequences"};
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (tokenizer_setting(settings, methods[i], &path) != NULL)
      return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: \"%s\" is no setting of a tokenizer", path,
                      methods[i]);
  static const char *const files[] = {"vocab_file", "merges_file"};
  for (size_t i = 0; slow && i < sizeof files / sizeof files[0]; i++)
    if (tokenizer_setting(settings, files[i], &path) != NULL)
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "%s: \"%s\" names another file, but those of the folder are read", path,
                      files[i]);
  const json_t *versions = json_object_get(settings->config, "fast_tokenizer_files");
  if (versions == NULL)
    return CDL_STATUS_OK;
  if (!json_is_array(versions))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"fast_tokenizer_files\": expected a list",
                    settings->config_path);
  size_t index;
  json_array_foreach(versions, index, value)
  {
    const char *name = json_string_value(value);
    if (name == NULL || strcmp(name, "tokenizer.json") != 0)
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "%s: \"fast_tokenizer_files\": expected tokenizer.json and no other",
                      settings->config_path);
  }
  return CDL_STATUS_OK;
}

static cdl_status given_types(const tokenizer_class *class, const tokenizer_settings *settings,
                              bool *types)
{
  const char *path;
  const json_t *names = tokenizer_setting(settings, "model_input_names", &path), *name;
  *types = class->types;
  if (names == NULL)
    return CDL_STATUS_OK;
  if (!json_is_array(names))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"model_input_names\": expected a list", path);
  *types = false;
  size_t index;
  json_array_foreach(names, index, name)
  {
    const char *text = json_string_value(name);
    *types = *types || (text != NULL && strcmp(text, "token_type_ids") == 0);
  }
  return CDL_STATUS_OK;
}

/* Checks add_prefix_space and trim_offsets if the post-processor has them. They change only offsets
 * there, but a value that the post-processor does not accept is an error of Transformers. */
static cdl_status check_processor(const tokenizer_settings *settings, const json_t *root)
{
  static const char *const keys[] = {"add_prefix_space", "trim_offsets"};
  const json_t *processor = json_object_get(root, "post_processor");
  const char *type = json_string_value(json_object_get(processor, "type"));
  const bool nullable = type != NULL && strcmp(type, "ByteLevel") == 0;
  if (type == NULL || (!nullable && strcmp(type, "RobertaProcessing") != 0))
    return CDL_STATUS_OK;
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const char *path;
    const json_t *value = tokenizer_setting(settings, keys[i], &path);
    const json_t *has = json_object_get(processor, keys[i]);
    if (value != NULL && !json_is_boolean(value) && !(nullable && json_is_null(value)) &&
        !tokenizer_python_equals(value, has == NULL || json_is_true(has)))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected true or false", path, keys[i]);
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_class_settings(const tokenizer_class *class,
                                    const tokenizer_settings *settings, const json_t *root,
                                    cdl_tokenizer *tokenizer)
{
  const char *path;
  bool pads_left = false, types = true;
  CDL_TRY(refuse(settings, root == NULL));
  CDL_TRY(side(settings, "padding_side", &pads_left)); /* nothing is padded here */
  const char *stored =
      json_string_value(json_object_get(json_object_get(root, "truncation"), "direction"));
  tokenizer->truncates_left = stored != NULL && strcmp(stored, "Left") == 0 && class->prefix;
  CDL_TRY(side(settings, "truncation_side", &tokenizer->truncates_left));
  const json_t *split = tokenizer_setting(settings, "split_special_tokens", &path);
  if (split != NULL && !json_is_boolean(split))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"split_special_tokens\": expected true or false", path);
  tokenizer->splits_special = json_is_true(split);
  CDL_TRY(given_types(class, settings, &types));
  tokenizer->types_zero = !types;
  return class->processor_flags && root != NULL ? check_processor(settings, root) : CDL_STATUS_OK;
}

/* ---- What replaces the file's ---- */

cdl_status tokenizer_class_prefix(const tokenizer_class *class, const tokenizer_settings *settings,
                                  const char *path, json_t *root)
{
  json_t *section = json_object_get(root, "pre_tokenizer");
  const char *type = json_string_value(json_object_get(section, "type")), *said;
  const json_t *value = tokenizer_setting(settings, "add_prefix_space", &said);
  /* A value that is not a flag cannot be set, and Transformers catches that error. */
  if (!class->prefix || type == NULL || strcmp(type, "ByteLevel") != 0 ||
      (value != NULL && !json_is_boolean(value)))
    return CDL_STATUS_OK;
  json_t *flag = json_boolean(value != NULL && json_is_true(value));
  if (json_object_set_new(section, "add_prefix_space", flag) != 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for a setting", path);
  return CDL_STATUS_OK;
}

static cdl_status expect_flag(const char *path, const char *key, const json_t *value, bool nullable)
{
  if (value == NULL || json_is_boolean(value) || (nullable && json_is_null(value)))
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected true or false%s", path, key,
                  nullable ? " or null" : "");
}

typedef struct {
  const json_t *lower, *strip, *ideographs;
  const char *lower_path, *strip_path, *ideographs_path;
} bert_settings;

static bert_settings bert_settings_of(const tokenizer_settings *settings)
{
  bert_settings s;
  s.lower = tokenizer_setting(settings, "do_lower_case", &s.lower_path);
  s.strip = tokenizer_setting(settings, "strip_accents", &s.strip_path);
  s.ideographs = tokenizer_setting(settings, "tokenize_chinese_chars", &s.ideographs_path);
  return s;
}

static bool same_flag(const json_t *value, bool flag)
{
  return value != NULL ? tokenizer_python_equals(value, flag) : flag;
}

static cdl_status set_bert(const bert_settings *s, bool ideographs,
                           tokenizer_bert_normalizer *normalizer)
{
  CDL_TRY(expect_flag(s->lower_path, "do_lower_case", s->lower, false));
  CDL_TRY(expect_flag(s->strip_path, "strip_accents", s->strip, true));
  normalizer->lowercase = s->lower == NULL || json_is_true(s->lower);
  normalizer->strip_as_lowercase = s->strip == NULL || json_is_null(s->strip);
  normalizer->strip_accents = json_is_true(s->strip);
  if (!ideographs)
    return CDL_STATUS_OK;
  CDL_TRY(expect_flag(s->ideographs_path, "tokenize_chinese_chars", s->ideographs, false));
  normalizer->handle_chinese_chars = s->ideographs == NULL || json_is_true(s->ideographs);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_class_normalizer(const tokenizer_class *class,
                                      const tokenizer_settings *settings,
                                      tokenizer_bert_normalizer *normalizer)
{
  const bert_settings s = bert_settings_of(settings);
  const bool strips_the_same =
      s.strip == NULL || json_is_null(s.strip)
          ? normalizer->strip_as_lowercase
          : !normalizer->strip_as_lowercase &&
                tokenizer_python_equals(s.strip, normalizer->strip_accents);
  if (same_flag(s.lower, normalizer->lowercase) && strips_the_same &&
      (!class->ideographs || same_flag(s.ideographs, normalizer->handle_chinese_chars)))
    return CDL_STATUS_OK;
  return set_bert(&s, class->ideographs, normalizer);
}

cdl_status tokenizer_class_slow(const tokenizer_class *class, const tokenizer_settings *settings,
                                cdl_tokenizer *tokenizer)
{
  const char *path;
  if (class->lowers) {
    const json_t *basic = tokenizer_setting(settings, "do_basic_tokenize", &path);
    tokenizer->normalizer = (tokenizer_bert_normalizer){.present = true, .clean_text = true};
    if (basic != NULL && !tokenizer_python_truth(basic))
      return CDL_STATUS_OK;
    const json_t *kept = tokenizer_setting(settings, "never_split", &path);
    if (json_is_boolean(kept) || json_is_number(kept))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"never_split\": expected a list or null", path);
    const bert_settings s = bert_settings_of(settings);
    return set_bert(&s, true, &tokenizer->normalizer);
  }
  if (class->files != TOKENIZER_FILES_MERGES)
    return CDL_STATUS_OK;
  const json_t *prefix = tokenizer_setting(settings, "add_prefix_space", &path);
  CDL_TRY(expect_flag(path, "add_prefix_space", prefix, false));
  tokenizer->bpe.add_prefix_space = json_is_true(prefix);
  const json_t *trim = tokenizer_setting(settings, "trim_offsets", &path);
  return trim != NULL && tokenizer_python_equals(trim, true)
             ? CDL_STATUS_OK
             : expect_flag(path, "trim_offsets", trim, false);
}
