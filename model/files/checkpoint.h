/* A Hugging Face model folder as the encoder wants it: config.json and safetensors, tensors under
 * one set of names.
 *
 * Canonical names have no family's prefix (`bert.`) and no LayerNorm.gamma or .beta:
 *   embeddings.{word,position,token_type}_embeddings.weight, embeddings.LayerNorm.{weight,bias}
 *   embeddings_project.{weight,bias}                                 ELECTRA, where widths differ
 *   encoder.layer.N.attention.self.{query,key,value}.{weight,bias}
 *   encoder.layer.N.attention.output.{dense,LayerNorm}.{weight,bias}
 *   encoder.layer.N.intermediate.dense.{weight,bias}, encoder.layer.N.output.{dense,LayerNorm}.{weight,bias}
 *   pooler.dense.{weight,bias}                                       BERT
 *   classifier.{weight,bias}                                         BERT, DistilBERT
 *   pre_classifier.{weight,bias}                                     DistilBERT
 *   classifier.{dense,out_proj}.{weight,bias}                        RoBERTa, ELECTRA
 * with DistilBERT's own names inside its blocks (model/files/family.c).
 * Known extras are ignored: position_ids, token_type_ids, lm_head.*, cls.*, and what the family
 * has besides: RoBERTa's pooler.*, DistilBERT's vocab_*, ELECTRA's heads of pre-training. Whatever
 * else lies outside the encoder is left out, and can be named. */
#ifndef CONDLORA_MODEL_FILES_CHECKPOINT_H
#define CONDLORA_MODEL_FILES_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "condlora/safetensors.h"
#include "condlora/status.h"
#include "model/files/config.h"

typedef struct model_checkpoint model_checkpoint;

/* Opens `folder` and checks that the body is complete, that every tensor of it has the shape that
 * config.json implies and a floating-point type, and that nothing unknown is within the encoder.
 * The pooler may be missing, but not in part. The head is not looked at.
 * Errors: those of the files; DATA names the file and the tensor. */
CDL_MUST_USE cdl_status model_checkpoint_open(const char *folder, model_checkpoint **checkpoint);
void model_checkpoint_close(model_checkpoint *checkpoint);

const model_config *model_checkpoint_config(const model_checkpoint *checkpoint);
bool model_checkpoint_has(const model_checkpoint *checkpoint, const char *name);
bool model_checkpoint_has_pooler(const model_checkpoint *checkpoint);

/* Labels of the stored head; 0 when there is none, or none that could be used. */
int64_t model_checkpoint_head_labels(const model_checkpoint *checkpoint);
/* DATA when a head is there and is not whole, has other shapes, or is for another number of labels
 * than `labels`, where that is not 0 (both are named); a missing head is no error. */
CDL_MUST_USE cdl_status model_checkpoint_check_head(const model_checkpoint *checkpoint,
                                                    int64_t labels);

/* One line of the log that counts the tensors outside the encoder that were left out and names the
 * first; none where there are none. */
void model_checkpoint_note_left_out(const model_checkpoint *checkpoint);

/* A tensor as float32: `values` is the file's own memory where it is stored so, not aligned in any
 * way, else `staging`, which has room for all. DATA when it is missing or has another shape. */
CDL_MUST_USE cdl_status model_checkpoint_view(const model_checkpoint *checkpoint, const char *name,
                                              uint32_t rank, const int64_t *shape, float *staging,
                                              const void **values);
/* Gives back the pages of a tensor that was looked at. */
void model_checkpoint_discard(const model_checkpoint *checkpoint, const char *name);

/* 64 bits (FNV-1a) over canonical name, type, shape and up to 16 evenly spread samples of 64 bytes
 * of each tensor of the body: tells bases apart without reading them whole. Prefixes, shards,
 * pooler and head do not matter; another storage type does. */
uint64_t model_checkpoint_fingerprint(const model_checkpoint *checkpoint);

/* Whether a tensor, by its canonical or its stored name, belongs to the classification head. */
bool model_checkpoint_is_head(const char *name);

/* A canonical name as stored in a checkpoint with a head: "bert.encoder…", "classifier.weight". To
 * be freed by the caller; NULL when memory is out. */
char *model_checkpoint_full_name(model_family family, const char *name);

#endif
