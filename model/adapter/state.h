/* The table that an adapter method fills in, and the state it works on. Private to adapters. */
#ifndef CONDLORA_MODEL_ADAPTER_STATE_H
#define CONDLORA_MODEL_ADAPTER_STATE_H

#include <jansson.h>

#include "condlora/random.h"
#include "condlora/safetensors.h"
#include "model/adapter/adapter.h"
#include "model/adapter/config.h"

struct adapter_snapshot; /* model/adapter/io.h */

/* Adapted modules of one kind in layers of equal distance: their weights are one strided batch. */
typedef struct {
  model_module_kind kind;
  encoder_module **modules; /* [count] */
  const size_t *numbers;    /* [count] their places among the adapter's modules */
  int count;
  int64_t rank;
  int group;          /* which group of shared parameters the run belongs to */
  cdl_tensor weights; /* [count, out, in] */
  /* [count, rank, in], [count, out, rank]: derived, for methods that share parameters. */
  cdl_tensor a, b;
  cdl_tensor d_a, d_b;
} layer_batch;

/* What of one module the settings' patterns decide. */
typedef struct {
  int64_t rank;
  double alpha;
  float scale;
} module_settings;

/* A target that no delta reaches, a layer of the head or a table of embeddings: what a folder holds
 * for it is added to its weight once and for all, which is then the adapter's, whole. */
typedef struct {
  char path[MODEL_NAME_BYTES];
  encoder_parameter *weight;
  bool table; /* its update is [columns, rows] */
  module_settings settings;
} adapter_folded;

/* A tensor of the adapter's file that is not the parameter itself: [rows, columns], to be freed by
 * the caller. */
typedef struct {
  int64_t rows, columns;
  float *values;
} stored_values;

/* How PEFT names settings in adapter_config.json; NULL: a config of the method has no such key. */
typedef struct {
  const char *rank, *alpha, *dropout, *initial_values;
  const char *adapted_bias; /* the word of "bias" for ADAPTER_BIAS_ADAPTED */
} adapter_keys;

/* A matrix that is drawn once, from the method's options alone, and is never trained. */
typedef struct {
  const char *name; /* in the adapter's file, whole: "base_model.vera_A" */
  void (*shape)(const model_adapter *adapter, int64_t *rows, int64_t *columns);
  void (*draw)(const model_adapter *adapter, float *values, int64_t count);
} adapter_frozen;

/* What a folder holds for a target that no delta reaches; endings of names in its file. */
typedef struct {
  const char *down, *up;             /* A [rank, in], B [out, rank] */
  const char *table_down, *table_up; /* likewise of a table of embeddings */
  const char *middle;                /* e [rank, 1] between them; NULL: none */
  const char *lengths;               /* m [out] of rows (DoRA); NULL: none */
} adapter_update_names;

