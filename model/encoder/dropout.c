#include "model/encoder/dropout.h"

cdl_dropout_mask encoder_mask(const model_encoder *member, float probability,
                              cdl_random_purpose purpose, int layer)
{
  return (cdl_dropout_mask){.probability = member->training ? probability : 0,
                            .purpose = (uint32_t)purpose,
                            .layer = (uint32_t)layer,
                            .step = member->step};
}

cdl_tensor encoder_drop_own(const model_encoder *member, cdl_queue *q, cdl_tensor out, cdl_tensor x,
                            cdl_dropout_mask mask, encoder_rows rows)
{
  if (mask.probability <= 0)
    return x;
  cdl_dropout(q,
              CDL_ARGS(dropout, .out = out, .x = x, .mask = mask, .packing = &member->batch.packing,
                       .per_sequence = rows == ROWS_SEQUENCES));
  return out;
}

bool encoder_drops(encoder_members members, encoder_dropout_mask_fn *mask_of, int number)
{
  for (size_t m = 0; m < members.count; m++)
    if (mask_of(members.encoder[m], number).probability > 0)
      return true;
  return false;
}

cdl_tensor encoder_drop(encoder_members members, cdl_queue *q, cdl_tensor out, cdl_tensor x,
                        encoder_dropout_mask_fn *mask_of, int number, encoder_rows rows)
{
  if (!encoder_drops(members, mask_of, number))
    return x;
  const bool in_place = out.buffer == x.buffer && out.offset == x.offset;
  int64_t first = 0;
  for (size_t m = 0; m < members.count; m++) {
    const model_encoder *member = members.encoder[m];
    const int64_t count = encoder_row_count(member, rows);
    const cdl_tensor to = cdl_tensor_rows(out, first, count),
                     from = cdl_tensor_rows(x, first, count);
    const cdl_dropout_mask mask = mask_of(member, number);
    if (mask.probability > 0)
      encoder_drop_own(member, q, to, from, mask, rows);
    else if (!in_place)
      cdl_copy(q, CDL_ARGS(copy, .out = to, .x = from));
    first += count;
  }
  return out;
}
