/* Encoders with a sequence-classification head: the forward pass, and the backward pass written by
 * hand.
 *
 * The encoder does not know adapter methods. For each linear layer it sees one encoder_delta. */
#ifndef CONDLORA_MODEL_ENCODER_ENCODER_H
#define CONDLORA_MODEL_ENCODER_ENCODER_H

#include "condlora/backend.h"
#include "model/encoder/parameter.h"
#include "model/files/config.h"

/* The terms that an adapter adds to one linear layer y = x Wᵀ + b. The adapter sets the tensors of
 * the terms that it uses; a term without tensors adds nothing. The backward pass adds to the
 * gradients. Each term is computed in its own file. */

/* y += scale · (x Aᵀ) Bᵀ. Every adapted layer has this term. */
typedef struct {
  cdl_tensor a, b; /* [rank, in], [out, rank] */
  cdl_tensor d_a, d_b;
  float scale;
} encoder_low_rank_term;

/* y = g ∘ (x Wᵀ + scale · (x Aᵀ) Bᵀ) + b */
typedef struct {
  cdl_tensor value, gradient; /* [out] */
} encoder_gain_term;

/* y_t += scale · ⟨x_t, x_0⟩ · w  for token t of a sequence. Cannot be combined with a gain. */
typedef struct {
  cdl_tensor value, gradient; /* out elements */
  float scale;
} encoder_pair_term;

typedef struct {
  float dropout; /* dropout probability of x, for the terms */
  /* Applies the dropout to the input of the frozen path too, as the reference's CondLoRA does. */
  bool dropout_hits_base;
  encoder_low_rank_term low_rank;
  encoder_gain_term gain;
  encoder_pair_term pair;
} encoder_delta;

/* One linear layer that an adapter can change. */
typedef struct {
  char path[MODEL_NAME_BYTES];  /* "bert.encoder.layer.0.attention.self.query" */
  int layer;                    /* -1 for a module outside the blocks */
  model_module_kind kind;       /* for a module inside the blocks */
  cdl_tensor weight;            /* [out, in]; frozen while an adapter is attached */
  encoder_parameter *parameter; /* whose value `weight` is */
  encoder_delta delta;          /* set by the adapter */
} encoder_module;

/* A batch on the host: sequences end to end, without padding. Positions count from
 * model_config_first_position on, as by model_count_positions. encoder_load_batch checks that ids,
 * positions and types are within the model's tables; its error names the example. */
typedef struct {
  const int32_t *ids, *positions, *types; /* [offsets[sequences]] */
  const int32_t *offsets;                 /* [sequences + 1] */
  const int32_t *examples;                /* [sequences] index in the data set */
  int32_t sequences, tokens, longest;
  /* For passes that begin above the embeddings (encoder_begin_at): the states to begin with, of the
   * type encoder_activation_dtype. */
  const void *states;
} encoder_token_batch;

/* Dropout probabilities in training. */
typedef struct {
  float hidden, attention, classifier;
  /* Blocks below this one drop nothing, and if it is above 0, the embeddings do not either. */
  int32_t from_block;
} encoder_dropout_rates;

/* Gradients that are summed by shard. A step's examples are cut into shards, and each shard's sums
 * over tokens and examples go to memory of their own, which the caller adds in an order of its own.
 * So no bit depends on how shards are divided among passes. */
enum { ENCODER_SHARDS_MAX = 1024 };

typedef struct {
  cdl_tensor gradients; /* [elements] the gradients that backward passes add to */
  /* [shards of a step, a shard's elements]: each laid out as `gradients` without the elements [cut,
   * cut_end), which are of the word embeddings. At `words_at` of each are those rows of `words`
   * that the step's examples have. */
  cdl_tensor sums;
  int64_t cut, cut_end, words_at;
  cdl_tensor words;          /* [vocabulary, width] their gradient; absent: they are not trained */
  const int32_t *word_place; /* [vocabulary] a word's row at `words_at`; -1: it has none */
  int first, count;          /* shards of the next batch; count 0: `gradients` itself is added to */
  int32_t sequence[ENCODER_SHARDS_MAX + 1]; /* the first one of each, then the number of all */
} encoder_shards;

