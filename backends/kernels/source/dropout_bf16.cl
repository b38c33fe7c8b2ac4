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
      store_u16(to + j, dropped_eight(load_u16(from + j, count), mask, example, element + j),
                count);
    }
  }
}
