#include "model/adapter/fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/adapter/folder.h"
#include "model/adapter/reference.h"
#include "model/adapter/state.h"

typedef struct {
  char text[2 * MODEL_NAME_BYTES];
} file_name;

static file_name named(const char *path, const char *ending)
{
  file_name name;
  snprintf(name.text, sizeof name.text, ADAPTER_PREFIX "%s%s", path, ending);
  return name;
}

/* ---- Whole tensors ---- */

const cdl_stored_tensor *adapter_whole_tensor(const cdl_safetensors *tensors, const char *module,
                                              const char *leaf)
{
  static const char *const wraps[] = {"", ".base_layer", ".token_adapter.base_layer"};
  const cdl_stored_tensor *t = NULL;
  for (size_t i = 0; i < sizeof wraps / sizeof wraps[0] && t == NULL; i++) {
    file_name name;
    snprintf(name.text, sizeof name.text, ADAPTER_PREFIX "%s%s%s", module, wraps[i], leaf);
    t = cdl_safetensors_find(tensors, name.text);
  }
  return t;
}

const cdl_stored_tensor *adapter_stored(const model_adapter *a, const encoder_parameter *p)
{
  char other[MODEL_NAME_BYTES], module[MODEL_NAME_BYTES] = "";
  const char *leaf = strrchr(p->name, '.');
  if (leaf != NULL)
    memcpy(module, p->name, (size_t)(leaf - p->name));
  const cdl_stored_tensor *t = leaf != NULL ? adapter_whole_tensor(a->stored, module, leaf) : NULL;
  return t == NULL && adapter_reference_name(p->name, other, sizeof other)
             ? cdl_safetensors_find(a->stored, other)
             : t;
}

/* ---- Updates that are added ---- */

static const adapter_folded *folded_of(const model_adapter *a, const encoder_parameter *p)
{
  for (size_t i = 0; i < a->folded_count; i++)
    if (a->folded[i].weight == p)
      return &a->folded[i];
  return NULL;
}

static bool is_bias_of(const encoder_parameter *p, const char *path)
{
  const size_t n = strlen(path);
  return strncmp(p->name, path, n) == 0 && strcmp(p->name + n, ".bias") == 0;
}

/* Returns path and scale of the adapted layer that has this bias; NULL if its B has no bias. */
static const char *biased_layer(const model_adapter *a, const encoder_parameter *p, double *scale)
{
  if (!a->source->lora_bias || p->dimensions != 1)
    return NULL;
  for (size_t i = 0; i < a->module_count; i++)
    if (is_bias_of(p, a->modules[i]->path)) {
      *scale = (double)a->per_module[i].scale;
      return a->modules[i]->path;
    }
  for (size_t i = 0; i < a->folded_count; i++)
    if (!a->folded[i].table && is_bias_of(p, a->folded[i].path)) {
      *scale = (double)a->folded[i].settings.scale;
      return a->folded[i].path;
    }
  return NULL;
}

static const char words_ending[] = "embeddings.word_embeddings.weight";
static const char token_rows[] = "token_adapter.trainable_tokens_delta";

/* Returns whether this is the table whose rows the folder replaces. */
static bool has_token_rows(const model_adapter *a, const encoder_parameter *p)
{
  const size_t n = strlen(p->name), ending = sizeof words_ending - 1;
  return a->source->token_count > 0 && n >= ending &&
         strcmp(p->name + n - ending, words_ending) == 0;
}

bool adapter_holds(const model_adapter *a, const encoder_parameter *p)
{
  double scale;
  return a->stored != NULL && (adapter_stored(a, p) != NULL || folded_of(a, p) != NULL ||
                               biased_layer(a, p, &scale) != NULL || has_token_rows(a, p));
}

/* ---- Reading ---- */

