/* Encodes what stdin holds with the C library, so that scripts can compare with other tokenizers.
 *   encode_lines MODEL_FOLDER            records in, records out
 *   encode_lines MODEL_FOLDER --time N   encodes all records N times; prints the processor time of
 *                                        the fastest round, then of opening, in seconds
 * A record in: bytes of the first text, of the second (ffffffff: no second), max_length, each
 * uint32; the texts. A record out: count, truncated, each uint32; ids, type ids, each int32. All in
 * the machine's byte order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "condlora/tokenizer.h"

typedef struct {
  char *data;
  size_t size, capacity;
} input;

static double now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int fail(const char *what)
{
  fprintf(stderr, "encode_lines: %s\n", what);
  return 1;
}

static int read_all(input *in)
{
  for (;;) {
    if (in->capacity - in->size < 65536) {
      const size_t capacity = 2 * in->capacity + 131072;
      char *data = realloc(in->data, capacity);
      if (data == NULL)
        return fail("out of memory");
      in->data = data;
      in->capacity = capacity;
    }
    const size_t count = fread(in->data + in->size, 1, in->capacity - in->size, stdin);
    in->size += count;
    if (count == 0)
      return ferror(stdin) != 0 ? fail("cannot read stdin") : 0;
  }
}

static int write_encoding(const cdl_encoding *encoding)
{
  const uint32_t head[2] = {(uint32_t)encoding->count, encoding->truncated};
  fwrite(head, sizeof head, 1, stdout);
  if (encoding->count != 0) {
    fwrite(encoding->ids, sizeof *encoding->ids, encoding->count, stdout);
    fwrite(encoding->type_ids, sizeof *encoding->type_ids, encoding->count, stdout);
  }
  return ferror(stdout) != 0 ? fail("cannot write stdout") : 0;
}

static int encode_all(const cdl_tokenizer *tokenizer, const input *in, cdl_encoding *encoding,
                      int print)
{
  for (size_t at = 0; at < in->size;) {
    uint32_t head[3];
    if (in->size - at < sizeof head)
      return fail("a record is cut");
    memcpy(head, in->data + at, sizeof head);
    at += sizeof head;
    const int pair = head[1] != UINT32_MAX;
    const size_t second_bytes = pair ? head[1] : 0;
    if (in->size - at < head[0] || in->size - at - head[0] < second_bytes)
      return fail("a record is cut");
    const char *first = in->data + at, *second = pair ? first + head[0] : NULL;
    if (cdl_tokenizer_encode(tokenizer, first, head[0], second, second_bytes, head[2], encoding) !=
        CDL_STATUS_OK)
      return fail(cdl_error_message());
    if (print && write_encoding(encoding) != 0)
      return 1;
    at += head[0] + second_bytes;
  }
  return 0;
}

static int time_all(const cdl_tokenizer *tokenizer, const input *in, cdl_encoding *encoding,
                    long rounds)
{
  double best = 1e30;
  for (long round = 0; round < rounds; round++) {
    const double begin = now();
    if (encode_all(tokenizer, in, encoding, 0) != 0)
      return 1;
    const double took = now() - begin;
    best = took < best ? took : best;
  }
  printf("%.9f", best);
  return 0;
}

int main(int argc, char **argv)
{
  const int timing = argc == 4 && strcmp(argv[2], "--time") == 0;
  if (argc != 2 && !timing)
    return fail("usage: encode_lines MODEL_FOLDER [--time ROUNDS] < records");
  cdl_tokenizer *tokenizer = NULL;
  const double begin = now();
  if (cdl_tokenizer_open(argv[1], &tokenizer) != CDL_STATUS_OK)
    return fail(cdl_error_message());
  const double opened = now() - begin;
  input in = {0};
  cdl_encoding encoding = {0};
  int status = read_all(&in);
  if (status == 0)
    status = timing ? time_all(tokenizer, &in, &encoding, strtol(argv[3], NULL, 10))
                    : encode_all(tokenizer, &in, &encoding, 1);
  if (status == 0 && timing)
    printf(" %.9f\n", opened);
  cdl_encoding_release(&encoding);
  cdl_tokenizer_close(tokenizer);
  free(in.data);
  return status;
}