typedef struct adapter_method {
  const char *name, *peft_type;
  /* The adapter_setting that a low-rank method has, bit by bit. An option for another is refused,
   * with `lack_reason` at the end of the line. */
  unsigned has;
  const char *lack_reason;
  const adapter_keys *keys; /* NULL: as LoRA's */
  /* Keys of adapter_config.json that PEFT may write for this method and that change nothing; ends
   * with NULL. */
  const char *const *void_keys;
  int64_t default_rank; /* what a missing key means; 0: 8 */
  bool whole_model;     /* trains the model: a run writes a model's folder */
  bool biases_of_up;    /* PEFT's lora_bias: biases beside B */
  /* Ends with a NULL name; NULL: none. adapter_option_value reads them by place. */
  const base_option *options;
  /* Keys of adapter_config.json that the method writes with `config_extra` and finds again in
   * the adapter's `config_extra`; ends with NULL. One that is a setting of all methods (rank_pattern) is then
   * the method's alone. */
  const char *const *config_extra_keys;
  unsigned initial_values;      /* which of adapter_init there may be, bit by bit; kaiming always */
  const adapter_frozen *frozen; /* ends with a NULL name; NULL: none */
  /* The ending of the one tensor that a folder has for each adapted module, whose first size is
   * the module's rank; NULL: modules share tensors, or there are none. */
  const char *module_ending;
  /* The scale of a module; NULL: adapter_scale. */
  float (*scale)(const adapter_settings *settings, double alpha);
  /* NULL: a folder may have no targets outside the encoder's modules. */
  const adapter_update_names *update_names;
  const char *reference_targets; /* of the reference's code, where they are not the model's usual */
  bool oriented;                 /* --orientation means something */
  bool shares;  /* layers share parameters: A_l, B_l of each run of layers are derived from them */
  bool derives; /* A_l, B_l of each module are derived: `derived` has their memory */

  /* Lists the method's parameters with adapter_add_parameter; NULL: none of its own. */
  cdl_status (*parameters)(model_adapter *adapter);
  /* Initial values of parameter `index` of the method's own, `count` floats. */
  void (*initialize)(const model_adapter *adapter, size_t index, cdl_random *random, float *values,
                     int64_t count);
  /* Sets the adapted modules' deltas, memory being there; NULL: the method adapts none. */
  cdl_status (*attach)(model_adapter *adapter, cdl_queue *queue);
  /* Frees `adapter->own_state`. */
  void (*release)(model_adapter *adapter);
  /* Whether LoRA+'s ratio scales the learning rate of the method's own parameter `index`; it does that
   * of every vector. NULL: of vectors alone. */
  bool (*takes_ratio)(const model_adapter *adapter, size_t index);
  /* Whether a folder's updates of folded targets have lengths; NULL: they have not. */
  bool (*has_lengths)(const model_adapter *adapter);
  /* What of the model itself is trained, besides head and modules to save; NULL: nothing. */
  bool (*trains)(const encoder_parameter *parameter);
  /* What is derived from the parameters, and its gradients back; NULL: nothing. */
  void (*materialize)(model_adapter *adapter, cdl_queue *queue);
  void (*pull_back)(model_adapter *adapter, cdl_queue *queue);

  /* Places in a run where a method may step in; NULL: it does not. In order: */
  /* the frozen weights, once initial values are drawn (PiSSA); */
  cdl_status (*prepare_base)(model_adapter *adapter, cdl_queue *queue);
  /* the number of optimizer steps is known (schedules of the method's own); */
  cdl_status (*begin_run)(model_adapter *adapter, cdl_queue *queue, int64_t steps);
  /* before a step's materialize (what is drawn anew each step); */
  cdl_status (*begin_step)(model_adapter *adapter, cdl_queue *queue, const cdl_step_record *record);
  /* a penalty on the loss and its gradients, after pull_back (AdaLoRA); */
  void (*extra_loss)(model_adapter *adapter, cdl_queue *queue, cdl_tensor loss);
  /* after an optimizer step, `step` the 0-based one just done, which took the gradients times
   * `factor` [1] (AdaLoRA's allocator). */
  cdl_status (*after_step)(model_adapter *adapter, cdl_queue *queue, int64_t step,
                           cdl_tensor factor);
  /* Whether what a step enqueues differs from step to step; NULL: it does not. */
  bool (*varies)(const model_adapter *adapter);

  /* Dense F32 tensors, besides parameters, that a resumed run must find as they were: tensor
   * `index` of them, an absent one past the last. */
  cdl_tensor (*state)(model_adapter *adapter, size_t index);
  /* Parameters and state have been put back: for what is derived from them on the host. */
  cdl_status (*restored)(model_adapter *adapter, cdl_queue *queue);

  /* What the adapter's folder holds in the place of the snapshot's own parameter `index`; `values`
   * stays NULL where that is the parameter itself. */
  cdl_status (*store)(const model_adapter *adapter, const struct adapter_snapshot *snapshot,
                      size_t index, stored_values *stored);
  /* The values of config_extra_keys for a snapshot: a new object; NULL when memory is out. */
  json_t *(*config_extra)(const model_adapter *adapter, const struct adapter_snapshot *snapshot);
} adapter_method;

struct model_adapter {
  const adapter_method *method;
  model_encoder *encoder;
  int64_t rank; /* where no pattern says otherwise, as scale */
  float scale, dropout;
  bool dropout_hits_base, reference_compat, rslora;
  adapter_init init;
  adapter_orientation orientation;
  double options[ADAPTER_OPTIONS_MAX]; /* in the order of the method's list */
  const json_t *config_extra;          /* while the adapter is created */
  /* Of an adapter that is read from a folder, until it has been. */
  const adapter_config *source;
  const cdl_safetensors *stored;
  void *own_state;                     /* the method's to use */
  struct dora_state *dora;             /* dora.c; NULL: off */
  encoder_low_rank_term *whole_deltas; /* [module_count] dylora.c: of the full rank; NULL: off */
  int64_t rank_in_use;                 /* likewise */

  encoder_module **modules;    /* adapted, in the encoder's order */
  module_settings *per_module; /* [module_count] */
  size_t module_count;
  adapter_folded *folded;
  size_t folded_count;
  layer_batch *runs;
  size_t run_count;
  int group_count;
  encoder_module **run_modules; /* what the runs' `modules` and `numbers` point into */
  size_t *run_numbers;

  encoder_parameter *own_parameters;
  size_t own_count, own_capacity;
  encoder_parameter **trained; /* own, then the encoder's */
  size_t trained_count;

