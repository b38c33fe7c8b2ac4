/* cdl_model: merged and exported. */
#include <stdlib.h>

#include "base/new_folder.h"
#include "base/path.h"
#include "base/sized.h"
#include "model/adapter/io.h"
#include "model/export/adapter_card.h"
#include "model/export/adapter_export.h"
#include "model/export/merge.h"
#include "model/export/onnx.h"
#include "model/inference/columns.h"
#include "model/inference/inference.h"
#include "model/inference/logit_check.h"
#include "model/inference/model_state.h"

static adapter_model_origin origin_of(const cdl_model *model)
{
  const inference_model *m = &model->active->model;
  return (adapter_model_origin){.base = model->base_folder,
                                .tokenizer = m->tokenizer_folder != NULL ? m->tokenizer_folder
                                                                         : model->base_folder,
                                .labels = (const char *const *)m->label_names,
                                .problem = m->problem};
}

static cdl_status check_merges(const inference_model *m)
{
  return encoder_merges_whole(m->encoder)
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_UNSUPPORTED,
                        "use_x type2 multiplies tokens with each other: no weights hold it");
}

/* ---- Merging ---- */

/* Of merged weights. */
static cdl_status write_merged(const cdl_model *model, const char *folder)
{
  const inference_model *m = &model->active->model;
  const adapter_model_origin origin = origin_of(model);
  CDL_TRY(adapter_model_write(m->encoder, m->queue, &origin, folder));
  CDL_TRY(inference_columns_write(folder, &m->adapter_config));
  return export_model_narrow(folder, model->base_folder);
}

/* The merged folder as anyone will read it, beside the base with its adapter. */
static cdl_status compare(const cdl_model *model, const char *folder,
                          const inference_logit_check *check, double *change)
{
  inference_settings settings = model->settings;
  settings.model = folder;
  settings.adapter = NULL;
  settings.rank = 0;
  settings.part = INFERENCE_OPEN_MODEL;
  inference_model merged;
  CDL_TRY(inference_open(&merged, &settings));
  const cdl_status status = inference_logit_check_change(check, &merged, change);
  inference_close(&merged);
  return status;
}

static cdl_status merge_into(cdl_model *model, const char *folder,
                             const inference_logit_check *check, double *change)
{
  base_new_folder made;
  CDL_TRY(base_new_folder_begin(&made, folder));
  cdl_status status = inference_model_merge(model);
  if (status == CDL_STATUS_OK)
    status = write_merged(model, made.temporary);
  if (status == CDL_STATUS_OK)
    status = compare(model, made.temporary, check, change);
  if (status == CDL_STATUS_OK)
    status = encoder_check_files(model->active->model.encoder);
  return base_new_folder_finish(&made, status);
}

cdl_status cdl_model_merge(cdl_model *model, const char *folder, double *change)
{
  const inference_model *m = &model->active->model;
  double largest = 0;
  if (m->adapter == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "%s: there is no active adapter to merge",
                    model->base_folder);
  CDL_TRY(check_merges(m));
  inference_model_settle(model);
  inference_logit_check check;
  CDL_TRY(inference_logit_check_begin(&check, m));
  const cdl_status status = merge_into(model, folder, &check, &largest);
  inference_logit_check_end(&check);
  if (status == CDL_STATUS_OK && change != NULL)
    *change = largest;
  return status;
}

/* ---- Exporting ---- */

/* The base's config.json with the adapter's labels; PEFT's users pass it on, because PEFT has no
 * place for labels. It keeps the base's vocabulary: PEFT makes room for new words itself. */
static cdl_status write_labels(const cdl_model *model, const char *folder)
{
  const adapter_model_origin origin = origin_of(model);
  char *path = base_path_join(folder, "config.json");
  const cdl_status status = path != NULL
                                ? model_config_write(origin.base, path, model->active->model.labels,
                                                     origin.labels, origin.problem)
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  return status;
}

