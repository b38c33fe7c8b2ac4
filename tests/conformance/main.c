/* condlora-conformance: does a backend do what ops.h says? */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/suite.h"
#include "tests/required.h"

enum { EXIT_SKIPPED = 77 }; /* as test harnesses read it */

static const char usage[] =
    "usage: condlora-conformance [MODE] [OPTIONS]\n"
    "Runs every op on a backend and compares with float64 arithmetic.\n"
    "\n"
    "modes:\n"
    "  test      values, guards, wrong calls, queues (default)\n"
    "  grad      gradients against central differences\n"
    "  support   the path that each op takes for each dtype\n"
    "  perf      time of ordinary calls of every op\n"
    "\n"
    "options:\n"
    "  --backend NAME[:DEVICE]|FILE.so   cpu (default), opencl:1, ./libmine.so\n"
    "  --op NAME      one op or group only (see --list)\n"
    "  --case NAME    cases of this name only, as --list prints them\n"
    "  --seed N       of the values and the randomized shapes (default 1)\n"
    "  --random N     randomized cases of each op and dtype (default 6; --quick 2)\n"
    "  --every N      one in N of each op's cases\n"
    "  --precision P  fp32 (default), tf32 or bf16: opens the backend so, with wider bounds\n"
    "                 for ops that multiply\n"
    "  --threads N    of the CPU backend\n"
    "  --quick        without the large cases\n"
    "  --strict       a dtype that the backend does not take is a failure, not a skip; BF16\n"
    "                 activations may be missing unless the precision is bf16\n"
    "  --format F     text (default), json, junit; support and perf: text, csv, json\n"
    "  --verbose      a line for each case, with its error over its bound\n"
    "  --list         names of all cases\n"
    "  --version\n"
    "\n"
    "Exit status: 0 all passed, 1 something failed, 2 wrong usage, 77 no such device: set "
    "CDL_REQUIRE=opencl,cuda\n"
    "to make that a failure. docs/add-a-backend.md says what a backend must do.\n";

typedef struct {
  const char *mode;
  bool list;
  int threads;
} choice;

static int wrong_usage(const char *what, const char *value)
{
  fprintf(stderr, "condlora-conformance: %s: '%s' (see --help)\n", what, value);
  return 2;
}

