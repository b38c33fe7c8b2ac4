/* The encoder's own view of itself: weights, activations and the loaded batch. Private to
 * the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_STATE_H
#define CONDLORA_MODEL_ENCODER_STATE_H

#include "model/encoder/encoder.h"
#include "model/files/family.h"

enum { MODULES_PER_PROJECTION = 3 };

/* A projection's weights as the backend likes them. */
typedef struct {
  cdl_weight *stacked;                        /* [Σ out, in] */
  cdl_weight *single[MODULES_PER_PROJECTION]; /* made only where needs_single says so */
} packed_weights;

/* One or several linear layers with the same input, computed as one: query, key and value, or a
 * single one. */
typedef struct {
  int module_count;
  encoder_parameter *weight[MODULES_PER_PROJECTION], *bias[MODULES_PER_PROJECTION];
  encoder_module *module[MODULES_PER_PROJECTION]; /* NULL where no adapter can reach (the head) */
  cdl_tensor stacked_bias;                        /* [Σ out] */
  packed_weights own;
  packed_weights *packed; /* `own`, or the base's */
} projection;

typedef struct {
  encoder_parameter *gain, *bias;
} norm_weights;

/* `reached`: the backward pass enters the block. `below_…`: something that precedes the named part
 * is trained, so its input needs a gradient. */
typedef struct {
  projection qkv, attention_out, intermediate, output;
  norm_weights attention_norm, output_norm;
  bool below_qkv, below_attention_out, below_attention_norm, below_intermediate, below_output,
      below_output_norm, reached;
} block_weights;

typedef struct {
  cdl_tensor sum, mean, rstd; /* a layer norm's input and statistics */
} norm_activations;

/* What the backward pass of an adapted layer reads. Its rows are those of the layer. */
typedef struct {
  cdl_tensor hidden;   /* [rows, rank] drop(x) Aᵀ */
  cdl_tensor ungained; /* [rows, out] what a gain multiplies, where there is one */
  cdl_tensor products; /* [rows, 1] ⟨x_t, x_0⟩, where there is a pair */
} module_activations;

/* Rows are the tokens of all batches under way; in the last block, from `attended` on, only each
 * sequence's first token: nothing reads the others. */
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

/* What frozen layers compute for all batches under way. */
typedef struct {
  cdl_tensor embedded_sum, mean, rstd; /* of the embeddings' layer norm: [tokens, embedding], … */
  cdl_tensor embedded;                 /* [tokens, embedding], where it is projected */
  block_activations *block;            /* [layers] */
  /* Scratch of the backward pass. */
  cdl_tensor d_hidden, d_branch; /* [tokens, hidden] */
  cdl_tensor d_first, d_rows;    /* [sequences, hidden] */
  cdl_tensor d_wide;             /* [tokens, intermediate] */
  cdl_tensor d_qkv;              /* [tokens, 3 hidden] */
  cdl_tensor d_embedded;         /* [tokens, embedding], where it is projected */
} activations;

/* Scratch of adapters, as long as all batches under way. */
typedef struct {
  /* An adapter's input and its gradient where there is dropout: [tokens, the widest adapted
   * input]. */
  cdl_tensor dropped, d_dropped;
  cdl_tensor gained; /* [tokens, the widest projection with a gain] */
  cdl_tensor spread; /* [tokens, the widest input with a pair] */
} adapter_scratch;

/* What belongs to one encoder's batch alone: attention's sums, its adapter, its head. */
typedef struct {
  cdl_tensor *log_sum;                       /* [layers] of [heads, tokens] */
  module_activations *module;                /* [modules] */
  cdl_tensor head_input, pooled_pre, pooled; /* [sequences, hidden] */
  cdl_tensor logits, d_logits;               /* [sequences, labels] */
  cdl_tensor d_pooled;                       /* [sequences, hidden] */
  adapter_scratch scratch;
} own_activations;

/* The plan by which a gradient is added to an embedding table's rows: see scatter_add_rows. */
typedef struct {
  cdl_tensor order, segment, target;
} scatter_plan;

/* Rows count from the batch's own first token. */
typedef struct {
  cdl_packing packing;
  cdl_tensor first_rows; /* [sequences] the row of each sequence's first token */
  /* Where there are pairs: for each token the row of its sequence's first one, [tokens], and the
   * rows of all sequences, counted up. */
  cdl_tensor own_first_rows, own_rows;
  scatter_plan word, position, token_type, firsts;
} loaded_batch;

enum { EMBEDDING_WORD, EMBEDDING_POSITION, EMBEDDING_TYPE, EMBEDDING_TABLES };

/* Encoders whose batches run together, the first of them leading: rows of what they share lie end to
 * end in this order. */
