#include "tests/cuda_emulator/ptx/names.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACE = 64, FILE_ALIGNMENT = 64 };

static void *grown(void *array, size_t bytes)
{
  void *longer = realloc(array, bytes);
  if (longer == NULL)
    abort();
  return longer;
}

static ptx_name *add(ptx_names *names, ptx_name added)
{
  if (names->count == names->capacity) {
    names->capacity = names->capacity == 0 ? 32 : 2 * names->capacity;
    names->list = grown(names->list, names->capacity * sizeof *names->list);
  }
  names->list[names->count] = added;
  return &names->list[names->count++];
}

void ptx_names_end(ptx_names *names, size_t count)
{
  while (names->count > count)
    free(names->list[--names->count].places);
}

void ptx_names_free(ptx_names *names)
{
  ptx_names_end(names, 0);
  free(names->list);
  free(names->constants);
  free(names->constant_widths);
  free(names->constant_places);
}

/* ---- Declarations ---- */

bool ptx_names_registers(ptx_names *names, scanner *s)
{
  const piece type = scan_word(s);
  const bool is_predicate = piece_is(type, ".pred");
  const size_t width =
      is_predicate ? 0 : piece_type_bytes((piece){type.start + 1, type.length - 1});
  if (!is_predicate && width < 2)
    return false;
  for (;;) {
    ptx_name added = {.name = scan_word(s),
                      .kind = is_predicate ? NAME_PREDICATE : NAME_REGISTER,
                      .width = width,
                      .count = 1};
    piece sign = scan_word(s);
    if (piece_is(sign, "<")) {
      uint64_t number;
      if (!piece_number(scan_word(s), &number) || number > 1 << 20 || !piece_is(scan_word(s), ">"))
        return false;
      added.is_family = true;
      added.count = (size_t)number;
      sign = scan_word(s);
    }
    added.places = calloc(added.count + 1, sizeof *added.places);
    if (added.places == NULL)
      abort();
    add(names, added);
    if (piece_is(sign, ";"))
      return true;
    if (!piece_is(sign, ","))
      return false;
  }
}

/* Each array has a MiB of addresses of its own, so that a step past its end meets nothing, and
 * begins where its alignment holds and no larger one. */
uint64_t ptx_names_add_array(ptx_names *names, piece name, size_t alignment, size_t bytes)
{
  ptx_kernel *kernel = names->kernel;
  if (kernel->array_count == PTX_MOST_ARRAYS)
    abort();
  const size_t unit = alignment < 16 ? 16 : alignment;
  ptx_array *array = &kernel->arrays[kernel->array_count++];
  *array = (ptx_array){.name = name.start,
                       .name_length = name.length,
                       .address = ((size_t)kernel->array_count << 20) + alignment,
                       .bytes = bytes,
                       .offset = (kernel->shared_bytes + unit - 1) / unit * unit};
  kernel->shared_bytes = array->offset + bytes;
  add(names, (ptx_name){.name = name, .kind = NAME_ADDRESS, .address = array->address});
  return array->address;
}

bool ptx_names_array(ptx_names *names, scanner *s, bool is_local)
{
  uint64_t alignment = 1, bytes = 0, number;
  piece name = {NULL, 0};
  size_t element = 0;
  for (;;) {
    const piece word = scan_word(s);
    if (word.length == 0)
      return false;
    if (piece_is(word, ";"))
      break;
    if (piece_is(word, ".align")) {
      if (!piece_number(scan_word(s), &alignment))
        return false;
    } else if (piece_is(word, "[")) {
      if (!piece_number(scan_word(s), &number) || !piece_is(scan_word(s), "]"))
        return false;
      bytes = (bytes == 0 ? element : bytes) * number;
    } else if (*word.start == '.')
      element = piece_type_bytes((piece){word.start + 1, word.length - 1});
    else
      name = word;
  }
  if (bytes == 0)
    bytes = element;
  if (name.length == 0 || bytes == 0 || alignment == 0)
    return false;
  if (!is_local) {
    ptx_names_add_array(names, name, (size_t)alignment, (size_t)bytes);
    return true;
  }
  ptx_kernel *kernel = names->kernel;
  const size_t start = (kernel->local_bytes + alignment - 1) / alignment * alignment;
  kernel->local_bytes = (start + bytes + 15) / 16 * 16;
  add(names, (ptx_name){.name = name, .kind = NAME_ADDRESS, .address = start});
  return true;
}

/* ---- Registers ---- */

