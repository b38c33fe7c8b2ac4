/* What backend.h says of queues, buffers, weights and paths. */
#include <math.h>
#include <string.h>

#include "tests/conformance/suite.h"

#define EXPECT(t, condition, ...) \
  do {                            \
    if (!(condition)) {           \
      trial_fail(t, __VA_ARGS__); \
      return;                     \
    }                             \
  } while (0)

static void need_ok(trial *t, cdl_queue *queue, const char *what)
{
  const cdl_status status = cdl_queue_sync(queue);
  if (status != CDL_STATUS_OK)
    trial_fail(t, "%s: %s: %s", what, cdl_status_name(status), cdl_error_message());
}

/* ---- Queues ---- */

static void sticky_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *out = trial_operand(t, "out", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(3, 4), LAYOUT_DENSE);
  fill_normal(t, out, 1);
  if (!trial_upload(t))
    return;
  need_ok(t, t->queue, "upload");
  EXPECT(t, cdl_queue_status(t->queue) == CDL_STATUS_OK,
         "the status of a queue without an error is not OK");
  cdl_tensor beyond = out->view;
  beyond.offset = 1 << 20;
  cdl_fill(t->queue, CDL_ARGS(fill, .out = beyond, .value = 1));    /* the first error */
  cdl_fill(t->queue, CDL_ARGS(fill, .out = out->view, .value = 7)); /* skipped */
  cdl_gemm(t->queue, CDL_ARGS(gemm, .out = out->view)); /* wrong as well, and too late to be told */
  EXPECT(t, cdl_queue_status(t->queue) == CDL_STATUS_ARGUMENT, "the status of a failed queue is %s",
         cdl_status_name(cdl_queue_status(t->queue)));
  for (int i = 0; i < 2; i++) {
    const cdl_status status = cdl_queue_sync(t->queue);
    EXPECT(t, status == CDL_STATUS_ARGUMENT, "sync %d of a failed queue gives %s", i + 1,
           cdl_status_name(status));
    EXPECT(t, strstr(cdl_error_message(), "fill") != NULL,
           "sync %d does not give the first error: %s", i + 1, cdl_error_message());
  }
  cdl_queue *other = NULL;
  EXPECT(t, cdl_queue_create(t->backend, &other) == CDL_STATUS_OK,
         "no queue beside a failed one: %s", cdl_error_message());
  float values[12];
  cdl_queue_download(other, values, out->view, sizeof values);
  need_ok(t, other, "another queue");
  cdl_queue_destroy(other);
  for (int i = 0; i < 12; i++)
    EXPECT(t, (double)values[i] == out->value[i], "work after the first error was not skipped");
}

static void two_queues_case(trial *t, const void *parameters)
{
  (void)parameters;
  cdl_queue *other = NULL;
  EXPECT(t, cdl_queue_create(t->backend, &other) == CDL_STATUS_OK, "a second queue: %s",
         cdl_error_message());
  EXPECT(t, cdl_queue_backend(other) == t->backend, "a queue's backend is another");
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(64, 65), LAYOUT_DENSE);
  operand *one = trial_operand(t, "one", ROLE_OUT, CDL_DTYPE_F32, shape_2d(64, 64), LAYOUT_DENSE);
  operand *two = trial_operand(t, "two", ROLE_OUT, CDL_DTYPE_F32, shape_2d(64, 64), LAYOUT_DENSE);
  fill_normal(t, x, 1);
  static float a[64 * 64], b[64 * 64];
  if (trial_upload(t)) {
    need_ok(t, t->queue, "upload");
    for (int i = 0; i < 8; i++) { /* interleaved, each in its own order */
      const float scale = (float)(i + 1);
      cdl_gemm(t->queue, CDL_ARGS(gemm, .out = one->view, .a = x->view, .b = x->view,
                                  .transpose_b = true, .alpha = scale));
      cdl_gemm(other, CDL_ARGS(gemm, .out = two->view, .a = x->view, .b = x->view,
                               .transpose_b = true, .alpha = 9 - scale));
    }
    cdl_gemm(other, CDL_ARGS(gemm, .out = two->view, .a = x->view, .b = x->view,
                             .transpose_b = true, .alpha = 8));
    cdl_queue_download(t->queue, a, one->view, sizeof a);
    cdl_queue_download(other, b, two->view, sizeof b);
    need_ok(t, t->queue, "first queue");
    need_ok(t, other, "second queue");
    if (t->outcome != OUTCOME_FAIL && memcmp(a, b, sizeof a) != 0)
      trial_fail(t, "two queues give two results");
  }
  cdl_queue_destroy(other);
}

