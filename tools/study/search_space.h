/* The settings that a search varies, and between what bounds. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_SPACE_H
#define CONDLORA_TOOLS_STUDY_SEARCH_SPACE_H

#include "train/settings.h"

typedef enum {
  STUDY_SEARCH_LOG,     /* the logarithm uniform between the bounds */
  STUDY_SEARCH_UNIFORM, /* a number between them */
  STUDY_SEARCH_INT,     /* a whole number between them */
  STUDY_SEARCH_CHOICE
} study_search_kind;

/* One setting that is searched. */
typedef struct {
  const base_option *setting;
  study_search_kind kind;
  double low, high; /* both included; of a choice 0 */
  char **choices;   /* [choice_count], as texts of the setting; owned */
  size_t choice_count;
} study_search_dimension;

typedef struct {
  study_search_dimension *item; /* in the order of their names */
  size_t count;
} study_search_space;

void study_search_space_release(study_search_space *space);

/* Whether other settings depend on it: a trial drops those that its method or schedule lacks. */
bool study_search_decides_owner(const study_search_dimension *dimension);

/* "lr=log:5e-5:5e-3", "alpha=uniform:4:32", "rank=int:4:16", "rank=choice:4,8,16". USAGE, with the
 * nearest name, for one that is no setting; for one that all trials share (data, base model,
 * backend), for one that is in the space already, for bounds that cannot be. */
CDL_MUST_USE cdl_status study_search_space_add(study_search_space *space, const char *text);
/* The same from {"lr": "log:5e-5:5e-3", "targets": ["query,value", "query"]}, an array being a
 * choice. Names that the space has already are passed over. `path` is for messages. */
CDL_MUST_USE cdl_status study_search_space_read(study_search_space *space, const char *path,
                                                const json_t *object);
/* Tries each bound and each choice in `base`: USAGE for one that the setting cannot have. */
CDL_MUST_USE cdl_status study_search_space_check(const study_search_space *space,
                                                 const train_settings *base);
/* {"lr": {"kind": "log", "low": 5e-5, "high": 5e-3}, "rank": {"kind": "choice", "choices": ["4",
 * "8"]}}; kinds are log, uniform, int, choice. NULL when memory is out. */
json_t *study_search_space_json(const study_search_space *space);
/* Sets what is searched to a trial's `parameters`: a number each, of a choice one of its texts. With
 * the method searched, options that it does not have are unset. DATA where one is missing or out
 * of bounds. */
CDL_MUST_USE cdl_status study_search_space_apply(const study_search_space *space,
                                                 const json_t *parameters,
                                                 train_settings *settings);

#endif
