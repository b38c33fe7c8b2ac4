#include "model/files/pickle.h"

#include <stdlib.h>
#include <string.h>

/* One opcode makes at most one value and takes at most one place, so this bounds all memory. A
 * tensor takes about 40 opcodes. */
enum { OPCODES_MOST = 1 << 20 };

typedef enum {
  VALUE_NONE,
  VALUE_FLAG,
  VALUE_NUMBER,
  VALUE_TEXT,
  VALUE_GLOBAL,
  VALUE_TUPLE,
  VALUE_LIST,
  VALUE_DICTIONARY,
  VALUE_STORAGE,
  VALUE_TENSOR,
  VALUE_OTHER /* only in attributes */
} value_kind;

typedef struct {
  value_kind kind;
  /* Tuple: items [first, first + count). Dictionary and list: first and last pair. Tensor: storage,
   * shape, strides. */
  uint32_t first, count, extra;
  /* a global's place in `globals`; the elements of a storage; the offset of a tensor */
  int64_t number;
  int64_t view;     /* of a storage: its first element in the stored one */
  const char *text; /* key of a storage */
  size_t bytes;
  cdl_stored_type type; /* storage */
} value;

typedef struct {
  uint32_t key, value, next; /* values, for a list without key; the next pair, NO_PAIR: none */
} pair;
#define NO_PAIR UINT32_MAX

typedef struct {
  const char *path;
  const uint8_t *start, *next, *end;
  uint32_t room; /* capacity of each table */
  value *values;
  uint32_t *stack, *marks, *memo, *items;
  pair *pairs;
  uint32_t value_count, stack_count, mark_count, memo_count, item_count, pair_count;
} machine;

/* ---- Names ---- */

typedef enum {
  GLOBAL_DICTIONARY,
  GLOBAL_TENSOR,
  GLOBAL_PARAMETER,
  GLOBAL_DRESSED, /* a tensor with attributes: its function, its class, arguments, attributes */
  GLOBAL_CLASS,
  GLOBAL_SIZE,
  GLOBAL_STORAGE
} global_role;

static const struct {
  const char *module, *name;
  global_role role;
  cdl_stored_type type;
} globals[] = {
    {"collections", "OrderedDict", GLOBAL_DICTIONARY, 0},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor", GLOBAL_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", GLOBAL_PARAMETER, 0},
    {"torch._tensor", "_rebuild_from_type_v2", GLOBAL_DRESSED, 0},
    {"torch", "Tensor", GLOBAL_CLASS, 0},
    {"torch.nn.parameter", "Parameter", GLOBAL_CLASS, 0},
    {"torch", "Size", GLOBAL_SIZE, 0},
    {"torch", "FloatStorage", GLOBAL_STORAGE, CDL_STORED_F32},
    {"torch", "HalfStorage", GLOBAL_STORAGE, CDL_STORED_F16},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, CDL_STORED_BF16},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, CDL_STORED_F64},
    {"torch", "LongStorage", GLOBAL_STORAGE, CDL_STORED_I64},
    {"torch", "IntStorage", GLOBAL_STORAGE, CDL_STORED_I32},
    {"torch", "ShortStorage", GLOBAL_STORAGE, CDL_STORED_I16},
    {"torch", "CharStorage", GLOBAL_STORAGE, CDL_STORED_I8},
    {"torch", "ByteStorage", GLOBAL_STORAGE, CDL_STORED_U8},
    {"torch", "BoolStorage", GLOBAL_STORAGE, CDL_STORED_BOOL},
};

/* ---- Failures ---- */

static cdl_status bad(const machine *m, const char *what)
{
  return cdl_fail(CDL_STATUS_DATA, "%s: the pickle is damaged at byte %zu: %s", m->path,
                  (size_t)(m->next - m->start), what);
}

static cdl_status cut(const machine *m)
{
  return bad(m, "it ends too early");
}

static bool is_plain(const char *text, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
      return false;
  return true;
}

/* ---- Stack ---- */

