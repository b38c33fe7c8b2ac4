/* The function table of an adapter method, and the state of an adapter. Private to adapters. */
#ifndef CONDLORA_MODEL_ADAPTER_STATE_H
#define CONDLORA_MODEL_ADAPTER_STATE_H

#include <jansson.h>

#include "condlora/random.h"
#include "condlora/safetensors.h"
#include "model/adapter/adapter.h"
#include "model/adapter/config.h"

struct adapter_snapshot; /* model/adapter/io.h */

/* Adapted modules of one kind in equally spaced layers: their weights form one strided batch. */
typedef struct {
  model_module_kind kind;
  encoder_module **modules; /* [count] */
  const size_t *numbers;    /* [count] indices among the adapter's modules */
  int count;
  int64_t rank;
  int group; /* the group of shared parameters that the run belongs to */
  /* [count, out, in], the modules' own: what shared parameters are applied to. CondLoRA may put
   * other matrices in their place. */
  cdl_tensor weights;
  /* [count, rank, in], [count, out, rank]: derived, for methods that share parameters. */
  cdl_tensor a, b;
  cdl_tensor d_a, d_b;
} layer_batch;

/* The settings of one module, after the patterns of the settings. */
typedef struct {
  int64_t rank;
  double alpha;
  float scale;
} module_settings;

/* A target that no delta reaches: a layer of the head or an embedding table. The folder's update is
 * added to its weight once, and the whole weight then belongs to the adapter. */
typedef struct {
  char path[MODEL_NAME_BYTES];
  encoder_parameter *weight;
  bool table; /* an embedding table: its update is [columns, rows] */
  module_settings settings;
} adapter_folded;

/* A tensor of the adapter's file that replaces a parameter: [rows, columns]. The caller frees
 * it. */
typedef struct {
  int64_t rows, columns;
  float *values;
} stored_values;

/* PEFT's names of settings in adapter_config.json; NULL: the method has no such key. */
typedef struct {
  const char *rank, *alpha, *dropout, *initial_values;
  const char *adapted_bias; /* value of "bias" for ADAPTER_BIAS_ADAPTED */
} adapter_keys;

/* A matrix that is never trained, and is stored with the adapter. */
typedef struct {
  char name[MODEL_NAME_BYTES + 64]; /* full name in the adapter's file: "base_model.vera_A" */
  cdl_tensor value;
} adapter_frozen;

/* The update in a folder for a target that no delta reaches; endings of tensor names. */
typedef struct {
  const char *down, *up;             /* A [rank, in], B [out, rank] */
  const char *table_down, *table_up; /* the same for an embedding table */
  const char *middle;                /* e [rank, 1] between them; NULL: no such tensor */
  const char *lengths;               /* m [out], lengths of rows (DoRA); NULL: no such tensor */
} adapter_update_names;

