#include "base/nearest.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 64 };

size_t base_distance(const char *a, const char *b)
{
  size_t row[LONGEST + 1], previous;
  const size_t n = strnlen(b, LONGEST);
  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 0; a[i] != '\0' && i < LONGEST; i++) {
    previous = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < n; j++) {
      const size_t replaced = previous + (a[i] != b[j]);
      const size_t shifted = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
      previous = row[j + 1];
      row[j + 1] = replaced < shifted ? replaced : shifted;
    }
  }
  return row[n];
}

const char *base_nearest(const char *name, const char *const *names, size_t count)
{
  const char *best = names[0];
  size_t least = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    const size_t d = base_distance(name, names[i]);
    if (d < least) {
      least = d;
      best = names[i];
    }
  }
  return best;
}

/* Names of Transformers' TrainingArguments and scripts and of PEFT, and common guesses. A name that
 * has several equivalents here has one row for each. */
static const struct {
  const char *theirs, *here;
} known[] = {{"learning_rate", "lr"},
             {"num_train_epochs", "epochs"},
             {"num_epochs", "epochs"},
             {"n_epochs", "epochs"},
             {"max_epochs", "epochs"},
             {"max_train_steps", "max_steps"},
             {"num_train_steps", "max_steps"},
             {"steps", "max_steps"},
             {"per_device_train_batch_size", "batch_size"},
             {"per_gpu_train_batch_size", "batch_size"},
             {"train_batch_size", "batch_size"},
             {"bs", "batch_size"},
             {"batch", "batch_size"},
             {"gradient_accumulation_steps", "accumulate"},
             {"grad_accumulation_steps", "accumulate"},
             {"accumulation_steps", "accumulate"},
             {"lora_alpha", "alpha"},
             {"lora_r", "rank"},
             {"lora_rank", "rank"},
             {"lora_dim", "rank"},
             {"r", "rank"},
             {"lora_dropout", "adapter_dropout"},
             {"lora_bias", "bias"},
             {"use_rslora", "rslora"},
             {"init_lora_weights", "init"},
             {"loraplus_lr_ratio", "lora_plus_ratio"},
             {"target_modules", "targets"},
             {"lora_target_modules", "targets"},
             {"lora_target", "targets"},
             {"peft_type", "method"},
             {"peft_method", "method"},
             {"finetuning_type", "method"},
             {"lr_scheduler_type", "schedule"},
             {"lr_scheduler", "schedule"},
             {"scheduler", "schedule"},
             {"warmup_steps", "warmup_ratio"},
             {"num_warmup_steps", "warmup_ratio"},
             {"warmup", "warmup_ratio"},
             {"wd", "weight_decay"},
             {"max_gradient_norm", "max_grad_norm"},
             {"gradient_clipping", "max_grad_norm"},
             {"gradient_clip_val", "max_grad_norm"},
             {"clip_grad_norm", "max_grad_norm"},
             {"label_smoothing_factor", "label_smoothing"},
             {"max_seq_length", "max_length"},
             {"max_seq_len", "max_length"},
             {"max_len", "max_length"},
             {"seq_len", "max_length"},
             {"cutoff_len", "max_length"},
             {"model_name_or_path", "model"},
             {"model_name", "model"},
             {"model_path", "model"},
             {"base_model", "model"},
             {"pretrained_model_name_or_path", "model"},
             {"tokenizer_name", "model"},
             {"adapter_name_or_path", "adapter"},
             {"adapter_path", "adapter"},
             {"peft_model", "adapter"},
             {"lora_path", "adapter"},
             {"output_dir", "output"},
             {"output_file", "output"},
             {"save_dir", "output"},
             {"out", "output"},
             {"o", "output"},
             {"train_file", "train"},
             {"train_data", "train"},
             {"train_path", "train"},
             {"validation_file", "dev"},
             {"valid_file", "dev"},
             {"dev_file", "dev"},
             {"eval_file", "dev"},
             {"validation_split", "dev_fraction"},
             {"test_size", "dev_fraction"},
             {"test_file", "input"},
             {"input_file", "input"},
             {"file", "input"},
             {"text", "input"},
             {"text", "text_columns"},
             {"task_name", "task"},
             {"data_dir", "data"},
             {"dataset", "data"},
             {"text_column", "text_columns"},
             {"text_column_name", "text_columns"},
             {"text_column_names", "text_columns"},
             {"input_column", "text_columns"},
             {"label_column_name", "label_column"},
             {"label_columns", "label_column"},
             {"problem", "multi_label"},
             {"problem_type", "multi_label"},
             {"multilabel", "multi_label"},
             {"label_delimiter", "label_separator"},
             {"metric_for_best_model", "metric"},
             {"target_column", "label_column"},
             {"label_list", "labels"},
             {"label_names", "labels"},
             {"do_regression", "regression"},
             {"data_seed", "seed_data"},
             {"random_seed", "seed"},
             {"random_state", "seed"},
             {"eval_strategy", "eval_every"},
             {"evaluation_strategy", "eval_every"},
             {"eval_steps", "eval_every"},
             {"save_strategy", "checkpoint_every"},
             {"save_steps", "checkpoint_every"},
             {"early_stopping_patience", "early_stopping"},
             {"patience", "early_stopping"},
             {"load_best_model_at_end", "keep"},
             {"resume_from_checkpoint", "resume"},
             {"ignore_mismatched_sizes", "fresh_head"},
             {"device", "backend"},
             {"no_cuda", "backend"},
             {"use_cpu", "backend"},
             {"fp16", "precision"},
             {"bf16", "precision"},
             {"tf32", "precision"},
             {"dtype", "precision"},
             {"torch_dtype", "precision"},
             {"mixed_precision", "precision"},
             {"num_threads", "threads"},
             {"num_workers", "threads"},
             {"n_jobs", "threads"},
             {"log_with", "report_to"},
             {"tensorboard", "report_to"},
             {"tensorboard_dir", "logging_dir"},
             {"log_dir", "logging_dir"},
             {"logging_steps", "log_every"},
             {"dataloader_num_workers", "threads"}};

