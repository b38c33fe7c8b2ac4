/* The encoder's own view of itself: weights, activations and the loaded batch. Private to
 * encoder*.c. */
#ifndef CONDLORA_MODEL_ENCODER_STATE_H
#define CONDLORA_MODEL_ENCODER_STATE_H

#include "condlora/encoder.h"
#include "model/family.h"

enum { SITES_PER_PROJECTION = 3 };

/* One or several linear layers with the same input, computed as one: query, key and value, or a
 * single one. */
typedef struct {
  int site_count;
  cdl_parameter *weight[SITES_PER_PROJECTION], *bias[SITES_PER_PROJECTION];
  cdl_site *site[SITES_PER_PROJECTION];     /* NULL where no adapter can reach (the head) */
  cdl_tensor stacked_bias;                  /* [Σ out] */
  cdl_weight *stacked;                      /* [Σ out, in] */
  cdl_weight *single[SITES_PER_PROJECTION]; /* made only where needs_single says so */
} projection;

typedef struct {
  cdl_parameter *gain, *bias;
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
} site_activations;

/* Rows are the batch's tokens; in the last block, from `attended` on, only each sequence's first
 * token: nothing reads the others. */
typedef struct {
  cdl_tensor in;       /* [tokens, hidden] */
  cdl_tensor qkv;      /* [tokens, 3 hidden] */
  cdl_tensor log_sum;  /* [heads, tokens] */
  cdl_tensor context;  /* [tokens, hidden] */
  cdl_tensor residual; /* [rows, hidden] `in`, or its first tokens */
  cdl_tensor selected; /* [rows, hidden] `context`, or its first tokens */
  norm_activations attention_norm;
  cdl_tensor normed;         /* [rows, hidden] */
  cdl_tensor pre, activated; /* [rows, intermediate] */
  norm_activations output_norm;
  cdl_tensor out; /* [rows, hidden] */
  site_activations site[CDL_SITES_PER_BLOCK];
} block_activations;

typedef struct {
  cdl_tensor embedded_sum, mean, rstd; /* of the embeddings' layer norm: [tokens, embedding], … */
  cdl_tensor embedded;                 /* [tokens, embedding], where it is projected */
  site_activations project;
  block_activations *block;                  /* [layers] */
  cdl_tensor head_input, pooled_pre, pooled; /* [sequences, hidden] */
  site_activations head_dense;
  cdl_tensor logits, d_logits; /* [sequences, labels] */
  /* Scratch of the backward pass. */
  cdl_tensor d_hidden, d_branch; /* [tokens, hidden] */
  cdl_tensor d_first, d_rows;    /* [sequences, hidden] */
  cdl_tensor d_wide;             /* [tokens, intermediate] */
  cdl_tensor d_qkv;              /* [tokens, 3 hidden] */
  cdl_tensor d_embedded;         /* [tokens, embedding], where it is projected */
  cdl_tensor d_pooled;           /* [sequences, hidden] */
  /* Scratch of adapter dropout: an adapter's input and its gradient. */
  cdl_tensor dropped, d_dropped; /* [tokens, the widest adapted input] */
  cdl_tensor gained;             /* [tokens, the widest projection with a gain] */
  cdl_tensor spread;             /* [tokens, the widest input with a pair] */
} activations;

/* The plan by which a gradient is added to an embedding table's rows: see scatter_add_rows. */
typedef struct {
  cdl_tensor order, segment, target;
} scatter_plan;

typedef struct {
  cdl_packing packing;
  cdl_tensor ids, positions, types; /* [tokens] */
  cdl_tensor first_rows;            /* [sequences] the row of each sequence's first token */
  /* Where there are pairs: for each token the row of its sequence's first one, [tokens], and the
   * rows of all sequences, counted up. */
  cdl_tensor own_first_rows, own_rows;
  scatter_plan words, places, kinds, firsts;
} loaded_batch;

enum { EMBEDDING_WORD, EMBEDDING_POSITION, EMBEDDING_TYPE, EMBEDDING_TABLES };

struct cdl_encoder {
  cdl_backend *backend;
  cdl_model_config config;
  const cdl_family_facts *family;
  int labels;
  cdl_buffer *weight_buffer, *merge_buffer, *arena, *batch_buffer;

  cdl_parameter *parameters;
  size_t parameter_count;
  cdl_site *sites;
  size_t site_count;

  cdl_parameter *tables[EMBEDDING_TABLES]; /* NULL: the family has no such table */
  norm_weights embedding_norm;
  projection project; /* ELECTRA, embedding_size to hidden_size; of no sites where they are equal */
  block_weights *blocks; /* [layers] */
  projection head_dense; /* BERT: the pooler */
  projection head_out;
  bool merged, embeddings_trained, project_reached, body_reached, paired;

  cdl_batch_limits limits; /* of both plans */
  activations act;         /* laid out anew for each batch */
  int32_t *staging;        /* what load_batch uploads, in one piece */
  size_t staging_count;
  uint64_t *keys; /* [tokens] for sorting, where the embeddings are trained */
  loaded_batch batch;

  /* Of the forward pass under way or just done. */
  bool training;
  cdl_dropout_rates dropout;
  cdl_tensor step;
};

/* encoder_plan.c: lays the activations of a batch out in the arena; the elements they take.
 * Without `assign` nothing is changed but the count. */
size_t encoder_lay_out(cdl_encoder *encoder, cdl_batch_limits batch, bool training, bool assign);

static inline bool site_adapted(const cdl_site *site)
{
  return site != NULL && cdl_present(site->delta.a);
}

static inline bool drops_base(const cdl_site *site)
{
  return site_adapted(site) && site->delta.dropout > 0 && site->delta.dropout_hits_base;
}

static inline bool site_gained(const cdl_site *site)
{
  return site_adapted(site) && cdl_present(site->delta.gain);
}

/* Whether in training the gain's input is another than the frozen path's. */
static inline bool gain_is_parted(const cdl_site *site)
{
  return site_gained(site) && site->delta.dropout > 0 && !site->delta.dropout_hits_base;
}

/* Where the frozen path reads an adapter's dropped input, a stacked weight does not serve. */
static inline bool needs_single(const cdl_site *site)
{
  return drops_base(site) || gain_is_parted(site);
}

static inline bool projection_gained(const projection *p)
{
  for (int i = 0; i < p->site_count; i++)
    if (site_gained(p->site[i]))
      return true;
  return false;
}

static inline bool projection_adapted(const projection *p)
{
  for (int i = 0; i < p->site_count; i++)
    if (site_adapted(p->site[i]))
      return true;
  return false;
}

static inline bool projection_base_trained(const projection *p)
{
  for (int i = 0; i < p->site_count; i++)
    if (p->weight[i]->trained)
      return true;
  return false;
}

static inline bool projection_trained(const projection *p)
{
  for (int i = 0; i < p->site_count; i++)
    if (p->bias[i]->trained)
      return true;
  return projection_adapted(p) || projection_base_trained(p);
}

static inline bool norm_trained(norm_weights n)
{
  return n.gain->trained || n.bias->trained;
}

#endif
