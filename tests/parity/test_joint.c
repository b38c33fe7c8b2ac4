/* Runs trained side by side on one base against runs of their own, on one backend: losses and
 * gradient norms of every step, what they end in, and what is left of them. The models and examples
 * are those of golden cases; that a run of its own is right is test_parity's to say. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/required.h"
#include "train/joint.h"

enum { STEPS = 20, RUNS_MOST = 16, FIELDS_MOST = 12 };

static const char *cases_folder, *backend, *precision = "fp32";
static char scratch[4096];
/* The CPU gives the very numbers of a run alone; other devices sum rows in another order. */
static double limit_factor = 4;
/* Of a loss and of a norm, both relative above 1. */
static double loss_bound = 1e-5, norm_bound = 2e-4;
static double worst; /* difference / bound */
static int failures;

/* "field=value" each, further than what all runs have. */
typedef struct {
  const char *fields[FIELDS_MOST];
  int64_t stop_after; /* steps; 0: it is not stopped */
} wanted_run;

typedef struct {
  const char *case_name;
  const char *base[FIELDS_MOST]; /* of all runs */
  wanted_run runs[RUNS_MOST];    /* the last one has no fields */
} mix;

typedef struct {
  double loss[STEPS], norm[STEPS];
  int64_t steps, stop_after;
  volatile int stop;
  cdl_backend *backend;
  size_t first_bytes, last_bytes; /* in use on the backend, at step 3 and at the last */
} record;

static void fail_test(const char *name, size_t run, const char *what)
{
  printf("  FAIL %s, run %zu: %s\n", name, run, what);
  failures++;
}

static void expect_ok(const char *name, size_t run, cdl_status status)
{
  if (status != CDL_STATUS_OK)
    fail_test(name, run, cdl_error_message());
}

/* ---- Settings ---- */

static cdl_status set(train_settings *s, const char *text)
{
  char field[64];
  const size_t length = strcspn(text, "=");
  snprintf(field, sizeof field, "%.*s", (int)length, text);
  const base_option *setting = train_setting_find(field);
  if (setting == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "no setting %s", field);
  return train_settings_set(s, setting, text[length] == '=' ? text + length + 1 : NULL);
}

static cdl_status set_all(train_settings *s, const char *const fields[FIELDS_MOST])
{
  for (size_t i = 0; i < FIELDS_MOST && fields[i] != NULL; i++)
    CDL_TRY(set(s, fields[i]));
  return CDL_STATUS_OK;
}

static cdl_status make_settings(const mix *m, const wanted_run *run, const char *name, size_t index,
                                train_settings *s)
{
  static const char *const common[FIELDS_MOST] = {
      "text_columns=sentence1", "label_column=label", "max_length=48",
      "batch_size=4",           "max_steps=20",       "dev_fraction=0",
      "eval_every=0",           "keep=last",          "checkpoint_every=1000"};
  char text[9000];
  CDL_TRY(train_settings_init(s));
  CDL_TRY(set_all(s, common));
  snprintf(text, sizeof text, "model=%s/%s/model", cases_folder, m->case_name);
  CDL_TRY(set(s, text));
  snprintf(text, sizeof text, "train=%s/%s/train.tsv", cases_folder, m->case_name);
  CDL_TRY(set(s, text));
  snprintf(text, sizeof text, "output=%s/%s-%zu", scratch, name, index);
  CDL_TRY(set(s, text));
  snprintf(text, sizeof text, "backend=%s", backend);
  CDL_TRY(set(s, text));
  snprintf(text, sizeof text, "precision=%s", precision);
  CDL_TRY(set(s, text));
  CDL_TRY(set_all(s, m->base));
  if (run != NULL)
    CDL_TRY(set_all(s, run->fields));
  return train_settings_check(s);
}

static size_t count_runs(const mix *m)
{
  size_t count = 0;
  while (count < RUNS_MOST && m->runs[count].fields[0] != NULL)
    count++;
  return count;
}

/* ---- Runs ---- */

