/* Encoders with a sequence-classification head: forward, and the backward pass written by hand.
 *
 * The encoder knows nothing of adapter methods: it sees one encoder_delta for each linear layer. */
#ifndef CONDLORA_MODEL_ENCODER_ENCODER_H
#define CONDLORA_MODEL_ENCODER_ENCODER_H

#include "condlora/backend.h"
#include "model/encoder/parameter.h"
#include "model/files/config.h"

/* What an adapter makes of one linear layer y = x Wᵀ + b is a list of terms. An adapter sets the
 * tensors of those that it needs; a term whose tensors are absent adds nothing. Gradients are added to
 * by the backward pass. Each term is computed in a file of its own. */

/* y += scale · (x Aᵀ) Bᵀ. What adapts a layer has this term at least. */
typedef struct {
  cdl_tensor a, b; /* [rank, in], [out, rank] */
  cdl_tensor d_a, d_b;
  float scale;
} encoder_low_rank_term;

/* y = g ∘ (x Wᵀ + scale · (x Aᵀ) Bᵀ) + b */
typedef struct {
  cdl_tensor value, gradient; /* [out] */
} encoder_gain_term;

/* y_t += scale · ⟨x_t, x_0⟩ · w  for token t of a sequence. Not beside a gain. */
typedef struct {
  cdl_tensor value, gradient; /* out elements */
  float scale;
} encoder_pair_term;

typedef struct {
  float dropout; /* probability on x as the terms read it */
  /* The frozen path reads the dropped x too, as the reference's CondLoRA does. */
  bool dropout_hits_base;
  encoder_low_rank_term low_rank;
  encoder_gain_term gain;
  encoder_pair_term pair;
} encoder_delta;

/* One linear layer that may be adapted. */
typedef struct {
  char path[MODEL_NAME_BYTES]; /* "bert.encoder.layer.0.attention.self.query" */
  int layer;                   /* -1 outside the blocks */
  model_module_kind kind;      /* inside the blocks */
  cdl_tensor weight;           /* [out, in], frozen by an adapter */
  encoder_delta delta;         /* an adapter's to set */
} encoder_module;

/* Sequences packed end to end, on the host. Ids, positions (model_count_positions, from
 * model_config_first_position on) and types must lie within the model's tables: checked by
 * encoder_load_batch, whose error names the example. */
typedef struct {
  const int32_t *ids, *positions, *types; /* [offsets[sequences]] */
  const int32_t *offsets;                 /* [sequences + 1] */
  const int32_t *examples;                /* [sequences] index in the data set */
  int32_t sequences, tokens, longest;
} encoder_token_batch;

/* Probabilities of dropout in training. */
typedef struct {
  float hidden, attention, classifier;
} encoder_dropout_rates;

/* The largest batch a pass will see. */
typedef struct {
  int32_t tokens, sequences, longest;
} encoder_batch_limits;

typedef struct model_encoder model_encoder;

/* The most encoders of one body that run together. */
enum { ENCODER_JOINT_MAX = 32 };

/* Memory for all weights, contents undefined. `labels` outputs. */
CDL_MUST_USE cdl_status encoder_create(cdl_queue *queue, const model_config *config, int labels,
                                       model_encoder **encoder);
void encoder_destroy(model_encoder *encoder);

/* Another encoder over the frozen body of `base`: it has modules, head and pooler of its own, values
 * drawn from `seed` as encoder_load would draw them, or those of `base` where the checkpoint
 * has them. It takes part in whatever an encoder does, but what lies in the body cannot be trained
 * (encoder_parameter.shared). Encoders over one body have one memory for activations and belong to one
 * queue; `base` outlives them, and is neither adapted nor planned while there are any. Once the last
 * is destroyed the base has the memory it had before the first. */
CDL_MUST_USE cdl_status encoder_share(cdl_queue *queue, model_encoder *base, uint64_t seed,
                                      model_encoder **encoder);
/* Whether both have one body. */
bool encoder_same_body(const model_encoder *a, const model_encoder *b);

/* What is read or drawn; the rest stays as it is, undefined in a new encoder. */
typedef enum {
  ENCODER_LOAD_ALL,
  ENCODER_LOAD_HEAD,   /* head and pooler */
  ENCODER_LOAD_ADAPTED /* weights of the linear layers that are adapted by now */
} encoder_load_part;

typedef struct {
  int labels;      /* outputs of the head; 0: as many as the folder's head has */
  bool fresh_head; /* draw a new head even where the folder has one */
  /* Rows of the table of words, where an adapter brings another than the folder's: it is left
   * undefined then. 0: as the folder has it. */
  int64_t vocabulary;
  uint64_t seed; /* of what is drawn */
  encoder_load_part part;
} encoder_load_options;

typedef struct {
  bool fresh_head, fresh_pooler; /* drawn: N(0, initializer_range), biases 0 */
  /* Of the body's tensors, to recognize the model that an adapter was made for. */
  uint64_t fingerprint;
} encoder_load_report;

/* A model from its Hugging Face folder, tokenizer aside. Errors: those of the files; DATA where
 * the folder's head has another number of labels or is damaged and no fresh one is wanted, or where
 * it has none and `labels` is 0. Tensors outside the encoder that are not read are a line of the
 * log. */
CDL_MUST_USE cdl_status encoder_load(cdl_queue *queue, const char *folder,
                                     const encoder_load_options *options, model_encoder **encoder,
                                     encoder_load_report *report);

