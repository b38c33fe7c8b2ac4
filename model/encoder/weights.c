/* An encoder's weights. They are in one buffer, with the same layout for every block, so that a
 * batched GEMM can run over the layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder/layout.h"
#include "model/encoder/state.h"

typedef struct {
  model_encoder *encoder;
  int64_t used; /* in elements */
} builder;

/* name = prefix + last. The longest name has about 60 characters. */
static void join(char name[MODEL_NAME_BYTES], const char *prefix, const char *last)
{
  size_t n = strlen(prefix), m = strlen(last);
  n = n < MODEL_NAME_BYTES ? n : MODEL_NAME_BYTES - 1;
  m = n + m < MODEL_NAME_BYTES ? m : MODEL_NAME_BYTES - 1 - n;
  memmove(name, prefix, n);
  memcpy(name + n, last, m);
  name[n + m] = '\0';
}

/* `columns` 0 makes a vector. The buffer is set once the sum of all sizes is known. */
static encoder_parameter *add_parameter(builder *b, encoder_parameter_role role, int64_t rows,
                                        int64_t columns, const char *prefix, const char *name)
{
  encoder_parameter *p = &b->encoder->parameters[b->encoder->parameter_count++];
  *p = (encoder_parameter){.dimensions = columns > 0 ? 2 : 1, .role = role, .lr_scale = 1};
  join(p->name, prefix, name);
  p->value = columns > 0 ? cdl_tensor_2d(NULL, CDL_DTYPE_F32, b->used, rows, columns)
                         : cdl_tensor_1d(NULL, CDL_DTYPE_F32, b->used, rows);
  b->used += cdl_tensor_elements(p->value);
  return p;
}

static void align(builder *b)
{
  b->used = encoder_aligned(b->used);
}

static norm_weights add_norm(builder *b, int64_t size, const char *prefix, const char *name)
{
  char path[MODEL_NAME_BYTES];
  join(path, prefix, name);
  join(path, path, ".");
  align(b);
  norm_weights n = {.gain = add_parameter(b, ENCODER_ROLE_NORM, size, 0, path, "weight")};
  align(b);
  n.bias = add_parameter(b, ENCODER_ROLE_NORM, size, 0, path, "bias");
  return n;
}

static encoder_module *add_module(builder *b, const char *prefix, const char *name, int layer,
                                  model_module_kind kind)
{
  encoder_module *module = &b->encoder->modules[b->encoder->module_count++];
  *module = (encoder_module){.layer = layer, .kind = kind};
  join(module->path, prefix, name);
  return module;
}

/* Stacks the weights of a projection, and its biases, so that a backend may read them in place. */
static void add_projection(builder *b, projection *p, const char *prefix, const char *const *names,
                           int count, int64_t out, int64_t in)
{
  p->module_count = count;
  p->packed = &p->own;
  align(b);
  for (int i = 0; i < count; i++) {
    char path[MODEL_NAME_BYTES];
    join(path, prefix, names[i]);
    join(path, path, ".");
    p->weight[i] = add_parameter(b, ENCODER_ROLE_WEIGHT, out, in, path, "weight");
  }
  align(b);
  for (int i = 0; i < count; i++) {
    char path[MODEL_NAME_BYTES];
    join(path, prefix, names[i]);
    join(path, path, ".");
    p->bias[i] = add_parameter(b, ENCODER_ROLE_BIAS, out, 0, path, "bias");
  }
}

static void add_block(builder *b, int layer)
{
  model_encoder *e = b->encoder;
  block_weights *w = &e->blocks[layer];
  const int64_t hidden = e->config.hidden_size, intermediate = e->config.intermediate_size;
  const model_block_names *names = e->family->block;
  char prefix[MODEL_NAME_BYTES], place[32];
  snprintf(place, sizeof place, "%s%d.", names->layers, layer);
  join(prefix, e->family->prefix, place);

  const char *const *path = names->paths;
  add_projection(b, &w->qkv, prefix, path + MODEL_QUERY, 3, hidden, hidden);
  add_projection(b, &w->attention_out, prefix, path + MODEL_ATTENTION_OUT, 1, hidden, hidden);
  w->attention_norm = add_norm(b, hidden, prefix, names->attention_norm);
  add_projection(b, &w->intermediate, prefix, path + MODEL_INTERMEDIATE, 1, intermediate, hidden);
  add_projection(b, &w->output, prefix, path + MODEL_OUTPUT, 1, hidden, intermediate);
  w->output_norm = add_norm(b, hidden, prefix, names->output_norm);
  align(b);

  encoder_module *modules[MODEL_MODULES_PER_BLOCK];
  for (int i = 0; i < MODEL_MODULES_PER_BLOCK; i++)
    modules[i] = add_module(b, prefix, path[i], layer, (model_module_kind)i);
  for (int i = 0; i < 3; i++)
    w->qkv.module[i] = modules[MODEL_QUERY + i];
  w->attention_out.module[0] = modules[MODEL_ATTENTION_OUT];
  w->intermediate.module[0] = modules[MODEL_INTERMEDIATE];
  w->output.module[0] = modules[MODEL_OUTPUT];
}

