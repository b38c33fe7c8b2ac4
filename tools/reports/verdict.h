/* The verdict on the methods: what records say of each method against the baseline, by rule.
 *
 * A table is one base model under one protocol (epochs, batch size and so on, equal for all
 * methods). A cell is one method on one task of a table. Differences from the baseline are paired
 * by seed: both runs of a pair have the same order of examples and the same random streams. */
#ifndef CONDLORA_TOOLS_REPORTS_VERDICT_H
#define CONDLORA_TOOLS_REPORTS_VERDICT_H

#include "tools/reports/aggregate.h"
#include "tools/reports/record.h"

#define REPORT_VERDICT_LEVEL 0.05 /* of the tests, after Holm's correction within a table */
enum { REPORT_SEEDS_MORE_MOST = 20 };

typedef enum {
  REPORT_BASELINE,  /* what the others are compared with */
  REPORT_UNDER_WAY, /* the search, or the second pair of seeds, is missing */
  REPORT_LEVEL,     /* equivalent within the margin */
  REPORT_AHEAD,     /* different; `is_level`: and yet equivalent */
  REPORT_BEHIND,
  REPORT_MORE_SEEDS,    /* undecided; `more_seeds` would decide if mean and spread stay */
  REPORT_DEV_TOO_SMALL, /* undecided; REPORT_SEEDS_MORE_MOST more seeds would not decide */
  REPORT_NO_SPREAD      /* all pairs differ alike: there is no variance to test against */
} report_outcome;

typedef struct {
  const report_compared_method *method;
  const report_record **search; /* [search_count] by rate; owned */
  size_t search_count;
  double search_epochs;                 /* trained in the search */
  double rate;                          /* the chosen one; NaN while the search is under way */
  bool rate_is_lowest, rate_is_highest; /* of those searched: the best may lie outside */
  const report_record **seeds;          /* [seed_count] runs at that rate, by seed; owned */
  size_t seed_count;
  report_spread score;      /* on dev */
  report_interval interval; /* of its mean, 95 % */

  /* Against the baseline: method less baseline, of seeds that both have. */
  report_paired_test test;
  report_interval difference; /* of its mean, 95 % */
  double p_equivalence;
  double p_difference_holm, p_equivalence_holm;
  report_interval examples; /* of the mean difference when dev's examples are drawn anew, 95 % */
  report_outcome outcome;
  bool is_level;
  size_t more_seeds;
} report_cell;

typedef struct {
  const cdl_task *task;
  const report_labels *labels; /* NULL while no run has finished */
  double margin;               /* of equivalence: a point, or one example of dev if that is more */
  report_cell *cells;          /* [cell_count] in the order of report_compared_methods; owned */
  size_t cell_count, baseline;
} report_verdict_task;

typedef struct {
  const report_record *any; /* a record of the table: model and protocol */
  uint64_t protocol;
  report_verdict_task *tasks; /* [task_count] in the order of cdl_task_list; owned */
  size_t task_count;
} report_verdict_table;

typedef struct {
  report_verdict_table *tables; /* [count]; owned */
  size_t count;
} report_verdict;

/* Settings that all methods of a table share, ending with NULL. */
extern const char *const report_protocol_settings[];

/* Judges the records, which must outlive the verdict. Ends with report_verdict_release, also after
 * a failure. Errors: MEMORY; DATA where predictions and labels do not fit. */
CDL_MUST_USE cdl_status report_verdict_make(const report_records *records, report_verdict *verdict);
void report_verdict_release(report_verdict *verdict);

/* Return the epochs of a table, its title ("all-MiniLM-L6-v2, 20 epochs"), and the name of a task's
 * metric. */
int64_t report_verdict_epochs(const report_verdict_table *table);
report_described report_verdict_title(const report_verdict_table *table);
const char *report_verdict_metric(const report_verdict_task *task);

/* "behind". */
const char *report_outcome_name(report_outcome outcome);
/* "behind by 1.2 points". */
report_described report_verdict_sentence(const report_verdict_task *task, const report_cell *cell);

#endif
