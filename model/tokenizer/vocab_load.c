#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/tokenizer/parts.h"

/* ---- Lines ---- */

typedef struct {
  const char *text;
  size_t bytes;
  bool ended; /* by a line end */
} text_line;

/* Lines end with LF, CR LF or CR. False at the end of the file. */
static bool next_line(const base_mapping *file, size_t *at, text_line *line)
{
  if (*at == file->size)
    return false;
  const char *text = (const char *)file->data + *at;
  const size_t left = file->size - *at;
  size_t end = 0;
  while (end < left && text[end] != '\n' && text[end] != '\r')
    end++;
  *line = (text_line){.text = text, .bytes = end, .ended = end < left};
  *at += end;
  if (line->ended)
    *at += text[end] == '\r' && end + 1 < left && text[end + 1] == '\n' ? 2 : 1;
  return true;
}

/* ---- vocab.txt ---- */

/* A token's id is its line's number; of equal lines the last counts. */
static cdl_status read_vocabulary_lines(const char *path, const base_mapping *file,
                                        tokenizer_vocabulary *vocabulary)
{
  const size_t good = base_utf8_well_formed(file->data, file->size);
  size_t at = 0, number = 0;
  text_line line;
  base_bytes token = {0};
  cdl_status status = CDL_STATUS_OK;
  while (status == CDL_STATUS_OK && next_line(file, &at, &line)) {
    token.count = 0;
    if (good < at || memchr(line.text, '\0', line.bytes) != NULL)
      status = cdl_fail(CDL_STATUS_DATA, "%s:%zu: expected a token in UTF-8 without NUL", path,
                        number + 1);
    if (status == CDL_STATUS_OK)
      status = base_bytes_append(&token, line.text, line.bytes);
    if (status == CDL_STATUS_OK)
      status = base_bytes_append(&token, "", 1);
    if (status == CDL_STATUS_OK)
      status = cdl_context(tokenizer_vocabulary_put(vocabulary, (const char *)token.data,
                                                    line.bytes, (int64_t)number),
                           "%s:%zu", path, number + 1);
    number++;
  }
  free(token.data);
  if (status == CDL_STATUS_OK && number == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: no tokens", path);
  return status;
}

cdl_status tokenizer_load_wordpiece(const char *path, const char *unknown, cdl_tokenizer *tokenizer)
{
  base_mapping file;
  tokenizer->kind = TOKENIZER_MODEL_WORDPIECE;
  tokenizer->pre_kind = TOKENIZER_PRE_BERT;
  CDL_TRY(base_file_map(path, &file));
  const cdl_status status = read_vocabulary_lines(path, &file, &tokenizer->vocabulary);
  base_file_unmap(&file);
  CDL_TRY(status);
  /* For None, Transformers uses Python's text for None. */
  const char *name = unknown != NULL ? unknown : "None";
  const int32_t id = tokenizer_vocabulary_find(&tokenizer->vocabulary, name, strlen(name));
  return tokenizer_wordpiece_prepare(tokenizer, "##", 100, id < 0 ? TOKENIZER_UNKNOWN_MISSING : id);
}

/* ---- vocab.json and merges.txt ---- */

static cdl_status read_vocabulary_json(const char *path, tokenizer_vocabulary *vocabulary)
{
  json_t *root;
  CDL_TRY(base_json_read_repeated(path, &root));
  cdl_status status = CDL_STATUS_OK;
  const char *token;
  json_t *id;
  json_object_foreach(root, token, id)
  {
    status = json_is_integer(id)
                 ? cdl_context(tokenizer_vocabulary_add(vocabulary, token, strlen(token),
                                                        json_integer_value(id)),
                               "%s", path)
                 : cdl_fail(CDL_STATUS_DATA, "%s: token \"%.64s\": expected a whole number", path,
                            token);
    if (status != CDL_STATUS_OK)
      break;
  }
  json_decref(root);
  if (status == CDL_STATUS_OK && vocabulary->count == 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: no tokens", path);
  return status;
}

static cdl_status split_merge(const char *path, size_t number, const text_line *line,
                              tokenizer_merge_text *merge)
{
  const char *const end = line->text + line->bytes;
  const char *words[3] = {0};
  size_t bytes[3] = {0}, count = 0;
  for (const char *at = line->text; at < end && count < 3; count++) {
    while (at < end && (*at == ' ' || *at == '\t'))
      at++;
    words[count] = at;
    while (at < end && *at != ' ' && *at != '\t')
      at++;
    bytes[count] = (size_t)(at - words[count]);
    if (bytes[count] == 0)
      break;
  }
  if (count != 2)
    return cdl_fail(CDL_STATUS_DATA, "%s:%zu: expected two tokens", path, number);
  *merge = (tokenizer_merge_text){
      .left = words[0], .left_bytes = bytes[0], .right = words[1], .right_bytes = bytes[1]};
  return CDL_STATUS_OK;
}

/* As Transformers reads the file: the first line is the version, text after the last line end is no
 * merge, and of equal lines the first counts. */
static cdl_status read_merges(const char *path, const base_mapping *file, cdl_tokenizer *tokenizer)
{
  size_t at = 0, number = 0, count = 0, capacity = 0;
  tokenizer_merge_text *merges = NULL;
  text_line line;
  cdl_status status = CDL_STATUS_OK;
  while (status == CDL_STATUS_OK && next_line(file, &at, &line)) {
    if (number++ == 0 || !line.ended)
      continue;
    if (count == capacity) {
      capacity = 2 * capacity + 1024;
      status = base_grow(&merges, capacity, sizeof *merges);
    }
    if (status == CDL_STATUS_OK)
      status = split_merge(path, number, &line, &merges[count++]);
  }
  if (status == CDL_STATUS_OK)
    status = cdl_context(tokenizer_bpe_prepare(tokenizer, merges, count, false), "%s", path);
  free(merges);
  return status;
}

cdl_status tokenizer_load_bpe(const char *vocabulary, const char *merges, cdl_tokenizer *tokenizer)
{
  base_mapping file;
  tokenizer_cut_step *step;
  tokenizer->kind = TOKENIZER_MODEL_BPE;
  tokenizer->bpe.unknown = TOKENIZER_UNKNOWN_NONE;
  tokenizer->pre_kind = TOKENIZER_PRE_BYTE_LEVEL;
  CDL_TRY(tokenizer_pre_tokenizer_add(&tokenizer->pre_tokenizer, TOKENIZER_CUT_BYTES, &step));
  step->use_regex = true;
  CDL_TRY(read_vocabulary_json(vocabulary, &tokenizer->vocabulary));
  CDL_TRY(base_file_map(merges, &file));
  const cdl_status status = read_merges(merges, &file, tokenizer);
  base_file_unmap(&file);
  return status;
}
