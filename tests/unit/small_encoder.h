/* A small encoder on one backend, and what tests of adapters do with it: an adapter by settings
 * whose options go by name, three short sequences, passes, values of tensors. A test includes this
 * once. */
#ifndef CONDLORA_TESTS_UNIT_SMALL_ENCODER_H
#define CONDLORA_TESTS_UNIT_SMALL_ENCODER_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/random.h"
#include "model/adapter/adapter.h"
#include "model/adapter/state.h"

enum { SEQUENCES = 3, TOKENS = 9, LABELS = 2, LOGITS = SEQUENCES * LABELS };

static const char *backend_name = "cpu";
static cdl_backend *backend;
static cdl_queue *queue;
static model_encoder *encoder;
static model_adapter *adapter;
static cdl_buffer *step_buffer;
static uint64_t draw_seed = 5;

static inline void ok(cdl_status status)
{
  ck_assert_msg(status == CDL_STATUS_OK, "%s", cdl_error_message());
}

/* ---- Start and end ---- */

/* Takes the backend's name from the command line. False, with a line that says why, where it is not
 * here: the test then ends with 77. */
static inline bool take_backend(int argc, char **argv)
{
  if (argc < 2)
    return true;
  backend_name = argv[1];
  cdl_backend *opened;
  if (cdl_backend_open(backend_name, NULL, &opened) != CDL_STATUS_OK) {
    printf("skipped: %s: %s\n", backend_name, cdl_error_message());
    return false;
  }
  printf("%s: %s\n", backend_name, cdl_backend_description(opened));
  setenv("CK_FORK", "no", 1); /* a device's driver, once opened, does not outlive a fork */
  return cdl_backend_close(opened) == CDL_STATUS_OK;
}

static inline void start(void)
{
  ok(cdl_backend_open(backend_name, NULL, &backend));
  ok(cdl_queue_create(backend, &queue));
  ok(cdl_buffer_create(backend, sizeof(cdl_step_record), &step_buffer));
}

static inline void stop(void)
{
  adapter_destroy(adapter);
  encoder_destroy(encoder);
  cdl_buffer_destroy(step_buffer);
  cdl_queue_destroy(queue);
  ok(cdl_backend_close(backend));
  adapter = NULL;
  encoder = NULL;
}

/* ---- Values ---- */

static inline float *memory_for(cdl_tensor t)
{
  float *values = calloc((size_t)cdl_tensor_elements(t) + 1, sizeof *values);
  ck_assert_ptr_nonnull(values);
  return values;
}

static inline void read_values(cdl_tensor t, float *values)
{
  cdl_queue_download(queue, values, t, (size_t)cdl_tensor_elements(t) * sizeof *values);
  ok(cdl_queue_sync(queue));
}

/* To be freed. */
static inline float *values_of(cdl_tensor t)
{
  float *values = memory_for(t);
  read_values(t, values);
  return values;
}

static inline void write_values(cdl_tensor t, const float *values)
{
  cdl_queue_upload(queue, t, values, (size_t)cdl_tensor_elements(t) * sizeof *values);
  ok(cdl_queue_sync(queue));
}

/* value = mean + deviation · N(0, 1) */
static inline void draw(cdl_tensor t, uint32_t number, double mean, double deviation)
{
  cdl_random random = cdl_random_start(draw_seed, CDL_RANDOM_TEST, number, 0);
  float *values = memory_for(t);
  for (int64_t i = 0; i < cdl_tensor_elements(t); i++)
    values[i] = (float)(mean + deviation * cdl_random_normal(&random));
  write_values(t, values);
  free(values);
}

/* ---- The encoder ---- */

static inline void make_encoder(int64_t hidden, int64_t layers)
{
  const model_config config = {.family = MODEL_FAMILY_ROBERTA,
                               .vocabulary_size = 20,
                               .hidden_size = hidden,
                               .layers = layers,
                               .heads = 3,
                               .intermediate_size = 17,
                               .position_count = 16,
                               .type_count = 1,
                               .layer_norm_epsilon = 1e-5,
                               .activation = CDL_ACTIVATION_GELU};
  ok(encoder_create(queue, &config, LABELS, &encoder));
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    const encoder_parameter *p = &encoder_parameters(encoder)[i];
    const bool gain = p->role == ENCODER_ROLE_NORM && strstr(p->name, "weight") != NULL;
    draw(p->value, (uint32_t)i, gain ? 1 : 0, p->dimensions == 2 ? 0.3 : 0.1);
  }
  encoder_weights_changed(encoder, queue, false);
}

static inline void plan_batch(void)
{
  const encoder_batch_limits limits = {.tokens = TOKENS, .sequences = SEQUENCES, .longest = 5};
  ok(encoder_plan(encoder, queue, limits, limits));
}

static inline void load_batch(encoder_pass_kind kind)
{
  static const int32_t ids[TOKENS] = {3, 7, 1, 19, 4, 4, 0, 11, 8};
  static const int32_t positions[TOKENS] = {1, 2, 3, 1, 1, 2, 3, 4, 5}, types[TOKENS] = {0};
  static const int32_t offsets[SEQUENCES + 1] = {0, 3, 4, 9}, examples[SEQUENCES] = {5, 0, 2};
  const encoder_token_batch batch = {.ids = ids,
                                     .positions = positions,
                                     .types = types,
                                     .offsets = offsets,
                                     .examples = examples,
                                     .sequences = SEQUENCES,
                                     .tokens = TOKENS,
                                     .longest = 5};
  ok(encoder_load_batch(encoder, queue, &batch, kind));
}

static inline cdl_tensor step_tensor(void)
{
  return (cdl_tensor){
      step_buffer,
      0,
      {1, 1, 1, sizeof(cdl_step_record)},
      {sizeof(cdl_step_record), sizeof(cdl_step_record), sizeof(cdl_step_record), 1},
      CDL_DTYPE_U8};
}

/* Loads the batch and runs it, with dropout where `rates` has any. */
static inline void logits_of(encoder_pass_kind kind, const encoder_dropout_rates *rates,
                             float logits[LOGITS])
{
  static const encoder_dropout_rates none = {0};
  load_batch(kind);
  read_values(encoder_forward(encoder, queue, rates != NULL ? rates : &none, step_tensor()),
              logits);
}

/* ---- An adapter's options by name ---- */

typedef struct {
  const char *name;
  double value;
} named_option;

enum { NAMED_OPTIONS = 6 };

/* All options of a method: those named, and the others at their defaults. */
static inline void fill_options(const char *method, const named_option named[NAMED_OPTIONS],
                                double values[ADAPTER_OPTIONS_MAX])
{
  size_t count;
  const base_option *options = adapter_options(method, &count);
  for (size_t i = 0; i < count; i++)
    values[i] = options[i].default_value;
  for (int n = 0; n < NAMED_OPTIONS && named[n].name != NULL; n++) {
    size_t i = 0;
    while (i < count && strcmp(options[i].name, named[n].name) != 0)
      i++;
    ck_assert_msg(i < count, "method %s has no option %s", method, named[n].name);
    values[i] = named[n].value;
  }
}

#endif
