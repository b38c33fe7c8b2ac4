/* What a backend may have and need not: recorded work, events, host memory of its own. */
#include <string.h>

#include "tests/conformance/suite.h"

#define EXPECT(t, condition, ...) \
  do {                            \
    if (!(condition)) {           \
      trial_fail(t, __VA_ARGS__); \
      return;                     \
    }                             \
  } while (0)

static bool need_ok(trial *t, const char *what)
{
  const cdl_status status = cdl_queue_sync(t->queue);
  if (status != CDL_STATUS_OK)
    trial_fail(t, "%s: %s: %s", what, cdl_status_name(status), cdl_error_message());
  return status == CDL_STATUS_OK;
}

/* ---- Recorded work ---- */

enum { COUNT = 1000 };

static bool can_record(trial *t)
{
  if (!cdl_backend_captures(t->backend))
    trial_skip(t, "the backend records no work");
  return cdl_backend_captures(t->backend);
}

/* y ← y + x, x ← x², and the sum of x², twice in one recording. */
static void add_square_and_multiply(trial *t, const operand *x, const operand *y,
                                    const operand *product)
{
  for (int i = 0; i < 2; i++) {
    cdl_axpby(t->queue, CDL_ARGS(axpby, .out = y->view, .x = x->view, .alpha = 1, .beta = 1));
    cdl_unary(t->queue,
              CDL_ARGS(unary, .out = x->view, .x = x->view, .function = CDL_UNARY_SQUARE));
    cdl_gemm(t->queue, CDL_ARGS(gemm, .out = product->view, .a = x->view, .b = x->view,
                                .transpose_b = true, .alpha = 1));
  }
}

static void replay_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *x = trial_operand(t, "x", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(1, COUNT), LAYOUT_DENSE);
  operand *y = trial_operand(t, "y", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(1, COUNT), LAYOUT_DENSE);
  operand *product =
      trial_operand(t, "product", ROLE_OUT, CDL_DTYPE_F32, shape_2d(1, 1), LAYOUT_DENSE);
  for (int i = 0; i < COUNT; i++)
    x->value[i] = i % 2 == 0 ? 1 : -1; /* its squares are 1 for ever */
  operand_settle(x);
  fill_integers(t, y, -4, 4);
  if (!can_record(t) || !trial_upload(t))
    return;
  add_square_and_multiply(t, x, y, product); /* allocates what it needs */
  if (!trial_upload(t) || !need_ok(t, "the same work, not recorded"))
    return;

  cdl_graph *graph = NULL;
  EXPECT(t, cdl_queue_capture_begin(t->queue) == CDL_STATUS_OK, "begin: %s", cdl_error_message());
  add_square_and_multiply(t, x, y, product);
  EXPECT(t, cdl_queue_capture_end(t->queue, &graph) == CDL_STATUS_OK, "end: %s",
         cdl_error_message());
  static float found[COUNT];
  float sum = 0;
  cdl_queue_download(t->queue, found, y->view, sizeof found);
  if (need_ok(t, "after recording"))
    for (int i = 0; i < COUNT && t->outcome != OUTCOME_FAIL; i++)
      if ((double)found[i] != y->value[i])
        trial_fail(t, "work ran while it was recorded");
  /* Between replays the device's memory changes: a replay reads what is there. */
  const int rounds = 3;
  for (int round = 0; round < rounds; round++)
    cdl_queue_replay(t->queue, graph);
  cdl_queue_download(t->queue, found, y->view, sizeof found);
  cdl_queue_download(t->queue, &sum, product->view, sizeof sum);
  if (t->outcome != OUTCOME_FAIL && need_ok(t, "replay")) {
    for (int i = 0; i < COUNT && t->outcome != OUTCOME_FAIL; i++) {
      const double first = i % 2 == 0 ? 1 : -1, want = y->value[i] + first + 2 * rounds - 1;
      if ((double)found[i] != want)
        trial_fail(t, "element %d is %g after %d replays, expected %g", i, (double)found[i], rounds,
                   want);
    }
    if (sum != COUNT)
      trial_fail(t, "the product is %g, expected %d", (double)sum, COUNT);
  }
  cdl_graph_destroy(graph);
}

