#include "tools/console/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"

/* Rank 0 writes the file; the other ranks keep their events until it asks for them. */
static void put(console_trace *trace, const char *format, ...) CDL_PRINTF(2, 3);
static void put(console_trace *trace, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  if (trace->output != NULL)
    base_output_vprintf(trace->output, format, arguments);
  else
    (void)vfprintf(trace->kept, format, arguments);
  va_end(arguments);
}

/* Writes the sizes of a matrix product, which `bench-condlora --shapes` reads. */
static void write_product(console_trace *f, int64_t m, int64_t n, int64_t k)
{
  put(f, "\"m\": %lld, \"n\": %lld, \"k\": %lld", (long long)m, (long long)n, (long long)k);
}

static void write_attention(console_trace *f, const cdl_packing *packing, int64_t columns,
                            int32_t heads, cdl_tensor bias)
{
  put(f, "\"heads\": %d, \"width\": %lld, ", heads, (long long)(columns / heads));
  if (cdl_tensor_present(bias))
    put(f, "\"distances\": %lld, ", (long long)bias.size[3]);
  put(f, "\"lengths\": [");
  for (int32_t i = 0; i < packing->sequences; i++)
    put(f, "%s%d", i > 0 ? ", " : "", packing->host_offsets[i + 1] - packing->host_offsets[i]);
  put(f, "]");
}

static void write_gemm(console_trace *f, const cdl_gemm_args *a)
{
  write_product(f, a->out.size[2], a->out.size[3], a->a.size[a->transpose_a ? 2 : 3]);
  put(f, ", \"batch\": %lld, \"transpose\": \"%c%c\"", (long long)(a->out.size[0] * a->out.size[1]),
      a->transpose_a ? 'T' : 'N', a->transpose_b ? 'T' : 'N');
}

/* Writes the sizes of low_rank and its gradient: the first term's, and further ones in "more". */
static void write_term(console_trace *f, int i, cdl_tensor x, cdl_tensor a, cdl_tensor b)
{
  if (i > 0)
    put(f, i == 1 ? ", \"more\": [{" : ", {");
  write_product(f, x.size[2], b.size[2], a.size[3]);
  put(f, ", \"rank\": %lld%s", (long long)a.size[2], i > 0 ? "}" : "");
}

static void write_low_rank(console_trace *f, const cdl_low_rank_args *args)
{
  const int terms = cdl_low_rank_terms(args);
  for (int i = 0; i < terms; i++) {
    const cdl_low_rank_args one = cdl_low_rank_alone(args, i);
    write_term(f, i, one.x, one.a, one.b);
  }
  put(f, terms > 1 ? "]" : "");
}

static void write_low_rank_grad(console_trace *f, const cdl_low_rank_grad_args *args)
{
  const int terms = cdl_low_rank_grad_terms(args);
  for (int i = 0; i < terms; i++) {
    const cdl_low_rank_grad_args one = cdl_low_rank_grad_alone(args, i);
    write_term(f, i, one.x, one.a, one.b);
  }
  put(f, terms > 1 ? "]" : "");
}

/* Writes the sizes of map_weights and its gradient: those of a weight, the rank, the batch, and how
 * θA's product takes the weight. */
static void write_maps(console_trace *f, cdl_tensor weight, int64_t rank, bool transposed)
{
  write_product(f, weight.size[2], weight.size[2], weight.size[3]);
  put(f, ", \"rank\": %lld, \"batch\": %lld, \"transpose\": \"N%c\"", (long long)rank,
      (long long)(weight.size[0] * weight.size[1]), transposed ? 'T' : 'N');
}

/* Writes the sizes of a call. */
static void write_sizes(console_trace *f, cdl_op op, const void *args)
{
  const cdl_linear_args *linear = args;
  const cdl_linear_grad_args *linear_grad = args;
  const cdl_attention_args *attention = args;
  const cdl_attention_grad_args *attention_grad = args;
  const cdl_map_weights_args *maps = args;
  const cdl_map_weights_grad_args *maps_grad = args;
  const cdl_svd_args *svd = args;
  switch (op) {
  case CDL_OP_gemm:
    write_gemm(f, args);
    break;
  case CDL_OP_linear:
    write_product(f, linear->x.size[2], cdl_weight_rows(linear->weight),
                  cdl_weight_columns(linear->weight));
    break;
  case CDL_OP_linear_grad:
    write_product(f, linear_grad->d_out.size[2], cdl_weight_columns(linear_grad->weight),
                  cdl_weight_rows(linear_grad->weight));
    break;
  case CDL_OP_low_rank:
    write_low_rank(f, args);
    break;
  case CDL_OP_low_rank_grad:
    write_low_rank_grad(f, args);
    break;
  case CDL_OP_map_weights:
    write_maps(f, maps->weight, maps->b.size[3], maps->transposed);
    break;
  case CDL_OP_map_weights_grad:
    write_maps(f, maps_grad->weight, maps_grad->d_b.size[3], maps_grad->transposed);
    break;
  case CDL_OP_attention:
    write_attention(f, attention->packing, attention->out.size[3], attention->heads,
                    attention->bias);
    break;
  case CDL_OP_attention_grad:
    write_attention(f, attention_grad->packing, attention_grad->d_out.size[3],
                    attention_grad->heads, attention_grad->bias);
    break;
  case CDL_OP_svd:
    put(f, "\"m\": %lld, \"n\": %lld", (long long)svd->a.size[2], (long long)svd->a.size[3]);
    break;
  default: { /* the arguments of every other op begin with its first output, which may be absent */
    const cdl_tensor out = ((const cdl_copy_args *)args)->out;
    put(f, "\"rows\": %lld, \"columns\": %lld",
        (long long)(out.size[0] * out.size[1] * out.size[2]), (long long)out.size[3]);
    break;
  }
  }
}