typedef struct adapter_method {
  const char *name, *peft_type;
  /* The settings that a low-rank method has, as bits of adapter_setting. An option for another
   * setting is refused; the message ends with `lack_reason`. */
  unsigned has;
  const char *lack_reason;
  const adapter_keys *keys; /* NULL: those of LoRA */
  /* Keys of adapter_config.json that PEFT may write for this method and that have no effect; ends
   * with NULL. */
  const char *const *void_keys;
  int64_t default_rank; /* meaning of a missing key; 0: 8 */
  bool whole_model;     /* trains the model: a run writes a model folder */
  bool biases_of_up;    /* PEFT's lora_bias: biases beside B */
  /* Ends with a NULL name; NULL: no options. adapter_option_value takes an index into this list. */
  const base_option *options;
  /* Keys of adapter_config.json that the method writes with `config_extra` and gets back in the
   * adapter's `config_extra`; ends with NULL. If a key is also a general setting (rank_pattern),
   * only the method reads it. */
  const char *const *config_extra_keys;
  unsigned initial_values; /* allowed values of adapter_init, as bits; kaiming always is */
  /* Names of frozen matrices that do not begin with ADAPTER_PREFIX; ends with NULL. */
  const char *const *frozen_names;
  /* The ending of the one tensor that a folder has for each adapted module, whose first size is
   * the module's rank; NULL: modules share tensors, or there are none. */
  const char *module_ending;
  /* The scale of a module; NULL: adapter_scale. */
  float (*scale)(const adapter_settings *settings, double alpha);
  /* NULL: a folder must not have targets outside the encoder's modules. */
  const adapter_update_names *update_names;
  /* those of the reference's code, if they are not the model's usual ones */
  const char *reference_targets;
  bool oriented; /* the method has --orientation */
  /* Layers share parameters. With `materialize`, A_l and B_l of each run are derived from them, in
   * the memory that `runs` have. */
  bool shares;
  bool derives; /* A_l and B_l of each module are derived into `derived` */

  /* Lists the method's parameters with adapter_add_parameter; NULL: it has none. */
  cdl_status (*parameters)(model_adapter *adapter);
  /* Lists matrices that are never trained with adapter_add_frozen; NULL: it has none. */
  cdl_status (*frozen)(model_adapter *adapter);
  /* Computes frozen matrix `index` from the method's options. A folder may then lack it, or have a
   * larger one. NULL: prepare_base computes all of them. */
  void (*draw_frozen)(const model_adapter *adapter, size_t index, float *values, int64_t count);
  /* Computes `count` initial values of the method's own parameter `index`. */
  void (*initialize)(const model_adapter *adapter, size_t index, cdl_random *random, float *values,
                     int64_t count);
  /* Sets the deltas of adapted modules, after allocation; NULL: the method adapts none. */
  cdl_status (*attach)(model_adapter *adapter, cdl_queue *queue);
  /* Frees `adapter->own_state`. */
  void (*release)(model_adapter *adapter);
  /* Returns whether LoRA+'s ratio applies to the learning rate of the method's own parameter
   * `index`. It always applies to vectors. NULL: only to vectors. */
  bool (*takes_ratio)(const model_adapter *adapter, size_t index);
  /* Returns whether updates of folded targets in a folder have lengths; NULL: they have none. */
  bool (*has_lengths)(const model_adapter *adapter);
  /* Returns whether a parameter of the model is trained, besides head and modules to save; NULL:
   * none is. */
  bool (*trains)(const encoder_parameter *parameter);
  /* Compute derived values from the parameters, and the gradients back; NULL: nothing is
   * derived. */
  void (*materialize)(model_adapter *adapter, cdl_queue *queue);
  void (*pull_back)(model_adapter *adapter, cdl_queue *queue);

  /* Hooks of a run; NULL: nothing to do. In this order: */
  /* changes the frozen weights after initial values are drawn (PiSSA); */
  cdl_status (*prepare_base)(model_adapter *adapter, cdl_queue *queue);
  /* receives the number of optimizer steps (for the method's own schedules); */
  cdl_status (*begin_run)(model_adapter *adapter, cdl_queue *queue, int64_t steps);
  /* runs before a step's materialize (to draw values for the step); */
  cdl_status (*begin_step)(model_adapter *adapter, cdl_queue *queue, const cdl_step_record *record);
  /* adds a penalty to the loss and its gradients, after pull_back (AdaLoRA); */
  void (*extra_loss)(model_adapter *adapter, cdl_queue *queue, cdl_tensor loss);
  /* runs after an optimizer step. `step` is the 0-based number of the finished step, which used the
   * gradients times `factor` [1] (AdaLoRA's allocator). */
  cdl_status (*after_step)(model_adapter *adapter, cdl_queue *queue, int64_t step,
                           cdl_tensor factor);
  /* Returns whether steps enqueue different work; NULL: they do not. */
  bool (*varies)(const model_adapter *adapter);

  /* Returns tensor `index` of the state besides parameters that a resumed run needs, dense F32; an
   * absent tensor past the last. */
  cdl_tensor (*state)(model_adapter *adapter, size_t index);
  /* Runs after parameters and state were restored, to recompute values on the host. */
  cdl_status (*restored)(model_adapter *adapter, cdl_queue *queue);

  /* Gives the tensor that the folder holds instead of the snapshot's own parameter `index`. If
   * `values` stays NULL, the folder holds the parameter itself. */
  cdl_status (*store)(const model_adapter *adapter, const struct adapter_snapshot *snapshot,
                      size_t index, stored_values *stored);
  /* Returns a new object with the values of config_extra_keys for a snapshot; NULL if memory is
   * out. */
  json_t *(*config_extra)(const model_adapter *adapter, const struct adapter_snapshot *snapshot);
} adapter_method;

struct model_adapter {
  const adapter_method *method;
  model_encoder *encoder;
  int64_t rank; /* for modules without a pattern; so is scale */
  float scale, dropout;
  bool dropout_hits_base, reference_compat, rslora;
  adapter_init init;
  adapter_orientation orientation;
  double options[ADAPTER_OPTIONS_MAX]; /* in the order of the method's `options` */
  const json_t *config_extra;          /* only while the adapter is created */
  uint64_t seed;                       /* of the initial values, once they are drawn */
  /* For an adapter from a folder, until its values are read. */
  const adapter_config *source;
  const cdl_safetensors *stored;
  void *own_state;         /* belongs to the method */
  struct dora_state *dora; /* dora.c; NULL: off */
  /* [module_count] dylora.c: deltas of the full rank; NULL: off */
  encoder_low_rank_term *whole_deltas;
  int64_t rank_in_use; /* dylora.c */

  encoder_module **modules;    /* adapted modules in the encoder's order */
  module_settings *per_module; /* [module_count] */
  size_t module_count;
  adapter_folded *folded;
  size_t folded_count;
  layer_batch *runs;
  size_t run_count;
  int group_count;
  encoder_module **run_modules; /* arrays for the runs' `modules` and `numbers` */
  size_t *run_numbers;

  encoder_parameter *own_parameters;
  size_t own_count, own_capacity;
  encoder_parameter **trained; /* the method's own, then the encoder's */
  size_t trained_count;

  adapter_frozen *frozen; /* [frozen_count] computed or read */
  size_t frozen_count, frozen_capacity;
  encoder_low_rank_term *derived; /* [module_count], if the method derives them */

