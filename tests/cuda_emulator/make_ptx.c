/* make-ptx FOLDER SOURCE OUT OPTION...: compiles CUDA C to PTX with NVIDIA's NVRTC, which it looks
 * for on the loader's path, in FOLDER as pip unpacks it, in CUDA_HOME and in /usr/local/cuda. Exit
 * status 77: there is none. */
#include <dlfcn.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/types.h"

enum { EXIT_WRONG_USAGE = 2, EXIT_NONE = 77, PATH_BYTES = 4096 };

/* What is used of NVRTC, with the prototypes of api.def. */
typedef struct {
#define FUNCTION(library, result, name, parameters) USED_##library(result, name, parameters)
#define USED_cuda(result, name, parameters)
#define USED_cublas(result, name, parameters)
#define USED_cublasLt(result, name, parameters)
#define USED_cusolver(result, name, parameters)
#define USED_nccl(result, name, parameters)
#define USED_nvrtc(result, name, parameters) result(*name) parameters;
#include "backends/cuda/api.def"
#undef USED_nvrtc
} compiler;

static bool find_functions(void *library, compiler *c)
{
#define USED_nvrtc(result, name, parameters)          \
  *(void **)(void *)&c->name = dlsym(library, #name); \
  if (c->name == NULL)                                \
    return false;
#include "backends/cuda/api.def"
  return true;
}

static void *open_pattern(const char *folder, const char *between, const char *name)
{
  char pattern[PATH_BYTES];
  glob_t found;
  void *library = NULL;
  snprintf(pattern, sizeof pattern, "%s/%s%s", folder, between, name);
  if (glob(pattern, 0, NULL, &found) != 0)
    return NULL;
  for (size_t i = 0; i < found.gl_pathc && library == NULL; i++)
    library = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_GLOBAL);
  globfree(&found);
  return library;
}

/* Its built-in functions first: it looks for them among what is open. */
static void *open_in(const char *folder, const char *between)
{
  if (folder == NULL)
    return NULL;
  open_pattern(folder, between, "libnvrtc-builtins.so.*");
  return open_pattern(folder, between, "libnvrtc.so.[0-9]*");
}

static void *open_compiler(const char *folder)
{
  static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"};
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0] && library == NULL; i++)
    library = dlopen(names[i], RTLD_NOW);
  if (library == NULL)
    library = open_in(folder, "nvidia/*/lib/");
  if (library == NULL)
    library = open_in(getenv("CUDA_HOME"), "lib64/");
  if (library == NULL)
    library = open_in("/usr/local/cuda", "lib64/");
  return library;
}

static char *read_whole(const char *path)
{
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
    const long bytes = ftell(file);
    rewind(file);
    text = bytes >= 0 ? calloc((size_t)bytes + 1, 1) : NULL;
    if (text != NULL && fread(text, 1, (size_t)bytes, file) != (size_t)bytes) {
      free(text);
      text = NULL;
    }
  }
  if (file != NULL)
    fclose(file);
  return text;
}

static bool write_whole(const char *path, const char *text)
{
  FILE *file = fopen(path, "wb");
  if (file == NULL)
    return false;
  const bool written = fputs(text, file) >= 0;
  return fclose(file) == 0 && written;
}

static void print_log(const compiler *c, nvrtcProgram program)
{
  size_t bytes = 0;
  if (c->nvrtcGetProgramLogSize(program, &bytes) != NVRTC_SUCCESS)
    return;
  char *log = calloc(bytes + 1, 1);
  if (log != NULL && c->nvrtcGetProgramLog(program, log) == NVRTC_SUCCESS)
    fprintf(stderr, "make-ptx: %s\n", log);
  free(log);
}

/* NULL where the compiler refuses. */
static char *compile(const compiler *c, const char *source, const char *name, int count,
                     const char *const *options)
{
  nvrtcProgram program;
  size_t bytes;
  char *ptx = NULL;
  if (c->nvrtcCreateProgram(&program, source, name, 0, NULL, NULL) != NVRTC_SUCCESS)
    return NULL;
  if (c->nvrtcCompileProgram(program, count, options) != NVRTC_SUCCESS)
    print_log(c, program);
  else if (c->nvrtcGetPTXSize(program, &bytes) == NVRTC_SUCCESS)
    ptx = calloc(bytes + 1, 1);
  if (ptx != NULL && c->nvrtcGetPTX(program, ptx) != NVRTC_SUCCESS) {
    free(ptx);
    ptx = NULL;
  }
  c->nvrtcDestroyProgram(&program);
  return ptx;
}

int main(int argc, char **argv)
{
  if (argc < 4) {
    fprintf(stderr, "usage: make-ptx FOLDER SOURCE OUT OPTION...\n");
    return EXIT_WRONG_USAGE;
  }
  compiler c;
  void *library = open_compiler(argv[1]);
  if (library == NULL || !find_functions(library, &c)) {
    printf("make-ptx: no NVRTC on the loader's path, in CUDA_HOME, /usr/local/cuda or %s\n",
           argv[1]);
    return EXIT_NONE;
  }
  char *source = read_whole(argv[2]);
  char *ptx = source == NULL
                  ? NULL
                  : compile(&c, source, argv[2], argc - 4, (const char *const *)(void *)(argv + 4));
  const bool written = ptx != NULL && write_whole(argv[3], ptx);
  if (!written)
    fprintf(stderr, "make-ptx: %s could not be made of %s\n", argv[3], argv[2]);
  free(source);
  free(ptx);
  return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