static void add_embeddings(builder *b)
{
  model_encoder *e = b->encoder;
  const model_config *c = &e->config;
  const int64_t width = c->embedding_size;
  char prefix[MODEL_NAME_BYTES];
  join(prefix, e->family->prefix, "embeddings.");
  e->tables[EMBEDDING_WORD] = add_parameter(b, ENCODER_ROLE_WEIGHT, c->vocabulary_size, width,
                                            prefix, "word_embeddings.weight");
  align(b);
  e->tables[EMBEDDING_POSITION] = add_parameter(b, ENCODER_ROLE_WEIGHT, c->position_count, width,
                                                prefix, "position_embeddings.weight");
  align(b);
  if (e->family->types)
    e->tables[EMBEDDING_TYPE] = add_parameter(b, ENCODER_ROLE_WEIGHT, c->type_count, width, prefix,
                                              "token_type_embeddings.weight");
  e->embedding_norm = add_norm(b, width, prefix, "LayerNorm");
  static const char *const project[] = {"embeddings_project"};
  if (width != c->hidden_size)
    add_projection(b, &e->project, e->family->prefix, project, 1, c->hidden_size, width);
  align(b);
}

static void add_distance_table(builder *b)
{
  model_encoder *e = b->encoder;
  if (e->family->distance_bias == NULL)
    return;
  /* Transformers' Trainer spares it from weight decay, like everything that is called a bias. */
  e->distance_table = add_parameter(b, ENCODER_ROLE_BIAS, e->config.distance_buckets,
                                    e->config.heads, e->family->prefix, e->family->distance_bias);
  align(b);
}

/* A pooler belongs to the body and can be adapted; any other first layer belongs to the head. */
static void add_head(builder *b)
{
  model_encoder *e = b->encoder;
  const int64_t hidden = e->config.hidden_size;
  const model_family_facts *f = e->family;
  e->head_parameter = e->parameter_count;
  add_projection(b, &e->head_dense, f->pooler ? f->prefix : "", &f->head_dense, 1, hidden, hidden);
  add_projection(b, &e->head_out, "", &f->head_out, 1, e->labels, hidden);
  if (e->project.module_count > 0)
    e->project.module[0] =
        add_module(b, f->prefix, "embeddings_project", -1, MODEL_MODULES_PER_BLOCK);
  if (f->pooler)
    e->head_dense.module[0] = add_module(b, f->prefix, f->head_dense, -1, MODEL_MODULES_PER_BLOCK);
}

/* `base` is the same projection with packed weights; NULL if it is not packed yet. */
static cdl_status finish_projection(cdl_queue *q, projection *p, projection *base)
{
  cdl_tensor sources[MODULES_PER_PROJECTION];
  for (int i = 0; i < p->module_count; i++) {
    sources[i] = p->weight[i]->value;
    if (p->module[i] != NULL) {
      p->module[i]->weight = p->weight[i]->value;
      p->module[i]->parameter = p->weight[i];
    }
  }
  p->stacked_bias = p->bias[0]->value;
  p->stacked_bias.size[3] *= p->module_count;
  if (base != NULL) {
    p->packed = base->packed;
    return CDL_STATUS_OK;
  }
  return cdl_weight_create(q, sources, (size_t)p->module_count, &p->own.stacked);
}

