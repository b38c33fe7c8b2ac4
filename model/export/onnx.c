/* The encoder's forward pass as a graph of ONNX operators; it follows encoder.c part by part.
 * Batches are padded here: values are [batch, sequence, …], and attention is told by a mask what is
 * padding. */
#include "model/export/onnx.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "model/encoder/state.h"
#include "model/export/onnx_graph.h"

static const char model_name[] = "model.onnx", data_name[] = "model.onnx.data";

/* A linear layer's [out, in] is stored [in, out], as MatMul takes it. */
typedef enum { FORM_SAME, FORM_TRANSPOSED, FORM_FIRST_ROW } stored_form;

typedef struct {
  const encoder_parameter *parameter;
  stored_form form;
  int64_t offset; /* bytes */
} stored_weight;

typedef struct {
  const model_encoder *encoder;
  onnx_graph *graph;
  stored_weight *weights; /* [count] in the order of their offsets */
  size_t count;
  bool zero_token_types;
  onnx_value ids, mask, types; /* int64 [batch, sequence]; no types: type 0 */
  /* Added to scores: 0, or -FLT_MAX for padding, [batch, 1, 1, sequence]; with a bias by distance
   * its sum with that, [batch, heads, sequence, sequence]. */
  onnx_value bias;
  onnx_value heads_shape, rows_shape; /* [batch, sequence, heads, head size], […, hidden] */
} writer;

/* ---- Weights ---- */

static onnx_value stored_as(writer *w, const encoder_parameter *p, stored_form form)
{
  const int64_t rows = p->value.size[2], columns = p->value.size[3];
  stored_weight *s = &w->weights[w->count++];
  *s = (stored_weight){.parameter = p, .form = form};
  char name[MODEL_NAME_BYTES + 16];
  switch (form) {
  case FORM_TRANSPOSED:
    snprintf(name, sizeof name, "%s.transposed", p->name);
    return onnx_stored(w->graph, name, columns, rows, &s->offset);
  case FORM_FIRST_ROW:
    snprintf(name, sizeof name, "%s.0", p->name);
    return onnx_stored(w->graph, name, columns, 0, &s->offset);
  case FORM_SAME:
    break;
  }
  return p->dimensions == 1 ? onnx_stored(w->graph, p->name, columns, 0, &s->offset)
                            : onnx_stored(w->graph, p->name, rows, columns, &s->offset);
}

static onnx_value stored(writer *w, const encoder_parameter *p)
{
  return stored_as(w, p, FORM_SAME);
}

/* ---- Small parts ---- */

/* A node of one input and a number. */
static onnx_value with_number(writer *w, const char *type, onnx_value x, float number)
{
  char name[32];
  snprintf(name, sizeof name, "number/%.9g", (double)number);
  return ONNX_OP(w->graph, type, x, onnx_real(w->graph, name, number));
}

static onnx_value layer_norm(writer *w, onnx_value x, norm_weights n)
{
  const onnx_value gain = stored(w, n.gain), bias = stored(w, n.bias);
  const onnx_value y = ONNX_OP(w->graph, "LayerNormalization", x, gain, bias);
  onnx_set_whole(w->graph, "axis", -1);
  onnx_set_real(w->graph, "epsilon", (float)w->encoder->config.layer_norm_epsilon);
  return y;
}

/* x Wᵀ + b of a projection's i-th layer. */
static onnx_value linear(writer *w, const projection *p, int i, onnx_value x)
{
  const onnx_value weight = stored_as(w, p->weight[i], FORM_TRANSPOSED);
  const onnx_value bias = stored(w, p->bias[i]);
  return ONNX_OP(w->graph, "Add", ONNX_OP(w->graph, "MatMul", x, weight), bias);
}

