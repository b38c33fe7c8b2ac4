/* The files of a folder that make its tokenizer, and their order: the file's own parts, then the
 * tokens that its class adds, and last the class's changes of the file's normalizer. */
#include <stdlib.h>

#include "base/json.h"
#include "base/path.h"
#include "model/tokenizer/class.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/specials.h"

typedef struct {
  const char *folder;
  const tokenizer_settings *settings;
  const tokenizer_class *class;
  cdl_tokenizer *tokenizer;
  char *json_path;
  json_t *root; /* tokenizer.json; NULL if there is none */
  tokenizer_special_tokens specials;
} loading;

static const char *const vocabulary_names[] = {[TOKENIZER_FILES_LINES] = "vocab.txt",
                                               [TOKENIZER_FILES_MERGES] = "vocab.json",
                                               [TOKENIZER_FILES_SENTENCEPIECE] =
                                                   "sentencepiece.bpe.model"};

/* Added tokens are searched in the form that the file's normalizer gives them: Transformers changes
 * the normalizer only afterwards, and does not update them. `lowers`: the class may change the
 * normalizer. */
static cdl_status finish(const loading *l, bool lowers)
{
  CDL_TRY(tokenizer_settle_normalizer(l->tokenizer));
  CDL_TRY(cdl_context(tokenizer_added_prepare(l->tokenizer), "%s", l->folder));
  if (lowers)
    CDL_TRY(tokenizer_class_normalizer(l->class, l->settings, &l->tokenizer->normalizer));
  return tokenizer_settle_normalizer(l->tokenizer);
}

/* ---- tokenizer.json ---- */

static cdl_status load_json(loading *l)
{
  const json_t *normalizer = json_object_get(l->root, "normalizer");
  const char *type = json_string_value(json_object_get(normalizer, "type"));
  CDL_TRY(tokenizer_class_settings(l->class, l->settings, l->root, l->tokenizer));
  CDL_TRY(tokenizer_class_prefix(l->class, l->settings, l->json_path, l->root));
  CDL_TRY(tokenizer_load_json(l->json_path, l->root, l->tokenizer));
  if (l->class->lowers && type == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"normalizer\": there is none, which a %s has to have",
                    l->json_path, l->class->name);
  CDL_TRY(tokenizer_special_tokens_read(l->class, l->settings, false, l->json_path, l->root,
                                        &l->specials));
  CDL_TRY(tokenizer_special_tokens_add(&l->specials, l->tokenizer));
  return finish(l, l->class->lowers && strcmp(type, "BertNormalizer") == 0);
}

/* ---- The files of the slow class ---- */

static cdl_status load_vocabulary(const loading *l, const char *path)
{
  if (l->class->files == TOKENIZER_FILES_LINES)
    return tokenizer_load_wordpiece(path, l->specials.roles[TOKENIZER_ROLE_UNK].text, l->tokenizer);
  if (l->class->files == TOKENIZER_FILES_SENTENCEPIECE)
    return tokenizer_load_sentencepiece(path,
                                        l->class->offset_by_four ? TOKENIZER_FAIRSEQ_CAMEMBERT
                                                                 : TOKENIZER_FAIRSEQ_XLM_ROBERTA,
                                        l->tokenizer);
  char *merges = base_path_join(l->folder, "merges.txt");
  if (merges == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a path");
  const cdl_status status = tokenizer_load_bpe(path, merges, l->tokenizer);
  free(merges);
  return status;
}

/* The token before or after each text. Classes that read SentencePiece's files always have these
 * two. */
static const char *frame_text(const loading *l, tokenizer_token_role role)
{
  if (l->class->files == TOKENIZER_FILES_SENTENCEPIECE)
    return role == TOKENIZER_ROLE_CLS ? "<s>" : "</s>";
  return l->specials.roles[role].text;
}

/* If the files lack such a token, Transformers gives it a new id; no model knows that id, so it is
 * an error here. */
static cdl_status check_frame(const loading *l, const char *path, tokenizer_token_role role)
{
  const char *text = frame_text(l, role);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"cls_token\" and \"sep_token\" must be named, not null",
                    l->settings->config_path);
  if (tokenizer_vocabulary_find(&l->tokenizer->vocabulary, text, strlen(text)) < 0 &&
      tokenizer_vocabulary_find(&l->specials.listed_names, text, strlen(text)) < 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: the special token \"%.64s\" is not in the vocabulary",
                    path, text);
  return CDL_STATUS_OK;
}

/* The slow class uses the id in the list of added tokens, the fast one the id that it gives: if
 * they differ, one of them is wrong. */
static cdl_status frame_id(const loading *l, const char *path, tokenizer_token_role role,
                           int32_t *id)
{
  const char *text = frame_text(l, role);
  *id = tokenizer_find(l->tokenizer, text, strlen(text));
  CDL_TRY(tokenizer_template_check(l->tokenizer, path, text, *id));
  const int32_t place = tokenizer_vocabulary_find(&l->specials.listed_names, text, strlen(text));
  if (place >= 0 && l->specials.listed[place].id != *id)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: token \"%.64s\" is said to have id %lld, but its id is %d", path, text,
                    l->specials.listed[place].id, (int)*id);
  return CDL_STATUS_OK;
}