/* The latest name that the text is, or is a member of; `number` says which member. */
static ptx_name *find(ptx_names *names, piece text, size_t *number)
{
  size_t digits = 0;
  while (digits < text.length && text.start[text.length - 1 - digits] >= '0' &&
         text.start[text.length - 1 - digits] <= '9')
    digits++;
  const piece stem = {text.start, text.length - digits};
  uint64_t member = 0;
  if (digits > 0 && digits < 9)
    piece_number((piece){text.start + stem.length, digits}, &member);
  for (size_t i = 0; i < digits; i++) /* a leading zero is no octal number */
    member = i == 0 ? (uint64_t)(text.start[stem.length] - '0')
                    : 10 * member + (uint64_t)(text.start[stem.length + i] - '0');
  for (size_t i = names->count; i > 0; i--) {
    ptx_name *each = &names->list[i - 1];
    const piece sought = each->is_family ? stem : text;
    if (each->name.length != sought.length ||
        memcmp(each->name.start, sought.start, sought.length) != 0)
      continue;
    if (each->is_family && (digits == 0 || member >= each->count))
      continue;
    *number = each->is_family ? (size_t)member : 0;
    return each;
  }
  return NULL;
}

static uint32_t give_place(ptx_kernel *kernel, size_t width)
{
  if (kernel->file_bytes == 0)
    kernel->file_bytes = FIRST_PLACE; /* 0 is no place */
  const size_t place = kernel->file_bytes;
  kernel->file_bytes += (width == 8 ? 8u : 4u) * PTX_LANES;
  return (uint32_t)place;
}

static const struct {
  const char *name;
  int special;
} specials[] = {
    {"%tid.x", PTX_TID},
    {"%tid.y", PTX_TID + 1},
    {"%tid.z", PTX_TID + 2},
    {"%ntid.x", PTX_NTID},
    {"%ntid.y", PTX_NTID + 1},
    {"%ntid.z", PTX_NTID + 2},
    {"%ctaid.x", PTX_CTAID},
    {"%ctaid.y", PTX_CTAID + 1},
    {"%ctaid.z", PTX_CTAID + 2},
    {"%nctaid.x", PTX_NCTAID},
    {"%nctaid.y", PTX_NCTAID + 1},
    {"%nctaid.z", PTX_NCTAID + 2},
    {"%laneid", PTX_LANEID},
    {"%warpid", PTX_WARPID},
    {"%nwarpid", PTX_NWARPID},
    {"%lanemask_eq", PTX_LANEMASK_EQ},
    {"%lanemask_le", PTX_LANEMASK_LE},
    {"%lanemask_lt", PTX_LANEMASK_LT},
    {"%lanemask_ge", PTX_LANEMASK_GE},
    {"%lanemask_gt", PTX_LANEMASK_GT},
    {"%clock", PTX_CLOCK},
    {"%dynamic_smem_size", PTX_DYNAMIC_SMEM},
};

static bool find_special(ptx_kernel *kernel, piece text, uint32_t *operand)
{
  for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
    if (piece_is(text, specials[i].name)) {
      uint32_t *place = &kernel->specials[specials[i].special];
      if (*place == 0)
        *place = give_place(kernel, 4);
      *operand = *place;
      return true;
    }
  return false;
}

static bool same_lanes(size_t a, size_t b)
{
  return a == b || (a == 2 && b == 4) || (a == 4 && b == 2);
}

bool ptx_names_register(ptx_names *names, piece text, size_t width, uint32_t *operand)
{
  if (piece_is(text, "_")) { /* a destination that nobody reads */
    *operand = give_place(names->kernel, width);
    return true;
  }
  if (width == 4 && find_special(names->kernel, text, operand))
    return true;
  size_t number;
  const ptx_name *found = find(names, text, &number);
  if (found == NULL || found->kind != NAME_REGISTER || !same_lanes(found->width, width))
    return false;
  if (found->places[number] == 0)
    found->places[number] = give_place(names->kernel, found->width);
  *operand = found->places[number];
  return true;
}

size_t ptx_names_width(ptx_names *names, piece text)
{
  size_t number;
  const ptx_name *found = find(names, text, &number);
  return found != NULL && found->kind == NAME_REGISTER ? found->width : 0;
}

bool ptx_names_predicate(ptx_names *names, piece text, bool may_be_negated, uint32_t *operand)
{
  uint64_t value;
  if (may_be_negated && piece_number(text, &value)) {
    *operand = value != 0 ? PTX_TRUE : PTX_FALSE;
    return true;
  }
  const bool negated = may_be_negated && text.length > 0 && *text.start == '!';
  if (negated)
    text = piece_trim((piece){text.start + 1, text.length - 1});
  if (!may_be_negated && piece_is(text, "_")) {
    *operand = PTX_SINK;
    return true;
  }
  size_t number;
  ptx_name *found = find(names, text, &number);
  if (found == NULL || found->kind != NAME_PREDICATE)
    return false;
  if (found->places[number] == 0)
    found->places[number] = (uint32_t)names->kernel->predicate_count++;
  *operand = found->places[number] | (negated ? PTX_NEGATED : 0);
  return true;
}

