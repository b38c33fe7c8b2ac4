/* Returns the last sequence that starts at or before `row`. */
FUNCTION int sequence_of(GLOBAL const int *offsets, int sequences, i64 row)
{
  int low = 0, high = sequences;
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    if (offsets[middle] <= row)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Handles the columns of a block at the row's edge, which also holds elements of neighbouring
 * rows. */
FUNCTION void drop_edge(GLOBAL float *to, GLOBAL const float *from, mask_factors m, i64 first,
                        i64 columns)
{
  for (int k = 0; k < 4; k++)
    if (first + k >= 0 && first + k < columns)
      to[first + k] = m.factor[k] == 0.0f ? 0.0f : from[first + k] * m.factor[k];
}

#define DROP(k) \
  to[4 * j - skip + k] = m.factor[k] == 0.0f ? 0.0f : from[4 * j - skip + k] * m.factor[k];

/* A column of the tiling is a Philox block: four elements of an example. The first block begins
 * `skip` columns before the row. */
KERNEL(dropout)
(GLOBAL float *out, GLOBAL const float *x, GLOBAL const u32 *step, GLOBAL const int *offsets,
 GLOBAL const int *examples, dropout_parameters p)
{
  const mask_state mask = mask_read(step, p.mask);
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + p.out + s.row * p.out_stride;
    GLOBAL const float *from = x + p.x + s.row * p.x_stride;
    i64 sequence = s.row, element = 0;
    if (!p.per_sequence) {
      sequence = sequence_of(offsets + p.offsets, p.sequences, s.row);
      element = (s.row - offsets[p.offsets + sequence]) * p.columns;
    }
    const u32 example = (u32)examples[p.examples + sequence], block = (u32)(element / 4);
    const int skip = (int)(element & 3);
    const i64 last = (p.columns + skip) / 4; /* ends past the row, or is not a block of it */
    const i64 begin = skip > 0 && s.first == 0 ? LANES(p.tiling) : s.first;
    const i64 end = last < s.end ? last : s.end;
    VECTOR_LOOP for (i64 j = begin; j < end; j += LANES(p.tiling))
    {
      const mask_factors m = mask_block(mask, example, block + (u32)j);
      DROP(0)
      DROP(1)
      DROP(2)
      DROP(3)
    }
    if (skip > 0 && s.first == 0 && s.end > 0)
      drop_edge(to, from, mask_block(mask, example, block), -skip, p.columns);
    if (last >= s.first && last < s.end && (last - s.first) % LANES(p.tiling) == 0 &&
        (last > 0 || skip == 0))
      drop_edge(to, from, mask_block(mask, example, block + (u32)last), 4 * last - skip, p.columns);
  }
}
