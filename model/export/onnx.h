/* An encoder as ONNX: operators of the standard alone, so that any runtime reads it. */
#ifndef CONDLORA_MODEL_EXPORT_ONNX_H
#define CONDLORA_MODEL_EXPORT_ONNX_H

#include "model/encoder/encoder.h"

/* Writes FOLDER/model.onnx, the graph, and FOLDER/model.onnx.data, its weights as they are now:
 * what a delta adds is not in it, so an adapter is merged before. The graph computes logits [batch,
 * labels] in float32 from input_ids, attention_mask and, where there are several token types,
 * token_type_ids, all int64 [batch, sequence], padding behind the tokens. With `types_zero` every
 * token has type 0. Errors: MEMORY, those of the files and of the device. */
CDL_MUST_USE cdl_status export_encoder_write_onnx(const model_encoder *encoder, cdl_queue *queue,
                                                  const char *folder, bool types_zero);

#endif
