#include "model/files/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/path.h"
#include "base/utf8.h"
#include "model/files/family.h"

/* Far above any model, and so small that no product of two overflows. */
enum { SIZE_MOST = 1 << 30, LAYERS_MOST = 1 << 12, LABELS_MOST = 1 << 20 };

/* Whatever config.json says, MPNet's padding is row 1 of its tables. */
enum { MPNET_PAD = 1 };

int64_t model_config_first_position(const model_config *config)
{
  return model_family_of(config->family)->after_padding ? config->pad_id + 1 : 0;
}

void model_count_positions(int32_t first, const int32_t *ids, size_t count, int32_t *positions)
{
  int32_t next = first;
  for (size_t i = 0; i < count; i++)
    positions[i] = ids[i] == first - 1 ? first - 1 : next++;
}

int64_t model_config_max_tokens(const model_config *config)
{
  return config->position_count - model_config_first_position(config);
}

void model_config_release(model_config *config)
{
  if (config->label_names != NULL)
    for (int64_t i = 0; i < config->label_count; i++)
      free(config->label_names[i]);
  free(config->label_names);
  *config = (model_config){0};
}

/* ---- What the family is ---- */

static cdl_status family_of(const char *path, const json_t *object, model_family *family)
{
  const char *type = NULL;
  CDL_TRY(base_json_string(path, object, "model_type", false, &type));
  const char *class_name =
      json_string_value(json_array_get(json_object_get(object, "architectures"), 0));
  if ((type != NULL || class_name != NULL) && model_family_find(type, class_name, family))
    return CDL_STATUS_OK;
  char known[128] = "";
  for (int f = 0; f < MODEL_FAMILY_COUNT; f++) {
    const size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, "%s%s", f > 0 ? ", " : "",
             model_family_name((model_family)f));
  }
  if (type == NULL && class_name == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"model_type\" is missing, expected one of %s", path,
                    known);
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: models of type \"%.100s\" are not supported, expected one of %s", path,
                  type != NULL ? type : class_name, known);
}

/* ---- What the keys are called ---- */

typedef struct {
  const char *hidden_size, *layers, *heads, *intermediate_size, *activation, *hidden_dropout,
      *attention_dropout, *classifier_dropout;
} key_names;

/* DistilBERT's sizes may also have the usual names. If a file has both, the usual ones count,
 * because Transformers sets them last (attribute_map). */
static key_names keys_of(model_family family, const json_t *object)
{
  static const key_names usual = {.hidden_size = "hidden_size",
                                  .layers = "num_hidden_layers",
                                  .heads = "num_attention_heads",
                                  .intermediate_size = "intermediate_size",
                                  .activation = "hidden_act",
                                  .hidden_dropout = "hidden_dropout_prob",
                                  .attention_dropout = "attention_probs_dropout_prob",
                                  .classifier_dropout = "classifier_dropout"};
  key_names distilbert = {.hidden_size = "dim",
                          .layers = "n_layers",
                          .heads = "n_heads",
                          .intermediate_size = "hidden_dim",
                          .activation = "activation",
                          .hidden_dropout = "dropout",
                          .attention_dropout = "attention_dropout",
                          .classifier_dropout = "seq_classif_dropout"};
  if (family != MODEL_FAMILY_DISTILBERT) {
    key_names names = usual;
    if (family == MODEL_FAMILY_MPNET) /* its head drops as the rest does */
      names.classifier_dropout = NULL;
    return names;
  }
  const char **const mapped[] = {&distilbert.hidden_size, &distilbert.layers, &distilbert.heads};
  const char *const others[] = {usual.hidden_size, usual.layers, usual.heads};
  for (size_t i = 0; i < sizeof mapped / sizeof mapped[0]; i++)
    if (json_object_get(object, others[i]) != NULL)
      *mapped[i] = others[i];
  return distilbert;
}

