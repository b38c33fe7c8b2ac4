/* An encoder as ONNX, with only the standard's operators, so that any runtime reads it. */
#ifndef CONDLORA_MODEL_EXPORT_ONNX_H
#define CONDLORA_MODEL_EXPORT_ONNX_H

#include "model/encoder/encoder.h"

/* Writes FOLDER/model.onnx, the graph, and FOLDER/model.onnx.data, its current weights. A delta is
 * not included, so the caller merges an adapter first. The graph computes logits [batch, labels] in
 * float32 from input_ids, attention_mask and, if there are several token types, token_type_ids, all
 * int64 [batch, sequence] with padding after the tokens. With `zero_token_types` every token has
 * type 0. Errors: MEMORY, those of the files and of the device. */
CDL_MUST_USE cdl_status export_encoder_write_onnx(const model_encoder *encoder, cdl_queue *queue,
                                                  const char *folder, bool zero_token_types);

#endif
