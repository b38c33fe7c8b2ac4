/* attention-probe: attention and its gradient in BF16, for attention_sdpa.py, on the first device
 * of `cuda`. Numbers come and go in the machine's own byte order: from standard input int32 heads,
 * depth, sequences and their lengths, float32 scale, BF16 qkv [tokens, 3 · heads · depth] and d_out
 * [tokens, heads · depth]; to standard output BF16 out and d_qkv. Exit status 77: there is no
 * device. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "condlora/condlora.h"

static void get(void *x, size_t bytes)
{
  if (fread(x, 1, bytes, stdin) != bytes) {
    fprintf(stderr, "standard input ends too early\n");
    exit(2);
  }
}

static void *get_new(size_t bytes)
{
  void *x = malloc(bytes + 1);
  if (x == NULL)
    exit(1);
  get(x, bytes);
  return x;
}

static void must(cdl_status status)
{
  if (status == CDL_STATUS_OK)
    return;
  fprintf(stderr, "%s\n", cdl_error_message());
  exit(status == CDL_STATUS_ABSENT ? 77 : 1);
}

typedef struct {
  int32_t heads, depth, sequences;
  float scale;
  int32_t *offsets;
} shape;

/* Reads the sizes; returns the longest length. */
static int32_t get_shape(shape *s)
{
  int32_t longest = 0;
  get(&s->heads, sizeof s->heads);
  get(&s->depth, sizeof s->depth);
  get(&s->sequences, sizeof s->sequences);
  s->offsets = malloc((size_t)(s->sequences + 1) * sizeof *s->offsets);
  if (s->offsets == NULL)
    exit(1);
  s->offsets[0] = 0;
  for (int32_t i = 0; i < s->sequences; i++) {
    int32_t length;
    get(&length, sizeof length);
    s->offsets[i + 1] = s->offsets[i] + length;
    longest = length > longest ? length : longest;
  }
  get(&s->scale, sizeof s->scale);
  return longest;
}

/* Pieces of one buffer, each at a multiple of 16 bytes. */
static cdl_tensor take(cdl_buffer *buffer, int64_t *used, cdl_dtype dtype, int64_t rows,
                       int64_t columns)
{
  const int64_t bytes = dtype == CDL_DTYPE_BF16 ? 2 : 4;
  const cdl_tensor x = cdl_tensor_2d(buffer, dtype, *used / bytes, rows, columns);
  *used += (rows * columns * bytes + 15) / 16 * 16;
  return x;
}

static void run(cdl_queue *queue, cdl_buffer *buffer, const shape *s, int32_t longest)
{
  const int64_t tokens = s->offsets[s->sequences], width = (int64_t)s->heads * s->depth;
  int64_t used = 0;
  const cdl_tensor qkv = take(buffer, &used, CDL_DTYPE_BF16, tokens, 3 * width);
  const cdl_tensor out = take(buffer, &used, CDL_DTYPE_BF16, tokens, width);
  const cdl_tensor d_qkv = take(buffer, &used, CDL_DTYPE_BF16, tokens, 3 * width);
  const cdl_tensor d_out = take(buffer, &used, CDL_DTYPE_BF16, tokens, width);
  const cdl_tensor log_sum = take(buffer, &used, CDL_DTYPE_F32, s->heads, tokens);
  const cdl_packing packing = {.offsets =
                                   cdl_tensor_1d(buffer, CDL_DTYPE_I32, used / 4, s->sequences + 1),
                               .host_offsets = s->offsets,
                               .sequences = s->sequences,
                               .tokens = (int32_t)tokens,
                               .longest = longest};
  const size_t bytes = (size_t)(tokens * width) * sizeof(uint16_t);
  uint16_t *large = get_new(3 * bytes), *small = get_new(bytes);
  cdl_queue_upload(queue, packing.offsets, s->offsets,
                   (size_t)(s->sequences + 1) * sizeof *s->offsets);
  cdl_queue_upload(queue, qkv, large, 3 * bytes);
  cdl_queue_upload(queue, d_out, small, bytes);
  cdl_attention(queue, CDL_ARGS(attention, .out = out, .qkv = qkv, .log_sum = log_sum,
                                .packing = &packing, .heads = s->heads, .scale = s->scale));
  cdl_attention_grad(queue, CDL_ARGS(attention_grad, .d_qkv = d_qkv, .d_out = d_out, .qkv = qkv,
                                     .log_sum = log_sum, .packing = &packing, .heads = s->heads,
                                     .scale = s->scale, .out = out));
  cdl_queue_download(queue, small, out, bytes);
  cdl_queue_download(queue, large, d_qkv, 3 * bytes);
  must(cdl_queue_sync(queue));
  fwrite(small, 1, bytes, stdout);
  fwrite(large, 1, 3 * bytes, stdout);
  free(large);
  free(small);
}

int main(void)
{
  enum { BUFFER_BYTES = 1 << 26 };
  shape s;
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  cdl_backend_options options = cdl_backend_options_init();
  options.precision = CDL_PRECISION_BF16;
  const int32_t longest = get_shape(&s);
  must(cdl_backend_open("cuda", &options, &backend));
  must(cdl_queue_create(backend, &queue));
  must(cdl_buffer_create(backend, BUFFER_BYTES, &buffer));
  run(queue, buffer, &s, longest);
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  cdl_backend_close(backend);
  free(s.offsets);
  return fflush(stdout) == 0 ? 0 : 1;
}
