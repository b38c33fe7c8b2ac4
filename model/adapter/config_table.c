#include "model/adapter/config_table.h"

#define AT(member) .offset = offsetof(adapter_config, member)
#define KEY(member) .key_of_method = offsetof(adapter_keys, member)
#define PATTERN(member) .pattern = offsetof(adapter_config, member)

/* docs/files.md has the list with reasons. */
static const config_row rows[] = {
    {CONFIG_HARMLESS, .key = "auto_mapping"},
    {CONFIG_HARMLESS, .key = "condlora_stamp"}, /* read where the folder is opened */
    {CONFIG_HARMLESS, .key = "corda_config"},
    {CONFIG_HARMLESS, .key = "ensure_weight_tying"},
    {CONFIG_HARMLESS, .key = "eva_config"},
    {CONFIG_HARMLESS, .key = "fan_in_fan_out"},
    {CONFIG_HARMLESS, .key = "loftq_config"},
    {CONFIG_HARMLESS, .key = "lora_ga_config"},
    {CONFIG_HARMLESS, .key = "megatron_core"},
    {CONFIG_HARMLESS, .key = "merge_weights"},
    {CONFIG_HARMLESS, .key = "peft_version"},
    {CONFIG_HARMLESS, .key = "qalora_group_size"},
    {CONFIG_HARMLESS, .key = "runtime_config"},

    {CONFIG_BASE_MODEL, .key = "base_model_name_or_path", AT(base_model)},
    {CONFIG_BIAS, .key = "bias", AT(settings.bias)},
    {CONFIG_HELD_OUT, .key = "held_out", AT(held_out)},
    {CONFIG_INFERENCE_MODE, .key = "inference_mode"},
    {CONFIG_COLUMNS, .key = "label_column", AT(label_columns), .or_name = true},
    {CONFIG_STRING, .key = "label_separator", AT(label_separator), .said = "label separator"},
    {CONFIG_STRING, .key = "revision", AT(base_revision), .said = "revision of the base"},
    {CONFIG_LIST, .key = "text_columns", AT(text_columns)},
    {CONFIG_LIST, .key = "labels", AT(labels), .said = "list of labels"},
    {CONFIG_MODULES_TO_SAVE, .key = "modules_to_save", AT(settings.modules_to_save),
     .said = "list of saved modules"},
    {CONFIG_ORIENTATION, .key = "orientation", AT(settings.orientation)},
    {CONFIG_TYPE, .key = "peft_type", AT(settings.method)},

    {CONFIG_VALUES, CONFIG_OF_LOW_RANK | ADAPTER_HAS_ALPHA_PATTERN, "alpha_pattern",
     AT(settings.alpha_pattern), .low = -1e9, .high = 1e9},
    {CONFIG_MODULES, CONFIG_OF_LOW_RANK, "exclude_modules", AT(settings.excluded),
     PATTERN(settings.excluded_pattern), .said = "choice of excluded modules"},
    {CONFIG_INIT, CONFIG_OF_LOW_RANK, KEY(initial_values), AT(settings.init)},
    {CONFIG_LIST, CONFIG_OF_LOW_RANK, "layers_pattern", AT(settings.layers_pattern),
     .or_name = true, .said = "layers_pattern"},
    {CONFIG_LAYERS, CONFIG_OF_LOW_RANK, "layers_to_transform", AT(settings.layers)},
    {CONFIG_NUMBER, CONFIG_OF_LOW_RANK, KEY(alpha), AT(settings.alpha), .low = -1e9, .high = 1e9,
     .said = "alpha"},
    {CONFIG_REAL, CONFIG_OF_LOW_RANK, KEY(dropout), AT(settings.dropout), .high = 0.999999,
     .said = "dropout"},
    {CONFIG_INT, CONFIG_OF_LOW_RANK, KEY(rank), AT(settings.rank), .low = 1,
     .high = CONFIG_RANK_MOST, .said = "rank"},
    {CONFIG_VALUES, CONFIG_OF_LOW_RANK | ADAPTER_HAS_RANK_PATTERN, "rank_pattern",
     AT(settings.rank_pattern), .low = 1, .high = CONFIG_RANK_MOST},
    {CONFIG_MODULES, CONFIG_OF_LOW_RANK, "target_modules", AT(settings.targets),
     PATTERN(settings.target_pattern), .said = "choice of targets"},
    {CONFIG_FLAG, CONFIG_OF_LOW_RANK | ADAPTER_HAS_RSLORA, "use_rslora", AT(settings.rslora)},
    {CONFIG_FLAG, CONFIG_OF_LOW_RANK | CONFIG_OF_BIASED_UP, "lora_bias", AT(lora_bias),
     .read_only = true},
    {CONFIG_TOKEN_ROWS, CONFIG_OF_LOW_RANK, "trainable_token_indices", AT(token_rows)},

    {.kind = CONFIG_OPTIONS},
    {CONFIG_PROBLEM, .key = "problem_type", AT(problem)},
    {CONFIG_REGRESSION, .key = "regression", AT(problem), .read_only = true},
    {CONFIG_STRING, .key = "task", AT(task), .said = "task"},
    {CONFIG_TASK_TYPE, .key = "task_type", AT(saves_head)},
    {CONFIG_THRESHOLDS, .key = "thresholds", AT(thresholds)},
    {CONFIG_FLAG, .key = "types_zero", AT(zero_token_types)},
};

const config_row *adapter_config_rows(size_t *count)
{
  *count = sizeof rows / sizeof rows[0];
  return rows;
}

static bool has_row(const config_row *row, const adapter_method *method)
{
  const unsigned lacking = (method->attach == NULL ? CONFIG_OF_LOW_RANK : 0) |
                           (method->biases_of_up ? 0 : CONFIG_OF_BIASED_UP) |
                           (ADAPTER_HAS_ALL & ~method->has);
  return (row->of & lacking) == 0;
}

const char *adapter_config_key(const config_row *row, const adapter_method *method)
{
  if (!has_row(row, method) || row->kind == CONFIG_OPTIONS)
    return NULL;
  if (row->key != NULL)
    return row->key;
  return *(const char *const *)((const char *)adapter_keys_of(method) + row->key_of_method);
}

const char *adapter_config_option_key(const base_option *option)
{
  return option->key != NULL ? option->key : option->name;
}
