#include "tests/conformance/suite.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- The rows of ops.def ---- */

#define CDL_OP(name, tier)                                    \
  static void call_##name(cdl_queue *queue, const void *args) \
  {                                                           \
    cdl_##name(queue, (const cdl_##name##_args *)args);       \
  }
#include "condlora/ops.def"
#undef CDL_OP

static const op_info ops[CDL_OP_COUNT] = {
#define CDL_OP(name, tier) {#name, TIER_##tier, sizeof(cdl_##name##_args), call_##name},
#include "condlora/ops.def"
#undef CDL_OP
};

const op_info *op_find(cdl_op op)
{
  return &ops[op];
}

/* ---- Registration ---- */

static void *grown(void *array, size_t *capacity, size_t bytes)
{
  *capacity = *capacity == 0 ? 256 : *capacity * 2;
  void *more = realloc(array, *capacity * bytes);
  if (more == NULL) {
    fprintf(stderr, "condlora-conformance: out of memory\n");
    exit(2);
  }
  return more;
}

void suite_add(suite *s, int op, const char *group, cdl_dtype dtype, unsigned flags,
               case_body *body, const void *parameters, size_t parameter_bytes, const char *format,
               ...)
{
  if (s->case_count == s->case_capacity)
    s->cases = grown(s->cases, &s->case_capacity, sizeof *s->cases);
  test_case *c = &s->cases[s->case_count++];
  *c = (test_case){.group = op == CASE_NO_OP ? group : ops[op].name,
                   .op = op,
                   .dtype = dtype,
                   .flags = flags,
                   .body = body};
  if (parameter_bytes > 0) {
    c->parameters = malloc(parameter_bytes);
    if (c->parameters == NULL) {
      fprintf(stderr, "condlora-conformance: out of memory\n");
      exit(2);
    }
    memcpy(c->parameters, parameters, parameter_bytes);
  }
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(c->name, sizeof c->name, format, arguments);
  va_end(arguments);
}

/* ---- Randomized cases ---- */

typedef struct {
  case_draw *draw;
  case_body *body;
  size_t bytes;
} randomized;

static void random_case(trial *t, const void *parameters)
{
  const randomized *r = parameters;
  void *drawn = trial_memory(t, 1, r->bytes);
  r->draw(t, drawn);
  r->body(t, drawn);
}

void suite_add_random(suite *s, cdl_op op, cdl_dtype dtype, case_draw *draw, case_body *body,
                      size_t parameter_bytes)
{
  const randomized r = {draw, body, parameter_bytes};
  for (int i = 0; i < s->random; i++)
    suite_add(s, (int)op, NULL, dtype, CASE_RANDOM, random_case, &r, sizeof r, "random %d", i);
}

void suite_free(suite *s)
{
  for (size_t i = 0; i < s->case_count; i++)
    free(s->cases[i].parameters);
  free(s->cases);
  free(s->results);
}

/* ---- Running ---- */

static case_result *new_result(suite *s, const test_case *c)
{
  if (s->result_count == s->result_capacity)
    s->results = grown(s->results, &s->result_capacity, sizeof *s->results);
  case_result *r = &s->results[s->result_count++];
  *r = (case_result){.self = c, .path = CDL_PATH_NONE};
  return r;
}

static case_result *run_once(suite *s, const test_case *c, bool composed)
{
  trial t;
  cdl_backend_prefer_composed(s->backend, composed);
  if (trial_begin(&t, s, c))
    c->body(&t, c->parameters);
  trial_end(&t);
  cdl_backend_prefer_composed(s->backend, false);

  case_result *r = new_result(s, c);
  r->composed = composed;
  r->path = t.path;
  r->ratio = t.ratio;
  /* one rounding to BF16 reaches its bound, and hides the rest of the error */
  const bool marginal = t.ratio > 0.5 && c->dtype != CDL_DTYPE_BF16;
  r->outcome = t.outcome == OUTCOME_PASS && marginal ? OUTCOME_MARGINAL : t.outcome;
  memcpy(r->message, t.message, sizeof r->message);
  memcpy(r->drawn, t.drawn, sizeof r->drawn);
  if (composed && r->outcome != OUTCOME_FAIL && t.ran && t.path != CDL_PATH_COMPOSED) {
    r->outcome = OUTCOME_FAIL;
    snprintf(r->message, sizeof r->message, "composed paths were preferred, yet the path is %s",
             cdl_path_name(t.path));
  }
  return r;
}