/* Lengths and ids are read on the device: one recording serves batches of other lengths. */
static void lengths_case(trial *t, const void *parameters)
{
  (void)parameters;
  enum { TOKENS = 12, HEADS = 2, SIZE = 4, WIDTH = HEADS * SIZE };
  static const int32_t first[] = {5, 7}, second[] = {3, 6};
  operand *qkv =
      trial_operand(t, "qkv", ROLE_IN, CDL_DTYPE_F32, shape_2d(TOKENS, 3 * WIDTH), LAYOUT_DENSE);
  operand *out =
      trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, shape_2d(TOKENS, WIDTH), LAYOUT_DENSE);
  operand *again =
      trial_operand(t, "again", ROLE_OUT, CDL_DTYPE_F32, shape_2d(TOKENS, WIDTH), LAYOUT_DENSE);
  fill_normal(t, qkv, 1);
  cdl_packing recorded = trial_packing(t, first, 2), other = trial_packing(t, second, 2);
  recorded.tokens = other.tokens = TOKENS;
  recorded.longest = other.longest = TOKENS;
  if (!can_record(t) || !trial_upload(t))
    return;
  cdl_attention_args args = {.size = sizeof args,
                             .out = out->view,
                             .qkv = qkv->view,
                             .packing = &recorded,
                             .heads = HEADS,
                             .scale = 0.5F};
  if (cdl_op_path(t->backend, CDL_OP_attention, &args) != CDL_PATH_NATIVE) {
    trial_skip(t, "attention is composed here, and then not recorded");
    return;
  }
  cdl_attention(t->queue, &args);
  cdl_graph *graph = NULL;
  EXPECT(t, cdl_queue_capture_begin(t->queue) == CDL_STATUS_OK, "begin: %s", cdl_error_message());
  cdl_attention(t->queue, &args);
  EXPECT(t, cdl_queue_capture_end(t->queue, &graph) == CDL_STATUS_OK, "end: %s",
         cdl_error_message());
  cdl_queue_upload(t->queue, recorded.offsets, other.host_offsets, 3 * sizeof(int32_t));
  cdl_queue_replay(t->queue, graph);
  args.out = again->view;
  args.packing = &other;
  cdl_attention(t->queue, &args);
  static float replayed[TOKENS * WIDTH], direct[TOKENS * WIDTH];
  cdl_queue_download(t->queue, replayed, out->view, sizeof replayed);
  cdl_queue_download(t->queue, direct, again->view, sizeof direct);
  if (need_ok(t, "replay") && memcmp(replayed, direct, sizeof direct) != 0)
    trial_fail(t, "a replay does not follow the lengths on the device");
  for (int i = 9 * WIDTH; i < TOKENS * WIDTH && t->outcome != OUTCOME_FAIL; i++)
    if (replayed[i] != 0)
      trial_fail(t, "a row of no sequence is not zero after a replay");
  cdl_graph_destroy(graph);
}

typedef enum { REFUSE_UPLOAD, REFUSE_DOWNLOAD, REFUSE_SYNC, REFUSE_WRONG_CALL, REFUSED } refused;

/* What cannot be recorded is the error of the end, and the queue goes on. */
static void refused_case(trial *t, const void *parameters)
{
  const refused what = *(const refused *)parameters;
  operand *x = trial_operand(t, "x", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(4), LAYOUT_DENSE);
  fill_integers(t, x, -4, 4);
  if (!can_record(t) || !trial_upload(t) || !need_ok(t, "upload"))
    return;
  float host[4] = {0};
  cdl_tensor wrong = x->view;
  wrong.offset = 1 << 20;
  EXPECT(t, cdl_queue_capture_begin(t->queue) == CDL_STATUS_OK, "begin: %s", cdl_error_message());
  cdl_fill(t->queue, CDL_ARGS(fill, .out = x->view, .value = 7));
  if (what == REFUSE_UPLOAD)
    cdl_queue_upload(t->queue, x->view, host, sizeof host);
  else if (what == REFUSE_DOWNLOAD)
    cdl_queue_download(t->queue, host, x->view, sizeof host);
  else if (what == REFUSE_SYNC)
    EXPECT(t, cdl_queue_sync(t->queue) != CDL_STATUS_OK, "a sync is taken while work is recorded");
  else
    cdl_fill(t->queue, CDL_ARGS(fill, .out = wrong, .value = 7));
  cdl_graph *graph = NULL;
  EXPECT(t, cdl_queue_capture_end(t->queue, &graph) != CDL_STATUS_OK && graph == NULL,
         "the end of a spoilt recording is no error");
  cdl_queue_download(t->queue, host, x->view, sizeof host);
  if (!need_ok(t, "the queue after a spoilt recording"))
    return;
  for (int i = 0; i < 4; i++)
    EXPECT(t, (double)host[i] == x->value[i], "work ran while it was recorded");
}

static void no_recording_case(trial *t, const void *parameters)
{
  (void)parameters;
  cdl_graph *graph = NULL;
  EXPECT(t, cdl_queue_capture_end(t->queue, &graph) == CDL_STATUS_ARGUMENT,
         "an end without a begin is taken");
  if (cdl_backend_captures(t->backend))
    return;
  EXPECT(t, cdl_queue_capture_begin(t->queue) == CDL_STATUS_UNSUPPORTED,
         "a backend that records nothing begins to");
}