static cdl_status read_activation(const char *path, const json_t *object, model_config *config)
{
  static const struct {
    const char *name;
    cdl_activation activation;
  } known[] = {
      {"gelu", CDL_ACTIVATION_GELU},
      {"gelu_python", CDL_ACTIVATION_GELU},
      {"gelu_new", CDL_ACTIVATION_GELU_TANH},
      {"gelu_pytorch_tanh", CDL_ACTIVATION_GELU_TANH},
      {"gelu_python_tanh", CDL_ACTIVATION_GELU_TANH},
      {"gelu_fast", CDL_ACTIVATION_GELU_TANH},
      {"gelu_accurate", CDL_ACTIVATION_GELU_TANH},
      {"quick_gelu", CDL_ACTIVATION_GELU_QUICK},
      {"relu", CDL_ACTIVATION_RELU},
      {"silu", CDL_ACTIVATION_SILU},
      {"swish", CDL_ACTIVATION_SILU},
      {"tanh", CDL_ACTIVATION_TANH},
      {"sigmoid", CDL_ACTIVATION_SIGMOID},
      {"mish", CDL_ACTIVATION_MISH},
      {"linear", CDL_ACTIVATION_NONE},
  };
  const char *name = "gelu", *key = keys_of(config->family, object).activation;
  CDL_TRY(base_json_string(path, object, key, false, &name));
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strcmp(name, known[i].name) == 0) {
      config->activation = known[i].activation;
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: \"%s\" is \"%.100s\", supported are gelu, gelu_new, gelu_pytorch_tanh, "
                  "gelu_python_tanh, gelu_fast, gelu_python, gelu_accurate, quick_gelu, relu, "
                  "silu, swish, tanh, sigmoid, mish and linear",
                  path, key, name);
}

/* Refuses settings that would change the mathematics. */
static cdl_status refuse_other_models(const char *path, const json_t *object)
{
  const char *positions = "absolute";
  bool decoder = false, cross_attention = false;
  CDL_TRY(base_json_string(path, object, "position_embedding_type", false, &positions));
  CDL_TRY(base_json_boolean(path, object, "is_decoder", &decoder));
  CDL_TRY(base_json_boolean(path, object, "add_cross_attention", &cross_attention));
  if (strcmp(positions, "absolute") != 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"position_embedding_type\" is \"%.100s\", only \"absolute\" is supported",
                    path, positions);
  if (decoder || cross_attention)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: \"%s\" is true, only encoders are supported", path,
                    decoder ? "is_decoder" : "add_cross_attention");
  const json_t *pruned = json_object_get(object, "pruned_heads");
  if (json_object_size(pruned) > 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"pruned_heads\" is not empty, pruned models are not supported", path);
  const json_t *quantization = json_object_get(object, "quantization_config");
  if (quantization != NULL && !json_is_null(quantization))
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"quantization_config\" is set, quantized models are not supported", path);
  return CDL_STATUS_OK;
}

/* ---- Sizes ---- */

/* The defaults of Transformers' configuration classes. */
static void set_default_sizes(model_config *config)
{
  const bool electra = config->family == MODEL_FAMILY_ELECTRA;
  config->vocabulary_size = config->family == MODEL_FAMILY_ROBERTA ? 50265
                            : config->family == MODEL_FAMILY_MPNET ? 30527
                                                                   : 30522;
  config->hidden_size = electra ? 256 : 768;
  config->embedding_size = electra ? 128 : 0;
  config->layers = config->family == MODEL_FAMILY_DISTILBERT ? 6 : 12;
  config->heads = electra ? 4 : 12;
  config->intermediate_size = electra ? 1024 : 3072;
  config->position_count = 512;
  config->type_count = model_family_of(config->family)->types ? 2 : 0;
  config->distance_buckets =
      model_family_of(config->family)->distance_bias != NULL ? MODEL_DISTANCE_BUCKETS : 0;
  config->pad_id = model_family_of(config->family)->after_padding ? 1 : 0;
}

/* PyTorch takes -1 for a table's last row, and Transformers counts positions from pad + 1. A null
 * means no padding, which RoBERTa's positions need. */
