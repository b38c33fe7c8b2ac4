#include "train/data/census.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* ---- Labels ---- */

/* `targets` is scratch [labels]. */
static void count_labels(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                         double *targets, size_t *labelled)
{
  const size_t labels = cdl_dataset_label_count(dataset);
  for (size_t i = 0; labels > 0 && i < count; i++) {
    const size_t row = rows != NULL ? rows[i] : i;
    const int32_t label = cdl_dataset_get(dataset, row).label;
    if (label >= 0)
      labelled[label]++;
    if (cdl_dataset_problem(dataset) == CDL_PROBLEM_SINGLE_LABEL)
      continue;
    cdl_dataset_targets(dataset, row, targets);
    for (size_t c = 0; c < labels; c++)
      labelled[c] += targets[c] > 0;
  }
}

static cdl_status take_labels(const cdl_dataset *train, const data_split *split,
                              const cdl_dataset *dev, data_census *c)
{
  c->classes = cdl_dataset_label_count(train);
  c->labelled = calloc(DATA_PART_COUNT * c->classes + 1, sizeof *c->labelled);
  c->names = calloc(c->classes + 1, sizeof *c->names);
  double *targets = calloc(c->classes + 1, sizeof *targets);
  if (c->labelled == NULL || c->names == NULL || targets == NULL) {
    free(targets);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the counts of %zu labels", c->classes);
  }
  for (size_t i = 0; i < c->classes; i++)
    c->names[i] = cdl_dataset_label_name(train, (int32_t)i);
  count_labels(train, split->train, split->train_count, targets,
               c->labelled + DATA_PART_TRAIN * c->classes);
  count_labels(train, split->valid, split->valid_count, targets,
               c->labelled + DATA_PART_VALID * c->classes);
  if (dev != NULL)
    count_labels(dev, NULL, cdl_dataset_count(dev), targets,
                 c->labelled + DATA_PART_DEV * c->classes);
  free(targets);
  return CDL_STATUS_OK;
}

/* ---- Texts ---- */

typedef struct {
  uint64_t hash;
  const cdl_dataset *dataset;
  uint32_t row, part;
} entry;

static entry make_entry(const cdl_dataset *dataset, uint32_t row, data_part part)
{
  const cdl_example e = cdl_dataset_get(dataset, row);
  uint64_t hash = BASE_FNV_START;
  for (int i = 0; i < 2 && e.text[i] != NULL; i++) {
    hash = base_fnv(hash, &e.bytes[i], sizeof e.bytes[i]);
    hash = base_fnv(hash, e.text[i], e.bytes[i]);
  }
  return (entry){.hash = hash, .dataset = dataset, .row = row, .part = (uint32_t)part};
}

/* By hash, then by the texts themselves. So equal texts are adjacent, and a collision of hashes
 * costs only a comparison. */
static int compare_entries(const void *a, const void *b)
{
  const entry *x = a, *y = b;
  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  const cdl_example p = cdl_dataset_get(x->dataset, x->row),
                    q = cdl_dataset_get(y->dataset, y->row);
  for (int i = 0; i < 2 && p.text[i] != NULL && q.text[i] != NULL; i++) {
    if (p.bytes[i] != q.bytes[i])
      return p.bytes[i] < q.bytes[i] ? -1 : 1;
    const int order = memcmp(p.text[i], q.text[i], p.bytes[i]);
    if (order != 0)
      return order;
  }
  return 0;
}

/* Compares several labels or numbers. */
static bool same_targets(const entry *a, const entry *b)
{
  const size_t outputs = cdl_dataset_output_count(a->dataset);
  double *targets = calloc(2 * outputs + 1, sizeof *targets);
  if (targets == NULL)
    return true; /* the census only informs */
  cdl_dataset_targets(a->dataset, a->row, targets);
  cdl_dataset_targets(b->dataset, b->row, targets + outputs);
  const bool same = memcmp(targets, targets + outputs, outputs * sizeof *targets) == 0;
  free(targets);
  return same;
}

static bool same_truth(const entry *a, const entry *b)
{
  const cdl_example x = cdl_dataset_get(a->dataset, a->row),
                    y = cdl_dataset_get(b->dataset, b->row);
  if (x.label >= 0 || y.label >= 0 || !isnan(x.target) || !isnan(y.target))
    return x.label == y.label && (x.label >= 0 || x.target == y.target);
  return same_targets(a, b);
}

