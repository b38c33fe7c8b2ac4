/* The table over one MPI: compiled with the headers of each, or for the standard ABI. */
#include "ranks/mpi_table.h"

#include <stdio.h>

#ifdef RANKS_STANDARD_ABI
#include "ranks/mpi/standard_abi.h"
#else
#include <mpi.h>
#endif

enum { TAG = 7, SENT = 256 };

/* Of the collective operation under way. */
static MPI_Request request;

static void library(char text[RANKS_MPI_TEXT])
{
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(version, &length);
  snprintf(text, RANKS_MPI_TEXT, "%s", version);
}

static int begin(int *rank, int *size)
{
  int provided;
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  request = MPI_REQUEST_NULL;
  if (code == MPI_SUCCESS)
    code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (code == MPI_SUCCESS)
    code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
  return code == MPI_SUCCESS ? MPI_Comm_size(MPI_COMM_WORLD, size) : code;
}

static int barrier(void)
{
  return MPI_Ibarrier(MPI_COMM_WORLD, &request);
}

static int broadcast(void *bytes, int count, int root)
{
  return MPI_Ibcast(bytes, count, MPI_BYTE, root, MPI_COMM_WORLD, &request);
}

static int gather(const void *mine, int count, void *all, const int *counts, const int *starts)
{
  return MPI_Iallgatherv(mine, count, MPI_BYTE, all, counts, starts, MPI_BYTE, MPI_COMM_WORLD,
                         &request);
}

static int test(int *done)
{
  return MPI_Test(&request, done, MPI_STATUS_IGNORE);
}

static int send_message(int to, const int64_t message[RANKS_MPI_MESSAGE])
{
  /* A message of this size leaves before the next SENT; so nobody has to wait for it. */
  static int64_t sent[SENT][RANKS_MPI_MESSAGE];
  static unsigned next;
  int64_t *slot = sent[next++ % SENT];
  for (int i = 0; i < RANKS_MPI_MESSAGE; i++)
    slot[i] = message[i];
  MPI_Request of_message;
  const int code =
      MPI_Isend(slot, RANKS_MPI_MESSAGE, MPI_INT64_T, to, TAG, MPI_COMM_WORLD, &of_message);
  return code == MPI_SUCCESS ? MPI_Request_free(&of_message) : code;
}

static int receive_message(int *from, int64_t message[RANKS_MPI_MESSAGE])
{
  int there = 0;
  MPI_Status status;
  *from = -1;
  int code = MPI_Iprobe(MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &there, &status);
  if (code != MPI_SUCCESS || !there)
    return code;
  const int source = status.MPI_SOURCE;
  code = MPI_Recv(message, RANKS_MPI_MESSAGE, MPI_INT64_T, source, TAG, MPI_COMM_WORLD,
                  MPI_STATUS_IGNORE);
  if (code == MPI_SUCCESS)
    *from = source;
  return code;
}

static void explain(int code, char text[RANKS_MPI_TEXT])
{
  char line[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, line, &length);
  snprintf(text, RANKS_MPI_TEXT, "%s", line);
}

static int end(void)
{
  return MPI_Finalize();
}

static void abort_job(int exit_status)
{
  MPI_Abort(MPI_COMM_WORLD, exit_status);
}

__attribute__((visibility("default"))) const ranks_mpi_table *ranks_mpi(void);

const ranks_mpi_table *ranks_mpi(void)
{
  static const ranks_mpi_table table = {.magic = RANKS_MPI_MAGIC,
                                        .version = RANKS_MPI_VERSION,
                                        .library = library,
                                        .begin = begin,
                                        .barrier = barrier,
                                        .broadcast = broadcast,
                                        .gather = gather,
                                        .test = test,
                                        .send = send_message,
                                        .receive = receive_message,
                                        .explain = explain,
                                        .end = end,
                                        .abort = abort_job};
  return &table;
}
