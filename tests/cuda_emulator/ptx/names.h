/* The names of a kernel while it is decoded: registers, arrays, labels; and its constants. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_NAMES_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_NAMES_H

#include "tests/cuda_emulator/ptx/code.h"
#include "tests/cuda_emulator/ptx/scan.h"

typedef enum { NAME_REGISTER, NAME_PREDICATE, NAME_ADDRESS } name_kind;

typedef struct {
  piece name;
  name_kind kind;
  bool is_family;   /* `%r<9>`: %r0 … %r8 */
  size_t width;     /* of a register's lane: 2 for .b16, whose lanes take 4 bytes */
  uint32_t *places; /* of each register, given at its first use; 0: not yet */
  size_t count;
  uint64_t address;
} ptx_name;

typedef struct {
  ptx_kernel *kernel;
  ptx_name *list;
  size_t count, capacity;
  uint64_t *constants; /* values of the constant file, and how wide their lanes are */
  size_t *constant_widths, *constant_places;
  size_t constant_count;
} ptx_names;

void ptx_names_free(ptx_names *names);
/* Forgets all names but the first so many: those of a block of braces end with it. */
void ptx_names_end(ptx_names *names, size_t count);

/* `.reg .b32 %r<9>, %x;`, `.shared .align 4 .b8 name[64];`, `.local ...;`: from behind the first
 * word to behind the semicolon. */
bool ptx_names_registers(ptx_names *names, scanner *s);
bool ptx_names_array(ptx_names *names, scanner *s, bool is_local);
/* The place of an array in the shared space. */
uint64_t ptx_names_add_array(ptx_names *names, piece name, size_t alignment, size_t bytes);

/* A register, or a constant, whose lanes have `width` bytes: false where it is none. */
bool ptx_names_value(ptx_names *names, piece text, size_t width, uint32_t *operand);
bool ptx_names_register(ptx_names *names, piece text, size_t width, uint32_t *operand);
/* How wide a register's lanes are; 0 where the text is no register. */
size_t ptx_names_width(ptx_names *names, piece text);
/* A predicate; negated by ! where that `may_be`. */
bool ptx_names_predicate(ptx_names *names, piece text, bool may_be_negated, uint32_t *operand);
uint32_t ptx_names_constant(ptx_names *names, uint64_t value, size_t width);

/* Constants, expanded to lanes, become the kernel's. */
void ptx_names_finish(ptx_names *names);

#endif
