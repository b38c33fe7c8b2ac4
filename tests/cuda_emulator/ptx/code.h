/* Decoded PTX, and the state of a block that runs it: shared by the files of this folder.
 *
 * A register is an array of 32 lanes of 4 bytes (.b16, .b32) or 8 (.b64); a .b16 keeps the upper
 * half of its lanes zero. A predicate is a mask, a bit for each lane. The registers of a warp lie
 * one after the other in its file; constants lie in a file of their own, expanded to 32 lanes. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_CODE_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_CODE_H

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/ptx/ptx.h"

enum {
  PTX_LANES = 32,
  PTX_MOST_WARPS = 32,
  PTX_MOST_OPERANDS = 16,
  PTX_MOST_ARRAYS = 128 /* of shared memory */
};
#define PTX_ALL_LANES 0xffffffffu

/* ---- Instructions ---- */

typedef struct ptx_warp ptx_warp;
typedef struct ptx_instruction ptx_instruction;

/* What a warp does after an instruction. */
typedef enum {
  PTX_NEXT,   /* the following instruction, or the one that a branch chose */
  PTX_SWITCH, /* its lanes have split, wait or have ended: choose again who runs */
  PTX_FAULT   /* the launch ends */
} ptx_step;
typedef ptx_step (*ptx_handler)(ptx_warp *warp, const ptx_instruction *in);
/* A comparison of two registers, a bit for each lane. */
typedef uint32_t (*ptx_comparison)(const void *a, const void *b);

typedef enum {
  PTX_SPACE_GENERIC,
  PTX_SPACE_GLOBAL,
  PTX_SPACE_SHARED,
  PTX_SPACE_LOCAL,
  PTX_SPACE_PARAM,
  PTX_SPACE_MODULE /* .const, and .global variables with initial values */
} ptx_space;

/* Generic addresses: global memory as the device gives it, which never reaches these. A window of
 * 4 GiB is enough for each of the others. */
#define PTX_WINDOW(space) ((uint64_t)(space) << 56)

typedef enum { PTX_COMBINE_NONE, PTX_COMBINE_AND, PTX_COMBINE_OR, PTX_COMBINE_XOR } ptx_combine;

/* An operand is an offset in the warp's file, or in that of constants; or a predicate's number. */
#define PTX_CONSTANT 0x80000000u
#define PTX_NEGATED 0x40000000u
enum { PTX_FALSE, PTX_TRUE, PTX_SINK, PTX_FIRST_PREDICATE }; /* the third: nobody reads it */

struct ptx_instruction {
  ptx_handler run;
  ptx_comparison compare; /* of setp and set */
  uint32_t operands[PTX_MOST_OPERANDS];
  uint32_t guard; /* predicate of @%p; PTX_TRUE without one */
  uint32_t target;
  int64_t offset; /* of an address */
  const char *text;
  uint32_t line;
  uint8_t class; /* emulator_instruction_class */
  uint8_t space, vector, bytes, flags;
  uint8_t combine, count;
  bool wide_address, wide, is_signed;
};

/* An opcode whose name says all. The signature has a letter for each operand, the destination
 * first: h, w, l of 16, 32 and 64 bits; p a predicate; P one that may be negated; q one that may
 * follow the operand before, behind a bar; n a number; 2 and 4 registers of 32 bits in braces; a an
 * address. */
typedef struct {
  const char *name, *signature;
  ptx_handler run;
  uint8_t class;
} ptx_opcode;
extern const ptx_opcode ptx_arithmetic_opcodes[], ptx_bit_opcodes[], ptx_convert_opcodes[],
    ptx_control_opcodes[], ptx_collective_opcodes[], ptx_tensor_opcodes[], ptx_async_opcodes[];
/* Of the shapes of an instruction that decode.c takes apart. */
ptx_comparison ptx_find_comparison(const char *name, const char *type);
ptx_step ptx_run_setp(ptx_warp *warp, const ptx_instruction *in);
ptx_step ptx_run_branch(ptx_warp *warp, const ptx_instruction *in);
ptx_step ptx_run_load(ptx_warp *warp, const ptx_instruction *in);
ptx_step ptx_run_store(ptx_warp *warp, const ptx_instruction *in);
ptx_step ptx_run_copy_async(ptx_warp *warp, const ptx_instruction *in);
ptx_step ptx_run_pack(ptx_warp *warp, const ptx_instruction *in);   /* mov %rd, {%r, %r} */
ptx_step ptx_run_unpack(ptx_warp *warp, const ptx_instruction *in); /* mov {%r, %r}, %rd */

