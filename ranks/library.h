/* The MPI of a launcher: which library is opened, and how. */
#ifndef CONDLORA_RANKS_LIBRARY_H
#define CONDLORA_RANKS_LIBRARY_H

#include "condlora/status.h"
#include "ranks/launcher.h"
#include "ranks/mpi_table.h"

/* Opens the launcher's MPI, which is not begun. CDL_MPI chooses otherwise: an absolute path to a
 * library of the standard ABI, "abi", "openmpi" or "mpich". `version` gets the library's version.
 * Errors: ABSENT, with the reason of each candidate; USAGE for an unknown CDL_MPI. */
CDL_MUST_USE cdl_status ranks_library_open(const ranks_launcher *launcher,
                                           const ranks_mpi_table **table,
                                           char version[RANKS_MPI_TEXT]);

#endif
