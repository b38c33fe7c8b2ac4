/* The encoder's struct: weights, activations and the loaded batch. Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_STATE_H
#define CONDLORA_MODEL_ENCODER_STATE_H

#include "model/encoder/distance.h"
#include "model/encoder/encoder.h"
#include "model/files/checkpoint.h"
#include "model/files/family.h"

enum { MODULES_PER_PROJECTION = 3 };

/* Weights of a projection in the backend's preferred layout. */
typedef struct {
  cdl_weight *stacked;                        /* [Σ out, in] */
  cdl_weight *single[MODULES_PER_PROJECTION]; /* created only if needs_single */
  cdl_tensor bias; /* [Σ out] BF16, for BF16 activations; absent if the backend has none */
} packed_weights;

/* One or several linear layers with the same input that are computed as one: query, key and value,
 * or a single layer. */
typedef struct {
  int module_count;
  encoder_parameter *weight[MODULES_PER_PROJECTION], *bias[MODULES_PER_PROJECTION];
  /* NULL for layers that no adapter can reach (the head) */
  encoder_module *module[MODULES_PER_PROJECTION];
  cdl_tensor stacked_bias; /* [Σ out] */
  packed_weights own;
  packed_weights *packed; /* `own`, or that of the base */
} projection;

typedef struct {
  encoder_parameter *gain, *bias;
} norm_weights;

/* What the backward pass reaches. `reached`: it enters the block. `below_…`: something before the
 * named part is trained, so the input of that part needs a gradient. */
typedef struct {
  projection qkv, attention_out, intermediate, output;
  norm_weights attention_norm, output_norm;
  bool below_qkv, below_attention_out, below_attention_norm, below_intermediate, below_output,
      below_output_norm, reached;
} block_weights;

typedef struct {
  cdl_tensor sum, mean, rstd; /* input and statistics of a layer norm */
} norm_activations;

/* Values of an adapted layer that its backward pass reads. It has the rows of the layer. */
typedef struct {
  cdl_tensor hidden;   /* [rows, rank] drop(x) Aᵀ */
  cdl_tensor ungained; /* [rows, out] what the gain multiplies, if there is a gain */
  cdl_tensor products; /* [rows, 1] ⟨x_t, x_0⟩, if there is a pair */
} module_activations;

/* Rows are the tokens of all loaded batches. In the last block, from `attended` on, they are only
 * the first token of each sequence, because nothing reads the others. */
typedef struct {
  cdl_tensor in;       /* [tokens, hidden] */
  cdl_tensor qkv;      /* [tokens, 3 hidden] */
  cdl_tensor context;  /* [tokens, hidden] */
  cdl_tensor residual; /* [rows, hidden] `in`, or its first tokens */
  cdl_tensor selected; /* [rows, hidden] `context`, or its first tokens */
  norm_activations attention_norm;
  cdl_tensor normed;         /* [rows, hidden] */
  cdl_tensor pre, activated; /* [rows, intermediate] */
  norm_activations output_norm;
  cdl_tensor out; /* [rows, hidden] */
} block_activations;

/* Activations of frozen layers, for all loaded batches. Those of embeddings and blocks have one
 * type, F32 or BF16; statistics of norms and biases of attention are F32. */
typedef struct {
  cdl_dtype dtype;
  cdl_tensor embedded_sum, mean, rstd; /* of the embeddings' layer norm: [tokens, embedding], … */
  cdl_tensor embedded; /* [tokens, embedding]; only if the embeddings are projected */
  /* With a bias of attention: what attention reads, its gradient, and scratch of both. */
  cdl_tensor distance_bias, d_distance_bias; /* [heads, distances] */
  cdl_tensor distance_rows;                  /* [distances, heads] */
  block_activations *block;                  /* [layers] */
  /* Scratch of the backward pass. */
  cdl_tensor d_hidden, d_branch; /* [tokens, hidden] */
  cdl_tensor d_first, d_rows;    /* [sequences, hidden] */
  cdl_tensor d_wide;             /* [tokens, intermediate] */
  cdl_tensor d_qkv;              /* [tokens, 3 hidden] */
  cdl_tensor d_embedded;         /* [tokens, embedding]; only if the embeddings are projected */
} activations;

