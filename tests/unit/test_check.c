/* Every op refuses arguments that break its contract, and says which. */
#include "tests/run_suite.h"
#include "tests/unit/op_samples.h"

/* ---- Of every op ---- */

#define EACH_PART(op, s, p) \
  for (int k_ = 0; make((cdl_op)op, &s), k_ < s.count && (p = &s.parts[k_]) != NULL; k_++)

START_TEST(valid_calls_are_taken)
{
  sample s;
  make((cdl_op)_i, &s);
  assert_taken((cdl_op)_i, &s, "a valid call");
}
END_TEST

START_TEST(wrong_dtypes_are_refused)
{
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    p->tensor->dtype = p->tensor->dtype == CDL_DTYPE_U8 ? CDL_DTYPE_F32 : CDL_DTYPE_U8;
    assert_refused((cdl_op)_i, &s, _i == CDL_OP_gemm ? "U8" : p->name, "another dtype");
  }
  EACH_PART(_i, s, p)
  {
    p->tensor->dtype = (cdl_dtype)17;
    assert_refused((cdl_op)_i, &s, "unknown dtype 17", "no dtype");
  }
}
END_TEST

START_TEST(wrong_sizes_are_refused)
{
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    if (p->flags & ANY_SIZE)
      continue;
    p->tensor->size[3]++;
    if (p->tensor->size[2] > 1)
      p->tensor->stride[2]++;
    if (p->tensor->size[1] > 1)
      p->tensor->stride[1] *= 2;
    if (p->tensor->size[0] > 1)
      p->tensor->stride[0] *= 2;
    assert_refused((cdl_op)_i, &s, "[", "another size");
  }
  EACH_PART(_i, s, p)
  {
    if (p->flags & (ANY_SIZE | WRITTEN) || p->tensor->size[0] == 3)
      continue;
    p->tensor->size[0] = 3;
    p->tensor->stride[0] = 0;
    assert_refused((cdl_op)_i, &s, "[", "another first size");
  }
  EACH_PART(_i, s, p)
  {
    p->tensor->size[2] = -1;
    assert_refused((cdl_op)_i, &s, _i == CDL_OP_permute || p->flags & ANY_SIZE ? "" : p->name,
                   "a negative size");
  }
}
END_TEST

START_TEST(what_lies_outside_its_buffer_is_refused)
{
  static const int64_t offsets[] = {BYTES, -1, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MAX / 4};
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
      p->tensor->offset = offsets[i] & ~(p->tensor->dtype == CDL_DTYPE_U8 ? 3 : 0);
      assert_refused((cdl_op)_i, &s, p->name, "an offset outside");
    }
    /* The last element is the buffer's last, and then one further. */
    const int64_t fits =
        BYTES / (int64_t)cdl_dtype_bytes(p->tensor->dtype) - cdl_tensor_elements(*p->tensor);
    p->tensor->offset = fits;
    assert_taken((cdl_op)_i, &s, "the end of the buffer");
    p->tensor->offset = fits + (p->tensor->dtype == CDL_DTYPE_U8 ? 4 : 1);
    assert_refused((cdl_op)_i, &s, "reaches past its buffer", "one element outside");
  }
  EACH_PART(_i, s, p)
  {
    if (p->tensor->size[2] < 2)
      continue;
    static const int64_t strides[] = {BYTES, INT64_MAX, INT64_MAX / 2, -5, INT64_MIN};
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
      p->tensor->stride[2] = strides[i];
      assert_refused((cdl_op)_i, &s, p->name, "a stride that leads outside");
    }
  }
  EACH_PART(_i, s, p)
  {
    if (p->tensor->size[3] < 2)
      continue;
    p->tensor->stride[3] = 2;
    assert_refused((cdl_op)_i, &s, p->name, "a last stride of 2");
  }
}
END_TEST

START_TEST(what_must_be_present_is)
{
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    p->tensor->buffer = NULL;
    if (p->flags & MAY_LACK)
      assert_taken((cdl_op)_i, &s, p->name);
    else
      assert_refused((cdl_op)_i, &s, "", "an absent tensor");
  }
}
END_TEST

START_TEST(buffers_of_another_backend_are_refused)
{
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    p->tensor->buffer = foreign_buffer;
    assert_refused((cdl_op)_i, &s, "another backend", "a buffer of another backend");
  }
}
END_TEST

START_TEST(outputs_do_not_overlap_themselves)
{
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    if (!(p->flags & WRITTEN) || p->tensor->size[2] < 2)
      continue;
    p->tensor->stride[2] = 0;
    assert_refused((cdl_op)_i, &s, "may share memory", "an output of one row, repeated");
    p->tensor->stride[2] = p->tensor->size[3] - 1;
    if (p->tensor->size[3] > 1)
      assert_refused((cdl_op)_i, &s, "may share memory", "rows into each other");
  }
}
END_TEST

/* Moves `other` so that its first byte is one of `out`'s last element. */
static void move_onto_end(cdl_tensor *other, const cdl_tensor *out)
{
  const int64_t last =
      (out->offset + cdl_tensor_elements(*out) - 1) * (int64_t)cdl_dtype_bytes(out->dtype);
  const int64_t bytes = (int64_t)cdl_dtype_bytes(other->dtype);
  other->offset = other->dtype == CDL_DTYPE_U8 ? last / 4 * 4 : last / bytes;
}

START_TEST(outputs_lie_apart_from_everything_else)
{
  sample s;
  part *p;
  EACH_PART(_i, s, p)
  {
    if (!(p->flags & WRITTEN))
      continue;
    for (int other = 0; other < s.count; other++) {
      part *q = &s.parts[other];
      if (q == p || (cdl_tensor_elements(*p->tensor) == 1 && cdl_tensor_elements(*q->tensor) == 1 &&
                     !(q->flags & WRITTEN)))
        continue;
      const int64_t offset = q->tensor->offset;
      move_onto_end(q->tensor, p->tensor);
      assert_refused((cdl_op)_i, &s, "overlaps", q->name);
      q->tensor->offset = offset;
    }
  }
}
END_TEST

START_TEST(structs_of_other_sizes)
{
  sample s;
  make((cdl_op)_i, &s);
  uint32_t size;
  memcpy(&size, &s.args, sizeof size);
  for (uint32_t wrong = 0; wrong < size; wrong += size - 4) {
    memcpy(&s.args, &wrong, sizeof wrong);
    assert_refused((cdl_op)_i, &s, "fill it in with CDL_ARGS", "a struct too short");
  }
  const uint32_t longer = size + 24;
  memcpy(&s.args, &longer, sizeof longer);
  assert_taken((cdl_op)_i, &s, "a longer struct with nothing in its tail");
  s.args.space[longer - 1] = 1;
  ck_assert_int_eq(call((cdl_op)_i, &s.args), CDL_STATUS_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "newer version"));
  ck_assert_int_eq(call((cdl_op)_i, NULL), CDL_STATUS_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "args is NULL"));
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      valid_calls_are_taken,
      wrong_dtypes_are_refused,
      wrong_sizes_are_refused,
      what_lies_outside_its_buffer_is_refused,
      what_must_be_present_is,
      buffers_of_another_backend_are_refused,
      outputs_do_not_overlap_themselves,
      outputs_lie_apart_from_everything_else,
      structs_of_other_sizes,
  };
  Suite *suite = suite_create("check");
  TCase *all = tcase_create("check");
  tcase_add_checked_fixture(all, set_up, tear_down);
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
    tcase_add_loop_test(all, tests[i], 0, CDL_OP_COUNT);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
