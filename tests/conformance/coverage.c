/* What the suite itself must have: cases of every kind for each op of ops.def. */
#include <string.h>

#include "tests/conformance/suite.h"

static void kinds_case(trial *t, const void *parameters)
{
  (void)parameters;
  const suite *s = t->suite;
  for (int op = 0; op < CDL_OP_COUNT; op++) {
    size_t values = 0, wrong = 0, random = 0;
    for (size_t i = 0; i < s->case_count; i++) {
      const test_case *c = &s->cases[i];
      if (c->op != op || (c->flags & CASE_GRAD) != 0)
        continue;
      values += (c->flags & CASE_DEFECT) == 0;
      wrong += (c->flags & CASE_DEFECT) != 0;
      random += (c->flags & CASE_RANDOM) != 0;
    }
    if (values == 0 || wrong < 2) /* the call that wrong ones are made from is one */
      trial_fail(t, "op '%s' of ops.def has %zu cases of values, %zu of wrong calls",
                 op_find((cdl_op)op)->name, values, wrong);
    if (random == 0 && s->random > 0)
      trial_fail(t, "op '%s' of ops.def has no randomized case", op_find((cdl_op)op)->name);
  }
}

/* Of what has run before this case, which is the last one. */
static void classes_case(trial *t, const void *parameters)
{
  (void)parameters;
  const suite *s = t->suite;
  if (s->only_op != NULL || s->only_case != NULL || s->quick || s->every > 1) {
    trial_skip(t, "part of the suite was run");
    return;
  }
  char missing[300] = "";
  for (int op = 0; op < CDL_OP_COUNT; op++)
    for (int c = 0; c < CLASS_COUNT; c++)
      if ((s->seen[op] >> c & 1u) == 0) {
        const size_t used = strlen(missing);
        snprintf(missing + used, sizeof missing - used, "%s%s with %s", used > 0 ? ", " : "",
                 op_find((cdl_op)op)->name, shape_class_name((shape_class)c));
      }
  if (missing[0] != '\0')
    trial_fail(t, "never tried: %s", missing);
}

void register_coverage(suite *s)
{
  suite_add(s, CASE_NO_OP, "coverage", CDL_DTYPE_F32, 0, kinds_case, NULL, 0,
            "every op has values, wrong calls and randomized shapes");
  suite_add(s, CASE_NO_OP, "coverage", CDL_DTYPE_F32, 0, classes_case, NULL, 0,
            "every op was tried with every class of shapes");
}