/* Counts entries that all have one text. */
static void count_group(const entry *group, size_t count, data_census *c)
{
  size_t parts[DATA_PART_COUNT] = {0};
  const entry *first = NULL; /* in train's file */
  bool contradicts = false;
  for (size_t i = 0; i < count; i++) {
    parts[group[i].part]++;
    if (group[i].part == DATA_PART_DEV)
      continue;
    contradicts = contradicts || (first != NULL && !same_truth(first, &group[i]));
    first = first != NULL ? first : &group[i];
  }
  const size_t known = parts[DATA_PART_TRAIN] + parts[DATA_PART_VALID];
  c->repeated += known > 1 ? known - 1 : 0;
  c->contradicting += contradicts ? known : 0;
  c->valid_in_train += parts[DATA_PART_TRAIN] > 0 ? parts[DATA_PART_VALID] : 0;
  c->dev_in_train += known > 0 ? parts[DATA_PART_DEV] : 0;
}

static cdl_status take_texts(const cdl_dataset *train, const data_split *split,
                             const cdl_dataset *dev, data_census *c)
{
  const size_t devs = dev != NULL ? cdl_dataset_count(dev) : 0;
  const size_t count = split->train_count + split->valid_count + devs;
  entry *entries = calloc(count + 1, sizeof *entries), *end = entries;
  if (entries == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the texts of %zu examples", count);
  for (size_t i = 0; i < split->train_count; i++)
    *end++ = make_entry(train, split->train[i], DATA_PART_TRAIN);
  for (size_t i = 0; i < split->valid_count; i++)
    *end++ = make_entry(train, split->valid[i], DATA_PART_VALID);
  for (size_t i = 0; i < devs; i++)
    *end++ = make_entry(dev, (uint32_t)i, DATA_PART_DEV);
  qsort(entries, count, sizeof *entries, compare_entries);
  for (size_t first = 0, next; first < count; first = next) {
    for (next = first + 1; next < count && compare_entries(&entries[first], &entries[next]) == 0;)
      next++;
    if (next - first > 1)
      count_group(entries + first, next - first, c);
  }
  free(entries);
  return CDL_STATUS_OK;
}

/* ---- All ---- */

cdl_status data_census_take(const cdl_dataset *train, const data_split *split,
                            const cdl_dataset *dev, data_census *c)
{
  *c = (data_census){.examples = {split->train_count, split->valid_count},
                     .read = {cdl_dataset_count(train)},
                     .skipped = {cdl_dataset_skipped(train)},
                     .has_dev = dev != NULL};
  if (dev != NULL) {
    c->examples[DATA_PART_DEV] = c->read[1] = cdl_dataset_count(dev);
    c->skipped[1] = cdl_dataset_skipped(dev);
  }
  cdl_status status = take_labels(train, split, dev, c);
  if (status == CDL_STATUS_OK)
    status = take_texts(train, split, dev, c);
  if (status != CDL_STATUS_OK)
    data_census_release(c);
  return status;
}

void data_census_count_truncated(data_census *c, const cdl_dataset *train, const cdl_dataset *dev)
{
  c->truncated[0] = cdl_dataset_tokens(train).truncated;
  c->truncated[1] = dev != NULL ? cdl_dataset_tokens(dev).truncated : 0;
}

void data_census_release(data_census *c)
{
  free(c->labelled);
  free(c->names);
  *c = (data_census){0};
}

static json_t *label_json(const data_census *c, size_t label)
{
  const size_t *of = c->labelled + label;
  return json_pack("{sI sI sI}", "train", (json_int_t)of[DATA_PART_TRAIN * c->classes], "valid",
                   (json_int_t)of[DATA_PART_VALID * c->classes], "dev",
                   (json_int_t)of[DATA_PART_DEV * c->classes]);
}

json_t *data_census_json(const data_census *c)
{
  json_t *labels = json_object();
  bool whole = labels != NULL;
  for (size_t i = 0; whole && i < c->classes; i++)
    whole = json_object_set_new(labels, c->names[i], label_json(c, i)) == 0;
  if (!whole) {
    json_decref(labels);
    return NULL;
  }
  return json_pack("{so s{sI sI} s{sI sI} sI sI sI sI}", "labels", labels, "truncated", "train",
                   (json_int_t)c->truncated[0], "dev", (json_int_t)c->truncated[1], "skipped",
                   "train", (json_int_t)c->skipped[0], "dev", (json_int_t)c->skipped[1], "repeated",
                   (json_int_t)c->repeated, "contradicting", (json_int_t)c->contradicting,
                   "valid_in_train", (json_int_t)c->valid_in_train, "dev_in_train",
                   (json_int_t)c->dev_in_train);
}