static cdl_status read_padding(const char *path, const json_t *object, model_config *config)
{
  const bool counted = model_family_of(config->family)->after_padding;
  if (config->family == MODEL_FAMILY_MPNET) {
    if (config->vocabulary_size > MPNET_PAD)
      return CDL_STATUS_OK;
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"vocab_size\" is %" PRId64 ", expected more than %d, mpnet's padding",
                    path, config->vocabulary_size, MPNET_PAD);
  }
  const json_t *given = json_object_get(object, "pad_token_id");
  if (json_is_null(given) && !counted) {
    config->pad_id = MODEL_NO_PAD;
    return CDL_STATUS_OK;
  }
  CDL_TRY(base_json_integer(path, object, "pad_token_id", counted ? -1 : -config->vocabulary_size,
                            config->vocabulary_size - 1, &config->pad_id));
  if (config->pad_id < config->vocabulary_size)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: \"pad_token_id\" is missing and its default, %" PRId64
                  ", is outside the vocabulary",
                  path, config->pad_id);
}

static cdl_status read_sizes(const char *path, const json_t *object, model_config *config)
{
  const key_names keys = keys_of(config->family, object);
  set_default_sizes(config);
  const struct {
    const char *key;
    int64_t most, *value;
  } sizes[] = {
      {"vocab_size", SIZE_MOST, &config->vocabulary_size},
      {keys.hidden_size, SIZE_MOST, &config->hidden_size},
      {keys.layers, LAYERS_MOST, &config->layers},
      {keys.heads, SIZE_MOST, &config->heads},
      {keys.intermediate_size, SIZE_MOST, &config->intermediate_size},
      {"max_position_embeddings", SIZE_MOST, &config->position_count},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    CDL_TRY(base_json_integer(path, object, sizes[i].key, 1, sizes[i].most, sizes[i].value));
  if (config->type_count > 0)
    CDL_TRY(base_json_integer(path, object, "type_vocab_size", 1, SIZE_MOST, &config->type_count));
  if (config->embedding_size > 0)
    CDL_TRY(
        base_json_integer(path, object, "embedding_size", 1, SIZE_MOST, &config->embedding_size));
  else
    config->embedding_size = config->hidden_size;
  if (config->distance_buckets > 0) /* Transformers uses the first 32 rows, whatever this says */
    CDL_TRY(base_json_integer(path, object, "relative_attention_num_buckets",
                              MODEL_DISTANCE_BUCKETS, SIZE_MOST, &config->distance_buckets));
  CDL_TRY(read_padding(path, object, config));
  if (config->hidden_size % config->heads != 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"%s\" is %" PRId64 ", expected a multiple of \"%s\", %" PRId64, path,
                    keys.hidden_size, config->hidden_size, keys.heads, config->heads);
  if (model_config_max_tokens(config) < 1)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"max_position_embeddings\" is %" PRId64
                    ", expected more than \"pad_token_id\" + 1 = %" PRId64,
                    path, config->position_count, config->pad_id + 1);
  return CDL_STATUS_OK;
}

static cdl_status read_rates(const char *path, const json_t *object, model_config *config)
{
  const key_names keys = keys_of(config->family, object);
  const bool distilbert = config->family == MODEL_FAMILY_DISTILBERT;
  const double most = 0.999999; /* with a rate of 1 nothing would be left to scale up */
  config->layer_norm_epsilon = 1e-12;
  config->hidden_dropout = 0.1;
  config->attention_dropout = 0.1;
  config->initializer_range = 0.02;
  if (!distilbert) /* DistilBERT's is fixed */
    CDL_TRY(base_json_real(path, object, "layer_norm_eps", 1e-38, 1, false,
                           &config->layer_norm_epsilon));
  CDL_TRY(
      base_json_real(path, object, keys.hidden_dropout, 0, most, false, &config->hidden_dropout));
  CDL_TRY(base_json_real(path, object, keys.attention_dropout, 0, most, false,
                         &config->attention_dropout));
  CDL_TRY(
      base_json_real(path, object, "initializer_range", 0, 1e6, false, &config->initializer_range));
  config->classifier_dropout = distilbert ? 0.2 : config->hidden_dropout;
  return keys.classifier_dropout == NULL
             ? CDL_STATUS_OK
             : base_json_real(path, object, keys.classifier_dropout, 0, most, !distilbert,
                              &config->classifier_dropout);
}