static value *new_value(machine *m, value_kind kind)
{
  m->stack[m->stack_count++] = m->value_count;
  value *made = &m->values[m->value_count++];
  *made = (value){.kind = kind};
  return made;
}

static uint32_t floor_of(const machine *m)
{
  return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

/* Returns whether `count` values are above the last mark. */
static bool holds(const machine *m, uint32_t count)
{
  return m->stack_count - floor_of(m) >= count;
}

static value *top(machine *m, uint32_t below)
{
  return &m->values[m->stack[m->stack_count - 1 - below]];
}

static const value *item(const machine *m, const value *tuple, uint32_t index)
{
  return &m->values[m->items[tuple->first + index]];
}

static cdl_status take(machine *m, size_t bytes, const uint8_t **taken)
{
  if ((size_t)(m->end - m->next) < bytes)
    return cut(m);
  *taken = m->next;
  m->next += bytes;
  return CDL_STATUS_OK;
}

/* ---- Opcodes ---- */

static cdl_status take_whole(machine *m, size_t bytes, bool is_signed, int64_t *number)
{
  const uint8_t *p = NULL;
  CDL_TRY(take(m, bytes, &p));
  uint64_t bits = 0;
  for (size_t i = 0; i < bytes; i++)
    bits |= (uint64_t)p[i] << 8 * i;
  if (is_signed && bytes > 0 && bytes < 8 && (p[bytes - 1] & 0x80) != 0)
    bits |= UINT64_MAX << 8 * bytes;
  memcpy(number, &bits, sizeof *number);
  return CDL_STATUS_OK;
}

static cdl_status push_number(machine *m, size_t bytes, bool is_signed)
{
  int64_t number;
  CDL_TRY(take_whole(m, bytes, is_signed, &number));
  new_value(m, VALUE_NUMBER)->number = number;
  return CDL_STATUS_OK;
}

static cdl_status push_long(machine *m)
{
  int64_t bytes;
  CDL_TRY(take_whole(m, 1, false, &bytes));
  return bytes <= 8 ? push_number(m, (size_t)bytes, true) : bad(m, "a number of more than 64 bits");
}

/* Reads a text after its length of `length_bytes` bytes. */
static cdl_status push_text(machine *m, size_t length_bytes)
{
  int64_t bytes;
  const uint8_t *text = NULL;
  CDL_TRY(take_whole(m, length_bytes, false, &bytes));
  CDL_TRY(take(m, (size_t)bytes, &text));
  value *made = new_value(m, VALUE_TEXT);
  made->text = (const char *)text;
  made->bytes = (size_t)bytes;
  return CDL_STATUS_OK;
}

static cdl_status push_real(machine *m)
{
  const uint8_t *bytes;
  CDL_TRY(take(m, sizeof(double), &bytes));
  new_value(m, VALUE_OTHER);
  return CDL_STATUS_OK;
}

static cdl_status take_line(machine *m, const char **line, size_t *bytes)
{
  const uint8_t *end = memchr(m->next, '\n', (size_t)(m->end - m->next));
  if (end == NULL)
    return cut(m);
  *line = (const char *)m->next;
  *bytes = (size_t)(end - m->next);
  m->next = end + 1;
  return is_plain(*line, *bytes) ? CDL_STATUS_OK : bad(m, "a name with control characters");
}

static bool is_text(const char *text, size_t bytes, const char *wanted)
{
  return bytes == strlen(wanted) && memcmp(text, wanted, bytes) == 0;
}

static cdl_status push_global(machine *m)
{
  const char *module, *name;
  size_t module_bytes, name_bytes;
  CDL_TRY(take_line(m, &module, &module_bytes));
  CDL_TRY(take_line(m, &name, &name_bytes));
  for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++)
    if (is_text(module, module_bytes, globals[i].module) &&
        is_text(name, name_bytes, globals[i].name)) {
      new_value(m, VALUE_GLOBAL)->number = (int64_t)i;
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_DATA,
                  "%s: the pickle asks for %.*s.%.*s; a file of tensors alone is read, nothing is "
                  "imported",
                  m->path, module_bytes < 80 ? (int)module_bytes : 80, module,
                  name_bytes < 80 ? (int)name_bytes : 80, name);
}

