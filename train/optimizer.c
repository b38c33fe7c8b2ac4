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

/* ---- A step ---- */

/* Tensors as rows of numbers, which are updated alike. */
typedef struct {
  cdl_tensor value, gradient, moment1;
  double decay, rate;
} update;

static cdl_tensor row_of(cdl_tensor dense)
{
  return cdl_tensor_1d(dense.buffer, dense.dtype, dense.offset, cdl_tensor_elements(dense));
}

static update update_of(const train_optimizer *o, size_t index, int64_t offset)
{
  const train_optimizer_settings *s = &o->settings;
  const encoder_parameter *p = adapter_parameter(o->adapter, index);
  const bool decays = s->decay_all || p->role == ENCODER_ROLE_WEIGHT;
  return (update){
      .value = row_of(p->value),
      .gradient = row_of(p->gradient),
      .moment1 = cdl_tensor_1d(o->buffer, CDL_DTYPE_F32, offset, cdl_tensor_elements(p->value)),
      .decay = decays ? s->weight_decay : 0,
      .rate = (double)p->lr_scale};
}

static bool follows(const cdl_tensor *row, const cdl_tensor *next)
{
  return next->buffer == row->buffer && next->offset == row->offset + row->size[3];
}

/* Makes one update of two, if the second's tensors begin where the first's end. */
static bool join(update *u, const update *next)
{
  if (u->decay != next->decay || u->rate != next->rate || !follows(&u->value, &next->value) ||
      !follows(&u->gradient, &next->gradient) || !follows(&u->moment1, &next->moment1))
    return false;
  u->value.size[3] += next->value.size[3];
  u->gradient.size[3] += next->value.size[3];
  u->moment1.size[3] += next->value.size[3];
  return true;
}

static void enqueue(const train_optimizer *o, cdl_queue *queue, const update *u, cdl_tensor factor,
                    cdl_tensor step)
{
  const train_optimizer_settings *s = &o->settings;
  cdl_tensor moment2 = u->moment1;
  moment2.offset += o->elements;
  cdl_adamw(queue,
            CDL_ARGS(adamw, .parameter = u->value, .moment1 = u->moment1, .moment2 = moment2,
                     .gradient = u->gradient, .grad_scale = factor, .step = step, .beta1 = s->beta1,
                     .beta2 = s->beta2, .epsilon = s->epsilon, .decay = u->decay, .rate = u->rate));
}

/* An adapter's parameters lie end to end, so that a few calls update all of them. */
void train_optimizer_step(const train_optimizer *o, cdl_queue *queue, cdl_tensor factor,
                          cdl_tensor step)
{
  const size_t count = adapter_parameter_count(o->adapter);
  int64_t offset = 0;
  for (size_t i = 0; i < count;) {
    update u = update_of(o, i, offset);
    for (i++; i < count; i++) {
      const update next = update_of(o, i, u.moment1.offset + u.moment1.size[3]);
      if (!join(&u, &next))
        break;
    }
    enqueue(o, queue, &u, factor, step);
    offset = u.moment1.offset + u.moment1.size[3];
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
