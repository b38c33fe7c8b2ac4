#include "model/files/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/path.h"
#include "condlora/log.h"
#include "model/files/family.h"
#include "model/files/stored.h"

enum { NAME_BYTES = 96, ANY_SIZE = -1 };
enum { SAMPLES_MOST = 16, SAMPLE_BYTES = 64 };
enum { LEFT_OUT_NAMED = 4, LEFT_OUT_BYTES = 256 };

typedef enum { PART_BODY, PART_POOLER, PART_HEAD, PART_COUNT } part;

/* A tensor that this kind of model has, and its place in the file, if it is stored. */
typedef struct {
  char name[NAME_BYTES];
  part part;
  uint32_t rank;
  int64_t shape[2]; /* ANY_SIZE: the head's number of labels */
  const cdl_stored_tensor *stored;
} slot;

struct model_checkpoint {
  char *folder;
  model_config own_config;
  const model_config *config; /* own_config, or the caller's */
  cdl_safetensors *file;
  slot *slots; /* sorted by name */
  size_t slot_count;
  bool has[PART_COUNT];
  size_t left_out; /* tensors outside the encoder that are not read, and the name of the first */
  char left_out_names[LEFT_OUT_BYTES];
};

/* ---- What the model consists of ---- */

typedef struct {
  model_checkpoint *checkpoint;
  const model_family_facts *family;
  part part;
  char module[NAME_BYTES - 32]; /* the start of the next names */
} builder;

static void add(builder *b, const char *name, uint32_t rank, int64_t rows, int64_t columns)
{
  slot *made = &b->checkpoint->slots[b->checkpoint->slot_count++];
  *made = (slot){.part = b->part, .rank = rank, .shape = {rows, columns}};
  snprintf(made->name, sizeof made->name, "%s.%s", b->module, name);
}

static void begin_module(builder *b, const char *module)
{
  snprintf(b->module, sizeof b->module, "%s", module);
}

static void begin_layer_module(builder *b, int64_t layer, const char *module)
{
  snprintf(b->module, sizeof b->module, "%s%" PRId64 ".%s", b->family->block->layers, layer,
           module);
}

static void add_linear(builder *b, int64_t out, int64_t in)
{
  add(b, "weight", 2, out, in);
  add(b, "bias", 1, out, 0);
}

static void add_norm(builder *b, int64_t size)
{
  add(b, "weight", 1, size, 0);
  add(b, "bias", 1, size, 0);
}

static void add_embeddings(builder *b, const model_config *config)
{
  const int64_t width = config->embedding_size;
  begin_module(b, "embeddings");
  add(b, "word_embeddings.weight", 2, config->vocabulary_size, width);
  add(b, "position_embeddings.weight", 2, config->position_count, width);
  if (b->family->types)
    add(b, "token_type_embeddings.weight", 2, config->type_count, width);
  begin_module(b, "embeddings.LayerNorm");
  add_norm(b, width);
  if (width != config->hidden_size) {
    begin_module(b, "embeddings_project");
    add_linear(b, config->hidden_size, width);
  }
}

static void add_distance_bias(builder *b, const model_config *config)
{
  if (b->family->distance_bias == NULL)
    return;
  slot *made = &b->checkpoint->slots[b->checkpoint->slot_count++];
  *made = (slot){.part = b->part, .rank = 2, .shape = {config->distance_buckets, config->heads}};
  snprintf(made->name, sizeof made->name, "%s", b->family->distance_bias);
}

static void add_layer(builder *b, const model_config *config, int64_t layer)
{
  const model_block_names *names = b->family->block;
  const int64_t hidden = config->hidden_size, intermediate = config->intermediate_size;
  for (int module = 0; module < MODEL_MODULES_PER_BLOCK; module++) {
    begin_layer_module(b, layer, names->paths[module]);
    add_linear(b, module == MODEL_INTERMEDIATE ? intermediate : hidden,
               module == MODEL_OUTPUT ? intermediate : hidden);
  }
  begin_layer_module(b, layer, names->attention_norm);
  add_norm(b, hidden);
  begin_layer_module(b, layer, names->output_norm);
  add_norm(b, hidden);
}