static cdl_status push_tuple(machine *m, uint32_t count)
{
  if (!holds(m, count))
    return bad(m, "a tuple of more than there is");
  const uint32_t first = m->item_count;
  m->stack_count -= count;
  for (uint32_t i = 0; i < count; i++)
    m->items[m->item_count++] = m->stack[m->stack_count + i];
  value *made = new_value(m, VALUE_TUPLE);
  made->first = first;
  made->count = count;
  return CDL_STATUS_OK;
}

static cdl_status push_chain(machine *m, value_kind kind)
{
  value *made = new_value(m, kind);
  made->first = made->extra = NO_PAIR;
  return CDL_STATUS_OK;
}

/* Appends to a dictionary or list. */
static cdl_status chain(machine *m, value *to, uint32_t key, uint32_t item)
{
  if (m->pair_count == m->room)
    return bad(m, "more is in it than a file of tensors holds");
  const uint32_t made = m->pair_count++;
  m->pairs[made] = (pair){key, item, NO_PAIR};
  *(to->first == NO_PAIR ? &to->first : &m->pairs[to->extra].next) = made;
  to->extra = made;
  to->count++;
  return CDL_STATUS_OK;
}

/* Removes the last mark and gives the number of values above it. */
static cdl_status pop_mark(machine *m, uint32_t *above)
{
  if (m->mark_count == 0)
    return bad(m, "no mark");
  *above = m->stack_count - m->marks[--m->mark_count];
  return CDL_STATUS_OK;
}

static cdl_status set_items(machine *m, uint32_t count)
{
  if (count % 2 != 0 || !holds(m, count + 1))
    return bad(m, "a dictionary's keys and values");
  value *dictionary = top(m, count);
  if (dictionary->kind != VALUE_DICTIONARY)
    return bad(m, "a dictionary is expected");
  m->stack_count -= count;
  for (uint32_t i = 0; i < count; i += 2)
    CDL_TRY(chain(m, dictionary, m->stack[m->stack_count + i], m->stack[m->stack_count + i + 1]));
  return CDL_STATUS_OK;
}

static cdl_status append(machine *m, uint32_t count)
{
  if (!holds(m, count + 1))
    return bad(m, "a list's items");
  value *list = top(m, count);
  if (list->kind != VALUE_LIST)
    return bad(m, "a list is expected");
  m->stack_count -= count;
  for (uint32_t i = 0; i < count; i++)
    CDL_TRY(chain(m, list, NO_PAIR, m->stack[m->stack_count + i]));
  return CDL_STATUS_OK;
}

static cdl_status put_memo(machine *m, size_t bytes)
{
  int64_t index;
  CDL_TRY(take_whole(m, bytes, false, &index));
  if (!holds(m, 1) || index > m->memo_count)
    return bad(m, "a place in the memo that is not the next");
  m->memo_count += index == m->memo_count;
  m->memo[index] = m->stack[m->stack_count - 1];
  return CDL_STATUS_OK;
}

static cdl_status get_memo(machine *m, size_t bytes)
{
  int64_t index;
  CDL_TRY(take_whole(m, bytes, false, &index));
  if (index >= m->memo_count)
    return bad(m, "a place in the memo that was never filled");
  m->stack[m->stack_count++] = m->memo[index];
  return CDL_STATUS_OK;
}

static bool is_plain_text(const value *v)
{
  return v->kind == VALUE_TEXT && is_plain(v->text, v->bytes);
}

static bool is_count(const value *v)
{
  return v->kind == VALUE_NUMBER && v->number >= 0;
}

/* ("storage", type, key, device, elements); before 1.6 followed by None or (key, offset, elements)
 * of a part of it. */
