/* A kernel's instructions: from text to handlers and operands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/ptx/names.h"

enum { MOST_PARTS = 12, MOST_WORDS = 12, MOST_DEPTH = 16 };

typedef struct {
  piece name;
  size_t instruction; /* the one behind it; or the branch to it */
} label;

typedef struct {
  ptx_kernel *kernel;
  ptx_names names;
  size_t capacity;
  label *labels, *branches;
  size_t label_count, branch_count;
  char *error;
  size_t error_bytes;
  size_t line;       /* of the statement */
  const char *start; /* of it */
} decoder;

static bool fail(decoder *d, const char *what)
{
  snprintf(d->error, d->error_bytes, "kernel %s, line %zu of the PTX: %s: `%.*s'", d->kernel->name,
           d->line, what, (int)strcspn(d->start, ";\n"), d->start);
  return false;
}

static void *grown(void *array, size_t bytes)
{
  void *longer = realloc(array, bytes);
  if (longer == NULL)
    abort();
  return longer;
}

static void note(label **list, size_t *count, label added)
{
  *list = grown(*list, (*count + 1) * sizeof **list);
  (*list)[(*count)++] = added;
}

/* ---- Operands ---- */

/* `[%rd1+8]`, `[name]`: the address's operand, and the offset. */
static bool read_address(decoder *d, piece text, size_t constant_width, uint32_t *operand,
                         int64_t *offset, bool *is_wide)
{
  if (text.length < 2 || *text.start != '[' || text.start[text.length - 1] != ']')
    return false;
  piece inside = piece_trim((piece){text.start + 1, text.length - 2});
  *offset = 0;
  const char *sign = memchr(inside.start, '+', inside.length);
  if (sign != NULL) {
    const size_t length = (size_t)(sign - inside.start);
    uint64_t number;
    if (!piece_number(piece_trim((piece){sign + 1, inside.length - length - 1}), &number))
      return false;
    *offset = (int64_t)number;
    inside = piece_trim((piece){inside.start, length});
  }
  size_t width = ptx_names_width(&d->names, inside);
  if (width == 0)
    width = constant_width;
  *is_wide = width == 8;
  return width >= 4 && ptx_names_value(&d->names, inside, width, operand);
}

/* `{%r1, %r2}`, or one of them without braces: how many; 0 where they are none. */
static int read_list(decoder *d, piece text, size_t width, uint32_t *operands)
{
  piece parts[8];
  if (text.length >= 2 && *text.start == '{' && text.start[text.length - 1] == '}')
    text = (piece){text.start + 1, text.length - 2};
  const int count = piece_split(text, parts, 8);
  for (int i = 0; i < count; i++)
    if (!ptx_names_value(&d->names, parts[i], width, &operands[i]))
      return 0;
  return count < 0 ? 0 : count;
}

static size_t width_of_letter(char letter)
{
  return letter == 'h' ? 2 : letter == 'w' ? 4 : letter == 'l' ? 8 : 0;
}

/* One operand by its letter: how many entries of `operands` it takes; 0 where it is no such. */
static int read_operand(decoder *d, ptx_instruction *in, char letter, bool is_destination,
                        piece text, uint32_t *operands)
{
  uint64_t number;
  const size_t width = width_of_letter(letter);
  switch (letter) {
  case 'h':
  case 'w':
  case 'l':
    return is_destination ? ptx_names_register(&d->names, text, width, operands)
                          : ptx_names_value(&d->names, text, width, operands);
  case 'p':
  case 'P':
    return ptx_names_predicate(&d->names, text, letter == 'P', operands);
  case 'n':
    if (!piece_number(text, &number))
      return 0;
    *operands = (uint32_t)number;
    return 1;
  case 'a':
    return read_address(d, text, 4, operands, &in->offset, &in->wide_address);
  default:
    return read_list(d, text, 4, operands) == letter - '0' ? letter - '0' : 0;
  }
}