/* ---- Kernels ---- */

typedef struct {
  const char *name; /* not terminated */
  size_t name_length;
  size_t
      address;   /* in the shared space: far from the next array, and no better aligned than told */
  size_t bytes;  /* 0: what the launch gives */
  size_t offset; /* as they lie one after the other */
} ptx_array;

/* Registers that a kernel reads and that no instruction writes. */
typedef enum {
  PTX_TID,
  PTX_NTID = PTX_TID + 3,
  PTX_CTAID = PTX_NTID + 3,
  PTX_NCTAID = PTX_CTAID + 3,
  PTX_LANEID = PTX_NCTAID + 3,
  PTX_WARPID,
  PTX_NWARPID,
  PTX_LANEMASK_EQ,
  PTX_LANEMASK_LE,
  PTX_LANEMASK_LT,
  PTX_LANEMASK_GE,
  PTX_LANEMASK_GT,
  PTX_CLOCK,
  PTX_DYNAMIC_SMEM,
  PTX_SPECIALS
} ptx_special;

typedef struct {
  const char *name; /* not terminated */
  size_t name_length, offset, bytes;
} ptx_parameter;

struct ptx_kernel {
  ptx_module *module;
  char *name;
  const char *body; /* after its brace */
  size_t body_line;
  bool decoded;
  ptx_parameter *parameters;
  int parameter_count;
  size_t parameter_bytes;
  int max_threads;
  bool exact_threads; /* .reqntid */
  ptx_instruction *code;
  size_t code_count;
  size_t file_bytes, predicate_count; /* of a warp's registers */
  char *constants;                    /* aligned to 64 bytes */
  size_t constant_bytes;
  uint32_t specials[PTX_SPECIALS]; /* their places in the warp's file; 0: not read */
  ptx_array arrays[PTX_MOST_ARRAYS];
  int array_count, dynamic_array; /* -1: none */
  size_t shared_bytes, local_bytes;
  int shared_unit_log2; /* of the smallest access to shared memory: 0, 1 or 2 */
};

typedef struct {
  const char *name; /* not terminated */
  size_t name_length, offset, bytes, alignment;
  ptx_space space; /* PTX_SPACE_MODULE, or PTX_SPACE_SHARED: then 0 bytes are what a launch gives */
} ptx_symbol;

struct ptx_module {
  char *text;
  ptx_kernel *kernels;
  int kernel_count;
  ptx_symbol *symbols;
  int symbol_count;
  char *memory; /* variables of .const and .global */
  size_t memory_bytes;
  ptx_module *next;
};

/* Decodes the instructions of a kernel; false, and one line, where that fails. */
bool ptx_decode(ptx_kernel *kernel, char *error, size_t error_bytes);

/* ---- Running ---- */

typedef enum { PTX_READY, PTX_AT_COLLECTIVE, PTX_AT_BARRIER } ptx_state;

/* Lanes of a warp that are at the same instruction. */
typedef struct {
  uint32_t mask, pc;
  ptx_state state;
} ptx_group;

typedef struct ptx_block ptx_block;
typedef struct ptx_copies ptx_copies;

struct ptx_warp {
  char *files[2];       /* registers, constants */
  uint32_t *predicates; /* [PTX_FIRST_PREDICATE …) are the kernel's */
  uint32_t mask;        /* lanes that the instruction runs for */
  uint32_t group_mask;  /* lanes that are at it: more, where its guard leaves some out */
  uint32_t pc;          /* of what follows */
  uint64_t stamp;       /* of the accesses of lane 0: see shared.h */
  ptx_block *block;
  ptx_group groups[PTX_LANES];
  int group_count, current;
  uint32_t ended;
  int index;
};

typedef struct {
  uint64_t writer, reader; /* see shared.h */
} ptx_shadow;

struct ptx_block {
  ptx_kernel *kernel;
  const ptx_launch *launch;
  emulator_launch_counts *counts;
  bool counting; /* sectors and bank conflicts too */
  int64_t place[3];
  int threads, warp_count;
  ptx_warp *warps;
  char *shared, *local;
  size_t shared_bytes;
  ptx_shadow *shadow;
  uint64_t epoch, first_epoch;
  ptx_copies *copies; /* of each thread, that have not arrived */
  memory_span *spans; /* the allocation that each instruction touched last */
  bool *told;         /* whether an instruction was reported */
};