/* ---- Constants ---- */

uint32_t ptx_names_constant(ptx_names *names, uint64_t value, size_t width)
{
  const size_t lane = width == 8 ? 8 : 4;
  if (width < 8)
    value &= width == 2 ? 0xffffu : 0xffffffffu;
  for (size_t i = 0; i < names->constant_count; i++)
    if (names->constants[i] == value && names->constant_widths[i] == lane)
      return (uint32_t)names->constant_places[i] | PTX_CONSTANT;
  const size_t i = names->constant_count++;
  names->constants = grown(names->constants, (i + 1) * sizeof *names->constants);
  names->constant_widths = grown(names->constant_widths, (i + 1) * sizeof *names->constant_widths);
  names->constant_places = grown(names->constant_places, (i + 1) * sizeof *names->constant_places);
  names->constants[i] = value;
  names->constant_widths[i] = lane;
  names->constant_places[i] = names->kernel->constant_bytes;
  names->kernel->constant_bytes += lane * PTX_LANES;
  return (uint32_t)names->constant_places[i] | PTX_CONSTANT;
}

/* An array of the module that the kernel has not named yet. */
static bool find_in_module(ptx_names *names, piece text, uint64_t *address)
{
  ptx_kernel *kernel = names->kernel;
  for (int i = 0; i < kernel->module->symbol_count; i++) {
    const ptx_symbol *each = &kernel->module->symbols[i];
    if (each->name_length != text.length || memcmp(each->name, text.start, text.length) != 0)
      continue;
    if (each->space == PTX_SPACE_MODULE) {
      *address = PTX_WINDOW(PTX_SPACE_MODULE) + each->offset;
      return true;
    }
    if (each->bytes == 0 && kernel->dynamic_array < 0)
      kernel->dynamic_array = kernel->array_count;
    else if (each->bytes == 0) { /* all of them are one */
      *address = kernel->arrays[kernel->dynamic_array].address;
      return true;
    }
    *address = ptx_names_add_array(names, text, each->alignment, each->bytes);
    return true;
  }
  return false;
}

static bool find_address(ptx_names *names, piece text, uint64_t *address)
{
  size_t number;
  const ptx_name *found = find(names, text, &number);
  if (found != NULL && found->kind == NAME_ADDRESS) {
    *address = found->address;
    return true;
  }
  for (int i = 0; i < names->kernel->parameter_count; i++) {
    const ptx_parameter *each = &names->kernel->parameters[i];
    if (each->name_length == text.length && memcmp(each->name, text.start, text.length) == 0) {
      *address = each->offset;
      return true;
    }
  }
  return find_in_module(names, text, address);
}

bool ptx_names_value(ptx_names *names, piece text, size_t width, uint32_t *operand)
{
  uint64_t value, more = 0;
  if (ptx_names_register(names, text, width, operand))
    return true;
  if (!piece_number(text, &value)) {
    const char *plus = memchr(text.start, '+', text.length);
    const size_t length = plus != NULL ? (size_t)(plus - text.start) : text.length;
    if (plus != NULL && !piece_number((piece){plus + 1, text.length - length - 1}, &more))
      return false;
    if (!find_address(names, (piece){text.start, length}, &value))
      return false;
  }
  *operand = ptx_names_constant(names, value + more, width);
  return true;
}

void ptx_names_finish(ptx_names *names)
{
  ptx_kernel *kernel = names->kernel;
  const size_t bytes = (kernel->constant_bytes / FILE_ALIGNMENT + 1) * FILE_ALIGNMENT;
  kernel->constants = aligned_alloc(FILE_ALIGNMENT, bytes);
  if (kernel->constants == NULL)
    abort();
  memset(kernel->constants, 0, bytes);
  for (size_t i = 0; i < names->constant_count; i++)
    for (int lane = 0; lane < PTX_LANES; lane++)
      memcpy(kernel->constants + names->constant_places[i] +
                 (size_t)lane * names->constant_widths[i],
             &names->constants[i], names->constant_widths[i]);
  kernel->file_bytes = (kernel->file_bytes / FILE_ALIGNMENT + 1) * FILE_ALIGNMENT;
}