/* `%r1|%p1` is two operands, the second a predicate or nothing. */
static bool read_with_predicate(decoder *d, piece text, size_t width, uint32_t *operands)
{
  const char *bar = memchr(text.start, '|', text.length);
  const size_t length = bar != NULL ? (size_t)(bar - text.start) : text.length;
  operands[1] = PTX_SINK;
  if (bar != NULL &&
      !ptx_names_predicate(&d->names, piece_trim((piece){bar + 1, text.length - length - 1}), false,
                           &operands[1]))
    return false;
  const piece first = piece_trim((piece){text.start, length});
  return width == 0 ? ptx_names_predicate(&d->names, first, false, operands)
                    : ptx_names_register(&d->names, first, width, operands);
}

static bool read_by_signature(decoder *d, ptx_instruction *in, const char *signature,
                              const piece *parts, int count)
{
  int part = 0, at = 0;
  for (const char *letter = signature; *letter != '\0'; letter++) {
    if (part == count)
      return fail(d, "too few operands");
    if (letter[1] == 'q') {
      if (!read_with_predicate(d, parts[part++], width_of_letter(*letter), &in->operands[at]))
        return fail(d, "operand not understood");
      at += 2;
      letter++;
      continue;
    }
    const bool is_destination =
        letter == signature && strchr("hwl", *letter) != NULL && signature[1] != '\0';
    const int taken =
        read_operand(d, in, *letter, is_destination, parts[part++], &in->operands[at]);
    if (taken == 0)
      return fail(d, "operand not understood");
    at += taken;
  }
  return part == count || fail(d, "too many operands");
}

/* ---- Opcodes by their whole names ---- */

static const ptx_opcode *find_opcode(piece name)
{
  static const ptx_opcode *const tables[] = {
      ptx_arithmetic_opcodes, ptx_bit_opcodes,    ptx_convert_opcodes, ptx_control_opcodes,
      ptx_collective_opcodes, ptx_tensor_opcodes, ptx_async_opcodes};
  enum { SLOTS = 2048 };
  static const ptx_opcode *slots[SLOTS]; /* by a hash of the name */
  static bool filled;
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t t = 0; !filled && t < sizeof tables / sizeof tables[0]; t++)
    for (const ptx_opcode *each = tables[t]; each->name != NULL; each++) {
      uint32_t at = 2166136261u;
      for (const char *c = each->name; *c != '\0'; c++)
        at = (at ^ (unsigned char)*c) * 16777619u;
      while (slots[at % SLOTS] != NULL)
        at++;
      slots[at % SLOTS] = each;
    }
  filled = true;
  for (size_t i = 0; i < name.length; i++)
    hash = (hash ^ (unsigned char)name.start[i]) * 16777619u;
  for (; slots[hash % SLOTS] != NULL; hash++)
    if (piece_is(name, slots[hash % SLOTS]->name))
      return slots[hash % SLOTS];
  return NULL;
}

/* ---- Opcodes whose names are taken apart ---- */

/* The words of an opcode between its dots, without those that change only speed. */
static int split_opcode(piece name, piece *words)
{
  static const char *const hints[] = {"ca", "cg", "cs",       "lu",   "cv", "wb",
                                      "wt", "nc", "volatile", "weak", "uni"};
  int count = 0;
  for (size_t first = 0; first <= name.length && count < MOST_WORDS;) {
    size_t length = 0;
    while (first + length < name.length && name.start[first + length] != '.')
      length++;
    piece word = {name.start + first, length};
    first += length + 1;
    bool is_hint =
        length > 3 && (memcmp(word.start, "L1::", 4) == 0 || memcmp(word.start, "L2::", 4) == 0);
    for (size_t i = 0; i < sizeof hints / sizeof hints[0] && count > 0; i++)
      is_hint |= piece_is(word, hints[i]);
    const char *colons = memchr(word.start, ':', word.length);
    if (colons != NULL && !is_hint)
      word.length = (size_t)(colons - word.start); /* shared::cta */
    if (!is_hint)
      words[count++] = word;
  }
  return count;
}

