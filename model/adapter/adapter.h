/* Adapters: the trainable part of a model, made by one of several methods. */
#ifndef CONDLORA_MODEL_ADAPTER_ADAPTER_H
#define CONDLORA_MODEL_ADAPTER_ADAPTER_H

#include "base/list.h"
#include "base/option.h"
#include "model/encoder/encoder.h"

/* How CondLoRA's shared layers act on a frozen weight W [out, in]:
 *   paper      A = θA W,   θA [rank, out];  B = W θBᵀ, θB [rank, in]   eq. 5 and 6; any W
 *   reference  A = θA Wᵀ,  θA [rank, d];    B = W θBᵀ, θB [rank, d]    the paper's code; square W
 */
typedef enum { ADAPTER_ORIENTATION_PAPER, ADAPTER_ORIENTATION_REFERENCE } adapter_orientation;
#define ADAPTER_ORIENTATION_WORDS "paper|reference"

/* Initial values of A and B. PiSSA and OLoRA, which only the method `lora` has, take B A from the
 * frozen weight W and subtract s · B A from it, so that training still starts at the base model.
 *   kaiming   A uniform in ±1/√columns, B zero
 *   gaussian  A normal with deviation 1/rank, B zero
 *   pissa     B A is the part of W of its largest singular values (Meng et al. 2024)
 *   olora     B A is the first columns of Q and rows of R in W = Q R (Büyükakyüz 2024) */
typedef enum {
  ADAPTER_INIT_KAIMING,
  ADAPTER_INIT_GAUSSIAN,
  ADAPTER_INIT_PISSA,
  ADAPTER_INIT_OLORA
} adapter_init;
#define ADAPTER_INIT_WORDS "kaiming|gaussian|pissa|olora"

/* Biases that are trained with the adapter: none, all of the model, or those of adapted layers. */
typedef enum { ADAPTER_BIAS_NONE, ADAPTER_BIAS_ALL, ADAPTER_BIAS_ADAPTED } adapter_bias;
#define ADAPTER_BIAS_WORDS "none|all|lora_only"

/* A rank or an alpha for the modules whose path, or the end of it after a dot, a regular expression
 * matches; the first of a list that does counts (PEFT's rule). */
typedef struct {
  const char *pattern;
  double value;
} adapter_module_value;

typedef struct {
  adapter_module_value *item;
  size_t count;
} adapter_module_values;

/* Adds a copy of the first `bytes` of `pattern`. Errors: MEMORY. */
CDL_MUST_USE cdl_status adapter_module_values_add(adapter_module_values *values,
                                                  const char *pattern, size_t bytes, double value);
/* Releases a list whose patterns are owned. */
void adapter_module_values_release(adapter_module_values *values);

enum { ADAPTER_OPTIONS_MAX = 32 };

/* The settings of an adapter, whether they come from a folder, a run or a program.
 * adapter_settings_of gives the defaults of a method; a setting that the method lacks is zero. The
 * caller owns the lists and strings: adapter_create keeps none of them, and adapter_config_free
 * releases those of a config. */
typedef struct {
  const char *method; /* one of adapter_methods; static */
  int64_t rank;
  double alpha; /* scale = alpha / rank */
  bool rslora;  /* scale = alpha / √rank instead (Kalajdzievski 2023) */
  adapter_module_values rank_pattern, alpha_pattern;
  double dropout; /* on the adapter's input, in [0, 1) */
  adapter_init init;
  adapter_bias bias;
  adapter_orientation orientation;
  /* Linear layers to adapt: suffixes of their paths, or one regular expression that whole paths
   * match (PEFT's rules). */
  base_list targets;
  char *target_pattern;
  /* Restricts the targets to these layers, if any are listed, and to modules that are not excluded.
   * Exclusions are written like targets. A layer's number is the path's component after any module,
   * or after a module whose name matches one of the regular expressions `layers_pattern`. */
  int64_t *layers;
  size_t layer_count;
  base_list layers_pattern;
  base_list excluded;
  char *excluded_pattern;
  double options[ADAPTER_OPTIONS_MAX]; /* the method's own, in the order of adapter_options */
  /* An object with the method's additional keys of adapter_config.json; NULL if it has none. */
  struct json_t *config_extra;
  /* Modules to train and save whole, besides the head: suffixes of their paths. */
  base_list modules_to_save;

  /* Folders do not store the settings below; they belong to one run. */
  /* Ratio of the learning rate of B, and of every vector, to that of A (LoRA+, Hayou et al. 2024).
   * 0 means 1. */
  double lora_plus_ratio;
  /* CondLoRA's dropout also applies to the frozen path, as in the reference. */
  bool dropout_hits_base;
  /* AdaLoRA never allocates and starts with a random Λ, as in the reference. */
  bool reference_compat;
  /* A name or pattern that matches nothing is no error, as in PEFT's folders. */
  bool ignore_unmatched;
  /* Train BERT's pooler because it is new. */
  bool train_pooler;
} adapter_settings;

typedef struct model_adapter model_adapter;

/* Returns the names of the methods, ending with NULL; static. */
const char *const *adapter_methods(void);
/* Returns the defaults of a method, which missing keys of adapter_config.json have. For an unknown
 * method all but the name is zero. */
adapter_settings adapter_settings_of(const char *method);
/* Returns the method's own options, `*count` of them; static. An unknown method has none. Methods
 * that share the name of an option declare it identically. Each value is stored as a double
 * (base_option_number). A missing key of adapter_config.json means the option's default_value. */
const base_option *adapter_options(const char *method, size_t *count);
/* Returns whether the method adapts linear layers by a low-rank update, so that it has a rank and
 * targets. */