/* x Φ(x) = x/2 (1 + erf(x/√2)) */
static onnx_value gelu(writer *w, onnx_value x)
{
  const onnx_value erf = ONNX_OP(w->graph, "Erf", with_number(w, "Div", x, (float)M_SQRT2));
  const onnx_value gate = with_number(w, "Add", erf, 1);
  return with_number(w, "Mul", ONNX_OP(w->graph, "Mul", x, gate), 0.5f);
}

/* x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) */
static onnx_value gelu_tanh(writer *w, onnx_value x)
{
  const onnx_value cube = ONNX_OP(w->graph, "Mul", ONNX_OP(w->graph, "Mul", x, x), x);
  const onnx_value sum = ONNX_OP(w->graph, "Add", x, with_number(w, "Mul", cube, 0.044715f));
  const onnx_value inner = with_number(w, "Mul", sum, (float)sqrt(M_2_PI));
  const onnx_value gate = with_number(w, "Add", ONNX_OP(w->graph, "Tanh", inner), 1);
  return with_number(w, "Mul", ONNX_OP(w->graph, "Mul", x, gate), 0.5f);
}

/* x · f(y) */
static onnx_value gated(writer *w, onnx_value x, const char *f, onnx_value y)
{
  return ONNX_OP(w->graph, "Mul", x, ONNX_OP(w->graph, f, y));
}

static onnx_value activation(writer *w, cdl_activation f, onnx_value x)
{
  switch (f) {
  case CDL_ACTIVATION_NONE:
    break;
  case CDL_ACTIVATION_GELU:
    return gelu(w, x);
  case CDL_ACTIVATION_GELU_TANH:
    return gelu_tanh(w, x);
  case CDL_ACTIVATION_GELU_QUICK:
    return gated(w, x, "Sigmoid", with_number(w, "Mul", x, 1.702f));
  case CDL_ACTIVATION_RELU:
    return ONNX_OP(w->graph, "Relu", x);
  case CDL_ACTIVATION_SILU:
    return gated(w, x, "Sigmoid", x);
  case CDL_ACTIVATION_TANH:
    return ONNX_OP(w->graph, "Tanh", x);
  case CDL_ACTIVATION_SIGMOID:
    return ONNX_OP(w->graph, "Sigmoid", x);
  case CDL_ACTIVATION_MISH:
    return gated(w, x, "Tanh", ONNX_OP(w->graph, "Softplus", x));
  }
  return x;
}

/* [batch, sequence, hidden] → [batch, hidden] */
static onnx_value first_tokens(writer *w, onnx_value x)
{
  const onnx_value y = ONNX_OP(w->graph, "Gather", x, onnx_whole(w->graph, "number/whole 0", 0));
  onnx_set_whole(w->graph, "axis", 1);
  return y;
}

/* ---- Inputs ---- */

static void inputs(writer *w)
{
  const onnx_size batch = {.name = "batch"}, sequence = {.name = "sequence"};
  const bool types = w->encoder->tables[EMBEDDING_TYPE] != NULL && !w->zero_token_types &&
                     w->encoder->config.type_count > 1;
  w->ids = onnx_input(w->graph, "input_ids", batch, sequence);
  w->mask = onnx_input(w->graph, "attention_mask", batch, sequence);
  w->types = types ? onnx_input(w->graph, "token_type_ids", batch, sequence) : NULL;
}

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7 };

static onnx_value to_type(writer *w, onnx_value x, int type)
{
  const onnx_value y = ONNX_OP(w->graph, "Cast", x);
  onnx_set_whole(w->graph, "to", type);
  return y;
}

/* 0 for a token, -FLT_MAX for padding: in float32 every score is lost in that. */
static void attention_bias(writer *w)
{
  static const int64_t axes[] = {1, 2};
  onnx_scope(w->graph, "attention_mask");
  const onnx_value kept = to_type(w, w->mask, ONNX_FLOAT);
  const onnx_value padding = ONNX_OP(w->graph, "Sub", onnx_real(w->graph, "number/1", 1), kept);
  w->bias = ONNX_OP(w->graph, "Unsqueeze", with_number(w, "Mul", padding, -FLT_MAX),
                    onnx_list(w->graph, "list/1,2", axes, 2));
}