/* Scratch memory of adapters, for all loaded batches. */
typedef struct {
  /* Input of an adapter and its gradient, if there is dropout: [tokens, the widest adapted
   * input]. */
  cdl_tensor dropped, d_dropped;
  cdl_tensor gained; /* [tokens, the widest projection with a gain] */
  cdl_tensor spread; /* [tokens, the widest input with a pair] */
} adapter_scratch;

/* Activations of one encoder's own batch: attention's sums, its adapter, its head. */
typedef struct {
  cdl_tensor *log_sum;                       /* [layers] of [heads, tokens] */
  module_activations *module;                /* [modules] */
  cdl_tensor head_input, pooled_pre, pooled; /* [sequences, hidden] */
  cdl_tensor logits, d_logits;               /* [sequences, labels] */
  cdl_tensor d_pooled;                       /* [sequences, hidden] */
  /* Of head_input, if the body's activations have another type than the head's F32. */
  cdl_tensor d_head_input; /* [sequences, hidden] */
  adapter_scratch scratch;
} own_activations;

/* How a gradient is added to the rows of an embedding table: see scatter_add_rows. */
typedef struct {
  cdl_tensor order, segment, target;
} scatter_plan;

enum { EMBEDDING_WORD, EMBEDDING_POSITION, EMBEDDING_TYPE, EMBEDDING_TABLES };

/* A loaded batch. Rows count from the batch's first token. */
typedef struct {
  cdl_packing packing;
  cdl_tensor first_rows; /* [sequences] row of each sequence's first token */
  /* If there are pairs: [tokens] the row of the first token in the token's sequence, and the
   * numbers of all rows that belong to a sequence, ascending. */
  cdl_tensor own_first_rows, own_rows;
  scatter_plan table[EMBEDDING_TABLES], firsts;
  /* If attention's bias is trained: the offsets of each shard's sequences, counted from the shard's
   * first row. */
  cdl_tensor shard_offsets;
  const int32_t *host_shard_offsets;
} loaded_batch;

/* Encoders whose batches run together; the first one leads. Rows of shared activations are end to
 * end in this order. */
typedef struct {
  model_encoder *const *encoder;
  size_t count;
} encoder_members;

/* The rows of an activation: one per token, or one per sequence. */
typedef enum { ROWS_TOKENS, ROWS_SEQUENCES } encoder_rows;

/* Memory of passes; all encoders over a body share it. */
typedef struct {
  cdl_buffer *arena, *batch_buffer, *merge_buffer;
  size_t arena_elements, merge_elements;
  int32_t *staging; /* data that a load uploads in one piece */
  size_t staging_count;
  uint64_t *keys; /* [tokens] for sorting, if the embeddings are trained */
  size_t key_count;
} pass_memory;

struct model_encoder {
  cdl_backend *backend;
  model_config config;
  const model_family_facts *family;
  int labels;
  bool fresh_head, fresh_pooler; /* drawn, not read from a file */
  /* of the whole model; for an encoder over a shared body, of its head */
  cdl_buffer *weight_buffer;
  model_checkpoint *source; /* the file of parameters that are `stored`; NULL: none are */
  cdl_buffer **own_buffers; /* [own_count] copies of such parameters */
  size_t own_count;
  cdl_buffer *bias_buffer; /* of the body's biases in BF16; NULL: none, or the base's */

  model_encoder *base; /* the owner of the body; NULL: this encoder */
  size_t sharers;      /* number of encoders that have this one as their base */
  pass_memory own_memory;
  pass_memory *memory; /* own_memory, or that of the base */

