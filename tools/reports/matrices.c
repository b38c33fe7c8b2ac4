#include "tools/reports/matrices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "model/inference/inference.h"
#include "tools/analysis/conversion.h"
#include "tools/analysis/correlation.h"
#include "tools/analysis/similarity.h"
#include "tools/reports/plots.h"

enum { VECTORS = 8 }; /* i and j of equation 2, if the ranks are at least this */

/* The matrices of a run's adapter, with the model that owns their layers. */
typedef struct {
  inference_model model;
  analysis_adapted adapted;
} opened;

static cdl_status open_adapter(const report_source *source, const char *adapter, opened *o)
{
  const inference_settings settings = {.model = source->folder,
                                       .adapter = adapter,
                                       .backend = source->backend,
                                       .precision = "fp32",
                                       .threads = source->threads,
                                       .no_fallback = source->no_fallback,
                                       .part = INFERENCE_OPEN_ADAPTED};
  const analysis_selection all = {0};
  CDL_TRY(inference_open(&o->model, &settings));
  adapter_materialize(o->model.adapter, o->model.queue);
  const cdl_status status =
      analysis_adapted_read(o->model.encoder, o->model.queue, &all, &o->adapted);
  if (status != CDL_STATUS_OK)
    inference_close(&o->model);
  return status;
}

