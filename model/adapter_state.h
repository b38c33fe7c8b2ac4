/* The table that an adapter method fills in, and the state it works on. Private to adapters. */
#ifndef CONDLORA_MODEL_ADAPTER_STATE_H
#define CONDLORA_MODEL_ADAPTER_STATE_H

#include "condlora/adapter.h"
#include "condlora/random.h"

/* Adapted sites of one kind in layers of equal distance: their weights are one strided batch. */
typedef struct {
  cdl_site_kind kind;
  cdl_site **sites; /* [count] */
  int count;
  int group;          /* which group of shared parameters the run belongs to */
  cdl_tensor weights; /* [count, out, in] */
  /* [count, rank, in], [count, out, rank]: derived, for methods that share parameters. */
  cdl_tensor a, b;
  cdl_tensor d_a, d_b;
} site_run;

typedef struct cdl_adapter_method {
  const char *name, *peft_type;
  /* Lists the method's parameters with adapter_add_parameter; NULL: none of its own. */
  cdl_status (*parameters)(cdl_adapter *adapter);
  /* Initial values of parameter `index` of the method's own, `count` floats. */
  void (*initialize)(const cdl_adapter *adapter, size_t index, cdl_random *random, float *values,
                     int64_t count);
  /* Sets the adapted sites' deltas, memory being there. */
  cdl_status (*attach)(cdl_adapter *adapter, cdl_queue *queue);
  /* What of the model itself is trained, besides head and modules to save; NULL: nothing. */
  bool (*trains)(const cdl_parameter *parameter);
  /* Where A_l, B_l are the parameters themselves, both are NULL. */
  void (*materialize)(cdl_adapter *adapter, cdl_queue *queue);
  void (*pull_back)(cdl_adapter *adapter, cdl_queue *queue);
  /* Places in a run where a method may step in; NULL: it does not. The frozen weights once initial
   * values are drawn (PiSSA); a penalty on the loss and its gradients (AdaLoRA); work after an
   * optimizer step, `step` the 0-based one just done (AdaLoRA's allocator). */
  cdl_status (*prepare_base)(cdl_adapter *adapter, cdl_queue *queue);
  void (*extra_loss)(cdl_adapter *adapter, cdl_queue *queue, cdl_tensor loss);
  cdl_status (*after_step)(cdl_adapter *adapter, cdl_queue *queue, int64_t step);
} cdl_adapter_method;

struct cdl_adapter {
  const cdl_adapter_method *method;
  cdl_encoder *encoder;
  int64_t rank;
  float scale, dropout;
  bool dropout_hits_base;
  cdl_orientation orientation;

  cdl_site **sites; /* adapted, in the encoder's order */
  size_t site_count;
  site_run *runs;
  size_t run_count;
  int group_count;
  cdl_site **run_sites; /* what the runs' `sites` point into */

  cdl_parameter *own;
  size_t own_count, own_capacity;
  cdl_parameter **trained; /* own, then the encoder's */
  size_t trained_count;

  cdl_buffer *value_buffer, *gradient_buffer, *derived_buffer;
  cdl_tensor gradients; /* every trained parameter's, end to end */
  cdl_tensor d_derived; /* every run's d_a, d_b */
  cdl_tensor scratch;   /* for pull_back: [the widest run's count · rank · width] */
};

/* Adds a parameter; `name` as formatted. Memory comes later. */
cdl_status adapter_add_parameter(cdl_adapter *adapter, cdl_parameter_role role, int64_t rows,
                                 int64_t columns, const char *name_format, ...) CDL_PRINTF(5, 6);

/* Initial values of methods whose parameters are pairs, A at an even index and B at the odd one
 * after it: A Kaiming-uniform with a = √5, U(±1/√columns) (He et al. 2015, as PyTorch's Linear), B
 * zero. */
void adapter_initialize_pair(const cdl_adapter *adapter, size_t index, cdl_random *random,
                             float *values, int64_t count);

/* adapter_targets.c: fills in sites, runs and groups. */
cdl_status adapter_find_targets(cdl_adapter *adapter, const cdl_adapter_settings *settings);
/* Marks head, modules to save and what the method trains. */
cdl_status adapter_mark_trained(cdl_adapter *adapter, const cdl_adapter_settings *settings);

extern const cdl_adapter_method cdl_lora, cdl_condlora, cdl_head_only, cdl_bitfit, cdl_full;

#endif