/* The size of the largest batch of a pass. */
typedef struct {
  int32_t tokens, sequences, longest;
} encoder_batch_limits;

typedef struct model_encoder model_encoder;

/* Maximum number of encoders of one body that run together. */
enum { ENCODER_JOINT_MAX = 32 };

/* Allocates memory for all weights; its contents are undefined. `labels` is the number of
 * outputs. */
CDL_MUST_USE cdl_status encoder_create(cdl_queue *queue, const model_config *config, int labels,
                                       model_encoder **encoder);
void encoder_destroy(model_encoder *encoder);

/* Creates another encoder over the frozen body of `base`, with its own modules, head and pooler.
 * Their values are those of `base` if the checkpoint has them; otherwise they are drawn from `seed`
 * as by encoder_load. It works like any other encoder, but tensors of the body cannot be trained
 * (encoder_parameter.shared). Encoders over one body share one memory for activations and belong to
 * one queue. `base` must outlive them, and must not be adapted or planned while they exist. When
 * the last one is destroyed, the base has the same memory as before the first. */
CDL_MUST_USE cdl_status encoder_share(cdl_queue *queue, model_encoder *base, uint64_t seed,
                                      model_encoder **encoder);
/* Returns whether both encoders have the same body. */
bool encoder_same_body(const model_encoder *a, const model_encoder *b);

/* Which tensors are read or drawn. The others do not change; in a new encoder they are
 * undefined. */
typedef enum {
  ENCODER_LOAD_ALL,
  ENCODER_LOAD_HEAD,   /* head and pooler */
  ENCODER_LOAD_ADAPTED /* weights of the linear layers that have an adapter now */
} encoder_load_part;

typedef struct {
  int labels;      /* number of outputs of the head; 0: as in the folder */
  bool fresh_head; /* draw a new head even if the folder has one */
  /* Rows of the word embeddings. If an adapter brings another number than the folder has, the table
   * is left undefined. 0: as in the folder. */
  int64_t vocabulary;
  uint64_t seed; /* for drawn tensors */
  encoder_load_part part;
  /* Batches that are to fit beside the weights: checked before a weight is read. 0 tokens: none.
   * For `training` every block counts as reached by the backward pass. */
  encoder_batch_limits training, evaluation;
  const model_config *config; /* what the folder's config.json says; NULL: it is read */
} encoder_load_options;

typedef struct {
  bool fresh_head, fresh_pooler; /* drawn from N(0, initializer_range); biases are 0 */
  /* Hash of the body's tensors. It identifies the model for which an adapter was made. */
  uint64_t fingerprint;
} encoder_load_report;

/* Loads a model from its Hugging Face folder, without the tokenizer. Matrices of the body that are
 * stored as float32 stay in the mapped file if the backend can read them there; everything else is
 * copied. The log gets one line about
 * tensors outside the encoder that are not read. Errors: those of the files; DATA if no fresh head
 * is wanted and the folder's head is damaged or has another number of labels, and if the folder has
 * no head and `labels` is 0. */
CDL_MUST_USE cdl_status encoder_load(cdl_queue *queue, const char *folder,
                                     const encoder_load_options *options, model_encoder **encoder,
                                     encoder_load_report *report);

/* Loads a part of an encoder from the folder of the rest, as encoder_load would have loaded it:
 * either again, for another run on the same base without an adapter, or for the first time if it
 * was left out. Errors: those of the files; DATA if the folder now holds another body. */
CDL_MUST_USE cdl_status encoder_reload(model_encoder *encoder, cdl_queue *queue, const char *folder,
                                       const encoder_load_options *options, uint64_t fingerprint);

/* Copies those of `count` parameters whose values lie in the checkpoint's file, where nothing can
 * write them, to memory of the encoder. Their `value` and the `weight` of their modules are then
 * the copies. Whatever writes parameters of the body calls this first, with `written` if the file
 * will no longer have their values. The copies of one call are in one buffer, and those of modules
 * of one kind are as far apart as their layers. */
CDL_MUST_USE cdl_status encoder_own(model_encoder *encoder, cdl_queue *queue,
                                    encoder_parameter *const *parameters, size_t count,
                                    bool written);