/* ---- Labels ---- */

/* A name and the class it belongs to. */
typedef struct {
  int64_t class;
  size_t place; /* in the file */
  const json_t *name;
} class_name;

/* Reads an integer as Python's int() does: spaces around it, a sign, leading zeros, single
 * underscores between digits. Returns false for anything else, and for more than 18 digits. */
static bool read_class(const char *key, int64_t *class)
{
  static const char spaces[] = " \t\n\v\f\r";
  key += strspn(key, spaces);
  const bool negative = *key == '-';
  key += *key == '-' || *key == '+';
  int64_t number = 0;
  int digits = 0;
  bool digit_before = false;
  for (; (*key >= '0' && *key <= '9') || (*key == '_' && digit_before); key++) {
    digit_before = *key != '_';
    if (!digit_before)
      continue;
    digits += digits > 0 || *key != '0';
    if (digits > 18)
      return false;
    number = 10 * number + (*key - '0');
  }
  *class = negative ? -number : number;
  return digit_before && key[strspn(key, spaces)] == '\0';
}

/* Writes a float as Python's str() does: the fewest digits that read back as the same number, with
 * an exponent from 1e16 on and below 1e-4. */
static char *real_name(double value)
{
  char text[40], digits[20], *name = NULL;
  for (int more = 0; more < 17; more++) {
    snprintf(text, sizeof text, "%.*e", more, fabs(value));
    if (strtod(text, NULL) == fabs(value))
      break;
  }
  int count = 0;
  const char *c = text;
  for (; *c != 'e'; c++) /* whatever the locale's decimal point is */
    if (*c >= '0' && *c <= '9')
      digits[count++] = *c;
  const int exponent = atoi(c + 1);
  const char *sign = signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    if (asprintf(&name, "%s%c%s%.*se%c%02d", sign, digits[0], count > 1 ? "." : "", count - 1,
                 digits + 1, exponent < 0 ? '-' : '+', abs(exponent)) < 0)
      return NULL;
    return name;
  }
  char whole[20] = "0", part[24] = "0";
  const int before = exponent + 1; /* digits before the point */
  for (int i = 0; i < before; i++)
    whole[i] = i < count ? digits[i] : '0';
  whole[before > 0 ? before : 1] = '\0';
  if (count > before)
    snprintf(part, sizeof part, "%.*s%.*s", before < 0 ? -before : 0, "0000",
             before < 0 ? count : count - before, before < 0 ? digits : digits + before);
  return asprintf(&name, "%s%s.%s", sign, whole, part) < 0 ? NULL : name;
}

/* Returns a name as Python's str() writes it; JSON for an array or object. */
static char *label_name(const json_t *value)
{
  char *name = NULL;
  switch (json_typeof(value)) {
  case JSON_STRING:
    return strdup(json_string_value(value));
  case JSON_INTEGER:
    return asprintf(&name, "%lld", (long long)json_integer_value(value)) < 0 ? NULL : name;
  case JSON_REAL:
    return real_name(json_real_value(value));
  case JSON_TRUE:
    return strdup("True");
  case JSON_FALSE:
    return strdup("False");
  case JSON_NULL:
    return strdup("None");
  default:
    return base_json_line(value);
  }
}

static int by_class(const void *left, const void *right)
{
  const class_name *a = left, *b = right;
  return a->class != b->class ? (a->class > b->class) - (a->class < b->class)
                              : (a->place > b->place) - (a->place < b->place);
}

