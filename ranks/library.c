#include "ranks/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/dispositions.h"
#include "base/library_folders.h"
#include "base/trust.h"

static const char variable[] = "CDL_MPI";

/* An object of the project, and which libraries it fits. */
typedef struct {
  const char *name, *object;
  bool standard; /* of the standard ABI: its library is opened first */
} candidate;

enum { ABI, OPEN_MPI, MPICH, CANDIDATES };
static const candidate candidates[CANDIDATES] = {
    [ABI] = {"abi", "libcondlora-ranks-abi.so", true},
    [OPEN_MPI] = {"openmpi", "libcondlora-ranks-openmpi.so", false},
    [MPICH] = {"mpich", "libcondlora-ranks-mpich.so", false},
};

/* In the order in which they are tried. */
static const int of_launcher[][CANDIDATES + 1] = {
    [RANKS_LAUNCHER_OPEN_MPI] = {ABI, OPEN_MPI, -1},
    [RANKS_LAUNCHER_PMI] = {ABI, MPICH, -1},
    [RANKS_LAUNCHER_PMIX] = {ABI, OPEN_MPI, MPICH, -1},
};

typedef struct {
  const ranks_launcher *launcher;
  const char *named; /* the library that CDL_MPI names; NULL: none */
  char reasons[700]; /* why candidates were not taken, separated by semicolons */
  const ranks_mpi_table *table;
  char *version;
} search;

static bool refuse(search *s, const char *what, const char *why)
{
  const size_t used = strlen(s->reasons);
  snprintf(s->reasons + used, sizeof s->reasons - used, "%s%s: %s", used > 0 ? "; " : "", what,
           why);
  return false;
}

/* ---- The library of the standard ABI ---- */

/* An MPI of another family than the launcher's would start each process as a job of its own. */
static bool fits(const ranks_launcher *launcher, const char *version)
{
  const bool is_open_mpi = strncmp(version, "Open MPI", 8) == 0;
  return launcher->kind == RANKS_LAUNCHER_OPEN_MPI ? is_open_mpi
         : launcher->kind == RANKS_LAUNCHER_PMI    ? !is_open_mpi
                                                   : true;
}

static bool ask_version(search *s, void *library, const char *name)
{
  int (*ask)(char *version, int *length);
  void *symbol = dlsym(library, "MPI_Get_library_version");
  if (symbol == NULL)
    return refuse(s, name, "it has no function MPI_Get_library_version");
  memcpy(&ask, &symbol, sizeof ask); /* ISO C cannot cast an object pointer to a function pointer */
  char version[8192] = "";
  int length = 0;
  ask(version, &length);
  if (fits(s->launcher, version))
    return true;
  version[strcspn(version, "\n")] = '\0';
  version[64] = '\0';
  char why[128];
  snprintf(why, sizeof why, "it is of another MPI than the launcher (%s)", version);
  return refuse(s, name, why);
}

/* The object of the standard ABI takes the functions from the global scope, to which the library is
 * raised when it is known to fit. */
static bool open_standard(search *s)
{
  static const char *const names[] = {"libmpi_abi.so.1", "libmpi_abi.so"};
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  const char *name = names[0];
  void *library = NULL;
  if (s->named != NULL) {
    if (!base_trust(s->named, resolved, reason))
      return refuse(s, s->named, reason);
    library = dlopen(name = resolved, RTLD_NOW | RTLD_LOCAL);
  }
  for (size_t i = 0; s->named == NULL && library == NULL && i < 2; i++)
    library = dlopen(name = names[i], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    return refuse(s, s->named != NULL ? s->named : names[0],
                  s->named != NULL ? dlerror() : "not found");
  if (!ask_version(s, library, name)) {
    dlclose(library);
    return false;
  }
  return dlopen(name, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD) != NULL ||
         refuse(s, name, "it cannot be shared with the object that calls it");
}

/* ---- The project's object ---- */

typedef struct {
  const char *object;
  char path[PATH_MAX];
} place;

static bool look_in(void *user, const char *folder)
{
  place *p = user;
  struct stat at;
  return snprintf(p->path, sizeof p->path, "%s/%s", folder, p->object) < (int)sizeof p->path &&
         stat(p->path, &at) == 0;
}

/* "MPICH Version:\t4.0.2\nMPICH Release date: …" becomes "MPICH 4.0.2". */
static void shorten(char *version)
{
  static const char word[] = " Version:";
  version[strcspn(version, "\n,")] = '\0';
  char *at = strstr(version, word);
  if (at == NULL)
    return;
  const char *number = at + sizeof word - 1;
  number += strspn(number, " \t");
  *at = ' ';
  memmove(at + 1, number, strlen(number) + 1);
}

static bool take(search *s, const candidate *c)
{
  place p = {.object = c->object};
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  if (!base_each_library_folder(look_in, &p))
    return refuse(s, c->object, "not installed");
  if (!base_trust(p.path, resolved, reason))
    return refuse(s, p.path, reason);
  if (c->standard && !open_standard(s))
    return false;
  void *object = dlopen(resolved, RTLD_NOW | RTLD_LOCAL);
  if (object == NULL)
    return refuse(s, c->object, dlerror());
  void *symbol = dlsym(object, RANKS_MPI_ENTRY);
  if (symbol == NULL)
    return refuse(s, p.path, "it exports no function " RANKS_MPI_ENTRY);
  ranks_mpi_entry *entry;
  memcpy(&entry, &symbol, sizeof entry);
  const ranks_mpi_table *table = entry();
  if (table->magic != RANKS_MPI_MAGIC || table->version != RANKS_MPI_VERSION)
    return refuse(s, p.path, "it is of another version of condlora");
  s->table = table;
  table->library(s->version);
  shorten(s->version);
  return true;
}

/* ---- All ---- */

static cdl_status find(search *s, const int *order)
{
  base_dispositions kept;
  base_dispositions_keep(&kept);
  for (; *order >= 0 && s->table == NULL; order++)
    (void)take(s, &candidates[*order]);
  base_dispositions_restore(&kept);
  if (s->table != NULL)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_ABSENT, "%s started %d processes, but their MPI cannot be opened: %s",
                  s->launcher->name, s->launcher->size, s->reasons);
}

cdl_status ranks_library_open(const ranks_launcher *launcher, const ranks_mpi_table **table,
                              char version[RANKS_MPI_TEXT])
{
  search s = {.launcher = launcher, .version = version};
  const char *choice = getenv(variable);
  int one[] = {ABI, -1};
  const int *order = of_launcher[launcher->kind];
  if (choice != NULL && *choice != '\0') {
    int i = 0;
    while (i < CANDIDATES && strcmp(candidates[i].name, choice) != 0)
      i++;
    if (i == CANDIDATES && choice[0] != '/')
      return cdl_fail(CDL_STATUS_USAGE,
                      "%s is %s; expected abi, openmpi, mpich, or an absolute path to a library of "
                      "MPI's standard ABI",
                      variable, choice);
    one[0] = i < CANDIDATES ? i : ABI;
    s.named = i < CANDIDATES ? NULL : choice;
    order = one;
  }
  CDL_TRY(find(&s, order));
  *table = s.table;
  return CDL_STATUS_OK;
}
