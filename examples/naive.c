/* A whole backend in one file, which shows what each required op computes in the simplest form.
 * Every element is read as a double and rounded to its own type when it is written, so that one
 * loop serves all types. The file was made from backends/null/ by docs/add-a-backend.md; the core
 * provides composed and host ops. It is correct but slow: read it to see what an op means.
 *
 *   cc -std=gnu11 -O2 -fPIC -shared naive.c $(pkg-config --cflags condlora) -lm \
 *      -o condlora-naive.so
 *   condlora-conformance --backend ./condlora-naive.so */
#include <math.h>
#include <string.h>

#include "condlora/plugin.h"
#include "condlora/random.h"

static const cdl_host *host;

/* ---- The device, its queues and memory: work runs immediately ---- */

static cdl_status enumerate(int *count)
{
  *count = 1;
  return CDL_STATUS_OK;
}

/* Device and queue have no state; only their addresses matter. */
static char the_device, a_queue;

static cdl_status open_device(const char *device_name, const cdl_open_options *options,
                              void **device)
{
  if (device_name[0] != '\0' && strcmp(device_name, "0") != 0)
    return host->fail(CDL_STATUS_ABSENT, "no device '%s', only 0", device_name);
  if (options->struct_size >= offsetof(cdl_open_options, precision) + sizeof options->precision &&
      options->precision != CDL_PRECISION_FP32)
    return host->fail(CDL_STATUS_UNSUPPORTED, "no precision but fp32");
  *device = &the_device;
  return CDL_STATUS_OK;
}

static void close_device(void *device)
{
  (void)device;
}

static const char *description(void *device)
{
  (void)device;
  return "one loop an op";
}

static cdl_status queue_create(void *device, void **queue)
{
  (void)device;
  *queue = &a_queue;
  return CDL_STATUS_OK;
}

static void queue_destroy(void *queue)
{
  (void)queue;
}

static cdl_status sync_queue(void *queue)
{
  (void)queue;
  return CDL_STATUS_OK;
}

static cdl_status allocate(void *device, size_t bytes, void **handle)
{
  (void)device;
  *handle = host->allocate(bytes, 64);
  return *handle != NULL ? CDL_STATUS_OK : host->fail(CDL_STATUS_MEMORY, "%zu bytes wanted", bytes);
}

static void release(void *device, void *handle)
{
  (void)device;
  host->release(handle);
}

static cdl_status upload(void *queue, cdl_buffer *out, size_t offset, const void *from,
                         size_t bytes)
{
  (void)queue;
  memcpy((char *)out->handle + offset, from, bytes);
  return CDL_STATUS_OK;
}

static cdl_status download(void *queue, void *to, const cdl_buffer *x, size_t offset, size_t bytes)
{
  (void)queue;
  memcpy(to, (const char *)x->handle + offset, bytes);
  return CDL_STATUS_OK;
}

/* ---- Elements ---- */

typedef struct {
  int64_t i[4];
} place;

/* Visits every element of t in order: for (place p = {0}; inside(t, &p); next(t, &p)). */
static bool inside(cdl_tensor t, const place *p)
{
  return p->i[0] < t.size[0] && cdl_tensor_elements(t) > 0;
}

static void next(cdl_tensor t, place *p)
{
  for (int d = 3; d > 0; d--) {
    if (++p->i[d] < t.size[d])
      return;
    p->i[d] = 0;
  }
  p->i[0]++;
}

#define EACH(t, p) for (place p = {{0}}; inside(t, &p); next(t, &p))

static int64_t element_of(cdl_tensor t, place p)
{
  int64_t element = t.offset;
  for (int d = 0; d < 4; d++)
    element += (t.size[d] == 1 ? 0 : p.i[d]) * t.stride[d]; /* size 1 is repeated */
  return element;
}

static void *address_of(cdl_tensor t, int64_t element)
{
  return (char *)t.buffer->handle + element * (int64_t)cdl_dtype_bytes(t.dtype);
}

static void *at(cdl_tensor t, place p)
{
  return address_of(t, element_of(t, p));
}

