#include "bench/tune.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/opencl/tuning_path.h"
#include "base/file.h"
#include "bench/shapes_choice.h"
#include "bench/tune_space.h"

/* Each candidate is tried in a child process, because its compiled code may crash the driver or
 * never end, and CLBlast takes new parameters best before its first product. This process opens no
 * backend, so that it may fork. */

enum {
  SHAPES_MOST = 12,
  SHAPES_SEARCHED = 3, /* shapes of each kernel that the search measures */
  LINE_BYTES = 512,
  TRIAL_SECONDS = 60,
  INDIRECT_NEVER = 100000, /* XGEMM_MIN_INDIRECT_SIZE: products below its cube go to XgemmDirect */
  SEED = 1
};

typedef struct {
  const bench_options *options;
  const bench_gemm_shape *shapes[SHAPES_MOST];
  size_t count;
  char device[256], driver[128], candidate[PATH_MAX];
  double until; /* end, by bench_measure_now */
  cdl_random random;
} tuning;

/* The result of a process that tried parameters. */
typedef struct {
  cdl_status status;
  double seconds[SHAPES_MOST]; /* median of each shape; 0: not tried */
  char description[512], message[512];
} outcome;

/* ---- One candidate ---- */

/* Runs in the child: checks the shapes whose bit is set against float64, then measures them. */
static cdl_status measure_shapes(const tuning *t, unsigned wanted, outcome *o)
{
  const bench_shapes none = {0};
  bench_list list = {0};
  bench_report r;
  bench_report_begin(&r);
  cdl_status status = bench_open(t->options, &none, &r, &list);
  for (size_t i = 0; status == CDL_STATUS_OK && i < t->count; i++) {
    bench *b = &list.item[0];
    b->effort =
        (bench_measure_effort){.warm_seconds = 0.05, .seconds = 0.1, .least = 3, .most = 20};
    if ((wanted >> i & 1u) == 0)
      continue;
    status = bench_time_product(b, t->shapes[i], &o->seconds[i]);
  }
  if (status == CDL_STATUS_OK)
    snprintf(o->description, sizeof o->description, "%s",
             cdl_backend_description(list.item[0].backend));
  else
    snprintf(o->message, sizeof o->message, "%s", cdl_error_message());
  bench_close(&list);
  bench_report_release(&r);
  return status;
}

static void run_child(const tuning *t, const char *parameters, unsigned wanted, int to)
{
  outcome o = {0};
  o.status = parameters == NULL || setenv("CDL_OPENCL_TUNING", parameters, 1) == 0
                 ? measure_shapes(t, wanted, &o)
                 : CDL_STATUS_MEMORY;
  const char *bytes = (const char *)&o;
  for (size_t sent = 0; sent < sizeof o;) {
    const ssize_t n = write(to, bytes + sent, sizeof o - sent);
    if (n <= 0 && errno != EINTR)
      break;
    sent += n > 0 ? (size_t)n : 0;
  }
  _exit(0);
}

/* Reads a complete outcome before the time `until`. */
static bool read_outcome(int from, double until, outcome *o)
{
  char *bytes = (char *)o;
  for (size_t got = 0; got < sizeof *o;) {
    struct pollfd wait = {.fd = from, .events = POLLIN};
    const double left = until - bench_measure_now();
    if (left <= 0)
      return false;
    if (poll(&wait, 1, (int)(left * 1e3) + 1) <= 0)
      continue;
    const ssize_t n = read(from, bytes + got, sizeof *o - got);
    if (n <= 0)
      return false;
    got += (size_t)n;
  }
  return true;
}

/* Tries the parameters of a file; NULL means those that the backend finds by itself. */
static cdl_status try(const tuning *t, const char *parameters, unsigned wanted, double seconds,
                      outcome *o)
{
  int ends[2];
  if (pipe(ends) != 0)
    return cdl_fail(CDL_STATUS_IO, "a pipe: %s", strerror(errno));
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    run_child(t, parameters, wanted, ends[1]);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return cdl_fail(CDL_STATUS_IO, "a process: %s", strerror(errno));
  }
  *o = (outcome){0};
  if (!read_outcome(ends[0], bench_measure_now() + seconds, o)) {
    kill(child, SIGKILL);
    *o = (outcome){.status = CDL_STATUS_DEVICE};
    snprintf(o->message, sizeof o->message, "it crashed or took more than %.0f s", seconds);
  }
  close(ends[0]);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
    ;
  return CDL_STATUS_OK;
}

/* ---- Files of parameters ---- */