bool adapter_is_low_rank(const char *method);
/* Returns the method's targets in the reference's code if they differ from the model's usual ones;
 * otherwise NULL. */
const char *adapter_reference_targets(const char *method);
/* Returns whether the method has an orientation. */
bool adapter_is_oriented(const char *method);
/* Returns whether the method trains the whole model. A run then writes a model folder, not an
 * adapter. */
bool adapter_is_whole_model(const char *method);

/* Settings that only some low-rank methods have. */
typedef enum {
  ADAPTER_HAS_RANK = 1 << 0,
  ADAPTER_HAS_RANK_PATTERN = 1 << 1,
  ADAPTER_HAS_ALPHA = 1 << 2,
  ADAPTER_HAS_ALPHA_PATTERN = 1 << 3,
  ADAPTER_HAS_RSLORA = 1 << 4,
  ADAPTER_HAS_DROPOUT = 1 << 5
} adapter_setting;
bool adapter_has(const char *method, adapter_setting setting);
/* Returns why a low-rank method lacks settings, as the end of a message; static; "" for no
 * reason. */
const char *adapter_lack_reason(const char *method);
/* Returns the ending of the name of the one tensor that the method's folder has for each adapted
 * module; static. The tensor's first size is the module's rank. NULL if modules share tensors. */
const char *adapter_module_ending(const char *method);
/* Returns "CONDLORA" for "condlora"; static; NULL for an unknown method. */
const char *adapter_peft_type(const char *method);
/* Returns "condlora" for "CONDLORA"; static; NULL for an unknown type. */
const char *adapter_method_of(const char *peft_type);

/* Marks the tensors that the method trains, sets the delta of every adapted module, and allocates
 * parameters and gradients. Values are undefined until they are initialized or read. The encoder
 * must outlive the adapter and can have one adapter at a time. Errors: USAGE for invalid settings,
 * with similar names if a target matches nothing, and for settings that would change a body shared
 * with other encoders. */
CDL_MUST_USE cdl_status adapter_create(cdl_queue *queue, model_encoder *encoder,
                                       const adapter_settings *settings, model_adapter **adapter);
/* Restores the encoder, except weights from which initial values were subtracted (pissa, olora). */
void adapter_destroy(model_adapter *adapter);

/* One adapted linear layer. */
typedef struct {
  const char *path;
  int64_t rank;
  double alpha, scale;
} adapter_module;

/* Modules are in the encoder's order. */
size_t adapter_module_count(const model_adapter *adapter);
adapter_module adapter_module_at(const model_adapter *adapter, size_t index);

/* All trained tensors: the method's own parameters, then those of the model, with the head last. */
size_t adapter_parameter_count(const model_adapter *adapter);
encoder_parameter *adapter_parameter(const model_adapter *adapter, size_t index);
/* Counts the trainable parameters of the adapter (with trained tensors of the model's body), and of
 * the head. */
void adapter_trainable_parameters(const model_adapter *adapter, int64_t *adapter_numbers,
                                  int64_t *head_numbers);

/* Sets initial values according to `init` of the settings. The host draws them from `seed`. */
CDL_MUST_USE cdl_status adapter_initialize(model_adapter *adapter, cdl_queue *queue, uint64_t seed);

/* Call it once before training, with the number of optimizer steps. Errors: USAGE if the method's
 * options do not fit that number. */
CDL_MUST_USE cdl_status adapter_begin_run(model_adapter *adapter, cdl_queue *queue, int64_t steps);
/* Returns whether steps enqueue different work, so that they must not be recorded. */
bool adapter_varies(const model_adapter *adapter);
/* Call it at the beginning of each step, with the step's record. */
CDL_MUST_USE cdl_status adapter_begin_step(model_adapter *adapter, cdl_queue *queue,
                                           const cdl_step_record *record);

/* Sets the rank in use until the next training step: any rank that DyLoRA trained. Errors: USAGE
 * for another rank, and for an adapter that DyLoRA did not train. */
CDL_MUST_USE cdl_status adapter_use_rank(model_adapter *adapter, cdl_queue *queue, int64_t rank);

/* Computes A_l and B_l of every adapted layer, and packed weights that are trained, from the
 * parameters. Call it after every change of parameters. */
void adapter_materialize(model_adapter *adapter, cdl_queue *queue);
/* Call it before the first backward pass of a step. */
void adapter_zero_gradients(model_adapter *adapter, cdl_queue *queue);
/* Computes the parameters' gradients from those of A and B. Call it after the last backward pass of
 * a step. */
void adapter_pull_back(model_adapter *adapter, cdl_queue *queue);
/* Adds the method's penalty, if it has one, to `loss` [1], and its gradients to those of the
 * parameters. Call it after adapter_pull_back. */
void adapter_extra_loss(model_adapter *adapter, cdl_queue *queue, cdl_tensor loss);
/* Computes the penalty of the present parameters, which the reference adds to the loss of an
 * evaluation too; 0 without `reference_compat`. Syncs the queue; gradients are undefined
 * afterwards. */
CDL_MUST_USE cdl_status adapter_evaluation_penalty(model_adapter *adapter, cdl_queue *queue,
                                                   double *penalty);
/* Does the method's work after an optimizer step. `step` is the 0-based number of the finished
 * step, which used the gradients times `factor` [1]. */
CDL_MUST_USE cdl_status adapter_after_step(model_adapter *adapter, cdl_queue *queue, int64_t step,
                                           cdl_tensor factor);
/* Returns all gradients end to end, [n], in the order of the parameters, with gaps of zeros. */
cdl_tensor adapter_gradients(const model_adapter *adapter);
/* Returns all that a backward pass adds to: these, and the gradients of A and B that the method
 * makes from its parameters. */
cdl_tensor adapter_pass_gradients(const model_adapter *adapter);

#endif
