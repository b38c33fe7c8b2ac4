/* CLBlast's parameters for a device: shipped by kind of device (tuned.def), or the user's own.
 *
 * A file of parameters is lines of text; empty lines and those that begin with '#' are ignored. The
 * first other line is
 *
 *     condlora-opencl-tuning 1
 *
 * and each following line is one of
 *
 *     device NAME                       to the end of the line, as OpenCL names it
 *     driver VERSION                    the driver of the tuning; another is allowed
 *     KERNEL PRECISION NAME=VALUE ...   CLBlast's name of the kernel, 32 or 64, all parameters
 *
 * A file with a device line is only for that device. Examples of the last form are "XgemmDirect 32
 * KWID=2 MDIMAD=8 ... WGD=32" and "GemmRoutine 32 XGEMM_MIN_INDIRECT_SIZE=448"; a line has all
 * parameters that CLBlast has for its kernel. The file is $CDL_OPENCL_TUNING if that is set,
 * otherwise opencl-tuning-DEVICE.txt in the cache's folder, if it exists, with '-' for all
 * characters of the device's name except letters and digits. Its parameters replace the shipped
 * ones, kernel by kernel. */
#ifndef CONDLORA_BACKENDS_OPENCL_TUNING_H
#define CONDLORA_BACKENDS_OPENCL_TUNING_H

#include "device.h"

/* Gives CLBlast the device's parameters. A faulty file is a DATA error that names the line. */
CDL_MUST_USE cdl_status opencl_tune(const opencl_device *device);
/* Gives CLBlast only the shipped parameters. */
CDL_MUST_USE cdl_status opencl_tune_shipped(const opencl_device *device, cl_device_type type);

#endif