/* The host memory of an upload may be reused at once. */
static void upload_reuse_case(trial *t, const void *parameters)
{
  (void)parameters;
  enum { COUNT = 50000 };
  operand *o = trial_operand(t, "o", ROLE_OUT, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_DENSE);
  operand *copy = trial_operand(t, "copy", ROLE_OUT, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_DENSE);
  float *host = trial_memory(t, COUNT, sizeof *host), *back = trial_memory(t, COUNT, sizeof *back);
  if (t->outcome == OUTCOME_FAIL)
    return;
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < COUNT; i++)
      host[i] = (float)(i + round);
    cdl_queue_upload(t->queue, o->view, host, COUNT * sizeof *host);
    memset(host, 0xff, COUNT * sizeof *host);
    cdl_copy(t->queue, CDL_ARGS(copy, .out = copy->view, .x = o->view));
    cdl_queue_download(t->queue, back, copy->view, COUNT * sizeof *back);
    need_ok(t, t->queue, "upload, copy, download");
    for (int i = 0; i < COUNT && t->outcome != OUTCOME_FAIL; i++)
      EXPECT(t, back[i] == (float)(i + round), "element %d is %g after round %d", i,
             (double)back[i], round);
  }
}

typedef struct {
  const char *what;
  int64_t offset, size, stride;
  size_t bytes;
  bool download;
} transfer;

static void transfer_case(trial *t, const void *parameters)
{
  const transfer *p = parameters;
  operand *o = trial_operand(t, "o", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(4, 5), LAYOUT_DENSE);
  fill_normal(t, o, 1);
  if (!trial_upload(t))
    return;
  need_ok(t, t->queue, "upload");
  static char host[1 << 16];
  cdl_tensor view = o->view;
  view.offset += p->offset;
  view.size[3] += p->size;
  view.stride[2] += p->stride;
  if (p->download)
    cdl_queue_download(t->queue, host, view, p->bytes);
  else
    cdl_queue_upload(t->queue, view, host, p->bytes);
  const cdl_status status = cdl_queue_sync(t->queue);
  EXPECT(t, status == CDL_STATUS_ARGUMENT, "%s, not ARGUMENT", cdl_status_name(status));
  EXPECT(t, strstr(cdl_error_message(), p->download ? "download" : "upload") != NULL,
         "the message does not say what failed: %s", cdl_error_message());
}

/* ---- Buffers ---- */

static void destroy_busy_case(trial *t, const void *parameters)
{
  (void)parameters;
  enum { SIDE = 160 };
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(SIDE, SIDE), LAYOUT_DENSE);
  operand *y = trial_operand(t, "y", ROLE_OUT, CDL_DTYPE_F32, shape_2d(SIDE, SIDE), LAYOUT_DENSE);
  fill_normal(t, x, 1);
  float *first = trial_memory(t, SIDE * SIDE, sizeof *first),
        *last = trial_memory(t, SIDE * SIDE, sizeof *last);
  if (!trial_upload(t))
    return;
  for (int round = 0; round < 6; round++) {
    cdl_buffer *between = NULL;
    EXPECT(t, cdl_buffer_create(t->backend, SIDE * SIDE * sizeof(float), &between) == CDL_STATUS_OK,
           "buffer: %s", cdl_error_message());
    const cdl_tensor middle = cdl_tensor_2d(between, CDL_DTYPE_F32, 0, SIDE, SIDE);
    cdl_gemm(t->queue, CDL_ARGS(gemm, .out = middle, .a = x->view, .b = x->view, .alpha = 1));
    cdl_gemm(t->queue, CDL_ARGS(gemm, .out = y->view, .a = middle, .b = x->view, .alpha = 1));
    cdl_buffer_destroy(between); /* the queue may still be busy with it */
    cdl_queue_download(t->queue, round == 0 ? first : last, y->view, SIDE * SIDE * sizeof *first);
  }
  need_ok(t, t->queue, "work on destroyed buffers");
  EXPECT(t, memcmp(first, last, SIDE * SIDE * sizeof *first) == 0, "results differ between rounds");
}

