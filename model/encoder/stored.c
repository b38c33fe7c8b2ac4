/* Parameters whose values lie in the checkpoint's mapped file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/message.h"
#include "model/encoder/layout.h"
#include "model/encoder/state.h"

const char *encoder_canonical_name(const model_encoder *e, const encoder_parameter *p)
{
  const char *prefix = e->family->prefix;
  const size_t n = strlen(prefix);
  return strncmp(p->name, prefix, n) == 0 ? p->name + n : p->name;
}

/* ---- In the file ---- */

/* Biases and norms are small, and those of a projection lie together; heads are trained. */
static bool may_be_stored(const model_encoder *e, const model_checkpoint *checkpoint,
                          const encoder_parameter *p)
{
  const int64_t words = model_checkpoint_config(checkpoint)->vocabulary_size;
  return p < e->parameters + e->head_parameter && p->role == ENCODER_ROLE_WEIGHT &&
         (p != e->tables[EMBEDDING_WORD] || e->config.vocabulary_size == words);
}

static cdl_status map_parameter(const model_encoder *e, const model_checkpoint *checkpoint,
                                encoder_parameter *p)
{
  const void *mapped = model_checkpoint_mapped(checkpoint, encoder_canonical_name(e, p));
  if (mapped == NULL)
    return CDL_STATUS_UNSUPPORTED;
  cdl_buffer *buffer;
  const size_t bytes = (size_t)cdl_tensor_elements(p->value) * sizeof(float);
  CDL_TRY(cdl_buffer_map(e->backend, mapped, bytes, &buffer));
  p->stored = p->value;
  p->stored.buffer = buffer;
  p->stored.offset = 0;
  return CDL_STATUS_OK;
}

static void release(encoder_parameter *p)
{
  cdl_buffer_destroy(p->stored.buffer);
  p->stored = (cdl_tensor){0};
}

cdl_status encoder_store(model_encoder *e, model_checkpoint **checkpoint)
{
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < e->head_parameter; i++)
    if (may_be_stored(e, *checkpoint, &e->parameters[i]))
      status = map_parameter(e, *checkpoint, &e->parameters[i]);
  for (size_t i = 0; i < e->head_parameter; i++)
    if (status != CDL_STATUS_OK)
      release(&e->parameters[i]);
    else if (cdl_tensor_present(e->parameters[i].stored))
      e->parameters[i].value = e->parameters[i].stored;
  if (status == CDL_STATUS_OK) {
    e->source = *checkpoint;
    *checkpoint = NULL;
  }
  if (status != CDL_STATUS_UNSUPPORTED)
    return status;
  base_clear_message();
  return CDL_STATUS_OK;
}

void encoder_release_stored(model_encoder *e)
{
  for (size_t i = 0; e->source != NULL && i < e->head_parameter; i++)
    release(&e->parameters[i]);
  for (size_t i = 0; i < e->own_count; i++)
    cdl_buffer_destroy(e->own_buffers[i]);
  free(e->own_buffers);
  model_checkpoint_close(e->source);
}

cdl_status encoder_check_files(const model_encoder *e)
{
  const model_encoder *base = e->base != NULL ? e->base : e;
  return base->source != NULL ? model_checkpoint_check_files(base->source) : CDL_STATUS_OK;
}

void encoder_discard(const model_encoder *e, const encoder_parameter *p)
{
  const model_encoder *base = e->base != NULL ? e->base : e;
  if (base->source != NULL)
    model_checkpoint_discard(base->source, encoder_canonical_name(e, p));
}

/* ---- Out of it ---- */

