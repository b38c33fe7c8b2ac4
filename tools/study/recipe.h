/* Recipes: JSON files of settings that are installed with the program. */
#ifndef CONDLORA_TOOLS_STUDY_RECIPE_H
#define CONDLORA_TOOLS_STUDY_RECIPE_H

#include "condlora/status.h"

/* Finds the file of a recipe; the caller frees `*path`. Errors: USAGE, naming the nearest, for an
 * unknown recipe. */
CDL_MUST_USE cdl_status study_recipe_find(const char *name, char **path);

#endif
