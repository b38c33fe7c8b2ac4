/* Encoders with a sequence-classification head: forward, and the backward pass written by hand.
 *
 * The encoder knows nothing of adapter methods: it sees one cdl_delta per linear layer. */
#ifndef CONDLORA_ENCODER_H
#define CONDLORA_ENCODER_H

#include "condlora/backend.h"
#include "condlora/config.h"
#include "condlora/parameter.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The linear layers of a block that an adapter can reach, in the order of their weights. */
typedef enum {
  CDL_SITE_QUERY,
  CDL_SITE_KEY,
  CDL_SITE_VALUE,
  CDL_SITE_ATTENTION_OUT,
  CDL_SITE_INTERMEDIATE,
  CDL_SITE_OUTPUT,
  CDL_SITES_PER_BLOCK
} cdl_site_kind;

/* What an adapter makes of one linear layer y = x Wᵀ + b, with x̃ = drop(x):
 *   y += scale · (x̃ Aᵀ) Bᵀ                                             always
 *   y = x Wᵀ + b + (g − 1) ∘ (x̃ Wᵀ) + g ∘ scale · (x̃ Aᵀ) Bᵀ            with a gain g, in its place
 *   y_t += pair_scale · ⟨x̃_t, x̃_0⟩ · w  for token t of a sequence       with a pair w, besides */
typedef struct {
  cdl_tensor a, b;     /* [rank, in], [out, rank]; absent: nothing is added */
  cdl_tensor d_a, d_b; /* their gradients, added to by the backward pass */
  float scale;
  float dropout; /* probability on the adapter's input */
  /* The frozen path reads the dropped input too, as the reference's CondLoRA does. */
  bool dropout_hits_base;
  cdl_tensor gain, d_gain; /* [out]; optional */
  cdl_tensor pair, d_pair; /* out elements; optional, not beside a gain */
  float pair_scale;
} cdl_delta;

/* One linear layer that may be adapted. */
typedef struct {
  char path[CDL_NAME_BYTES]; /* "bert.encoder.layer.0.attention.self.query" */
  int layer;                 /* -1 outside the blocks */
  cdl_site_kind kind;        /* inside the blocks */
  cdl_tensor weight;         /* [out, in], frozen by an adapter */
  cdl_delta delta;           /* an adapter's to set */
} cdl_site;

/* Sequences packed end to end, on the host. Ids, positions (cdl_count_positions, from
 * cdl_model_config_first_position on) and types must lie within the model's tables: checked by
 * cdl_encoder_load_batch, whose error names the example. */
typedef struct {
  const int32_t *ids, *positions, *types; /* [offsets[sequences]] */
  const int32_t *offsets;                 /* [sequences + 1] */
  const int32_t *examples;                /* [sequences] index in the data set */
  int32_t sequences, tokens, longest;
} cdl_token_batch;

/* Probabilities of dropout in training. */
typedef struct {
  float hidden, attention, classifier;
} cdl_dropout_rates;

/* The largest batch a pass will see. */
typedef struct {
  int32_t tokens, sequences, longest;
} cdl_batch_limits;

typedef struct cdl_encoder cdl_encoder;

/* The most encoders of one body that run together. */
enum { CDL_JOINT_ENCODERS_MAX = 32 };

/* Memory for all weights, contents undefined. `labels` outputs. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_create(cdl_queue *queue, const cdl_model_config *config,
                                                   int labels, cdl_encoder **encoder);
CDL_API void cdl_encoder_destroy(cdl_encoder *encoder);

/* Another encoder over the frozen body of `base`: it has sites, head and pooler of its own, values
 * drawn from `seed` as cdl_encoder_load would draw them, or those of `base` where the checkpoint
 * has them. It takes part in whatever an encoder does, but what lies in the body cannot be trained
 * (cdl_parameter.shared). Encoders over one body have one memory for activations and belong to one
 * queue; `base` outlives them, and is neither adapted nor planned while there are any. Once the last
 * is destroyed the base has the memory it had before the first. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_share(cdl_queue *queue, cdl_encoder *base,
                                                  uint64_t seed, cdl_encoder **encoder);
/* Whether both have one body. */
CDL_API bool cdl_encoder_same_body(const cdl_encoder *a, const cdl_encoder *b);

/* What is read or drawn; the rest stays as it is, undefined in a new encoder. */
typedef enum {
  CDL_LOAD_ALL,
  CDL_LOAD_HEAD,   /* head and pooler */
  CDL_LOAD_ADAPTED /* weights of the linear layers that are adapted by now */
} cdl_load_part;

typedef struct {
  int labels;      /* outputs of the head; 0: as many as the folder's head has */
  bool fresh_head; /* draw a new head even where the folder has one */
  /* Rows of the table of words, where an adapter brings another than the folder's: it is left
   * undefined then. 0: as the folder has it. */
  int64_t vocabulary;
  uint64_t seed; /* of what is drawn */
  cdl_load_part part;
} cdl_load_options;

typedef struct {
  bool fresh_head, fresh_pooler; /* drawn: N(0, initializer_range), biases 0 */
  /* Of the body's tensors, to recognize the model that an adapter was made for. */
  uint64_t fingerprint;
} cdl_load_report;