static projection *projection_of(model_encoder *e, const encoder_parameter *p)
{
  for (int l = 0; l <= e->config.layers; l++) {
    block_weights *w = l < e->config.layers ? &e->blocks[l] : NULL;
    projection *const all[] = {w != NULL ? &w->qkv : &e->project,
                               w != NULL ? &w->attention_out : NULL,
                               w != NULL ? &w->intermediate : NULL, w != NULL ? &w->output : NULL};
    for (size_t k = 0; k < sizeof all / sizeof all[0] && all[k] != NULL; k++)
      for (int i = 0; i < all[k]->module_count; i++)
        if (all[k]->weight[i] == p)
          return all[k];
  }
  return NULL;
}

static cdl_status remake(cdl_queue *q, const cdl_tensor *sources, size_t count, cdl_weight **weight)
{
  cdl_weight *made;
  CDL_TRY(cdl_weight_create(q, sources, count, &made));
  cdl_weight_destroy(*weight);
  *weight = made;
  return CDL_STATUS_OK;
}

/* The backend's weights refer to their sources. */
static cdl_status remake_weights(cdl_queue *q, projection *p)
{
  cdl_tensor sources[MODULES_PER_PROJECTION];
  for (int i = 0; i < p->module_count; i++) {
    sources[i] = p->weight[i]->value;
    if (p->own.single[i] != NULL)
      CDL_TRY(remake(q, &sources[i], 1, &p->own.single[i]));
  }
  return remake(q, sources, (size_t)p->module_count, &p->own.stacked);
}

/* Where the copies of modules of one kind lie in a new buffer. */
typedef struct {
  int64_t offset, step; /* of layer 0 (outside the buffer if no copy is of that layer); a layer's */
} kind_place;

static encoder_module *module_of(const model_encoder *e, const encoder_parameter *p)
{
  for (size_t i = 0; i < e->module_count; i++)
    if (e->modules[i].parameter == p)
      return &e->modules[i];
  return NULL;
}

/* Lays out the copies of all modules of a kind. */
static kind_place place_kind(const model_encoder *e, encoder_parameter *const *list, size_t count,
                             int kind, int64_t *used)
{
  kind_place place = {0};
  int first = 0, end = 0;
  for (size_t i = 0; i < count; i++) {
    const encoder_module *m = module_of(e, list[i]);
    if (m == NULL || m->layer < 0 || (int)m->kind != kind)
      continue;
    place.step = encoder_aligned(cdl_tensor_elements(list[i]->value));
    first = end == 0 || m->layer < first ? m->layer : first;
    end = m->layer >= end ? m->layer + 1 : end;
  }
  place.offset = *used - first * place.step;
  *used += (end - first) * place.step;
  return place;
}

static void set_value(model_encoder *e, encoder_parameter *p, cdl_tensor value)
{
  encoder_module *m = module_of(e, p);
  p->value = value;
  if (m != NULL)
    m->weight = value;
}

/* Copies parameters of an encoder that owns its body to the places in `to`. */
static cdl_status copy_out(model_encoder *e, cdl_queue *q, encoder_parameter *const *list,
                           const cdl_tensor *to, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    cdl_copy(q, CDL_ARGS(copy, .out = to[i], .x = list[i]->value));
    set_value(e, list[i], to[i]);
    encoder_discard(e, list[i]);
  }
  for (size_t i = 0; i < count; i++) {
    projection *holder = projection_of(e, list[i]);
    if (holder != NULL)
      CDL_TRY(remake_weights(q, holder));
  }
  return cdl_queue_status(q);
}