static void stepped(void *user, const train_step_report *report)
{
  record *r = user;
  cdl_memory_info memory = {.size = sizeof memory};
  if (cdl_backend_memory(r->backend, &memory) != CDL_STATUS_OK)
    failures++;
  if (report->step == 3)
    r->first_bytes = memory.used_bytes;
  r->last_bytes = memory.used_bytes;
  if (r->steps < STEPS) {
    r->loss[r->steps] = report->loss;
    r->norm[r->steps] = report->gradient_norm;
  }
  r->steps++;
  if (r->stop_after > 0 && report->step >= r->stop_after)
    r->stop = 1;
}

static train_events events_of(record *r, const train_session *session)
{
  r->backend = session->model.backend;
  return (train_events){.user = r, .stepped = stepped, .stop = &r->stop};
}

/* A run of its own, on a base of its own. */
static void train_alone(const mix *m, const char *name, size_t index, record *r,
                        train_summary *summary)
{
  train_settings s;
  train_session session = {0};
  cdl_status status = make_settings(m, &m->runs[index], name, index, &s);
  if (status == CDL_STATUS_OK)
    status = train_session_open(&session, &s, NULL, NULL);
  if (status == CDL_STATUS_OK) {
    const train_events events = events_of(r, &session);
    status = train_run(&session, &s, &events, summary);
    train_session_close(&session);
  }
  expect_ok(name, index, status);
  train_settings_release(&s);
}

typedef struct {
  train_settings settings[RUNS_MOST], of_base;
  train_session base, sessions[RUNS_MOST];
  train_events events[RUNS_MOST];
  train_joint_run runs[RUNS_MOST];
  record records[RUNS_MOST];
  size_t count, bytes_before;
} side_by_side;

static size_t used_bytes(const train_session *session)
{
  cdl_memory_info memory = {.size = sizeof memory};
  if (cdl_queue_sync(session->model.queue) != CDL_STATUS_OK ||
      cdl_backend_memory(session->model.backend, &memory) != CDL_STATUS_OK)
    failures++;
  return memory.used_bytes;
}

static void open_runs(const mix *m, const char *name, side_by_side *s)
{
  s->count = count_runs(m);
  cdl_status status = make_settings(m, NULL, name, 100, &s->of_base);
  if (status == CDL_STATUS_OK)
    status = train_session_open_base(&s->base, &s->of_base, NULL, NULL);
  expect_ok(name, 100, status);
  s->bytes_before = used_bytes(&s->base);
  for (size_t i = 0; i < s->count; i++) {
    status = make_settings(m, &m->runs[i], name, i, &s->settings[i]);
    if (status == CDL_STATUS_OK)
      status = train_session_share(&s->base, &s->settings[i], NULL, &s->sessions[i]);
    expect_ok(name, i, status);
    s->records[i].stop_after = m->runs[i].stop_after;
    s->events[i] = events_of(&s->records[i], &s->base);
    s->runs[i] = (train_joint_run){
        .session = &s->sessions[i], .settings = &s->settings[i], .events = &s->events[i]};
  }
}

static void close_runs(const char *name, side_by_side *s)
{
  for (size_t i = 0; i < s->count; i++)
    train_session_unshare(&s->sessions[i]);
  const size_t after = used_bytes(&s->base);
  if (after != s->bytes_before) {
    printf("  %zu bytes were in use before, %zu after\n", s->bytes_before, after);
    fail_test(name, 100, "memory of the runs is still in use");
  }
  train_session_close(&s->base);
  train_settings_release(&s->of_base);
  for (size_t i = 0; i < s->count; i++)
    train_settings_release(&s->settings[i]);
}

/* ---- Tests ---- */

static void compare(const char *name, size_t run, const char *what, int64_t step, double own,
                    double joint, double bound)
{
  if (joint == own)
    return;
  const double share = fabs(joint - own) / (bound * limit_factor * fmax(1, fabs(own)));
  if (share <= worst || share <= 1) {
    worst = fmax(worst, share);
    return;
  }
  char text[160];
  snprintf(text, sizeof text, "%s of step %lld is %.9g, alone %.9g", what, (long long)step, joint,
           own);
  fail_test(name, run, text);
}