static double value_of(cdl_tensor t, int64_t element)
{
  const void *from = address_of(t, element);
  switch (t.dtype) {
  case CDL_DTYPE_F32:
    return (double)*(const float *)from;
  case CDL_DTYPE_F64:
    return *(const double *)from;
  case CDL_DTYPE_BF16: {
    const uint32_t bits = (uint32_t)((const cdl_bf16 *)from)->bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
  }
  case CDL_DTYPE_I32:
    return (double)*(const int32_t *)from;
  case CDL_DTYPE_U8:
    return (double)*(const uint8_t *)from;
  case CDL_DTYPE_COUNT:
    break;
  }
  return 0;
}

static double get(cdl_tensor t, place p)
{
  return value_of(t, element_of(t, p));
}

/* Rounds once from the double to eight significant bits, ties to even. */
static cdl_bf16 to_bf16(double value)
{
  if (isfinite(value) && value != 0) {
    const int leading = ilogb(value) < -126 ? -126 : ilogb(value);
    value = ldexp(nearbyint(ldexp(value, 7 - leading)), leading - 7);
  }
  const float rounded = isnan(value) ? NAN : (float)value;
  uint32_t bits;
  memcpy(&bits, &rounded, sizeof bits);
  return (cdl_bf16){(uint16_t)(bits >> 16)};
}

static void put(cdl_tensor t, place p, double value)
{
  void *to = at(t, p);
  switch (t.dtype) {
  case CDL_DTYPE_F32:
    *(float *)to = (float)value;
    break;
  case CDL_DTYPE_F64:
    *(double *)to = value;
    break;
  case CDL_DTYPE_BF16:
    *(cdl_bf16 *)to = to_bf16(value);
    break;
  case CDL_DTYPE_I32:
    *(int32_t *)to = (int32_t)value;
    break;
  case CDL_DTYPE_U8:
    *(uint8_t *)to = (uint8_t)value;
    break;
  case CDL_DTYPE_COUNT:
    break;
  }
}

static place row_column(int64_t row, int64_t column)
{
  return (place){{0, 0, row, column}};
}

/* Returns element i of a vector. */
static double get_at(cdl_tensor t, int64_t i)
{
  return get(t, row_column(0, i));
}

static void add_to(cdl_tensor t, place p, double value)
{
  put(t, p, get(t, p) + value);
}

static const cdl_step_record *step_of(cdl_tensor step)
{
  return at(step, (place){{0}});
}

/* ---- Data movement ---- */

static cdl_status copy(void *queue, const cdl_copy_args *a)
{
  (void)queue;
  EACH(a->out, p)
  put(a->out, p, get(a->x, p));
  return CDL_STATUS_OK;
}

static cdl_status cast(void *queue, const cdl_cast_args *a)
{
  return copy(queue, CDL_ARGS(copy, .out = a->out, .x = a->x));
}

static cdl_status permute(void *queue, const cdl_permute_args *a)
{
  (void)queue;
  EACH(a->out, p)
  {
    place from;
    for (int d = 0; d < 4; d++)
      from.i[a->order[d]] = p.i[d];
    put(a->out, p, get(a->x, from));
  }
  return CDL_STATUS_OK;
}

static cdl_status fill(void *queue, const cdl_fill_args *a)
{
  (void)queue;
  EACH(a->out, p)
  put(a->out, p, a->value);
  return CDL_STATUS_OK;
}

static cdl_status gather_rows(void *queue, const cdl_gather_rows_args *a)
{
  (void)queue;
  EACH(a->out, p)
  {
    const double entry = get(a->table, row_column((int64_t)get_at(a->index, p.i[2]), p.i[3]));
    put(a->out, p, entry + (a->accumulate ? get(a->out, p) : 0));
  }
  return CDL_STATUS_OK;
}

static cdl_status scatter_add_rows(void *queue, const cdl_scatter_add_rows_args *a)
{
  (void)queue;
  for (int64_t s = 0; s < a->target.size[3]; s++)
    for (int64_t column = 0; column < a->table.size[3]; column++) {
      double sum = 0;
      for (int64_t k = (int64_t)get_at(a->segment, s); k < (int64_t)get_at(a->segment, s + 1); k++)
        sum += get(a->x, row_column((int64_t)get_at(a->order, k), column));
      add_to(a->table, row_column((int64_t)get_at(a->target, s), column), sum);
    }
  return CDL_STATUS_OK;
}

/* ---- Arithmetic ---- */