/* ---- Embeddings ---- */

/* 0, 1, … along the sequence, for all of the batch: [sequence]. */
static onnx_value counted_positions(writer *w)
{
  onnx_graph *g = w->graph;
  const onnx_value zero = onnx_whole(g, "number/whole 0", 0),
                   one = onnx_whole(g, "number/whole 1", 1);
  const onnx_value length = ONNX_OP(g, "Gather", ONNX_OP(g, "Shape", w->ids), one);
  return ONNX_OP(g, "Range", zero, length, one);
}

/* pad_id + 1, pad_id + 2, … for what is not padding by its id, pad_id for the rest: [batch,
 * sequence]. See model_count_positions. */
static onnx_value positions_after_padding(writer *w)
{
  onnx_graph *g = w->graph;
  const onnx_value pad = onnx_whole(g, "pad_id", w->encoder->config.pad_id);
  const onnx_value text =
      to_type(w, ONNX_OP(g, "Not", ONNX_OP(g, "Equal", w->ids, pad)), ONNX_INT64);
  const onnx_value counted = ONNX_OP(g, "CumSum", text, onnx_whole(g, "number/whole 1", 1));
  return ONNX_OP(g, "Add", ONNX_OP(g, "Mul", counted, text), pad);
}

/* Adds to the bias what the family's table has for each distance of a key from a query. */
static void distance_bias(writer *w)
{
  static const int64_t before[] = {0}, behind[] = {1}, heads_first[] = {2, 0, 1};
  const model_encoder *e = w->encoder;
  onnx_graph *g = w->graph;
  if (e->distance_table == NULL)
    return;
  onnx_scope(g, "distance_bias");
  int64_t buckets[ENCODER_DISTANCES];
  for (int d = 0; d < ENCODER_DISTANCES; d++)
    buckets[d] = encoder_distance_bucket(d - ENCODER_DISTANCE_RADIUS);
  const onnx_value radius = onnx_whole(g, "radius", ENCODER_DISTANCE_RADIUS),
                   back = onnx_whole(g, "-radius", -ENCODER_DISTANCE_RADIUS);
  const onnx_value places = counted_positions(w);
  const onnx_value keys = ONNX_OP(g, "Unsqueeze", places, onnx_list(g, "list/0", before, 1));
  const onnx_value queries = ONNX_OP(g, "Unsqueeze", places, onnx_list(g, "list/1", behind, 1));
  const onnx_value distance = ONNX_OP(g, "Sub", keys, queries);
  const onnx_value near = ONNX_OP(g, "Max", ONNX_OP(g, "Min", distance, radius), back);
  const onnx_value bucket =
      ONNX_OP(g, "Gather", onnx_list(g, "buckets", buckets, ENCODER_DISTANCES),
              ONNX_OP(g, "Add", near, radius));
  const onnx_value by_head =
      ONNX_OP(g, "Transpose", ONNX_OP(g, "Gather", stored(w, e->distance_table), bucket));
  onnx_set_list(g, "perm", heads_first, 3);
  w->bias = ONNX_OP(g, "Add", w->bias, by_head);
}

static onnx_value rows_of(writer *w, int table, onnx_value index)
{
  return ONNX_OP(w->graph, "Gather", stored(w, w->encoder->tables[table]), index);
}

/* h = LN(word + position + type), then projected where the embeddings' width is another. */
static onnx_value embeddings(writer *w)
{
  const model_encoder *e = w->encoder;
  onnx_graph *g = w->graph;
  onnx_scope(g, "embeddings");
  const onnx_value positions =
      e->family->after_padding ? positions_after_padding(w) : counted_positions(w);
  onnx_value h = ONNX_OP(g, "Add", rows_of(w, EMBEDDING_WORD, w->ids),
                         rows_of(w, EMBEDDING_POSITION, positions));
  if (w->types != NULL)
    h = ONNX_OP(g, "Add", h, rows_of(w, EMBEDDING_TYPE, w->types));
  else if (e->tables[EMBEDDING_TYPE] != NULL)
    h = ONNX_OP(g, "Add", h, stored_as(w, e->tables[EMBEDDING_TYPE], FORM_FIRST_ROW));
  h = layer_norm(w, h, e->embedding_norm);
  return e->project.module_count > 0 ? linear(w, &e->project, 0, h) : h;
}