static bool find_space(piece word, ptx_space *space)
{
  static const struct {
    const char *name;
    ptx_space space;
  } spaces[] = {
      {"global", PTX_SPACE_GLOBAL}, {"shared", PTX_SPACE_SHARED}, {"local", PTX_SPACE_LOCAL},
      {"param", PTX_SPACE_PARAM},   {"const", PTX_SPACE_MODULE},
  };
  for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
    if (piece_is(word, spaces[i].name)) {
      *space = spaces[i].space;
      return true;
    }
  return false;
}

static uint8_t class_of_access(ptx_space space, bool stores)
{
  switch (space) {
  case PTX_SPACE_GLOBAL:
  case PTX_SPACE_GENERIC:
    return stores ? EMULATOR_STORE_GLOBAL : EMULATOR_LOAD_GLOBAL;
  case PTX_SPACE_SHARED:
    return stores ? EMULATOR_STORE_SHARED : EMULATOR_LOAD_SHARED;
  default:
    return EMULATOR_LOCAL;
  }
}

/* Shadows are as fine as the finest access. */
static void note_shared_access(ptx_kernel *kernel, size_t bytes)
{
  while (kernel->shared_unit_log2 > 0 && bytes < (size_t)1 << kernel->shared_unit_log2)
    kernel->shared_unit_log2--;
}

/* ld and st: `ld.global.nc.v4.f32 {...}, [...]`. */
static bool read_access(decoder *d, ptx_instruction *in, const piece *words, int word_count,
                        const piece *parts, int part_count)
{
  const bool stores = piece_is(words[0], "st");
  ptx_space space = PTX_SPACE_GENERIC;
  in->vector = 1;
  for (int i = 1; i < word_count - 1; i++) {
    if (find_space(words[i], &space))
      continue;
    if (!piece_is(words[i], "v2") && !piece_is(words[i], "v4"))
      return fail(d, "unknown opcode");
    in->vector = piece_is(words[i], "v2") ? 2 : 4;
  }
  const piece type = words[word_count - 1];
  in->bytes = (uint8_t)piece_type_bytes(type);
  if (in->bytes == 0)
    return fail(d, "unknown opcode");
  if (part_count != 2)
    return fail(d, "expected two operands");
  in->is_signed = *type.start == 's';
  in->space = (uint8_t)space;
  in->class = class_of_access(space, stores);
  in->run = stores ? ptx_run_store : ptx_run_load;
  const piece list = parts[stores ? 1 : 0];
  piece first = list;
  if (*first.start == '{') {
    first = (piece){list.start + 1, 0};
    while (strchr(",}", first.start[first.length]) == NULL)
      first.length++;
    first = piece_trim(first);
  }
  const size_t natural = in->bytes < 4 ? 4 : in->bytes, held = ptx_names_width(&d->names, first);
  const size_t width = held != 0 && !piece_is(first, "_") ? held : natural;
  in->wide = width == 8;
  in->flags = width == 2;
  if (width < in->bytes)
    return fail(d, "the register is too narrow");
  uint32_t *values = &in->operands[stores ? 1 : 0];
  uint32_t *address = &in->operands[stores ? 0 : in->vector];
  if (read_list(d, list, width, values) != in->vector ||
      !read_address(d, parts[stores ? 0 : 1], 8, address, &in->offset, &in->wide_address))
    return fail(d, "operand not understood");
  if (space == PTX_SPACE_SHARED || space == PTX_SPACE_GENERIC)
    note_shared_access(d->kernel, (size_t)in->bytes * in->vector);
  return true;
}