/* Makes a buffer for copies and gives their places in it. */
static cdl_status make_room(model_encoder *e, encoder_parameter *const *list, cdl_tensor *to,
                            size_t count)
{
  kind_place places[MODEL_MODULES_PER_BLOCK];
  int64_t used = 0;
  for (int k = 0; k < MODEL_MODULES_PER_BLOCK; k++)
    places[k] = place_kind(e, list, count, k, &used);
  for (size_t i = 0; i < count; i++) {
    const encoder_module *m = module_of(e, list[i]);
    to[i] = list[i]->value;
    to[i].offset = used;
    if (m != NULL && m->layer >= 0)
      to[i].offset = places[m->kind].offset + m->layer * places[m->kind].step;
    else
      used += encoder_aligned(cdl_tensor_elements(to[i]));
  }
  cdl_buffer **buffers = realloc(e->own_buffers, (e->own_count + 1) * sizeof *buffers);
  if (buffers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: copies of weights");
  e->own_buffers = buffers;
  CDL_TRY(cdl_buffer_create(e->backend, (size_t)used * sizeof(float), &buffers[e->own_count]));
  for (size_t i = 0; i < count; i++)
    to[i].buffer = buffers[e->own_count];
  e->own_count++;
  return CDL_STATUS_OK;
}

static cdl_status own(model_encoder *e, cdl_queue *q, encoder_parameter **list, size_t count)
{
  cdl_tensor *to = calloc(count + 1, sizeof *to);
  cdl_status status =
      to != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: copies of weights");
  if (status == CDL_STATUS_OK && count > 0)
    status = make_room(e, list, to, count);
  if (status == CDL_STATUS_OK)
    status = copy_out(e, q, list, to, count);
  free(to);
  return status;
}

cdl_status encoder_own(model_encoder *e, cdl_queue *q, encoder_parameter *const *parameters,
                       size_t count, bool written)
{
  model_encoder *base = e->base != NULL ? e->base : e;
  encoder_parameter **list = calloc(count + 1, sizeof *list);
  size_t found = 0;
  if (list == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: copies of weights");
  for (size_t i = 0; i < count; i++) {
    encoder_parameter *of_base = &base->parameters[parameters[i] - e->parameters];
    if (parameter_in_file(of_base))
      list[found++] = of_base;
  }
  const cdl_status status = own(base, q, list, found);
  free(list);
  CDL_TRY(status);
  for (size_t i = 0; i < count; i++) {
    if (parameters[i]->shared)
      set_value(e, parameters[i], base->parameters[parameters[i] - e->parameters].value);
    else if (written)
      release(parameters[i]);
  }
  return CDL_STATUS_OK;
}

/* A buffer goes with its last copy. */
static bool is_used(const model_encoder *e, const cdl_buffer *buffer)
{
  for (size_t i = 0; i < e->head_parameter; i++)
    if (e->parameters[i].value.buffer == buffer)
      return true;
  return false;
}

static cdl_status put_back(model_encoder *e, cdl_queue *q)
{
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < e->head_parameter; i++) {
    encoder_parameter *p = &e->parameters[i];
    if (!cdl_tensor_present(p->stored) || parameter_in_file(p))
      continue;
    projection *holder = projection_of(e, p);
    set_value(e, p, p->stored);
    if (holder != NULL && status == CDL_STATUS_OK)
      status = remake_weights(q, holder);
  }
  return status;
}

/* Without memory for a queue the copies stay. */
static cdl_status put_back_with_queue(model_encoder *e)
{
  cdl_queue *queue;
  CDL_TRY(cdl_queue_create(e->backend, &queue));
  const cdl_status status = put_back(e, queue);
  cdl_queue_destroy(queue);
  return status;
}

void encoder_drop_copies(model_encoder *e)
{
  enum { MESSAGE_BYTES = 1024 };
  char message[MESSAGE_BYTES]; /* of what failed before, for this is also called to clean up */
  size_t kept = 0;
  if (e->own_count == 0 || e->base != NULL || e->merged)
    return;
  snprintf(message, sizeof message, "%s", cdl_error_message());
  const cdl_status status = put_back_with_queue(e);
  cdl_fail(status, "%s", message);
  for (size_t i = 0; i < e->own_count; i++)
    if (status == CDL_STATUS_OK && !is_used(e, e->own_buffers[i]))
      cdl_buffer_destroy(e->own_buffers[i]);
    else
      e->own_buffers[kept++] = e->own_buffers[i];
  e->own_count = kept;
}
