/* A named tensor that training may change. */
#ifndef CONDLORA_MODEL_ENCODER_PARAMETER_H
#define CONDLORA_MODEL_ENCODER_PARAMETER_H

#include "condlora/tensor.h"

enum { MODEL_NAME_BYTES = 128 };

/* Which rules hold for it: weight decay spares biases and layer norms under `--decay no-bias`. */
typedef enum { ENCODER_ROLE_WEIGHT, ENCODER_ROLE_BIAS, ENCODER_ROLE_NORM } encoder_parameter_role;

/* value and gradient: a vector [size[3]] or a matrix [size[2], size[3]], dense. Absent gradient:
 * frozen. */
typedef struct {
  /* As in PEFT's file, less "base_model.model.":
   * "bert.encoder.layer.0.attention.self.query.lora_A.weight". */
  char name[MODEL_NAME_BYTES];
  int dimensions; /* 1 or 2, as the file's shape */
  cdl_tensor value, gradient;
  encoder_parameter_role role;
  float lr_scale; /* multiplies the learning rate */
  bool trained;   /* gets a gradient, an optimizer's state and a place in the saved adapter */
  bool shared;    /* other encoders read it too: not to be trained */
} encoder_parameter;

#endif