static cdl_status make_storage(machine *m)
{
  const value *t = holds(m, 1) ? top(m, 0) : NULL;
  if (t == NULL || t->kind != VALUE_TUPLE || t->count < 5 || t->count > 6)
    return bad(m, "a storage is expected");
  const value *word = item(m, t, 0), *type = item(m, t, 1), *key = item(m, t, 2),
              *count = item(m, t, 4), *view = t->count == 6 ? item(m, t, 5) : NULL;
  if (word->kind != VALUE_TEXT || !is_text(word->text, word->bytes, "storage") ||
      type->kind != VALUE_GLOBAL || globals[type->number].role != GLOBAL_STORAGE ||
      !is_plain_text(key) || !is_count(count))
    return bad(m, "a storage is expected");
  const bool viewed = view != NULL && view->kind != VALUE_NONE;
  if (viewed && (view->kind != VALUE_TUPLE || view->count != 3 || !is_count(item(m, view, 1))))
    return bad(m, "a part of a storage is expected");
  m->stack_count--;
  value *made = new_value(m, VALUE_STORAGE);
  made->text = key->text;
  made->bytes = key->bytes;
  made->number = count->number;
  made->view = viewed ? item(m, view, 1)->number : 0;
  made->type = globals[type->number].type;
  return CDL_STATUS_OK;
}

static bool is_numbers(const machine *m, const value *tuple)
{
  bool numbers = tuple->kind == VALUE_TUPLE;
  for (uint32_t i = 0; numbers && i < tuple->count; i++)
    numbers = item(m, tuple, i)->kind == VALUE_NUMBER;
  return numbers;
}

/* (storage, offset, shape, strides), and in later versions requires_grad, hooks, metadata. */
static cdl_status make_tensor(machine *m, const value *t)
{
  if (t->count < 4 || t->count > 7 || item(m, t, 0)->kind != VALUE_STORAGE ||
      item(m, t, 1)->kind != VALUE_NUMBER || !is_numbers(m, item(m, t, 2)) ||
      !is_numbers(m, item(m, t, 3)) || item(m, t, 2)->count != item(m, t, 3)->count)
    return bad(m, "a tensor's storage, shape and strides are expected");
  if (item(m, t, 2)->count > CDL_STORED_RANK_MAX)
    return bad(m, "a tensor has more than 8 dimensions");
  value *made = new_value(m, VALUE_TENSOR);
  made->first = m->items[t->first];
  made->number = item(m, t, 1)->number;
  made->count = m->items[t->first + 2];
  made->extra = m->items[t->first + 3];
  return CDL_STATUS_OK;
}

/* Python 2 writes the contents of an OrderedDict as a list of pairs. */
static cdl_status make_dictionary(machine *m, const value *arguments)
{
  const value *pairs = arguments->count == 1 ? item(m, arguments, 0) : NULL;
  if (arguments->count > 1 || (pairs != NULL && pairs->kind != VALUE_LIST))
    return bad(m, "an OrderedDict with other arguments than a list");
  CDL_TRY(push_chain(m, VALUE_DICTIONARY));
  value *made = top(m, 0);
  for (uint32_t p = pairs != NULL ? pairs->first : NO_PAIR; p != NO_PAIR; p = m->pairs[p].next) {
    const value *two = &m->values[m->pairs[p].value];
    if (two->count != 2 || (two->kind != VALUE_LIST && two->kind != VALUE_TUPLE))
      return bad(m, "an OrderedDict's key and value are expected");
    if (two->kind == VALUE_TUPLE)
      CDL_TRY(chain(m, made, m->items[two->first], m->items[two->first + 1]));
    else
      CDL_TRY(chain(m, made, m->pairs[two->first].value, m->pairs[two->extra].value));
  }
  return CDL_STATUS_OK;
}

/* (tensor, requires_grad, hooks), followed by its attributes if it has some. */
static cdl_status make_parameter(machine *m, const value *arguments)
{
  if (arguments->count < 3 || arguments->count > 4 || item(m, arguments, 0)->kind != VALUE_TENSOR)
    return bad(m, "a parameter's tensor is expected");
  m->stack[m->stack_count++] = m->items[arguments->first];
  return CDL_STATUS_OK;
}