typedef struct {
  model_encoder *const *encoder;
  size_t count;
} encoder_members;

/* Rows of an activation: one a token, or one a sequence. */
typedef enum { ROWS_TOKENS, ROWS_SEQUENCES } encoder_rows;

/* Memory of passes: one for all encoders over a body. */
typedef struct {
  cdl_buffer *arena, *batch_buffer, *merge_buffer;
  size_t arena_elements, merge_elements;
  int32_t *staging; /* what a load uploads, in one piece */
  size_t staging_count;
  uint64_t *keys; /* [tokens] for sorting, where the embeddings are trained */
  size_t key_count;
} pass_memory;

struct model_encoder {
  cdl_backend *backend;
  model_config config;
  const model_family_facts *family;
  int labels;
  bool fresh_head, fresh_pooler; /* drawn, not read */
  cdl_buffer *weight_buffer;     /* of the whole model; of a shared body's encoder, of its head */

  model_encoder *base; /* whose body it is; NULL: its own */
  size_t sharers;      /* encoders with this one as their base */
  pass_memory own_memory;
  pass_memory *memory; /* own_memory, or the base's */

  encoder_parameter *parameters;
  size_t parameter_count, head_parameter; /* the first that is not the body's */
  encoder_module *modules;
  size_t module_count;

  encoder_parameter *tables[EMBEDDING_TABLES]; /* NULL: the family has no such table */
  norm_weights embedding_norm;
  projection
      project; /* ELECTRA, embedding_size to hidden_size; of no modules where they are equal */
  block_weights *blocks; /* [layers] */
  projection head_dense; /* BERT: the pooler */
  projection head_out;
  bool merged;
  cdl_tensor states; /* where evaluations leave what the blocks give; or none */

  encoder_batch_limits limits; /* of both plans */

  /* Of the batches loaded last, this encoder leading. */
  model_encoder *members[ENCODER_JOINT_MAX];
  size_t member_count;
  cdl_tensor indices[EMBEDDING_TABLES];                   /* [tokens of all members] */
  bool embeddings_trained, project_reached, body_reached; /* by any member */
  activations act;                                        /* laid out by each load */

  /* Of its own batch, and the passes over it. */
  loaded_batch batch;
  own_activations own;
  bool training;
  encoder_dropout_rates dropout;
  cdl_tensor step;
};

static inline encoder_members encoder_all_members(const model_encoder *leader)
{
  return (encoder_members){leader->members, leader->member_count};
}

static inline int64_t encoder_row_count(const model_encoder *member, encoder_rows rows)
{
  return rows == ROWS_TOKENS ? member->batch.packing.tokens : member->batch.packing.sequences;
}

/* plan.c */

/* Lays the activations of one batch a member, `batches` [count], out in the arena; the elements they
 * take. Without `assign` nothing is changed but the count. */
size_t encoder_lay_out(encoder_members members, const encoder_batch_limits *batches, bool training,
                       bool assign);
/* What the backward pass of these members reaches, into the first one's flags. */
void encoder_find_reach(encoder_members members);
bool encoder_paired(const model_encoder *encoder);
/* Room for what merging replaces. */
cdl_status encoder_reserve_merge(pass_memory *memory, cdl_backend *backend, size_t elements);
void encoder_release_memory(pass_memory *memory);

/* load.c: initial values of a fresh head and pooler, before they are packed. */
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

/* Whether in training the gain's input is another than the frozen path's. */
static inline bool gain_is_parted(const encoder_module *module)
{
  return module_gained(module) && module->delta.dropout > 0 && !module->delta.dropout_hits_base;
}

/* Where the frozen path reads an adapter's dropped input, a stacked weight does not serve. */
static inline bool needs_single(const encoder_module *module)
{
  return drops_base(module) || gain_is_parted(module);
}

/* A member's own module at the place of layer i of the leader's projection `p`; NULL in the head. */
static inline encoder_module *encoder_member_module(const model_encoder *leader,
                                                    const model_encoder *member,
                                                    const projection *p, int i)
{
  return p->module[i] != NULL ? &member->modules[p->module[i] - leader->modules] : NULL;
}

typedef bool module_predicate(const encoder_module *module);

/* Whether it holds for any member's module of a projection. */
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

/* Of a projection in the body, or of one member's head. */
static inline bool projection_trained(encoder_members members, const projection *p)
{
  for (int i = 0; i < p->module_count; i++)
    if (p->bias[i]->trained)
      return true;
  return any_module(members, p, module_adapted) || projection_base_trained(p);
}

static inline bool norm_trained(norm_weights n)
{
  return n.gain->trained || n.bias->trained;
}

#endif
