/* What the table needs of the standard ABI, as MPI 5.0 (2025) fixes it in its chapter "Application
 * Binary Interface": types, values of constants, and prototypes. */
#ifndef CONDLORA_RANKS_MPI_STANDARD_ABI_H
#define CONDLORA_RANKS_MPI_STANDARD_ABI_H

#include <stdint.h>

typedef struct MPI_ABI_Comm *MPI_Comm;
typedef struct MPI_ABI_Datatype *MPI_Datatype;
typedef struct MPI_ABI_Errhandler *MPI_Errhandler;
typedef struct MPI_ABI_Request *MPI_Request;
typedef struct {
  int MPI_SOURCE, MPI_TAG, MPI_ERROR, MPI_internal[5];
} MPI_Status;

#define MPI_COMM_WORLD ((MPI_Comm)(intptr_t)0x101)
#define MPI_BYTE ((MPI_Datatype)(intptr_t)0x247)
#define MPI_INT64_T ((MPI_Datatype)(intptr_t)0x258)
#define MPI_ERRORS_RETURN ((MPI_Errhandler)(intptr_t)0x143)
#define MPI_REQUEST_NULL ((MPI_Request)(intptr_t)0x180)
#define MPI_STATUS_IGNORE ((MPI_Status *)0)
enum {
  MPI_SUCCESS = 0,
  MPI_ANY_SOURCE = -1,
  MPI_THREAD_FUNNELED = 1024,
  MPI_MAX_ERROR_STRING = 512,
  MPI_MAX_LIBRARY_VERSION_STRING = 8192
};

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided);
int MPI_Finalize(void);
int MPI_Abort(MPI_Comm comm, int errorcode);
int MPI_Get_library_version(char *version, int *resultlen);
int MPI_Error_string(int errorcode, char *string, int *resultlen);
int MPI_Comm_rank(MPI_Comm comm, int *rank);
int MPI_Comm_size(MPI_Comm comm, int *size);
int MPI_Comm_set_errhandler(MPI_Comm comm, MPI_Errhandler errhandler);
int MPI_Ibarrier(MPI_Comm comm, MPI_Request *request);
int MPI_Ibcast(void *buffer, int count, MPI_Datatype datatype, int root, MPI_Comm comm,
               MPI_Request *request);
int MPI_Iallgatherv(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf,
                    const int *recvcounts, const int *displs, MPI_Datatype recvtype, MPI_Comm comm,
                    MPI_Request *request);
int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status);
int MPI_Isend(const void *buf, int count, MPI_Datatype datatype, int dest, int tag, MPI_Comm comm,
              MPI_Request *request);
int MPI_Request_free(MPI_Request *request);
int MPI_Iprobe(int source, int tag, MPI_Comm comm, int *flag, MPI_Status *status);
int MPI_Recv(void *buf, int count, MPI_Datatype datatype, int source, int tag, MPI_Comm comm,
             MPI_Status *status);

#endif