  cdl_buffer *value_buffer, *gradient_buffer, *derived_buffer, *frozen_buffer;
  cdl_tensor gradients;     /* of all trained parameters, end to end */
  cdl_tensor all_gradients; /* these, behind them all derived d_a and d_b, then `d_derived` */
  int64_t d_derived_count;  /* elements of d_derived; a method's `parameters` sets it */
  cdl_tensor d_derived;     /* gradients of what a method derives itself */
  cdl_tensor scratch;       /* for pull_back: [elements of the largest A or B of a whole run] */
};

/* Works as adapter_create, or as adapter_create_stored if `source` and `stored` are given. */
CDL_MUST_USE cdl_status adapter_create_from(cdl_queue *queue, model_encoder *encoder,
                                            const adapter_settings *settings,
                                            const adapter_config *source,
                                            const cdl_safetensors *stored, model_adapter **adapter);

/* Adds a matrix of parameters with a formatted name; memory is allocated later. */
cdl_status adapter_add_parameter(model_adapter *adapter, encoder_parameter_role role, int64_t rows,
                                 int64_t columns, const char *name_format, ...) CDL_PRINTF(5, 6);

/* Adds a vector in the same way. */
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

/* Adds a frozen matrix; `name` as formatted, in the adapter's file. Memory comes later. */
cdl_status adapter_add_frozen(model_adapter *adapter, int64_t rows, int64_t columns,
                              const char *name_format, ...) CDL_PRINTF(4, 5);
/* Returns the folder's tensor for a frozen matrix while the adapter is read; or NULL. */
const cdl_stored_tensor *adapter_stored_frozen(const model_adapter *adapter, size_t index);

/* Draws initial values for methods whose parameters are pairs, A at an even index and B at the next
 * odd one. A is Kaiming-uniform with a = √5, U(±1/√columns) (He et al. 2015, as in PyTorch's
 * Linear), or N(0, 1/rows²) if `init` is gaussian. B is zero. */
void adapter_initialize_pair(const model_adapter *adapter, size_t index, cdl_random *random,
                             float *values, int64_t count);

/* Returns true for every odd parameter, B of a pair. */
bool adapter_pair_takes_ratio(const model_adapter *adapter, size_t index);

/* Returns the matrix of layer `index` in a run's batch of matrices. */
cdl_tensor adapter_of_layer(cdl_tensor batch, int index);
/* Returns the term that reads derived A and B of layer `index` in a run. */
encoder_low_rank_term adapter_low_rank_of_layer(const layer_batch *run, int index, float scale);
/* Returns one shared matrix as a batch of `count` equal ones. */
cdl_tensor adapter_repeated(cdl_tensor matrix, int count);
/* Returns op(x_l) op(W_l) of every layer, [layers, rank, columns], in scratch memory. */
cdl_tensor adapter_products(const model_adapter *adapter, cdl_queue *queue, const layer_batch *run,
                            int64_t columns, cdl_tensor x, bool transpose_x,
                            bool transpose_weights);
/* gradient += Σ_l op(x_l) op(W_l), by way of adapter_products. */
void adapter_add_products(const model_adapter *adapter, cdl_queue *queue, const layer_batch *run,
                          cdl_tensor gradient, cdl_tensor x, bool transpose_x,
                          bool transpose_weights);

/* methods.c */
const adapter_method *adapter_method_find(const char *name);
/* Never NULL. */
const adapter_keys *adapter_keys_of(const adapter_method *method);
/* Returns whether the method's frozen_names have this name. */
bool adapter_names_frozen(const adapter_method *method, const char *name);

/* Returns alpha / rank, or alpha / √rank with rslora; 1 for a method without alpha. */
float adapter_scale(const adapter_settings *settings, int64_t rank, double alpha);
/* Returns whether the parameter is a bias of a linear layer or of a norm. */
bool adapter_is_bias(const encoder_parameter *parameter);

/* targets.c: sets modules, their settings, runs and groups. */
cdl_status adapter_find_targets(model_adapter *adapter, cdl_queue *queue,
                                const adapter_settings *settings);
/* Copies the adapted weights out of the checkpoint's file: encoder_own. */
cdl_status adapter_own_weights(model_adapter *adapter, cdl_queue *queue, bool written);
/* Marks the trained tensors of the model: the head, modules to save and those of the method. */
cdl_status adapter_mark_trained(model_adapter *adapter, const adapter_settings *settings);

/* Lists the modules to save in a form that PEFT can load. `saved` owns them, also after an error.
 * PEFT always saves the head and cannot save a part of it, so a name that matches such a part is
 * left out. If that name also matches other modules, they are listed with their full paths. */
CDL_MUST_USE cdl_status adapter_saved_modules(const model_adapter *adapter, const base_list *given,
                                              base_list *saved);

/* Returns whether the folder's config says that a tensor of the model is in its file. */
bool adapter_says_saved(const model_adapter *adapter, const char *name);

#define METHOD(name, word) extern const adapter_method adapter_method_##name;
#include "model/adapter/methods.def"
#undef METHOD

#endif
