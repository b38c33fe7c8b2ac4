/* Recipes: JSON files of settings that come with the program. */
#ifndef CONDLORA_TOOLS_STUDY_RECIPE_H
#define CONDLORA_TOOLS_STUDY_RECIPE_H

#include "condlora/status.h"

/* The file of a recipe, to be freed by the caller. USAGE, naming the nearest, for one that is not
 * there. */
CDL_MUST_USE cdl_status study_recipe_find(const char *name, char **path);

#endif
