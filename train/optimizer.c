#include "train/optimizer.h"

#include <math.h>

train_optimizer_settings train_optimizer_defaults(void)
{
  return (train_optimizer_settings){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
}

cdl_status train_optimizer_create(train_optimizer *o, cdl_queue *queue, model_adapter *adapter,
                                  train_optimizer_settings settings)
{
  *o = (train_optimizer){.adapter = adapter, .settings = settings};
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++)
    o->elements += cdl_tensor_elements(adapter_parameter(adapter, i)->value);
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(queue), 2 * (size_t)o->elements * sizeof(float),
                            &o->buffer));
  cdl_fill(queue, CDL_ARGS(fill, .out = train_optimizer_state(o)));
  return cdl_queue_status(queue);
}

void train_optimizer_release(train_optimizer *o)
{
  cdl_buffer_destroy(o->buffer);
  *o = (train_optimizer){0};
}

void train_optimizer_step(train_optimizer *o, cdl_queue *queue, cdl_tensor factor, cdl_tensor step)
{
  const train_optimizer_settings *s = &o->settings;
  int64_t offset = 0;
  for (size_t i = 0; i < adapter_parameter_count(o->adapter); i++) {
    const encoder_parameter *p = adapter_parameter(o->adapter, i);
    cdl_tensor moment1 =
        cdl_tensor_2d(o->buffer, CDL_DTYPE_F32, offset, p->value.size[2], p->value.size[3]);
    cdl_tensor moment2 = moment1;
    moment2.offset += o->elements;
    offset += cdl_tensor_elements(moment1);
    cdl_adamw(
        queue,
        CDL_ARGS(adamw, .parameter = p->value, .moment1 = moment1, .moment2 = moment2,
                 .gradient = p->gradient, .grad_scale = factor, .step = step, .beta1 = s->beta1,
                 .beta2 = s->beta2, .epsilon = s->epsilon,
                 .decay = s->decay_all || p->role == ENCODER_ROLE_WEIGHT ? s->weight_decay : 0,
                 .rate = (double)p->lr_scale));
  }
}

void train_optimizer_record(const train_optimizer *o, double learning_rate, int64_t t,
                            cdl_step_record *record)
{
  record->learning_rate = (float)learning_rate;
  record->correction1 = (float)(1 - pow(o->settings.beta1, (double)t));
  record->correction2 = (float)(1 - pow(o->settings.beta2, (double)t));
}

cdl_tensor train_optimizer_state(const train_optimizer *o)
{
  return cdl_tensor_1d(o->buffer, CDL_DTYPE_F32, 0, 2 * o->elements);
}
