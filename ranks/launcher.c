#include "ranks/launcher.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

/* Each row is a way to start processes: it holds if all variables of `needs` are set. The first
 * that holds is taken: srun sets Slurm's variables beside those of PMI or PMIx, and Open MPI's
 * mpirun sets PMIx's beside its own. */
typedef struct {
  ranks_launcher_kind kind;
  const char *name;
  const char *needs[2];
  /* Variables with numbers; of several the first that is set. */
  const char *size[3], *rank[3], *local_rank[3];
} way;

static const way ways[] = {
    {RANKS_LAUNCHER_OPEN_MPI,
     "Open MPI's mpirun",
     {"OMPI_COMM_WORLD_SIZE"},
     {"OMPI_COMM_WORLD_SIZE"},
     {"OMPI_COMM_WORLD_RANK"},
     {"OMPI_COMM_WORLD_LOCAL_RANK"}},
    {RANKS_LAUNCHER_PMI,
     "MPICH's mpiexec (PMI)",
     {"PMI_RANK", "PMI_SIZE"},
     {"PMI_SIZE"},
     {"PMI_RANK"},
     {"MPI_LOCALRANKID", "SLURM_LOCALID"}},
    {RANKS_LAUNCHER_PMIX,
     "a launcher with PMIx",
     {"PMIX_RANK", "PMIX_NAMESPACE"},
     {"SLURM_STEP_NUM_TASKS", "PMIX_SIZE"},
     {"PMIX_RANK"},
     {"SLURM_LOCALID", "PMIX_LOCAL_RANK"}},
    /* A batch script has SLURM_NTASKS and SLURM_PROCID too, but no step's variables. */
    {RANKS_LAUNCHER_BARE_SLURM,
     "Slurm's srun",
     {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
     {"SLURM_STEP_NUM_TASKS"},
     {"SLURM_PROCID"},
     {"SLURM_LOCALID"}},
};

static bool holds(const way *w)
{
  for (size_t i = 0; i < sizeof w->needs / sizeof w->needs[0]; i++)
    if (w->needs[i] != NULL && getenv(w->needs[i]) == NULL)
      return false;
  return true;
}

static int number_of(const char *const names[3], int otherwise)
{
  for (size_t i = 0; i < 3 && names[i] != NULL; i++) {
    const char *text = getenv(names[i]);
    char *end;
    if (text == NULL || *text == '\0')
      continue;
    const long value = strtol(text, &end, 10);
    if (*end == '\0' && value >= 0 && value <= INT_MAX)
      return (int)value;
  }
  return otherwise;
}

ranks_launcher ranks_launcher_find(void)
{
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (holds(&ways[i]))
      return (ranks_launcher){.kind = ways[i].kind,
                              .name = ways[i].name,
                              .size = number_of(ways[i].size, 0),
                              .rank = number_of(ways[i].rank, -1),
                              .local_rank = number_of(ways[i].local_rank, -1)};
  return (ranks_launcher){.kind = RANKS_LAUNCHER_NONE, .name = "no launcher", .size = 1, .rank = 0};
}

bool ranks_launcher_speaks(const ranks_launcher *launcher)
{
  return launcher->local_rank <= 0;
}