static inline void *ptx_lanes(const ptx_warp *warp, uint32_t operand)
{
  return warp->files[operand >> 31] + (operand & ~PTX_CONSTANT);
}

static inline uint32_t ptx_predicate(const ptx_warp *warp, uint32_t operand)
{
  const uint32_t mask = warp->predicates[operand & ~PTX_NEGATED];
  return operand & PTX_NEGATED ? ~mask : mask;
}

static inline void ptx_set_predicate(ptx_warp *warp, uint32_t operand, uint32_t mask)
{
  uint32_t *place = &warp->predicates[operand];
  *place = (*place & ~warp->mask) | (mask & warp->mask);
}

/* Lanes as the handlers see them; the files have no type of their own. */
typedef uint32_t __attribute__((may_alias)) lane_u32;
typedef int32_t __attribute__((may_alias)) lane_s32;
typedef uint64_t __attribute__((may_alias)) lane_u64;
typedef int64_t __attribute__((may_alias)) lane_s64;
typedef float __attribute__((may_alias)) lane_f32;
typedef double __attribute__((may_alias)) lane_f64;

/* For each lane that runs, as `i`. A register may be its own source, lane by lane. */
#define PTX_EACH_LANE(warp, statement)                                  \
  do {                                                                  \
    if ((warp)->mask == PTX_ALL_LANES) {                                \
      _Pragma("GCC ivdep") for (int i = 0; i < PTX_LANES; i++)          \
      {                                                                 \
        statement;                                                      \
      }                                                                 \
    } else {                                                            \
      for (uint32_t rest = (warp)->mask; rest != 0; rest &= rest - 1) { \
        const int i = __builtin_ctz(rest);                              \
        statement;                                                      \
      }                                                                 \
    }                                                                   \
  } while (0)

/* Handlers that compute one value from the same lane of one to three sources, a, b and c, each of
 * the type of lane that is named. */
#define PTX_UNARY(name, out, first, expression)                                        \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)                \
  {                                                                                    \
    lane_##out *d = ptx_lanes(warp, in->operands[0]);                                  \
    const lane_##first *x = ptx_lanes(warp, in->operands[1]);                          \
    PTX_EACH_LANE(warp, const lane_##first a = x[i]; d[i] = (lane_##out)(expression)); \
    return PTX_NEXT;                                                                   \
  }
#define PTX_BINARY(name, out, first, second, expression)                           \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)            \
  {                                                                                \
    lane_##out *d = ptx_lanes(warp, in->operands[0]);                              \
    const lane_##first *x = ptx_lanes(warp, in->operands[1]);                      \
    const lane_##second *y = ptx_lanes(warp, in->operands[2]);                     \
    PTX_EACH_LANE(warp, const lane_##first a = x[i]; const lane_##second b = y[i]; \
                  d[i] = (lane_##out)(expression));                                \
    return PTX_NEXT;                                                               \
  }
#define PTX_TERNARY(name, out, first, second, third, expression)                   \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)            \
  {                                                                                \
    lane_##out *d = ptx_lanes(warp, in->operands[0]);                              \
    const lane_##first *x = ptx_lanes(warp, in->operands[1]);                      \
    const lane_##second *y = ptx_lanes(warp, in->operands[2]);                     \
    const lane_##third *z = ptx_lanes(warp, in->operands[3]);                      \
    PTX_EACH_LANE(warp, const lane_##first a = x[i]; const lane_##second b = y[i]; \
                  const lane_##third c = z[i]; d[i] = (lane_##out)(expression));   \
    return PTX_NEXT;                                                               \
  }

/* Something that a device leaves undefined, once for each instruction of a launch. `lane` of the
 * warp; -1: the warp as a whole. */
void ptx_complain(const ptx_warp *warp, const ptx_instruction *in, int lane, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

/* Whether the instruction can run for all lanes that take part: those of `members`, a register of
 * masks, or all of the warp where it is NULL. If not, the lanes wait for others to arrive, and the
 * handler returns PTX_SWITCH. */
bool ptx_collect(ptx_warp *warp, const ptx_instruction *in, const lane_u32 *members);

/* The running lanes leave their group, for one that is at `pc`. */
void ptx_leave(ptx_warp *warp, uint32_t pc, ptx_state state);

#endif
