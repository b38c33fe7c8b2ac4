/* One call that is being checked: an op's operands with their dtypes and shapes, and helpers for
 * the functions of single ops (check_*.c).
 *
 * A shape string has a letter for each of the last dimensions of the tensor: "rc" is [rows,
 * columns]. The first operand with a letter gives the letter its value. 's+' is one more than s,
 * '1' a dimension of one, '*' any size. Each op has one function for what shapes cannot express:
 * parameters, a packing, a weight. */
#ifndef CONDLORA_BACKENDS_CORE_CHECK_CALL_H
#define CONDLORA_BACKENDS_CORE_CHECK_CALL_H

#include "backends/core/backend.h"

enum { CORE_MAX_OPERANDS = 20, CORE_LETTERS = 26 };

enum {
  F32 = 1 << CDL_DTYPE_F32,
  F64 = 1 << CDL_DTYPE_F64,
  BF16 = 1 << CDL_DTYPE_BF16,
  I32 = 1 << CDL_DTYPE_I32,
  U8 = 1 << CDL_DTYPE_U8
};

/* OUT: the op writes it, or reads and writes it. ACTIVATION: it may be BF16 where the backend
 * computes that, and then all of the call's are but those with OWN_TYPE. */
enum { IN = 0, OUT = 1, OPTIONAL = 2, ACTIVATION = 4, OWN_TYPE = 8 };

typedef struct {
  const char *name;
  const char *shape;
  uint16_t offset; /* of the cdl_tensor in the op's arguments, in bytes */
  uint8_t dtypes;  /* a bit mask */
  uint8_t role;
  /* A mask of operands, by their place in the list. This output may be the same view as one of
   * them. */
  uint8_t in_place;
} core_operand;

#define CORE_OPERAND(op, member, shape, dtypes, role, in_place)                         \
  {                                                                                     \
#member, shape, (uint16_t)offsetof(cdl_##op##_args, member), dtypes, role, in_place \
  }

typedef struct core_call core_call;

/* A member that a minor version of the interface added to the op's arguments. Those from `offset`
 * on are the version's, up to the next addition. */
typedef struct {
  uint32_t offset, abi_minor;
  bool is_hint; /* a backend that does not know it computes the same */
} core_addition;

typedef struct {
  const char *name;
  uint32_t args_bytes;
  uint8_t operand_count;
  const core_operand *operands;
  /* Runs before shapes are compared: checks parameters, sets sizes that no operand has.
   * Optional. */
  cdl_status (*prepare)(core_call *call);
  /* Runs after shapes are compared: checks what letters cannot express. Optional. */
  cdl_status (*finish)(core_call *call);
  /* In the order of the members. */
  const core_addition *additions;
  uint8_t addition_count;
} core_op_spec;

/* One call that is being checked. */
struct core_call {
  const cdl_backend *backend;
  const core_op_spec *spec;
  const void *args;
  int count;
  const core_operand *operands[CORE_MAX_OPERANDS];
  const cdl_tensor *tensors[CORE_MAX_OPERANDS];
  size_t first_byte[CORE_MAX_OPERANDS], end_byte[CORE_MAX_OPERANDS]; /* equal if absent or empty */
  uint32_t bound; /* the letters that have a value: bit 0 is 'a' */
  int64_t value[CORE_LETTERS];
  const char *source[CORE_LETTERS];              /* the operand that gave a letter its value */
  const cdl_tensor *source_tensor[CORE_LETTERS]; /* NULL if the value is not an operand's */
};

cdl_status core_refuse(const core_call *call, const char *format, ...) CDL_PRINTF(2, 3);
void core_bind(core_call *call, char letter, int64_t value, const char *source);
void core_add_operand(core_call *call, const core_operand *operand, const cdl_tensor *tensor);
cdl_status core_want_finite(const core_call *call, const char *name, double value);
cdl_status core_want_not_negative(const core_call *call, const char *name, double value);
cdl_status core_want_activation(const core_call *call, cdl_activation activation);
/* Checks a U8 tensor that holds a cdl_step_record: present, long enough, at a multiple of four
 * bytes. */
cdl_status core_want_step(const core_call *call, const char *name, const cdl_tensor *step);
/* Adds the tensors of a dropout mask and its packing, which must be right, and binds 'r' to the
 * rows that are dropped: tokens or sequences. */
cdl_status core_want_dropped_rows(core_call *call, const cdl_packing *packing,
                                  const cdl_dropout_mask *mask, bool per_sequence);
/* For `finish`: checks that every present operand has the first one's dtype. */
cdl_status core_want_same_dtypes(core_call *call);
/* Likewise for the activations without OWN_TYPE; core_check does this for every op. */
cdl_status core_want_same_activations(const core_call *call);

/* Each op's spec is in one of the check_*.c, where CORE_SPEC defines it from its list of
 * operands. */
#define CDL_OP(name, tier) extern const core_op_spec core_spec_##name;
#include "condlora/ops.def"
#undef CDL_OP

#define CORE_SPEC(op, prepare, finish) CORE_GROWN_SPEC(op, prepare, finish, NULL, 0)

/* For an op whose arguments have grown. */
#define CORE_GROWN_SPEC(op, prepare, finish, additions, addition_count)                \
  const core_op_spec core_spec_##op = {#op,                                            \
                                       sizeof(cdl_##op##_args),                        \
                                       sizeof op##_operands / sizeof op##_operands[0], \
                                       op##_operands,                                  \
                                       prepare,                                        \
                                       finish,                                         \
                                       additions,                                      \
                                       addition_count}

#endif