/* Begins an event. Process 0 is the idle process to some readers, so the ranks' numbers begin at
 * 1. */
static void put_event(console_trace *trace, const char *name, const char *category, double began,
                      double ended)
{
  put(trace,
      "%s\n{\"name\": \"%s\", \"cat\": \"%s\", \"ph\": \"X\", \"pid\": %d, \"tid\": 1, "
      "\"ts\": %.3f, \"dur\": %.3f, \"args\": {",
      trace->any ? "," : "", name, category, ranks_rank(trace->job) + 1,
      (began - trace->origin) * 1e6, (ended - began) * 1e6);
  trace->any = true;
}

static void observe(void *user, const cdl_observation *o)
{
  console_trace *trace = user;
  if (!o->after) {
    trace->started = base_process_seconds();
    return;
  }
  if (cdl_queue_sync(o->queue) != CDL_STATUS_OK)
    return; /* the run ends with this error */
  put_event(trace, cdl_op_name(o->op), cdl_path_name(o->path), trace->started,
            base_process_seconds());
  write_sizes(trace, o->op, o->args);
  put(trace, "}}");
}

static void observe_meeting(void *user, const char *what, double came, double left)
{
  console_trace *trace = user;
  put_event(trace, what, "meeting", came, left);
  put(trace, "}}");
}

static cdl_status begin_output(console_trace *trace, const char *path)
{
  if (ranks_rank(trace->job) == 0)
    return base_output_begin_named(path, &trace->output);
  trace->kept = tmpfile();
  return trace->kept != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_IO, "a trace's temporary file: %s", strerror(errno));
}

cdl_status console_trace_begin(console_trace *trace, cdl_backend *backend, ranks_job *job,
                               const char *path)
{
  *trace = (console_trace){.backend = backend, .job = job};
  const cdl_status status = ranks_agree(job, begin_output(trace, path), "the trace");
  if (status != CDL_STATUS_OK) {
    (void)!console_trace_end(trace, false);
    return status;
  }
  if (trace->output != NULL)
    put(trace, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [");
  if (job != NULL) {
    put(trace,
        "%s\n{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": %d, \"args\": {\"name\": "
        "\"rank %d (%s)\"}}",
        ranks_rank(job) == 0 ? "" : ",", ranks_rank(job) + 1, ranks_rank(job),
        ranks_peer_of(job, ranks_rank(job))->host);
    trace->any = true;
  }
  trace->origin = base_process_seconds(); /* the ranks have just met, so this is one moment */
  cdl_backend_observe(backend, observe, trace);
  ranks_observe(job, observe_meeting, trace);
  return CDL_STATUS_OK;
}

/* Appends the events of a rank to the file of rank 0. */
static cdl_status collect(console_trace *trace, int rank, char *part, size_t room)
{
  const bool sends = ranks_rank(trace->job) == rank;
  int64_t left = 0;
  if (sends) {
    left = fflush(trace->kept) == 0 && !ferror(trace->kept) ? (int64_t)ftello(trace->kept) : -1;
    rewind(trace->kept);
  }
  CDL_TRY(ranks_broadcast(trace->job, &left, sizeof left, rank, "the trace"));
  if (left < 0)
    return cdl_fail(CDL_STATUS_IO, "rank %d cannot write its trace's temporary file", rank);
  for (; left > 0; left -= (int64_t)room) {
    const size_t count = left < (int64_t)room ? (size_t)left : room;
    if (sends && fread(part, 1, count, trace->kept) != count)
      memset(part, ' ', count); /* the file is incomplete, which its reader sees */
    CDL_TRY(ranks_broadcast(trace->job, part, count, rank, "the trace"));
    if (trace->output != NULL)
      base_output_write(trace->output, part, count);
  }
  return CDL_STATUS_OK;
}

static cdl_status collect_all(console_trace *trace)
{
  enum { PART_BYTES = 1 << 20 };
  if (trace->job == NULL)
    return CDL_STATUS_OK;
  char *part = malloc(PART_BYTES);
  cdl_status status = ranks_agree(
      trace->job,
      part != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a trace"),
      "the trace");
  for (int rank = 1; status == CDL_STATUS_OK && rank < ranks_size(trace->job); rank++)
    status = collect(trace, rank, part, PART_BYTES);
  free(part);
  return status;
}

cdl_status console_trace_end(console_trace *trace, bool keep)
{
  if (trace->backend == NULL)
    return CDL_STATUS_OK;
  cdl_backend_observe(trace->backend, NULL, NULL);
  ranks_observe(trace->job, NULL, NULL);
  const cdl_status collected = keep ? collect_all(trace) : CDL_STATUS_OK;
  base_output *output = trace->output;
  if (trace->kept != NULL)
    fclose(trace->kept);
  *trace = (console_trace){0};
  if (output == NULL)
    return collected;
  if (!keep || collected != CDL_STATUS_OK) {
    base_output_abort(output);
    return collected;
  }
  base_output_printf(output, "\n]}\n");
  return base_output_commit(output);
}
