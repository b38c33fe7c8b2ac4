#include "tests/cuda_emulator/ptx_trial.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char trial_head[] = ".version 8.0\n.target sm_80\n.address_size 64\n";

static CUcontext context;
CUstream trial_queue;

void trial_open(void)
{
  setenv("CUDA_EMULATOR_KERNELS", "ptx", 1);
  emulator_forget();
  ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
  ck_assert_int_eq(cuCtxPushCurrent_v2(context), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamCreate(&trial_queue, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
}

void trial_close(void)
{
  cuCtxPopCurrent_v2(NULL);
  cuDevicePrimaryCtxRelease_v2(0);
  emulator_forget();
}

/* ---- One launch ---- */

static CUdeviceptr upload(const void *bytes, size_t count)
{
  CUdeviceptr memory = 0;
  if (count == 0)
    return 0;
  ck_assert_int_eq(cuMemAlloc_v2(&memory, count), CUDA_SUCCESS);
  if (bytes != NULL)
    ck_assert_int_eq(cuMemcpyHtoDAsync_v2(memory, bytes, count, trial_queue), CUDA_SUCCESS);
  return memory;
}

CUresult trial_run(const trial *t)
{
  static char text[TEXT_BYTES];
  const int length = snprintf(
      text, sizeof text,
      "%s%s\n.visible .entry k(.param .u64 k_0, .param .u64 k_1)\n.maxntid 256, 1, 1\n{\n"
      ".reg .b64 %%out, %%in;\n.reg .b32 %%t;\n.reg .pred %%p<64>;\n.reg .b16 %%h<64>;\n"
      ".reg .b32 %%r<64>;\n.reg .f32 %%f<64>;\n.reg .b64 %%rd<64>;\n"
      "ld.param.u64 %%out, [k_0];\nld.param.u64 %%in, [k_1];\nmov.u32 %%t, %%tid.x;\n%s\nret;\n}\n",
      trial_head, t->declarations != NULL ? t->declarations : "", t->body);
  ck_assert_int_lt(length, TEXT_BYTES);
  CUmodule module;
  CUfunction function;
  ck_assert_msg(cuModuleLoadData(&module, text) == CUDA_SUCCESS, "%s", emulator_last_violation());
  ck_assert_msg(cuModuleGetFunction(&function, module, "k") == CUDA_SUCCESS, "%s",
                emulator_last_violation());
  CUdeviceptr out = upload(NULL, t->out_bytes), in = upload(t->in, t->in_bytes);
  void *parameters[] = {&out, &in};
  const int blocks = t->blocks > 0 ? t->blocks : 1;
  ck_assert_int_eq(cuLaunchKernel(function, (unsigned)blocks, 1, 1, (unsigned)t->threads, 1, 1,
                                  t->shared_bytes, trial_queue, parameters, NULL),
                   CUDA_SUCCESS);
  const CUresult status = cuStreamSynchronize(trial_queue);
  if (status == CUDA_SUCCESS && t->out != NULL)
    ck_assert_int_eq(cuMemcpyDtoHAsync_v2(t->out, out, t->out_bytes, trial_queue), CUDA_SUCCESS);
  return status;
}

/* Small integers are bf16 as they are. */
static uint16_t bf16(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)(bits >> 16);
}

void trial_factors(factors *f)
{
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++)
      f->a[i][k] = bf16((float)((i * 7 + k * 3) % 17 - 8));
  for (int k = 0; k < 16; k++)
    for (int j = 0; j < 8; j++)
      f->b[k][j] = bf16((float)((k * 5 + j * 11) % 13 - 6));
}
