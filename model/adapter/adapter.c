/* Parameters, gradients and memory of adapters of all methods. */
#include "model/adapter/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/adapter/state.h"
#include "model/encoder/layout.h"
#include "model/files/checkpoint.h"

static cdl_status add_parameter(model_adapter *a, encoder_parameter parameter,
                                const char *name_format, va_list arguments)
{
  if (a->own_count == a->own_capacity) {
    const size_t capacity = a->own_capacity == 0 ? 16 : 2 * a->own_capacity;
    encoder_parameter *grown = realloc(a->own_parameters, capacity * sizeof *grown);
    if (grown == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu parameters", capacity);
    a->own_parameters = grown;
    a->own_capacity = capacity;
  }
  encoder_parameter *p = &a->own_parameters[a->own_count++];
  *p = parameter;
  p->lr_scale = 1;
  p->trained = true;
  vsnprintf(p->name, sizeof p->name, name_format, arguments);
  return CDL_STATUS_OK;
}

cdl_status adapter_add_parameter(model_adapter *a, encoder_parameter_role role, int64_t rows,
                                 int64_t columns, const char *name_format, ...)
{
  const cdl_tensor value = cdl_tensor_2d(NULL, CDL_DTYPE_F32, 0, rows, columns);
  va_list arguments;
  va_start(arguments, name_format);
  const cdl_status status =
      add_parameter(a, (encoder_parameter){.dimensions = 2, .value = value, .role = role},
                    name_format, arguments);
  va_end(arguments);
  return status;
}

cdl_status adapter_add_vector(model_adapter *a, encoder_parameter_role role, int64_t count,
                              const char *name_format, ...)
{
  const cdl_tensor value = cdl_tensor_1d(NULL, CDL_DTYPE_F32, 0, count);
  va_list arguments;
  va_start(arguments, name_format);
  const cdl_status status =
      add_parameter(a, (encoder_parameter){.dimensions = 1, .value = value, .role = role},
                    name_format, arguments);
  va_end(arguments);
  return status;
}

cdl_status adapter_add_frozen(model_adapter *a, int64_t rows, int64_t columns,
                              const char *name_format, ...)
{
  if (a->frozen_count == a->frozen_capacity) {
    const size_t capacity = a->frozen_capacity == 0 ? 16 : 2 * a->frozen_capacity;
    adapter_frozen *grown = realloc(a->frozen, capacity * sizeof *grown);
    if (grown == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu frozen matrices",
                      capacity);
    a->frozen = grown;
    a->frozen_capacity = capacity;
  }
  adapter_frozen *f = &a->frozen[a->frozen_count++];
  f->value = cdl_tensor_2d(NULL, CDL_DTYPE_F32, 0, rows, columns);
  va_list arguments;
  va_start(arguments, name_format);
  vsnprintf(f->name, sizeof f->name, name_format, arguments);
  va_end(arguments);
  return CDL_STATUS_OK;
}

void adapter_initialize_pair(const model_adapter *a, size_t index, cdl_random *random,
                             float *values, int64_t count)
{
  const cdl_tensor value = a->own_parameters[index].value;
  const double bound = 1 / sqrt((double)value.size[3]), deviation = 1 / (double)value.size[2];
  for (int64_t i = 0; i < count; i++)
    if (index % 2 == 1)
      values[i] = 0;
    else if (a->init == ADAPTER_INIT_GAUSSIAN)
      values[i] = (float)(cdl_random_normal(random) * deviation);
    else
      values[i] = (float)((2 * cdl_random_double(random) - 1) * bound);
}

/* Own values are in one buffer. All gradients will be in another. */
static cdl_status allocate_values(model_adapter *a, cdl_backend *backend)
{
  size_t from_encoder = 0;
  encoder_parameter *of_encoder = encoder_parameters(a->encoder);
  const size_t encoder_count = encoder_parameter_count(a->encoder);
  for (size_t i = 0; i < encoder_count; i++)
    from_encoder += of_encoder[i].trained;
  a->trained = calloc(a->own_count + from_encoder + 1, sizeof(encoder_parameter *));
  if (a->trained == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter's list of parameters");

  a->trained_count = 0;
  int64_t values = 0, gradients = 0;
  for (size_t i = 0; i < a->own_count; i++) {
    a->own_parameters[i].value.offset = values;
    values += encoder_aligned(cdl_tensor_elements(a->own_parameters[i].value));
    a->trained[a->trained_count++] = &a->own_parameters[i];
  }
  for (size_t i = 0; i < encoder_count; i++)
    if (of_encoder[i].trained)
      a->trained[a->trained_count++] = &of_encoder[i];
  if (values > 0)
    CDL_TRY(cdl_buffer_create(backend, (size_t)values * sizeof(float), &a->value_buffer));
  for (size_t i = 0; i < a->own_count; i++)
    a->own_parameters[i].value.buffer = a->value_buffer;

  for (size_t i = 0; i < a->trained_count; i++)
    gradients += encoder_aligned(cdl_tensor_elements(a->trained[i]->value));
  a->gradients = cdl_tensor_1d(NULL, CDL_DTYPE_F32, 0, gradients);
  return CDL_STATUS_OK;
}

static cdl_tensor take(int64_t *used, cdl_buffer *buffer, int64_t count, int64_t rows,
                       int64_t columns)
{
  const cdl_tensor t = cdl_tensor_3d(buffer, CDL_DTYPE_F32, *used, count, rows, columns);
  *used += encoder_aligned(cdl_tensor_elements(t));
  return t;
}

/* Elements of the buffer of derived values and of that of gradients. */
typedef struct {
  int64_t derived, gradients;
} sizes;

/* The gradients follow those of parameters. */
static sizes lay_out_derived(model_adapter *a)
{
  int64_t used = 0, largest = 0, end = a->gradients.size[3];
  for (size_t r = 0; r < a->run_count; r++) {
    layer_batch *run = &a->runs[r];
    const int64_t out = run->weights.size[2], in = run->weights.size[3];
    run->a = take(&used, a->derived_buffer, run->count, run->rank, in);
    run->b = take(&used, a->derived_buffer, run->count, out, run->rank);
    run->d_a = take(&end, a->gradient_buffer, run->count, run->rank, in);
    run->d_b = take(&end, a->gradient_buffer, run->count, out, run->rank);
    const int64_t elements = run->count * run->rank * (out > in ? out : in);
    largest = elements > largest ? elements : largest;
  }
  a->scratch = cdl_tensor_1d(a->derived_buffer, CDL_DTYPE_F32, used, largest);
  return (sizes){used + largest, end};
}

static sizes lay_out_modules(model_adapter *a)
{
  int64_t used = 0, largest = 0, end = a->gradients.size[3];
  for (size_t i = 0; i < a->module_count; i++) {
    const cdl_tensor w = a->modules[i]->weight;
    const int64_t out = w.size[2], in = w.size[3], rank = a->per_module[i].rank;
    encoder_low_rank_term *t = &a->derived[i];
    t->scale = a->per_module[i].scale;
    t->a = take(&used, a->derived_buffer, 1, rank, in);
    t->b = take(&used, a->derived_buffer, 1, out, rank);
    t->d_a = take(&end, a->gradient_buffer, 1, rank, in);
    t->d_b = take(&end, a->gradient_buffer, 1, out, rank);
    largest = rank * in > largest ? rank * in : largest;
    largest = rank * out > largest ? rank * out : largest;
  }
  a->scratch = cdl_tensor_1d(a->derived_buffer, CDL_DTYPE_F32, used, largest);
  return (sizes){used + largest, end};
}

/* A_l and B_l, for methods that derive them: those that share parameters without `materialize` use
 * the parameters themselves. */
static bool has_derived(const model_adapter *a)
{
  return a->method->derives ||
         (a->method->shares && a->method->materialize != NULL && a->run_count > 0);
}

static sizes lay_out(model_adapter *a)
{
  return !has_derived(a)      ? (sizes){0, a->gradients.size[3]}
         : a->method->derives ? lay_out_modules(a)
                              : lay_out_derived(a);
}

static void place_gradients(model_adapter *a)
{
  int64_t offset = 0;
  a->gradients.buffer = a->gradient_buffer;
  for (size_t i = 0; i < a->trained_count; i++) {
    encoder_parameter *p = a->trained[i];
    p->gradient = cdl_tensor_2d(a->gradient_buffer, CDL_DTYPE_F32, offset, p->value.size[2],
                                p->value.size[3]);
    offset += encoder_aligned(cdl_tensor_elements(p->value));
  }
}

/* Allocates derived values, and the gradients of parameters and derived values. */
static cdl_status allocate_derived(model_adapter *a, cdl_backend *backend, cdl_queue *q)
{
  if (a->method->derives) {
    a->derived = calloc(a->module_count + 1, sizeof *a->derived);
    if (a->derived == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of %zu layers",
                      a->module_count);
  }
  sizes n = lay_out(a);
  n.gradients += a->d_derived_count;
  if (has_derived(a))
    CDL_TRY(cdl_buffer_create(backend, (size_t)n.derived * sizeof(float), &a->derived_buffer));
  CDL_TRY(cdl_buffer_create(backend, (size_t)n.gradients * sizeof(float), &a->gradient_buffer));
  lay_out(a);
  place_gradients(a);
  a->all_gradients = cdl_tensor_1d(a->gradient_buffer, CDL_DTYPE_F32, 0, n.gradients);
  a->d_derived = cdl_tensor_1d(a->gradient_buffer, CDL_DTYPE_F32, n.gradients - a->d_derived_count,
                               a->d_derived_count);
  cdl_fill(q, CDL_ARGS(fill, .out = a->all_gradients));
  return CDL_STATUS_OK;
}

const cdl_stored_tensor *adapter_stored_frozen(const model_adapter *a, size_t index)
{
  return a->stored != NULL ? cdl_safetensors_find(a->stored, a->frozen[index].name) : NULL;
}

static cdl_status draw_frozen(const model_adapter *a, cdl_queue *q, size_t index)
{
  const adapter_frozen *f = &a->frozen[index];
  const int64_t count = cdl_tensor_elements(f->value);
  float *values = malloc((size_t)count * sizeof *values);
  if (values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", f->name);
  a->method->draw_frozen(a, index, values, count);
  cdl_queue_upload(q, f->value, values, (size_t)count * sizeof *values);
  free(values);
  return cdl_queue_status(q);
}

/* The folder's matrix may be larger than needed if the method can draw it. */
static cdl_status fit_stored(const model_adapter *a, size_t index)
{
  adapter_frozen *f = &a->frozen[index];
  const cdl_stored_tensor *stored = adapter_stored_frozen(a, index);
  const int64_t rows = f->value.size[2], columns = f->value.size[3];
  if (stored == NULL || a->method->draw_frozen == NULL)
    return CDL_STATUS_OK;
  if (stored->rank != 2 || stored->shape[0] < rows || stored->shape[1] < columns)
    return cdl_fail(CDL_STATUS_DATA, "tensor %s: expected at least [%lld, %lld]", f->name,
                    (long long)rows, (long long)columns);
  f->value = cdl_tensor_2d(NULL, CDL_DTYPE_F32, 0, stored->shape[0], stored->shape[1]);
  return CDL_STATUS_OK;
}

/* All of them are in one buffer. Those in the folder are read with its other tensors; the others
 * are drawn, if the method can draw them. */
static cdl_status allocate_frozen(model_adapter *a, cdl_backend *backend, cdl_queue *q)
{
  if (a->method->frozen == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(a->method->frozen(a));
  int64_t used = 0;
  for (size_t i = 0; i < a->frozen_count; i++) {
    CDL_TRY(fit_stored(a, i));
    a->frozen[i].value =
        take(&used, NULL, 1, a->frozen[i].value.size[2], a->frozen[i].value.size[3]);
  }
  CDL_TRY(cdl_buffer_create(backend, (size_t)used * sizeof(float), &a->frozen_buffer));
  for (size_t i = 0; i < a->frozen_count; i++) {
    a->frozen[i].value.buffer = a->frozen_buffer;
    if (a->method->draw_frozen != NULL && adapter_stored_frozen(a, i) == NULL)
      CDL_TRY(draw_frozen(a, q, i));
  }
  return CDL_STATUS_OK;
}

/* Checks for settings that the method lacks and that differ from their defaults. */
static cdl_status check_lacking(const adapter_settings *s, const adapter_method *method)
{
  const struct {
    adapter_setting setting;
    bool set;
    const char *name;
  } settings[] = {{ADAPTER_HAS_RANK_PATTERN, s->rank_pattern.count > 0, "rank pattern"},
                  {ADAPTER_HAS_ALPHA_PATTERN, s->alpha_pattern.count > 0, "alpha pattern"},
                  {ADAPTER_HAS_RSLORA, s->rslora, "rslora"},
                  {ADAPTER_HAS_DROPOUT, s->dropout > 0, "dropout"}};
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
    if (settings[i].set && (method->has & settings[i].setting) == 0)
      return cdl_fail(CDL_STATUS_USAGE, "method %s has no %s", method->name, settings[i].name);
  return CDL_STATUS_OK;
}

static cdl_status check_low_rank(const adapter_settings *s, const adapter_method *method)
{
  if (s->rank < 1)
    return cdl_fail(CDL_STATUS_USAGE, "rank is at least 1, not %lld", (long long)s->rank);
  if ((method->has & ADAPTER_HAS_ALPHA) != 0 &&
      (!isfinite(s->alpha) || (s->alpha <= 0 && !s->ignore_unmatched)))
    return cdl_fail(CDL_STATUS_USAGE, "alpha is above 0, not %g", s->alpha);
  if (!(s->dropout >= 0 && s->dropout < 1))
    return cdl_fail(CDL_STATUS_USAGE, "adapter dropout is at least 0 and below 1, not %g",
                    s->dropout);
  if (!(s->lora_plus_ratio >= 0) || !isfinite(s->lora_plus_ratio))
    return cdl_fail(CDL_STATUS_USAGE, "LoRA+'s ratio is above 0, not %g", s->lora_plus_ratio);
  CDL_TRY(check_lacking(s, method));
  const base_word init = base_word_at(ADAPTER_INIT_WORDS, (int)s->init);
  if (s->init != ADAPTER_INIT_KAIMING && (method->initial_values >> s->init & 1) == 0)
    return cdl_fail(CDL_STATUS_USAGE, "method %s has no initial values %.*s", method->name,
                    (int)init.bytes, init.text);
  return CDL_STATUS_OK;
}

static cdl_status take_options(model_adapter *a, const double *values)
{
  size_t count;
  const base_option *options = adapter_options(a->method->name, &count);
  for (size_t i = 0; i < count; i++) {
    const base_option *o = &options[i];
    a->options[i] = values[i];
    const bool number = o->kind == BASE_OPTION_INT || o->kind == BASE_OPTION_FLOAT;
    if (number && !(a->options[i] >= o->low && a->options[i] <= o->high))
      return cdl_fail(CDL_STATUS_USAGE, "%s is %g to %g, not %g", o->name, o->low, o->high,
                      a->options[i]);
  }
  return CDL_STATUS_OK;
}

bool adapter_pair_takes_ratio(const model_adapter *a, size_t index)
{
  (void)a;
  return index % 2 == 1;
}

/* LoRA+ as in PEFT: B and vectors, including vectors of the model. */
static void set_rates(model_adapter *a, double ratio)
{
  for (size_t i = 0; i < a->trained_count; i++) {
    const bool of_method =
        i < a->own_count && a->method->takes_ratio != NULL && a->method->takes_ratio(a, i);
    if (a->trained[i]->dimensions == 1 || of_method)
      a->trained[i]->lr_scale = (float)ratio;
  }
}

/* Tensors that other encoders read too must not change. */
static cdl_status check_shared(const model_adapter *a, const adapter_settings *s)
{
  const encoder_parameter *parameters = encoder_parameters(a->encoder);
  const bool takes_off = s->init == ADAPTER_INIT_PISSA || s->init == ADAPTER_INIT_OLORA;
  for (size_t i = 0; i < encoder_parameter_count(a->encoder); i++) {
    const encoder_parameter *p = &parameters[i];
    if (p->shared && p->trained)
      return cdl_fail(CDL_STATUS_USAGE, "the base is shared, and this one would train its %s",
                      p->name);
    if (p->shared && takes_off && a->method->attach != NULL)
      return cdl_fail(CDL_STATUS_USAGE,
                      "the base is shared, and initial values %s are "
                      "taken off its weights",
                      s->init == ADAPTER_INIT_PISSA ? "pissa" : "olora");
  }
  return CDL_STATUS_OK;
}

static cdl_status own_trained(model_adapter *a, cdl_queue *queue)
{
  encoder_parameter *parameters = encoder_parameters(a->encoder);
  encoder_parameter **list = calloc(encoder_parameter_count(a->encoder) + 1, sizeof *list);
  size_t count = 0;
  if (list == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter's list of parameters");
  for (size_t i = 0; i < encoder_parameter_count(a->encoder); i++)
    if (parameters[i].trained)
      list[count++] = &parameters[i];
  const cdl_status status = encoder_own(a->encoder, queue, list, count, true);
  free(list);
  return status;
}

static cdl_status build(model_adapter *a, cdl_queue *queue, const adapter_settings *s)
{
  cdl_backend *backend = cdl_queue_backend(queue);
  CDL_TRY(take_options(a, s->options));
  if (a->method->attach != NULL) {
    CDL_TRY(check_low_rank(s, a->method));
    a->rank = s->rank;
    a->rslora = s->rslora;
    a->scale = adapter_scale(s, s->rank, s->alpha);
    a->dropout = (float)s->dropout;
    a->dropout_hits_base = s->dropout_hits_base;
    a->reference_compat = s->reference_compat;
    a->init = s->init;
    a->orientation = s->orientation;
    CDL_TRY(adapter_find_targets(a, queue, s));
  }
  CDL_TRY(adapter_mark_trained(a, s));
  CDL_TRY(check_shared(a, s));
  CDL_TRY(own_trained(a, queue));
  if (a->method->parameters != NULL)
    CDL_TRY(a->method->parameters(a));
  CDL_TRY(allocate_values(a, backend));
  CDL_TRY(allocate_derived(a, backend, queue));
  CDL_TRY(allocate_frozen(a, backend, queue));
  if (a->method->attach != NULL && s->lora_plus_ratio > 0)
    set_rates(a, s->lora_plus_ratio);
  return a->method->attach != NULL ? a->method->attach(a, queue) : CDL_STATUS_OK;
}

static cdl_status no_such_method(const char *name)
{
  char list[256] = "";
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    const size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", *m);
  }
  return cdl_fail(CDL_STATUS_USAGE, "there is no method %s; methods are %s", name, list);
}

cdl_status adapter_create(cdl_queue *queue, model_encoder *encoder,
                          const adapter_settings *settings, model_adapter **adapter)
{
  return adapter_create_from(queue, encoder, settings, NULL, NULL, adapter);
}

cdl_status adapter_create_from(cdl_queue *queue, model_encoder *encoder,
                               const adapter_settings *settings, const adapter_config *source,
                               const cdl_safetensors *stored, model_adapter **adapter)
{
  *adapter = NULL;
  const adapter_method *method = adapter_method_find(settings->method);
  if (method == NULL)
    return no_such_method(settings->method);
  model_adapter *a = calloc(1, sizeof *a);
  if (a == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter");
  a->method = method;
  a->encoder = encoder;
  a->config_extra = settings->config_extra;
  a->source = source;
  a->stored = stored;
  const cdl_status status = build(a, queue, settings);
  a->config_extra = NULL;
  if (status != CDL_STATUS_OK) {
    adapter_destroy(a);
    return status;
  }
  *adapter = a;
  return CDL_STATUS_OK;
}

void adapter_destroy(model_adapter *a)
{
  if (a == NULL)
    return;
  encoder_parameter *parameters = encoder_parameters(a->encoder);
  for (size_t i = 0; i < encoder_parameter_count(a->encoder); i++) {
    parameters[i].trained = false;
    parameters[i].gradient = (cdl_tensor){0};
    parameters[i].lr_scale = 1;
  }
  for (size_t i = 0; i < a->module_count; i++)
    a->modules[i]->delta = (encoder_delta){0};
  if (a->method->release != NULL)
    a->method->release(a);
  cdl_buffer_destroy(a->value_buffer);
  cdl_buffer_destroy(a->gradient_buffer);
  cdl_buffer_destroy(a->derived_buffer);
  cdl_buffer_destroy(a->frozen_buffer);
  free(a->derived);
  free(a->frozen);
  free(a->trained);
  free(a->own_parameters);
  free(a->runs);
  free(a->run_modules);
  free(a->run_numbers);
  free(a->per_module);
  free(a->modules);
  free(a->folded);
  free(a);
}

size_t adapter_parameter_count(const model_adapter *a)
{
  return a->trained_count;
}

encoder_parameter *adapter_parameter(const model_adapter *a, size_t index)
{
  return a->trained[index];
}

void adapter_trainable_parameters(const model_adapter *a, int64_t *adapter_numbers,
                                  int64_t *head_numbers)
{
  *adapter_numbers = *head_numbers = 0;
  for (size_t i = 0; i < a->trained_count; i++) {
    const encoder_parameter *p = a->trained[i];
    const bool head = i >= a->own_count && model_checkpoint_is_head(p->name);
    *(head ? head_numbers : adapter_numbers) += cdl_tensor_elements(p->value);
  }
}

cdl_status adapter_initialize(model_adapter *a, cdl_queue *q, uint64_t seed)
{
  a->seed = seed;
  for (size_t i = 0; i < a->own_count; i++) {
    const cdl_tensor t = a->own_parameters[i].value;
    const int64_t count = cdl_tensor_elements(t);
    float *values = malloc((size_t)count * sizeof *values);
    if (values == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: initial values of %s",
                      a->own_parameters[i].name);
    cdl_random random = cdl_random_start(seed, CDL_RANDOM_INITIAL_VALUES, (uint32_t)i, 0);
    a->method->initialize(a, i, &random, values, count);
    cdl_queue_upload(q, t, values, (size_t)count * sizeof *values);
    free(values);
  }
  if (a->method->prepare_base != NULL)
    CDL_TRY(a->method->prepare_base(a, q));
  return cdl_queue_status(q);
}

/* ---- Layer runs ---- */

cdl_tensor adapter_of_layer(cdl_tensor batch, int index)
{
  batch.offset += index * batch.stride[1];
  batch.size[1] = 1;
  return batch;
}

encoder_low_rank_term adapter_low_rank_of_layer(const layer_batch *run, int index, float scale)
{
  return (encoder_low_rank_term){.a = adapter_of_layer(run->a, index),
                                 .b = adapter_of_layer(run->b, index),
                                 .d_a = adapter_of_layer(run->d_a, index),
                                 .d_b = adapter_of_layer(run->d_b, index),
                                 .scale = scale};
}

cdl_tensor adapter_repeated(cdl_tensor matrix, int count)
{
  matrix.size[1] = count;
  matrix.stride[1] = 0;
  return matrix;
}

cdl_tensor adapter_products(const model_adapter *a, cdl_queue *q, const layer_batch *run,
                            int64_t columns, cdl_tensor x, bool transpose_x, bool transpose_weights)
{
  const cdl_tensor products = cdl_tensor_3d(a->scratch.buffer, CDL_DTYPE_F32, a->scratch.offset,
                                            run->count, run->rank, columns);
  cdl_gemm(q, CDL_ARGS(gemm, .out = products, .a = x, .b = run->weights, .transpose_a = transpose_x,
                       .transpose_b = transpose_weights, .alpha = 1));
  return products;
}

void adapter_add_products(const model_adapter *a, cdl_queue *q, const layer_batch *run,
                          cdl_tensor gradient, cdl_tensor x, bool transpose_x,
                          bool transpose_weights)
{
  const cdl_tensor products =
      adapter_products(a, q, run, gradient.size[3], x, transpose_x, transpose_weights);
  cdl_reduce(q, CDL_ARGS(reduce, .out = gradient, .x = products, .function = CDL_REDUCE_SUM,
                         .axis = 1, .accumulate = true));
}

size_t adapter_module_count(const model_adapter *a)
{
  return a->module_count;
}

adapter_module adapter_module_at(const model_adapter *a, size_t index)
{
  const module_settings *s = &a->per_module[index];
  return (adapter_module){a->modules[index]->path, s->rank, s->alpha, (double)s->scale};
}

/* ---- Training ---- */

cdl_status adapter_begin_run(model_adapter *a, cdl_queue *q, int64_t steps)
{
  return a->method->begin_run != NULL ? a->method->begin_run(a, q, steps) : CDL_STATUS_OK;
}

bool adapter_varies(const model_adapter *a)
{
  return a->method->varies != NULL && a->method->varies(a);
}

cdl_status adapter_begin_step(model_adapter *a, cdl_queue *q, const cdl_step_record *record)
{
  return a->method->begin_step != NULL ? a->method->begin_step(a, q, record) : CDL_STATUS_OK;
}

void adapter_materialize(model_adapter *a, cdl_queue *q)
{
  encoder_weights_changed(a->encoder, q, true);
  if (a->method->materialize != NULL)
    a->method->materialize(a, q);
}

void adapter_zero_gradients(model_adapter *a, cdl_queue *q)
{
  cdl_fill(q, CDL_ARGS(fill, .out = a->all_gradients));
}

void adapter_pull_back(model_adapter *a, cdl_queue *q)
{
  if (a->method->pull_back != NULL)
    a->method->pull_back(a, q);
}

void adapter_extra_loss(model_adapter *a, cdl_queue *q, cdl_tensor loss)
{
  if (a->method->extra_loss != NULL)
    a->method->extra_loss(a, q, loss);
}

cdl_status adapter_evaluation_penalty(model_adapter *a, cdl_queue *q, double *penalty)
{
  *penalty = 0;
  if (!a->reference_compat || a->method->extra_loss == NULL)
    return CDL_STATUS_OK;
  cdl_buffer *buffer;
  float value;
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), sizeof value, &buffer));
  const cdl_tensor loss = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 1);
  cdl_fill(q, CDL_ARGS(fill, .out = loss));
  a->method->extra_loss(a, q, loss);
  cdl_queue_download(q, &value, loss, sizeof value);
  const cdl_status status = cdl_queue_sync(q);
  cdl_buffer_destroy(buffer);
  *penalty = status == CDL_STATUS_OK ? (double)value : 0;
  return status;
}

cdl_status adapter_after_step(model_adapter *a, cdl_queue *q, int64_t step, cdl_tensor factor)
{
  return a->method->after_step != NULL ? a->method->after_step(a, q, step, factor) : CDL_STATUS_OK;
}

cdl_tensor adapter_gradients(const model_adapter *a)
{
  return a->gradients;
}

cdl_tensor adapter_pass_gradients(const model_adapter *a)
{
  return a->all_gradients;
}
