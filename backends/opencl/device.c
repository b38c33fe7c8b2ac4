/* Devices: those that exist, the chosen one, and its properties. */
#include "device.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuning.h"

/* ---- Existing devices ---- */

typedef cl_int question(const void *asked, cl_uint what, size_t bytes, void *answer, size_t *size);

static cl_int ask_platform(const void *asked, cl_uint what, size_t bytes, void *answer,
                           size_t *size)
{
  return cl.clGetPlatformInfo((cl_platform_id)asked, what, bytes, answer, size);
}

static cl_int ask_device(const void *asked, cl_uint what, size_t bytes, void *answer, size_t *size)
{
  return cl.clGetDeviceInfo((cl_device_id)asked, what, bytes, answer, size);
}

/* Some drivers put spaces around names. The text is "" if there is no answer. */
static void ask_text(question *ask, const void *asked, cl_uint what, char text[OPENCL_NAME_BYTES])
{
  size_t bytes = 0;
  text[0] = '\0';
  if (ask(asked, what, 0, NULL, &bytes) != CL_SUCCESS || bytes == 0)
    return;
  char *whole = calloc(bytes + 1, 1);
  if (whole == NULL)
    return;
  if (ask(asked, what, bytes, whole, NULL) == CL_SUCCESS) {
    const char *first = whole;
    while (isspace((unsigned char)*first))
      first++;
    size_t length = strlen(first);
    while (length > 0 && isspace((unsigned char)first[length - 1]))
      length--;
    snprintf(text, OPENCL_NAME_BYTES, "%.*s", (int)length, first);
  }
  free(whole);
}

#define ASK(device, what, answer)                                                                 \
  opencl_check(cl.clGetDeviceInfo(device, what, sizeof *(answer), answer, NULL), "clGetDeviceInf" \
                                                                                 "o")

static cdl_status add_devices(cl_platform_id platform, opencl_found **found, int *count)
{
  const cl_device_type types = CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR;
  cl_uint here = 0;
  cl_int code = cl.clGetDeviceIDs(platform, types, 0, NULL, &here);
  if (code == CL_DEVICE_NOT_FOUND || here == 0)
    return CDL_STATUS_OK;
  CDL_TRY(opencl_check(code, "clGetDeviceIDs"));
  cl_device_id *ids = calloc(here, sizeof(cl_device_id));
  opencl_found *more = realloc(*found, ((size_t)*count + here) * sizeof **found);
  if (more != NULL)
    *found = more;
  if (ids == NULL || more == NULL) {
    free(ids);
    return opencl_host->fail(CDL_STATUS_MEMORY, "the host has no memory for a list of devices");
  }
  code = cl.clGetDeviceIDs(platform, types, here, ids, NULL);
  for (cl_uint i = 0; code == CL_SUCCESS && i < here; i++) {
    opencl_found *device = &more[*count];
    *device = (opencl_found){.platform = platform, .id = ids[i]};
    ask_text(ask_device, ids[i], CL_DEVICE_NAME, device->name);
    ask_text(ask_platform, platform, CL_PLATFORM_NAME, device->platform_name);
    if (cl.clGetDeviceInfo(ids[i], CL_DEVICE_TYPE, sizeof device->type, &device->type, NULL) ==
        CL_SUCCESS)
      ++*count;
  }
  free(ids);
  return opencl_check(code, "clGetDeviceIDs");
}

cdl_status opencl_find_devices(opencl_found **found, int *count)
{
  *found = NULL;
  *count = 0;
  CDL_TRY(opencl_load());
  enum { MOST_PLATFORMS = 64 };
  cl_platform_id platforms[MOST_PLATFORMS];
  cl_uint here = 0;
  const cl_int code = cl.clGetPlatformIDs(MOST_PLATFORMS, platforms, &here);
  if (code != CL_PLATFORM_NOT_FOUND_KHR)
    CDL_TRY(opencl_check(code, "clGetPlatformIDs"));
  for (cl_uint i = 0; i < here && i < MOST_PLATFORMS; i++)
    if (add_devices(platforms[i], found, count) != CDL_STATUS_OK)
      opencl_host->log(CDL_LOG_NOTICE, "opencl: a platform cannot say what devices it has");
  if (*count > 0)
    return CDL_STATUS_OK;
  free(*found);
  *found = NULL;
  return opencl_host->fail(CDL_STATUS_ABSENT,
                           "no OpenCL device: %u platforms (Debian's package pocl-opencl-icd has "
                           "one for CPUs; GPUs need their vendor's)",
                           here);
}