/* Every step's loss is near that of a run of its own, and nothing is allocated on the way. */
static void test_mix(const mix *m, const char *name)
{
  char alone[64];
  snprintf(alone, sizeof alone, "%s-alone", name);
  side_by_side s = {0};
  open_runs(m, name, &s);
  if (failures == 0)
    expect_ok(name, 100, train_joint(s.runs, s.count));
  for (size_t i = 0; failures == 0 && i < s.count; i++) {
    record own = {0};
    train_summary summary;
    if (s.runs[i].status != CDL_STATUS_OK)
      fail_test(name, i, s.runs[i].message);
    train_alone(m, alone, i, &own, &summary);
    if (own.steps != STEPS || s.records[i].steps != STEPS)
      fail_test(name, i, "not all steps were reported");
    for (int64_t k = 0; k < STEPS; k++) {
      compare(name, i, "the loss", k + 1, own.loss[k], s.records[i].loss[k], loss_bound);
      compare(name, i, "the gradient's norm", k + 1, own.norm[k], s.records[i].norm[k], norm_bound);
    }
  }
  /* The first run ends before any other: until then all memory stays where it is. */
  if (s.records[0].first_bytes != s.records[0].last_bytes)
    fail_test(name, 0, "steps allocate memory");
  close_runs(name, &s);
}

/* Runs that end while others go on: early, stopped, with a loss that is no number. */
static void test_early_ends(void)
{
  static const mix m = {"bert-lora",
                        {"dropout=0.1"},
                        {{{"method=lora", "max_steps=4", "seed=1"}, 0},
                         {{"method=condlora", "rank=3", "seed=2"}, 0},
                         {{"method=lora", "rank=2", "seed=3"}, 7},
                         {{"method=lora", "lr=9e5", "weight_decay=9e5", "seed=4"}, 0},
                         {{NULL}, 0}}};
  static const cdl_status expected[] = {CDL_STATUS_OK, CDL_STATUS_OK, CDL_STATUS_CANCELLED,
                                        CDL_STATUS_NUMERIC};
  const char *name = "early-ends";
  side_by_side s = {0};
  open_runs(&m, name, &s);
  expect_ok(name, 100, train_joint(s.runs, s.count));
  for (size_t i = 0; i < s.count; i++)
    if (s.runs[i].status != expected[i])
      fail_test(name, i, s.runs[i].status == CDL_STATUS_OK ? "it ended well" : s.runs[i].message);
  if (strstr(s.runs[2].message, "stopped after step") == NULL)
    fail_test(name, 2, "the message does not say how the run ended");
  if (strstr(s.runs[3].message, "the loss is") == NULL)
    fail_test(name, 3, "the message does not say how the run ended");
  record own = {0};
  train_summary summary;
  train_alone(&m, "early-ends-alone", 1, &own, &summary);
  if (s.records[0].steps != 4 || s.records[1].steps != STEPS)
    fail_test(name, 1, "steps are missing");
  for (int64_t k = 0; k < STEPS; k++)
    compare(name, 1, "the loss", k + 1, own.loss[k], s.records[1].loss[k], loss_bound);
  close_runs(name, &s);
}

/* Each evaluates at its own times and keeps its own best. */
static void test_evaluations(void)
{
  static const mix m = {
      "bert-lora",
      {"dev_fraction=0.25", "keep=best", "dropout=0"},
      {{{"method=lora", "eval_every=4", "lr=5e-3", "seed=5"}, 0},
       {{"method=condlora", "eval_every=7", "batch_size=8", "lr=2e-3", "seed=6"}, 0},
       {{"method=none", "eval_every=epoch", "lr=1e-2", "seed=7"}, 0},
       {{NULL}, 0}}};
  const char *name = "evaluations";
  side_by_side s = {0};
  open_runs(&m, name, &s);
  expect_ok(name, 100, train_joint(s.runs, s.count));
  for (size_t i = 0; i < s.count; i++) {
    record own = {0};
    train_summary summary;
    if (s.runs[i].status != CDL_STATUS_OK)
      fail_test(name, i, s.runs[i].message);
    train_alone(&m, "evaluations-alone", i, &own, &summary);
    if (s.runs[i].summary.best_step != summary.best_step || !s.runs[i].summary.has_valid)
      fail_test(name, i, "another step is the best");
    compare(name, i, "the loss on valid", summary.best_step, summary.valid.loss,
            s.runs[i].summary.valid.loss, loss_bound);
    if (access(s.runs[i].summary.adapter_path, R_OK) != 0)
      fail_test(name, i, "no adapter was written");
  }
  close_runs(name, &s);
}

