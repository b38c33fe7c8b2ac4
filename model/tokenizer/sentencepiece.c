/* sentencepiece.bpe.model: SentencePiece's own file, which holds a unigram model despite its name.
 * It is a message in the wire format of protocol buffers, with the field numbers of
 * sentencepiece_model.proto. */
#include <stdlib.h>

#include "base/file.h"
#include "base/utf8.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/parts.h"

/* ---- The wire format ---- */

typedef enum { WIRE_NUMBER = 0, WIRE_EIGHT_BYTES = 1, WIRE_BYTES = 2, WIRE_FOUR_BYTES = 5 } wire;

typedef struct {
  const uint8_t *at, *end;
} message;

typedef struct {
  uint64_t number;
  wire type;
  uint64_t value; /* of NUMBER and FOUR_BYTES */
  message bytes;  /* of BYTES */
} field;

static bool read_number(message *m, uint64_t *value)
{
  *value = 0;
  for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
    const uint8_t byte = *m->at++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

static bool read_value(message *m, field *f)
{
  uint64_t length = 0;
  const size_t left = (size_t)(m->end - m->at);
  switch (f->type) {
  case WIRE_NUMBER:
    return read_number(m, &f->value);
  case WIRE_BYTES:
    if (!read_number(m, &length) || length > (size_t)(m->end - m->at))
      return false;
    f->bytes = (message){.at = m->at, .end = m->at + length};
    break;
  case WIRE_FOUR_BYTES:
    length = 4;
    if (left < length)
      return false;
    f->value =
        m->at[0] | (uint32_t)m->at[1] << 8 | (uint32_t)m->at[2] << 16 | (uint32_t)m->at[3] << 24;
    break;
  case WIRE_EIGHT_BYTES:
    length = 8;
    if (left < length)
      return false;
    break;
  default:
    return false;
  }
  m->at += length;
  return true;
}

/* Reads the next field. *ok becomes false, and stays so, if the message is damaged. */
static bool next_field(message *m, field *f, bool *ok)
{
  uint64_t key = 0;
  if (!*ok || m->at == m->end)
    return false;
  *ok = read_number(m, &key) && key >> 3 != 0;
  if (!*ok)
    return false;
  *f = (field){.number = key >> 3, .type = (wire)(key & 7)};
  *ok = read_value(m, f);
  return *ok;
}

/* ---- Pieces ---- */

typedef struct {
  message text;
  float score;
  uint64_t kind;
} piece;

enum { PIECE_NORMAL = 1, PIECE_CONTROL = 3, PIECE_USER_DEFINED = 4 };

typedef struct {
  const char *path;
  cdl_tokenizer *tokenizer;
  base_bytes text; /* of a piece, with a NUL */
  size_t piece_count;
} loading;

static cdl_status broken(const loading *l, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: %s: not a SentencePiece model: a field is cut or malformed",
                  l->path, what);
}

static cdl_status read_piece(loading *l, message m, piece *p)
{
  *p = (piece){.kind = PIECE_NORMAL};
  bool ok = true;
  field f;
  while (next_field(&m, &f, &ok)) {
    if (f.number == 1 && f.type == WIRE_BYTES)
      p->text = f.bytes;
    if (f.number == 2 && f.type == WIRE_FOUR_BYTES) {
      const uint32_t bits = (uint32_t)f.value;
      memcpy(&p->score, &bits, sizeof p->score);
    }
    if (f.number == 3 && f.type == WIRE_NUMBER)
      p->kind = f.value;
  }
  if (!ok)
    return broken(l, "pieces");
  const size_t bytes = (size_t)(p->text.end - p->text.at);
  if (bytes == 0 || base_utf8_well_formed(p->text.at, bytes) != bytes ||
      memchr(p->text.at, '\0', bytes) != NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: piece %zu: expected a text in UTF-8 without NUL", l->path,
                    l->piece_count + 1);
  l->text.count = 0;
  CDL_TRY(base_bytes_append(&l->text, p->text.at, bytes));
  CDL_TRY(base_bytes_append(&l->text, "", 1));
  l->piece_count++;
  return CDL_STATUS_OK;
}

static cdl_status add_piece(const loading *l, const char *text, double score)
{
  return cdl_context(tokenizer_unigram_add(l->tokenizer, text, strlen(text), score), "%s", l->path);
}

/* fairseq's pieces, and the number of the file's first pieces that they replace. XLM-RoBERTa's four
 * replace <unk>, <s> and </s>. CamemBERT's five replace <unk>, whose copy must not be chosen. */