/* A part of an encoder from the folder of the rest, as encoder_load would have loaded it: again,
 * for another run on the same base, when no adapter is on it; or one that was left out. Errors: those
 * of the files; DATA where the folder holds another body by now. */
CDL_MUST_USE cdl_status encoder_reload(model_encoder *encoder, cdl_queue *queue, const char *folder,
                                       const encoder_load_options *options, uint64_t fingerprint);

const model_config *encoder_config(const model_encoder *encoder);
int encoder_labels(const model_encoder *encoder);

/* Every tensor of the model, body first, head last, under its name in a checkpoint. Set `trained`
 * before encoder_plan. */
size_t encoder_parameter_count(const model_encoder *encoder);
encoder_parameter *encoder_parameters(model_encoder *encoder);

/* Every linear layer that an adapter can reach: block by block in the order of model_module_kind, then
 * ELECTRA's projection of its embeddings, BERT's pooler. */
size_t encoder_module_count(const model_encoder *encoder);
encoder_module *encoder_modules(model_encoder *encoder);

/* After weights have been written through their parameters: those that are trained, or any. */
void encoder_weights_changed(model_encoder *encoder, cdl_queue *queue, bool trained_only);

/* Bytes of activations for such batches: what training (all that the backward pass reads) and
 * evaluation take. */
size_t encoder_activation_bytes(const model_encoder *encoder, encoder_batch_limits limits,
                                bool training);
/* Allocates the arena: the larger of the two plans; a plan of no tokens is none. Called once modules
 * and parameters say what is trained; nothing is allocated afterwards. */
CDL_MUST_USE cdl_status encoder_plan(model_encoder *encoder, cdl_queue *queue,
                                     encoder_batch_limits training,
                                     encoder_batch_limits evaluation);

/* Frees all that a plan and a run took besides the weights; the next begins with a plan of its own.
 * Nothing may be enqueued that uses it. */
void encoder_release_plan(model_encoder *encoder);

/* For passes of several encoders over one body together, `training` [count] the batches of each, and
 * for evaluations of any of them alone. What is there and large enough stays. */
CDL_MUST_USE cdl_status encoder_plan_joint(model_encoder *const *encoders, size_t count,
                                           cdl_queue *queue, const encoder_batch_limits *training,
                                           const encoder_batch_limits *evaluation);

/* Whether what a pass enqueues follows from the shape of a batch alone, its ids and lengths being
 * read on the device. Known once planned. */
bool encoder_recordable(const model_encoder *encoder);

/* What the passes over a batch are for: training keeps what the backward pass needs. */
typedef enum { ENCODER_EVALUATION, ENCODER_TRAINING } encoder_pass_kind;

/* Checks a batch, uploads it, and lays out the activations of its passes. It stays loaded until the
 * next, and the shapes of all deltas stay as they are. `tokens` may be more than the sequences have,
 * within the plan: the rows past the last sequence belong to none. */
CDL_MUST_USE cdl_status encoder_load_batch(model_encoder *encoder, cdl_queue *queue,
                                           const encoder_token_batch *batch,
                                           encoder_pass_kind kind);

/* The same in training for encoders over one body, a batch each. The first of them leads: its forward
 * and backward passes are those of all members, and frozen layers are computed for all rows at
 * once. */
CDL_MUST_USE cdl_status encoder_load_joint(model_encoder *const *encoders, size_t count,
                                           cdl_queue *queue, const encoder_token_batch *batches);

/* Logits [sequences, labels] of the loaded batch: a view that holds until the next load. In training,
 * dropout draws from `step` (a U8 tensor with a cdl_step_record); in an evaluation nothing is
 * dropped. */
cdl_tensor encoder_forward(model_encoder *encoder, cdl_queue *queue,
                           const encoder_dropout_rates *dropout, cdl_tensor step);
/* A training pass for all encoders of the batches that encoder_load_joint loaded under `leader`,
 * each with its own dropout and step [count]. */
void encoder_forward_joint(model_encoder *leader, cdl_queue *queue,
                           const encoder_dropout_rates *dropout, const cdl_tensor *step);
/* Later evaluations store every block's output for each sequence's first token in `states`
 * [layers, sequences as planned, hidden]. An absent tensor ends that. */
void encoder_capture_hidden(model_encoder *encoder, cdl_tensor states);
/* The same logits again. */
cdl_tensor encoder_logits(const model_encoder *encoder);
/* Where the loss writes its gradient, [sequences, labels]. */
cdl_tensor encoder_d_logits(const model_encoder *encoder);
/* Adds to the gradients of every trained parameter and of every delta's terms. After a training
 * forward; of a joint one, to those of every member. */
void encoder_backward(model_encoder *encoder, cdl_queue *queue);

/* Floating-point operations of the matrix products that a step (with `training`, backward pass
 * included) or an evaluation of such a batch takes. */
double encoder_gemm_operations(const model_encoder *encoder, const encoder_token_batch *batch,
                               bool training);

/* W ← W + scale · B A, its rows times the gain, for every adapted module, so that a pass costs what
 * the bare encoder's does; forward then ignores the deltas, but for pairs, which no weight can hold.
 * Unmerging gives back the original bits. Evaluation only. */
CDL_MUST_USE cdl_status encoder_merge(model_encoder *encoder, cdl_queue *queue);
/* Whether merged weights hold all that the deltas add. */
bool encoder_merges_whole(const model_encoder *encoder);
void encoder_unmerge(model_encoder *encoder, cdl_queue *queue);

#endif
