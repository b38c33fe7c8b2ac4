/* The used types of OpenCL's C interface, as its specification defines them. So the build needs no
 * headers, and only opening the plug-in needs the libraries. A test checks these and api.def
 * against the vendors' headers. */
#ifndef CONDLORA_BACKENDS_OPENCL_TYPES_H
#define CONDLORA_BACKENDS_OPENCL_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t cl_int;
typedef uint32_t cl_uint;
typedef uint64_t cl_ulong;
typedef cl_uint cl_bool;
typedef cl_ulong cl_bitfield;

typedef struct _cl_platform_id *cl_platform_id;
typedef struct _cl_device_id *cl_device_id;
typedef struct _cl_context *cl_context;
typedef struct _cl_command_queue *cl_command_queue;
typedef struct _cl_mem *cl_mem;
typedef struct _cl_program *cl_program;
typedef struct _cl_kernel *cl_kernel;
typedef struct _cl_event *cl_event;

typedef cl_bitfield cl_device_type, cl_command_queue_properties, cl_mem_flags;
typedef intptr_t cl_context_properties;
typedef cl_uint cl_platform_info, cl_device_info, cl_command_queue_info, cl_mem_info,
    cl_program_info, cl_program_build_info, cl_kernel_work_group_info, cl_event_info,
    cl_profiling_info;

enum {
#define CONSTANT(name, value) name = value,
#include "constants.def"
#undef CONSTANT
#define CODE(name, value) name = value,
#include "codes.def"
#undef CODE
};

#endif
