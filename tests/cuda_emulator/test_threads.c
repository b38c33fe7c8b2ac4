/* Two backends at a time, and two queues of one, each used from a thread of its own: for
 * ThreadSanitizer, and that every thread gets its own numbers. */
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "condlora/backend.h"

enum { ROUNDS = 20, ORDER = 24, ELEMENTS = ORDER * ORDER, THREADS = 6 };

typedef struct {
  const char *name;     /* of the backend that the thread opens; NULL: it uses `backend` */
  cdl_backend *backend; /* shared */
  int seed;
  bool absent, failed;
} worker;

static bool check(cdl_status status, const char *what)
{
  if (status != CDL_STATUS_OK)
    fprintf(stderr, "threads: %s: %s\n", what, cdl_error_message());
  return status == CDL_STATUS_OK;
}

static float value(int seed, int round, int i)
{
  return (float)((seed * 31 + round * 17 + i * 7) % 23 - 11) / 8;
}

/* b is the matrix that turns a by one column, so the product is exact on every device. */
static void fill(float *a, float *b, int seed, int round)
{
  for (int i = 0; i < ELEMENTS; i++) {
    a[i] = value(seed, round, i);
    b[i] = i % ORDER == (i / ORDER + 1) % ORDER ? 2.0f : 0.0f;
  }
}

static bool is_product(const float *c, int seed, int round)
{
  for (int i = 0; i < ELEMENTS; i++) {
    const int from = i / ORDER * ORDER + (i % ORDER + ORDER - 1) % ORDER;
    if (c[i] != 2 * value(seed, round, from))
      return false;
  }
  return true;
}

/* Of a softmax. */
static bool sums_to_one(const float *c)
{
  for (int row = 0; row < ORDER; row++) {
    double sum = 0;
    for (int column = 0; column < ORDER; column++)
      sum += (double)c[row * ORDER + column];
    if (fabs(sum - 1) > 1e-5)
      return false;
  }
  return true;
}

static bool work_once(cdl_queue *queue, cdl_buffer *const buffers[3], int seed, int round)
{
  float a[ELEMENTS], b[ELEMENTS], c[ELEMENTS], rows[ELEMENTS];
  fill(a, b, seed, round);
  cdl_tensor t[3];
  for (int i = 0; i < 3; i++)
    t[i] = cdl_tensor_2d(buffers[i], CDL_DTYPE_F32, 0, ORDER, ORDER);
  cdl_queue_upload(queue, t[0], a, sizeof a);
  cdl_queue_upload(queue, t[1], b, sizeof b);
  cdl_gemm(queue, CDL_ARGS(gemm, .out = t[2], .a = t[0], .b = t[1], .alpha = 1));
  cdl_queue_download(queue, c, t[2], sizeof c);
  cdl_softmax(queue, CDL_ARGS(softmax, .out = t[0], .x = t[2], .scale = 1));
  cdl_queue_download(queue, rows, t[0], sizeof rows);
  if (!check(cdl_queue_sync(queue), "sync"))
    return false;
  if (!is_product(c, seed, round) || !sums_to_one(rows)) {
    fprintf(stderr, "threads: wrong numbers in round %d of thread %d\n", round, seed);
    return false;
  }
  return true;
}

static bool work(cdl_backend *backend, int seed)
{
  cdl_queue *queue;
  cdl_buffer *buffers[3];
  if (!check(cdl_queue_create(backend, &queue), "queue"))
    return false;
  bool right = true;
  for (int round = 0; right && round < ROUNDS; round++) {
    for (int i = 0; i < 3; i++)
      if (!check(cdl_buffer_create(backend, ELEMENTS * sizeof(float), &buffers[i]), "buffer"))
        return false;
    right = work_once(queue, buffers, seed, round);
    for (int i = 0; i < 3; i++)
      cdl_buffer_destroy(buffers[i]);
  }
  cdl_queue_destroy(queue);
  return right;
}

static void *run(void *given)
{
  worker *w = given;
  cdl_backend *backend = w->backend;
  if (w->name != NULL) {
    const cdl_status status = cdl_backend_open(w->name, NULL, &backend);
    w->absent = status == CDL_STATUS_ABSENT;
    if (w->absent || !check(status, w->name)) {
      w->failed = !w->absent;
      return NULL;
    }
  }
  w->failed = !work(backend, w->seed);
  if (w->name != NULL && !check(cdl_backend_close(backend), w->name))
    w->failed = true;
  return NULL;
}

int main(void)
{
  cdl_backend *shared;
  if (!check(cdl_backend_open("cuda", NULL, &shared), "cuda"))
    return EXIT_FAILURE;
  worker workers[THREADS] = {{.name = "cpu"},     {.name = "cuda"},    {.name = "opencl"},
                             {.backend = shared}, {.backend = shared}, {.name = "cuda"}};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    workers[i].seed = i + 1;
    if (pthread_create(&threads[i], NULL, run, &workers[i]) != 0)
      return EXIT_FAILURE;
  }
  bool failed = false;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    failed = failed || workers[i].failed;
    if (workers[i].absent)
      printf("threads: %s is absent and was left out\n", workers[i].name);
    if (workers[i].absent && i < 2)
      failed = true;
  }
  if (!check(cdl_backend_close(shared), "cuda"))
    failed = true;
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
