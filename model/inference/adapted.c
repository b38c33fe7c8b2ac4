#include "model/inference/adapted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "model/adapter/fold.h"
#include "model/adapter/io.h"
#include "model/files/family.h"

void inference_fingerprint(const inference_model *model, char text[INFERENCE_FINGERPRINT_BYTES])
{
  snprintf(text, INFERENCE_FINGERPRINT_BYTES, "%016" PRIx64, model->loaded.fingerprint);
}

/* The tensor of a module in the adapter's file; NULL for none. */
static const cdl_stored_tensor *part_of(const cdl_safetensors *tensors, const char *module,
                                        const char *leaf)
{
  char name[2 * MODEL_NAME_BYTES];
  snprintf(name, sizeof name, ADAPTER_PREFIX "%s%s", module, leaf);
  const cdl_stored_tensor *t = cdl_safetensors_find(tensors, name);
  return t != NULL && t->rank == 2 ? t : NULL;
}

static const cdl_stored_tensor *whole_weight(const cdl_safetensors *tensors, const char *module)
{
  const cdl_stored_tensor *t = adapter_whole_tensor(tensors, module, ".weight");
  return t != NULL && t->rank == 2 ? t : NULL;
}

encoder_load_options inference_load_options(const cdl_safetensors *tensors,
                                            const model_config *base)
{
  enum { OUTPUTS_MOST = 65536 };
  const model_family_facts *family = model_family_of(base->family);
  const cdl_stored_tensor *out = whole_weight(tensors, family->head_out), *rows = out;
  if (rows == NULL)
    rows = part_of(tensors, family->head_out, ".lora_B.weight");
  if (rows == NULL)
    rows = part_of(tensors, family->head_out, ".lora_B");
  encoder_load_options options = {
      .fresh_head = out != NULL && (family->pooler || whole_weight(tensors, family->head_dense))};
  if (rows != NULL && rows->shape[0] > 0 && rows->shape[0] < OUTPUTS_MOST)
    options.labels = (int)rows->shape[0];
  char words[MODEL_NAME_BYTES];
  snprintf(words, sizeof words, "%sembeddings.word_embeddings", family->prefix);
  const cdl_stored_tensor *table = whole_weight(tensors, words);
  const int64_t width = base->embedding_size > 0 ? base->embedding_size : base->hidden_size;
  if (table != NULL && table->shape[0] > 0 && table->shape[0] <= INT32_MAX &&
      table->shape[1] == width)
    options.vocabulary = table->shape[0];
  return options;
}

cdl_status inference_brings_tokenizer(const char *folder, const adapter_config *config,
                                      const cdl_safetensors *tensors, bool *brings)
{
  static const char *const names[] = {"tokenizer.json", "vocab.txt", "vocab.json",
                                      "sentencepiece.bpe.model"};
  bool words = config->token_count > 0;
  *brings = false;
  for (size_t i = 0; i < cdl_safetensors_count(tensors) && !words; i++)
    words = strstr(cdl_safetensors_get(tensors, i)->name, ".word_embeddings.") != NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0] && words && !*brings; i++) {
    char *path = base_path_join(folder, names[i]);
    if (path == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the adapter's settings");
    *brings = base_file_exists(path);
    free(path);
  }
  return CDL_STATUS_OK;
}

cdl_status inference_check_base(const inference_model *model, const char *folder,
                                const adapter_config *config)
{
  char present[INFERENCE_FINGERPRINT_BYTES];
  inference_fingerprint(model, present);
  if (config->fingerprint != NULL && strcmp(config->fingerprint, present) != 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the adapter was trained on another base model (its fingerprint is %s, "
                    "this model's %s)",
                    folder, config->fingerprint, present);
  return CDL_STATUS_OK;
}

/* ---- The adapter ---- */

cdl_status inference_in_folder(cdl_status status, const char *folder)
{
  return status == CDL_STATUS_USAGE
             ? cdl_fail(CDL_STATUS_DATA, "%s: adapter_config.json: %s", folder, cdl_error_message())
             : status;
}

cdl_status inference_open_adapter(inference_model *model, const inference_settings *settings,
                                  const adapter_config *config, const cdl_safetensors *tensors)
{
  const char *folder = settings->adapter;
  adapter_settings adapter = config->settings;
  adapter.dropout = 0; /* of training */
  adapter.ignore_unmatched = true;
  adapter.train_pooler = model->loaded.fresh_pooler;
  const cdl_status status = adapter_create_stored(model->queue, model->encoder, &adapter, config,
                                                  tensors, &model->adapter);
  if (status == CDL_STATUS_USAGE && encoder_parameters(model->encoder)->shared)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: %s; such an adapter can only be opened alone",
                    folder, cdl_error_message());
  CDL_TRY(inference_in_folder(status, folder));
  if (settings->part == INFERENCE_OPEN_ADAPTED)
    CDL_TRY(encoder_reload(model->encoder, model->queue, settings->model,
                           &(encoder_load_options){.part = ENCODER_LOAD_ADAPTED},
                           model->loaded.fingerprint));
  if (config->settings.init == ADAPTER_INIT_PISSA || config->settings.init == ADAPTER_INIT_OLORA)
    CDL_TRY(adapter_initialize(model->adapter, model->queue, 0));
  return adapter_read(model->adapter, model->queue, folder);
}