static const struct {
  const char *pieces[5];
  size_t piece_count, replaced;
} fairseq_pieces[] = {[TOKENIZER_FAIRSEQ_XLM_ROBERTA] = {{"<s>", "<pad>", "</s>", "<unk>"}, 4, 3},
                      [TOKENIZER_FAIRSEQ_CAMEMBERT] = {
                          {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"}, 5, 1}};

static cdl_status add_pieces(loading *l, tokenizer_fairseq fairseq, message m)
{
  enum { UNKNOWN = 3, UNCHOSEN = 4 };
  const double unchosen_score = -100;
  const size_t replaced = fairseq_pieces[fairseq].replaced;
  for (size_t i = 0; i < fairseq_pieces[fairseq].piece_count; i++)
    CDL_TRY(add_piece(l, fairseq_pieces[fairseq].pieces[i], i == UNCHOSEN ? unchosen_score : 0));
  l->tokenizer->unigram.unknown = UNKNOWN;
  bool ok = true;
  field f;
  piece p;
  while (next_field(&m, &f, &ok))
    if (f.number == 1 && f.type == WIRE_BYTES) {
      CDL_TRY(read_piece(l, f.bytes, &p));
      if (l->piece_count > replaced)
        CDL_TRY(add_piece(l, (const char *)l->text.data, (double)p.score));
    }
  if (!ok)
    return broken(l, "the file");
  if (l->piece_count <= replaced)
    return cdl_fail(CDL_STATUS_DATA, "%s: not a SentencePiece model: expected more than %zu pieces",
                    l->path, replaced);
  return add_piece(l, "<mask>", 0);
}

/* Adds control symbols, and the symbols that the trainer was given. */
static cdl_status add_tokens(loading *l, message m)
{
  bool ok = true;
  field f;
  piece p;
  l->piece_count = 0;
  while (next_field(&m, &f, &ok)) {
    if (f.number != 1 || f.type != WIRE_BYTES)
      continue;
    CDL_TRY(read_piece(l, f.bytes, &p));
    if (p.kind != PIECE_CONTROL && p.kind != PIECE_USER_DEFINED)
      continue;
    const tokenizer_added_token token = {.content = (char *)l->text.data,
                                         .bytes = l->text.count - 1,
                                         .special = p.kind == PIECE_CONTROL};
    CDL_TRY(cdl_context(tokenizer_added_add(l->tokenizer, &token, -1), "%s", l->path));
  }
  return CDL_STATUS_OK;
}

/* ---- Normalizer ---- */

static cdl_status check_trainer(const loading *l, message m)
{
  enum { UNIGRAM = 1 };
  bool ok = true;
  field f;
  while (next_field(&m, &f, &ok))
    if (f.number == 3 && f.type == WIRE_NUMBER && f.value != UNIGRAM)
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "%s: a SentencePiece model of type %llu, expected a unigram model", l->path,
                      (unsigned long long)f.value);
  return ok ? CDL_STATUS_OK : broken(l, "trainer_spec");
}

static cdl_status read_charsmap(const loading *l, message m)
{
  bool ok = true;
  field f;
  message found = {0};
  while (next_field(&m, &f, &ok))
    if (f.number == 2 && f.type == WIRE_BYTES)
      found = f.bytes;
  if (!ok)
    return broken(l, "normalizer_spec");
  if (found.at == found.end)
    return CDL_STATUS_OK;
  if (l->tokenizer->normal_steps.count > 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: expected one precompiled_charsmap, found two", l->path);
  tokenizer_normal_step *step;
  CDL_TRY(tokenizer_normalizer_add(&l->tokenizer->normal_steps, &step));
  step->kind = TOKENIZER_NORMAL_CHARSMAP;
  return cdl_context(
      tokenizer_charsmap_read(found.at, (size_t)(found.end - found.at), &step->charsmap),
      "%s: precompiled_charsmap", l->path);
}

/* Adds the steps that Transformers makes of the file: charsmap, no spaces at the end, one space for
 * several. */
static cdl_status add_normalizer(const loading *l, message m)
{
  bool ok = true;
  field f;
  while (next_field(&m, &f, &ok)) {
    if (f.number == 2 && f.type == WIRE_BYTES)
      CDL_TRY(check_trainer(l, f.bytes));
    if (f.number == 3 && f.type == WIRE_BYTES)
      CDL_TRY(read_charsmap(l, f.bytes));
  }
  static const char space[] = "▁";
  tokenizer_cut_step *cut;
  CDL_TRY(tokenizer_pre_tokenizer_add(&l->tokenizer->pre_tokenizer, TOKENIZER_CUT_METASPACE, &cut));
  memcpy(cut->metaspace.space, space, sizeof space);
  cut->metaspace.space_bytes = sizeof space - 1;
  cut->metaspace.prepend = TOKENIZER_PREPEND_ALWAYS;
  cut->metaspace.split = true;
  tokenizer_normal_step *step;
  CDL_TRY(tokenizer_normalizer_add(&l->tokenizer->normal_steps, &step));
  step->kind = TOKENIZER_NORMAL_STRIP;
  step->right = true;
  CDL_TRY(tokenizer_normalizer_add(&l->tokenizer->normal_steps, &step));
  step->kind = TOKENIZER_NORMAL_REPLACE;
  step->repeated = true;
  return tokenizer_normal_step_texts(step, "  ", space);
}

/* ---- The file ---- */

static cdl_status read_model(loading *l, tokenizer_fairseq fairseq, message m)
{
  CDL_TRY(add_pieces(l, fairseq, m));
  CDL_TRY(add_normalizer(l, m));
  CDL_TRY(tokenizer_unigram_prepare(l->tokenizer));
  return add_tokens(l, m);
}

cdl_status tokenizer_load_sentencepiece(const char *path, tokenizer_fairseq fairseq,
                                        cdl_tokenizer *tokenizer)
{
  tokenizer->kind = TOKENIZER_MODEL_UNIGRAM;
  loading l = {.path = path, .tokenizer = tokenizer};
  base_mapping file;
  CDL_TRY(base_file_map(path, &file));
  const message m = {.at = file.data, .end = file.data + file.size};
  const cdl_status status = read_model(&l, fairseq, m);
  base_file_unmap(&file);
  free(l.text.data);
  return status;
}