/* Lists parameters and modules without their memory, and returns the elements that they need. */
static cdl_status list_parts(model_encoder *e, int64_t *elements)
{
  enum { PARAMETERS_PER_BLOCK = 16, PARAMETERS_OUTSIDE = 8 + 4, MODULES_OUTSIDE = 2 };
  const size_t layers = (size_t)e->config.layers,
               modules = layers * MODEL_MODULES_PER_BLOCK + MODULES_OUTSIDE;
  e->parameters = calloc(layers * PARAMETERS_PER_BLOCK + PARAMETERS_OUTSIDE, sizeof *e->parameters);
  e->modules = calloc(modules, sizeof *e->modules);
  e->blocks = calloc(layers, sizeof *e->blocks);
  e->act.block = calloc(layers, sizeof *e->act.block);
  e->own.log_sum = calloc(layers, sizeof *e->own.log_sum);
  e->own.module = calloc(modules, sizeof *e->own.module);
  if (e->parameters == NULL || e->modules == NULL || e->blocks == NULL || e->act.block == NULL ||
      e->own.log_sum == NULL || e->own.module == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an encoder of %zu layers", layers);

  builder b = {.encoder = e};
  add_embeddings(&b);
  for (int l = 0; l < e->config.layers; l++)
    add_block(&b, l);
  add_distance_table(&b);
  add_head(&b);
  *elements = b.used;
  return CDL_STATUS_OK;
}

static cdl_status finish_body(model_encoder *e, cdl_queue *q, model_encoder *base)
{
  if (base != NULL)
    e->distances = base->distances;
  else if (e->distance_table != NULL)
    CDL_TRY(encoder_distances_create(q, &e->distance_buffer, &e->distances));
  for (int l = 0; l < e->config.layers; l++) {
    block_weights *w = &e->blocks[l], *of_base = base != NULL ? &base->blocks[l] : NULL;
    CDL_TRY(finish_projection(q, &w->qkv, of_base != NULL ? &of_base->qkv : NULL));
    CDL_TRY(
        finish_projection(q, &w->attention_out, of_base != NULL ? &of_base->attention_out : NULL));
    CDL_TRY(
        finish_projection(q, &w->intermediate, of_base != NULL ? &of_base->intermediate : NULL));
    CDL_TRY(finish_projection(q, &w->output, of_base != NULL ? &of_base->output : NULL));
  }
  return e->project.module_count > 0
             ? finish_projection(q, &e->project, base != NULL ? &base->project : NULL)
             : CDL_STATUS_OK;
}

/* ---- Biases in BF16, beside BF16 activations ---- */

static void place_bias(projection *p, cdl_buffer *buffer, int64_t *used)
{
  const int64_t count = p->stacked_bias.size[3];
  if (buffer != NULL)
    p->own.bias = cdl_tensor_1d(buffer, CDL_DTYPE_BF16, *used, count);
  *used += 2 * encoder_aligned(count);
}

/* Returns the elements of all. Without a buffer it only counts. */
static int64_t place_biases(model_encoder *e, cdl_buffer *buffer)
{
  int64_t used = 0;
  for (int l = 0; l < e->config.layers; l++) {
    block_weights *w = &e->blocks[l];
    place_bias(&w->qkv, buffer, &used);
    place_bias(&w->attention_out, buffer, &used);
    place_bias(&w->intermediate, buffer, &used);
    place_bias(&w->output, buffer, &used);
  }
  if (e->project.module_count > 0)
    place_bias(&e->project, buffer, &used);
  return used;
}

/* Their values come with encoder_weights_changed. */
static cdl_status make_narrow_biases(model_encoder *e)
{
  const size_t bytes = (size_t)place_biases(e, NULL) * cdl_dtype_bytes(CDL_DTYPE_BF16);
  CDL_TRY(cdl_buffer_create(e->backend, bytes, &e->bias_buffer));
  place_biases(e, e->bias_buffer);
  return CDL_STATUS_OK;
}

static cdl_status finish_head(model_encoder *e, cdl_queue *q)
{
  CDL_TRY(finish_projection(q, &e->head_dense, NULL));
  return finish_projection(q, &e->head_out, NULL);
}

/* Moves together what does not lie in a file; neighbours stay neighbours. Returns the elements of
 * all. */
static int64_t place_others(model_encoder *e)
{
  int64_t used = 0, moved = 0;
  bool follows = false;
  for (size_t i = 0; i < e->parameter_count; i++) {
    encoder_parameter *p = &e->parameters[i];
    if (!parameter_in_file(p)) {
      moved = follows ? moved : encoder_aligned(used) - p->value.offset;
      p->value.offset += moved;
      used = p->value.offset + cdl_tensor_elements(p->value);
    }
    follows = !parameter_in_file(p);
  }
  return used;
}

static cdl_status build(model_encoder *e, cdl_queue *q, model_checkpoint **checkpoint)
{
  int64_t elements;
  CDL_TRY(list_parts(e, &elements));
  if (checkpoint != NULL)
    CDL_TRY(encoder_store(e, checkpoint));
  elements = place_others(e);
  const cdl_status room =
      cdl_buffer_create(e->backend, (size_t)elements * sizeof(float), &e->weight_buffer);
  if (room == CDL_STATUS_MEMORY)
    return cdl_context(room, "the model's weights do not fit the device");
  CDL_TRY(room);
  for (size_t i = 0; i < e->parameter_count; i++)
    if (!parameter_in_file(&e->parameters[i]))
      e->parameters[i].value.buffer = e->weight_buffer;
  CDL_TRY(finish_body(e, q, NULL));
  e->takes_narrow = encoder_takes_narrow(e);
  if (e->takes_narrow)
    CDL_TRY(make_narrow_biases(e));
  return finish_head(e, q);
}

static model_encoder *allocate(cdl_queue *queue)
{
  model_encoder *e = calloc(1, sizeof *e);
  if (e == NULL)
    return NULL;
  e->backend = cdl_queue_backend(queue);
  e->memory = &e->own_memory;
  e->members[0] = e;
  e->member_count = 1;
  return e;
}

/* The encoder owns the names; encoders that share its body borrow them. */
static cdl_status copy_label_names(model_config *copy, const model_config *config)
{
  copy->label_names = NULL;
  if (config->label_names == NULL)
    return CDL_STATUS_OK;
  copy->label_names = calloc((size_t)config->label_count, sizeof *copy->label_names);
  bool whole = copy->label_names != NULL;
  for (int64_t i = 0; whole && i < config->label_count; i++) {
    copy->label_names[i] = strdup(config->label_names[i]);
    whole = copy->label_names[i] != NULL;
  }
  return whole ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: an encoder");
}

cdl_status encoder_create(cdl_queue *queue, const model_config *config, int labels,
                          model_encoder **encoder)
{
  return encoder_create_over(queue, config, labels, NULL, encoder);
}

cdl_status encoder_create_over(cdl_queue *queue, const model_config *config, int labels,
                               model_checkpoint **checkpoint, model_encoder **encoder)
{
  *encoder = NULL;
  if (labels < 1)
    return cdl_fail(CDL_STATUS_ARGUMENT, "an encoder has at least one label, not %d", labels);
  model_encoder *e = allocate(queue);
  if (e == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an encoder");
  e->config = *config;
  cdl_status status = copy_label_names(&e->config, config);
  if (e->config.embedding_size == 0)
    e->config.embedding_size = config->hidden_size;
  e->family = model_family_of(config->family);
  e->labels = labels;
  if (status == CDL_STATUS_OK)
    status = build(e, queue, checkpoint);
  if (status != CDL_STATUS_OK) {
    encoder_destroy(e);
    return status;
  }
  *encoder = e;
  return CDL_STATUS_OK;
}

/* ---- Encoders that share a body ---- */

/* The body's tensors are those of the base; the head's are in a buffer of this encoder. */
static cdl_status share_parts(model_encoder *e, cdl_queue *q, uint64_t seed)
{
  model_encoder *base = e->base;
  int64_t elements;
  CDL_TRY(list_parts(e, &elements));
  const int64_t first = e->parameters[e->head_parameter].value.offset;
  CDL_TRY(
      cdl_buffer_create(e->backend, (size_t)(elements - first) * sizeof(float), &e->weight_buffer));
  for (size_t i = 0; i < e->parameter_count; i++) {
    encoder_parameter *p = &e->parameters[i];
    if (i < e->head_parameter) {
      p->value = base->parameters[i].value;
      p->stored = base->parameters[i].stored;
      p->shared = true;
      continue;
    }
    p->value.buffer = e->weight_buffer;
    p->value.offset -= first;
    cdl_copy(q, CDL_ARGS(copy, .out = p->value, .x = base->parameters[i].value));
  }
  CDL_TRY(encoder_draw_fresh(e, q, seed));
  CDL_TRY(finish_body(e, q, base));
  return finish_head(e, q);
}

cdl_status encoder_share(cdl_queue *queue, model_encoder *base, uint64_t seed,
                         model_encoder **encoder)
{
  *encoder = NULL;
  model_encoder *e = allocate(queue);
  if (e == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an encoder");
  while (base->base != NULL)
    base = base->base;
  e->base = base;
  base->sharers++;
  e->memory = base->memory;
  e->config = base->config;
  e->family = base->family;
  e->takes_narrow = base->takes_narrow;
  e->labels = base->labels;
  e->fresh_head = base->fresh_head;
  e->fresh_pooler = base->fresh_pooler;
  const cdl_status status = share_parts(e, queue, seed);
  if (status != CDL_STATUS_OK) {
    encoder_destroy(e);
    return status;
  }
  *encoder = e;
  return CDL_STATUS_OK;
}

bool encoder_same_body(const model_encoder *a, const model_encoder *b)
{
  return (a->base != NULL ? a->base : a) == (b->base != NULL ? b->base : b);
}

static void release_packed(projection *p)
{
  cdl_weight_destroy(p->own.stacked);
  for (int i = 0; i < MODULES_PER_PROJECTION; i++)
    cdl_weight_destroy(p->own.single[i]);
}

void encoder_destroy(model_encoder *e)
{
  if (e == NULL)
    return;
  for (int l = 0; e->blocks != NULL && l < e->config.layers; l++) {
    release_packed(&e->blocks[l].qkv);
    release_packed(&e->blocks[l].attention_out);
    release_packed(&e->blocks[l].intermediate);
    release_packed(&e->blocks[l].output);
  }
  release_packed(&e->project);
  release_packed(&e->head_dense);
  release_packed(&e->head_out);
  encoder_release_stored(e);
  cdl_buffer_destroy(e->weight_buffer);
  cdl_buffer_destroy(e->bias_buffer);
  cdl_buffer_destroy(e->distance_buffer);
  if (e->base == NULL) {
    encoder_release_memory(&e->own_memory);
    model_config_release(&e->config);
  } else if (--e->base->sharers == 0)
    encoder_release_plan(e->base);
  free(e->act.block);
  free(e->own.log_sum);
  free(e->own.module);
  free(e->blocks);
  free(e->modules);
  free(e->parameters);
  free(e);
}

const model_config *encoder_config(const model_encoder *encoder)
{
  return &encoder->config;
}

int encoder_labels(const model_encoder *encoder)
{
  return encoder->labels;
}

size_t encoder_parameter_count(const model_encoder *encoder)
{
  return encoder->parameter_count;
}

encoder_parameter *encoder_parameters(model_encoder *encoder)
{
  return encoder->parameters;
}

size_t encoder_module_count(const model_encoder *encoder)
{
  return encoder->module_count;
}

encoder_module *encoder_modules(model_encoder *encoder)
{
  return encoder->modules;
}

static void update_projection(cdl_queue *q, projection *p, bool trained_only)
{
  if (trained_only && !projection_base_trained(p))
    return;
  cdl_weight_update(q, p->packed->stacked);
  if (cdl_tensor_present(p->packed->bias))
    cdl_cast(q, CDL_ARGS(cast, .out = p->packed->bias, .x = p->stacked_bias));
  for (int i = 0; i < p->module_count; i++)
    if (p->packed->single[i] != NULL)
      cdl_weight_update(q, p->packed->single[i]);
}

void encoder_weights_changed(model_encoder *e, cdl_queue *q, bool trained_only)
{
  for (int l = 0; l < e->config.layers; l++) {
    update_projection(q, &e->blocks[l].qkv, trained_only);
    update_projection(q, &e->blocks[l].attention_out, trained_only);
    update_projection(q, &e->blocks[l].intermediate, trained_only);
    update_projection(q, &e->blocks[l].output, trained_only);
  }
  if (e->project.module_count > 0)
    update_projection(q, &e->project, trained_only);
  update_projection(q, &e->head_dense, trained_only);
  update_projection(q, &e->head_out, trained_only);
}

static void update_adapted(cdl_queue *q, projection *p)
{
  bool adapted = false;
  for (int i = 0; i < p->module_count; i++)
    adapted = adapted || module_adapted(p->module[i]);
  if (adapted)
    update_projection(q, p, false);
}

void encoder_adapted_changed(model_encoder *e, cdl_queue *q)
{
  for (int l = 0; l < e->config.layers; l++) {
    update_adapted(q, &e->blocks[l].qkv);
    update_adapted(q, &e->blocks[l].attention_out);
    update_adapted(q, &e->blocks[l].intermediate);
    update_adapted(q, &e->blocks[l].output);
  }
  update_adapted(q, &e->project);
  update_adapted(q, &e->head_dense);
}
