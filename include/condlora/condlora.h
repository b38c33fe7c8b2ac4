/* condlora fine-tunes Transformer encoders with low-rank adapters, and has the compute backends for
 * it. This header includes all others except plugin.h, which is for authors of backends.
 *
 *   model.h        classify texts; load, merge and export adapters   start here
 *   settings.h     the settings of a training run, by name or as JSON
 *   train.h        train and resume
 *   tokenizer.h    text to token ids
 *   hub.h          names of models and adapters: folders, Hugging Face's cache, its hub
 *   dataset.h      examples from files; task.h: the tasks of GLUE
 *   metrics.h      scores; problem.h: one label, several, or numbers
 *   safetensors.h  files of tensors
 *   backend.h      devices, queues, buffers; ops.h: what they compute; tensor.h: views of buffers
 *   random.h       the random numbers of training
 *   status.h       errors; log.h: messages; mapped.h: mapped files; version.h
 *
 * Names. Everything that these headers declare begins with cdl_ or CDL_. Functions are named
 * cdl_noun_verb.
 *
 * Ownership. Objects that come from files are opened and closed (cdl_model_open, cdl_model_close).
 * Other objects are created and destroyed (cdl_settings_create, cdl_settings_destroy). A struct
 * that the caller holds by value and the library fills is released (cdl_encoding_release). All of
 * these ending functions accept NULL. A pointer that a getter returns is borrowed: it belongs to
 * the object, and the comment says how long it is valid. The library borrows arguments for the
 * duration of the call unless a comment says otherwise.
 *
 * Errors. A function that can fail returns a cdl_status. Comments name a status without its prefix:
 * USAGE is CDL_STATUS_USAGE. cdl_error_message() returns one line that names the file and the place
 * in it, and what was expected. After a failure a result is NULL or unchanged. Work on a queue is
 * different: the queue keeps its first error, and cdl_queue_sync returns it. The library never
 * prints, exits or aborts; its messages go to the callback that cdl_log_to sets.
 *
 * Threads. Threads may use different objects at once. One object belongs to one thread at a time,
 * unless its header says more. The library may start threads of its own, which end with the object.
 * After fork, a child may only exec.
 *
 * Growth. A struct that passes between caller and library begins with its size. Later versions
 * append members. The library reads no more than `size` bytes and treats missing members as zero,
 * so a program compiled against an older version runs with a newer one. Initialize such a struct
 * with its _init function, or with CDL_ARGS for arguments of ops: both set the size and clear the
 * rest. */
#ifndef CONDLORA_CONDLORA_H
#define CONDLORA_CONDLORA_H

#include "condlora/backend.h"
#include "condlora/dataset.h"
#include "condlora/export.h"
#include "condlora/hub.h"
#include "condlora/log.h"
#include "condlora/mapped.h"
#include "condlora/metrics.h"
#include "condlora/model.h"
#include "condlora/ops.h"
#include "condlora/problem.h"
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