/* Fails with IO, naming the file, if the checkpoint was overwritten in place while the encoder
 * reads weights in it. What was computed since the last check is then worthless. */
CDL_MUST_USE cdl_status encoder_check_files(const model_encoder *encoder);

const model_config *encoder_config(const model_encoder *encoder);
int encoder_labels(const model_encoder *encoder);

/* All tensors of the model under their names in a checkpoint, the body first and the head last. Set
 * `trained` before encoder_plan. */
size_t encoder_parameter_count(const model_encoder *encoder);
encoder_parameter *encoder_parameters(model_encoder *encoder);

/* All linear layers that an adapter can reach: block by block in the order of model_module_kind,
 * then ELECTRA's projection of its embeddings and BERT's pooler. */
size_t encoder_module_count(const model_encoder *encoder);
encoder_module *encoder_modules(model_encoder *encoder);

/* Tells the encoder that weights were written through their parameters: the trained ones, or
 * any. */
void encoder_weights_changed(model_encoder *encoder, cdl_queue *queue, bool trained_only);

/* Returns the bytes of activations for such batches: for training (with all that the backward pass
 * reads), or for evaluation. */
size_t encoder_activation_bytes(const model_encoder *encoder, encoder_batch_limits limits,
                                bool training);
/* Returns the bytes of activations that encoder_plan allocates for these limits. */
size_t encoder_planned_bytes(const model_encoder *encoder, encoder_batch_limits training,
                             encoder_batch_limits evaluation);
/* Fails with MEMORY if the device has too little free memory for `bytes` of activations of such
 * batches; the message names both, and what needs less. A device that does not say how much it has
 * passes. */
CDL_MUST_USE cdl_status encoder_check_room(const model_encoder *encoder, size_t bytes,
                                           encoder_batch_limits limits, bool training);
/* Returns the type of these activations of the body, F32 or BF16. It depends on the backend, its
 * precision, and what is trained. */
cdl_dtype encoder_activation_dtype(const model_encoder *encoder);
/* Allocates the arena for the larger of the two plans; a plan of 0 tokens is not needed. Call it
 * after modules and parameters say what is trained. Later calls do not allocate. */
CDL_MUST_USE cdl_status encoder_plan(model_encoder *encoder, cdl_queue *queue,
                                     encoder_batch_limits training,
                                     encoder_batch_limits evaluation);

/* Frees all memory of a plan and a run except the weights, and copies of weights that the
 * checkpoint's file still has. The next run needs a new plan. No enqueued work may still use the
 * memory. */
void encoder_release_plan(model_encoder *encoder);

/* Plans joint passes of several encoders over one body, with `training` [count] for the batch of
 * each, and evaluations of any one of them. Existing memory stays if it is large enough. */
CDL_MUST_USE cdl_status encoder_plan_joint(model_encoder *const *encoders, size_t count,
                                           cdl_queue *queue, const encoder_batch_limits *training,
                                           const encoder_batch_limits *evaluation);

/* Returns whether the enqueued work of a pass depends only on the shape of a batch: ids and lengths
 * are read on the device. Known after planning. */
bool encoder_recordable(const model_encoder *encoder);

/* Returns how many of the lowest blocks give the same output for an example whatever is trained:
 * neither they nor the embeddings are trained or adapted. It is the number of all blocks if only
 * the head is trained. Dropout is not considered. */
int encoder_frozen_blocks(const model_encoder *encoder);

/* Later evaluation and training passes begin at `block`, which is at most encoder_frozen_blocks,
 * with the states that their batches bring; 0, as in a new encoder: with the embeddings. The states
 * are the input of that block, [tokens, hidden], or for the number of all blocks the output of the
 * last one for each sequence's first token, [sequences, hidden]. Call it before encoder_plan;
 * encoder_release_plan sets it to 0. */
void encoder_begin_at(model_encoder *encoder, int block);
int encoder_first_block(const model_encoder *encoder);

/* Returns whether the states at the first block depend on the parameter. */
bool encoder_is_below(const model_encoder *encoder, const encoder_parameter *parameter);

/* The purpose of a pass. Training keeps the values that the backward pass needs. A pass below
 * computes the states with which the others begin. */