/* Dashes and underscores are the same, and case does not count. */
static bool same_word(const char *a, const char *b)
{
  for (; *a != '\0' && *b != '\0'; a++, b++)
    if (tolower((unsigned char)*a) != tolower((unsigned char)*b) &&
        !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
      return false;
  return *a == *b;
}

/* Returns the place of a word among `names`, or `count`. */
static size_t place_of(const char *word, const char *const *names, size_t count)
{
  size_t place = 0;
  while (place < count && !same_word(word, names[place]))
    place++;
  return place;
}

static size_t place_known_as(const char *name, const char *const *names, size_t count)
{
  size_t place = count;
  for (size_t k = 0; k < sizeof known / sizeof known[0] && place == count; k++)
    if (same_word(name, known[k].theirs))
      place = place_of(known[k].here, names, count);
  return place < count ? place : place_of(name, names, count);
}

base_hint base_hint_for(const char *name, const char *const *names, size_t count,
                        const char *dashes)
{
  enum { NEAR_AT_LEAST = 2 };
  base_hint hint;
  const size_t here = place_known_as(name, names, count);
  const char *nearest = base_nearest(name, names, count);
  if (here < count)
    snprintf(hint.text, sizeof hint.text, "here it is %s%s", dashes, names[here]);
  else if (base_distance(name, nearest) <= NEAR_AT_LEAST + strnlen(name, LONGEST) / 2)
    snprintf(hint.text, sizeof hint.text, "the nearest is %s%s", dashes, nearest);
  else
    snprintf(hint.text, sizeof hint.text, "none is near; --help lists all");
  return hint;
}

bool base_is_listed(const char *choices, const char *value)
{
  const size_t n = strlen(value);
  for (const char *c = choices;; c++) {
    const char *end = strchrnul(c, '|');
    if ((size_t)(end - c) == n && memcmp(c, value, n) == 0)
      return true;
    if (*end == '\0')
      return false;
    c = end;
  }
}

bool base_is_one_of(const char *name, const char *const *names, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}
