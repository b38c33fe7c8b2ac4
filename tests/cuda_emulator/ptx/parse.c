/* A module's declarations: its kernels with their parameters, and its variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/ptx/code.h"
#include "tests/cuda_emulator/ptx/scan.h"

enum { MOST_THREADS = 1024, VARIABLE_ALIGNMENT = 16 };

static ptx_module *modules; /* those that were read */

bool ptx_is_text(const void *image)
{
  scanner s = {image, 1};
  if (memchr("/. \t\r\n", *s.at, 6) == NULL)
    return false;
  scan_space(&s);
  return strncmp(s.at, ".version", 8) == 0;
}

static void *grow(void *array, int count, size_t bytes)
{
  void *longer = realloc(array, (size_t)(count + 1) * bytes);
  if (longer == NULL)
    abort();
  memset((char *)longer + (size_t)count * bytes, 0, bytes);
  return longer;
}

static bool fail(const scanner *s, char *error, size_t error_bytes, const char *what)
{
  snprintf(error, error_bytes, "line %zu of the PTX: %s: `%.*s'", s->line, what,
           (int)strcspn(s->at, "\n"), s->at);
  return false;
}

/* ---- Variables ---- */

typedef struct {
  size_t alignment, element, elements;
  bool is_open; /* [] */
  piece name;
} declaration;

/* `.align N .type name[N][N]`, up to what follows. */
static bool read_declaration(scanner *s, declaration *d)
{
  *d = (declaration){.elements = 1};
  uint64_t number;
  for (;;) {
    scan_space(s);
    const piece word = scan_word(s);
    if (word.length == 0)
      return false;
    if (piece_is(word, ".align")) {
      if (!piece_number(scan_word(s), &number))
        return false;
      d->alignment = (size_t)number;
    } else if (*word.start == '.') {
      const size_t bytes = piece_type_bytes((piece){word.start + 1, word.length - 1});
      if (bytes != 0)
        d->element = bytes;
    } else {
      d->name = word;
      break;
    }
  }
  for (scan_space(s); *s->at == '['; scan_space(s)) {
    s->at++;
    const piece count = scan_word(s);
    if (piece_is(count, "]")) {
      d->is_open = true;
      continue;
    }
    if (!piece_number(count, &number) || !piece_is(scan_word(s), "]"))
      return false;
    d->elements *= (size_t)number;
  }
  if (d->alignment == 0)
    d->alignment = d->element;
  return d->element != 0;
}

static bool read_values(scanner *s, char *memory, const declaration *d)
{
  size_t at = 0;
  for (int depth = 0;;) {
    const piece word = scan_word(s);
    if (word.length == 0)
      return false;
    if (piece_is(word, "{"))
      depth++;
    else if (piece_is(word, "}") && --depth == 0)
      return true;
    uint64_t value;
    const bool negative = piece_is(word, "-");
    if (!piece_number(negative ? scan_word(s) : word, &value)) {
      if (memchr("{},", *word.start, 3) == NULL)
        return false;
      continue;
    }
    if (negative)
      value = 0 - value;
    if (at == d->elements)
      return false;
    memcpy(memory + at++ * d->element, &value, d->element);
    if (depth == 0)
      return true;
  }
}

static bool read_variable(ptx_module *module, scanner *s, ptx_space space)
{
  declaration d;
  if (!read_declaration(s, &d))
    return false;
  ptx_symbol added = {.name = d.name.start,
                      .name_length = d.name.length,
                      .bytes = d.is_open ? 0 : d.element * d.elements,
                      .space = space,
                      .alignment = d.alignment};
  if (space == PTX_SPACE_MODULE) {
    const size_t unit = d.alignment > VARIABLE_ALIGNMENT ? d.alignment : VARIABLE_ALIGNMENT;
    added.offset = (module->memory_bytes + unit - 1) / unit * unit;
    const size_t end = added.offset + added.bytes;
    char *longer = realloc(module->memory, end + 1);
    if (longer == NULL)
      abort();
    memset(longer + module->memory_bytes, 0, end + 1 - module->memory_bytes);
    module->memory = longer;
    module->memory_bytes = end;
    scan_space(s);
    if (*s->at == '=') {
      s->at++;
      if (!read_values(s, module->memory + added.offset, &d))
        return false;
    }
  }
  module->symbols = grow(module->symbols, module->symbol_count, sizeof *module->symbols);
  module->symbols[module->symbol_count++] = added;
  return piece_is(scan_word(s), ";");
}

/* ---- Kernels ---- */

/* `.param .u64 .ptr .global .align 1 name` or `.param .align 8 .b8 name[160]`. */
static bool read_parameter(ptx_kernel *kernel, scanner *s)
{
  declaration d = {.elements = 1};
  bool of_pointer = false; /* its alignment is that of what it points to */
  uint64_t number;
  for (;;) {
    scan_space(s);
    if (*s->at == ',' || *s->at == ')')
      break;
    const piece word = scan_word(s);
    if (piece_is(word, ".ptr"))
      of_pointer = true;
    else if (piece_is(word, ".align")) {
      if (!piece_number(scan_word(s), &number))
        return false;
      d.alignment = of_pointer ? d.alignment : (size_t)number;
    } else if (piece_is(word, "[")) {
      if (!piece_number(scan_word(s), &number) || !piece_is(scan_word(s), "]"))
        return false;
      d.elements = (size_t)number;
    } else if (*word.start == '.') {
      const size_t bytes = piece_type_bytes((piece){word.start + 1, word.length - 1});
      d.element = bytes != 0 ? bytes : d.element;
    } else
      d.name = word;
  }
  if (d.element == 0 || d.name.length == 0)
    return false;
  const size_t unit = d.alignment != 0 ? d.alignment : d.element;
  const size_t offset = (kernel->parameter_bytes + unit - 1) / unit * unit;
  kernel->parameters =
      grow(kernel->parameters, kernel->parameter_count, sizeof *kernel->parameters);
  kernel->parameters[kernel->parameter_count++] =
      (ptx_parameter){d.name.start, d.name.length, offset, d.element * d.elements};
  kernel->parameter_bytes = offset + d.element * d.elements;
  return true;
}