/* Sorts names by class, keeps only the last one of each, and returns the number of classes. */
static int64_t sort_names(class_name *names, size_t count)
{
  int64_t kept = 0;
  qsort(names, count, sizeof *names, by_class);
  for (size_t i = 0; i < count; i++)
    if (i + 1 == count || names[i].class != names[i + 1].class)
      names[kept++] = names[i];
  return kept;
}

/* `names` [count] has one name per class. A class without a name gets Transformers' default. */
static cdl_status keep_names(const char *path, const class_name *names, int64_t count,
                             model_config *config)
{
  config->label_names = calloc((size_t)count, sizeof *config->label_names);
  if (config->label_names == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  config->label_count = count;
  for (int64_t i = 0, next = 0; i < count; i++) {
    while (next < count && names[next].class < i)
      next++;
    if (next < count && names[next].class == i)
      config->label_names[i] = label_name(names[next].name);
    else if (asprintf(&config->label_names[i], "LABEL_%" PRId64, i) < 0)
      config->label_names[i] = NULL;
    if (config->label_names[i] == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  }
  return CDL_STATUS_OK;
}

/* As PretrainedConfig of Transformers: {int(key): name}; its length is the number of labels. */
static cdl_status read_names(const char *path, json_t *map, model_config *config)
{
  if (!json_is_object(map) || json_object_size(map) > LABELS_MOST)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"id2label\": expected an object of at most %d names",
                    path, LABELS_MOST);
  class_name *names = calloc(json_object_size(map) + 1, sizeof *names);
  if (names == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  cdl_status status = CDL_STATUS_OK;
  size_t count = 0;
  const char *key;
  json_t *value;
  json_object_foreach(map, key, value)
  {
    names[count] = (class_name){.place = count, .name = value};
    if (status == CDL_STATUS_OK && !read_class(key, &names[count].class))
      status = cdl_fail(CDL_STATUS_DATA,
                        "%s: \"id2label\": key \"%.100s\", expected a whole number", path, key);
    count++;
  }
  if (status == CDL_STATUS_OK && count > 0)
    status = keep_names(path, names, sort_names(names, count), config);
  free(names);
  return status;
}

const char *cdl_problem_name(cdl_problem problem)
{
  static const char *const names[CDL_PROBLEM_COUNT] = {
      [CDL_PROBLEM_SINGLE_LABEL] = "single_label_classification",
      [CDL_PROBLEM_MULTI_LABEL] = "multi_label_classification",
      [CDL_PROBLEM_REGRESSION] = "regression"};
  return (unsigned)problem < CDL_PROBLEM_COUNT ? names[problem] : "?";
}

bool model_problem_find(const char *name, cdl_problem *problem)
{
  for (int p = 0; p < CDL_PROBLEM_COUNT; p++)
    if (strcmp(name, cdl_problem_name((cdl_problem)p)) == 0) {
      *problem = (cdl_problem)p;
      return true;
    }
  return false;
}

static cdl_status read_problem(const char *path, const json_t *object, model_config *config)
{
  const char *problem = NULL;
  CDL_TRY(base_json_string(path, object, "problem_type", true, &problem));
  config->problem = config->label_count == 1 ? CDL_PROBLEM_REGRESSION : CDL_PROBLEM_SINGLE_LABEL;
  if (problem == NULL || model_problem_find(problem, &config->problem))
    return CDL_STATUS_OK;
  return cdl_fail(
      CDL_STATUS_DATA,
      "%s: \"problem_type\" is \"%.100s\", expected regression, single_label_classification or "
      "multi_label_classification",
      path, problem);
}

/* If there is an id2label, num_labels beside it has no effect. */
static cdl_status read_labels(const char *path, const json_t *object, model_config *config)
{
  json_t *map = json_object_get(object, "id2label");
  const json_t *number = json_object_get(object, "num_labels");
  if (map != NULL && !json_is_null(map)) {
    CDL_TRY(read_names(path, map, config));
  } else {
    config->label_count = 2;
    if (!json_is_null(number))
      CDL_TRY(base_json_integer(path, object, "num_labels", 0, LABELS_MOST, &config->label_count));
  }
  return read_problem(path, object, config);
}

/* ---- The file ---- */

static cdl_status read_object(const char *path, const json_t *object, model_config *config)
{
  CDL_TRY(family_of(path, object, &config->family));
  CDL_TRY(refuse_other_models(path, object));
  CDL_TRY(read_activation(path, object, config));
  CDL_TRY(read_sizes(path, object, config));
  CDL_TRY(read_rates(path, object, config));
  return read_labels(path, object, config);
}

/* Returns `path` itself, or config.json in it if it is a folder. */
static char *config_path(const char *path)
{
  struct stat facts;
  if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode))
    return base_path_join(path, "config.json");
  return strdup(path);
}

