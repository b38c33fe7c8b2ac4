/* The OpenCL loader and CLBlast, opened when first needed and then kept: other libraries hold on to
 * them. */
#ifndef CONDLORA_BACKENDS_OPENCL_API_H
#define CONDLORA_BACKENDS_OPENCL_API_H

#include "condlora/plugin.h"
#include "types.h"

typedef struct {
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "api.def"
#undef FUNCTION
} opencl_api;

extern opencl_api cl; /* filled once opencl_load has been OK */
extern const cdl_host *opencl_host;

/* ABSENT, with the Debian package that has what is missing. May be called by any thread. */
CDL_MUST_USE cdl_status opencl_load(void);

/* The name of an OpenCL or CLBlast code, "CL_OUT_OF_RESOURCES"; static. */
const char *opencl_code_name(int code);

/* OK for CL_SUCCESS, else a failure that names the call and the code. */
CDL_MUST_USE cdl_status opencl_check(int code, const char *call);

#endif
