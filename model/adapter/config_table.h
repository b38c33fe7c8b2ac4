/* The keys of adapter_config.json, one row each: what is read, what is written, what is known and
 * changes nothing. */
#ifndef CONDLORA_MODEL_ADAPTER_CONFIG_TABLE_H
#define CONDLORA_MODEL_ADAPTER_CONFIG_TABLE_H

#include "model/adapter/state.h"

/* What a key's value is. Those of the second part are one key each. */
typedef enum {
  CONFIG_HARMLESS, /* changes nothing of what the adapter computes, whatever its value */
  CONFIG_INT,      /* int64_t */
  CONFIG_REAL,     /* double */
  CONFIG_NUMBER,   /* double, written without a point if it is whole, as PEFT does */
  CONFIG_FLAG,     /* bool; false is not written */
  CONFIG_STRING,   /* char *; NULL is not written */
  CONFIG_LIST,     /* base_list; an empty one is not written */
  CONFIG_MODULES,  /* base_list, or one expression for `pattern` */
  CONFIG_VALUES,   /* adapter_module_values */
  CONFIG_LAYERS,
  CONFIG_TYPE,
  CONFIG_TASK_TYPE,
  CONFIG_INFERENCE_MODE,
  CONFIG_BASE_MODEL,
  CONFIG_MODULES_TO_SAVE,
  CONFIG_BIAS,
  CONFIG_INIT,
  CONFIG_ORIENTATION,
  CONFIG_HELD_OUT,
  CONFIG_TOKEN_ROWS,
  CONFIG_PROBLEM,    /* Transformers' word; one label of several classes is not written */
  CONFIG_REGRESSION, /* a flag, as older versions wrote the problem */
  CONFIG_COLUMNS,    /* base_list; one name is written as a string */
  CONFIG_THRESHOLDS,
  CONFIG_OPTIONS, /* the method's own options and extra keys; the row has no key */
  CONFIG_KINDS
} config_kind;

/* Who has a key: bits of adapter_setting, all of which the method must have, and these. */
enum { CONFIG_OF_LOW_RANK = 1 << 8, CONFIG_OF_BIASED_UP = 1 << 9 };

/* How examples were held out: the places are false and true of `reference_split`. */
#define CONFIG_SPLIT_WORDS "stratified|reference"

enum { CONFIG_RANK_MOST = 1 << 20 };

typedef struct {
  config_kind kind;
  unsigned of;          /* who has it */
  const char *key;      /* NULL: each method has its own name for it, */
  size_t key_of_method; /* which is at this place in adapter_keys */
  size_t offset;        /* of the value in adapter_config */
  size_t pattern;       /* of the expression */
  double low, high;     /* of numbers, both included */
  bool or_name;         /* a list may be one string, which is its only name */
  bool read_only;       /* it is never written */
  const char *said;     /* what a message calls it that refuses to write it */
} config_row;

/* In the order in which they are written. */
const config_row *adapter_config_rows(size_t *count);

/* The key's name for the method; NULL: the method has no such key. */
const char *adapter_config_key(const config_row *row, const adapter_method *method);

/* The name of a method's option in adapter_config.json. */
const char *adapter_config_option_key(const base_option *option);

static inline void *adapter_config_value(const config_row *row, const adapter_config *config)
{
  return (char *)(uintptr_t)config + row->offset;
}

static inline char **adapter_config_pattern(const config_row *row, const adapter_config *config)
{
  return (char **)(uintptr_t)((const char *)config + row->pattern);
}

static inline const adapter_method *adapter_config_method(const adapter_config *config)
{
  return adapter_method_find(config->settings.method);
}

#endif