/* `cp.async.cg.shared.global [to], [from], 16, %r1;` */
static bool read_copy_async(decoder *d, ptx_instruction *in, const piece *words, int word_count,
                            const piece *parts, int part_count)
{
  uint64_t bytes;
  int64_t offset;
  bool is_wide;
  if (word_count != 4 || !piece_is(words[2], "shared") || !piece_is(words[3], "global"))
    return fail(d, "unknown opcode");
  if (part_count < 3 || part_count > 4 || !piece_number(parts[2], &bytes) ||
      (bytes != 4 && bytes != 8 && bytes != 16))
    return fail(d, "expected two addresses and 4, 8 or 16 bytes");
  in->bytes = (uint8_t)bytes;
  in->class = EMULATOR_COPY_ASYNC;
  in->space = PTX_SPACE_GLOBAL;
  in->run = ptx_run_copy_async;
  if (!read_address(d, parts[1], 8, &in->operands[1], &offset, &is_wide) || !is_wide ||
      !read_address(d, parts[0], 4, &in->operands[0], &in->offset, &in->wide_address))
    return fail(d, "operand not understood");
  in->target = (uint32_t)offset;
  const piece filled = part_count == 4 ? parts[3] : parts[2];
  return ptx_names_value(&d->names, filled, 4, &in->operands[2]) ||
         fail(d, "operand not understood");
}

/* `setp.lt.and.s32 %p1|%p2, %r1, %r2, !%p3`. */
static bool read_setp(decoder *d, ptx_instruction *in, const piece *words, int word_count,
                      const piece *parts, int part_count)
{
  char name[8], type[8];
  const piece last = words[word_count - 1];
  snprintf(name, sizeof name, "%.*s", (int)words[1].length, words[1].start);
  snprintf(type, sizeof type, "%.*s", (int)last.length, last.start);
  in->compare = ptx_find_comparison(name, type);
  in->run = ptx_run_setp;
  in->class = EMULATOR_INTEGER;
  for (int i = 2; i < word_count - 1; i++)
    if (piece_is(words[i], "and"))
      in->combine = PTX_COMBINE_AND;
    else if (piece_is(words[i], "or"))
      in->combine = PTX_COMBINE_OR;
    else if (piece_is(words[i], "xor"))
      in->combine = PTX_COMBINE_XOR;
    else if (!piece_is(words[i], "ftz"))
      in->compare = NULL;
  if (in->compare == NULL)
    return fail(d, "unknown opcode");
  if (part_count != (in->combine == PTX_COMBINE_NONE ? 3 : 4))
    return fail(d, "too few or too many operands");
  in->count = 2;
  in->operands[4] = PTX_TRUE;
  const size_t width = piece_type_bytes(last);
  if (!read_with_predicate(d, parts[0], 0, in->operands) ||
      !ptx_names_value(&d->names, parts[1], width, &in->operands[2]) ||
      !ptx_names_value(&d->names, parts[2], width, &in->operands[3]) ||
      (part_count == 4 && !ptx_names_predicate(&d->names, parts[3], true, &in->operands[4])))
    return fail(d, "operand not understood");
  return true;
}

/* mov with braces: `mov.b64 %rd1, {%r1, %r2}` and the other way. */
static bool read_pack(decoder *d, ptx_instruction *in, piece type, const piece *parts)
{
  const bool packs = *parts[1].start == '{';
  const piece list = parts[packs ? 1 : 0], whole = parts[packs ? 0 : 1];
  piece members[4];
  const int count = piece_split((piece){list.start + 1, list.length - 2}, members, 4);
  const size_t width = piece_type_bytes(type);
  if ((count != 2 && count != 4) || width < 4 || width / (size_t)count < 2)
    return fail(d, "operand not understood");
  in->count = (uint8_t)count;
  in->bytes = (uint8_t)(width / (size_t)count);
  in->wide = width == 8;
  in->run = packs ? ptx_run_pack : ptx_run_unpack;
  uint32_t *operand = &in->operands[packs ? 0 : count];
  if (read_list(d, list, in->bytes, &in->operands[packs ? 1 : 0]) != count ||
      !(packs ? ptx_names_register(&d->names, whole, width, operand)
              : ptx_names_value(&d->names, whole, width, operand)))
    return fail(d, "operand not understood");
  return true;
}

