/* A Hugging Face model folder for the encoder: config.json and safetensors, with one set of tensor
 * names.
 *
 * Canonical names have no family prefix (`bert.`) and no LayerNorm.gamma or .beta:
 *   embeddings.{word,position,token_type}_embeddings.weight, embeddings.LayerNorm.{weight,bias}
 *   embeddings_project.{weight,bias}                         ELECTRA, if widths differ
 *   encoder.layer.N.attention.self.{query,key,value}.{weight,bias}
 *   encoder.layer.N.attention.output.{dense,LayerNorm}.{weight,bias}
 *   encoder.layer.N.intermediate.dense.{weight,bias}
 *   encoder.layer.N.output.{dense,LayerNorm}.{weight,bias}
 *   encoder.relative_attention_bias.weight                   MPNet
 *   pooler.dense.{weight,bias}                               BERT
 *   classifier.{weight,bias}                                 BERT, DistilBERT
 *   pre_classifier.{weight,bias}                             DistilBERT
 *   classifier.{dense,out_proj}.{weight,bias}                RoBERTa, ELECTRA, MPNet
 * DistilBERT and MPNet keep their own names inside their blocks (model/files/family.c).
 * Known extras are ignored: position_ids, token_type_ids, lm_head.*, cls.*, and a family's own:
 * RoBERTa's and MPNet's pooler.*, DistilBERT's vocab_*, ELECTRA's heads of pre-training. Other
 * tensors outside the encoder are left out, and can be named. */
#ifndef CONDLORA_MODEL_FILES_CHECKPOINT_H
#define CONDLORA_MODEL_FILES_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "condlora/safetensors.h"
#include "condlora/status.h"
#include "model/files/config.h"

typedef struct model_checkpoint model_checkpoint;

/* Opens `folder` and checks the body: it is complete, every tensor has the shape that config.json
 * implies and a floating-point type, and nothing unknown is within the encoder. The pooler may be
 * missing, but not in part. The head is not checked. `config` is what the folder's config.json
 * says, and outlives the checkpoint; NULL: it is read.
 * Errors: those of the files; DATA names the file and the tensor. */
CDL_MUST_USE cdl_status model_checkpoint_open(const char *folder, const model_config *config,
                                              model_checkpoint **checkpoint);
void model_checkpoint_close(model_checkpoint *checkpoint);

const model_config *model_checkpoint_config(const model_checkpoint *checkpoint);
bool model_checkpoint_has(const model_checkpoint *checkpoint, const char *name);
bool model_checkpoint_has_pooler(const model_checkpoint *checkpoint);

/* Returns the number of labels of the stored head; 0 if there is none, or no usable one. */
int64_t model_checkpoint_head_labels(const model_checkpoint *checkpoint);
/* Fails with DATA if the head is incomplete, has wrong shapes, or has another number of labels than
 * `labels` (0: any); the message names both numbers. A missing head is no error. */
CDL_MUST_USE cdl_status model_checkpoint_check_head(const model_checkpoint *checkpoint,
                                                    int64_t labels);

/* Logs one line that counts the tensors outside the encoder that were left out, and names the
 * first. Logs nothing if there are none. */
void model_checkpoint_note_left_out(const model_checkpoint *checkpoint);

/* Gives a tensor as float32. If it is stored as float32, `values` is the file's own memory, without
 * alignment; otherwise it is `staging`, which the caller makes large enough. DATA if the tensor is
 * missing or has another shape. */
CDL_MUST_USE cdl_status model_checkpoint_view(const model_checkpoint *checkpoint, const char *name,
                                              uint32_t rank, const int64_t *shape, float *staging,
                                              const void **values);
/* Returns the tensor's values in the mapped file if they are stored there as float32, otherwise
 * NULL. They may be unaligned, and stay until the checkpoint is closed. */
const void *model_checkpoint_mapped(const model_checkpoint *checkpoint, const char *name);
/* Fails with IO, naming the file, if a file of the checkpoint was written since it was opened. */
CDL_MUST_USE cdl_status model_checkpoint_check_files(const model_checkpoint *checkpoint);
/* Gives back the pages of a tensor that has been read. */
void model_checkpoint_discard(const model_checkpoint *checkpoint, const char *name);

/* Returns 64 bits (FNV-1a) over canonical name, type, shape and up to 16 evenly spread samples of
 * 64 bytes of each tensor of the body. It distinguishes bases without reading them whole. Prefixes,
 * shards, pooler and head do not change it; another storage type does. */
uint64_t model_checkpoint_fingerprint(const model_checkpoint *checkpoint);

/* Returns whether a tensor, by its canonical or its stored name, belongs to the classification
 * head. */
bool model_checkpoint_is_head(const char *name);

/* Returns a canonical name as a checkpoint with a head stores it: "bert.encoder…",
 * "classifier.weight". The caller frees it. NULL if memory is out. */
char *model_checkpoint_full_name(model_family family, const char *name);

#endif
