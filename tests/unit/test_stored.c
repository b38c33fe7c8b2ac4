/* An encoder whose matrices lie in its checkpoint's mapped file: the bytes of one that has copies,
 * whatever is trained or merged, and a file that is overwritten. The backend is the CPU's. */
#include <fcntl.h>

#include "condlora/safetensors.h"
#include "tests/unit/scratch.h"
#include "tests/unit/small_encoder.h"

enum { HIDDEN = 12, LAYERS = 4, PARAMETERS_MOST = 128 };

static const char config_text[] =
    "{\"model_type\": \"roberta\", \"vocab_size\": 20, \"hidden_size\": 12, "
    "\"num_hidden_layers\": 4, \"num_attention_heads\": 3, \"intermediate_size\": 17, "
    "\"max_position_embeddings\": 16, \"type_vocab_size\": 1, \"layer_norm_eps\": 1e-5, "
    "\"hidden_act\": \"gelu\", \"pad_token_id\": 0}";

/* ---- Checkpoints ---- */

static char *in_folder(const char *folder, const char *name)
{
  static char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

/* Writes a drawn model. */
static void write_model(const char *folder)
{
  cdl_stored_tensor tensors[PARAMETERS_MOST] = {0};
  start();
  make_encoder(HIDDEN, LAYERS);
  const size_t count = encoder_parameter_count(encoder);
  ck_assert_uint_le(count, PARAMETERS_MOST);
  for (size_t i = 0; i < count; i++) {
    const encoder_parameter *p = &encoder_parameters(encoder)[i];
    tensors[i] = (cdl_stored_tensor){.name = p->name,
                                     .type = CDL_STORED_F32,
                                     .rank = (uint32_t)p->dimensions,
                                     .shape = {p->value.size[4 - p->dimensions], p->value.size[3]},
                                     .data = values_of(p->value)};
  }
  ck_assert_int_eq(mkdir(folder, 0700), 0);
  scratch_put(in_folder(folder, "config.json"), config_text, strlen(config_text));
  ok(cdl_safetensors_write(in_folder(folder, "model.safetensors"), tensors, count, NULL, 0));
  for (size_t i = 0; i < count; i++)
    free((void *)(uintptr_t)tensors[i].data);
  stop();
}

/* Writes the same model with one more space in the header: no value is at a multiple of four. */
static void write_unaligned(const char *folder, const char *from)
{
  static uint8_t bytes[1 << 20];
  FILE *file = fopen(in_folder(from, "model.safetensors"), "rb");
  ck_assert_ptr_nonnull(file);
  const size_t size = fread(bytes, 1, sizeof bytes - 1, file);
  fclose(file);
  uint64_t header;
  memcpy(&header, bytes, sizeof header);
  const size_t end = sizeof header + (size_t)header++;
  memcpy(bytes, &header, sizeof header);
  memmove(bytes + end + 1, bytes + end, size - end);
  bytes[end] = ' ';
  ck_assert_int_eq(mkdir(folder, 0700), 0);
  scratch_put(in_folder(folder, "config.json"), config_text, strlen(config_text));
  scratch_put(in_folder(folder, "model.safetensors"), bytes, size + 1);
}

static void load(const char *folder)
{
  encoder_load_report report;
  ok(encoder_load(queue, folder, &(encoder_load_options){.labels = LABELS}, &encoder, &report));
}

static size_t in_file(void)
{
  size_t count = 0;
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    const encoder_parameter *p = &encoder_parameters(encoder)[i];
    count += cdl_tensor_present(p->stored) && p->value.buffer == p->stored.buffer;
  }
  return count;
}

/* ---- What is computed ---- */

enum { RESULTS_MOST = 1 << 16 };

typedef struct {
  float values[RESULTS_MOST];
  size_t count;
} results;

static void keep(results *r, cdl_tensor t)
{
  ck_assert_uint_le(r->count + (size_t)cdl_tensor_elements(t), RESULTS_MOST);
  read_values(t, r->values + r->count);
  r->count += (size_t)cdl_tensor_elements(t);
}

static void keep_logits(results *r, encoder_pass_kind kind)
{
  logits_of(kind, NULL, r->values + r->count);
  r->count += LOGITS;
}

/* Logits, gradients, logits of merged weights, and logits and weights after unmerging. */
static void run(results *r, const adapter_settings *settings)
{
  static const float d_logits[LOGITS] = {0.7f, -1.1f, 0.4f, 0.9f, -0.6f, 1.3f};
  r->count = 0;
  ok(adapter_create(queue, encoder, settings, &adapter));
  ok(adapter_initialize(adapter, queue, 3));
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++)
    draw(adapter_parameter(adapter, i)->value, 1000 + (uint32_t)i, 0, 0.2);
  adapter_materialize(adapter, queue);
  encoder_weights_changed(encoder, queue, false);
  plan_batch();
  keep_logits(r, ENCODER_EVALUATION);
  keep_logits(r, ENCODER_TRAINING);
  cdl_queue_upload(queue, encoder_d_logits(encoder), d_logits, sizeof d_logits);
  encoder_backward(encoder, queue);
  adapter_pull_back(adapter, queue);
  keep(r, adapter_gradients(adapter));
  for (int round = 0; round < 2; round++) {
    ok(encoder_merge(encoder, queue));
    keep_logits(r, ENCODER_EVALUATION);
    encoder_unmerge(encoder, queue);
    keep_logits(r, ENCODER_EVALUATION);
  }
  for (size_t i = 0; i < encoder_module_count(encoder); i++)
    keep(r, encoder_modules(encoder)[i].weight);
}