typedef enum { ENCODER_EVALUATION, ENCODER_TRAINING, ENCODER_BELOW } encoder_pass_kind;

/* Checks a batch, uploads it, and lays out the activations of its passes. The batch stays loaded
 * until the next load; until then the shapes of deltas must not change. `tokens` may be larger than
 * the sum of the lengths, within the plan; rows past the last sequence belong to no sequence. */
CDL_MUST_USE cdl_status encoder_load_batch(model_encoder *encoder, cdl_queue *queue,
                                           const encoder_token_batch *batch,
                                           encoder_pass_kind kind);

/* The training batches that are loaded next have these shards, which are copied. Not for recorded
 * passes. */
void encoder_set_shards(model_encoder *encoder, const encoder_shards *shards);
/* Returns the gradient of the word embeddings, [vocabulary, width]; absent if they are not
 * trained. */
cdl_tensor encoder_word_gradient(const model_encoder *encoder);
/* Lays out a shard's sums of `gradients` with room for `words` different words: sets all but `sums`
 * and the words' places. Returns the number of a shard's elements; shards are to be a multiple of
 * *apart elements apart, so that rows of all of them are rows of one table. Call it once it is set
 * what is trained. */
int64_t encoder_lay_out_shards(const model_encoder *encoder, cdl_tensor gradients, int64_t words,
                               encoder_shards *shards, int64_t *apart);

/* Loads one training batch for each of several encoders over one body. The first encoder leads: its
 * forward and backward passes compute all of them, and frozen layers run once for all rows. */
CDL_MUST_USE cdl_status encoder_load_joint(model_encoder *const *encoders, size_t count,
                                           cdl_queue *queue, const encoder_token_batch *batches);

/* Returns logits [sequences, labels] of the loaded batch, as a view that is valid until the next
 * load. In training, dropout uses `step` (a U8 tensor with a cdl_step_record); an evaluation has no
 * dropout. */
cdl_tensor encoder_forward(model_encoder *encoder, cdl_queue *queue,
                           const encoder_dropout_rates *dropout, cdl_tensor step);
/* Computes the states of the batch that was loaded for ENCODER_BELOW, without dropout. Returns a
 * view that is valid until the next load. */
cdl_tensor encoder_forward_below(model_encoder *encoder, cdl_queue *queue);
/* Runs a training pass for all encoders whose batches encoder_load_joint loaded under `leader`.
 * Each has its own dropout rates and step [count]. */
void encoder_forward_joint(model_encoder *leader, cdl_queue *queue,
                           const encoder_dropout_rates *dropout, const cdl_tensor *step);
/* Later evaluations store every block's output for each sequence's first token in `states` [layers,
 * planned sequences, hidden]. Pass an absent tensor to stop. */
void encoder_capture_hidden(model_encoder *encoder, cdl_tensor states);
/* Returns the logits of the last pass. */
cdl_tensor encoder_logits(const model_encoder *encoder);
/* Returns the tensor [sequences, labels] in which the loss writes its gradient. */
cdl_tensor encoder_d_logits(const model_encoder *encoder);
/* Adds to the gradients of every trained parameter and of the terms of every delta. Call it after a
 * training forward pass; after a joint one it works for all members. */
void encoder_backward(model_encoder *encoder, cdl_queue *queue);

/* Returns the floating-point operations of the matrix products in an evaluation of such a batch,
 * or, with `training`, in a step with its backward pass. */
double encoder_gemm_operations(const model_encoder *encoder, const encoder_token_batch *batch,
                               bool training);

/* Merges the deltas: W ← W + scale · B A, with rows times the gain, for every adapted module. A
 * pass then costs the same as without an adapter; forward ignores the deltas except pairs, which
 * cannot be merged. encoder_unmerge restores the original bits. For evaluation only. */
CDL_MUST_USE cdl_status encoder_merge(model_encoder *encoder, cdl_queue *queue);
/* Returns whether merged weights contain everything that the deltas add. */
bool encoder_merges_whole(const model_encoder *encoder);
void encoder_unmerge(model_encoder *encoder, cdl_queue *queue);

#endif