/* `.maxntid 256, 1, 1`: their product. */
static bool read_extents(scanner *s, int *product)
{
  *product = 1;
  for (;;) {
    uint64_t number;
    if (!piece_number(scan_word(s), &number) || number > MOST_THREADS)
      return false;
    *product *= (int)number;
    scan_space(s);
    if (*s->at != ',')
      return true;
    s->at++;
  }
}

static bool read_kernel(ptx_module *module, scanner *s)
{
  const piece name = scan_word(s);
  ptx_kernel kernel = {.max_threads = MOST_THREADS, .name = strndup(name.start, name.length)};
  if (kernel.name == NULL)
    abort();
  module->kernels = grow(module->kernels, module->kernel_count, sizeof kernel);
  ptx_kernel *made = &module->kernels[module->kernel_count++];
  *made = kernel;
  scan_space(s);
  if (*s->at == '(') {
    do {
      s->at++;
      scan_space(s);
      if (*s->at != ')' && !read_parameter(made, s))
        return false;
    } while (*s->at == ',');
    s->at++;
  }
  for (;;) {
    const piece word = scan_word(s);
    if (word.length == 0)
      return false;
    if (piece_is(word, "{"))
      break;
    made->exact_threads |= piece_is(word, ".reqntid");
    if ((piece_is(word, ".maxntid") || piece_is(word, ".reqntid")) &&
        !read_extents(s, &made->max_threads))
      return false;
  }
  made->body = s->at;
  made->body_line = s->line;
  return scan_block(s);
}

/* ---- The module ---- */

static bool skip_function(scanner *s)
{
  for (;;) {
    const piece word = scan_word(s);
    if (word.length == 0 || piece_is(word, ";"))
      return word.length != 0;
    if (piece_is(word, "{"))
      return scan_block(s);
  }
}

static bool skip_to_next_line(scanner *s)
{
  while (*s->at != '\0' && *s->at != '\n')
    s->at++;
  return true;
}

static bool read_module(ptx_module *module, char *error, size_t error_bytes)
{
  for (scanner s = {module->text, 1};;) {
    scan_space(&s);
    const scanner start = s;
    const piece word = scan_word(&s);
    if (word.length == 0)
      return true;
    bool understood = true;
    if (piece_is(word, ".version") || piece_is(word, ".target") || piece_is(word, ".address_size"))
      understood = skip_to_next_line(&s);
    else if (piece_is(word, ".entry"))
      understood = read_kernel(module, &s);
    else if (piece_is(word, ".global") || piece_is(word, ".const"))
      understood = read_variable(module, &s, PTX_SPACE_MODULE);
    else if (piece_is(word, ".shared"))
      understood = read_variable(module, &s, PTX_SPACE_SHARED);
    else if (piece_is(word, ".func"))
      understood = skip_function(&s); /* a call of it is an unknown opcode */
    else
      understood = piece_is(word, ".visible") || piece_is(word, ".extern") ||
                   piece_is(word, ".weak") || piece_is(word, ".common");
    if (!understood)
      return fail(&start, error, error_bytes, "not understood");
  }
}

static void free_module(ptx_module *module)
{
  for (int i = 0; i < module->kernel_count; i++) {
    free(module->kernels[i].name);
    free(module->kernels[i].parameters);
    free(module->kernels[i].code);
    free(module->kernels[i].constants);
  }
  free(module->kernels);
  free(module->symbols);
  free(module->memory);
  free(module->text);
  free(module);
}

ptx_module *ptx_module_read(const char *text, char *error, size_t error_bytes)
{
  for (ptx_module *each = modules; each != NULL; each = each->next)
    if (strcmp(each->text, text) == 0)
      return each;
  ptx_module *module = calloc(1, sizeof *module);
  if (module == NULL || (module->text = strdup(text)) == NULL)
    abort();
  if (!read_module(module, error, error_bytes)) {
    free_module(module);
    return NULL;
  }
  for (int i = 0; i < module->kernel_count; i++)
    module->kernels[i].module = module;
  module->next = modules;
  modules = module;
  return module;
}

ptx_kernel *ptx_kernel_find(ptx_module *module, const char *name, char *error, size_t error_bytes)
{
  error[0] = '\0';
  for (int i = 0; i < module->kernel_count; i++) {
    ptx_kernel *kernel = &module->kernels[i];
    if (strcmp(kernel->name, name) == 0)
      return kernel->decoded || ptx_decode(kernel, error, error_bytes) ? kernel : NULL;
  }
  return NULL;
}

ptx_facts ptx_kernel_facts(const ptx_kernel *kernel)
{
  return (ptx_facts){
      .name = kernel->name,
      .parameters = kernel->parameter_count,
      .parameter_bytes = kernel->parameter_bytes,
      .max_threads = kernel->max_threads,
      .shared_bytes = kernel->shared_bytes,
      .local_bytes = kernel->local_bytes,
  };
}

size_t ptx_parameter_offset(const ptx_kernel *kernel, int i)
{
  return kernel->parameters[i].offset;
}

size_t ptx_parameter_bytes(const ptx_kernel *kernel, int i)
{
  return kernel->parameters[i].bytes;
}

static __attribute__((destructor)) void free_at_unload(void)
{
  while (modules != NULL) {
    ptx_module *next = modules->next;
    free_module(modules);
    modules = next;
  }
}
