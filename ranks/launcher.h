/* What the environment says of the launcher that started this process. */
#ifndef CONDLORA_RANKS_LAUNCHER_H
#define CONDLORA_RANKS_LAUNCHER_H

#include <stdbool.h>

typedef enum {
  RANKS_LAUNCHER_NONE,
  RANKS_LAUNCHER_OPEN_MPI,  /* mpirun of Open MPI */
  RANKS_LAUNCHER_PMI,       /* MPICH's Hydra and its relatives, or srun --mpi=pmi2 */
  RANKS_LAUNCHER_PMIX,      /* srun --mpi=pmix, prun */
  RANKS_LAUNCHER_BARE_SLURM /* srun --mpi=none: processes that cannot find each other */
} ranks_launcher_kind;

typedef struct {
  ranks_launcher_kind kind;
  const char *name;     /* for messages */
  int size;             /* processes of the job; 0: unknown */
  int rank, local_rank; /* -1: unknown */
} ranks_launcher;

/* Reads the variables OMPI_*, PMI_*, PMIX_* and SLURM_* of the process. */
ranks_launcher ranks_launcher_find(void);

/* Whether this process is the one of its host that speaks. */
bool ranks_launcher_speaks(const ranks_launcher *launcher);

#endif