static bool read_apart(decoder *d, ptx_instruction *in, piece opcode, const piece *parts, int count)
{
  piece words[MOST_WORDS];
  const int word_count = split_opcode(opcode, words);
  if (piece_is(words[0], "bra")) {
    in->run = ptx_run_branch;
    in->class = EMULATOR_BRANCH;
    note(&d->branches, &d->branch_count, (label){parts[0], d->kernel->code_count});
    return count == 1 || fail(d, "expected a label");
  }
  if (word_count >= 2 && (piece_is(words[0], "ld") || piece_is(words[0], "st")))
    return read_access(d, in, words, word_count, parts, count);
  if (word_count >= 3 && piece_is(words[0], "setp"))
    return read_setp(d, in, words, word_count, parts, count);
  if (word_count >= 3 && piece_is(words[0], "cp") && piece_is(words[1], "async"))
    return read_copy_async(d, in, words, word_count, parts, count);
  return fail(d, "unknown opcode");
}

/* The opcode of a whole name. A cvt has another where its source is narrower than its register. */
static const ptx_opcode *find_known(decoder *d, piece opcode, const piece *parts, int count)
{
  const ptx_opcode *known = find_opcode(opcode);
  char wide[32];
  if (known == NULL || count != 2 || strncmp(known->name, "cvt.", 4) != 0 ||
      known->signature[1] == 'l' || ptx_names_width(&d->names, parts[1]) != 8)
    return known;
  const int length = snprintf(wide, sizeof wide, "%s/64", known->name);
  return find_opcode((piece){wide, (size_t)length});
}

/* Without ::cta, which says what is so anyway. */
static piece without_cta(piece opcode, char *buffer, size_t bytes)
{
  size_t length = 0;
  for (size_t i = 0; i < opcode.length && length + 1 < bytes;) {
    if (opcode.length - i >= 5 && memcmp(opcode.start + i, "::cta", 5) == 0)
      i += 5;
    else
      buffer[length++] = opcode.start[i++];
  }
  return (piece){buffer, length};
}

/* ---- Statements ---- */

static ptx_instruction *new_instruction(decoder *d)
{
  ptx_kernel *kernel = d->kernel;
  if (kernel->code_count == d->capacity) {
    d->capacity = d->capacity == 0 ? 256 : 2 * d->capacity;
    kernel->code = grown(kernel->code, d->capacity * sizeof *kernel->code);
  }
  ptx_instruction *in = &kernel->code[kernel->code_count];
  *in = (ptx_instruction){.guard = PTX_TRUE, .line = (uint32_t)d->line, .text = d->start};
  return in;
}

/* `@!%p1 opcode operands;` of which the scanner has passed nothing. */
static bool read_instruction(decoder *d, scanner *s)
{
  ptx_instruction *in = new_instruction(d);
  piece word = scan_word(s), parts[MOST_PARTS];
  if (piece_is(word, "@")) {
    const char *start = (scan_space(s), s->at);
    word = scan_word(s);
    if (piece_is(word, "!"))
      word = scan_word(s);
    const piece guard = {start, (size_t)(word.start + word.length - start)};
    if (!ptx_names_predicate(&d->names, guard, true, &in->guard))
      return fail(d, "unknown predicate");
    scan_space(s);
    in->text = d->start;
    word = scan_word(s);
  }
  const char *operands = s->at;
  if (!scan_past(s, ';'))
    return fail(d, "no end of the statement");
  const int count =
      piece_split((piece){operands, (size_t)(s->at - 1 - operands)}, parts, MOST_PARTS);
  if (count < 0)
    return fail(d, "too many operands");
  char buffer[128];
  const piece opcode = without_cta(word, buffer, sizeof buffer);
  const ptx_opcode *known = find_known(d, opcode, parts, count);
  if (opcode.length > 4 && memcmp(opcode.start, "mov.", 4) == 0 && count == 2 &&
      (*parts[0].start == '{' || *parts[1].start == '{')) {
    if (!read_pack(d, in, (piece){opcode.start + 4, opcode.length - 4}, parts))
      return false;
  } else if (known != NULL) {
    in->run = known->run;
    in->class = known->class;
    in->space = PTX_SPACE_SHARED; /* of the only addresses in a signature */
    if (!read_by_signature(d, in, known->signature, parts, count))
      return false;
  } else if (!read_apart(d, in, opcode, parts, count))
    return false;
  d->kernel->code_count++;
  return true;
}

