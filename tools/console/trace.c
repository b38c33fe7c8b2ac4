#include "tools/console/trace.h"

#include "base/process.h"

/* Writes the sizes of a matrix product, which `bench-condlora --shapes` reads. */
static void write_product(base_output *f, int64_t m, int64_t n, int64_t k)
{
  base_output_printf(f, "\"m\": %lld, \"n\": %lld, \"k\": %lld", (long long)m, (long long)n,
                     (long long)k);
}

static void write_attention(base_output *f, const cdl_packing *packing, int64_t columns,
                            int32_t heads, cdl_tensor bias)
{
  base_output_printf(f, "\"heads\": %d, \"width\": %lld, ", heads, (long long)(columns / heads));
  if (cdl_tensor_present(bias))
    base_output_printf(f, "\"distances\": %lld, ", (long long)bias.size[3]);
  base_output_printf(f, "\"lengths\": [");
  for (int32_t i = 0; i < packing->sequences; i++)
    base_output_printf(f, "%s%d", i > 0 ? ", " : "",
                       packing->host_offsets[i + 1] - packing->host_offsets[i]);
  base_output_printf(f, "]");
}

static void write_gemm(base_output *f, const cdl_gemm_args *a)
{
  write_product(f, a->out.size[2], a->out.size[3], a->a.size[a->transpose_a ? 2 : 3]);
  base_output_printf(f, ", \"batch\": %lld, \"transpose\": \"%c%c\"",
                     (long long)(a->out.size[0] * a->out.size[1]), a->transpose_a ? 'T' : 'N',
                     a->transpose_b ? 'T' : 'N');
}

/* Writes the sizes of low_rank and its gradient: the first term's, and further ones in "more". */
static void write_term(base_output *f, int i, cdl_tensor x, cdl_tensor a, cdl_tensor b)
{
  if (i > 0)
    base_output_printf(f, i == 1 ? ", \"more\": [{" : ", {");
  write_product(f, x.size[2], b.size[2], a.size[3]);
  base_output_printf(f, ", \"rank\": %lld%s", (long long)a.size[2], i > 0 ? "}" : "");
}

static void write_low_rank(base_output *f, const cdl_low_rank_args *args)
{
  const int terms = cdl_low_rank_terms(args);
  for (int i = 0; i < terms; i++) {
    const cdl_low_rank_args one = cdl_low_rank_alone(args, i);
    write_term(f, i, one.x, one.a, one.b);
  }
  base_output_printf(f, terms > 1 ? "]" : "");
}

static void write_low_rank_grad(base_output *f, const cdl_low_rank_grad_args *args)
{
  const int terms = cdl_low_rank_grad_terms(args);
  for (int i = 0; i < terms; i++) {
    const cdl_low_rank_grad_args one = cdl_low_rank_grad_alone(args, i);
    write_term(f, i, one.x, one.a, one.b);
  }
  base_output_printf(f, terms > 1 ? "]" : "");
}

/* Writes the sizes of map_weights and its gradient: those of a weight, the rank, the batch, and how
 * θA's product takes the weight. */
static void write_maps(base_output *f, cdl_tensor weight, int64_t rank, bool transposed)
{
  write_product(f, weight.size[2], weight.size[2], weight.size[3]);
  base_output_printf(f, ", \"rank\": %lld, \"batch\": %lld, \"transpose\": \"N%c\"",
                     (long long)rank, (long long)(weight.size[0] * weight.size[1]),
                     transposed ? 'T' : 'N');
}

/* Writes the sizes of a call. */
static void write_sizes(base_output *f, cdl_op op, const void *args)
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
    base_output_printf(f, "\"m\": %lld, \"n\": %lld", (long long)svd->a.size[2],
                       (long long)svd->a.size[3]);
    break;
  default: { /* the arguments of every other op begin with its first output, which may be absent */
    const cdl_tensor out = ((const cdl_copy_args *)args)->out;
    base_output_printf(f, "\"rows\": %lld, \"columns\": %lld",
                       (long long)(out.size[0] * out.size[1] * out.size[2]),
                       (long long)out.size[3]);
    break;
  }
  }
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
  const double ended = base_process_seconds();
  base_output_printf(trace->output,
                     "%s\n{\"name\": \"%s\", \"cat\": \"%s\", \"ph\": \"X\", \"pid\": 1, \"tid\": "
                     "1, \"ts\": %.3f, \"dur\": %.3f, \"args\": {",
                     trace->any ? "," : "", cdl_op_name(o->op), cdl_path_name(o->path),
                     (trace->started - trace->origin) * 1e6, (ended - trace->started) * 1e6);
  write_sizes(trace->output, o->op, o->args);
  base_output_printf(trace->output, "}}");
  trace->any = true;
}

cdl_status console_trace_begin(console_trace *trace, cdl_backend *backend, const char *path)
{
  CDL_TRY(base_output_begin_named(path, &trace->output));
  base_output_printf(trace->output, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [");
  trace->backend = backend;
  trace->origin = base_process_seconds();
  cdl_backend_observe(backend, observe, trace);
  return CDL_STATUS_OK;
}

cdl_status console_trace_end(console_trace *trace, bool keep)
{
  if (trace->output == NULL)
    return CDL_STATUS_OK;
  cdl_backend_observe(trace->backend, NULL, NULL);
  base_output *output = trace->output;
  trace->output = NULL;
  if (!keep) {
    base_output_abort(output);
    return CDL_STATUS_OK;
  }
  base_output_printf(output, "\n]}\n");
  return base_output_commit(output);
}
