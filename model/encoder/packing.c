#include "model/encoder/packing.h"

#include <stdlib.h>

static size_t length_of(const cdl_tokens *tokens, uint32_t row)
{
  return (size_t)(tokens->offsets[row + 1] - tokens->offsets[row]);
}

static size_t longest_of(const cdl_tokens *tokens, const uint32_t *rows, size_t count)
{
  size_t longest = 0;
  for (size_t i = 0; i < count; i++)
    longest = length_of(tokens, rows[i]) > longest ? length_of(tokens, rows[i]) : longest;
  return longest;
}

/* Sorts rows by length into `sorted`; equal lengths keep their order. Lengths are small numbers, so
 * it is a counting sort. */
static cdl_status sort_by_length(const cdl_tokens *tokens, const uint32_t *rows, size_t count,
                                 uint32_t *sorted)
{
  const size_t longest = longest_of(tokens, rows, count);
  size_t *place =
      longest <= SIZE_MAX / sizeof *place - 2 ? calloc(longest + 2, sizeof *place) : NULL;
  if (place == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory to sort %zu examples by length", count);
  for (size_t i = 0; i < count; i++)
    place[length_of(tokens, rows[i]) + 1]++;
  for (size_t length = 1; length <= longest; length++)
    place[length] += place[length - 1];
  for (size_t i = 0; i < count; i++)
    sorted[place[length_of(tokens, rows[i])]++] = rows[i];
  free(place);
  return CDL_STATUS_OK;
}

static cdl_status check_tokens(size_t tokens)
{
  if (tokens > INT32_MAX)
    return cdl_fail(
        CDL_STATUS_DATA,
        "a batch of %zu tokens; at most %d fit, expected a smaller batch or maximum length", tokens,
        INT32_MAX);
  return CDL_STATUS_OK;
}

cdl_status encoder_batch_bound_of(const cdl_tokens *tokens, const uint32_t *rows, size_t count,
                                  size_t size, encoder_batch_bound *bound)
{
  *bound = (encoder_batch_bound){.examples = size < count ? size : count};
  if (bound->examples == 0)
    return CDL_STATUS_OK;
  uint32_t *sorted = calloc(count, sizeof *sorted);
  if (sorted == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory to sort %zu examples by length", count);
  const cdl_status status = sort_by_length(tokens, rows, count, sorted);
  if (status == CDL_STATUS_OK) {
    for (size_t i = count - bound->examples; i < count; i++)
      bound->tokens += length_of(tokens, sorted[i]);
    bound->longest = length_of(tokens, sorted[count - 1]);
  }
  free(sorted);
  return status == CDL_STATUS_OK ? check_tokens(bound->tokens) : status;
}

/* Divides plan->rows into batches: sets their number and bound, and their starts if `first` is
 * there. */
static void cut(encoder_batch_order *plan, const cdl_tokens *tokens, size_t token_budget,
                size_t example_limit)
{
  encoder_batch_bound *bound = &plan->bound;
  plan->batches = 0;
  for (size_t begin = 0, end; begin < plan->count; begin = end) {
    size_t total = length_of(tokens, plan->rows[begin]);
    for (end = begin + 1; end < plan->count && end - begin < example_limit; end++) {
      const size_t length = length_of(tokens, plan->rows[end]);
      if (total >= token_budget || length > token_budget - total)
        break;
      total += length;
    }
    bound->examples = end - begin > bound->examples ? end - begin : bound->examples;
    bound->tokens = total > bound->tokens ? total : bound->tokens;
    if (plan->first != NULL)
      plan->first[plan->batches] = begin;
    plan->batches++;
  }
  if (plan->first != NULL)
    plan->first[plan->batches] = plan->count;
}

static cdl_status make_plan(encoder_batch_order *plan, const cdl_tokens *tokens,
                            const uint32_t *rows, size_t token_budget, size_t example_limit)
{
  plan->rows = calloc(plan->count + 1, sizeof *plan->rows);
  if (plan->rows == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for the order of %zu examples", plan->count);
  CDL_TRY(sort_by_length(tokens, rows, plan->count, plan->rows));
  plan->bound.longest = plan->count > 0 ? length_of(tokens, plan->rows[plan->count - 1]) : 0;

  cut(plan, tokens, token_budget, example_limit);
  plan->first = calloc(plan->batches + 1, sizeof *plan->first);
  if (plan->first == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu batches", plan->batches);
  cut(plan, tokens, token_budget, example_limit);
  return check_tokens(plan->bound.tokens);
}

cdl_status encoder_batch_order_make(const cdl_tokens *tokens, const uint32_t *rows, size_t count,
                                    size_t token_budget, size_t example_limit,
                                    encoder_batch_order *plan)
{
  *plan = (encoder_batch_order){.count = count};
  if (token_budget == 0 || example_limit == 0)
    return cdl_fail(CDL_STATUS_ARGUMENT,
                    "batches of %zu tokens and %zu examples; expected at least 1", token_budget,
                    example_limit);
  const cdl_status status = make_plan(plan, tokens, rows, token_budget, example_limit);
  if (status != CDL_STATUS_OK)
    encoder_batch_order_release(plan);
  return status;
}

void encoder_batch_order_release(encoder_batch_order *plan)
{
  free(plan->rows);
  free(plan->first);
  *plan = (encoder_batch_order){0};
}

static cdl_status check_room(const encoder_host_batch *batch, const cdl_tokens *tokens,
                             const uint32_t *rows, size_t count)
{
  size_t total = 0;
  for (size_t i = 0; i < count; i++) {
    if (rows[i] >= tokens->count)
      return cdl_fail(CDL_STATUS_ARGUMENT, "batch: example %u of %zu that have tokens", rows[i],
                      tokens->count);
    total += length_of(tokens, rows[i]);
  }
  if (count > batch->capacity.examples || total > batch->capacity.tokens || total > INT32_MAX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "batch: %zu examples of %zu tokens; it holds %zu of %zu",
                    count, total, batch->capacity.examples, batch->capacity.tokens);
  return CDL_STATUS_OK;
}

static void put_tokens(encoder_host_batch *batch, const cdl_tokens *tokens, uint32_t row,
                       int32_t first_position)
{
  const uint64_t from = tokens->offsets[row];
  const size_t length = length_of(tokens, row), at = batch->tokens;
  for (size_t i = 0; batch->ids != NULL && i < length; i++)
    batch->ids[at + i] = tokens->ids[from + i];
  for (size_t i = 0; batch->type_ids != NULL && i < length; i++)
    batch->type_ids[at + i] = tokens->type_ids[from + i];
  if (batch->positions != NULL)
    model_count_positions(first_position, tokens->ids + from, length, batch->positions + at);
  batch->tokens += length;
  batch->longest = length > batch->longest ? length : batch->longest;
}

cdl_status encoder_host_batch_fill(encoder_host_batch *batch, const cdl_tokens *tokens,
                                   const uint32_t *rows, size_t count, int32_t first_position)
{
  CDL_TRY(check_room(batch, tokens, rows, count));
  batch->examples = batch->tokens = batch->longest = 0;
  if (batch->offsets != NULL)
    batch->offsets[0] = 0;
  for (size_t i = 0; i < count; i++) {
    put_tokens(batch, tokens, rows[i], first_position);
    if (batch->offsets != NULL)
      batch->offsets[i + 1] = (int32_t)batch->tokens;
    if (batch->index != NULL)
      batch->index[i] = rows[i];
  }
  batch->examples = count;
  return CDL_STATUS_OK;
}

/* ---- Memory ---- */

bool encoder_host_batch_allocate(encoder_host_batch *batch, encoder_batch_bound bound)
{
  *batch = (encoder_host_batch){.ids = calloc(bound.tokens + 1, sizeof *batch->ids),
                                .positions = calloc(bound.tokens + 1, sizeof *batch->positions),
                                .type_ids = calloc(bound.tokens + 1, sizeof *batch->type_ids),
                                .offsets = calloc(bound.examples + 1, sizeof *batch->offsets),
                                .index = calloc(bound.examples + 1, sizeof *batch->index),
                                .capacity = bound};
  return batch->ids != NULL && batch->positions != NULL && batch->type_ids != NULL &&
         batch->offsets != NULL && batch->index != NULL;
}

void encoder_host_batch_free(encoder_host_batch *batch)
{
  free(batch->ids);
  free(batch->positions);
  free(batch->type_ids);
  free(batch->offsets);
  free(batch->index);
  free(batch->states);
  *batch = (encoder_host_batch){0};
}

encoder_token_batch encoder_host_batch_view(const encoder_host_batch *batch)
{
  return (encoder_token_batch){.ids = batch->ids,
                               .positions = batch->positions,
                               .types = batch->type_ids,
                               .offsets = batch->offsets,
                               .examples = (const int32_t *)batch->index,
                               .sequences = (int32_t)batch->examples,
                               .tokens = (int32_t)batch->tokens,
                               .longest = (int32_t)batch->longest,
                               .states = batch->states};
}