/* One run on a shared base has the very bytes of a run of its own, one after another. */
static void test_single(void)
{
  static const mix m = {"bert-condlora-fresh-pooler",
                        {"dropout=0.1", "adapter_dropout=0.1"},
                        {{{"method=condlora", "seed=8"}, 0},
                         {{"method=lora", "use_dora", "seed=9"}, 0},
                         {{NULL}, 0}}};
  const char *name = "single";
  side_by_side s = {0};
  open_runs(&m, name, &s);
  for (size_t i = 0; i < s.count; i++) {
    record own = {0};
    train_summary summary;
    train_alone(&m, "single-alone", i, &own, &summary);
    expect_ok(name, i, train_joint(&s.runs[i], 1));
    if (s.runs[i].status != CDL_STATUS_OK)
      fail_test(name, i, s.runs[i].message);
    if (memcmp(own.loss, s.records[i].loss, sizeof own.loss) != 0 ||
        memcmp(own.norm, s.records[i].norm, sizeof own.norm) != 0)
      fail_test(name, i, "a run on a shared base differs from one of its own");
  }
  close_runs(name, &s);
}

/* ---- Recorded passes ---- */

static void count_attention(void *user, const cdl_observation *seen)
{
  int *count = user;
  *count += seen->op == CDL_OP_attention && seen->after;
}

/* Trains the mix, whose results stay in `s`. Returns how often attention was enqueued, which a
 * replay does not do. */
static int train_counted(const mix *m, const char *name, side_by_side *s, bool *captures)
{
  int count = 0;
  open_runs(m, name, s);
  if (failures > 0)
    return 0;
  *captures = cdl_backend_captures(s->base.model.backend);
  cdl_backend_observe(s->base.model.backend, count_attention, &count);
  expect_ok(name, 100, train_joint(s->runs, s->count));
  cdl_backend_observe(s->base.model.backend, NULL, NULL);
  for (size_t i = 0; i < s->count; i++)
    if (s->runs[i].status != CDL_STATUS_OK)
      fail_test(name, i, s->runs[i].message);
  close_runs(name, s);
  return count;
}

/* Every example has three tokens, so that batches have one shape, which is not rounded up. A device
 * that records work enqueues the first two passes of the same runs and replays the others, with the
 * bytes of passes that are not recorded. One run ends early. */
static void test_recorded(void)
{
  mix m = {"bert-lora",
           {"dropout=0.1", "max_length=3"},
           {{{"method=lora", "max_steps=8", "seed=1"}, 0},
            {{"method=condlora", "rank=3", "batch_size=5", "adapter_dropout=0.1", "seed=2"}, 0},
            {{"method=lora", "rank=2", "seed=3"}, 0},
            {{NULL}, 0}}};
  const char *name = "recorded";
  side_by_side s = {0}, plain = {0};
  bool captures = false;
  const int few = train_counted(&m, name, &s, &captures);
  m.base[2] = "no_record";
  const int all = train_counted(&m, "enqueued", &plain, &captures);
  if (captures && 4 * few > all)
    fail_test(name, 100, "passes of a known shape were enqueued again");
  for (size_t i = 0; i < s.count; i++)
    if (s.records[i].steps < 8 ||
        memcmp(s.records[i].loss, plain.records[i].loss, sizeof s.records[i].loss) != 0 ||
        memcmp(s.records[i].norm, plain.records[i].norm, sizeof s.records[i].norm) != 0)
      fail_test(name, i, "a replay differs from what was recorded");
}