  cdl_tensor *frozen;             /* [the method's], drawn or read */
  encoder_low_rank_term *derived; /* [module_count], where the method derives them */

  cdl_buffer *value_buffer, *gradient_buffer, *derived_buffer, *frozen_buffer;
  cdl_tensor gradients; /* every trained parameter's, end to end */
  cdl_tensor d_derived; /* all d_a, d_b that are derived */
  cdl_tensor scratch;   /* for pull_back: [elements of the largest A or B, all of a run together] */
};

/* adapter_create, or adapter_create_stored where `source` and `stored` are given. */
CDL_MUST_USE cdl_status adapter_create_from(cdl_queue *queue, model_encoder *encoder,
                                            const adapter_settings *settings,
                                            const adapter_config *source,
                                            const cdl_safetensors *stored, model_adapter **adapter);

/* Adds a parameter; `name` as formatted. Memory comes later. */
cdl_status adapter_add_parameter(model_adapter *adapter, encoder_parameter_role role, int64_t rows,
                                 int64_t columns, const char *name_format, ...) CDL_PRINTF(5, 6);

/* A vector, likewise. */
cdl_status adapter_add_vector(model_adapter *adapter, encoder_parameter_role role, int64_t count,
                              const char *name_format, ...) CDL_PRINTF(4, 5);

static inline double adapter_option_value(const model_adapter *adapter, int option)
{
  return adapter->options[option];
}

enum {
  ADAPTER_HAS_ALL = ADAPTER_HAS_RANK | ADAPTER_HAS_RANK_PATTERN | ADAPTER_HAS_ALPHA |
                    ADAPTER_HAS_ALPHA_PATTERN | ADAPTER_HAS_RSLORA | ADAPTER_HAS_DROPOUT
};

size_t adapter_frozen_count(const model_adapter *adapter);
/* The folder's own of them, while the adapter is read; or NULL. */
const cdl_stored_tensor *adapter_stored_frozen(const model_adapter *adapter, size_t index);

/* Initial values of methods whose parameters are pairs, A at an even index and B at the odd one
 * after it: A Kaiming-uniform with a = √5, U(±1/√columns) (He et al. 2015, as PyTorch's Linear), or
 * N(0, 1/rows²) where `init` is gaussian; B zero. */
void adapter_initialize_pair(const model_adapter *adapter, size_t index, cdl_random *random,
                             float *values, int64_t count);

/* Every odd parameter, B of a pair. */
bool adapter_pair_takes_ratio(const model_adapter *adapter, size_t index);

/* Of a run's batch of matrices, the one of layer `index`. */
cdl_tensor adapter_of_layer(cdl_tensor batch, int index);
/* The term that reads layer `index` of a run's derived A and B. */
encoder_low_rank_term adapter_low_rank_of_layer(const layer_batch *run, int index, float scale);
/* One shared matrix as a batch of `count` equal ones. */
cdl_tensor adapter_repeated(cdl_tensor matrix, int count);
/* gradient += Σ_l op(x_l) op(W_l), by way of one product a layer. */
void adapter_add_products(const model_adapter *adapter, cdl_queue *queue, const layer_batch *run,
                          cdl_tensor gradient, cdl_tensor x, bool transpose_x,
                          bool transpose_weights);

/* methods.c */
const adapter_method *adapter_method_find(const char *name);
/* Never NULL. */
const adapter_keys *adapter_keys_of(const adapter_method *method);
/* Whether a tensor of an adapter's file is one of the method's frozen ones. */
bool adapter_is_frozen(const adapter_method *method, const char *name);

/* alpha / rank, or what else the settings say; 1 of a method without alpha. */
float adapter_scale(const adapter_settings *settings, int64_t rank, double alpha);
/* Whether it is a bias, of a linear layer or of a norm. */
bool adapter_is_bias(const encoder_parameter *parameter);

/* targets.c: fills in modules, their settings, runs and groups. */
cdl_status adapter_find_targets(model_adapter *adapter, const adapter_settings *settings);
/* Marks head, modules to save and what the method trains. */
cdl_status adapter_mark_trained(model_adapter *adapter, const adapter_settings *settings);

/* Modules to save as PEFT can load them, owned by `saved` also where this fails: PEFT saves the head in
 * any case, and cannot save a part of it. A name that picks such a part is left out; where it picks
 * other modules too, they are named by their whole paths. */
CDL_MUST_USE cdl_status adapter_saved_modules(const model_adapter *adapter, const base_list *given,
                                              base_list *saved);

/* Whether the folder's config says that a tensor of the model is in its file. */
bool adapter_says_saved(const model_adapter *adapter, const char *name);

#define METHOD(name) extern const adapter_method adapter_method_##name;
#include "model/adapter/methods.def"
#undef METHOD

#endif
