/* Logits on a few sequences of random tokens, before and after weights have changed. */
#ifndef CONDLORA_TOOLS_CLI_PROBE_H
#define CONDLORA_TOOLS_CLI_PROBE_H

#include "train/session.h"

enum { CLI_PROBE_SEQUENCES = 8, CLI_PROBE_TOKENS = 32 };

/* Token ids are drawn from the whole vocabulary, the same each time. */
typedef struct {
  int32_t ids[CLI_PROBE_SEQUENCES * CLI_PROBE_TOKENS],
      positions[CLI_PROBE_SEQUENCES * CLI_PROBE_TOKENS],
      types[CLI_PROBE_SEQUENCES * CLI_PROBE_TOKENS];
  int32_t offsets[CLI_PROBE_SEQUENCES + 1], examples[CLI_PROBE_SEQUENCES];
  int32_t length;
  float *logits; /* [sequences, labels] */
} cli_probe;

/* Takes the session's logits as it is now; ends with cli_probe_end where it succeeds. */
CDL_MUST_USE cdl_status cli_probe_begin(cli_probe *probe, const train_session *session);
void cli_probe_end(cli_probe *probe);

/* The largest difference between a logit of `session`, whose labels are those of the first one, and what
 * it was. NUMERIC where a logit is not finite. */
CDL_MUST_USE cdl_status cli_probe_change(const cli_probe *probe, const train_session *session,
                                         double *change);

#endif
