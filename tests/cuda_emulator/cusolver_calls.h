/* The functions of cusolver.c that there are for float and for double: NAME, TYPE and IS_DOUBLE say
 * which. */

cusolverStatus_t NAME(gesvd_bufferSize)(cusolverDnHandle_t handle, int m, int n, int *work_size)
{
  ENTER_OR(CUSOLVER_STATUS_INTERNAL_ERROR);
  return size_of_work(handle, m, n, work_size);
}

cusolverStatus_t NAME(gesvd)(cusolverDnHandle_t handle, signed char job_u, signed char job_vt,
                             int m, int n, TYPE *a, int lda, TYPE *s, TYPE *u, int ldu, TYPE *vt,
                             int ldvt, TYPE *memory, int work_size, TYPE *superdiagonal, int *info)
{
  ENTER_OR(CUSOLVER_STATUS_EXECUTION_FAILED);
  (void)superdiagonal;
  return enqueue_svd(handle, (solution){.name = __func__,
                                        .is_double = IS_DOUBLE,
                                        .m = m,
                                        .n = n,
                                        .session = (char)job_u,
                                        .job_vt = (char)job_vt,
                                        .lda = lda,
                                        .ldb = ldu,
                                        .ldc = ldvt,
                                        .a = (uintptr_t)a,
                                        .b = (uintptr_t)u,
                                        .c = (uintptr_t)vt,
                                        .values = (uintptr_t)s,
                                        .work = (uintptr_t)memory,
                                        .work_size = work_size,
                                        .info = (uintptr_t)info});
}

cusolverStatus_t NAME(getrf_bufferSize)(cusolverDnHandle_t handle, int m, int n, TYPE *a, int lda,
                                        int *work_size)
{
  ENTER_OR(CUSOLVER_STATUS_INTERNAL_ERROR);
  (void)a, (void)lda;
  return size_of_work(handle, m, n, work_size);
}

cusolverStatus_t NAME(getrf)(cusolverDnHandle_t handle, int m, int n, TYPE *a, int lda,
                             TYPE *memory, int *pivots, int *info)
{
  ENTER_OR(CUSOLVER_STATUS_EXECUTION_FAILED);
  const solution s = {.kind = SOLVE_LU,
                      .name = __func__,
                      .is_double = IS_DOUBLE,
                      .m = m,
                      .n = n,
                      .lda = lda,
                      .a = (uintptr_t)a,
                      .pivots = (uintptr_t)pivots,
                      .work = (uintptr_t)memory,
                      .work_size = wanted(m, n),
                      .info = (uintptr_t)info};
  return enqueue(handle, &s, 0);
}

cusolverStatus_t NAME(getrs)(cusolverDnHandle_t handle, cublasOperation_t transpose, int n,
                             int right_sides, const TYPE *a, int lda, const int *pivots, TYPE *b,
                             int ldb, int *info)
{
  ENTER_OR(CUSOLVER_STATUS_EXECUTION_FAILED);
  return enqueue_lu_solve(handle, transpose,
                          (solution){.name = __func__,
                                     .is_double = IS_DOUBLE,
                                     .n = n,
                                     .k = right_sides,
                                     .lda = lda,
                                     .ldb = ldb,
                                     .a = (uintptr_t)a,
                                     .b = (uintptr_t)b,
                                     .pivots = (uintptr_t)pivots,
                                     .info = (uintptr_t)info});
}

cusolverStatus_t NAME(geqrf_bufferSize)(cusolverDnHandle_t handle, int m, int n, TYPE *a, int lda,
                                        int *work_size)
{
  ENTER_OR(CUSOLVER_STATUS_INTERNAL_ERROR);
  (void)a, (void)lda;
  return size_of_work(handle, m, n, work_size);
}

cusolverStatus_t NAME(geqrf)(cusolverDnHandle_t handle, int m, int n, TYPE *a, int lda, TYPE *tau,
                             TYPE *memory, int work_size, int *info)
{
  ENTER_OR(CUSOLVER_STATUS_EXECUTION_FAILED);
  const solution s = {.kind = SOLVE_QR,
                      .name = __func__,
                      .is_double = IS_DOUBLE,
                      .m = m,
                      .n = n,
                      .lda = lda,
                      .a = (uintptr_t)a,
                      .values = (uintptr_t)tau,
                      .work = (uintptr_t)memory,
                      .work_size = work_size,
                      .info = (uintptr_t)info};
  return enqueue(handle, &s, wanted(m, n));
}

cusolverStatus_t NAME(orgqr_bufferSize)(cusolverDnHandle_t handle, int m, int n, int k,
                                        const TYPE *a, int lda, const TYPE *tau, int *work_size)
{
  ENTER_OR(CUSOLVER_STATUS_INTERNAL_ERROR);
  (void)a, (void)lda, (void)tau, (void)k;
  return size_of_work(handle, m, n, work_size);
}

cusolverStatus_t NAME(orgqr)(cusolverDnHandle_t handle, int m, int n, int k, TYPE *a, int lda,
                             const TYPE *tau, TYPE *memory, int work_size, int *info)
{
  ENTER_OR(CUSOLVER_STATUS_EXECUTION_FAILED);
  const solution s = {.kind = SOLVE_Q,
                      .name = __func__,
                      .is_double = IS_DOUBLE,
                      .m = m,
                      .n = n,
                      .k = k,
                      .lda = lda,
                      .a = (uintptr_t)a,
                      .values = (uintptr_t)tau,
                      .work = (uintptr_t)memory,
                      .work_size = work_size,
                      .info = (uintptr_t)info};
  return enqueue(handle, &s, wanted(m, n));
}

cusolverStatus_t NAME(syevd_bufferSize)(cusolverDnHandle_t handle, cusolverEigMode_t session,
                                        cublasFillMode_t triangle, int n, const TYPE *a, int lda,
                                        const TYPE *values, int *work_size)
{
  ENTER_OR(CUSOLVER_STATUS_INTERNAL_ERROR);
  (void)session, (void)triangle, (void)a, (void)lda, (void)values;
  return size_of_work(handle, n, n, work_size);
}

cusolverStatus_t NAME(syevd)(cusolverDnHandle_t handle, cusolverEigMode_t session,
                             cublasFillMode_t triangle, int n, TYPE *a, int lda, TYPE *values,
                             TYPE *memory, int work_size, int *info)
{
  ENTER_OR(CUSOLVER_STATUS_EXECUTION_FAILED);
  return enqueue_eigen(handle, session, triangle,
                       (solution){.name = __func__,
                                  .is_double = IS_DOUBLE,
                                  .n = n,
                                  .lda = lda,
                                  .a = (uintptr_t)a,
                                  .values = (uintptr_t)values,
                                  .work = (uintptr_t)memory,
                                  .work_size = work_size,
                                  .info = (uintptr_t)info});
}
