/* A graph of ONNX operators that is being built. Values have names:
 * "encoder.layer.0.attention/MatMul_3" is the result of the third node of that scope. */
#ifndef CONDLORA_MODEL_EXPORT_ONNX_GRAPH_H
#define CONDLORA_MODEL_EXPORT_ONNX_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

enum { ONNX_OPSET = 17, ONNX_DATA_ALIGNMENT = 4096 /* so that a page of a mapping starts there */ };

typedef struct onnx_graph onnx_graph;
/* Owned by the graph. If memory runs out it is "", and onnx_graph_write fails. */
typedef const char *onnx_value;

/* A size of a shape: a name if it is known only at run time, otherwise a number. */
typedef struct {
  const char *name;
  int64_t number;
} onnx_size;

/* `data_file`: the name of the file beside the model's that holds the stored tensors. Returns NULL
 * if memory is out. */
onnx_graph *onnx_graph_create(const char *name, const char *data_file);
void onnx_graph_destroy(onnx_graph *graph);

/* Sets the start of the names of later nodes. Each scope is entered once. */
void onnx_scope(onnx_graph *graph, const char *path);

/* Adds an int64 matrix that the caller of the graph supplies. */
onnx_value onnx_input(onnx_graph *graph, const char *name, onnx_size rows, onnx_size columns);
/* Makes the value of the last node the graph's float output. */
void onnx_output(onnx_graph *graph, const char *name, onnx_size rows, onnx_size columns);

/* Adds a float32 tensor of the data file, with one dimension if `columns` is 0; `*offset` is the
 * place of its bytes. */
onnx_value onnx_stored(onnx_graph *graph, const char *name, int64_t rows, int64_t columns,
                       int64_t *offset);

/* Add constants: a float or an int64 without dimensions, a list. A name stands for one constant. */
onnx_value onnx_real(onnx_graph *graph, const char *name, float value);
onnx_value onnx_whole(onnx_graph *graph, const char *name, int64_t value);
onnx_value onnx_list(onnx_graph *graph, const char *name, const int64_t *values, size_t count);

/* Adds a node with one output: ONNX_OP(graph, "Add", x, y). */
#define ONNX_OP(graph, type, ...)                         \
  onnx_op(graph, type, (const onnx_value[]){__VA_ARGS__}, \
          sizeof((const onnx_value[]){__VA_ARGS__}) / sizeof(onnx_value))
onnx_value onnx_op(onnx_graph *graph, const char *type, const onnx_value *inputs, size_t count);
/* Set attributes of the last node. */
void onnx_set_real(onnx_graph *graph, const char *name, float value);
void onnx_set_whole(onnx_graph *graph, const char *name, int64_t value);
void onnx_set_list(onnx_graph *graph, const char *name, const int64_t *values, size_t count);

/* Errors: MEMORY; those of the file. */
CDL_MUST_USE cdl_status onnx_graph_write(const onnx_graph *graph, const char *path);

#endif