static void add_pooler_and_head(builder *b, const model_config *config)
{
  const int64_t hidden = config->hidden_size;
  b->part = b->family->pooler ? PART_POOLER : PART_HEAD;
  begin_module(b, b->family->head_dense);
  add_linear(b, hidden, hidden);
  b->part = PART_HEAD;
  begin_module(b, b->family->head_out);
  add_linear(b, ANY_SIZE, hidden);
}

static int by_name(const void *left, const void *right)
{
  return strcmp(((const slot *)left)->name, ((const slot *)right)->name);
}

static cdl_status make_slots(model_checkpoint *checkpoint)
{
  enum { OUTSIDE_LAYERS = 8, IN_LAYER = 16, IN_HEAD = 4 };
  const model_config *config = checkpoint->config;
  const size_t most = OUTSIDE_LAYERS + IN_LAYER * (size_t)config->layers + IN_HEAD;
  checkpoint->slots = calloc(most, sizeof *checkpoint->slots);
  if (checkpoint->slots == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", checkpoint->folder);
  builder b = {
      .checkpoint = checkpoint, .family = model_family_of(config->family), .part = PART_BODY};
  add_embeddings(&b, config);
  for (int64_t layer = 0; layer < config->layers; layer++)
    add_layer(&b, config, layer);
  add_distance_bias(&b, config);
  add_pooler_and_head(&b, config);
  qsort(checkpoint->slots, checkpoint->slot_count, sizeof *checkpoint->slots, by_name);
  return CDL_STATUS_OK;
}

static slot *find_slot(const model_checkpoint *checkpoint, const char *name)
{
  slot key;
  if (strlen(name) >= sizeof key.name)
    return NULL;
  strcpy(key.name, name);
  return bsearch(&key, checkpoint->slots, checkpoint->slot_count, sizeof key, by_name);
}

/* ---- What the file consists of ---- */

static bool begins_with(const char *text, const char *start)
{
  return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
  const size_t length = strlen(text), wanted = strlen(end);
  return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

/* The names before Transformers 4, from TensorFlow: gamma and beta. */
static void rename_norm(char *name)
{
  const size_t length = strlen(name);
  if (ends_with(name, ".LayerNorm.gamma"))
    strcpy(name + length - 5, "weight");
  else if (ends_with(name, ".LayerNorm.beta"))
    strcpy(name + length - 4, "bias");
}

static const char *without_prefix(model_family family, const char *name)
{
  const char *prefix = model_family_of(family)->prefix;
  return begins_with(name, prefix) ? name + strlen(prefix) : name;
}

static bool is_known_extra(model_family family, const char *name)
{
  const char *const *extras = model_family_of(family)->extras;
  for (int i = 0; i < MODEL_FAMILY_EXTRAS && extras[i] != NULL; i++)
    if (begins_with(name, extras[i]))
      return true;
  return strcmp(name, "position_ids") == 0 || ends_with(name, ".position_ids") ||
         ends_with(name, ".token_type_ids") || begins_with(name, "lm_head.") ||
         begins_with(name, "cls.");
}

/* Returns whether a tensor that the model does not have is within the encoder. There it shows
 * another architecture; elsewhere it belongs to another task's head. `name` is without the family's
 * prefix. */
static bool is_inside(model_family family, const cdl_stored_tensor *stored, const char *name)
{
  const model_family_facts *facts = model_family_of(family);
  if (begins_with(name, "pooler."))
    return facts->pooler;
  if (name != stored->name || begins_with(name, "embeddings.") ||
      begins_with(name, "embeddings_project."))
    return true;
  return strncmp(name, facts->block->layers, strcspn(facts->block->layers, ".") + 1) == 0;
}

static void leave_out(model_checkpoint *checkpoint, const cdl_stored_tensor *stored)
{
  char *names = checkpoint->left_out_names;
  const size_t used = strlen(names);
  const bool first = checkpoint->left_out++ == 0;
  if (checkpoint->left_out <= LEFT_OUT_NAMED)
    snprintf(names + used, LEFT_OUT_BYTES - used, "%s%.60s", first ? "" : ", ", stored->name);
}

static cdl_status place_tensor(model_checkpoint *checkpoint, const cdl_stored_tensor *stored)
{
  const model_config *config = checkpoint->config;
  const char *path = cdl_safetensors_path_of(checkpoint->file, stored);
  const char *name = without_prefix(config->family, stored->name);
  if (is_known_extra(config->family, name))
    return CDL_STATUS_OK;
  char canonical[NAME_BYTES] = "";
  if (strlen(name) < sizeof canonical - 2) {
    strcpy(canonical, name);
    rename_norm(canonical);
  }
  slot *place = find_slot(checkpoint, canonical);
  if (place == NULL && !is_inside(config->family, stored, name)) {
    leave_out(checkpoint, stored);
    return CDL_STATUS_OK;
  }
  if (place == NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensor \"%.200s\": is no part of a %s encoder with %" PRId64 " layers",
                    path, stored->name, model_family_name(config->family), config->layers);
  if (place->stored != NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensors \"%.200s\" and \"%.200s\": expected one of the two", path,
                    place->stored->name, stored->name);
  place->stored = stored;
  return CDL_STATUS_OK;
}

static bool shape_fits(const slot *place)
{
  const cdl_stored_tensor *stored = place->stored;
  if (stored->rank != place->rank)
    return false;
  for (uint32_t i = 0; i < place->rank; i++)
    if (place->shape[i] == ANY_SIZE ? stored->shape[i] < 1 : stored->shape[i] != place->shape[i])
      return false;
  return true;
}

static cdl_status fail_shape(const char *path, const slot *place)
{
  const cdl_stored_tensor *stored = place->stored;
  char found[64] = "", rows[32] = "labels", columns[32] = "";
  for (uint32_t i = 0; i < stored->rank && strlen(found) < 40; i++)
    snprintf(found + strlen(found), sizeof found - strlen(found), "%s%" PRId64, i > 0 ? ", " : "",
             stored->shape[i]);
  if (place->shape[0] != ANY_SIZE)
    snprintf(rows, sizeof rows, "%" PRId64, place->shape[0]);
  if (place->rank == 2)
    snprintf(columns, sizeof columns, ", %" PRId64, place->shape[1]);
  return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%.200s\": shape [%s], config.json implies [%s%s]",
                  path, stored->name, found, rows, columns);
}

static cdl_status check_tensor(const model_checkpoint *checkpoint, const slot *place)
{
  const cdl_stored_tensor *stored = place->stored;
  const char *path = cdl_safetensors_path_of(checkpoint->file, stored);
  if (!shape_fits(place))
    return fail_shape(path, place);
  if (stored->type != CDL_STORED_F32 && stored->type != CDL_STORED_F16 &&
      stored->type != CDL_STORED_BF16 && stored->type != CDL_STORED_F64)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensor \"%.200s\": dtype %s, expected F32, F16, BF16 or F64", path,
                    stored->name, cdl_stored_type_name(stored->type));
  return CDL_STATUS_OK;
}