static cdl_status make_plain(machine *m, global_role role, const value *arguments)
{
  switch (role) {
  case GLOBAL_DICTIONARY:
    return make_dictionary(m, arguments);
  case GLOBAL_TENSOR:
    return make_tensor(m, arguments);
  case GLOBAL_PARAMETER:
    return make_parameter(m, arguments);
  case GLOBAL_SIZE:
    if (arguments->count != 1 || item(m, arguments, 0)->kind != VALUE_TUPLE)
      return bad(m, "the numbers of a torch.Size are expected");
    m->stack[m->stack_count++] = m->items[arguments->first];
    return CDL_STATUS_OK;
  case GLOBAL_DRESSED:
  case GLOBAL_CLASS:
  case GLOBAL_STORAGE:
    break;
  }
  return bad(m, "a call of a type");
}

/* (function, class, its arguments, attributes) */
static cdl_status make_dressed(machine *m, const value *arguments)
{
  if (arguments->count == 4) {
    const value *maker = item(m, arguments, 0), *class = item(m, arguments, 1),
                *plain = item(m, arguments, 2);
    if (maker->kind == VALUE_GLOBAL && class->kind == VALUE_GLOBAL &&
        globals[class->number].role == GLOBAL_CLASS && plain->kind == VALUE_TUPLE &&
        (globals[maker->number].role == GLOBAL_TENSOR ||
         globals[maker->number].role == GLOBAL_PARAMETER))
      return make_plain(m, globals[maker->number].role, plain);
  }
  return bad(m, "a tensor with attributes is expected");
}

static cdl_status call(machine *m)
{
  if (!holds(m, 2))
    return bad(m, "nothing to make something of");
  const value *arguments = top(m, 0), *callee = top(m, 1);
  if (callee->kind != VALUE_GLOBAL || arguments->kind != VALUE_TUPLE)
    return bad(m, "a call of something that is no name");
  m->stack_count -= 2;
  const global_role role = globals[callee->number].role;
  return role == GLOBAL_DRESSED ? make_dressed(m, arguments) : make_plain(m, role, arguments);
}

/* Attributes of a dictionary (PyTorch puts versions of modules there) are ignored. */
static cdl_status build(machine *m)
{
  if (!holds(m, 2) || top(m, 0)->kind != VALUE_DICTIONARY || top(m, 1)->kind != VALUE_DICTIONARY)
    return bad(m, "attributes of something that is no dictionary");
  m->stack_count--;
  return CDL_STATUS_OK;
}

static cdl_status protocol(machine *m)
{
  int64_t version;
  CDL_TRY(take_whole(m, 1, false, &version));
  return version == 2 || version == 3
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA,
                        "%s: the pickle is of protocol %d; protocol 2, torch.save's own, and 3 are "
                        "read",
                        m->path, (int)version);
}