static bool is_label(scanner s, piece *name)
{
  *name = scan_word(&s);
  return name->length > 0 && *s.at == ':';
}

/* A declaration or a pragma, behind its first word. */
static bool read_directive(decoder *d, scanner *s, piece word)
{
  if (piece_is(word, ".reg"))
    return ptx_names_registers(&d->names, s) || fail(d, "not understood");
  if (piece_is(word, ".shared") || piece_is(word, ".local"))
    return ptx_names_array(&d->names, s, piece_is(word, ".local")) || fail(d, "not understood");
  if (piece_is(word, ".pragma"))
    return scan_past(s, ';');
  return fail(d, "unknown directive");
}

static bool read_statements(decoder *d)
{
  scanner s = {d->kernel->body, d->kernel->body_line};
  size_t outer[MOST_DEPTH];
  for (int depth = 0;;) {
    scan_space(&s);
    d->line = s.line;
    d->start = s.at;
    piece name;
    if (*s.at == '{') {
      s.at++;
      if (depth == MOST_DEPTH)
        return fail(d, "too many braces");
      outer[depth++] = d->names.count;
    } else if (*s.at == '}') {
      s.at++;
      if (depth == 0)
        return true;
      ptx_names_end(&d->names, outer[--depth]);
    } else if (is_label(s, &name)) {
      scan_word(&s);
      s.at++;
      note(&d->labels, &d->label_count, (label){name, d->kernel->code_count});
    } else if (*s.at == '.') {
      const piece word = scan_word(&s);
      if (!read_directive(d, &s, word))
        return false;
    } else if (!read_instruction(d, &s))
      return false;
  }
}

static bool join_branches(decoder *d)
{
  for (size_t i = 0; i < d->branch_count; i++) {
    const label *branch = &d->branches[i];
    ptx_instruction *in = &d->kernel->code[branch->instruction];
    size_t k = 0;
    while (k < d->label_count &&
           (d->labels[k].name.length != branch->name.length ||
            memcmp(d->labels[k].name.start, branch->name.start, branch->name.length) != 0))
      k++;
    if (k == d->label_count) {
      d->line = in->line;
      d->start = in->text;
      return fail(d, "unknown label");
    }
    in->target = (uint32_t)d->labels[k].instruction;
  }
  return true;
}

/* A kernel ends at its brace, too. */
static void add_return(decoder *d)
{
  ptx_instruction *in = new_instruction(d);
  const ptx_opcode *known = find_opcode((piece){"ret", 3});
  in->run = known->run;
  in->class = known->class;
  d->kernel->code_count++;
}

bool ptx_decode(ptx_kernel *kernel, char *error, size_t error_bytes)
{
  decoder d = {.kernel = kernel, .error = error, .error_bytes = error_bytes};
  d.names.kernel = kernel;
  kernel->code_count = kernel->file_bytes = kernel->constant_bytes = 0;
  kernel->shared_bytes = kernel->local_bytes = 0;
  kernel->predicate_count = PTX_FIRST_PREDICATE;
  kernel->array_count = 0;
  kernel->dynamic_array = -1;
  kernel->shared_unit_log2 = 2;
  memset(kernel->specials, 0, sizeof kernel->specials);
  const bool done = read_statements(&d) && (add_return(&d), join_branches(&d));
  if (done) {
    ptx_names_finish(&d.names);
    kernel->decoded = true;
  }
  ptx_names_free(&d.names);
  free(d.labels);
  free(d.branches);
  return done;
}