static void memory_case(trial *t, const void *parameters)
{
  (void)parameters;
  cdl_memory_info before = {.size = sizeof before}, during = before, after = before;
  EXPECT(t, cdl_backend_memory(t->backend, &before) == CDL_STATUS_OK, "cdl_backend_memory: %s",
         cdl_error_message());
  cdl_buffer *buffer = NULL;
  EXPECT(t, cdl_buffer_create(t->backend, 1000003, &buffer) == CDL_STATUS_OK, "buffer: %s",
         cdl_error_message());
  const size_t bytes = cdl_buffer_bytes(buffer);
  const bool asked = cdl_backend_memory(t->backend, &during) == CDL_STATUS_OK;
  cdl_buffer_destroy(buffer);
  EXPECT(t, asked && cdl_backend_memory(t->backend, &after) == CDL_STATUS_OK,
         "cdl_backend_memory: %s", cdl_error_message());
  EXPECT(t, bytes == 1000003, "a buffer of 1000003 bytes says it has %zu", bytes);
  EXPECT(t, during.used_bytes >= before.used_bytes + 1000003, "a buffer is not counted");
  EXPECT(t, during.peak_bytes >= during.used_bytes, "the peak is below what is used");
  EXPECT(t, after.used_bytes == before.used_bytes, "a destroyed buffer is still counted");
  cdl_buffer_destroy(NULL);
  cdl_buffer *endless = NULL;
  const cdl_status status = cdl_buffer_create(t->backend, SIZE_MAX / 4, &endless);
  if (status == CDL_STATUS_OK)
    cdl_buffer_destroy(endless);
  EXPECT(t, status == CDL_STATUS_MEMORY, "a buffer larger than any memory gives %s",
         cdl_status_name(status));
}

static void close_case(trial *t, const void *parameters)
{
  (void)parameters;
  cdl_backend *second = NULL;
  cdl_status status = cdl_backend_open(t->suite->backend_name, NULL, &second);
  EXPECT(t, status == CDL_STATUS_OK, "the backend does not open twice: %s", cdl_error_message());
  cdl_buffer *buffer = NULL;
  cdl_queue *queue = NULL;
  status = cdl_buffer_create(second, 64, &buffer);
  EXPECT(t, status == CDL_STATUS_OK, "buffer: %s", cdl_error_message());
  status = cdl_queue_create(second, &queue);
  EXPECT(t, status == CDL_STATUS_OK, "queue: %s", cdl_error_message());
  status = cdl_backend_close(second);
  EXPECT(t, status == CDL_STATUS_ARGUMENT,
         "closing a backend with a live buffer and queue gives %s", cdl_status_name(status));
  cdl_queue_destroy(queue);
  cdl_buffer_destroy(buffer);
  status = cdl_backend_close(second);
  EXPECT(t, status == CDL_STATUS_OK, "closing it without any: %s", cdl_error_message());
}

/* Two backends' buffers do not mix. */
static void foreign_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_1d(8), LAYOUT_DENSE);
  fill_normal(t, x, 1);
  cdl_backend *second = NULL;
  cdl_buffer *buffer = NULL;
  cdl_status status = cdl_backend_open(t->suite->backend_name, NULL, &second);
  EXPECT(t, status == CDL_STATUS_OK, "the backend does not open twice: %s", cdl_error_message());
  status = cdl_buffer_create(second, 64, &buffer);
  if (status == CDL_STATUS_OK) {
    cdl_copy(t->queue,
             CDL_ARGS(copy, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 8), .x = x->view));
    status = cdl_queue_sync(t->queue);
    if (status != CDL_STATUS_ARGUMENT)
      trial_fail(t, "a buffer of another backend gives %s, not ARGUMENT", cdl_status_name(status));
    cdl_buffer_destroy(buffer);
  }
  status = cdl_backend_close(second);
  EXPECT(t, status == CDL_STATUS_OK, "close: %s", cdl_error_message());
}