/* Counts the cases of each op. Groups of no op run whole: they are few, and each case of them is
 * another thing. */
static bool chosen(const suite *s, const test_case *c, int met[CDL_OP_COUNT])
{
  return c->op == CASE_NO_OP || met[c->op]++ % s->every == 0;
}

void suite_run(suite *s, unsigned mode_flag)
{
  int met[CDL_OP_COUNT] = {0};
  for (size_t i = 0; i < s->case_count; i++) {
    const test_case *c = &s->cases[i];
    if ((c->flags & CASE_GRAD) != mode_flag ||
        (s->only_op != NULL && strcmp(s->only_op, c->group) != 0) ||
        (s->only_case != NULL && strcmp(s->only_case, c->name) != 0))
      continue;
    if ((s->quick && (c->flags & CASE_LARGE) != 0) || !chosen(s, c, met))
      continue;
    const case_result *r = run_once(s, c, false);
    /* no op is composed for BF16 activations */
    if (c->op != CASE_NO_OP && (c->flags & CASE_DEFECT) == 0 && ops[c->op].tier == TIER_COMPOSED &&
        r->path == CDL_PATH_NATIVE && c->dtype != CDL_DTYPE_BF16)
      run_once(s, c, true);
  }
}

/* ---- Reports ---- */

typedef struct {
  size_t passed, marginal, failed, skipped;
  const case_result *worst;
} tally;

static const char *outcome_name(outcome o)
{
  static const char *const names[] = {"pass", "MARGINAL", "FAIL", "skip"};
  return names[o];
}

static tally count_results(const suite *s, const char *group)
{
  tally sum = {0};
  for (size_t i = 0; i < s->result_count; i++) {
    const case_result *r = &s->results[i];
    if (group != NULL && strcmp(group, r->self->group) != 0)
      continue;
    sum.passed += r->outcome == OUTCOME_PASS || r->outcome == OUTCOME_MARGINAL;
    sum.marginal += r->outcome == OUTCOME_MARGINAL;
    sum.failed += r->outcome == OUTCOME_FAIL;
    sum.skipped += r->outcome == OUTCOME_SKIP;
    if (r->outcome != OUTCOME_FAIL && (sum.worst == NULL || r->ratio > sum.worst->ratio))
      sum.worst = r;
  }
  return sum;
}

static void print_case(const suite *s, const case_result *r)
{
  const bool has_path = r->self->op != CASE_NO_OP && r->path != CDL_PATH_NONE;
  printf("  %-8s %s %s: %s%s%s%s%s", outcome_name(r->outcome), r->self->group,
         cdl_dtype_name(r->self->dtype), r->self->name, r->drawn[0] != '\0' ? ": " : "", r->drawn,
         has_path ? ", " : "", has_path ? cdl_path_name(r->path) : "");
  if (r->outcome == OUTCOME_PASS || r->outcome == OUTCOME_MARGINAL)
    printf(", error/bound %.3f", r->ratio);
  if (r->message[0] != '\0')
    printf("\n           %s", r->message);
  if (r->outcome == OUTCOME_FAIL)
    printf("\n           again: --backend %s --seed %llu --op %s --case '%s'", s->backend_name,
           (unsigned long long)s->seed, r->self->group, r->self->name);
  printf("\n");
}

static bool first_of_group(const suite *s, size_t index)
{
  for (size_t i = 0; i < index; i++)
    if (strcmp(s->results[i].self->group, s->results[index].self->group) == 0)
      return false;
  return true;
}

static void report_text(const suite *s)
{
  for (size_t i = 0; i < s->result_count; i++) {
    if (!first_of_group(s, i))
      continue;
    const char *group = s->results[i].self->group;
    const tally sum = count_results(s, group);
    printf("%-8s %-18s %4zu passed, %zu failed, %zu skipped", sum.failed > 0 ? "FAIL" : "pass",
           group, sum.passed, sum.failed, sum.skipped);
    if (sum.worst != NULL)
      printf("; error/bound at most %.3f (%s %s)", sum.worst->ratio,
             cdl_dtype_name(sum.worst->self->dtype), sum.worst->self->name);
    printf("\n");
    for (size_t k = i; k < s->result_count; k++)
      if (strcmp(s->results[k].self->group, group) == 0 &&
          (s->verbose || s->results[k].outcome != OUTCOME_PASS))
        print_case(s, &s->results[k]);
  }
}