/* What would change the base under the others. */
static void test_refusals(void)
{
  static const mix m = {"bert-lora",
                        {NULL},
                        {{{"method=full"}, 0},
                         {{"method=bitfit"}, 0},
                         {{"method=lora", "bias=all"}, 0},
                         {{"method=lora", "init=pissa"}, 0},
                         {{"method=lora", "init=olora"}, 0},
                         {{"method=lora", "modules_to_save=attention.output.dense"}, 0},
                         {{NULL}, 0}}};
  const char *name = "refusals";
  train_settings of_base;
  train_session base = {0};
  expect_ok(name, 100, make_settings(&m, NULL, name, 100, &of_base));
  expect_ok(name, 100, train_session_open_base(&base, &of_base, NULL, NULL));
  for (size_t i = 0; i < count_runs(&m); i++) {
    train_settings s;
    train_session session = {0};
    expect_ok(name, i, make_settings(&m, &m.runs[i], name, i, &s));
    if (train_session_share(&base, &s, NULL, &session) != CDL_STATUS_USAGE)
      fail_test(name, i, "it was not refused");
    else if (strstr(cdl_error_message(), "the base is shared") == NULL)
      fail_test(name, i, cdl_error_message());
    train_settings_release(&s);
  }
  train_session_close(&base);
  train_settings_release(&of_base);
}

static const mix methods = {
    "bert-lora",
    {"dropout=0.1"},
    {{{"method=lora", "rank=3", "lr=5e-3", "seed=1", "batch_size=6"}, 0},
     {{"method=condlora", "rank=5", "alpha=16", "adapter_dropout=0.2", "seed=2"}, 0},
     {{"method=adalora", "init_r=4", "target_r=2", "tinit=2", "tfinal=4", "delta_t=2", "seed=3"},
      0},
     {{"method=lora", "use_dora", "adapter_dropout=0.1", "targets=query,value,dense", "seed=4",
       "accumulate=2"},
      0},
     {{"method=condlora", "use_x=type1", "dropout=0", "batch_size=3", "seed=5"}, 0},
     {{"method=vera", "rank=6", "adapter_dropout=0.1", "seed=6"}, 0},
     {{"method=condlora", "condition=random", "adapter_dropout=0.1", "seed=10"}, 0},
     {{"method=condlora", "condition=permuted", "orientation=reference", "gates", "seed=11"}, 0},
     {{"method=lora-xs", "rank=6", "adapter_dropout=0.1", "seed=12"}, 0},
     {{"method=shared", "rank=4", "adapter_dropout=0.1", "seed=9"}, 0},
     {{"method=none", "dropout=0.3", "lr=1e-2", "seed=6"}, 0},
     {{"method=lora", "rank=4", "dylora_rank_min=1", "layers_to_transform=1", "seed=7"}, 0},
     {{"method=condadalora", "init_r=4", "target_r=2", "tinit=2", "tfinal=4", "delta_t=2",
       "seed=8"},
      0},
     {{NULL}, 0}}};

/* Dropout on the frozen path too, where members that have it lie beside members that have not. */
static const mix reference = {
    "roberta-condlora-reference",
    {"compat=reference", "dropout=0.1"},
    {{{"method=condlora", "orientation=reference", "adapter_dropout=0.1", "seed=1"}, 0},
     {{"method=condlora", "orientation=reference", "rank=2", "seed=2"}, 0},
     {{"method=condlora", "orientation=reference", "adapter_dropout=0.3", "use_dora", "seed=3"}, 0},
     {{"method=lora", "adapter_dropout=0.1", "seed=4", "batch_size=7"}, 0},
     {{NULL}, 0}}};

static const mix projected = {
    "electra-lora-project",
    {"dropout=0.1"},
    {{{"method=lora", "targets=query,embeddings_project", "seed=1"}, 0},
     {{"method=lora", "targets=value", "adapter_dropout=0.1", "seed=2"}, 0},
     {{"method=none", "seed=3"}, 0},
     {{NULL}, 0}}};

static const mix distilled = {"distilbert-lora",
                              {"dropout=0.1"},
                              {{{"method=lora", "seed=1"}, 0},
                               {{"method=condlora", "rank=2", "seed=2", "batch_size=2"}, 0},
                               {{NULL}, 0}}};

/* Attention's bias is the base's; sequences are longer than the distances that it tells apart. */
static const mix distances = {
    "mpnet-lora",
    {"dropout=0.1", "max_length=160"},
    {{{"method=lora", "adapter_dropout=0.1", "seed=1"}, 0},
     {{"method=condlora", "targets=q,k,v,o", "rank=2", "seed=2", "batch_size=3"}, 0},
     {{"method=none", "seed=3", "batch_size=6"}, 0},
     {{NULL}, 0}}};

