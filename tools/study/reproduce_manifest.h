/* What the runs in an output folder have in common. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_MANIFEST_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_MANIFEST_H

#include "tools/study/reproduce_state.h"

/* Notes it in the folder, in reproduce.json: what was asked for, and hashes of the model and of the
 * tasks' files. USAGE, naming it, where an earlier call asked for something else; DATA where files
 * have changed since. */
CDL_MUST_USE cdl_status study_reproduce_manifest(const study_reproduction *r);

#endif