/* With what PEFT's users want beside it: the tokenizer, which PEFT counts the words of, the labels,
 * and a card. */
static cdl_status write_lora(const cdl_model *model, const char *folder)
{
  const inference_model *m = &model->active->model;
  CDL_TRY(export_adapter(m->adapter, m->queue, folder, &m->adapter_config));
  CDL_TRY(adapter_tokenizer_files_copy(origin_of(model).tokenizer, folder));
  CDL_TRY(write_labels(model, folder));
  return export_adapter_card_write(folder, &m->adapter_config);
}

/* Whether the tokenizer tells a pair's texts apart. RoBERTa's does not, and gives no token_type_ids
 * in Transformers, however many types its model has. */
static cdl_status tells_types(const inference_model *m, bool *tells)
{
  cdl_encoding encoding = {0};
  CDL_TRY(cdl_tokenizer_encode(m->tokenizer, "a", 1, "a", 1, 0, &encoding));
  *tells = false;
  for (size_t i = 0; i < encoding.count; i++)
    *tells = *tells || encoding.type_ids[i] != 0;
  cdl_encoding_release(&encoding);
  return CDL_STATUS_OK;
}

/* Of merged weights. */
static cdl_status write_onnx(const cdl_model *model, const char *folder)
{
  const inference_model *m = &model->active->model;
  bool types;
  CDL_TRY(tells_types(m, &types));
  const adapter_model_origin origin = origin_of(model);
  CDL_TRY(adapter_model_write_settings(m->encoder, &origin, folder));
  if (m->adapter != NULL) /* a whole model's config.json is copied with them */
    CDL_TRY(inference_columns_write(folder, &m->adapter_config));
  return export_encoder_write_onnx(m->encoder, m->queue, folder, m->types_zero || !types);
}

static cdl_status write_folder(const cdl_model *model, const char *folder, cdl_export_format format)
{
  base_new_folder made;
  CDL_TRY(base_new_folder_begin(&made, folder));
  cdl_status status = format == CDL_EXPORT_ONNX ? write_onnx(model, made.temporary)
                                                : write_lora(model, made.temporary);
  if (status == CDL_STATUS_OK)
    status = encoder_check_files(model->active->model.encoder);
  return base_new_folder_finish(&made, status);
}

/* `*change`: the largest of a logit that merging makes. */
static cdl_status export_merged(cdl_model *model, const char *folder, double *change)
{
  const inference_model *m = &model->active->model;
  inference_logit_check check;
  CDL_TRY(check_merges(m));
  CDL_TRY(inference_logit_check_begin(&check, m));
  cdl_status status = inference_model_merge(model);
  if (status == CDL_STATUS_OK)
    status = inference_logit_check_change(&check, m, change);
  if (status == CDL_STATUS_OK)
    status = write_folder(model, folder, CDL_EXPORT_ONNX);
  inference_logit_check_end(&check);
  return status;
}

cdl_status cdl_model_export(cdl_model *model, const char *folder, const cdl_export_options *options,
                            double *change)
{
  cdl_export_options o;
  double largest = 0;
  CDL_TRY(base_sized_read(&o, sizeof o, options, "cdl_export_options"));
  if (o.format != CDL_EXPORT_LORA && o.format != CDL_EXPORT_ONNX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "format %d; lora and onnx are what is written",
                    (int)o.format);
  const bool adapted = model->active->model.adapter != NULL;
  if (!adapted && o.format == CDL_EXPORT_LORA)
    return cdl_fail(CDL_STATUS_USAGE, "%s: there is no active adapter to export",
                    model->base_folder);
  inference_model_settle(model);
  CDL_TRY(adapted && o.format == CDL_EXPORT_ONNX ? export_merged(model, folder, &largest)
                                                 : write_folder(model, folder, o.format));
  if (change != NULL)
    *change = largest;
  return CDL_STATUS_OK;
}
