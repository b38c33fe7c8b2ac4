/* A named tensor that training may change. */
#ifndef CONDLORA_MODEL_ENCODER_PARAMETER_H
#define CONDLORA_MODEL_ENCODER_PARAMETER_H

#include "condlora/tensor.h"

enum { MODEL_NAME_BYTES = 128 };

/* The role decides weight decay: `--decay no-bias` excludes biases and layer norms. */
typedef enum { ENCODER_ROLE_WEIGHT, ENCODER_ROLE_BIAS, ENCODER_ROLE_NORM } encoder_parameter_role;

/* One parameter. Value and gradient are dense: a vector [size[3]] or a matrix [size[2], size[3]].
 * The gradient of a frozen parameter is absent. */
typedef struct {
  /* Its name in PEFT's file without "base_model.model.":
   * "bert.encoder.layer.0.attention.self.query.lora_A.weight". */
  char name[MODEL_NAME_BYTES];
  int dimensions; /* 1 or 2, as in the file */
  cdl_tensor value, gradient;
  /* The values in the checkpoint's mapped file. If `value` is the same view, it cannot be written:
   * encoder_own comes first. Absent if `value` is a copy that may have other values. */
  cdl_tensor stored;
  encoder_parameter_role role;
  float lr_scale; /* factor of the learning rate */
  bool trained;   /* has a gradient and an optimizer state, and is saved in the adapter */
  bool shared;    /* other encoders read it too, so it cannot be trained */
} encoder_parameter;

#endif
