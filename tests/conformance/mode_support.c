/* Mode `support`: which path each op takes for each dtype, told by cdl_op_path of its sample. */
#include <string.h>

#include "tests/conformance/suite.h"

static const char *path_of(suite *s, cdl_op op, cdl_dtype dtype)
{
  if (!sample_takes(op, dtype))
    return "";
  const test_case c = {
      .group = op_find(op)->name, .op = (int)op, .dtype = dtype, .name = "support"};
  trial t;
  const char *path = "none";
  if (trial_begin(&t, s, &c)) {
    void *args = trial_memory(&t, 1, op_find(op)->args_bytes);
    sample_of(op)(&t, args);
    if (t.outcome != OUTCOME_FAIL)
      path = cdl_path_name(cdl_op_path(s->backend, op, args));
  }
  trial_end(&t);
  return path;
}

static const char *tier_name(op_tier tier)
{
  static const char *const names[] = {"required", "composed", "host"};
  return names[tier];
}

int mode_support(suite *s)
{
  if (s->format == FORMAT_TEXT) {
    printf("%-18s %-9s", "op", "tier");
    for (int d = 0; d < CDL_DTYPE_COUNT; d++)
      printf(" %-9s", cdl_dtype_name((cdl_dtype)d));
    printf("\n");
  } else if (s->format == FORMAT_CSV) {
    printf("backend,op,tier,dtype,path\n");
  } else {
    printf("{\"backend\": \"%s\", \"support\": [", cdl_backend_name(s->backend));
  }
  const char *comma = "";
  for (int op = 0; op < CDL_OP_COUNT; op++) {
    const op_info *info = op_find((cdl_op)op);
    if (s->only_op != NULL && strcmp(s->only_op, info->name) != 0)
      continue;
    if (s->format == FORMAT_TEXT)
      printf("%-18s %-9s", info->name, tier_name(info->tier));
    for (int d = 0; d < CDL_DTYPE_COUNT; d++) {
      const char *path = path_of(s, (cdl_op)op, (cdl_dtype)d),
                 *dtype = cdl_dtype_name((cdl_dtype)d);
      if (s->format == FORMAT_TEXT) {
        printf(" %-9s", path[0] == '\0' ? "-" : path);
      } else if (path[0] != '\0' && s->format == FORMAT_CSV) {
        printf("%s,%s,%s,%s,%s\n", cdl_backend_name(s->backend), info->name, tier_name(info->tier),
               dtype, path);
      } else if (path[0] != '\0') {
        printf("%s\n{\"op\": \"%s\", \"tier\": \"%s\", \"dtype\": \"%s\", \"path\": \"%s\"}", comma,
               info->name, tier_name(info->tier), dtype, path);
        comma = ",";
      }
    }
    if (s->format == FORMAT_TEXT)
      printf("\n");
  }
  if (s->format != FORMAT_TEXT && s->format != FORMAT_CSV)
    printf("\n]}\n");
  return 0;
}
