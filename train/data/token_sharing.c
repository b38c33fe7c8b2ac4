#include "train/data/token_sharing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "condlora/log.h"

static const char opening[] = "the opening of inputs", making[] = "the tokens";

/* What a rank has made of a data set. */
typedef struct {
  uint64_t tokens, longest, truncated;
} extent;

/* A hash of what the tokens come from, equal on two ranks of a host that have the same files. */
static uint64_t hash_file(uint64_t hash, const char *path)
{
  struct stat facts;
  if (path == NULL || stat(path, &facts) != 0)
    return base_fnv(hash, "absent", sizeof "absent");
  const int64_t file[] = {(int64_t)facts.st_dev, (int64_t)facts.st_ino, (int64_t)facts.st_size,
                          (int64_t)facts.st_mtim.tv_sec, (int64_t)facts.st_mtim.tv_nsec};
  return base_fnv(hash, file, sizeof file);
}

static uint64_t hash_inputs(cdl_dataset *const *datasets, int count, const data_token_maker *maker)
{
  uint64_t hash = hash_file(BASE_FNV_START, maker->folder);
  hash = base_fnv(hash, &maker->max_length, sizeof maker->max_length);
  for (int d = 0; d < count; d++) {
    const uint64_t examples = datasets[d] != NULL ? cdl_dataset_count(datasets[d]) : UINT64_MAX;
    hash = base_fnv(hash, &examples, sizeof examples);
    for (size_t i = 0; datasets[d] != NULL && i < cdl_dataset_part_count(datasets[d]); i++)
      hash = hash_file(hash, cdl_dataset_get_part(datasets[d], i).path);
  }
  return hash;
}

static bool are_alike(const ranks_job *job, const uint64_t *hashes)
{
  for (int i = 0; i < ranks_size(job); i++)
    for (int j = 0; j < i; j++)
      if (ranks_same_host(job, i, j) && hashes[i] != hashes[j])
        return false;
  return true;
}

/* ---- The tokens of a host ---- */

/* Lays the arrays of a store into the shared memory, and this rank's part into them. */
static void lay(data_token_store *all, const data_token_store *part, size_t first, size_t tokens,
                size_t before)
{
  all->offsets = all->shared.at;
  all->ids = (int32_t *)(all->offsets + all->count + 1);
  all->type_ids = (uint8_t *)(all->ids + tokens);
  for (size_t i = 0; i < part->count; i++)
    all->offsets[first + i + 1] = before + part->offsets[i + 1];
  const size_t own = (size_t)part->offsets[part->count];
  if (own > 0) {
    memcpy(all->ids + before, part->ids, own * sizeof *all->ids);
    memcpy(all->type_ids + before, part->type_ids, own);
  }
}

/* `extents` [ranks] is scratch. */
static cdl_status join(ranks_job *job, const data_token_store *part, size_t first, size_t count,
                       extent *extents, data_token_store *all)
{
  const extent mine = {part->offsets[part->count], part->longest, part->truncated};
  const int rank = ranks_rank(job);
  CDL_TRY(ranks_gather(job, &mine, sizeof mine, extents, making));
  size_t tokens = 0, before = 0;
  *all = (data_token_store){.count = count};
  for (int i = 0; i < ranks_size(job); i++) {
    if (!ranks_same_host(job, i, rank))
      continue;
    before += i < rank ? extents[i].tokens : 0;
    tokens += extents[i].tokens;
    all->truncated += extents[i].truncated;
    all->longest = extents[i].longest > all->longest ? extents[i].longest : all->longest;
  }
  const size_t bytes =
      (count + 1) * sizeof *all->offsets + tokens * (sizeof *all->ids + sizeof *all->type_ids);
  CDL_TRY(ranks_host_memory_open(job, bytes, &all->shared));
  lay(all, part, first, tokens, before);
  const cdl_status status = ranks_host_memory_seal(job, &all->shared);
  if (status != CDL_STATUS_OK)
    ranks_host_memory_close(&all->shared);
  return status;
}

static cdl_status tokenize_alone(cdl_dataset *dataset, const data_token_maker *maker)
{
  return cdl_dataset_tokenize(dataset, maker->tokenizer, maker->max_length, maker->threads);
}

static cdl_status tokenize(ranks_job *job, cdl_dataset *dataset, const data_token_maker *maker)
{
  const size_t count = cdl_dataset_count(dataset), local = (size_t)ranks_local_rank(job),
               ranks = (size_t)ranks_local_size(job), first = count * local / ranks,
               end = count * (local + 1) / ranks;
  extent *extents = calloc((size_t)ranks_size(job), sizeof *extents);
  data_token_store part = {0}, all;
  cdl_status status =
      extents != NULL ? data_token_store_build(&part, dataset, first, end - first, maker->tokenizer,
                                               maker->max_length, maker->threads)
                      : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", making);
  status = ranks_agree(job, status, making);
  const bool made = status == CDL_STATUS_OK;
  if (made)
    status = join(job, &part, first, count, extents, &all);
  data_token_store_release(&part);
  free(extents);
  if (status == CDL_STATUS_OK) {
    dataset_take_tokens(dataset, &all, maker->max_length);
    return CDL_STATUS_OK;
  }
  if (!made || !ranks_agreed(job))
    return status;
  cdl_log(CDL_LOG_NOTICE, "%s; each rank makes the tokens for itself", cdl_error_message());
  return tokenize_alone(dataset, maker);
}

/* Whether ranks share hosts, and those of each host have the same inputs; all ranks get the same
 * answer. */
static cdl_status compare_inputs(ranks_job *job, cdl_dataset *const *datasets, int count,
                                 const data_token_maker *maker, bool *together)
{
  const uint64_t mine = hash_inputs(datasets, count, maker);
  uint64_t *hashes = calloc((size_t)ranks_size(job), sizeof *hashes);
  cdl_status status =
      hashes != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", opening);
  status = ranks_agree(job, status, opening);
  if (status == CDL_STATUS_OK)
    status = ranks_gather(job, &mine, sizeof mine, hashes, opening);
  *together =
      status == CDL_STATUS_OK && ranks_hosts(job) < ranks_size(job) && are_alike(job, hashes);
  free(hashes);
  return status;
}

cdl_status data_tokenize_together(ranks_job *job, cdl_dataset *const *datasets, int count,
                                  const data_token_maker *maker)
{
  bool together = false;
  if (job != NULL)
    CDL_TRY(compare_inputs(job, datasets, count, maker, &together));
  for (int d = 0; d < count; d++)
    if (datasets[d] != NULL)
      CDL_TRY(together ? tokenize(job, datasets[d], maker) : tokenize_alone(datasets[d], maker));
  return CDL_STATUS_OK;
}