/* ---- Blocks ---- */

/* [batch, sequence, hidden] → [batch, heads, sequence, head size], or with the last two
 * exchanged. */
static onnx_value split_heads(writer *w, onnx_value x, bool exchanged)
{
  static const int64_t orders[][4] = {{0, 2, 1, 3}, {0, 2, 3, 1}};
  const onnx_value y =
      ONNX_OP(w->graph, "Transpose", ONNX_OP(w->graph, "Reshape", x, w->heads_shape));
  onnx_set_list(w->graph, "perm", orders[exchanged], 4);
  return y;
}

/* softmax(scale · Q Kᵀ + bias) V, the heads side by side again: [batch, sequence, hidden]. */
static onnx_value attention(writer *w, const projection *qkv, onnx_value x)
{
  static const int64_t joined[] = {0, 2, 1, 3};
  const model_config *c = &w->encoder->config;
  onnx_graph *g = w->graph;
  const float scale = (float)(1 / sqrt((double)(c->hidden_size / c->heads)));
  const onnx_value q = split_heads(w, linear(w, qkv, 0, x), false);
  const onnx_value k = split_heads(w, linear(w, qkv, 1, x), true);
  const onnx_value v = split_heads(w, linear(w, qkv, 2, x), false);
  const onnx_value scores = with_number(w, "Mul", ONNX_OP(g, "MatMul", q, k), scale);
  const onnx_value probabilities = ONNX_OP(g, "Softmax", ONNX_OP(g, "Add", scores, w->bias));
  const onnx_value context = ONNX_OP(g, "Transpose", ONNX_OP(g, "MatMul", probabilities, v));
  onnx_set_list(g, "perm", joined, 4);
  return ONNX_OP(g, "Reshape", context, w->rows_shape);
}

/* h ← LN(h + SelfAttention(h)), h ← LN(h + FFN(h)). In the last block everything after the
 * attention is computed for each sequence's first token alone. */
static onnx_value block(writer *w, int layer, onnx_value h)
{
  const model_encoder *e = w->encoder;
  const block_weights *b = &e->blocks[layer];
  onnx_graph *g = w->graph;
  char scope[64];
  snprintf(scope, sizeof scope, "%s%d", e->family->block->layers, layer);
  onnx_scope(g, scope);
  onnx_value context = attention(w, &b->qkv, h);
  if (layer == e->config.layers - 1) {
    context = first_tokens(w, context);
    h = first_tokens(w, h);
  }
  h = layer_norm(w, ONNX_OP(g, "Add", linear(w, &b->attention_out, 0, context), h),
                 b->attention_norm);
  const onnx_value wide = activation(w, e->config.activation, linear(w, &b->intermediate, 0, h));
  return layer_norm(w, ONNX_OP(g, "Add", linear(w, &b->output, 0, wide), h), b->output_norm);
}

/* ---- The whole ---- */

static void describe(writer *w)
{
  const model_encoder *e = w->encoder;
  const model_config *c = &e->config;
  /* 0 keeps a size as it is. */
  const int64_t heads[] = {0, 0, c->heads, c->hidden_size / c->heads};
  const int64_t rows[] = {0, 0, c->hidden_size};
  w->heads_shape = onnx_list(w->graph, "shape/heads", heads, 4);
  w->rows_shape = onnx_list(w->graph, "shape/rows", rows, 3);
  inputs(w);
  attention_bias(w);
  distance_bias(w);
  onnx_value h = embeddings(w);
  for (int l = 0; l < c->layers; l++)
    h = block(w, l, h);
  onnx_scope(w->graph, "head");
  h = activation(w, e->family->head_activation, linear(w, &e->head_dense, 0, h));
  linear(w, &e->head_out, 0, h);
  onnx_output(w->graph, "logits", (onnx_size){.name = "batch"}, (onnx_size){.number = e->labels});
}