static void find_parts(model_checkpoint *checkpoint)
{
  checkpoint->has[PART_BODY] = true;
  for (size_t i = 0; i < checkpoint->slot_count; i++)
    if (checkpoint->slots[i].stored != NULL)
      checkpoint->has[checkpoint->slots[i].part] = true;
}

/* A part is complete or absent. */
static cdl_status check_part(const model_checkpoint *checkpoint, part checked)
{
  for (size_t i = 0; checkpoint->has[checked] && i < checkpoint->slot_count; i++) {
    const slot *place = &checkpoint->slots[i];
    if (place->part != checked)
      continue;
    if (place->stored == NULL)
      return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%s\": is missing", checkpoint->folder,
                      place->name);
    CDL_TRY(check_tensor(checkpoint, place));
  }
  return CDL_STATUS_OK;
}

static const slot *head_slot(const model_checkpoint *checkpoint, const char *kind)
{
  char name[NAME_BYTES];
  snprintf(name, sizeof name, "%s.%s", model_family_of(checkpoint->config->family)->head_out, kind);
  return find_slot(checkpoint, name);
}

static cdl_status check_head_agrees(const model_checkpoint *checkpoint)
{
  const cdl_stored_tensor *weight = head_slot(checkpoint, "weight")->stored,
                          *bias = head_slot(checkpoint, "bias")->stored;
  if (weight->shape[0] != bias->shape[0])
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: tensor \"%.200s\": is for %" PRId64 " labels, its weight for %" PRId64,
                    cdl_safetensors_path_of(checkpoint->file, bias), bias->name, bias->shape[0],
                    weight->shape[0]);
  return CDL_STATUS_OK;
}