static cdl_status step(machine *m, uint8_t opcode)
{
  uint32_t above = 0;
  switch (opcode) {
  case 0x80: /* PROTO */
    return protocol(m);
  case '(': /* MARK */
    m->marks[m->mark_count++] = m->stack_count;
    return CDL_STATUS_OK;
  case 'N': /* NONE */
    new_value(m, VALUE_NONE);
    return CDL_STATUS_OK;
  case 0x88: /* NEWTRUE */
  case 0x89: /* NEWFALSE */
    new_value(m, VALUE_FLAG)->number = opcode == 0x88;
    return CDL_STATUS_OK;
  case 'K': /* BININT1 */
    return push_number(m, 1, false);
  case 'M': /* BININT2 */
    return push_number(m, 2, false);
  case 'J': /* BININT */
    return push_number(m, 4, true);
  case 0x8a: /* LONG1 */
    return push_long(m);
  case 'G': /* BINFLOAT */
    return push_real(m);
  case 'X': /* BINUNICODE */
    return push_text(m, 4);
  case 'U': /* SHORT_BINSTRING */
    return push_text(m, 1);
  case 'c': /* GLOBAL */
    return push_global(m);
  case ')': /* EMPTY_TUPLE */
    return push_tuple(m, 0);
  case 0x85: /* TUPLE1 … TUPLE3 */
  case 0x86:
  case 0x87:
    return push_tuple(m, opcode - 0x84u);
  case 't': /* TUPLE */
    CDL_TRY(pop_mark(m, &above));
    return push_tuple(m, above);
  case '}': /* EMPTY_DICT */
    return push_chain(m, VALUE_DICTIONARY);
  case ']': /* EMPTY_LIST */
    return push_chain(m, VALUE_LIST);
  case 'a': /* APPEND */
    return append(m, 1);
  case 'e': /* APPENDS */
    CDL_TRY(pop_mark(m, &above));
    return append(m, above);
  case 's': /* SETITEM */
    return set_items(m, 2);
  case 'u': /* SETITEMS */
    CDL_TRY(pop_mark(m, &above));
    return set_items(m, above);
  case 'q': /* BINPUT */
    return put_memo(m, 1);
  case 'r': /* LONG_BINPUT */
    return put_memo(m, 4);
  case 'h': /* BINGET */
    return get_memo(m, 1);
  case 'j': /* LONG_BINGET */
    return get_memo(m, 4);
  case 'Q': /* BINPERSID */
    return make_storage(m);
  case 'R': /* REDUCE */
    return call(m);
  case 'b': /* BUILD */
    return build(m);
  default:
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the pickle has opcode 0x%02x at byte %zu, which a file of tensors alone "
                    "does not need; nothing is run",
                    m->path, opcode, (size_t)(m->next - m->start) - 1);
  }
}

static cdl_status run(machine *m)
{
  for (uint32_t steps = 0; steps < OPCODES_MOST; steps++) {
    if (m->next == m->end)
      return cut(m);
    const uint8_t opcode = *m->next++;
    if (opcode == '.')
      return CDL_STATUS_OK;
    CDL_TRY(step(m, opcode));
  }
  return bad(m, "it is longer than a file of tensors would be");
}

/* ---- The machine ---- */

static void stop_machine(machine *m)
{
  free(m->pairs);
  free(m->items);
  free(m->memo);
  free(m->marks);
  free(m->stack);
  free(m->values);
}

/* Runs the next pickle; `*m` holds the result until stop_machine. */
static cdl_status run_machine(machine *m, pickle_input *input)
{
  const size_t size = (size_t)(input->end - input->next),
               room = (size < OPCODES_MOST ? size : OPCODES_MOST) + 1;
  *m = (machine){.path = input->path,
                 .start = input->start,
                 .next = input->next,
                 .end = input->end,
                 .room = (uint32_t)room,
                 .values = malloc(room * sizeof *m->values),
                 .stack = malloc(room * sizeof *m->stack),
                 .marks = malloc(room * sizeof *m->marks),
                 .memo = malloc(room * sizeof *m->memo),
                 .items = malloc(room * sizeof *m->items),
                 .pairs = malloc(room * sizeof *m->pairs)};
  cdl_status status = CDL_STATUS_OK;
  if (m->values == NULL || m->stack == NULL || m->marks == NULL || m->memo == NULL ||
      m->items == NULL || m->pairs == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", input->path);
  if (status == CDL_STATUS_OK)
    status = run(m);
  input->next = m->next;
  if (status != CDL_STATUS_OK)
    stop_machine(m);
  return status;
}

/* Returns whether the result is one value of a kind. */
static bool leaves(machine *m, value_kind kind)
{
  return m->mark_count == 0 && m->stack_count == 1 && top(m, 0)->kind == kind;
}

/* ---- What came out ---- */

static pickled_storage describe_storage(const value *storage)
{
  return (pickled_storage){
      .key = {storage->text, storage->bytes}, .type = storage->type, .count = storage->number};
}

static cdl_status describe(const machine *m, const pair *entry, pickled_tensor *t)
{
  const value *name = &m->values[entry->key], *tensor = &m->values[entry->value];
  if (name->kind != VALUE_TEXT)
    return bad(m, "a key that is no text");
  if (!is_plain_text(name))
    return bad(m, "a name with control characters");
  if (tensor->kind != VALUE_TENSOR)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%.*s\" is no tensor; a file of tensors alone is read",
                    m->path, name->bytes < 200 ? (int)name->bytes : 200, name->text);
  const value *storage = &m->values[tensor->first], *shape = &m->values[tensor->count],
              *stride = &m->values[tensor->extra];
  *t = (pickled_tensor){.name = {name->text, name->bytes},
                        .storage = describe_storage(storage),
                        .rank = shape->count};
  if (__builtin_add_overflow(tensor->number, storage->view, &t->offset))
    return bad(m, "an offset overflows");
  for (uint32_t i = 0; i < t->rank; i++) {
    t->shape[i] = item(m, shape, i)->number;
    t->stride[i] = item(m, stride, i)->number;
  }
  return CDL_STATUS_OK;
}