cdl_status model_config_read(const char *path, model_config *config)
{
  *config = (model_config){0};
  char *file = config_path(path);
  if (file == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  json_t *object = NULL;
  cdl_status status = base_json_read(file, &object);
  if (status == CDL_STATUS_OK)
    status = read_object(file, object, config);
  if (status != CDL_STATUS_OK)
    model_config_release(config);
  json_decref(object);
  free(file);
  return status;
}

/* ---- Writing ---- */

static cdl_status add_label(const char *path, json_t *names, json_t *indices, int64_t index,
                            const char *given)
{
  char key[32], fallback[40];
  snprintf(key, sizeof key, "%" PRId64, index);
  snprintf(fallback, sizeof fallback, "LABEL_%" PRId64, index);
  const char *name = given != NULL ? given : fallback;
  const size_t bytes = strlen(name);
  if (base_utf8_well_formed((const uint8_t *)name, bytes) < bytes)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: label %s is not UTF-8", path, key);
  if (json_object_set_new(names, key, json_string(name)) != 0 ||
      json_object_set_new(indices, name, json_integer(index)) != 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  return CDL_STATUS_OK;
}

static cdl_status change_object(const char *path, json_t *object, int64_t label_count,
                                const char *const *label_names, cdl_problem problem)
{
  model_family family = MODEL_FAMILY_BERT;
  CDL_TRY(family_of(path, object, &family));
  json_t *names = json_object(), *indices = json_object();
  /* set_new takes ownership of its argument, and fails on NULL. */
  int failed = json_object_set_new(object, "id2label", names) |
               json_object_set_new(object, "label2id", indices);
  failed |= json_object_set_new(object, "problem_type", json_string(cdl_problem_name(problem)));
  failed |= json_object_set_new(
      object, "architectures",
      json_pack("[s+]", model_family_of(family)->classes, "ForSequenceClassification"));
  json_object_del(object, "num_labels");
  const char *types[] = {"dtype", "torch_dtype"};
  for (size_t i = 0; i < 2; i++)
    if (json_object_get(object, types[i]) != NULL)
      failed |= json_object_set_new(object, types[i], json_string("float32"));
  if (failed)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (int64_t i = 0; i < label_count; i++)
    CDL_TRY(add_label(path, names, indices, i, label_names != NULL ? label_names[i] : NULL));
  return CDL_STATUS_OK;
}

cdl_status model_config_write(const char *source, const char *destination, int64_t label_count,
                              const char *const *label_names, cdl_problem problem)
{
  if (label_count < 1 || label_count > LABELS_MOST || (unsigned)problem >= CDL_PROBLEM_COUNT)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: %" PRId64 " labels cannot be", destination,
                    label_count);
  char *file = config_path(source);
  if (file == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", source);
  json_t *object = NULL;
  cdl_status status = base_json_read(file, &object);
  if (status == CDL_STATUS_OK)
    status = change_object(file, object, label_count, label_names, problem);
  if (status == CDL_STATUS_OK)
    status = base_json_write(destination, object);
  json_decref(object);
  free(file);
  return status;
}
