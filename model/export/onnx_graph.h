/* A graph of ONNX operators in the making. Values are named: "encoder.layer.0.attention/MatMul_3"
 * is what the third node of that scope gives. */
#ifndef CONDLORA_MODEL_EXPORT_ONNX_GRAPH_H
#define CONDLORA_MODEL_EXPORT_ONNX_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

enum { ONNX_OPSET = 17, ONNX_DATA_ALIGNMENT = 4096 /* so that a page of a mapping starts there */ };

typedef struct onnx_graph onnx_graph;
/* The graph's, and so is the memory. Once memory is out it is "", and onnx_graph_write fails. */
typedef const char *onnx_value;

/* A size of a shape: a name where it is known at run time alone, else a number. */
typedef struct {
  const char *name;
  int64_t number;
} onnx_size;

/* `data_file`: the name of the file beside the model's that the stored tensors are in. NULL when
 * memory is out. */
onnx_graph *onnx_graph_create(const char *name, const char *data_file);
void onnx_graph_destroy(onnx_graph *graph);

/* What the names of later nodes begin with; each scope is entered once. */
void onnx_scope(onnx_graph *graph, const char *path);

/* An int64 matrix that the caller of the graph gives. */
onnx_value onnx_input(onnx_graph *graph, const char *name, onnx_size rows, onnx_size columns);
/* Makes the value of the node added last the graph's float output. */
void onnx_output(onnx_graph *graph, const char *name, onnx_size rows, onnx_size columns);

/* A float32 tensor of the data file, of one dimension where `columns` is 0; `*offset` is where its
 * bytes are to stand there. */
onnx_value onnx_stored(onnx_graph *graph, const char *name, int64_t rows, int64_t columns,
                       int64_t *offset);

/* Constants: a float and an int64 of no dimension, a list. One of a name stands for all. */
onnx_value onnx_real(onnx_graph *graph, const char *name, float value);
onnx_value onnx_whole(onnx_graph *graph, const char *name, int64_t value);
onnx_value onnx_list(onnx_graph *graph, const char *name, const int64_t *values, size_t count);

/* A node of one output: ONNX_OP(graph, "Add", x, y). */
#define ONNX_OP(graph, type, ...)                         \
  onnx_op(graph, type, (const onnx_value[]){__VA_ARGS__}, \
          sizeof((const onnx_value[]){__VA_ARGS__}) / sizeof(onnx_value))
onnx_value onnx_op(onnx_graph *graph, const char *type, const onnx_value *inputs, size_t count);
/* Attributes of the node added last. */
void onnx_set_real(onnx_graph *graph, const char *name, float value);
void onnx_set_whole(onnx_graph *graph, const char *name, int64_t value);
void onnx_set_list(onnx_graph *graph, const char *name, const int64_t *values, size_t count);

/* Errors: MEMORY; those of the file. */
CDL_MUST_USE cdl_status onnx_graph_write(const onnx_graph *graph, const char *path);

#endif