/* [rows, columns] → [columns, rows], a tile at a time. */
static void transpose(float *out, const float *x, size_t rows, size_t columns)
{
  enum { TILE = 32 };
  for (size_t i = 0; i < rows; i += TILE)
    for (size_t j = 0; j < columns; j += TILE)
      for (size_t r = i; r < rows && r < i + TILE; r++)
        for (size_t c = j; c < columns && c < j + TILE; c++)
          out[c * rows + r] = x[r * columns + c];
}

/* Zeros up to the weight's place, then the weight. `values`, `turned`: as large as any. */
static cdl_status write_weight(const stored_weight *s, cdl_queue *queue, base_output *output,
                               int64_t *written, float *values, float *turned)
{
  static const char zeros[ONNX_DATA_ALIGNMENT] = {0};
  const cdl_tensor value = s->parameter->value;
  const size_t rows = s->form == FORM_FIRST_ROW ? 1 : (size_t)value.size[2],
               columns = (size_t)value.size[3], bytes = rows * columns * sizeof(float);
  cdl_queue_download(queue, values,
                     s->form == FORM_FIRST_ROW ? cdl_tensor_rows(value, 0, 1) : value, bytes);
  CDL_TRY(cdl_queue_sync(queue));
  if (s->form == FORM_TRANSPOSED)
    transpose(turned, values, rows, columns);
  base_output_write(output, zeros, (size_t)(s->offset - *written));
  base_output_write(output, s->form == FORM_TRANSPOSED ? turned : values, bytes);
  *written = s->offset + (int64_t)bytes;
  return CDL_STATUS_OK;
}

static cdl_status write_weights(const writer *w, cdl_queue *queue, const char *path)
{
  int64_t largest = 0, written = 0;
  for (size_t i = 0; i < w->count; i++)
    if (cdl_tensor_elements(w->weights[i].parameter->value) > largest)
      largest = cdl_tensor_elements(w->weights[i].parameter->value);
  float *values = malloc((size_t)largest * sizeof *values),
        *turned = malloc((size_t)largest * sizeof *turned);
  base_output *output = NULL;
  cdl_status status = values == NULL || turned == NULL
                          ? cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path)
                          : base_output_begin(path, &output);
  for (size_t i = 0; status == CDL_STATUS_OK && i < w->count; i++)
    status = write_weight(&w->weights[i], queue, output, &written, values, turned);
  if (status == CDL_STATUS_OK)
    status = base_output_commit(output);
  else
    base_output_abort(output);
  free(values);
  free(turned);
  return status;
}

cdl_status export_encoder_write_onnx(const model_encoder *encoder, cdl_queue *queue,
                                     const char *folder, bool zero_token_types)
{
  writer w = {.encoder = encoder,
              .graph = onnx_graph_create(model_family_name(encoder->config.family), data_name),
              .weights = calloc(encoder->parameter_count + 1, sizeof *w.weights),
              .zero_token_types = zero_token_types};
  char *model = base_path_join(folder, model_name), *data = base_path_join(folder, data_name);
  cdl_status status = CDL_STATUS_OK;
  if (w.graph == NULL || w.weights == NULL || model == NULL || data == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (status == CDL_STATUS_OK) {
    describe(&w);
    status = write_weights(&w, queue, data);
  }
  if (status == CDL_STATUS_OK)
    status = onnx_graph_write(w.graph, model);
  free(model);
  free(data);
  free(w.weights);
  onnx_graph_destroy(w.graph);
  return status;
}