static cdl_status read_part(const model_adapter *a, const char *folder, const file_name *name,
                            uint32_t dimensions, const int64_t *shape, float **values)
{
  const cdl_stored_tensor *t = cdl_safetensors_find(a->stored, name->text);
  *values = NULL;
  if (t == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: the adapter has no tensor %s; is it for another model?",
                    folder, name->text);
  const int64_t columns = dimensions == 2 ? shape[1] : 1;
  const bool fits = t->rank == dimensions && t->shape[0] == shape[0] &&
                    (dimensions == 1 || t->shape[1] == columns);
  /* Another shape is refused below; do not allocate what the config claims. */
  *values = malloc((fits ? (size_t)shape[0] * (size_t)columns + 1 : 1) * sizeof **values);
  if (*values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory: %s", folder, name->text);
  return cdl_safetensors_read(a->stored, t, dimensions, shape, *values);
}

/* W [out, in] with element (o, i) at w[o · step_out + i · step_in], and the update scale · B
 * diag(e) A. */
typedef struct {
  int64_t out, in, rank, step_out, step_in;
  double scale;
  /* A [rank, in], B [out, rank], e [rank] or NULL, m [out] or NULL */
  float *down, *up, *middle, *lengths;
} update;

static void release_update(update *u)
{
  free(u->down);
  free(u->up);
  free(u->middle);
  free(u->lengths);
}

/* Finds the rank in the file: for triplets, the number of those that were kept. */
static cdl_status find_rank(const model_adapter *a, const char *folder, const adapter_folded *f,
                            const file_name *name, int64_t *rank)
{
  const cdl_stored_tensor *t = cdl_safetensors_find(a->stored, name->text);
  *rank = f->settings.rank;
  if (a->method->update_names->middle != NULL && t != NULL && t->rank == 2)
    *rank = t->shape[0];
  return *rank >= 0 && *rank <= 65536
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "%s: tensor %s: rank %lld is too large", folder,
                        name->text, (long long)*rank);
}

static cdl_status read_update(const model_adapter *a, const char *folder, const adapter_folded *f,
                              update *u)
{
  const int64_t rows = f->weight->value.size[2], columns = f->weight->value.size[3];
  *u = (update){.out = f->table ? columns : rows,
                .in = f->table ? rows : columns,
                .step_out = f->table ? 1 : columns,
                .step_in = f->table ? columns : 1,
                .scale = (double)f->settings.scale};
  const adapter_update_names *n = a->method->update_names;
  const file_name down = named(f->path, f->table ? n->table_down : n->down),
                  up = named(f->path, f->table ? n->table_up : n->up);
  CDL_TRY(find_rank(a, folder, f, &down, &u->rank));
  CDL_TRY(read_part(a, folder, &down, 2, (int64_t[]){u->rank, u->in}, &u->down));
  CDL_TRY(read_part(a, folder, &up, 2, (int64_t[]){u->out, u->rank}, &u->up));
  if (n->middle != NULL) {
    const file_name middle = named(f->path, n->middle);
    CDL_TRY(read_part(a, folder, &middle, 2, (int64_t[]){u->rank, 1}, &u->middle));
  }
  if (a->method->has_lengths == NULL || !a->method->has_lengths(a))
    return CDL_STATUS_OK;
  const file_name lengths = named(f->path, n->lengths);
  return read_part(a, folder, &lengths, 1, &u->out, &u->lengths);
}

/* w += scale B diag(e) A. With lengths m, the rows of W + scale B A are scaled to the lengths m
 * (DoRA). */
static cdl_status add_update(const update *u, const char *folder, float *w)
{
  double *row = malloc(((size_t)u->in + 1) * sizeof *row);
  if (row == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  for (int64_t o = 0; o < u->out; o++) {
    double squares = 0;
    for (int64_t i = 0; i < u->in; i++)
      row[i] = 0;
    for (int64_t k = 0; k < u->rank; k++) {
      const double factor = u->scale * (double)u->up[o * u->rank + k] *
                            (u->middle != NULL ? (double)u->middle[k] : 1);
      for (int64_t i = 0; i < u->in; i++)
        row[i] += factor * (double)u->down[k * u->in + i];
    }
    for (int64_t i = 0; i < u->in; i++) {
      row[i] += (double)w[o * u->step_out + i * u->step_in];
      squares += row[i] * row[i];
    }
    const double length = sqrt(squares) > 1e-15 ? sqrt(squares) : 1e-15,
                 gain = u->lengths != NULL ? (double)u->lengths[o] / length : 1;
    for (int64_t i = 0; i < u->in; i++)
      w[o * u->step_out + i * u->step_in] = (float)(gain * row[i]);
  }
  free(row);
  return CDL_STATUS_OK;
}

static cdl_status fold_weight(const model_adapter *a, const char *folder, const adapter_folded *f,
                              float *values)
{
  update u;
  if (a->method->update_names == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: adapter_config.json: \"target_modules\": %s, which lies outside the "
                    "encoder's layers, is not a target for method %s",
                    folder, f->path, a->method->name);
  if (a->init == ADAPTER_INIT_PISSA || a->init == ADAPTER_INIT_OLORA)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: adapter_config.json: \"init_lora_weights\": of %s, which is a target, it "
                    "is not known; save the adapter converted to LoRA",
                    folder, f->path);
  cdl_status status = read_update(a, folder, f, &u);
  if (status == CDL_STATUS_OK)
    status = add_update(&u, folder, values);
  release_update(&u);
  return status;
}

