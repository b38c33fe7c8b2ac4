/* Every call that fails, once: a small training run on the emulated CUDA device is repeated, and
 * the K-th call of each function of the driver and its libraries fails, for each K; then the K-th
 * piece of work faults on the device. The run has an eager step, one that is recorded, one that is
 * replayed, and a checkpoint. Each time: no crash, nothing left on the device, and either an error
 * that names the call, the device's own code and the op, or the same adapter as without a
 * failure. */
#include <dlfcn.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "condlora/log.h"
#include "condlora/random.h"
#include "condlora/safetensors.h"
#include "train/joint.h"

enum { PATH_BYTES = 512, MESSAGE_BYTES = 2048, ALL_THE_SAME = 8 };

/* ---- The emulator, found as the plug-in finds it ---- */

static struct {
  void (*fail_at)(const char *what, uint64_t k);
  void (*answer)(const char *what, uint64_t k, int code, bool from_then_on);
  const char *(*failed_call)(void);
  uint64_t (*works)(void);
  int (*leaks)(void);
  int (*violations)(void);
  void (*seed)(uint64_t seed);
} emulator;

static void die(const char *what, const char *why)
{
  fprintf(stderr, "failures: %s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

static void *symbol(void *library, const char *name)
{
  void *found = dlsym(library, name);
  if (found == NULL)
    die(name, dlerror());
  return found;
}

static void find_emulator(void)
{
  const char *folder = getenv("CDL_CUDA_LIBRARIES");
  if (folder == NULL)
    die("CDL_CUDA_LIBRARIES", "names the emulator's folder");
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/libcuda.so.1", folder);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    die(path, dlerror());
  *(void **)(void *)&emulator.fail_at = symbol(library, "emulator_fail_at");
  *(void **)(void *)&emulator.answer = symbol(library, "emulator_answer");
  *(void **)(void *)&emulator.failed_call = symbol(library, "emulator_failed_call");
  *(void **)(void *)&emulator.works = symbol(library, "emulator_works");
  *(void **)(void *)&emulator.leaks = symbol(library, "emulator_leaks");
  *(void **)(void *)&emulator.violations = symbol(library, "emulator_violations");
  *(void **)(void *)&emulator.seed = symbol(library, "emulator_seed");
}

/* ---- Files ---- */

static char folder[64];

static const char *path_of(const char *name)
{
  static char paths[8][PATH_BYTES];
  static unsigned turn;
  char *path = paths[turn++ % 8];
  snprintf(path, PATH_BYTES, "%s/%s", folder, name);
  return path;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *where)
{
  (void)facts, (void)type, (void)where;
  return remove(path);
}

static void remove_folder(const char *path)
{
  nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_text(const char *name, const char *text)
{
  FILE *file = fopen(path_of(name), "w");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
    die(name, "cannot be written");
}

static void must(cdl_status status, const char *what)
{
  if (status != CDL_STATUS_OK)
    die(what, cdl_error_message());
}

static void write_weights(const model_encoder *encoder, encoder_parameter *parameters)
{
  const size_t count = encoder_parameter_count(encoder);
  cdl_stored_tensor *tensors = calloc(count, sizeof *tensors);
  size_t stored = 0;
  for (size_t i = 0; tensors != NULL && i < count; i++) {
    const encoder_parameter *p = &parameters[i];
    if (strncmp(p->name, "classifier.", 11) == 0)
      continue;
    const int64_t elements = cdl_tensor_elements(p->value);
    float *values = malloc((size_t)elements * sizeof *values);
    if (values == NULL)
      die(p->name, "out of memory");
    cdl_random random = cdl_random_start(7, CDL_RANDOM_INITIAL_VALUES, (uint32_t)i, 0);
    for (int64_t j = 0; j < elements; j++)
      values[j] =
          (p->role == ENCODER_ROLE_NORM ? 1.0f : 0.0f) + 0.2f * (float)cdl_random_normal(&random);
    cdl_stored_tensor *t = &tensors[stored++];
    *t = (cdl_stored_tensor){
        .name = p->name, .type = CDL_STORED_F32, .rank = (uint32_t)p->dimensions, .data = values};
    for (int d = 0; d < p->dimensions; d++)
      t->shape[d] = p->value.size[4 - p->dimensions + d];
  }
  const cdl_metadata metadata = {"format", "pt"};
  must(cdl_safetensors_write(path_of("model/model.safetensors"), tensors, stored, &metadata, 1),
       "the model");
  for (size_t i = 0; i < stored; i++)
    free((void *)(uintptr_t)tensors[i].data);
  free(tensors);
}

/* 2 layers of width 32, whose one head is as wide, so that attention is native and recordable. */
static void make_model(void)
{
  mkdir(path_of("model"), 0700);
  write_text("model/config.json",
             "{\"model_type\": \"bert\", \"architectures\": [\"BertModel\"], \"vocab_size\": 10, "
             "\"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 1, "
             "\"intermediate_size\": 32, \"max_position_embeddings\": 16, \"type_vocab_size\": 2, "
             "\"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-12, \"pad_token_id\": 0}\n");
  write_text("model/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nold\nowl\nsings\n.\n");
  write_text("model/tokenizer_config.json", "{\"tokenizer_class\": \"BertTokenizer\", "
                                            "\"do_lower_case\": true}\n");
  write_text("train.tsv", "sentence\tlabel\nthe old owl sings .\tyes\nthe owl\tno\nold .\tno\n");
  model_config config;
  must(model_config_read(path_of("model"), &config), "config.json");
  cdl_backend *cpu;
  cdl_queue *queue;
  model_encoder *encoder;
  must(cdl_backend_open("cpu", NULL, &cpu), "cpu");
  must(cdl_queue_create(cpu, &queue), "cpu");
  must(encoder_create(queue, &config, 2, &encoder), "an encoder");
  write_weights(encoder, encoder_parameters(encoder));
  encoder_destroy(encoder);
  cdl_queue_destroy(queue);
  must(cdl_backend_close(cpu), "cpu");
  model_config_release(&config);
}

/* ---- One run ---- */

static char unrecorded[MESSAGE_BYTES]; /* the notice that steps are not recorded */
static int notices;                    /* of this kind */
static bool no_record;                 /* the setting */
static const char *batch_size = "3";

static void listen(void *user, cdl_log_level level, const char *line)
{
  (void)user, (void)level;
  if (strstr(line, "not recorded") == NULL)
    return;
  notices++;
  snprintf(unrecorded, sizeof unrecorded, "%s", line);
}

static void set(train_settings *settings, const char *field, const char *value)
{
  must(train_settings_set(settings, train_setting_find(field), value), field);
}

static void make_settings(train_settings *settings, const char *output)
{
  must(train_settings_init(settings), "settings");
  set(settings, "model", path_of("model"));
  set(settings, "train", path_of("train.tsv"));
  set(settings, "text_columns", "sentence");
  set(settings, "label_column", "label");
  set(settings, "dev_fraction", "0");
  set(settings, "eval_every", "0");
  set(settings, "rank", "2");
  set(settings, "batch_size", batch_size);
  set(settings, "max_steps", "3");
  set(settings, "checkpoint_every", "2");
  set(settings, "output", path_of(output));
  set(settings, "backend", "cuda");
  if (no_record)
    set(settings, "no_record", NULL);
}

/* The status; `message` is its text. */
static cdl_status train(bool resume, char message[MESSAGE_BYTES])
{
  train_settings settings;
  make_settings(&settings, "out");
  if (resume)
    set(&settings, "resume", NULL);
  train_session session;
  train_summary summary;
  const train_events events = {0};
  cdl_status status = train_session_open(&session, &settings, NULL, NULL);
  if (status == CDL_STATUS_OK) {
    status = train_run(&session, &settings, &events, &summary);
    snprintf(message, MESSAGE_BYTES, "%s", status == CDL_STATUS_OK ? "" : cdl_error_message());
    train_session_close(&session);
  } else {
    snprintf(message, MESSAGE_BYTES, "%s", cdl_error_message());
  }
  train_settings_release(&settings);
  return status;
}

typedef struct {
  char *bytes;
  size_t count;
} content;

static content read_adapter(const char *output)
{
  char name[64];
  content c = {0};
  snprintf(name, sizeof name, "%s/adapter/adapter_model.safetensors", output);
  FILE *file = fopen(path_of(name), "rb");
  if (file == NULL)
    return c;
  c.bytes = malloc(1 << 20);
  if (c.bytes != NULL)
    c.count = fread(c.bytes, 1, 1 << 20, file);
  fclose(file);
  return c;
}

static bool is_adapter(const char *output, content wanted)
{
  const content c = read_adapter(output);
  const bool same =
      c.bytes != NULL && c.count == wanted.count && memcmp(c.bytes, wanted.bytes, c.count) == 0;
  free(c.bytes);
  return same;
}

static content expected;

static bool is_expected_adapter(void)
{
  return is_adapter("out", expected);
}

/* ---- Judging ---- */

static int runs, resumed, failures;

/* The first few of each call are enough to see what is wrong. */
static void complain(const char *what, uint64_t k, const char *why, const char *message)
{
  enum { SHOWN = 4 };
  static const char *latest;
  static int shown;
  shown = what == latest ? shown + 1 : 0;
  latest = what;
  failures++;
  if (shown < SHOWN)
    printf("FAIL %s:%llu: %s%s%s\n", what, (unsigned long long)k, why,
           message[0] != '\0' ? ": " : "", message);
}

/* Calls whose failure may go unnoticed, as long as the result is right: what gives something back
 * does so even when it says that it failed, and is waited for with nothing left to lose; where a
 * large piece of memory cannot be had, a smaller one may do. */
static bool may_be_survived(const char *call)
{
  static const char *const parts[] = {"Destroy", "Free",  "Release",    "Unload",
                                      "cuCtx",   "Alloc", "Synchronize"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (strstr(call, parts[i]) != NULL)
      return true;
  return false;
}

static bool names_a_code(const char *message)
{
  return strstr(message, "CUDA_ERROR_") != NULL || strstr(message, "CUBLAS_STATUS_") != NULL ||
         strstr(message, "CUSOLVER_STATUS_") != NULL || strstr(message, "NVRTC_ERROR_") != NULL;
}

static bool names_an_op(const char *message)
{
#define CDL_OP(name, tier)            \
  if (strstr(message, #name) != NULL) \
    return true;
#include "condlora/ops.def"
#undef CDL_OP
  return strstr(message, "upload") != NULL || strstr(message, "download") != NULL ||
         strstr(message, "weight") != NULL || strstr(message, "replay") != NULL;
}

/* "cuMemAlloc" of "cuMemAlloc_v2": a message may say either. */
static bool names_call(const char *message, const char *call)
{
  char stem[64];
  snprintf(stem, sizeof stem, "%s", call);
  char *version = strstr(stem, "_v2");
  if (version != NULL)
    *version = '\0';
  return strstr(message, stem) != NULL;
}

static bool is_work(const char *what)
{
  return strcmp(what, "cuLaunchKernel") == 0 || strcmp(what, "cublasGemmEx") == 0 ||
         strcmp(what, "cublasGemmStridedBatchedEx") == 0 || strcmp(what, "cuGraphLaunch") == 0 ||
         strcmp(what, "late") == 0;
}

/* Of cuInit and of a missing kernel there is more to say than the call: no device, which kernel. */
static bool says_it_otherwise(const char *what)
{
  return strcmp(what, "cuInit") == 0 || strcmp(what, "cuModuleGetFunction") == 0;
}

/* What takes memory belongs to no queue, nor does an event that is made or waited for, so it knows
 * no op when it finds the device lost. */
static bool is_of_no_queue(const char *message)
{
  return strstr(message, "cuMem") != NULL || strstr(message, "buffer of") != NULL ||
         strstr(message, "cuda: event: ") != NULL;
}

static void judge_error(const char *what, uint64_t k, const char *message)
{
  const bool late = strcmp(what, "late") == 0;
  if (!late && !says_it_otherwise(what) && !names_call(message, what))
    complain(what, k, "the message does not name the call", message);
  if (!names_a_code(message))
    complain(what, k, "the message does not name the device's code", message);
  if (is_work(what) && !names_an_op(message) && !(late && is_of_no_queue(message)))
    complain(what, k, "the message does not name an op", message);
}

/* A checkpoint that was written before the failure is good: a run goes on from it. */
static void judge_checkpoint(const char *what, uint64_t k)
{
  if (access(path_of("out/checkpoint"), F_OK) != 0)
    return;
  char message[MESSAGE_BYTES];
  resumed++;
  emulator.fail_at("*", 0);
  if (train(true, message) != CDL_STATUS_OK)
    complain(what, k, "no resuming from the checkpoint", message);
  else if (!is_expected_adapter())
    complain(what, k, "resumed, it ends in another adapter", "");
}

/* Whether the call was reached. */
static bool run_with_failure(const char *what, uint64_t k)
{
  remove_folder(path_of("out"));
  emulator.seed(1);
  emulator.fail_at(what, k);
  unrecorded[0] = '\0';
  char message[MESSAGE_BYTES];
  const int violations = emulator.violations();
  const cdl_status status = train(false, message);
  const bool reached = emulator.failed_call() != NULL;
  runs++;
  if (emulator.leaks() != 0)
    die(what, "objects are left on the device");
  if (emulator.violations() != violations)
    complain(what, k, "a violation", message);
  if (!reached)
    return false;
  if (status != CDL_STATUS_OK)
    judge_error(what, k, message);
  else if (!may_be_survived(what) && unrecorded[0] == '\0')
    complain(what, k, "the run did not notice", message);
  else if (!is_expected_adapter())
    complain(what, k, "another adapter, and no error", "");
  if (status != CDL_STATUS_OK && k % ALL_THE_SAME == 0)
    judge_checkpoint(what, k);
  return true;
}

/* ---- Recordings that are refused ---- */

static const struct {
  const char *what;
  int code;
} refusals[] = {
    {"cuStreamBeginCapture_v2", 900},
    {"cuStreamBeginCapture_v2", 801},
    {"cuStreamEndCapture", 901},
    {"cuStreamEndCapture", 904},
    {"cuGraphInstantiateWithFlags", 801},
    {"cuGraphInstantiateWithFlags", 2},
    {"recorded cuLaunchKernel", 900},
    {"recorded cuLaunchKernel", 905},
    {"recorded cuLaunchKernel", 906},
    {"recorded cublasGemmEx", 13}, /* EXECUTION_FAILED */
    {"recorded cublasGemmEx", 14}, /* INTERNAL_ERROR */
    {"recorded cublasGemmEx", 15}, /* NOT_SUPPORTED */
    {"recorded cublasGemmStridedBatchedEx", 13},
};

/* Every call of a kind is refused from the K-th on: one notice that names the answer, and the same
 * adapter. */
static void refuse_recording(const char *what, int code, uint64_t k)
{
  char message[MESSAGE_BYTES], number[16];
  remove_folder(path_of("out"));
  emulator.seed(1);
  emulator.answer(what, k, code, true);
  notices = 0;
  unrecorded[0] = '\0';
  runs++;
  snprintf(number, sizeof number, "(%d)", code);
  if (train(false, message) != CDL_STATUS_OK)
    complain(what, k, "a refused recording ends the run", message);
  else if (emulator.failed_call() == NULL || notices != 1)
    complain(what, k, "no notice, or several", unrecorded);
  else if (strstr(unrecorded, number) == NULL)
    complain(what, k, "the notice does not name the answer", unrecorded);
  else if (!is_expected_adapter())
    complain(what, k, "another adapter", unrecorded);
  if (emulator.leaks() != 0)
    die(what, "objects are left on the device");
  emulator.fail_at("*", 0);
}

static void refuse_recordings(void)
{
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
    for (uint64_t k = 1; k <= 2; k++)
      refuse_recording(refusals[i].what, refusals[i].code, k);
}

/* With the setting nothing is recorded, and the adapter is the same. */
static void forbid_recording(void)
{
  char message[MESSAGE_BYTES];
  remove_folder(path_of("out"));
  emulator.seed(1);
  emulator.fail_at("cuStreamBeginCapture_v2", 1);
  no_record = true;
  if (train(false, message) != CDL_STATUS_OK || emulator.failed_call() != NULL)
    complain("no_record", 1, "a recording began", message);
  else if (!is_expected_adapter())
    complain("no_record", 1, "another adapter", "");
  no_record = false;
  emulator.fail_at("*", 0);
}

/* ---- Recordings of two runs in one pass ---- */

enum { PAIR = 2 };

static const char *const pair_outputs[PAIR] = {"pair-0", "pair-1"};
static content expected_pair[PAIR];

/* A run of LoRA and one of CondLoRA on one base. `message` is of the first that fails. Returns how
 * many fail. */
static size_t train_pair(char message[MESSAGE_BYTES])
{
  train_settings of_base, settings[PAIR];
  train_session base, sessions[PAIR];
  const train_events events = {0};
  train_joint_run runs_of[PAIR];
  size_t failed = 0;
  message[0] = '\0';
  make_settings(&of_base, "base");
  must(train_session_open_base(&base, &of_base, NULL, NULL), "a base");
  for (size_t i = 0; i < PAIR; i++) {
    remove_folder(path_of(pair_outputs[i]));
    make_settings(&settings[i], pair_outputs[i]);
    set(&settings[i], "method", i == 0 ? "lora" : "condlora");
    set(&settings[i], "max_steps", "4");
    must(train_session_share(&base, &settings[i], NULL, &sessions[i]), "a run on the base");
    runs_of[i] =
        (train_joint_run){.session = &sessions[i], .settings = &settings[i], .events = &events};
  }
  must(train_joint(runs_of, PAIR), "two runs");
  for (size_t i = 0; i < PAIR; i++) {
    if (runs_of[i].status != CDL_STATUS_OK && failed++ == 0)
      snprintf(message, MESSAGE_BYTES, "%s", runs_of[i].message);
    train_session_unshare(&sessions[i]);
    train_settings_release(&settings[i]);
  }
  train_session_close(&base);
  train_settings_release(&of_base);
  return failed;
}

static bool is_expected_pair(void)
{
  return is_adapter(pair_outputs[0], expected_pair[0]) &&
         is_adapter(pair_outputs[1], expected_pair[1]);
}

/* In the second step five pieces of work are recorded: what begins it, for each run, the pass of
 * both, and what ends it, for each run. Every call of a kind is refused from the K-th on, in any of
 * them: one notice, and the adapters of runs that are not recorded. Returns whether there is a K-th
 * call. */
static bool refuse_pair(const char *what, int code, uint64_t k)
{
  char message[MESSAGE_BYTES];
  emulator.seed(1);
  emulator.answer(what, k, code, true);
  notices = 0;
  unrecorded[0] = '\0';
  runs++;
  const size_t failed = train_pair(message);
  const bool reached = emulator.failed_call() != NULL;
  if (failed != 0)
    complain(what, k, "a refused recording of two runs ends one", message);
  else if (notices != (reached ? 1 : 0))
    complain(what, k, "two runs: no notice, or several", unrecorded);
  else if (!is_expected_pair())
    complain(what, k, "two runs: another adapter", unrecorded);
  if (emulator.leaks() != 0)
    die(what, "objects are left on the device");
  emulator.fail_at("*", 0);
  return reached;
}

/* A replay that fails has an unknown part of its work done, so both runs end, and say so. */
static void fail_replays_of_pair(void)
{
  const char *what = "cuGraphLaunch";
  for (uint64_t k = 1; k <= 6; k++) {
    char message[MESSAGE_BYTES];
    emulator.seed(1);
    emulator.fail_at(what, k);
    runs++;
    if (train_pair(message) != PAIR && emulator.failed_call() != NULL)
      complain(what, k, "two runs: one did not notice", message);
    else
      judge_error(what, k, message);
    if (emulator.leaks() != 0)
      die(what, "objects are left on the device");
    emulator.fail_at("*", 0);
  }
}

static void refuse_recordings_of_pair(void)
{
  static const uint64_t within[] = {1, 4, 16, 64};
  char message[MESSAGE_BYTES];
  emulator.seed(1);
  no_record = true;
  if (train_pair(message) != 0)
    die("two runs", message);
  no_record = false;
  for (size_t i = 0; i < PAIR; i++)
    expected_pair[i] = read_adapter(pair_outputs[i]);
  notices = 0;
  if (train_pair(message) != 0 || notices != 0 || !is_expected_pair())
    complain("two runs", 1, "a recording changes the adapters, or fails", message);
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    const bool of_work = strncmp(refusals[i].what, "recorded", 8) == 0;
    size_t calls = 0;
    while (calls < (of_work ? sizeof within / sizeof within[0] : 5) &&
           refuse_pair(refusals[i].what, refusals[i].code, of_work ? within[calls] : calls + 1))
      calls++;
    if (calls < (of_work ? 2 : 5))
      complain(refusals[i].what, calls + 1, "two runs: too few of these calls", "");
  }
  fail_replays_of_pair();
  for (size_t i = 0; i < PAIR; i++)
    free(expected_pair[i].bytes);
}

/* ---- A device that is too small ---- */

enum { SMALL_EXAMPLES = 4000, SMALL_MEMORY = 48 << 20 };

static void write_many_examples(void)
{
  FILE *file = fopen(path_of("train.tsv"), "w");
  if (file == NULL || fputs("sentence\tlabel\n", file) < 0)
    die("train.tsv", "cannot be written");
  for (int i = 0; i < SMALL_EXAMPLES; i++)
    fprintf(file, "the old owl sings .\t%s\n", i % 2 == 0 ? "yes" : "no");
  if (fclose(file) != 0)
    die("train.tsv", "cannot be written");
}

/* Weights that fit and a batch that does not: an error with both numbers and what needs less,
 * before a weight is sent to the device. */
static void meet_a_small_device(void)
{
  static const char *const parts[] = {"the device is too small", "28000 tokens", "of its 50331648",
                                      "--batch-size", "--max-length"};
  char message[MESSAGE_BYTES], bytes[16];
  write_many_examples();
  remove_folder(path_of("out"));
  snprintf(bytes, sizeof bytes, "%d", SMALL_MEMORY);
  setenv("CUDA_EMULATOR_MEMORY", bytes, 1);
  batch_size = "4000";
  emulator.fail_at("cuMemcpyHtoDAsync_v2", 1);
  const cdl_status status = train(false, message);
  unsetenv("CUDA_EMULATOR_MEMORY");
  if (status != CDL_STATUS_MEMORY || emulator.failed_call() != NULL)
    complain("a small device", 1, "not found before it was used", message);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (strstr(message, parts[i]) == NULL)
      complain("a small device", 1, parts[i], message);
  if (emulator.leaks() != 0)
    die("a small device", "objects are left on the device");
  emulator.fail_at("*", 0);
}

/* One call in some is enough where every entry of the plug-in makes the same one. */
static uint64_t next_of(const char *what, uint64_t k)
{
  const bool everywhere = strncmp(what, "cuCtx", 5) == 0;
  return k + (everywhere && k >= ALL_THE_SAME ? 2 * ALL_THE_SAME + 1 : 1);
}

int main(int argc, char **argv)
{
  static const char *const names[] = {
#define FUNCTION(library, result, name, parameters) #name,
#include "backends/cuda/api.def"
#undef FUNCTION
      "late",
  };
  find_emulator();
  strcpy(folder, "failures-XXXXXX");
  if (mkdtemp(folder) == NULL)
    die(folder, "cannot be made");
  make_model();
  cdl_log_to(listen, NULL);
  char message[MESSAGE_BYTES];
  emulator.seed(1);
  emulator.fail_at("*", 0);
  must(train(false, message), message);
  expected = read_adapter("out");
  if (expected.bytes == NULL || emulator.leaks() != 0 || emulator.violations() != 0)
    die("a run without a failure", "leaves no adapter, or objects on the device");
  if (unrecorded[0] != '\0')
    die("a run without a failure", unrecorded);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (argc > 1 && strcmp(argv[1], names[i]) != 0)
      continue;
    uint64_t k = 1;
    while (run_with_failure(names[i], k))
      k = next_of(names[i], k);
    printf("%-28s %llu\n", names[i], (unsigned long long)(k - 1));
  }
  refuse_recordings();
  forbid_recording();
  refuse_recordings_of_pair();
  meet_a_small_device();
  free(expected.bytes);
  remove_folder(folder);
  printf("%d runs, %d of them resumed, %d failures\n", runs, resumed, failures);
  const bool complete = argc > 1 || resumed > 0;
  return failures == 0 && complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