/* A model from its Hugging Face folder, tokenizer aside. Errors: those of the files; DATA where
 * the folder's head has another number of labels or is damaged and no fresh one is wanted, or where
 * it has none and `labels` is 0. Tensors outside the encoder that are not read are a line of the
 * log. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_load(cdl_queue *queue, const char *folder,
                                                 const cdl_load_options *options,
                                                 cdl_encoder **encoder, cdl_load_report *report);

/* A part of an encoder from the folder of the rest, as cdl_encoder_load would have loaded it: again,
 * for another run on the same base, when no adapter is on it; or one that was left out. Errors: those
 * of the files; DATA where the folder holds another body by now. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_reload(cdl_encoder *encoder, cdl_queue *queue,
                                                   const char *folder,
                                                   const cdl_load_options *options,
                                                   uint64_t fingerprint);

CDL_API const cdl_model_config *cdl_encoder_config(const cdl_encoder *encoder);
CDL_API int cdl_encoder_labels(const cdl_encoder *encoder);

/* Every tensor of the model, body first, head last, under its name in a checkpoint. Set `trained`
 * before cdl_encoder_plan. */
CDL_API size_t cdl_encoder_parameter_count(const cdl_encoder *encoder);
CDL_API cdl_parameter *cdl_encoder_parameters(cdl_encoder *encoder);

/* Every linear layer that an adapter can reach: block by block in the order of cdl_site_kind, then
 * ELECTRA's projection of its embeddings, BERT's pooler. */
CDL_API size_t cdl_encoder_site_count(const cdl_encoder *encoder);
CDL_API cdl_site *cdl_encoder_sites(cdl_encoder *encoder);

/* After weights have been written through their parameters: those that are trained, or any. */
CDL_API void cdl_encoder_weights_changed(cdl_encoder *encoder, cdl_queue *queue, bool trained_only);

/* Bytes of activations for such batches: what training (all that the backward pass reads) and
 * evaluation take. */
CDL_API size_t cdl_encoder_activation_bytes(const cdl_encoder *encoder, cdl_batch_limits limits,
                                            bool training);
/* Allocates the arena: the larger of the two plans; a plan of no tokens is none. Called once sites
 * and parameters say what is trained; nothing is allocated afterwards. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_plan(cdl_encoder *encoder, cdl_queue *queue,
                                                 cdl_batch_limits training,
                                                 cdl_batch_limits evaluation);

/* Frees all that a plan and a run took besides the weights; the next begins with a plan of its own.
 * Nothing may be enqueued that uses it. */
CDL_API void cdl_encoder_release_plan(cdl_encoder *encoder);

/* For passes of several encoders over one body together, `training` [count] the batches of each, and
 * for evaluations of any of them alone. What is there and large enough stays. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_plan_joint(cdl_encoder *const *encoders, size_t count,
                                                       cdl_queue *queue,
                                                       const cdl_batch_limits *training,
                                                       const cdl_batch_limits *evaluation);

/* Whether what a pass enqueues follows from the shape of a batch alone, its ids and lengths being
 * read on the device. Known once planned. */
CDL_API bool cdl_encoder_recordable(const cdl_encoder *encoder);

/* Checks a batch and uploads it. It stays loaded until the next. `tokens` may be more than the
 * sequences have, within the plan: the rows past the last sequence belong to none. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_load_batch(cdl_encoder *encoder, cdl_queue *queue,
                                                       const cdl_token_batch *batch);

/* The same for encoders over one body, a batch each: the first of them leads, and its forward and
 * backward passes are those of all, the frozen layers computed for all rows as one. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_load_joint(cdl_encoder *const *encoders, size_t count,
                                                       cdl_queue *queue,
                                                       const cdl_token_batch *batches);

/* Logits [sequences, labels] of the loaded batch: a view that holds until the next forward. With
 * `training`, dropout draws from `step` (a U8 tensor with a cdl_step_record) and what the backward
 * pass needs is kept. */
CDL_API cdl_tensor cdl_encoder_forward(cdl_encoder *encoder, cdl_queue *queue,
                                       const cdl_dropout_rates *dropout, cdl_tensor step,
                                       bool training);
/* A training pass for all encoders of the batches that cdl_encoder_load_joint loaded under `leader`,
 * each with its own dropout and step [count]. */
CDL_API void cdl_encoder_forward_joint(cdl_encoder *leader, cdl_queue *queue,
                                       const cdl_dropout_rates *dropout, const cdl_tensor *step);
/* From now on an evaluation leaves in `states`, [layers, sequences, hidden] as far as planned, what
 * each block gives for the first tokens of the batch; after no tensor, no more. */
CDL_API void cdl_encoder_watch_states(cdl_encoder *encoder, cdl_tensor states);
/* The same logits again. */
CDL_API cdl_tensor cdl_encoder_logits(const cdl_encoder *encoder);
/* Where the loss writes its gradient, [sequences, labels]. */
CDL_API cdl_tensor cdl_encoder_d_logits(const cdl_encoder *encoder);
/* Adds to the gradients of every trained parameter and of every site's A and B. After a training
 * forward; of a joint one, to those of every encoder. */
CDL_API void cdl_encoder_backward(cdl_encoder *encoder, cdl_queue *queue);

/* Floating-point operations of the matrix products that a step (with `training`, backward pass
 * included) or an evaluation of such a batch takes. */
CDL_API double cdl_encoder_gemm_operations(const cdl_encoder *encoder, const cdl_token_batch *batch,
                                           bool training);

/* W ← W + scale · B A, its rows times the gain, for every adapted site, so that a pass costs what
 * the bare encoder's does; forward then ignores the deltas, but for pairs, which no weight can hold.
 * Unmerging gives back the original bits. Evaluation only. */
CDL_API CDL_MUST_USE cdl_status cdl_encoder_merge(cdl_encoder *encoder, cdl_queue *queue);
/* Whether merged weights hold all that the deltas add. */
CDL_API bool cdl_encoder_merges_whole(const cdl_encoder *encoder);
CDL_API void cdl_encoder_unmerge(cdl_encoder *encoder, cdl_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