typedef struct {
  const char *method;
  adapter_init init;
  int rank;
  bool all;       /* linear layers */
  size_t in_file; /* matrices that stay in the file, of 3 tables and 6 for each of 4 layers */
} way;

static adapter_settings settings_of(const way *w)
{
  static const char *const targets[] = {"query", "value"};
  static const char *const every[] = {"query", "key", "value", "dense"};
  adapter_settings s = {
      .method = w->method,
      .rank = w->rank,
      .alpha = 9,
      .init = w->init,
      .targets = {(char **)(uintptr_t)(w->all ? every : targets), w->all ? 4 : 2}};
  fill_options(w->method, (named_option[NAMED_OPTIONS]){{0}}, s.options);
  return s;
}

START_TEST(a_file_gives_the_bytes_of_copies)
{
  static const way ways[] = {{"lora", ADAPTER_INIT_KAIMING, 4, false, 27},
                             {"lora", ADAPTER_INIT_PISSA, 4, false, 19},
                             {"lora", ADAPTER_INIT_KAIMING, 4, true, 27},
                             {"condlora", ADAPTER_INIT_KAIMING, 4, false, 19},
                             {"none", ADAPTER_INIT_KAIMING, 1, false, 27},
                             {"full", ADAPTER_INIT_KAIMING, 1, false, 0}};
  static results copied, mapped;
  char folder[400], unaligned[400];
  snprintf(folder, sizeof folder, "%s", scratch_path("model"));
  snprintf(unaligned, sizeof unaligned, "%s", scratch_path("unaligned"));
  write_model(folder);
  write_unaligned(unaligned, folder);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    const adapter_settings settings = settings_of(&ways[i]);
    start();
    load(unaligned);
    ck_assert_uint_eq(in_file(), 0);
    run(&copied, &settings);
    stop();
    start();
    load(folder);
    ck_assert_uint_eq(in_file(), 27);
    ok(adapter_create(queue, encoder, &settings, &adapter));
    ok(adapter_initialize(adapter, queue, 3));
    ck_assert_msg(in_file() == ways[i].in_file, "%s: %zu in the file", ways[i].method, in_file());
    stop();
    start();
    load(folder);
    run(&mapped, &settings);
    ck_assert_uint_eq(mapped.count, copied.count);
    for (size_t v = 0; v < mapped.count; v++)
      ck_assert_msg(memcmp(&mapped.values[v], &copied.values[v], sizeof(float)) == 0,
                    "%s %zu: value %zu is %g, expected %g", ways[i].method, i, v,
                    (double)mapped.values[v], (double)copied.values[v]);
    ok(encoder_check_files(encoder));
    stop();
  }
}
END_TEST

/* Copies of a whole model, and of a model in its file, as the backend counts them. */
START_TEST(matrices_in_a_file_take_no_memory)
{
  char folder[400];
  cdl_memory_info memory = {.size = sizeof memory};
  snprintf(folder, sizeof folder, "%s", scratch_path("model"));
  write_model(folder);
  start();
  load(folder);
  ok(cdl_backend_memory(backend, &memory));
  size_t matrices = 0, all = 0;
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    const encoder_parameter *p = &encoder_parameters(encoder)[i];
    const size_t bytes = (size_t)cdl_tensor_elements(p->value) * sizeof(float);
    all += bytes;
    matrices += cdl_tensor_present(p->stored) ? bytes : 0;
  }
  ck_assert_uint_eq(memory.mapped_bytes, matrices);
  ck_assert_uint_gt(matrices, all * 3 / 4);
  ck_assert_uint_lt(memory.used_bytes, all - matrices + 8192); /* gaps and tables of distances */
  stop();
}
END_TEST

/* Encoders over a body read the copies that one of them asked for, as long as there is one. */
START_TEST(encoders_over_a_body_share_its_file)
{
  static const way condlora = {"condlora", ADAPTER_INIT_KAIMING, 4, false, 0};
  static results alone, shared;
  cdl_memory_info before = {.size = sizeof before}, after = before;
  char folder[400];
  snprintf(folder, sizeof folder, "%s", scratch_path("model"));
  write_model(folder);
  const adapter_settings settings = settings_of(&condlora);
  start();
  load(folder);
  run(&alone, &settings);
  stop();
  start();
  load(folder);
  model_encoder *const base = encoder;
  ok(cdl_backend_memory(backend, &before));
  for (int i = 0; i < 3; i++) {
    ok(encoder_share(queue, base, 1, &encoder));
    ok(encoder_check_files(encoder));
    run(&shared, &settings);
    ck_assert_uint_eq(shared.count, alone.count);
    ck_assert_mem_eq(shared.values, alone.values, alone.count * sizeof(float));
    adapter_destroy(adapter);
    adapter = NULL;
    encoder_destroy(encoder);
    ok(cdl_backend_memory(backend, &after));
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
  }
  encoder = base;
  stop();
}
END_TEST

START_TEST(an_overwritten_file_is_named)
{
  char folder[400], path[600];
  snprintf(folder, sizeof folder, "%s", scratch_path("model"));
  write_model(folder);
  snprintf(path, sizeof path, "%s", in_folder(folder, "model.safetensors"));
  start();
  load(folder);
  ok(encoder_check_files(encoder));
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
  expect_failure(encoder_check_files(encoder), CDL_STATUS_IO, path);
  stop();
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {a_file_gives_the_bytes_of_copies, matrices_in_a_file_take_no_memory,
                                encoders_over_a_body_share_its_file, an_overwritten_file_is_named,
                                NULL};
  return scratch_run("stored", tests);
}