static bool parse_number(const char *text, uint64_t *value)
{
  char *end = NULL;
  errno = 0;
  const unsigned long long parsed = strtoull(text, &end, 0);
  *value = parsed;
  return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool parse_format(const char *text, output_format *format)
{
  static const char *const names[] = {"text", "json", "junit", "csv"};
  for (int i = 0; i < 4; i++)
    if (strcmp(text, names[i]) == 0) {
      *format = (output_format)i;
      return true;
    }
  return false;
}

/* "random 17" is there when there are 18. */
static void choose_random(suite *s)
{
  enum { USUAL = 6, QUICK = 2 };
  int number = 0;
  if (s->random < 0)
    s->random = s->quick ? QUICK : USUAL;
  if (s->only_case != NULL && sscanf(s->only_case, "random %d", &number) == 1 && number < 1 << 20 &&
      number >= s->random)
    s->random = number + 1;
}

/* -1: go on; otherwise the exit status. */
static int parse(int argc, char **argv, suite *s, choice *c)
{
  enum {
    BACKEND = 1,
    OP,
    CASE,
    SEED,
    RANDOM,
    EVERY,
    PRECISION,
    THREADS,
    QUICK,
    STRICT,
    FORMAT,
    VERBOSE,
    LIST,
    VERSION,
    HELP
  };
  static const struct option options[] = {{"backend", required_argument, NULL, BACKEND},
                                          {"op", required_argument, NULL, OP},
                                          {"case", required_argument, NULL, CASE},
                                          {"seed", required_argument, NULL, SEED},
                                          {"random", required_argument, NULL, RANDOM},
                                          {"every", required_argument, NULL, EVERY},
                                          {"precision", required_argument, NULL, PRECISION},
                                          {"threads", required_argument, NULL, THREADS},
                                          {"quick", no_argument, NULL, QUICK},
                                          {"strict", no_argument, NULL, STRICT},
                                          {"format", required_argument, NULL, FORMAT},
                                          {"verbose", no_argument, NULL, VERBOSE},
                                          {"list", no_argument, NULL, LIST},
                                          {"version", no_argument, NULL, VERSION},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
  for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    uint64_t number = 0;
    switch (option) {
    case BACKEND:
      s->backend_name = optarg;
      break;
    case OP:
      s->only_op = optarg;
      break;
    case CASE:
      s->only_case = optarg;
      break;
    case RANDOM:
      if (!parse_number(optarg, &number) || number > 1 << 20)
        return wrong_usage("--random takes a number", optarg);
      s->random = (int)number;
      break;
    case EVERY:
      if (!parse_number(optarg, &number) || number < 1 || number > 1 << 20)
        return wrong_usage("--every takes a number of at least 1", optarg);
      s->every = (int)number;
      break;
    case PRECISION:
      if (cdl_precision_find(optarg, &s->precision) != CDL_STATUS_OK)
        return wrong_usage("--precision takes fp32, tf32, bf16 or int8", optarg);
      break;
    case SEED:
      if (!parse_number(optarg, &s->seed))
        return wrong_usage("--seed takes a number", optarg);
      break;
    case THREADS:
      if (!parse_number(optarg, &number) || number > 4096)
        return wrong_usage("--threads takes a number", optarg);
      c->threads = (int)number;
      break;
    case QUICK:
      s->quick = true;
      break;
    case STRICT:
      s->strict = true;
      break;
    case FORMAT:
      if (!parse_format(optarg, &s->format))
        return wrong_usage("--format takes text, json, junit or csv", optarg);
      break;
    case VERBOSE:
      s->verbose = true;
      break;
    case LIST:
      c->list = true;
      break;
    case VERSION:
      printf("condlora-conformance %s\n", cdl_version());
      return 0;
    case HELP:
      fputs(usage, stdout);
      return 0;
    default:
      fprintf(stderr, "see condlora-conformance --help\n");
      return 2;
    }
  }
  if (optind < argc)
    c->mode = argv[optind++];
  if (optind < argc)
    return wrong_usage("one mode only", argv[optind]);
  const bool table = strcmp(c->mode, "support") == 0 || strcmp(c->mode, "perf") == 0;
  if (!table && strcmp(c->mode, "test") != 0 && strcmp(c->mode, "grad") != 0)
    return wrong_usage("no such mode", c->mode);
  if (s->format == (table ? FORMAT_JUNIT : FORMAT_CSV))
    return wrong_usage("this mode has no such format", table ? "junit" : "csv");
  choose_random(s);
  return -1;
}

static void register_all(suite *s)
{
  register_moving(s);
  register_gemm(s);
  register_elementwise(s);
  register_reduce(s);
  register_softmax(s);
  register_norm(s);
  register_dropout(s);
  register_loss(s);
  register_optimizer(s);
  register_linear(s);
  register_low_rank(s);
  register_map_weights(s);
  register_attention(s);
  register_host(s);
  register_arguments(s);
  register_queue(s);
  register_optional(s);
  register_grad(s);
  register_coverage(s);
}

static bool known_group(const suite *s, const char *name)
{
  for (size_t i = 0; i < s->case_count; i++)
    if (strcmp(s->cases[i].group, name) == 0)
      return true;
  return false;
}

static bool known_case(const suite *s, const char *name)
{
  for (size_t i = 0; i < s->case_count; i++)
    if (strcmp(s->cases[i].name, name) == 0)
      return true;
  return false;
}

static void list_cases(const suite *s, bool grad)
{
  for (size_t i = 0; i < s->case_count; i++) {
    const test_case *c = &s->cases[i];
    if (((c->flags & CASE_GRAD) != 0) == grad &&
        (s->only_op == NULL || strcmp(s->only_op, c->group) == 0))
      printf("%s %s: %s\n", c->group, cdl_dtype_name(c->dtype), c->name);
  }
}

/* A file that was named must load, and the CPU is always there; a device need not be. */
static int without_backend(const suite *s, cdl_status status)
{
  const bool absent = status == CDL_STATUS_ABSENT && strchr(s->backend_name, '/') == NULL &&
                      strncmp(s->backend_name, "cpu", 3) != 0;
  const bool failed = !absent || is_required(s->backend_name);
  fprintf(failed ? stderr : stdout, "%s %s: %s: %s\n", failed ? "FAIL" : "skip",
          status == CDL_STATUS_ABSENT ? "no such device" : "does not open", s->backend_name,
          cdl_error_message());
  printf("0 passed, %d failed, %d skipped\n", failed, !failed);
  return failed ? 1 : EXIT_SKIPPED;
}

static int run(suite *s, const choice *c)
{
  const cdl_backend_options options = {
      .size = sizeof options, .threads = c->threads, .precision = s->precision};
  bound_precision(s->precision);
  const cdl_status status = cdl_backend_open(s->backend_name, &options, &s->backend);
  if (status != CDL_STATUS_OK)
    return without_backend(s, status);
  int result = 0;
  if (strcmp(c->mode, "support") == 0) {
    result = mode_support(s);
  } else if (strcmp(c->mode, "perf") == 0) {
    result = mode_perf(s);
  } else {
    if (s->format == FORMAT_TEXT)
      printf("%s: %s; seed %llu, %d randomized cases of each op and dtype\n",
             cdl_backend_name(s->backend), cdl_backend_description(s->backend),
             (unsigned long long)s->seed, s->random);
    suite_run(s, strcmp(c->mode, "grad") == 0 ? CASE_GRAD : 0);
    result = suite_report(s);
  }
  if (cdl_backend_close(s->backend) != CDL_STATUS_OK) {
    fprintf(stderr, "condlora-conformance: closing the backend: %s\n", cdl_error_message());
    return 1;
  }
  return result;
}

int main(int argc, char **argv)
{
  suite s = {.backend_name = "cpu", .seed = 1, .random = -1, .every = 1};
  choice c = {.mode = "test"};
  const int stop = parse(argc, argv, &s, &c);
  if (stop >= 0)
    return stop;
  register_all(&s);
  int result = 0;
  if (s.only_op != NULL && !known_group(&s, s.only_op))
    result = wrong_usage("no such op or group", s.only_op);
  else if (s.only_case != NULL && !known_case(&s, s.only_case))
    result = wrong_usage("no such case", s.only_case);
  else if (c.list)
    list_cases(&s, strcmp(c.mode, "grad") == 0);
  else
    result = run(&s, &c);
  suite_free(&s);
  return result;
}