/* ---- The chosen device ---- */

static bool contains(const char *text, const char *part)
{
  return strcasestr(text, part) != NULL;
}

static cdl_status refuse(const opencl_found *found, int count, const char *text, const char *why)
{
  char list[768] = "";
  size_t used = 0;
  for (int i = 0; i < count && used < sizeof list; i++) {
    const int written = snprintf(list + used, sizeof list - used, "%s%d: %s (%s)",
                                 i > 0 ? "; " : "", i, found[i].name, found[i].platform_name);
    used += written > 0 ? (size_t)written : 0;
  }
  return opencl_host->fail(CDL_STATUS_ABSENT, "%s '%s'; there is %s", why, text, list);
}

static int rank(cl_device_type type)
{
  return type & CL_DEVICE_TYPE_GPU ? 2 : type & CL_DEVICE_TYPE_ACCELERATOR ? 1 : 0;
}

cdl_status opencl_choose(const opencl_found *found, int count, const char *text, int *chosen)
{
  *chosen = 0;
  if (text[0] == '\0') {
    for (int i = 1; i < count; i++)
      if (rank(found[i].type) > rank(found[*chosen].type))
        *chosen = i;
    return CDL_STATUS_OK;
  }
  if (text[strspn(text, "0123456789")] == '\0') {
    const long number = strtol(text, NULL, 10);
    if (number >= count)
      return refuse(found, count, text, "no device");
    *chosen = (int)number;
    return CDL_STATUS_OK;
  }
  int matches = 0;
  for (int i = 0; i < count; i++)
    if (contains(found[i].name, text) || contains(found[i].platform_name, text)) {
      *chosen = i;
      matches++;
    }
  return matches == 1 ? CDL_STATUS_OK
                      : refuse(found, count, text,
                               matches == 0 ? "no device's or platform's name has"
                                            : "several devices' or platforms' names have");
}

/* ---- Its properties ---- */

static cdl_status check_usable(const opencl_device *device)
{
  cl_bool available, compiler, little;
  CDL_TRY(ASK(device->id, CL_DEVICE_AVAILABLE, &available));
  CDL_TRY(ASK(device->id, CL_DEVICE_COMPILER_AVAILABLE, &compiler));
  CDL_TRY(ASK(device->id, CL_DEVICE_ENDIAN_LITTLE, &little));
  if (!available || !compiler || !little)
    return opencl_host->fail(CDL_STATUS_ABSENT, "device %s %s", device->name,
                             !available  ? "is not available"
                             : !compiler ? "comes without a compiler"
                                         : "is big-endian");
  return CDL_STATUS_OK;
}

static cdl_status ask_limits(opencl_device *device, cl_uint *units)
{
  cl_ulong local, largest, total;
  cl_uint alignment_bits;
  cl_bitfield fp64 = 0;
  size_t group, sizes[16] = {0};
  CDL_TRY(ASK(device->id, CL_DEVICE_MAX_COMPUTE_UNITS, units));
  CDL_TRY(ASK(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, &group));
  CDL_TRY(ASK(device->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, &sizes));
  CDL_TRY(ASK(device->id, CL_DEVICE_LOCAL_MEM_SIZE, &local));
  CDL_TRY(ASK(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, &largest));
  CDL_TRY(ASK(device->id, CL_DEVICE_GLOBAL_MEM_SIZE, &total));
  CDL_TRY(ASK(device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, &alignment_bits));
  /* Devices before OpenCL 1.2 do not know this query. */
  if (cl.clGetDeviceInfo(device->id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof fp64, &fp64, NULL) !=
      CL_SUCCESS)
    fp64 = 0;
  if (alignment_bits / 8 < sizeof(double))
    return opencl_host->fail(CDL_STATUS_ABSENT, "device %s aligns memory to %u bits, 64 are needed",
                             device->name, alignment_bits);
  device->group_limit = group < sizes[0] ? group : sizes[0];
  device->local_bytes = local;
  device->largest_allocation = largest;
  device->total_bytes = total;
  device->common.has_f64 = fp64 != 0;
  return CDL_STATUS_OK;
}