/* Inside a quoted string of JSON or XML. */
static void print_escaped(const char *text, bool xml)
{
  for (; *text != '\0'; text++) {
    const unsigned char c = (unsigned char)*text;
    if (xml && (c == '<' || c == '>' || c == '&' || c == '"'))
      printf("&#%d;", c);
    else if (!xml && (c == '"' || c == '\\'))
      printf("\\%c", c);
    else if (c < 0x20)
      printf(xml ? "&#%d;" : "\\u%04x", c);
    else
      putchar(c);
  }
}

static void print_ratio(double ratio)
{
  if (isfinite(ratio))
    printf("%.6g", ratio);
  else
    printf("1e308");
}

static void report_json(const suite *s)
{
  const tally sum = count_results(s, NULL);
  printf("{\"backend\": \"");
  print_escaped(s->backend_name, false);
  printf("\", \"description\": \"");
  print_escaped(cdl_backend_description(s->backend), false);
  printf("\", \"seed\": %llu, \"passed\": %zu, \"marginal\": %zu, \"failed\": %zu, \"skipped\": "
         "%zu, \"cases\": [",
         (unsigned long long)s->seed, sum.passed, sum.marginal, sum.failed, sum.skipped);
  for (size_t i = 0; i < s->result_count; i++) {
    const case_result *r = &s->results[i];
    printf("%s\n{\"group\": \"%s\", \"dtype\": \"%s\", \"case\": \"", i == 0 ? "" : ",",
           r->self->group, cdl_dtype_name(r->self->dtype));
    print_escaped(r->self->name, false);
    printf("\", \"drawn\": \"");
    print_escaped(r->drawn, false);
    printf("\", \"composed\": %s, \"path\": \"%s\", \"outcome\": \"%s\", \"error_over_bound\": ",
           r->composed ? "true" : "false", cdl_path_name(r->path), outcome_name(r->outcome));
    print_ratio(r->ratio);
    printf(", \"message\": \"");
    print_escaped(r->message, false);
    printf("\"}");
  }
  printf("\n]}\n");
}

static void report_junit(const suite *s)
{
  const tally sum = count_results(s, NULL);
  printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"condlora-conformance ");
  print_escaped(s->backend_name, true);
  printf("\" tests=\"%zu\" failures=\"%zu\" skipped=\"%zu\">\n", s->result_count, sum.failed,
         sum.skipped);
  for (size_t i = 0; i < s->result_count; i++) {
    const case_result *r = &s->results[i];
    printf("<testcase classname=\"%s\" name=\"%s ", r->self->group, cdl_dtype_name(r->self->dtype));
    print_escaped(r->self->name, true);
    if (r->drawn[0] != '\0')
      printf(": ");
    print_escaped(r->drawn, true);
    printf("%s\">", r->composed ? ", composed" : "");
    if (r->outcome == OUTCOME_FAIL || r->outcome == OUTCOME_SKIP) {
      printf("<%s message=\"", r->outcome == OUTCOME_FAIL ? "failure" : "skipped");
      print_escaped(r->message, true);
      if (r->outcome == OUTCOME_FAIL)
        printf("; --seed %llu", (unsigned long long)s->seed);
      printf("\"/>");
    }
    printf("</testcase>\n");
  }
  printf("</testsuite>\n");
}

/* Which dtypes the backend does without, op by op. */
static void report_skips(const suite *s)
{
  for (size_t i = 0; i < s->result_count; i++) {
    const test_case *self = s->results[i].self;
    if (!first_of_group(s, i))
      continue;
    size_t skipped = 0;
    const char *why = "";
    for (size_t k = i; k < s->result_count; k++)
      if (s->results[k].outcome == OUTCOME_SKIP && s->results[k].self->group == self->group) {
        why = s->results[k].message;
        skipped++;
      }
    if (skipped > 0)
      printf("skipped: %zu of %s: %s\n", skipped, self->group, why);
  }
}

int suite_report(const suite *s)
{
  const tally sum = count_results(s, NULL);
  switch (s->format) {
  case FORMAT_JSON:
    report_json(s);
    break;
  case FORMAT_JUNIT:
    report_junit(s);
    break;
  case FORMAT_TEXT:
  case FORMAT_CSV:
    report_text(s);
    if (sum.marginal > 0)
      printf("%zu marginal: above half of their bound\n", sum.marginal);
    report_skips(s);
    printf("%zu passed, %zu failed, %zu skipped\n", sum.passed, sum.failed, sum.skipped);
    break;
  }
  return sum.failed > 0 ? 1 : 0;
}