/* Lines of CLBlast's parameters; empty lines are skipped. */
typedef struct {
  char xgemm[LINE_BYTES], direct[LINE_BYTES], routine[LINE_BYTES];
} parameter_lines;

static cdl_status write_parameters(const tuning *t, const parameter_lines *lines, const char *path)
{
  base_output *output;
  CDL_TRY(base_output_begin_named(path, &output));
  base_output_printf(output, "condlora-opencl-tuning 1\n");
  if (t->device[0] != '\0')
    base_output_printf(output, "device %s\ndriver %s\n", t->device, t->driver);
  const char *const all[] = {lines->xgemm, lines->direct, lines->routine};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (all[i][0] != '\0')
      base_output_printf(output, "%s\n", all[i]);
  return base_output_commit(output);
}

static void write_routine(char *line, long smallest_indirect)
{
  snprintf(line, LINE_BYTES, "GemmRoutine 32 XGEMM_MIN_INDIRECT_SIZE=%ld", smallest_indirect);
}

/* ---- The search ---- */

static double volume_of(const bench_gemm_shape *p)
{
  return (double)p->m * (double)p->n * (double)p->k;
}

static double rate_of(const tuning *t, size_t shape, double seconds)
{
  return 2 * volume_of(t->shapes[shape]) / seconds;
}

/* Returns the shapes that the search of a kernel measures: the largest for Xgemm, the smallest for
 * XgemmDirect. The shapes are sorted by volume. */
static unsigned searched(const tuning *t, const bench_tune_space *space)
{
  const size_t n = t->count < SHAPES_SEARCHED ? t->count : SHAPES_SEARCHED;
  const unsigned low = (1u << n) - 1;
  return space == &bench_tune_xgemm ? low << (t->count - n) : low;
}

/* Returns the geometric mean of the rates; 0 after a failure. */
static double score_of(const tuning *t, unsigned wanted, const outcome *o)
{
  double sum = 0, count = 0;
  for (size_t i = 0; i < t->count; i++) {
    if ((wanted >> i & 1u) == 0)
      continue;
    if (!(o->seconds[i] > 0))
      return 0;
    sum += log(rate_of(t, i, o->seconds[i]));
    count++;
  }
  return o->status == CDL_STATUS_OK && count > 0 ? exp(sum / count) : 0;
}

static cdl_status try_point(tuning *t, const bench_tune_space *space, const bench_tune_point *p,
                            double *score)
{
  const unsigned wanted = searched(t, space);
  parameter_lines lines = {0};
  outcome o;
  bench_tune_line(space, p, space == &bench_tune_xgemm ? lines.xgemm : lines.direct, LINE_BYTES);
  write_routine(lines.routine, space == &bench_tune_xgemm ? 0 : INDIRECT_NEVER);
  CDL_TRY(write_parameters(t, &lines, t->candidate));
  const double left = t->until - bench_measure_now();
  CDL_TRY(try(t, t->candidate, wanted, fmin(TRIAL_SECONDS, fmax(left, 1)), &o));
  *score = score_of(t, wanted, &o);
  return CDL_STATUS_OK;
}

/* Tries the starting points, then random points and neighbours of the best in turn, until `until`.
 * `*score` is 0 if none worked. */
static cdl_status search_space(tuning *t, const bench_tune_space *space, double until,
                               bench_tune_point *best, double *score)
{
  *best = space->starts[0];
  *score = 0;
  for (size_t tried = 0; tried == 0 || bench_measure_now() < until; tried++) {
    const bench_tune_point p = tried < space->start_count ? space->starts[tried]
                               : tried % 3 == 0 || !(*score > 0)
                                   ? bench_tune_draw(space, &t->random)
                                   : bench_tune_neighbour(space, best, &t->random);
    double now = 0;
    char progress[96];
    snprintf(progress, sizeof progress, "%s: %zu tried, best %.1f GFLOP/s", space->kernel, tried,
             *score / 1e9);
    bench_progress("tune", progress);
    CDL_TRY(try_point(t, space, &p, &now));
    if (now > *score) {
      *score = now;
      *best = p;
    }
  }
  return CDL_STATUS_OK;
}

