/* CLBlast's parameters for a device: shipped by kind of device (tuned.def), or the user's own.
 *
 * A file of parameters is lines of text; an empty one and one that begins with '#' say nothing. The
 * first other line is
 *
 *     condlora-opencl-tuning 1
 *
 * and then each line is one of
 *
 *     device NAME                       as OpenCL names it, to the end of the line; the file is for
 *     this device alone
 *     driver VERSION                    where it was tuned; another is allowed
 *     KERNEL PRECISION NAME=VALUE ...   CLBlast's name of the kernel, 32 or 64, all parameters that
 *     CLBlast has for it
 *
 * as in "XgemmDirect 32 KWID=2 MDIMAD=8 ... WGD=32" and "GemmRoutine 32
 * XGEMM_MIN_INDIRECT_SIZE=448". It is $CDL_OPENCL_TUNING where that is set, else
 * opencl-tuning-DEVICE.txt in the cache's folder if there is one, with '-' for all but letters and
 * digits of the device's name. What it names takes the place of what is shipped, kernel by
 * kernel. */
#ifndef CONDLORA_BACKENDS_OPENCL_TUNING_H
#define CONDLORA_BACKENDS_OPENCL_TUNING_H

#include "device.h"

/* Gives CLBlast the device's parameters. A faulty file is a DATA error that names the line. */
CDL_MUST_USE cdl_status opencl_tune(const opencl_device *device);
/* The shipped ones alone. */
CDL_MUST_USE cdl_status opencl_tune_shipped(const opencl_device *device, cl_device_type type);

#endif