/* ---- Events and host memory ---- */

static void event_case(trial *t, const void *parameters)
{
  (void)parameters;
  cdl_event *from = NULL, *to = NULL;
  const cdl_status status = cdl_event_create(t->backend, &from);
  if (status == CDL_STATUS_UNSUPPORTED) {
    trial_skip(t, "the backend keeps no times");
    return;
  }
  EXPECT(t, status == CDL_STATUS_OK && cdl_event_create(t->backend, &to) == CDL_STATUS_OK,
         "create: %s", cdl_error_message());
  operand *x = trial_operand(t, "x", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(256, 257), LAYOUT_DENSE);
  operand *y = trial_operand(t, "y", ROLE_OUT, CDL_DTYPE_F32, shape_2d(256, 256), LAYOUT_DENSE);
  fill_normal(t, x, 1);
  void *host = NULL;
  if (trial_upload(t) && cdl_host_allocate(t->backend, sizeof(float), &host) == CDL_STATUS_OK) {
    uint64_t spent = UINT64_MAX, nothing = UINT64_MAX;
    const cdl_tensor corner = cdl_tensor_columns(cdl_tensor_rows(x->view, 0, 1), 0, 1);
    cdl_queue_record_event(t->queue, from);
    cdl_gemm(t->queue, CDL_ARGS(gemm, .out = y->view, .a = x->view, .b = x->view,
                                .transpose_b = true, .alpha = 1));
    cdl_queue_download(t->queue, host, corner, sizeof(float));
    cdl_queue_record_event(t->queue, to);
    if (cdl_event_wait(to) != CDL_STATUS_OK ||
        cdl_event_elapsed(from, to, &spent) != CDL_STATUS_OK ||
        cdl_event_elapsed(from, from, &nothing) != CDL_STATUS_OK)
      trial_fail(t, "%s", cdl_error_message());
    else if ((double)*(const float *)host != x->value[0])
      trial_fail(t, "a download to host memory is not there after an event past it");
    else if (spent == 0 || spent > 60000000000U || nothing != 0)
      trial_fail(t, "a product took %llu ns, nothing %llu ns", (unsigned long long)spent,
                 (unsigned long long)nothing);
  }
  need_ok(t, "events");
  cdl_host_free(t->backend, host);
  cdl_event_destroy(from);
  cdl_event_destroy(to);
}

static void host_memory_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *x = trial_operand(t, "x", ROLE_OUT, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_DENSE);
  void *memory = NULL;
  EXPECT(t, trial_upload(t), "upload");
  EXPECT(t, cdl_host_allocate(t->backend, 2 * COUNT * sizeof(float), &memory) == CDL_STATUS_OK,
         "%s", cdl_error_message());
  float *there = memory, *back = there + COUNT;
  for (int round = 0; round < 3 && t->outcome != OUTCOME_FAIL; round++) {
    for (int i = 0; i < COUNT; i++)
      there[i] = (float)(i + round);
    cdl_queue_upload(t->queue, x->view, there, COUNT * sizeof *there);
    memset(there, 0xff, COUNT * sizeof *there); /* free at once, of whatever kind it is */
    cdl_queue_download(t->queue, back, x->view, COUNT * sizeof *back);
    if (!need_ok(t, "upload, download"))
      break;
    for (int i = 0; i < COUNT && t->outcome != OUTCOME_FAIL; i++)
      if (back[i] != (float)(i + round))
        trial_fail(t, "element %d is %g in round %d", i, (double)back[i], round);
  }
  cdl_host_free(t->backend, memory);
}

/* ---- Registration ---- */

void register_optional(suite *s)
{
  static const struct {
    const char *group, *name;
    case_body *body;
  } cases[] = {
      {"recording", "replayed three times", replay_case},
      {"recording", "replayed with other lengths on the device", lengths_case},
      {"recording", "an end without a begin, a backend without", no_recording_case},
      {"event", "time of a product, wait for a download", event_case},
      {"host memory", "uploads from it, downloads to it", host_memory_case},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    suite_add(s, CASE_NO_OP, cases[i].group, CDL_DTYPE_F32, 0, cases[i].body, NULL, 0, "%s",
              cases[i].name);
  static const char *const names[REFUSED] = {"an upload", "a download", "a sync", "a wrong call"};
  for (refused what = 0; what < REFUSED; what++)
    suite_add(s, CASE_NO_OP, "recording", CDL_DTYPE_F32, CASE_DEFECT, refused_case, &what,
              sizeof what, "spoilt by %s", names[what]);
}