/* Returns the size from which Xgemm is faster than XgemmDirect, by both times of every shape. */
static long smallest_indirect(const tuning *t, const outcome *indirect, const outcome *direct)
{
  double least = INFINITY;
  long best = 0;
  for (size_t cut = 0; cut <= t->count; cut++) { /* shapes below `cut` use XgemmDirect */
    double sum = 0;
    for (size_t i = 0; i < t->count; i++)
      sum += i < cut ? direct->seconds[i] : indirect->seconds[i];
    if (!(sum < least))
      continue;
    least = sum;
    const double below = cut > 0 ? volume_of(t->shapes[cut - 1]) : 0;
    const double above = cut < t->count ? volume_of(t->shapes[cut]) : 8 * below;
    best = cut == 0 ? 0 : (long)ceil(cbrt(sqrt(below * fmax(above, below))));
    best += cut > 0 && pow((double)best, 3) <= below; /* equal volume: the limit is above both */
  }
  return best;
}

/* ---- Reporting ---- */

static cdl_status report_outcomes(const tuning *t, const outcome *before, const outcome *after,
                                  const char *parameters)
{
  static const bench_report_column columns[] = {
      {"name", "product", BENCH_REPORT_TEXT},
      {"shape", "m x n x k", BENCH_REPORT_TEXT},
      {"before_s", "before", BENCH_REPORT_SECONDS},
      {"after_s", "after", BENCH_REPORT_SECONDS},
      {"before", "GFLOP/s before", BENCH_REPORT_OPERATIONS_PER_S},
      {"after", "after", BENCH_REPORT_OPERATIONS_PER_S},
      {"gain", "times as fast", BENCH_REPORT_NUMBER}};
  bench_report r;
  bench_report_begin(&r);
  bench_report_fact(&r, "version", cdl_version());
  (void)bench_report_machine(&r);
  bench_report_fact(&r, "device", before->description);
  bench_report_fact(&r, "parameters", parameters != NULL ? parameters : "none better found");
  bench_report_use_table(&r, "tune", "tune: products, float32", columns,
                         sizeof columns / sizeof columns[0]);
  for (size_t i = 0; i < t->count; i++) {
    const bench_gemm_shape *p = t->shapes[i];
    char shape[96];
    snprintf(shape, sizeof shape, "%lldx%lldx%lld %c%c", (long long)p->m, (long long)p->n,
             (long long)p->k, p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N');
    bench_report_add_row(&r);
    bench_report_text(&r, "name", p->what);
    bench_report_text(&r, "shape", shape);
    bench_report_number(&r, "before_s", before->seconds[i]);
    bench_report_number(&r, "after_s", after->seconds[i]);
    bench_report_number(&r, "before", rate_of(t, i, before->seconds[i]));
    bench_report_number(&r, "after", rate_of(t, i, after->seconds[i]));
    bench_report_number(&r, "gain", before->seconds[i] / after->seconds[i]);
  }
  const cdl_status status = bench_report_save(&r, t->options->format, t->options->output);
  bench_report_release(&r);
  return status;
}

/* ---- The search and its report ---- */

static int by_volume(const void *a, const void *b)
{
  const double x = volume_of(*(const bench_gemm_shape *const *)a),
               y = volume_of(*(const bench_gemm_shape *const *)b);
  return (x > y) - (x < y);
}

static void choose_shapes(tuning *t, const bench_shapes *shapes)
{
  for (size_t i = 0; i < shapes->gemm_count && t->count < SHAPES_MOST; i++)
    if (shapes->gemm[i].quick && shapes->gemm[i].batch == 1)
      t->shapes[t->count++] = &shapes->gemm[i];
  qsort(t->shapes, t->count, sizeof t->shapes[0], by_volume);
}

/* Reads "NAME, PLATFORM, driver VERSION, CLBlast", the backend's description. */
static void read_description(tuning *t, const char *description)
{
  const char *driver = strstr(description, ", driver ");
  snprintf(t->device, sizeof t->device, "%.*s", (int)strcspn(description, ","), description);
  if (driver == NULL)
    return;
  driver += strlen(", driver ");
  const char *end = strrchr(driver, ',');
  snprintf(t->driver, sizeof t->driver, "%.*s",
           end != NULL ? (int)(end - driver) : (int)strlen(driver), driver);
}

/* The file that the backend reads by default is described in docs/environment.md. */
/* Finds the line of a kernel's best point; it is empty if the point is not better than the
 * defaults. */
static cdl_status search_kernel(tuning *t, const bench_tune_space *space, double until,
                                const outcome *before, char *line)
{
  bench_tune_point best;
  double score;
  CDL_TRY(search_space(t, space, until, &best, &score));
  if (score > score_of(t, searched(t, space), before))
    bench_tune_line(space, &best, line, LINE_BYTES);
  return CDL_STATUS_OK;
}

/* Searches both kernels, then the size that separates them. */
static cdl_status search(tuning *t, const outcome *before, parameter_lines *lines)
{
  const unsigned all = (1u << t->count) - 1;
  const double start = bench_measure_now(), seconds = fmax(t->until - start, 1);
  outcome indirect, direct;
  CDL_TRY(search_kernel(t, &bench_tune_xgemm, start + 0.6 * seconds, before, lines->xgemm));
  CDL_TRY(search_kernel(t, &bench_tune_direct, start + seconds, before, lines->direct));
  bench_progress("tune", "where to change from one kernel to the other");
  write_routine(lines->routine, 0);
  CDL_TRY(write_parameters(t, lines, t->candidate));
  CDL_TRY(try(t, t->candidate, all, 2 * TRIAL_SECONDS, &indirect));
  write_routine(lines->routine, INDIRECT_NEVER);
  CDL_TRY(write_parameters(t, lines, t->candidate));
  CDL_TRY(try(t, t->candidate, all, 2 * TRIAL_SECONDS, &direct));
  lines->routine[0] = '\0';
  if (indirect.status == CDL_STATUS_OK && direct.status == CDL_STATUS_OK)
    write_routine(lines->routine, smallest_indirect(t, &indirect, &direct));
  return write_parameters(t, lines, t->candidate);
}

/* Tries again and keeps the smaller time of each shape, because disturbances only increase it. */
static cdl_status try_again(tuning *t, const char *parameters, outcome *o)
{
  outcome again;
  CDL_TRY(try(t, parameters, (1u << t->count) - 1, 2 * TRIAL_SECONDS, &again));
  for (size_t i = 0; again.status == CDL_STATUS_OK && i < t->count; i++)
    o->seconds[i] = fmin(o->seconds[i], again.seconds[i]);
  return CDL_STATUS_OK;
}

static cdl_status tune_all(tuning *t)
{
  const bench_options *o = t->options;
  const unsigned all = (1u << t->count) - 1;
  const double seconds = o->seconds > 0 ? o->seconds : o->quick ? 60 : 600, worth = 1.02;
  outcome before, after;
  parameter_lines lines = {0};
  char place[PATH_MAX];
  bench_progress("tune", "what there is");
  CDL_TRY(
      try(t, NULL, all, fmax(seconds, 5 * TRIAL_SECONDS), &before)); /* this compiles the kernels */
  if (before.status != CDL_STATUS_OK)
    return cdl_fail(before.status, "%s", before.message);
  t->until = bench_measure_now() + seconds;
  read_description(t, before.description);
  if (o->parameters == NULL && !opencl_tuning_path(place, t->device))
    return cdl_fail(CDL_STATUS_IO, "no folder for a cache: --parameters FILE says where they go");
  const char *path = o->parameters != NULL ? o->parameters : place;
  CDL_TRY(search(t, &before, &lines));
  bench_progress("tune", "what was found");
  CDL_TRY(try(t, t->candidate, all, 2 * TRIAL_SECONDS, &after));
  CDL_TRY(try_again(t, NULL, &before));
  if (after.status == CDL_STATUS_OK)
    CDL_TRY(try_again(t, t->candidate, &after));
  bench_progress("", "");
  const bool better = score_of(t, all, &after) > worth * score_of(t, all, &before);
  if (better)
    CDL_TRY(write_parameters(t, &lines, path));
  return report_outcomes(t, &before, better ? &after : &before, better ? path : NULL);
}

static cdl_status make_candidate(tuning *t)
{
  const char *folder = getenv("TMPDIR");
  snprintf(t->candidate, sizeof t->candidate, "%s/condlora-tune-XXXXXX",
           folder != NULL && folder[0] == '/' ? folder : "/tmp");
  const int file = mkstemp(t->candidate);
  if (file < 0)
    return cdl_fail(CDL_STATUS_IO, "%s: %s", t->candidate, strerror(errno));
  close(file);
  return CDL_STATUS_OK;
}

cdl_status bench_tune(const bench_options *options)
{
  bench_shapes shapes;
  tuning t = {.options = options, .random = cdl_random_start(SEED, CDL_RANDOM_TEST, 6, 0)};
  CDL_TRY(bench_shapes_choose(options->shapes, &shapes));
  choose_shapes(&t, &shapes);
  cdl_status status =
      t.count > 0 ? make_candidate(&t) : cdl_fail(CDL_STATUS_DATA, "no product to tune for");
  if (status == CDL_STATUS_OK) {
    status = tune_all(&t);
    unlink(t.candidate);
  }
  bench_shapes_release(&shapes);
  return status;
}