static cdl_status collect(machine *m, pickled_file *file)
{
  if (!leaves(m, VALUE_DICTIONARY))
    return cdl_fail(CDL_STATUS_DATA, "%s: holds something other than a dictionary of tensors",
                    m->path);
  const value *dictionary = top(m, 0);
  file->tensors = calloc((size_t)dictionary->count + 1, sizeof *file->tensors);
  file->storages = calloc((size_t)m->value_count + 1, sizeof *file->storages);
  if (file->tensors == NULL || file->storages == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", m->path);
  for (uint32_t p = dictionary->first; p != NO_PAIR; p = m->pairs[p].next)
    CDL_TRY(describe(m, &m->pairs[p], &file->tensors[file->tensor_count++]));
  for (uint32_t v = 0; v < m->value_count; v++)
    if (m->values[v].kind == VALUE_STORAGE)
      file->storages[file->storage_count++] = describe_storage(&m->values[v]);
  return CDL_STATUS_OK;
}

cdl_status pickle_read(pickle_input *input, pickled_file *file)
{
  machine m;
  *file = (pickled_file){0};
  CDL_TRY(run_machine(&m, input));
  const cdl_status status = collect(&m, file);
  stop_machine(&m);
  if (status != CDL_STATUS_OK)
    pickle_release(file);
  return status;
}

void pickle_release(pickled_file *file)
{
  free(file->tensors);
  free(file->storages);
  *file = (pickled_file){0};
}

static cdl_status collect_texts(machine *m, pickled_text **texts, size_t *count)
{
  if (!leaves(m, VALUE_LIST))
    return bad(m, "a list of texts is expected");
  const value *list = top(m, 0);
  *texts = calloc((size_t)list->count + 1, sizeof **texts);
  if (*texts == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", m->path);
  for (uint32_t p = list->first; p != NO_PAIR; p = m->pairs[p].next) {
    const value *text = &m->values[m->pairs[p].value];
    if (!is_plain_text(text))
      return bad(m, "a list of texts is expected");
    (*texts)[(*count)++] = (pickled_text){text->text, text->bytes};
  }
  return CDL_STATUS_OK;
}

cdl_status pickle_read_texts(pickle_input *input, pickled_text **texts, size_t *count)
{
  machine m;
  *texts = NULL;
  *count = 0;
  CDL_TRY(run_machine(&m, input));
  const cdl_status status = collect_texts(&m, texts, count);
  stop_machine(&m);
  if (status != CDL_STATUS_OK) {
    free(*texts);
    *texts = NULL;
  }
  return status;
}

cdl_status pickle_read_flag(pickle_input *input, const char *name, bool *flag)
{
  machine m;
  *flag = false;
  CDL_TRY(run_machine(&m, input));
  const bool found = leaves(&m, VALUE_DICTIONARY);
  for (uint32_t p = found ? top(&m, 0)->first : NO_PAIR; p != NO_PAIR; p = m.pairs[p].next) {
    const value *key = &m.values[m.pairs[p].key], *set = &m.values[m.pairs[p].value];
    if (key->kind == VALUE_TEXT && is_text(key->text, key->bytes, name))
      *flag = set->kind == VALUE_FLAG && set->number != 0;
  }
  const cdl_status status = found ? CDL_STATUS_OK : bad(&m, "a dictionary is expected");
  stop_machine(&m);
  return status;
}