/* ---- Weights ---- */

static void weight_update_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *sources[2] = {
      trial_operand(t, "first", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 9), LAYOUT_COLUMNS),
      trial_operand(t, "second", ROLE_IN, CDL_DTYPE_F32, shape_2d(4, 9), LAYOUT_ROWS)};
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(9, 9), LAYOUT_DENSE);
  operand *out = trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, shape_2d(9, 9), LAYOUT_DENSE);
  /* The identity: out is the weight's transpose, exactly, as BF16 holds such integers. */
  for (int64_t i = 0; i < 81; i++)
    x->value[i] = i % 10 == 0 ? 1 : 0;
  operand_settle(x);
  fill_integers(t, sources[0], -128, 128);
  fill_integers(t, sources[1], -128, 128);
  cdl_weight *weight = trial_weight(t, sources, 2);
  if (weight == NULL)
    return;
  EXPECT(t, cdl_weight_rows(weight) == 9 && cdl_weight_columns(weight) == 9,
         "the weight's size is not that of its sources stacked");
  float got[81];
  for (int round = 0; round < 2; round++) {
    if (round == 1) {
      fill_integers(t, sources[0], -128, 128);
      fill_integers(t, sources[1], -128, 128);
      trial_upload(t);
      cdl_weight_update(t->queue, weight);
    }
    cdl_linear(t->queue, CDL_ARGS(linear, .out = out->view, .x = x->view, .weight = weight));
    cdl_queue_download(t->queue, got, out->view, sizeof got);
    need_ok(t, t->queue, "linear");
    for (int64_t i = 0; i < 81 && t->outcome != OUTCOME_FAIL; i++) {
      const int64_t row = i % 9, column = i / 9; /* of the weight */
      const double want =
          row < 5 ? sources[0]->value[row * 9 + column] : sources[1]->value[(row - 5) * 9 + column];
      EXPECT(t, (double)got[i] == want, "weight[%lld, %lld] is %g, not %g, %s", (long long)row,
             (long long)column, (double)got[i], want,
             round == 0 ? "as created" : "after the update");
    }
  }
}

static void weight_refused_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *a = trial_operand(t, "a", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 9), LAYOUT_DENSE);
  operand *b = trial_operand(t, "b", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 8), LAYOUT_DENSE);
  operand *c = trial_operand(t, "c", ROLE_IN, CDL_DTYPE_F64, shape_2d(5, 9), LAYOUT_DENSE);
  if (t->outcome == OUTCOME_FAIL)
    return;
  const cdl_tensor widths[] = {a->view, b->view}, types[] = {a->view, c->view}, none[] = {{0}};
  const struct {
    const cdl_tensor *sources;
    size_t count;
    const char *what;
  } wrong[] = {{widths, 2, "of different widths"},
               {types, 2, "of different dtypes"},
               {none, 1, "absent"},
               {widths, 0, "not there"}};
  for (size_t i = 0; i < 4; i++) {
    cdl_weight *weight = NULL;
    cdl_queue *queue = NULL;
    EXPECT(t, cdl_queue_create(t->backend, &queue) == CDL_STATUS_OK, "queue: %s",
           cdl_error_message());
    const cdl_status status = cdl_weight_create(queue, wrong[i].sources, wrong[i].count, &weight);
    if (status == CDL_STATUS_OK)
      cdl_weight_destroy(weight);
    cdl_queue_destroy(queue);
    EXPECT(t, status == CDL_STATUS_ARGUMENT, "a weight with sources %s gives %s, not ARGUMENT",
           wrong[i].what, cdl_status_name(status));
  }
  cdl_weight_destroy(NULL);
}

