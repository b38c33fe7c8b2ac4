/* condlora: fine-tuning of Transformer encoders with low-rank adapters, and the compute backends
 * below. This header includes every other one but plugin.h, which is for authors of backends.
 *
 *   model.h        classify texts, hold adapters, merge and export     start here
 *   settings.h     the settings of a training run, by name or as JSON
 *   train.h        train and resume
 *   tokenizer.h    text to token ids
 *   dataset.h      examples from files; task.h: the tasks of GLUE; metrics.h: scores
 *   safetensors.h  files of tensors
 *   backend.h      devices, queues, buffers; ops.h: what they compute; tensor.h: views of buffers
 *   random.h       the random numbers of training
 *   status.h       errors; log.h: messages; mapped.h: files that are mapped; version.h
 *
 * Names. cdl_ and CDL_ begin what these headers declare, and nothing else does. A function is
 * cdl_noun_verb.
 *
 * Ownership. What comes from files is opened and closed (cdl_model_open, cdl_model_close); other
 * objects are created and destroyed (cdl_settings_create, cdl_settings_destroy); a struct that the
 * caller holds by value and the library fills is released (cdl_encoding_release). Each of these
 * ends accepts NULL. A pointer that a getter returns is borrowed: it belongs to the object, which
 * says how long it is valid. Arguments are borrowed for the call unless a comment says otherwise.
 *
 * Errors. What can fail returns a cdl_status. cdl_error_message() has one line for the failure: the
 * file and the place in it, and what was expected. After a failure a result is NULL or unchanged.
 * Work on a queue is different: the queue keeps its first error, and cdl_queue_sync returns it. The
 * library never prints, exits or aborts; what it has to say goes to the callback of cdl_log_to.
 *
 * Threads. Different objects may be used by different threads at once; one object by one thread at
 * a time, unless its header says more. The library may start threads of its own, which end with the
 * object. After fork a child may only exec.
 *
 * Growth. A struct that passes between caller and library begins with its size. A later version
 * appends members and reads no more than `size` bytes; what is missing counts as zero. So a program
 * that was compiled with an older version runs with a newer one. Start such a struct with its _init
 * function (CDL_ARGS for the arguments of ops), which sets the size and clears the rest. */
#ifndef CONDLORA_CONDLORA_H
#define CONDLORA_CONDLORA_H

#include "condlora/backend.h"
#include "condlora/dataset.h"
#include "condlora/export.h"
#include "condlora/log.h"
#include "condlora/mapped.h"
#include "condlora/metrics.h"
#include "condlora/model.h"
#include "condlora/ops.h"
#include "condlora/random.h"
#include "condlora/safetensors.h"
#include "condlora/settings.h"
#include "condlora/status.h"
#include "condlora/task.h"
#include "condlora/tensor.h"
#include "condlora/tokenizer.h"
#include "condlora/train.h"
#include "condlora/version.h"

#endif