  encoder_parameter *parameters;
  size_t parameter_count, head_parameter; /* head_parameter: the first parameter after the body */
  encoder_module *modules;
  size_t module_count;

  encoder_parameter *tables[EMBEDDING_TABLES]; /* NULL if the family has no such table */
  norm_weights embedding_norm;
  projection
      project; /* ELECTRA: from embedding_size to hidden_size; without modules if they are equal */
  encoder_parameter *distance_table; /* [buckets, heads] of attention's bias; NULL: none */
  cdl_buffer *distance_buffer;       /* of `distances`; NULL if they are the base's */
  encoder_distances distances;
  block_weights *blocks; /* [layers] */
  projection head_dense; /* BERT: the pooler */
  projection head_out;
  bool merged;
  bool takes_narrow; /* the backend computes the passes in BF16 */
  cdl_tensor states; /* where evaluations store the output of the blocks; may be absent */

  encoder_batch_limits limits; /* of both plans */
  int first_block;             /* where passes begin; above 0 with states that the batch brings */

  /* State of the last loaded batches, if this encoder leads. */
  model_encoder *members[ENCODER_JOINT_MAX];
  size_t member_count;
  cdl_tensor indices[EMBEDDING_TABLES];                   /* [tokens of all members] */
  bool embeddings_trained, project_reached, body_reached; /* true if it holds for any member */
  activations act;                                        /* laid out by each load */

  /* State of the encoder's own batch and the passes over it. */
  loaded_batch batch;
  own_activations own;
  encoder_shards shards;
  bool training;
  encoder_dropout_rates dropout;
  cdl_tensor step;
};

static inline encoder_members encoder_all_members(const model_encoder *leader)
{
  return (encoder_members){leader->members, leader->member_count};
}

/* Where the states with which passes of `leader` begin are laid out: the input of its first block,
 * or for the number of all blocks the output of the last one. */
static inline cdl_tensor encoder_states(const model_encoder *leader)
{
  const int64_t layers = leader->config.layers;
  return leader->first_block < layers ? leader->act.block[leader->first_block].in
                                      : leader->act.block[layers - 1].out;
}

static inline int64_t encoder_row_count(const model_encoder *member, encoder_rows rows)
{
  return rows == ROWS_TOKENS ? member->batch.packing.tokens : member->batch.packing.sequences;
}

/* weights.c */

/* Like encoder_create, with matrices in the checkpoint's file, which the encoder then closes:
 * *checkpoint becomes NULL. */
cdl_status encoder_create_over(cdl_queue *queue, const model_config *config, int labels,
                               model_checkpoint **checkpoint, model_encoder **encoder);
/* Tells the backend that the weights of adapted modules were written. */
void encoder_adapted_changed(model_encoder *encoder, cdl_queue *queue);

/* stored.c */

/* Returns the parameter's name in a checkpoint, without the family's prefix. */
const char *encoder_canonical_name(const model_encoder *encoder,
                                   const encoder_parameter *parameter);
/* Sets `value` and `stored` of the body's matrices to their places in the checkpoint's file, which
 * the encoder then closes (*checkpoint becomes NULL), if the backend can read all of them there.
 * Otherwise it does nothing: equal layers are always equally far apart. */
cdl_status encoder_store(model_encoder *encoder, model_checkpoint **checkpoint);
static inline bool parameter_in_file(const encoder_parameter *p)
{
  return cdl_tensor_present(p->stored) && p->value.buffer == p->stored.buffer;
}
/* Gives the pages of a parameter's stored values back to the system. */
void encoder_discard(const model_encoder *encoder, const encoder_parameter *parameter);
/* Drops the copies of parameters whose values the file still has. */
void encoder_drop_copies(model_encoder *encoder);
void encoder_release_stored(model_encoder *encoder);

/* activation_type.c */