static cdl_status fold_bias(const model_adapter *a, const char *folder, const char *path,
                            double scale, const encoder_parameter *p, float *values)
{
  const file_name name = named(path, ".lora_B.bias");
  float *bias;
  cdl_status status = read_part(a, folder, &name, 1, &p->value.size[3], &bias);
  for (int64_t i = 0; i < p->value.size[3] && status == CDL_STATUS_OK; i++)
    values[i] = (float)((double)values[i] + scale * (double)bias[i]);
  free(bias);
  return status;
}

static file_name name_of_rows(const encoder_parameter *p)
{
  file_name name;
  snprintf(name.text, sizeof name.text, ADAPTER_PREFIX "%.*s%s",
           (int)(strlen(p->name) - strlen("weight")), p->name, token_rows);
  return name;
}

static cdl_status replace_rows(const model_adapter *a, const char *folder,
                               const encoder_parameter *p, float *values)
{
  const adapter_config *c = a->source;
  const int64_t rows = p->value.size[2], columns = p->value.size[3];
  const file_name name = name_of_rows(p);
  float *replaced;
  for (size_t i = 0; i < c->token_count; i++)
    if (c->token_rows[i] >= rows)
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: adapter_config.json: \"trainable_token_indices\": there is no token "
                      "%lld: the model has %lld",
                      folder, (long long)c->token_rows[i], (long long)rows);
  cdl_status status =
      read_part(a, folder, &name, 2, (int64_t[]){(int64_t)c->token_count, columns}, &replaced);
  for (size_t i = 0; i < c->token_count && status == CDL_STATUS_OK; i++)
    memcpy(values + c->token_rows[i] * columns, replaced + (int64_t)i * columns,
           (size_t)columns * sizeof *values);
  free(replaced);
  return status;
}

cdl_status adapter_fold(const model_adapter *a, const char *folder, const encoder_parameter *p,
                        float *values)
{
  double scale;
  const adapter_folded *f = folded_of(a, p);
  const char *path = biased_layer(a, p, &scale);
  if (f != NULL)
    CDL_TRY(fold_weight(a, folder, f, values));
  if (path != NULL)
    CDL_TRY(fold_bias(a, folder, path, scale, p, values));
  return has_token_rows(a, p) ? replace_rows(a, folder, p, values) : CDL_STATUS_OK;
}

bool adapter_folds(const model_adapter *a, const char *name)
{
  const adapter_update_names none = {0},
                             *n = a->method->update_names != NULL ? a->method->update_names : &none;
  const char *const endings[] = {n->down, n->up, n->table_down, n->table_up, n->middle, n->lengths};
  for (size_t i = 0; i < a->folded_count; i++)
    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++)
      if (endings[e] != NULL && strcmp(name, named(a->folded[i].path, endings[e]).text) == 0)
        return true;
  const encoder_parameter *parameters = encoder_parameters(a->encoder);
  for (size_t i = 0; i < encoder_parameter_count(a->encoder); i++) {
    double scale;
    const char *path = biased_layer(a, &parameters[i], &scale);
    if ((path != NULL && strcmp(name, named(path, ".lora_B.bias").text) == 0) ||
        (has_token_rows(a, &parameters[i]) && strcmp(name, name_of_rows(&parameters[i]).text) == 0))
      return true;
  }
  return false;
}

size_t adapter_folded_count(const model_adapter *a)
{
  return a->folded_count;
}

const char *adapter_folded_table(const model_adapter *a, size_t index)
{
  for (size_t i = 0; i < a->folded_count; i++)
    if (a->folded[i].table && index-- == 0)
      return a->folded[i].path;
  return NULL;
}