/* CamemBERT's slow class makes tokens of these two before anything else. */
static cdl_status check_named(const loading *l)
{
  static const tokenizer_token_role roles[] = {TOKENIZER_ROLE_PAD, TOKENIZER_ROLE_UNK};
  for (size_t i = 0; l->class->offset_by_four && i < 2; i++)
    if (l->specials.roles[roles[i]].text == NULL)
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" must be named, not null",
                      l->settings->config_path, tokenizer_token_role_key(roles[i]));
  return CDL_STATUS_OK;
}

static cdl_status load_files(loading *l, const char *path)
{
  int32_t begin = -1, end = -1;
  tokenizer_template *pair = &l->tokenizer->pair;
  CDL_TRY(tokenizer_class_settings(l->class, l->settings, NULL, l->tokenizer));
  CDL_TRY(tokenizer_special_tokens_read(l->class, l->settings, true, l->json_path, l->root,
                                        &l->specials));
  CDL_TRY(check_named(l));
  CDL_TRY(load_vocabulary(l, path));
  CDL_TRY(tokenizer_class_slow(l->class, l->settings, l->tokenizer));
  CDL_TRY(check_frame(l, path, TOKENIZER_ROLE_CLS));
  CDL_TRY(check_frame(l, path, TOKENIZER_ROLE_SEP));
  CDL_TRY(tokenizer_special_tokens_add(&l->specials, l->tokenizer));
  CDL_TRY(frame_id(l, path, TOKENIZER_ROLE_CLS, &begin));
  CDL_TRY(frame_id(l, path, TOKENIZER_ROLE_SEP, &end));
  CDL_TRY(tokenizer_template_usual(l->tokenizer, l->class->doubled, begin, end));
  pair->pieces[pair->count - 2].type_id = l->class->second_type ? 1 : 0;
  pair->pieces[pair->count - 1].type_id = l->class->second_type ? 1 : 0;
  return finish(l, l->class->lowers);
}

/* ---- Which ---- */

static cdl_status exists(const char *folder, const char *name, bool *there)
{
  char *path = base_path_join(folder, name);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a path");
  *there = base_file_exists(path);
  free(path);
  return CDL_STATUS_OK;
}

/* Returns whether the class uses the slow one although there is a tokenizer.json. */
static cdl_status turns_slow(const loading *l, bool *slow)
{
  const char *path;
  const json_t *file = tokenizer_setting(l->settings, "tokenizer_file", &path);
  *slow = json_is_null(file) ||
          tokenizer_python_truth(tokenizer_setting(l->settings, "from_slow", &path));
  if (file != NULL && !json_is_null(file))
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"tokenizer_file\" names another file, but tokenizer.json is read", path);
  return CDL_STATUS_OK;
}

/* If nothing names a class, there is no config.json either, and the files decide. */
static cdl_status class_by_files(loading *l)
{
  static const tokenizer_vocabulary_files order[] = {TOKENIZER_FILES_MERGES, TOKENIZER_FILES_LINES,
                                                     TOKENIZER_FILES_SENTENCEPIECE};
  bool there = l->root != NULL;
  if (there)
    l->class = tokenizer_class_usual(TOKENIZER_FILES_NONE);
  for (size_t i = 0; !there && i < sizeof order / sizeof order[0]; i++) {
    CDL_TRY(exists(l->folder, vocabulary_names[order[i]], &there));
    l->class = tokenizer_class_usual(order[i]);
  }
  if (there)
    return CDL_STATUS_OK;
  return cdl_fail(
      CDL_STATUS_ABSENT,
      "%s: no tokenizer: expected tokenizer.json, vocab.json with merges.txt, vocab.txt, or "
      "sentencepiece.bpe.model",
      l->folder);
}

static cdl_status load(loading *l)
{
  bool slow = false, there = false;
  CDL_TRY(tokenizer_class_find(l->folder, l->settings, &l->class));
  l->json_path = base_path_join(l->folder, "tokenizer.json");
  if (l->json_path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a path");
  if (base_file_exists(l->json_path))
    CDL_TRY(base_json_read_repeated(l->json_path, &l->root));
  if (l->class == NULL)
    CDL_TRY(class_by_files(l));
  if (l->root != NULL)
    CDL_TRY(turns_slow(l, &slow));
  if (l->root != NULL && !slow)
    return load_json(l);
  const tokenizer_vocabulary_files files = l->class->files;
  if (files != TOKENIZER_FILES_NONE)
    CDL_TRY(exists(l->folder, vocabulary_names[files], &there));
  if (!there)
    return cdl_fail(CDL_STATUS_ABSENT, "%s: no tokenizer of class %s: expected %s%s%s", l->folder,
                    l->class->name, slow ? "" : "tokenizer.json",
                    slow || files == TOKENIZER_FILES_NONE ? "" : " or ",
                    files == TOKENIZER_FILES_NONE ? "" : vocabulary_names[files]);
  char *path = base_path_join(l->folder, vocabulary_names[files]);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a path");
  const cdl_status status = load_files(l, path);
  free(path);
  return status;
}

cdl_status tokenizer_load(const char *folder, cdl_tokenizer *tokenizer)
{
  tokenizer_settings settings = {0};
  loading l = {.folder = folder, .settings = &settings, .tokenizer = tokenizer};
  cdl_status status = tokenizer_settings_read(folder, &settings);
  if (status == CDL_STATUS_OK)
    status = load(&l);
  tokenizer_special_tokens_release(&l.specials);
  json_decref(l.root);
  free(l.json_path);
  tokenizer_settings_release(&settings);
  return status;
}