/* Asks the backend whether it computes all ops of the body's passes with BF16 activations. */
bool encoder_takes_narrow(const model_encoder *encoder);
/* Returns the type of the activations of the members' body: BF16 if the backend computes that and
 * all that is trained are low-rank terms, norms, embeddings and heads; otherwise F32. */
cdl_dtype encoder_activation_type(encoder_members members);

/* plan.c */

/* Lays out the activations of one batch per member, `batches` [count], in the arena. Returns the
 * number of elements. Without `assign` it only counts. */
size_t encoder_lay_out(encoder_members members, const encoder_batch_limits *batches, bool training,
                       bool assign);
/* Returns the bytes of activations for training with every block reached by the backward pass, as
 * long as no adapter says which are. */
size_t encoder_reached_bytes(const model_encoder *encoder, encoder_batch_limits limits);
/* Sets the flags of the first member from what the backward pass of these members reaches. */
void encoder_find_reach(encoder_members members);
bool encoder_paired(const model_encoder *encoder);
/* Allocates memory for the weights that merging replaces. */
cdl_status encoder_reserve_merge(pass_memory *memory, cdl_backend *backend, size_t elements);
void encoder_release_memory(pass_memory *memory);

/* load.c: draws initial values of a fresh head and pooler, before they are packed. */
cdl_status encoder_draw_fresh(model_encoder *encoder, cdl_queue *queue, uint64_t seed);

static inline bool module_adapted(const encoder_module *module)
{
  return module != NULL && cdl_tensor_present(module->delta.low_rank.a);
}

static inline bool drops_base(const encoder_module *module)
{
  return module_adapted(module) && module->delta.dropout > 0 && module->delta.dropout_hits_base;
}

static inline bool module_gained(const encoder_module *module)
{
  return module_adapted(module) && cdl_tensor_present(module->delta.gain.value);
}

static inline bool module_paired(const encoder_module *module)
{
  return module != NULL && cdl_tensor_present(module->delta.pair.value);
}

/* Returns whether, in training, the input of the gain differs from that of the frozen path. */
static inline bool gain_is_parted(const encoder_module *module)
{
  return module_gained(module) && module->delta.dropout > 0 && !module->delta.dropout_hits_base;
}

/* Returns whether the frozen path reads an adapter's dropped input, so that it needs its own
 * weight. */
static inline bool needs_single(const encoder_module *module)
{
  return drops_base(module) || gain_is_parted(module);
}

/* Returns a member's own module that corresponds to layer i of the leader's projection `p`; NULL in
 * the head. */
static inline encoder_module *encoder_member_module(const model_encoder *leader,
                                                    const model_encoder *member,
                                                    const projection *p, int i)
{
  return p->module[i] != NULL ? &member->modules[p->module[i] - leader->modules] : NULL;
}

typedef bool module_predicate(const encoder_module *module);

/* Returns whether `holds` is true for a module of the projection in any member. */
static inline bool any_module(encoder_members members, const projection *p, module_predicate *holds)
{
  for (size_t l = 0; l < members.count; l++)
    for (int i = 0; i < p->module_count; i++)
      if (holds(encoder_member_module(members.encoder[0], members.encoder[l], p, i)))
        return true;
  return false;
}

static inline bool projection_base_trained(const projection *p)
{
  for (int i = 0; i < p->module_count; i++)
    if (p->weight[i]->trained)
      return true;
  return false;
}

/* Returns whether a projection of the body, or of one member's head, is trained. */
static inline bool projection_trained(encoder_members members, const projection *p)
{
  for (int i = 0; i < p->module_count; i++)
    if (p->bias[i]->trained)
      return true;
  return any_module(members, p, module_adapted) || projection_base_trained(p);
}

static inline bool distance_bias_trained(const model_encoder *e)
{
  return e->distance_table != NULL && e->distance_table->trained;
}

static inline bool norm_trained(norm_weights n)
{
  return n.gain->trained || n.bias->trained;
}

#endif
