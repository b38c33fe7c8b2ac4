/* What a job needs of an MPI, in C's own types. MPI's headers differ between its implementations
 * (a communicator is a pointer in Open MPI and a number in MPICH), so one object is built for each,
 * and one for the standard ABI of MPI 5.0; each exports RANKS_MPI_ENTRY.
 *
 * Functions that return int return 0 or MPI's error code. There is one collective operation at a
 * time; its buffers must stay until `test` says that it is done. */
#ifndef CONDLORA_RANKS_MPI_TABLE_H
#define CONDLORA_RANKS_MPI_TABLE_H

#include <stdint.h>

#define RANKS_MPI_ENTRY "ranks_mpi"
#define RANKS_MPI_MAGIC UINT32_C(0x494d4443)
enum { RANKS_MPI_VERSION = 1, RANKS_MPI_TEXT = 1024, RANKS_MPI_MESSAGE = 2 };

typedef struct {
  uint32_t magic, version;
  /* Writes the library's version, such as "Open MPI v4.1.4, …"; also before `begin`. */
  void (*library)(char text[RANKS_MPI_TEXT]);
  int (*begin)(int *rank, int *size);
  int (*barrier)(void);
  int (*broadcast)(void *bytes, int count, int root);
  /* `counts` and `starts` [size] are bytes in `all`. */
  int (*gather)(const void *mine, int count, void *all, const int *counts, const int *starts);
  int (*test)(int *done);
  /* Messages outside collective operations. `send` copies; `receive` sets *from to -1 if there is
   * none. */
  int (*send)(int to, const int64_t message[RANKS_MPI_MESSAGE]);
  int (*receive)(int *from, int64_t message[RANKS_MPI_MESSAGE]);
  void (*explain)(int code, char text[RANKS_MPI_TEXT]);
  int (*end)(void);
  void (*abort)(int exit_status);
} ranks_mpi_table;

typedef const ranks_mpi_table *ranks_mpi_entry(void);

#endif
