/* The factors of eight elements of an example from `element` on: two Philox blocks, or parts of
 * three where a row does not start with a block. */
FUNCTION eight mask_eight(mask_state mask, u32 example, i64 element)
{
  const u32 block = (u32)(element / 4);
  const int skip = (int)(element & 3);
  const mask_factors first = mask_block(mask, example, block);
  const mask_factors second = mask_block(mask, example, block + 1u);
  eight m;
  UNROLL for (int k = 0; k < 4; k++)
  {
    m.v[k] = first.factor[k];
    m.v[4 + k] = second.factor[k];
  }
  if (skip != 0) {
    const mask_factors third = mask_block(mask, example, block + 2u);
    float all[12];
    UNROLL for (int k = 0; k < 4; k++)
    {
      all[k] = m.v[k];
      all[4 + k] = m.v[4 + k];
      all[8 + k] = third.factor[k];
    }
    EACH_OF_EIGHT m.v[k] = skip == 1 ? all[k + 1] : skip == 2 ? all[k + 2] : all[k + 3];
  }
  return m;
}

KERNEL(dropout_bf16)
(GLOBAL u16 *out, GLOBAL const u16 *x, GLOBAL const u32 *step, GLOBAL const int *offsets,
 GLOBAL const int *examples, dropout_parameters p)
{
  const mask_state mask = mask_read(step, p.mask);
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u16 *to = out + p.out + s.row * p.out_stride;
    GLOBAL const u16 *from = x + p.x + s.row * p.x_stride;
    i64 sequence = s.row, element = 0;
    if (!p.per_sequence) {
      sequence = sequence_of(offsets + p.offsets, p.sequences, s.row);
      element = (s.row - offsets[p.offsets + sequence]) * p.columns;
    }
    const u32 example = (u32)examples[p.examples + sequence];
    EACH_EIGHT(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      eight e = load_u16(from + j, count);
      const eight m = mask_eight(mask, example, element + j);
      EACH_OF_EIGHT e.v[k] = m.v[k] == 0.0f ? 0.0f : e.v[k] * m.v[k];
      store_u16(to + j, e, count);
    }
  }
}