/* ---- Names and counts ---- */

static void names_case(trial *t, const void *parameters)
{
  (void)parameters;
  for (int op = 0; op < CDL_OP_COUNT; op++)
    EXPECT(t, strcmp(cdl_op_name((cdl_op)op), op_find((cdl_op)op)->name) == 0,
           "op %d is called %s, not %s", op, cdl_op_name((cdl_op)op), op_find((cdl_op)op)->name);
  for (int path = CDL_PATH_NATIVE; path <= (int)CDL_PATH_NONE; path++)
    EXPECT(t, cdl_path_name((cdl_path)path)[0] != '\0', "path %d has no name", path);
  EXPECT(t,
         cdl_backend_name(t->backend)[0] != '\0' && cdl_backend_description(t->backend)[0] != '\0',
         "the backend has no name");
}

static void counts_case(trial *t, const void *parameters)
{
  (void)parameters;
  enum { CAPACITY = 512 };
  cdl_path_count *before = trial_memory(t, CAPACITY, sizeof *before),
                 *after = trial_memory(t, CAPACITY, sizeof *after);
  operand *out = trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_I32, shape_1d(4), LAYOUT_DENSE);
  if (t->outcome == OUTCOME_FAIL)
    return;
  const size_t known = cdl_path_counts(t->backend, before, CAPACITY);
  for (int i = 0; i < 3; i++)
    cdl_fill(t->queue, CDL_ARGS(fill, .out = out->view, .value = 1));
  need_ok(t, t->queue, "fill");
  const size_t now = cdl_path_counts(t->backend, after, CAPACITY);
  uint64_t calls = 0;
  for (size_t i = 0; i < now && i < CAPACITY; i++)
    calls += after[i].op == CDL_OP_fill && after[i].dtype == CDL_DTYPE_I32 ? after[i].calls : 0;
  for (size_t i = 0; i < known && i < CAPACITY; i++)
    calls -= before[i].op == CDL_OP_fill && before[i].dtype == CDL_DTYPE_I32 ? before[i].calls : 0;
  EXPECT(t, calls == 3, "3 calls are counted as %llu", (unsigned long long)calls);
}

void register_queue(suite *s)
{
  static const struct {
    const char *group, *name;
    case_body *body;
  } cases[] = {
      {"queue", "the first error stays, work after it is skipped", sticky_case},
      {"queue", "two on one backend", two_queues_case},
      {"queue", "the host memory of an upload is free at once", upload_reuse_case},
      {"buffer", "destroyed while its queue is busy", destroy_busy_case},
      {"buffer", "memory is counted, too much refused", memory_case},
      {"buffer", "of another backend", foreign_case},
      {"backend", "closed with live objects", close_case},
      {"backend", "names", names_case},
      {"backend", "paths are counted", counts_case},
      {"weight", "update takes new values over", weight_update_case},
      {"weight", "sources that do not fit", weight_refused_case},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    suite_add(s, CASE_NO_OP, cases[i].group, CDL_DTYPE_F32, 0, cases[i].body, NULL, 0, "%s",
              cases[i].name);
  static const transfer transfers[] = {
      {"too few bytes", 0, 0, 0, 79, false},         {"too many bytes", 0, 0, 0, 84, false},
      {"past the buffer", 1 << 20, 0, 0, 80, false}, {"a view with gaps", 0, 0, 2, 80, false},
      {"too few bytes", 0, 0, 0, 79, true},          {"past the buffer", 1 << 20, 0, 0, 80, true},
      {"a view with gaps", 0, 0, 2, 80, true},       {"at a negative offset", -1, 0, 0, 80, true},
  };
  for (size_t i = 0; i < sizeof transfers / sizeof *transfers; i++)
    suite_add(s, CASE_NO_OP, "buffer", CDL_DTYPE_F32, CASE_DEFECT, transfer_case, &transfers[i],
              sizeof transfers[i], "%s: %s", transfers[i].download ? "download" : "upload",
              transfers[i].what);
}