static cdl_status gemm(void *queue, const cdl_gemm_args *a)
{
  (void)queue;
  const int along_a = a->transpose_a ? 2 : 3, along_b = a->transpose_b ? 3 : 2;
  const int64_t length = a->a.size[along_a];
  EACH(a->out, p)
  {
    place row = p, column = p; /* start of the sum: row of op(a), column of op(b) */
    row.i[along_a] = column.i[along_b] = 0;
    row.i[5 - along_a] = p.i[2];
    column.i[5 - along_b] = p.i[3];
    int64_t x = element_of(a->a, row), y = element_of(a->b, column);
    double sum = 0;
    for (int64_t l = 0; l < length; l++) {
      sum += value_of(a->a, x) * value_of(a->b, y);
      x += a->a.stride[along_a];
      y += a->b.stride[along_b];
    }
    sum *= (double)a->alpha;
    put(a->out, p, a->beta == 0 ? sum : sum + (double)a->beta * get(a->out, p));
  }
  return CDL_STATUS_OK;
}

static double sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static double softplus(double x)
{
  return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const double root_2_pi = 0.79788456080286535588; /* √(2/π) */

static double activate(cdl_activation activation, double x)
{
  switch (activation) {
  case CDL_ACTIVATION_NONE:
    return x;
  case CDL_ACTIVATION_GELU:
    return x * 0.5 * erfc(-x * M_SQRT1_2);
  case CDL_ACTIVATION_GELU_TANH:
    return x * sigmoid(2 * root_2_pi * (x + 0.044715 * x * x * x));
  case CDL_ACTIVATION_GELU_QUICK:
    return x * sigmoid(1.702 * x);
  case CDL_ACTIVATION_RELU:
    return x > 0 || isnan(x) ? x : 0;
  case CDL_ACTIVATION_SILU:
    return x * sigmoid(x);
  case CDL_ACTIVATION_TANH:
    return tanh(x);
  case CDL_ACTIVATION_SIGMOID:
    return sigmoid(x);
  case CDL_ACTIVATION_MISH:
    return x * tanh(softplus(x));
  }
  return x;
}

static double slope(cdl_activation activation, double x)
{
  switch (activation) {
  case CDL_ACTIVATION_NONE:
    return 1;
  case CDL_ACTIVATION_GELU:
    return 0.5 * erfc(-x * M_SQRT1_2) + x * exp(-0.5 * x * x) * 0.5 * root_2_pi;
  case CDL_ACTIVATION_GELU_TANH: {
    const double gate = sigmoid(2 * root_2_pi * (x + 0.044715 * x * x * x));
    return gate + x * gate * (1 - gate) * 2 * root_2_pi * (1 + 3 * 0.044715 * x * x);
  }
  case CDL_ACTIVATION_GELU_QUICK: {
    const double gate = sigmoid(1.702 * x);
    return gate + 1.702 * x * gate * (1 - gate);
  }
  case CDL_ACTIVATION_RELU:
    return isnan(x) ? x : x > 0;
  case CDL_ACTIVATION_SILU: {
    const double gate = sigmoid(x);
    return gate + x * gate * (1 - gate);
  }
  case CDL_ACTIVATION_TANH:
    return 1 - tanh(x) * tanh(x);
  case CDL_ACTIVATION_SIGMOID:
    return sigmoid(x) * (1 - sigmoid(x));
  case CDL_ACTIVATION_MISH: {
    const double gate = tanh(softplus(x));
    return gate + x * (1 - gate * gate) * sigmoid(x);
  }
  }
  return 1;
}

static double function_value(const cdl_unary_args *a, double x)
{
  switch (a->function) {
  case CDL_UNARY_ACTIVATION:
    return activate(a->activation, x);
  case CDL_UNARY_ABSOLUTE:
    return fabs(x);
  case CDL_UNARY_SQUARE:
    return x * x;
  case CDL_UNARY_SQUARE_ROOT:
    return sqrt(x);
  case CDL_UNARY_EXP:
    return exp(x);
  case CDL_UNARY_LOG:
    return log(x);
  case CDL_UNARY_RECIPROCAL:
    return 1 / x;
  }
  return x;
}

static cdl_status unary(void *queue, const cdl_unary_args *a)
{
  (void)queue;
  EACH(a->out, p)
  put(a->out, p, function_value(a, get(a->x, p)));
  return CDL_STATUS_OK;
}

static cdl_status unary_grad(void *queue, const cdl_unary_grad_args *a)
{
  (void)queue;
  EACH(a->d_x, p)
  put(a->d_x, p, get(a->d_out, p) * slope(a->activation, get(a->x, p)));
  return CDL_STATUS_OK;
}

static double combine(cdl_binary_function function, double x, double y)
{
  switch (function) {
  case CDL_BINARY_ADD:
    return x + y;
  case CDL_BINARY_SUBTRACT:
    return x - y;
  case CDL_BINARY_MULTIPLY:
    return x * y;
  case CDL_BINARY_DIVIDE:
    return x / y;
  case CDL_BINARY_MAXIMUM:
    return isnan(x) || x > y ? x : y;
  case CDL_BINARY_MINIMUM:
    return isnan(x) || x < y ? x : y;
  }
  return x;
}

static cdl_status binary(void *queue, const cdl_binary_args *a)
{
  (void)queue;
  EACH(a->out, p)
  put(a->out, p, combine(a->function, get(a->x, p), get(a->y, p)));
  return CDL_STATUS_OK;
}

static cdl_status axpby(void *queue, const cdl_axpby_args *a)
{
  (void)queue;
  EACH(a->out, p)
  {
    const double scaled = (double)a->alpha * get(a->x, p);
    put(a->out, p, a->beta == 0 ? scaled : scaled + (double)a->beta * get(a->out, p));
  }
  return CDL_STATUS_OK;
}

static cdl_status reduce(void *queue, const cdl_reduce_args *a)
{
  (void)queue;
  EACH(a->out, p)
  {
    double result = a->function == CDL_REDUCE_MAXIMUM ? -INFINITY : 0;
    place from = p;
    for (from.i[a->axis] = 0; from.i[a->axis] < a->x.size[a->axis]; from.i[a->axis]++) {
      const double x = get(a->x, from);
      if (a->function == CDL_REDUCE_MAXIMUM)
        result = isnan(result) || result > x ? result : x;
      else
        result += a->function == CDL_REDUCE_SUM_SQUARES ? x * x : x;
    }
    put(a->out, p, a->accumulate ? result + get(a->out, p) : result);
  }
  return CDL_STATUS_OK;
}

/* ---- Rows ---- */

/* Returns a tensor with one element per row of t, to visit the start of each row. */
static cdl_tensor rows_of(cdl_tensor t)
{
  t.size[3] = t.size[3] > 0;
  return t;
}

#define ALONG(t, p) for (p.i[3] = 0; p.i[3] < (t).size[3]; p.i[3]++)

static cdl_status softmax(void *queue, const cdl_softmax_args *a)
{
  (void)queue;
  EACH(rows_of(a->out), p)
  {
    double largest = -INFINITY, sum = 0;
    ALONG(a->x, p)
    {
      const double x = (double)a->scale * get(a->x, p);
      largest = isnan(largest) || largest > x ? largest : x;
    }
    const bool nothing = largest == -INFINITY;
    ALONG(a->x, p)
    sum += exp((double)a->scale * get(a->x, p) - largest);
    ALONG(a->x, p)
    put(a->out, p, nothing ? 0 : exp((double)a->scale * get(a->x, p) - largest) / sum);
    p.i[3] = 0;
  }
  return CDL_STATUS_OK;
}

static cdl_status softmax_grad(void *queue, const cdl_softmax_grad_args *a)
{
  (void)queue;
  EACH(rows_of(a->out), p)
  {
    double sum = 0;
    ALONG(a->out, p)
    sum += get(a->d_out, p) * get(a->out, p);
    ALONG(a->out, p)
    put(a->d_x, p, (double)a->scale * get(a->out, p) * (get(a->d_out, p) - sum));
    p.i[3] = 0;
  }
  return CDL_STATUS_OK;
}

static cdl_status layer_norm(void *queue, const cdl_layer_norm_args *a)
{
  (void)queue;
  const double columns = (double)a->x.size[3];
  EACH(rows_of(a->out), p)
  {
    double mean = 0, variance = 0;
    ALONG(a->x, p)
    mean += get(a->x, p) / columns;
    ALONG(a->x, p)
    variance += (get(a->x, p) - mean) * (get(a->x, p) - mean) / columns;
    const double rstd = 1 / sqrt(variance + (double)a->epsilon);
    ALONG(a->x, p)
    {
      const double normal = (get(a->x, p) - mean) * rstd;
      put(a->out, p, normal * get_at(a->gain, p.i[3]) + get_at(a->bias, p.i[3]));
    }
    if (cdl_tensor_present(a->mean))
      put(a->mean, row_column(0, p.i[2]), mean);
    if (cdl_tensor_present(a->rstd))
      put(a->rstd, row_column(0, p.i[2]), rstd);
    p.i[3] = 0;
  }
  return CDL_STATUS_OK;
}

static double normal_at(const cdl_layer_norm_grad_args *a, place p)
{
  return (get(a->x, p) - get_at(a->mean, p.i[2])) * get_at(a->rstd, p.i[2]);
}

static void layer_norm_parameters(const cdl_layer_norm_grad_args *a)
{
  for (int64_t column = 0; column < a->x.size[3]; column++) {
    double gain = 0, bias = 0;
    for (int64_t row = 0; row < a->x.size[2]; row++) {
      const place p = row_column(row, column);
      gain += get(a->d_out, p) * normal_at(a, p);
      bias += get(a->d_out, p);
    }
    if (cdl_tensor_present(a->d_gain))
      add_to(a->d_gain, row_column(0, column), gain);
    if (cdl_tensor_present(a->d_bias))
      add_to(a->d_bias, row_column(0, column), bias);
  }
}

/* Compute the parameters' gradients first: d_x may be in place of d_out. */
static cdl_status layer_norm_grad(void *queue, const cdl_layer_norm_grad_args *a)
{
  (void)queue;
  const double columns = (double)a->x.size[3];
  layer_norm_parameters(a);
  if (!cdl_tensor_present(a->d_x))
    return CDL_STATUS_OK;
  EACH(rows_of(a->d_x), p)
  {
    double sum = 0, product = 0;
    ALONG(a->x, p)
    {
      const double d = get(a->d_out, p) * get_at(a->gain, p.i[3]);
      sum += d / columns;
      product += d * normal_at(a, p) / columns;
    }
    ALONG(a->x, p)
    {
      const double d = get(a->d_out, p) * get_at(a->gain, p.i[3]);
      put(a->d_x, p, get_at(a->rstd, p.i[2]) * (d - sum - normal_at(a, p) * product));
    }
    p.i[3] = 0;
  }
  return CDL_STATUS_OK;
}

/* ---- Dropout ---- */

static bool keeps(const cdl_dropout_mask *mask, uint32_t example, uint64_t element)
{
  const cdl_step_record *step = step_of(mask->step);
  const cdl_philox_words counter = {
      {(uint32_t)(element / 4), example, step->step, mask->purpose << 24 | mask->layer}};
  const cdl_philox_words words = cdl_philox(counter, step->seed[0], step->seed[1]);
  return words.word[element % 4] >= cdl_random_threshold((double)mask->probability);
}

static cdl_status dropout(void *queue, const cdl_dropout_args *a)
{
  (void)queue;
  const cdl_packing *packing = a->packing;
  int64_t sequence = 0;
  EACH(a->out, p)
  {
    int64_t row = p.i[2];
    if (a->per_sequence) {
      sequence = row;
      row = 0;
    } else if (a->mask.probability > 0) {
      while (sequence + 1 < packing->sequences &&
             get_at(packing->offsets, sequence + 1) <= (double)p.i[2])
        sequence++;
      row -= (int64_t)get_at(packing->offsets, sequence);
    }
    const uint64_t element = (uint64_t)(row * a->out.size[3] + p.i[3]);
    double x = get(a->x, p);
    if (a->mask.probability > 0)
      x = keeps(&a->mask, (uint32_t)get_at(packing->examples, sequence), element)
              ? x / (1 - (double)a->mask.probability)
              : 0;
    put(a->out, p, x);
  }
  return CDL_STATUS_OK;
}

/* ---- Losses and the optimizer ---- */

static cdl_status cross_entropy(void *queue, const cdl_cross_entropy_args *a)
{
  (void)queue;
  const int64_t classes = a->logits.size[3];
  const double scale = (double)step_of(a->step)->loss_scale, smoothing = (double)a->label_smoothing;
  double loss = 0;
  for (int64_t row = 0; row < a->logits.size[2]; row++) {
    const int64_t label = (int64_t)get_at(a->labels, row);
    double largest = -INFINITY, sum = 0, total = 0;
    for (int64_t c = 0; c < classes; c++)
      largest = fmax(largest, get(a->logits, row_column(row, c)));
    for (int64_t c = 0; c < classes; c++)
      sum += exp(get(a->logits, row_column(row, c)) - largest);
    const double log_sum = largest + log(sum);
    /* first the sum of the weights, then the values that need it */
    for (int pass = 0; pass < 2; pass++)
      for (int64_t c = 0; c < classes; c++) {
        const double weight = cdl_tensor_present(a->class_weight) ? get_at(a->class_weight, c) : 1;
        const double share =
            weight * (smoothing / (double)classes + (c == label ? 1 - smoothing : 0));
        const double log_p = get(a->logits, row_column(row, c)) - log_sum;
        if (pass == 0) {
          total += share;
          loss -= share * log_p;
        } else if (cdl_tensor_present(a->d_logits)) {
          put(a->d_logits, row_column(row, c), scale * (total * exp(log_p) - share));
        }
      }
  }
  if (cdl_tensor_present(a->loss))
    add_to(a->loss, (place){{0}}, scale * loss);
  return CDL_STATUS_OK;
}

static cdl_status squared_error(void *queue, const cdl_squared_error_args *a)
{
  (void)queue;
  const double scale = (double)step_of(a->step)->loss_scale;
  double loss = 0;
  int64_t row = 0;
  EACH(a->out, p)
  {
    const double difference = get(a->out, p) - get_at(a->target, row++);
    loss += difference * difference;
    if (cdl_tensor_present(a->d_out))
      put(a->d_out, p, 2 * scale * difference);
  }
  if (cdl_tensor_present(a->loss))
    add_to(a->loss, (place){{0}}, scale * loss);
  return CDL_STATUS_OK;
}

static cdl_status adamw(void *queue, const cdl_adamw_args *a)
{
  (void)queue;
  const cdl_step_record *step = step_of(a->step);
  const double rate = (double)step->learning_rate * a->rate;
  const double scale = cdl_tensor_present(a->grad_scale) ? get_at(a->grad_scale, 0) : 1;
  EACH(a->parameter, p)
  {
    const double g = get(a->gradient, p) * scale;
    const double m = a->beta1 * get(a->moment1, p) + (1 - a->beta1) * g;
    const double v = a->beta2 * get(a->moment2, p) + (1 - a->beta2) * g * g;
    const double decayed = get(a->parameter, p) * (1 - rate * a->decay);
    const double divisor = sqrt(v) / sqrt((double)step->correction2) + a->epsilon;
    put(a->moment1, p, m);
    put(a->moment2, p, v);
    put(a->parameter, p, decayed - rate * (m / (double)step->correction1) / divisor);
  }
  return CDL_STATUS_OK;
}

static cdl_status any_non_finite(void *queue, const cdl_any_non_finite_args *a)
{
  (void)queue;
  int32_t *flag = at(a->flag, (place){{0}});
  EACH(a->x, p)
  if (!isfinite(get(a->x, p)))
    *flag |= 1;
  return CDL_STATUS_OK;
}

/* ---- The table ---- */

/* Composed and host ops stay NULL: the core provides them. */
static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "naive",
    .enumerate = enumerate,
    .open = open_device,
    .close = close_device,
    .description = description,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .sync = sync_queue,
    .allocate = allocate,
    .free = release,
    .upload = upload,
    .download = download,
    .copy = copy,
    .cast = cast,
    .permute = permute,
    .fill = fill,
    .gather_rows = gather_rows,
    .scatter_add_rows = scatter_add_rows,
    .gemm = gemm,
    .unary = unary,
    .unary_grad = unary_grad,
    .binary = binary,
    .axpby = axpby,
    .reduce = reduce,
    .softmax = softmax,
    .softmax_grad = softmax_grad,
    .layer_norm = layer_norm,
    .layer_norm_grad = layer_norm_grad,
    .dropout = dropout,
    .cross_entropy = cross_entropy,
    .squared_error = squared_error,
    .adamw = adamw,
    .any_non_finite = any_non_finite,
};

CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *given);

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  host = given;
  return &table;
}
