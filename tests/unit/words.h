/* A small WordPiece vocabulary and sentences of its words, whose ids a test can work out. */
#ifndef CONDLORA_TESTS_UNIT_WORDS_H
#define CONDLORA_TESTS_UNIT_WORDS_H

#include "condlora/tokenizer.h"
#include "tests/unit/scratch.h"

enum { WORDS_UNKNOWN = 1, WORDS_CLS = 2, WORDS_SEP = 3, WORDS_FIRST = 5, WORDS_COUNT = 26 };

/* Word w is "qa", "qb", …; its id WORDS_FIRST + w. */
static inline cdl_tokenizer *words_open(void)
{
  char text[512] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (int w = 0; w < WORDS_COUNT; w++)
    sprintf(text + strlen(text), "q%c\n", 'a' + w);
  scratch_put_text(scratch_path("vocab.txt"), text);
  scratch_put_text(scratch_path("tokenizer_config.json"),
                   "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": true}");
  cdl_tokenizer *tokenizer;
  expect_ok(cdl_tokenizer_open(scratch_folder, &tokenizer));
  return tokenizer;
}

/* Words of text number `which` of sentence i, made up so that lengths and words vary. */
static inline size_t words_length(size_t i, size_t which)
{
  return which == 0 ? 1 + i * 13 % 29 : 1 + i * 7 % 11;
}

static inline int words_word(size_t i, size_t which, size_t k)
{
  return (int)((i * 31 + which * 17 + k * k * 5 + k) % WORDS_COUNT);
}

/* Writes a TSV file of `count` rows, columns "first", "second" and "kind"; kind is "even" or "odd".
 */
static inline void words_write(const char *path, size_t count)
{
  FILE *stream = fopen(path, "wb");
  ck_assert_ptr_nonnull(stream);
  fprintf(stream, "first\tsecond\tkind\n");
  for (size_t i = 0; i < count; i++) {
    for (size_t which = 0; which < 2; which++) {
      for (size_t k = 0; k < words_length(i, which); k++)
        fprintf(stream, "%sq%c", k == 0 ? "" : " ", 'a' + words_word(i, which, k));
      fputc('\t', stream);
    }
    fprintf(stream, "%s\n", i % 2 == 0 ? "even" : "odd");
  }
  ck_assert_int_eq(fclose(stream), 0);
}

#endif