/* ---- Opening and reading ---- */

static cdl_status open_folder(model_checkpoint *checkpoint, const char *folder)
{
  checkpoint->folder = strdup(folder);
  if (checkpoint->folder == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (checkpoint->config == NULL) {
    CDL_TRY(model_config_read(folder, &checkpoint->own_config));
    checkpoint->config = &checkpoint->own_config;
  }
  CDL_TRY(cdl_safetensors_open(folder, &checkpoint->file));
  CDL_TRY(make_slots(checkpoint));
  for (size_t i = 0; i < cdl_safetensors_count(checkpoint->file); i++)
    CDL_TRY(place_tensor(checkpoint, cdl_safetensors_get(checkpoint->file, i)));
  find_parts(checkpoint);
  CDL_TRY(check_part(checkpoint, PART_BODY));
  return check_part(checkpoint, PART_POOLER);
}

cdl_status model_checkpoint_open(const char *folder, const model_config *config,
                                 model_checkpoint **checkpoint)
{
  *checkpoint = NULL;
  model_checkpoint *made = calloc(1, sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  made->config = config;
  const cdl_status status = open_folder(made, folder);
  if (status != CDL_STATUS_OK) {
    model_checkpoint_close(made);
    return status;
  }
  *checkpoint = made;
  return CDL_STATUS_OK;
}

void model_checkpoint_close(model_checkpoint *checkpoint)
{
  if (checkpoint == NULL)
    return;
  cdl_safetensors_close(checkpoint->file);
  model_config_release(&checkpoint->own_config);
  free(checkpoint->slots);
  free(checkpoint->folder);
  free(checkpoint);
}

const model_config *model_checkpoint_config(const model_checkpoint *checkpoint)
{
  return checkpoint->config;
}

bool model_checkpoint_has(const model_checkpoint *checkpoint, const char *name)
{
  const slot *place = find_slot(checkpoint, name);
  return place != NULL && place->stored != NULL;
}

bool model_checkpoint_has_pooler(const model_checkpoint *checkpoint)
{
  return checkpoint->has[PART_POOLER];
}

int64_t model_checkpoint_head_labels(const model_checkpoint *checkpoint)
{
  if (!checkpoint->has[PART_HEAD])
    return 0;
  const slot *place = head_slot(checkpoint, "weight");
  return place->stored != NULL && shape_fits(place) ? place->stored->shape[0] : 0;
}

static cdl_status check_head(const model_checkpoint *checkpoint, int64_t labels)
{
  CDL_TRY(check_part(checkpoint, PART_HEAD));
  CDL_TRY(check_head_agrees(checkpoint));
  const int64_t stored = model_checkpoint_head_labels(checkpoint);
  if (labels == 0 || stored == labels)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: the stored head is for %" PRId64 " label%s, expected %" PRId64,
                  checkpoint->folder, stored, stored == 1 ? "" : "s", labels);
}

cdl_status model_checkpoint_check_head(const model_checkpoint *checkpoint, int64_t labels)
{
  if (!checkpoint->has[PART_HEAD])
    return CDL_STATUS_OK;
  const cdl_status status = check_head(checkpoint, labels);
  return status == CDL_STATUS_DATA && labels != 0
             ? cdl_fail(CDL_STATUS_DATA, "%s; --fresh-head draws a new one", cdl_error_message())
             : status;
}

void model_checkpoint_note_left_out(const model_checkpoint *checkpoint)
{
  const size_t count = checkpoint->left_out;
  if (count > 0)
    cdl_log(CDL_LOG_NOTICE, "%s: %zu tensor%s outside the encoder %s left out: %s%s",
            checkpoint->folder, count, count == 1 ? "" : "s", count == 1 ? "is" : "are",
            checkpoint->left_out_names, count > LEFT_OUT_NAMED ? ", …" : "");
}

cdl_status model_checkpoint_view(const model_checkpoint *checkpoint, const char *name,
                                 uint32_t rank, const int64_t *shape, float *staging,
                                 const void **values)
{
  const slot *place = find_slot(checkpoint, name);
  if (place == NULL || place->stored == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: tensor \"%s\": is missing", checkpoint->folder, name);
  return cdl_safetensors_view(checkpoint->file, place->stored, rank, shape, staging, values);
}

const void *model_checkpoint_mapped(const model_checkpoint *checkpoint, const char *name)
{
  const slot *place = find_slot(checkpoint, name);
  return place != NULL && place->stored != NULL && place->stored->type == CDL_STORED_F32 &&
                 model_stored_is_mapped(checkpoint->file, place->stored)
             ? place->stored->data
             : NULL;
}

cdl_status model_checkpoint_check_files(const model_checkpoint *checkpoint)
{
  return model_stored_check(checkpoint->file);
}

void model_checkpoint_discard(const model_checkpoint *checkpoint, const char *name)
{
  const slot *place = find_slot(checkpoint, name);
  if (place != NULL && place->stored != NULL)
    cdl_safetensors_discard(checkpoint->file, place->stored);
}

/* ---- Fingerprint ---- */

static uint64_t hash_samples(uint64_t state, const cdl_stored_tensor *stored)
{
  const uint8_t *bytes = stored->data;
  if (stored->bytes <= SAMPLES_MOST * SAMPLE_BYTES)
    return base_fnv(state, bytes, stored->bytes);
  const size_t stride = (stored->bytes - SAMPLE_BYTES) / (SAMPLES_MOST - 1);
  for (size_t i = 0; i < SAMPLES_MOST; i++)
    state = base_fnv(state, bytes + i * stride, SAMPLE_BYTES);
  return state;
}

uint64_t model_checkpoint_fingerprint(const model_checkpoint *checkpoint)
{
  uint64_t state = BASE_FNV_START;
  for (size_t i = 0; i < checkpoint->slot_count; i++) {
    const slot *place = &checkpoint->slots[i];
    if (place->part != PART_BODY)
      continue;
    const char *type = cdl_stored_type_name(place->stored->type);
    state = base_fnv(state, place->name, strlen(place->name) + 1);
    state = base_fnv(state, type, strlen(type) + 1);
    state = base_fnv(state, place->shape, sizeof place->shape);
    state = hash_samples(state, place->stored);
    cdl_safetensors_discard(checkpoint->file, place->stored);
  }
  return state;
}

bool model_checkpoint_is_head(const char *name)
{
  return begins_with(name, "classifier.") || begins_with(name, "pre_classifier.");
}

char *model_checkpoint_full_name(model_family family, const char *name)
{
  char *full = NULL;
  const char *prefix = model_checkpoint_is_head(name) ? "" : model_family_of(family)->prefix;
  if (asprintf(&full, "%s%s", prefix, name) < 0)
    return NULL;
  return full;
}