/* Several labels, and several numbers: the losses of all outputs. */
static const mix labels = {
    "bert-lora-multi-label",
    {"dropout=0.1", "multi_label", "label_separator=|"},
    {{{"method=lora", "class_weights=balanced", "seed=1"}, 0},
     {{"method=condlora", "rank=2", "seed=2", "batch_size=3", "accumulate=2"}, 0},
     {{"method=none", "seed=3", "batch_size=6"}, 0},
     {{NULL}, 0}}};

static const mix numbers = {"roberta-condlora-numbers",
                            {"dropout=0.1", "text_columns=sentence1,sentence2",
                             "label_column=number0,number2,number1", "regression"},
                            {{{"method=lora", "seed=1"}, 0},
                             {{"method=condlora", "rank=2", "seed=2", "batch_size=3"}, 0},
                             {{NULL}, 0}}};

/* ---- The program ---- */

static int without_backend(void)
{
  cdl_backend *opened = NULL;
  const cdl_status status = cdl_backend_open(backend, NULL, &opened);
  if (status == CDL_STATUS_OK) {
    printf("%s: %s\n", backend, cdl_backend_description(opened));
    return cdl_backend_close(opened) == CDL_STATUS_OK ? -1 : 1;
  }
  const bool failed =
      status != CDL_STATUS_ABSENT || strcmp(backend, "cpu") == 0 || is_required(backend);
  printf("%s: joint runs on %s: %s\n", failed ? "FAIL" : "skipped", backend, cdl_error_message());
  return failed ? 1 : 77;
}

static void report(const char *name, int failed_before)
{
  printf("%s %-12s largest difference / bound %.3f\n", failures == failed_before ? "ok  " : "FAIL",
         name, worst);
  worst = 0;
}

/* Whether a test is among those of the command line; without any, all run. */
static bool is_chosen(const char *name, int count, char **chosen)
{
  bool found = count <= 0;
  for (int i = 0; i < count; i++)
    found = found || strcmp(chosen[i], name) == 0;
  return found;
}

/* test-joint BACKEND CASES [fp32|bf16 [TEST ...]] */
int main(int argc, char **argv)
{
  enum { FIRST_TEST = 4 };
  static const struct {
    const mix *mix;
    const char *name;
  } mixes[] = {{&methods, "methods"},     {&reference, "reference"}, {&projected, "projected"},
               {&distilled, "distilled"}, {&distances, "distances"}, {&labels, "labels"},
               {&numbers, "numbers"}};
  static const struct {
    void (*run)(void);
    const char *name;
  } tests[] = {{test_early_ends, "early-ends"},
               {test_evaluations, "evaluations"},
               {test_single, "single"},
               {test_recorded, "recorded"},
               {test_refusals, "refusals"}};
  if (argc < 3) {
    fprintf(stderr, "usage: test-joint BACKEND CASES [fp32|bf16 [TEST ...]]\n");
    return 2;
  }
  if (argc > 3)
    precision = argv[3];
  backend = argv[1];
  cases_folder = argv[2];
  const int stop = without_backend();
  if (stop >= 0)
    return stop;
  if (strcmp(backend, "cpu") == 0)
    limit_factor = 0; /* every difference is beyond it */
  if (strcmp(precision, "bf16") == 0) {
    loss_bound = 0x1p-22 * 0x1p15; /* README.md's for BF16 */
    norm_bound = 0x1p-20 * 0x1p15;
  }
  snprintf(scratch, sizeof scratch, "%s/condlora-joint-XXXXXX",
           getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  if (mkdtemp(scratch) == NULL)
    return 1;
  for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
    const int before = failures;
    if (!is_chosen(mixes[i].name, argc - FIRST_TEST, argv + FIRST_TEST))
      continue;
    test_mix(mixes[i].mix, mixes[i].name);
    report(mixes[i].name, before);
  }
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
    const int before = failures;
    if (!is_chosen(tests[i].name, argc - FIRST_TEST, argv + FIRST_TEST))
      continue;
    tests[i].run();
    report(tests[i].name, before);
  }
  char command[4200];
  snprintf(command, sizeof command, "rm -rf '%s'", scratch);
  if (system(command) != 0)
    printf("  %s was left\n", scratch);
  return failures == 0 ? 0 : 1;
}