static cdl_status open_run(const report_source *source, size_t task, size_t method, size_t seed,
                           opened *o)
{
  char *folder = report_compared_run_folder(source->comparison, task, method, seed),
       *adapter = folder != NULL ? base_path_join(folder, "adapter") : NULL;
  free(folder);
  if (adapter == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", source->comparison->folder);
  const cdl_status status = open_adapter(source, adapter, o);
  free(adapter);
  return status;
}

static void close_run(opened *o)
{
  analysis_adapted_free(&o->adapted);
  inference_close(&o->model);
}

/* Returns VECTORS, or the smallest rank if that is lower. */
static int64_t vectors_of(const analysis_adapted *adapted)
{
  int64_t least = VECTORS;
  for (size_t t = 0; t < adapted->count; t++)
    for (int l = 0; l < adapted->targets[t].count; l++) {
      const int64_t rank = adapted->targets[t].layers[l].a.rows;
      least = rank < least ? rank : least;
    }
  return least;
}

/* ---- Table 3 ---- */

static void similarity_row(report_document *to, const char *name, const double *phi,
                           const double *random)
{
  report_document_cell(to, "%s", name);
  for (int k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++) {
    report_document_cell(to, "%.3f", phi[k]);
    report_document_cell(to, "%.3f", random[k]);
  }
}

static void similarity_table(report_document *to, const analysis_similarity_target *target)
{
  char name[96];
  report_document_table_begin(to, 1 + 2 * ANALYSIS_SIMILARITY_COUNT);
  report_document_cell(to, "%s", target->name);
  for (int k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++) {
    report_document_cell(to, "%s", analysis_similarity_name((analysis_similarity_kind)k));
    report_document_cell(to, "random");
  }
  for (int l = 0; l < target->count; l++) {
    snprintf(name, sizeof name, "layer %d", target->layers[l].number);
    similarity_row(to, name, target->layers[l].phi, target->layers[l].random);
  }
  similarity_row(to, "mean", target->phi, target->random);
  report_document_cell(to, "expected of random ones");
  for (int k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++) {
    report_document_cell(to, "–");
    report_document_cell(to, "%.4f", target->expected[k]);
  }
  report_document_table_end(to);
}

static cdl_status compare_pair(const report_source *source, report_document *to, size_t task,
                               size_t first, size_t second, size_t seed)
{
  const report_comparison *c = source->comparison;
  opened a, b;
  CDL_TRY(open_run(source, task, first, seed, &a));
  cdl_status status = open_run(source, task, second, seed, &b);
  if (status != CDL_STATUS_OK) {
    close_run(&a);
    return status;
  }
  const int64_t n = vectors_of(&a.adapted), m = vectors_of(&b.adapted);
  const analysis_similarity_settings settings = {.i = n, .j = m, .seed = (uint64_t)c->seeds[seed]};
  analysis_similarity result;
  status = analysis_similarity_compute(a.model.queue, &a.adapted, &b.adapted, &settings, &result);
  if (status == CDL_STATUS_OK) {
    report_document_paragraph(
        to, "%s, seed %" PRId64 ": %s beside %s, i = %" PRId64 ", j = %" PRId64,
        c->tasks[task]->name, c->seeds[seed], report_method_title(c->methods[first]).text,
        report_method_title(c->methods[second]).text, n, m);
    for (size_t t = 0; t < result.count; t++)
      similarity_table(to, &result.targets[t]);
    analysis_similarity_free(&result);
  }
  close_run(&a);
  close_run(&b);
  return status;
}

cdl_status report_write_similarity(const report_source *source, report_document *to)
{
  const report_comparison *c = source->comparison;
  const size_t base = report_baseline(c);
  report_document_heading(to, "Similarity of trained matrices");
  report_document_paragraph(
      to, "Equation 2 between the adapters of two runs of one seed, layer by "
          "layer: A by its right singular vectors, B and BA by their left ones. "
          "Random: the first adapter's vectors beside uniform random ones. The "
          "paper's Table 3, with RoBERTa-base and i = j = 8, has 0.02 to 0.12 for "
          "value.");
  for (size_t t = 0; t < c->task_count; t++)
    for (size_t m = 0; m < c->method_count; m++)
      for (size_t s = 0; m != base && s < c->seed_count; s++)
        CDL_TRY(compare_pair(source, to, t, base, m, s));
  return CDL_STATUS_OK;
}

/* ---- Figure 1 ---- */

typedef struct {
  const report_comparison *comparison;
  report_document *to;
  size_t task, seed;
  const char *form;
  bool draws;
} place;

/* Draws a target's maps as plots/RTE-seed0-reference-attention.self.query.svg. */
static cdl_status draw_maps(const place *p, const analysis_conversion_target *target)
{
  const report_comparison *c = p->comparison;
  const analysis_adapted_target *layers = target->target;
  char name[256];
  int *numbers = analysis_layer_numbers(layers);
  if (numbers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", c->folder);
  report_conversion_maps maps = {.task = c->tasks[p->task]->name,
                                 .target = layers->name,
                                 .form = p->form,
                                 .layers = numbers,
                                 .count = layers->count};
  for (int k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
    maps.values[k] = target->figures[k][ANALYSIS_SIDE_LEFT].grid.values;
    maps.means[k] = target->figures[k][ANALYSIS_SIDE_LEFT].grid.upper;
  }
  snprintf(name, sizeof name, "plots/%s-seed%" PRId64 "-%s-%.80s.svg", c->tasks[p->task]->name,
           c->seeds[p->seed], p->form, layers->name);
  const cdl_status status = report_draw_conversion(c->folder, name, &maps, p->to);
  free(numbers);
  return status;
}

static void conversion_table(report_document *to, const analysis_conversion *result)
{
  static const char *const titles[] = {"target, matrix", "mean above the diagonal",
                                       "mean of all pairs", "random, above the diagonal",
                                       "expected of random ones"};
  report_document_table_begin(to, 5);
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
    report_document_cell(to, "%s", titles[i]);
  for (size_t t = 0; t < result->count; t++)
    for (int k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
      const analysis_conversion_figure *f = &result->targets[t].figures[k][ANALYSIS_SIDE_LEFT];
      report_document_cell(to, "%s, C_%s", result->targets[t].target->name,
                           analysis_conversion_name((analysis_conversion_kind)k));
      report_document_cell(to, "%.4f", f->grid.upper);
      report_document_cell(to, "%.4f", f->grid.all);
      report_document_cell(to, "%.4f", f->random.upper);
      report_document_cell(to, "%.4f", f->expected);
    }
  report_document_table_end(to);
}

static cdl_status write_figure(const place *p, cdl_queue *queue, const analysis_adapted *adapted,
                               adapter_orientation form)
{
  const report_comparison *c = p->comparison;
  const int64_t n = vectors_of(adapted);
  const analysis_conversion_settings settings = {.form = form,
                                                 .i = n,
                                                 .j = n,
                                                 .sides = {[ANALYSIS_SIDE_LEFT] = true},
                                                 .seed = (uint64_t)c->seeds[p->seed]};
  analysis_conversion result;
  CDL_TRY(analysis_conversion_compute(queue, adapted, &settings, &result));
  report_document_paragraph(p->to, "%s, seed %" PRId64 ", form %s, left vectors, i = j = %" PRId64,
                            c->tasks[p->task]->name, c->seeds[p->seed], p->form, n);
  conversion_table(p->to, &result);
  cdl_status status = CDL_STATUS_OK;
  for (size_t t = 0; p->draws && status == CDL_STATUS_OK && t < result.count; t++)
    status = draw_maps(p, &result.targets[t]);
  analysis_conversion_free(&result);
  return status;
}

static bool all_square(const analysis_adapted *adapted)
{
  for (size_t t = 0; t < adapted->count; t++)
    if (adapted->targets[t].rows != adapted->targets[t].columns)
      return false;
  return true;
}

static cdl_status write_run(const report_source *source, size_t method, place p)
{
  opened o;
  CDL_TRY(open_run(source, p.task, method, p.seed, &o));
  cdl_status status = CDL_STATUS_OK;
  p.form = "reference";
  if (all_square(&o.adapted))
    status = write_figure(&p, o.model.queue, &o.adapted, ADAPTER_ORIENTATION_REFERENCE);
  p.form = "paper";
  if (status == CDL_STATUS_OK)
    status = write_figure(&p, o.model.queue, &o.adapted, ADAPTER_ORIENTATION_PAPER);
  close_run(&o);
  return status;
}

cdl_status report_write_conversion(const report_source *source, report_document *to)
{
  const report_comparison *c = source->comparison;
  const size_t base = report_baseline(c);
  report_document_heading(to, "Conversion matrices");
  report_document_paragraph(
      to, "How alike the layers' matrices are that turn a frozen W into what LoRA "
          "trained upon it (equation 2). Form `reference`, which the paper's code "
          "computes: W⁻¹Aᵀ, W⁻¹B and W⁻¹BA, where all W are square. Form `paper`, "
          "equations 5 and 6 turned round: (Wᵀ)⁺Aᵀ, W⁺B and W⁺BA. A map's mean is "
          "that above the diagonal.");
  place p = {.comparison = c, .to = to, .draws = report_can_draw(to)};
  for (p.task = 0; p.task < c->task_count; p.task++)
    for (p.seed = 0; p.seed < c->seed_count; p.seed++)
      CDL_TRY(write_run(source, base, p));
  return CDL_STATUS_OK;
}

/* ---- Records ---- */

static cdl_status no_measure(const char *target)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a measure of %s", target);
}

static cdl_status measure_correlation(const opened *o, uint64_t seed, report_matrices *m)
{
  const analysis_correlation_settings settings = {
      .i = m->vectors,
      .j = m->vectors,
      .sides = {[ANALYSIS_SIDE_LEFT] = true, [ANALYSIS_SIDE_RIGHT] = true},
      .seed = seed};
  analysis_correlation result;
  CDL_TRY(analysis_correlation_compute(o->model.queue, &o->adapted, &settings, &result));
  cdl_status status = CDL_STATUS_OK;
  for (size_t t = 0; t < result.count; t++)
    for (int side = 0; status == CDL_STATUS_OK && side < ANALYSIS_SIDE_COUNT; side++) {
      const analysis_correlation_target *from = &result.targets[t];
      report_measure *to =
          report_measure_add(m, REPORT_MEASURE_CORRELATION, analysis_side_name((analysis_side)side),
                             from->target->name, (size_t)from->target->count);
      if (to == NULL) {
        status = no_measure(from->target->name);
        break;
      }
      to->random = from->mean[side].random;
      to->expected = from->mean[side].expected;
      for (size_t l = 0; l < to->count; l++) {
        to->layers[l] = from->target->layers[l].number;
        to->values[l] = from->layers[l][side].phi;
      }
    }
  analysis_correlation_free(&result);
  return status;
}

static cdl_status measure_similarity(const opened *base, const opened *o, uint64_t seed,
                                     report_matrices *m)
{
  const int64_t n = vectors_of(&base->adapted);
  const analysis_similarity_settings settings = {.i = n, .j = m->vectors, .seed = seed};
  analysis_similarity result;
  CDL_TRY(
      analysis_similarity_compute(o->model.queue, &base->adapted, &o->adapted, &settings, &result));
  cdl_status status = CDL_STATUS_OK;
  for (size_t t = 0; t < result.count; t++)
    for (int k = 0; status == CDL_STATUS_OK && k < ANALYSIS_SIMILARITY_COUNT; k++) {
      const analysis_similarity_target *from = &result.targets[t];
      report_measure *to = report_measure_add(m, REPORT_MEASURE_SIMILARITY,
                                              analysis_similarity_name((analysis_similarity_kind)k),
                                              from->name, (size_t)from->count);
      if (to == NULL) {
        status = no_measure(from->name);
        break;
      }
      to->random = from->random[k];
      to->expected = from->expected[k];
      for (size_t l = 0; l < to->count; l++) {
        to->layers[l] = from->layers[l].number;
        to->values[l] = from->layers[l].phi[k];
      }
    }
  analysis_similarity_free(&result);
  return status;
}

static cdl_status take_conversion(const analysis_conversion_target *from, const char *form,
                                  int kind, report_matrices *m)
{
  const analysis_conversion_figure *figure = &from->figures[kind][ANALYSIS_SIDE_LEFT];
  char name[24];
  snprintf(name, sizeof name, "%s %s", form,
           analysis_conversion_name((analysis_conversion_kind)kind));
  report_measure *to = report_measure_add(m, REPORT_MEASURE_CONVERSION, name, from->target->name,
                                          (size_t)from->target->count);
  if (to == NULL)
    return no_measure(from->target->name);
  to->random = figure->random.upper;
  to->expected = figure->expected;
  for (size_t l = 0; l < to->count; l++)
    to->layers[l] = from->target->layers[l].number;
  memcpy(to->values, figure->grid.values, to->count * to->count * sizeof *to->values);
  return CDL_STATUS_OK;
}

static cdl_status measure_conversion(const opened *o, adapter_orientation form, const char *name,
                                     uint64_t seed, report_matrices *m)
{
  const analysis_conversion_settings settings = {.form = form,
                                                 .i = m->vectors,
                                                 .j = m->vectors,
                                                 .sides = {[ANALYSIS_SIDE_LEFT] = true},
                                                 .seed = seed};
  analysis_conversion result;
  CDL_TRY(analysis_conversion_compute(o->model.queue, &o->adapted, &settings, &result));
  cdl_status status = CDL_STATUS_OK;
  for (size_t t = 0; t < result.count; t++)
    for (int k = 0; status == CDL_STATUS_OK && k < ANALYSIS_CONVERSION_COUNT; k++)
      status = take_conversion(&result.targets[t], name, k, m);
  analysis_conversion_free(&result);
  return status;
}

static cdl_status measure_conversions(const opened *o, uint64_t seed, report_matrices *m)
{
  if (all_square(&o->adapted))
    CDL_TRY(measure_conversion(o, ADAPTER_ORIENTATION_REFERENCE, "reference", seed, m));
  return measure_conversion(o, ADAPTER_ORIENTATION_PAPER, "paper", seed, m);
}

static cdl_status measure_beside(const report_source *source, const char *baseline, const opened *o,
                                 uint64_t seed, report_matrices *m)
{
  opened base;
  CDL_TRY(open_adapter(source, baseline, &base));
  const cdl_status status = measure_similarity(&base, o, seed, m);
  close_run(&base);
  return status;
}

cdl_status report_matrices_measure(const report_source *source, const char *adapter,
                                   const char *baseline, int64_t seed, report_matrices *m)
{
  opened o;
  CDL_TRY(open_adapter(source, adapter, &o));
  m->vectors = vectors_of(&o.adapted);
  cdl_status status = measure_correlation(&o, (uint64_t)seed, m);
  if (status == CDL_STATUS_OK)
    status = baseline != NULL ? measure_beside(source, baseline, &o, (uint64_t)seed, m)
                              : measure_conversions(&o, (uint64_t)seed, m);
  close_run(&o);
  return status;
}
