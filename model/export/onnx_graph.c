#include "model/export/onnx_graph.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "condlora/backend.h"
#include "model/export/onnx.pb-c.h"

/* The version of the format that came with the set of operators. */
enum { IR_VERSION = 8, FIRST_ROOM = 16 };

typedef struct piece {
  struct piece *next;
  max_align_t bytes[];
} piece;

struct onnx_graph {
  Onnx__ModelProto model;
  Onnx__GraphProto graph;
  Onnx__OperatorSetIdProto operators, *operator_sets[1];
  piece *pieces; /* all memory of the messages */
  bool failed;   /* memory is out */
  char *data_file;
  const char *scope;
  int in_scope; /* nodes */
  int64_t data_bytes;
};

/* ---- Memory ---- */

/* Zeros; NULL when memory is out. */
static void *take(onnx_graph *g, size_t bytes)
{
  piece *p = calloc(1, sizeof *p + bytes);
  if (p == NULL) {
    g->failed = true;
    return NULL;
  }
  p->next = g->pieces;
  g->pieces = p;
  return p->bytes;
}

static char *copy_text(onnx_graph *g, const char *text)
{
  const size_t bytes = strlen(text) + 1;
  char *copy = take(g, bytes);
  return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

static int64_t *copy_list(onnx_graph *g, const int64_t *values, size_t count)
{
  int64_t *copy = take(g, (count + 1) * sizeof *copy);
  if (copy != NULL && count > 0)
    memcpy(copy, values, count * sizeof *copy);
  return copy;
}

/* `items`, or more room for pointers, which doubles at each power of two; NULL when memory is
 * out. */
static void *room_for_one(onnx_graph *g, void *items, size_t count)
{
  if (count != 0 && (count < FIRST_ROOM || (count & (count - 1)) != 0))
    return items;
  void *room = take(g, (count == 0 ? FIRST_ROOM : 2 * count) * sizeof(void *));
  if (room != NULL && count > 0)
    memcpy(room, items, count * sizeof(void *));
  return room;
}

/* ---- The whole ---- */

onnx_graph *onnx_graph_create(const char *name, const char *data_file)
{
  static char producer[] = "condlora", standard[] = "";
  onnx_graph *g = calloc(1, sizeof *g);
  if (g == NULL)
    return NULL;
  onnx__model_proto__init(&g->model);
  onnx__graph_proto__init(&g->graph);
  onnx__operator_set_id_proto__init(&g->operators);
  g->operators.domain = standard;
  g->operators.has_version = true;
  g->operators.version = ONNX_OPSET;
  g->operator_sets[0] = &g->operators;
  g->model.has_ir_version = true;
  g->model.ir_version = IR_VERSION;
  g->model.producer_name = producer;
  g->model.producer_version = copy_text(g, cdl_version());
  g->model.graph = &g->graph;
  g->model.opset_import = g->operator_sets;
  g->model.n_opset_import = 1;
  g->graph.name = copy_text(g, name);
  g->data_file = copy_text(g, data_file);
  return g;
}

void onnx_graph_destroy(onnx_graph *g)
{
  if (g == NULL)
    return;
  for (piece *p = g->pieces, *next; p != NULL; p = next) {
    next = p->next;
    free(p);
  }
  free(g);
}

cdl_status onnx_graph_write(const onnx_graph *g, const char *path)
{
  uint8_t *bytes = g->failed ? NULL : malloc(onnx__model_proto__get_packed_size(&g->model));
  if (bytes == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  const size_t count = onnx__model_proto__pack(&g->model, bytes);
  base_output *output;
  cdl_status status = base_output_begin(path, &output);
  if (status == CDL_STATUS_OK) {
    base_output_write(output, bytes, count);
    status = base_output_commit(output);
  }
  free(bytes);
  return status;
}

/* ---- Inputs and outputs ---- */

static Onnx__TensorShapeProto__Dimension *dimension(onnx_graph *g, onnx_size size)
{
  Onnx__TensorShapeProto__Dimension *d = take(g, sizeof *d);
  if (d == NULL)
    return NULL;
  onnx__tensor_shape_proto__dimension__init(d);
  if (size.name != NULL) {
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    d->dim_param = copy_text(g, size.name);
  } else {
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    d->dim_value = size.number;
  }
  return d;
}

typedef struct {
  Onnx__ValueInfoProto info;
  Onnx__TypeProto type;
  Onnx__TypeProto__Tensor tensor;
  Onnx__TensorShapeProto shape;
  Onnx__TensorShapeProto__Dimension *sizes[2];
} matrix_info;

/* NULL when memory is out. */
static Onnx__ValueInfoProto *describe(onnx_graph *g, const char *name, int32_t type, onnx_size rows,
                                      onnx_size columns)
{
  matrix_info *m = take(g, sizeof *m);
  if (m == NULL)
    return NULL;
  onnx__value_info_proto__init(&m->info);
  onnx__type_proto__init(&m->type);
  onnx__type_proto__tensor__init(&m->tensor);
  onnx__tensor_shape_proto__init(&m->shape);
  m->sizes[0] = dimension(g, rows);
  m->sizes[1] = dimension(g, columns);
  m->shape.dim = m->sizes;
  m->shape.n_dim = 2;
  m->tensor.has_elem_type = true;
  m->tensor.elem_type = type;
  m->tensor.shape = &m->shape;
  m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  m->type.tensor_type = &m->tensor;
  m->info.name = copy_text(g, name);
  m->info.type = &m->type;
  return m->info.name != NULL ? &m->info : NULL;
}

onnx_value onnx_input(onnx_graph *g, const char *name, onnx_size rows, onnx_size columns)
{
  Onnx__ValueInfoProto *info =
      describe(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, rows, columns);
  Onnx__ValueInfoProto **inputs = room_for_one(g, g->graph.input, g->graph.n_input);
  if (info == NULL || inputs == NULL)
    return "";
  g->graph.input = inputs;
  inputs[g->graph.n_input++] = info;
  return info->name;
}

void onnx_output(onnx_graph *g, const char *name, onnx_size rows, onnx_size columns)
{
  Onnx__ValueInfoProto *info =
      describe(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rows, columns);
  Onnx__ValueInfoProto **outputs = room_for_one(g, g->graph.output, g->graph.n_output);
  if (info == NULL || outputs == NULL || g->graph.n_node == 0)
    return;
  g->graph.output = outputs;
  outputs[g->graph.n_output++] = info;
  g->graph.node[g->graph.n_node - 1]->output[0] = info->name;
}

/* ---- Tensors ---- */

static onnx_value find_tensor(const onnx_graph *g, const char *name)
{
  for (size_t i = 0; i < g->graph.n_initializer; i++)
    if (strcmp(g->graph.initializer[i]->name, name) == 0)
      return g->graph.initializer[i]->name;
  return NULL;
}

/* Without values yet; NULL when memory is out. */
static Onnx__TensorProto *add_tensor(onnx_graph *g, const char *name, int32_t type,
                                     const int64_t *shape, size_t dimensions)
{
  Onnx__TensorProto *t = take(g, sizeof *t);
  Onnx__TensorProto **tensors = room_for_one(g, g->graph.initializer, g->graph.n_initializer);
  if (t == NULL || tensors == NULL)
    return NULL;
  onnx__tensor_proto__init(t);
  t->name = copy_text(g, name);
  t->dims = copy_list(g, shape, dimensions);
  if (t->name == NULL || t->dims == NULL)
    return NULL;
  t->n_dims = dimensions;
  t->has_data_type = true;
  t->data_type = type;
  g->graph.initializer = tensors;
  tensors[g->graph.n_initializer++] = t;
  return t;
}

static Onnx__StringStringEntryProto *entry(onnx_graph *g, const char *key, const char *value)
{
  Onnx__StringStringEntryProto *e = take(g, sizeof *e);
  if (e == NULL)
    return NULL;
  onnx__string_string_entry_proto__init(e);
  e->key = copy_text(g, key);
  e->value = copy_text(g, value);
  return e;
}

onnx_value onnx_stored(onnx_graph *g, const char *name, int64_t rows, int64_t columns,
                       int64_t *offset)
{
  enum { ENTRIES = 3 };
  const int64_t shape[] = {rows, columns};
  const int64_t bytes = rows * (columns > 0 ? columns : 1) * (int64_t)sizeof(float);
  char place[32], length[32];
  *offset = (g->data_bytes + ONNX_DATA_ALIGNMENT - 1) / ONNX_DATA_ALIGNMENT * ONNX_DATA_ALIGNMENT;
  g->data_bytes = *offset + bytes;
  snprintf(place, sizeof place, "%lld", (long long)*offset);
  snprintf(length, sizeof length, "%lld", (long long)bytes);
  Onnx__StringStringEntryProto **entries = take(g, ENTRIES * sizeof *entries);
  Onnx__TensorProto *t =
      add_tensor(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape, columns > 0 ? 2 : 1);
  if (t == NULL || entries == NULL || g->data_file == NULL)
    return "";
  entries[0] = entry(g, "location", g->data_file);
  entries[1] = entry(g, "offset", place);
  entries[2] = entry(g, "length", length);
  t->external_data = entries;
  t->n_external_data = ENTRIES;
  t->has_data_location = true;
  t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  return t->name;
}

onnx_value onnx_real(onnx_graph *g, const char *name, float value)
{
  const onnx_value known = find_tensor(g, name);
  if (known != NULL)
    return known;
  float *values = take(g, sizeof *values);
  Onnx__TensorProto *t = add_tensor(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, NULL, 0);
  if (values == NULL || t == NULL)
    return "";
  *values = value;
  t->float_data = values;
  t->n_float_data = 1;
  return t->name;
}

static onnx_value add_wholes(onnx_graph *g, const char *name, const int64_t *values, size_t count,
                             size_t dimensions)
{
  const onnx_value known = find_tensor(g, name);
  if (known != NULL)
    return known;
  const int64_t shape[] = {(int64_t)count};
  int64_t *copy = copy_list(g, values, count);
  Onnx__TensorProto *t =
      add_tensor(g, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, shape, dimensions);
  if (copy == NULL || t == NULL)
    return "";
  t->int64_data = copy;
  t->n_int64_data = count;
  return t->name;
}

onnx_value onnx_whole(onnx_graph *g, const char *name, int64_t value)
{
  return add_wholes(g, name, &value, 1, 0);
}

onnx_value onnx_list(onnx_graph *g, const char *name, const int64_t *values, size_t count)
{
  return add_wholes(g, name, values, count, 1);
}

/* ---- Nodes ---- */

void onnx_scope(onnx_graph *g, const char *path)
{
  g->scope = copy_text(g, path);
  g->in_scope = 0;
}

static char *name_node(onnx_graph *g, const char *type)
{
  const size_t bytes = strlen(g->scope) + strlen(type) + 16;
  char *name = take(g, bytes);
  if (name != NULL)
    snprintf(name, bytes, "%s/%s_%d", g->scope, type, ++g->in_scope);
  return name;
}

onnx_value onnx_op(onnx_graph *g, const char *type, const onnx_value *inputs, size_t count)
{
  Onnx__NodeProto *node = take(g, sizeof *node);
  char **texts = take(g, (count + 1) * sizeof *texts);
  Onnx__NodeProto **nodes = room_for_one(g, g->graph.node, g->graph.n_node);
  if (g->failed)
    return "";
  onnx__node_proto__init(node);
  node->name = name_node(g, type);
  node->op_type = copy_text(g, type);
  for (size_t i = 0; i < count; i++)
    texts[i] = copy_text(g, inputs[i]);
  texts[count] = node->name;
  if (g->failed)
    return "";
  node->input = texts;
  node->n_input = count;
  node->output = texts + count;
  node->n_output = 1;
  g->graph.node = nodes;
  nodes[g->graph.n_node++] = node;
  return node->name;
}

/* NULL when memory is out. */
static Onnx__AttributeProto *add_attribute(onnx_graph *g, const char *name, int type)
{
  Onnx__AttributeProto *a = take(g, sizeof *a);
  if (a == NULL || g->graph.n_node == 0)
    return NULL;
  onnx__attribute_proto__init(a);
  a->name = copy_text(g, name);
  a->has_type = true;
  a->type = (Onnx__AttributeProto__AttributeType)type;
  Onnx__NodeProto *node = g->graph.node[g->graph.n_node - 1];
  Onnx__AttributeProto **attributes = room_for_one(g, node->attribute, node->n_attribute);
  if (a->name == NULL || attributes == NULL)
    return NULL;
  node->attribute = attributes;
  attributes[node->n_attribute++] = a;
  return a;
}

void onnx_set_real(onnx_graph *g, const char *name, float value)
{
  Onnx__AttributeProto *a = add_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
  if (a == NULL)
    return;
  a->has_f = true;
  a->f = value;
}

void onnx_set_whole(onnx_graph *g, const char *name, int64_t value)
{
  Onnx__AttributeProto *a = add_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  if (a == NULL)
    return;
  a->has_i = true;
  a->i = value;
}

void onnx_set_list(onnx_graph *g, const char *name, const int64_t *values, size_t count)
{
  Onnx__AttributeProto *a = add_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  int64_t *copy = copy_list(g, values, count);
  if (a == NULL || copy == NULL)
    return;
  a->ints = copy;
  a->n_ints = count;
}