/* On a GPU many lanes make a group, because they hide each other's waits. On a CPU a group is a
 * loop of one core, and compilers vectorize groups of one item best. */
static cdl_status choose_groups(opencl_device *device, cl_uint units)
{
  const char *given = secure_getenv("CDL_OPENCL_GROUP_SIZE");
  const size_t wanted = given != NULL && given[0] != '\0' ? strtoul(given, NULL, 10)
                        : device->common.is_cpu           ? 1
                                                          : 256;
  if (wanted < 1 || wanted > 1024 || (wanted & (wanted - 1)) != 0)
    return opencl_host->fail(CDL_STATUS_USAGE,
                             "CDL_OPENCL_GROUP_SIZE is '%s', expected a power of two up to 1024",
                             given);
  device->common.group_size = 1;
  while ((size_t)device->common.group_size * 2 <= wanted &&
         (size_t)device->common.group_size * 2 <= device->group_limit)
    device->common.group_size *= 2;
  device->common.preferred_groups = (int64_t)units * (device->common.is_cpu ? 4 : 16);
  return CDL_STATUS_OK;
}

static cdl_status create_context(opencl_device *device)
{
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                              (cl_context_properties)device->platform, 0};
  cl_int code;
  device->context = cl.clCreateContext(properties, 1, &device->id, NULL, NULL, &code);
  return opencl_check(code, "clCreateContext");
}

static cdl_status prepare(opencl_device *device)
{
  cl_uint units = 1;
  CDL_TRY(check_usable(device));
  CDL_TRY(ask_limits(device, &units));
  CDL_TRY(choose_groups(device, units));
  CDL_TRY(create_context(device));
  CDL_TRY(opencl_fit_groups(device));
  CDL_TRY(opencl_tune(device));
  snprintf(device->description, sizeof device->description, "%s, %s, driver %s, CLBlast",
           device->name, device->platform_name, device->driver);
  return CDL_STATUS_OK;
}

static void discard(opencl_device *device)
{
  opencl_programs_release(device);
  if (device->context != NULL)
    cl.clReleaseContext(device->context);
  pthread_mutex_destroy(&device->program_lock);
  pthread_mutex_destroy(&device->gemm_lock);
  free(device);
}

static cdl_status create(const kernel_driver *driver, const opencl_found *found,
                         opencl_device **device)
{
  opencl_device *created = calloc(1, sizeof *created);
  if (created == NULL)
    return opencl_host->fail(CDL_STATUS_MEMORY, "the host has no memory for a device");
  created->common.driver = driver;
  created->common.is_cpu = (found->type & CL_DEVICE_TYPE_CPU) != 0;
  created->platform = found->platform;
  created->id = found->id;
  memcpy(created->name, found->name, sizeof created->name);
  memcpy(created->platform_name, found->platform_name, sizeof created->platform_name);
  ask_text(ask_device, found->id, CL_DRIVER_VERSION, created->driver);
  ask_text(ask_device, found->id, CL_DEVICE_VERSION, created->version);
  ask_text(ask_platform, found->platform, CL_PLATFORM_VERSION, created->platform_version);
  pthread_mutex_init(&created->program_lock, NULL);
  pthread_mutex_init(&created->gemm_lock, NULL);
  const cdl_status status = prepare(created);
  if (status != CDL_STATUS_OK)
    discard(created);
  else
    *device = created;
  return status;
}

/* CLBlast keeps what it has compiled, and with it the context, as long as the process lives. So a
 * device is prepared once, and a later open gets the same device. */
cdl_status opencl_open(const kernel_driver *driver, const opencl_found *found, void **device)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static opencl_device *prepared;
  cdl_status status = CDL_STATUS_OK;
  pthread_mutex_lock(&lock);
  opencl_device *opened = prepared;
  while (opened != NULL && opened->id != found->id)
    opened = opened->next;
  if (opened == NULL) {
    status = create(driver, found, &opened);
    if (status == CDL_STATUS_OK) {
      opened->next = prepared;
      prepared = opened;
    }
  }
  pthread_mutex_unlock(&lock);
  *device = opened;
  return status;
}
