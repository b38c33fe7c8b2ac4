/* Methods of low rank, and what LoRA and CondLoRA can be told besides: conditioning on the input,
 * DoRA, DyLoRA. Gradients are held against differences of the loss, dropout being on; on the
 * backend that the first argument names (default: cpu). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/run_suite.h"
#include "tests/unit/small_encoder.h"

enum { RANK = 4, TENSORS_MOST = 64 };

typedef struct {
  const char *title, *method;
  const char *targets[4];
  named_option options[NAMED_OPTIONS];
  double dropout;
  double moved;  /* deviation of what is added to the initial values; 0: 0.2 */
  double begins; /* how far from the model training begins; 0: 1e-5, rounding */
  bool hits_base, reference;
} form;

static cdl_status make_adapter(const form *f)
{
  adapter_settings s = {.method = f->method,
                        .rank = RANK,
                        .alpha = 3,
                        .dropout = f->dropout,
                        .dropout_hits_base = f->hits_base,
                        .orientation = f->reference ? ADAPTER_ORIENTATION_REFERENCE
                                                    : ADAPTER_ORIENTATION_PAPER,
                        .targets = {.item = (char **)(uintptr_t)f->targets}};
  fill_options(f->method, f->options, s.options);
  while (s.targets.count < 4 && f->targets[s.targets.count] != NULL)
    s.targets.count++;
  return adapter_create(queue, encoder, &s, &adapter);
}

/* An adapter that is anywhere but at its initial values. */
static void make_moved_adapter(const form *f)
{
  ok(make_adapter(f));
  ok(adapter_initialize(adapter, queue, 3));
  for (size_t i = 0; i < adapter->own_count; i++) {
    const encoder_parameter *p = &adapter->own_parameters[i];
    float *before = values_of(p->value);
    draw(p->value, 1000 + (uint32_t)i, 0, f->moved > 0 ? f->moved : 0.2);
    float *noise = values_of(p->value);
    for (int64_t j = 0; j < cdl_tensor_elements(p->value); j++)
      noise[j] += before[j];
    write_values(p->value, noise);
    free(before);
    free(noise);
  }
  plan_batch();
}

static void evaluate(float logits[LOGITS])
{
  logits_of(ENCODER_EVALUATION, NULL, logits);
}

/* ---- Gradients ---- */

static const float weights_of_logits[LOGITS] = {0.7f, -1.1f, 0.4f, 0.9f, -0.6f, 1.3f};

static double loss_of_present_values(void)
{
  float logits[LOGITS];
  double loss = 0;
  static const encoder_dropout_rates rates = {
      .hidden = 0.1f, .attention = 0.1f, .classifier = 0.1f};
  logits_of(ENCODER_TRAINING, &rates, logits);
  for (int i = 0; i < LOGITS; i++)
    loss += (double)logits[i] * (double)weights_of_logits[i];
  return loss;
}

/* Of all modules: DoRA's gradient takes the norms for constants, so they are kept while A and B
 * move. */
static void keep_gains(float *gains[TENSORS_MOST], bool back)
{
  for (size_t i = 0; i < adapter->module_count; i++) {
    const cdl_tensor gain = adapter->modules[i]->delta.gain.value;
    if (!cdl_tensor_present(gain))
      return;
    if (back)
      write_values(gain, gains[i]);
    else {
      gains[i] = memory_for(gain);
      read_values(gain, gains[i]);
    }
  }
}

/* The loss where a parameter has moved by `distance` along a direction. */
static double loss_along(const encoder_parameter *p, const float *start_values,
                         const float *direction, double distance, float *gains[TENSORS_MOST])
{
  float *moved = memory_for(p->value);
  for (int64_t i = 0; i < cdl_tensor_elements(p->value); i++)
    moved[i] = (float)((double)start_values[i] + distance * (double)direction[i]);
  write_values(p->value, moved);
  free(moved);
  adapter_materialize(adapter, queue);
  encoder_weights_changed(encoder, queue, true);
  if (strstr(p->name, "magnitude") == NULL)
    keep_gains(gains, true);
  const double loss = loss_of_present_values();
  write_values(p->value, start_values);
  return loss;
}

/* The slope along the gradient is the gradient's norm. False where it is too small to be told from
 * rounding. */
static bool check_slope(const form *f, const encoder_parameter *p, float *gains[TENSORS_MOST])
{
  const double step = 0.01, least = 0.02;
  float *values = memory_for(p->value), *direction = memory_for(p->value);
  double norm = 0;
  read_values(p->value, values);
  read_values(p->gradient, direction);
  for (int64_t i = 0; i < cdl_tensor_elements(p->value); i++)
    norm += (double)direction[i] * (double)direction[i];
  norm = sqrt(norm);
  if (norm <= least) {
    free(values);
    free(direction);
    return false;
  }
  for (int64_t i = 0; i < cdl_tensor_elements(p->value); i++)
    direction[i] = (float)((double)direction[i] / norm);
  const double slope = (loss_along(p, values, direction, step, gains) -
                        loss_along(p, values, direction, -step, gains)) /
                       (2 * step);
  ck_assert_msg(fabs(slope - norm) <= 0.01 * norm + 5e-4, "%s: %s: slope %g, gradient of norm %g",
                f->title, p->name, slope, norm);
  free(values);
  free(direction);
  return true;
}

static const form forms[] = {
    {"lora", "lora", {"query", "value", "dense"}, .dropout = 0.2},
    {"condlora", "condlora", {"query", "value", "dense"}, .dropout = 0.2},
    {"condlora, reference", "condlora", {"query", "value"}, .reference = true},
    {"condlora, random",
     "condlora",
     {"query", "dense"},
     .dropout = 0.2,
     .options = {{"condition", 1}}},
    {"condlora, random, reference, dora",
     "condlora",
     {"query", "value"},
     .reference = true,
     .options = {{"condition", 1}, {"use_dora", 1}}},
    {"condlora, permuted", "condlora", {"query", "dense"}, .options = {{"condition", 2}}},
    {"condlora, permuted, reference, type1",
     "condlora",
     {"query", "value"},
     .dropout = 0.2,
     .reference = true,
     .options = {{"condition", 2}, {"use_x", 1}}},
    {"condlora, gates", "condlora", {"query", "dense"}, .dropout = 0.2, .options = {{"gates", 1}}},
    {"condlora, gates, reference, type1, random",
     "condlora",
     {"query", "value"},
     .reference = true,
     .options = {{"gates", 1}, {"use_x", 1}, {"condition", 1}}},
    {"condlora, gates, dora, dylora",
     "condlora",
     {"query", "output.dense"},
     .options = {{"gates", 1}, {"use_dora", 1}, {"dylora_rank_min", 2}}},
    {"bitfit", "bitfit", .dropout = 0},
    {"full", "full", .dropout = 0},
    {"none", "none", .dropout = 0},
    {"dora", "lora", {"query", "value", "intermediate.dense"}, .options = {{"use_dora", 1}}},
    {"dora, dropout", "lora", {"query", "dense"}, .dropout = 0.3, .options = {{"use_dora", 1}}},
    {"condlora dora, dropout on the base",
     "condlora",
     {"query", "key"},
     .dropout = 0.3,
     .hits_base = true,
     .options = {{"use_dora", 1}}},
    {"condlora dora, type1",
     "condlora",
     {"value", "attention.output.dense"},
     .dropout = 0.2,
     .options = {{"use_dora", 1}, {"use_x", 1}}},
    {"type1",
     "condlora",
     {"query", "value"},
     .dropout = 0.2,
     .hits_base = true,
     .reference = true,
     .options = {{"use_x", 1}}},
    {"type2",
     "condlora",
     {"query", "value", "output.dense"},
     .options = {{"use_x", 2}, {"x_scaling", 0.1}}},
    {"type2, dropout",
     "condlora",
     {"query", "attention.output.dense"},
     .dropout = 0.2,
     .options = {{"use_x", 2}, {"x_scaling", 0.1}}},
    {"type2, dropout on the base",
     "condlora",
     {"value", "output.dense"},
     .dropout = 0.2,
     .hits_base = true,
     .options = {{"use_x", 2}, {"x_scaling", 0.1}}},
    {"dylora", "lora", {"query", "value"}, .dropout = 0.1, .options = {{"dylora_rank_min", 2}}},
    {"dylora, frozen",
     "lora",
     {"query", "value"},
     .options = {{"dylora_rank_min", 1}, {"dylora_frozen", 1}}},
    {"condlora dylora", "condlora", {"query", "output.dense"}, .options = {{"dylora_rank_min", 2}}},
    {"condlora dylora, frozen, type1",
     "condlora",
     {"query", "value"},
     .options = {{"dylora_rank_min", 1}, {"dylora_frozen", 1}, {"use_x", 1}}},
    {"dylora and dora",
     "lora",
     {"query", "value"},
     .options = {{"use_dora", 1}, {"dylora_rank_min", 2}}},
    /* R begins with a deviation of 1e-5. */
    {"lora-xs",
     "lora-xs",
     {"query", "value", "dense"},
     .dropout = 0.2,
     .moved = 0.4,
     .begins = 3e-4},
    {"shared", "shared", {"query", "value", "dense"}, .dropout = 0.2},
    {"vera", "vera", {"query", "value", "dense"}, .moved = 0.4},
    {"vera, dropout",
     "vera",
     {"query", "output.dense"},
     .options = {{"d_initial", 1}, {"projection_prng_key", 3}},
     .dropout = 0.2,
     .moved = 0.4},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

START_TEST(gradients_are_slopes_of_the_loss)
{
  const form *f = &forms[_i];
  const cdl_step_record record = {.loss_scale = 1, .step = 6, .seed = {42, 0}};
  float *gains[TENSORS_MOST] = {NULL};
  start();
  make_encoder(12, 3);
  make_moved_adapter(f);
  cdl_queue_upload(queue, step_tensor(), &record, sizeof record);
  ok(adapter_begin_step(adapter, queue, &record));
  adapter_materialize(adapter, queue);
  adapter_zero_gradients(adapter, queue);
  (void)loss_of_present_values();
  write_values(encoder_d_logits(encoder), weights_of_logits);
  encoder_backward(encoder, queue);
  adapter_pull_back(adapter, queue);
  ok(cdl_queue_sync(queue));
  keep_gains(gains, false);
  size_t told = 0;
  for (size_t i = 0; i < adapter->trained_count; i++) {
    const bool large = check_slope(f, adapter_parameter(adapter, i), gains);
    told += large;
    ck_assert_msg(large || i >= adapter->own_count, "%s: %s: hardly a gradient", f->title,
                  adapter->own_parameters[i].name);
  }
  /* Of the model's own, biases of keys have none: softmax takes no note of them. */
  ck_assert_uint_gt(told, adapter->trained_count * 2 / 3);
  for (size_t i = 0; i < TENSORS_MOST; i++)
    free(gains[i]);
  stop();
}
END_TEST

/* ---- Merging, initial values ---- */

static void check_same(const char *title, const float *a, const float *b, double tolerance)
{
  for (int i = 0; i < LOGITS; i++)
    ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= tolerance * fmax(1, fabs((double)b[i])),
                  "%s: logit %d is %g, not %g", title, i, (double)a[i], (double)b[i]);
}

START_TEST(merged_weights_give_the_same_logits)
{
  const form *f = &forms[_i];
  float apart[LOGITS], merged[LOGITS], again[LOGITS];
  start();
  make_encoder(12, 3);
  make_moved_adapter(f);
  adapter_materialize(adapter, queue);
  evaluate(apart);
  ok(encoder_merge(encoder, queue));
  evaluate(merged);
  check_same(f->title, merged, apart, 2e-5);
  encoder_unmerge(encoder, queue);
  evaluate(again);
  ck_assert_mem_eq(again, apart, sizeof apart);
  /* Only type2 adds what depends on more than the token itself. */
  ck_assert_int_eq(encoder_merges_whole(encoder), strncmp(f->title, "type2", 5) != 0);
  stop();
}
END_TEST

START_TEST(training_begins_at_the_model)
{
  const form *f = &forms[_i];
  float bare[LOGITS], adapted[LOGITS];
  start();
  make_encoder(12, 3);
  make_moved_adapter(f);
  ok(adapter_initialize(adapter, queue, 3));
  adapter_materialize(adapter, queue);
  evaluate(adapted);
  encoder_delta kept[TENSORS_MOST];
  for (size_t i = 0; i < adapter->module_count; i++) {
    kept[i] = adapter->modules[i]->delta;
    adapter->modules[i]->delta = (encoder_delta){0};
  }
  evaluate(bare);
  for (size_t i = 0; i < adapter->module_count; i++)
    adapter->modules[i]->delta = kept[i];
  check_same(f->title, adapted, bare, f->begins > 0 ? f->begins : 1e-5);
  stop();
}
END_TEST

/* ---- DyLoRA ---- */

START_TEST(every_rank_of_the_range_is_drawn)
{
  static const form f = {"dylora", "lora", {"query", "value"}, .options = {{"dylora_rank_min", 2}}};
  int drawn[RANK + 1] = {0};
  start();
  make_encoder(12, 1);
  ok(make_adapter(&f));
  ck_assert(adapter_varies(adapter));
  for (uint32_t step = 0; step < 300; step++) {
    const cdl_step_record record = {.step = step, .seed = {9, 1}};
    ok(adapter_begin_step(adapter, queue, &record));
    const int64_t rank = adapter->rank_in_use;
    ck_assert_int_ge(rank, 2);
    ck_assert_int_le(rank, RANK);
    drawn[rank]++;
    ok(adapter_begin_step(adapter, queue, &record));
    ck_assert_int_eq(adapter->rank_in_use, rank);
  }
  for (int rank = 2; rank <= RANK; rank++)
    ck_assert_int_gt(drawn[rank], 60); /* of 100 expected, deviation 8 */
  stop();
}
END_TEST

/* With rank b: A's other rows gone, and the scale of rank b. */
START_TEST(a_lower_rank_leaves_the_other_rows_out)
{
  static const form f = {"dylora", "lora", {"query", "value"}, .options = {{"dylora_rank_min", 1}}};
  const int rank = _i;
  float lower[LOGITS], cut[LOGITS];
  start();
  make_encoder(12, 3);
  make_moved_adapter(&f);
  ok(adapter_use_rank(adapter, queue, rank));
  evaluate(lower);
  ok(adapter_use_rank(adapter, queue, RANK));
  for (size_t i = 0; i < adapter->own_count; i += 2) {
    const cdl_tensor a = adapter->own_parameters[i].value;
    float *values = memory_for(a);
    read_values(a, values);
    for (int64_t j = 0; j < cdl_tensor_elements(a); j++)
      values[j] = j / a.size[3] < rank ? values[j] * RANK / (float)rank : 0;
    write_values(a, values);
    free(values);
  }
  adapter_materialize(adapter, queue);
  evaluate(cut);
  check_same("lower rank", lower, cut, 1e-5);
  stop();
}
END_TEST

/* Of the rank drawn only the last row of A and column of B have a gradient. */
START_TEST(frozen_rows_have_no_gradient)
{
  static const form f = {.title = "frozen",
                         .method = "lora",
                         .targets = {"query"},
                         .options = {{"dylora_rank_min", 1}, {"dylora_frozen", 1}}};
  const cdl_step_record record = {.loss_scale = 1, .step = 4, .seed = {1, 0}};
  start();
  make_encoder(12, 2);
  make_moved_adapter(&f);
  cdl_queue_upload(queue, step_tensor(), &record, sizeof record);
  ok(adapter_begin_step(adapter, queue, &record));
  const int64_t last = adapter->rank_in_use - 1;
  ck_assert_int_ge(last, 1);
  adapter_zero_gradients(adapter, queue);
  (void)loss_of_present_values();
  write_values(encoder_d_logits(encoder), weights_of_logits);
  encoder_backward(encoder, queue);
  adapter_pull_back(adapter, queue);
  for (size_t i = 0; i < adapter->own_count; i++) {
    const cdl_tensor g = adapter->own_parameters[i].gradient;
    float *values = memory_for(g);
    read_values(g, values);
    for (int64_t j = 0; j < cdl_tensor_elements(g); j++) {
      const int64_t of_rank = i % 2 == 0 ? j / g.size[3] : j % g.size[3];
      ck_assert_int_eq(values[j] != 0, of_rank == last);
    }
    free(values);
  }
  stop();
}
END_TEST

/* ---- DoRA ---- */

/* s (B A)[row, column] */
static double change(const encoder_low_rank_term *d, const float *a, const float *b, int64_t row,
                     int64_t column)
{
  double sum = 0;
  for (int64_t r = 0; r < RANK; r++)
    sum += (double)b[row * RANK + r] * (double)a[r * d->a.size[3] + column];
  return (double)d->scale * sum;
}

/* g = m / ‖W + s B A‖, row by row. */
START_TEST(gains_are_magnitudes_over_norms)
{
  static const form f = {.title = "dora",
                         .method = "lora",
                         .targets = {"query", "output.dense"},
                         .options = {{"use_dora", 1}}};
  start();
  make_encoder(12, 2);
  make_moved_adapter(&f);
  adapter_materialize(adapter, queue);
  for (size_t i = 0; i < adapter->module_count; i++) {
    const encoder_module *module = adapter->modules[i];
    const cdl_tensor magnitude = adapter->own_parameters[2 * adapter->module_count + i].value;
    float *w = memory_for(module->weight), *a = memory_for(module->delta.low_rank.a),
          *b = memory_for(module->delta.low_rank.b), *m = memory_for(magnitude),
          *g = memory_for(magnitude);
    read_values(module->weight, w);
    read_values(module->delta.low_rank.a, a);
    read_values(module->delta.low_rank.b, b);
    read_values(magnitude, m);
    read_values(module->delta.gain.value, g);
    for (int64_t row = 0; row < module->weight.size[2]; row++) {
      double square = 0;
      for (int64_t column = 0; column < module->weight.size[3]; column++) {
        const double v = (double)w[row * module->weight.size[3] + column] +
                         change(&module->delta.low_rank, a, b, row, column);
        square += v * v;
      }
      ck_assert_double_eq_tol((double)g[row], (double)m[row] / sqrt(square), 1e-5);
    }
    free(w);
    free(a);
    free(b);
    free(m);
    free(g);
  }
  stop();
}
END_TEST

/* ---- What CondLoRA's layers are applied to ---- */

static const encoder_module *adapted(size_t group, int layer, size_t layers)
{
  return adapter->modules[(size_t)layer * (adapter->module_count / layers) + group];
}

/* A_l = θA W_m and B_l = W_m θBᵀ, with m = l + ⌊n / 2⌋ among n layers, in float64. */
START_TEST(a_permuted_condition_is_another_layer_s_weight)
{
  static const form f = {.title = "permuted",
                         .method = "condlora",
                         .targets = {"output.dense"},
                         .options = {{"condition", 2}}};
  enum { LAYERS = 5, KINDS = 2 };
  start();
  make_encoder(12, LAYERS);
  make_moved_adapter(&f);
  adapter_materialize(adapter, queue);
  for (int layer = 0; layer < LAYERS; layer++)
    for (size_t kind = 0; kind < KINDS; kind++) {
      const encoder_module *module = adapted(kind, layer, LAYERS),
                           *other = adapted(kind, (layer + LAYERS / 2) % LAYERS, LAYERS);
      const int64_t out = module->weight.size[2], in = module->weight.size[3];
      float *w = values_of(other->weight), *a = values_of(module->delta.low_rank.a),
            *b = values_of(module->delta.low_rank.b),
            *theta_a = values_of(adapter->own_parameters[2 * kind].value),
            *theta_b = values_of(adapter->own_parameters[2 * kind + 1].value);
      for (int64_t r = 0; r < RANK; r++) {
        for (int64_t i = 0; i < in; i++) {
          double sum = 0;
          for (int64_t o = 0; o < out; o++)
            sum += (double)theta_a[r * out + o] * (double)w[o * in + i];
          ck_assert_double_eq_tol((double)a[r * in + i], sum, 1e-5);
        }
        for (int64_t o = 0; o < out; o++) {
          double sum = 0;
          for (int64_t i = 0; i < in; i++)
            sum += (double)w[o * in + i] * (double)theta_b[r * in + i];
          ck_assert_double_eq_tol((double)b[o * RANK + r], sum, 1e-5);
        }
      }
      free(w);
      free(a);
      free(b);
      free(theta_a);
      free(theta_b);
    }
  stop();
}
END_TEST

/* The singular values of a matrix, by LAPACK on the CPU. */
static void singular_values(const float *values, int64_t rows, int64_t columns, float *sigma)
{
  cdl_backend *cpu;
  cdl_queue *q;
  cdl_buffer *buffer;
  const int64_t elements = rows * columns, least = rows < columns ? rows : columns;
  ok(cdl_backend_open("cpu", NULL, &cpu));
  ok(cdl_queue_create(cpu, &q));
  ok(cdl_buffer_create(cpu, (size_t)(elements + least) * sizeof(float), &buffer));
  const cdl_tensor m = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, rows, columns),
                   s = cdl_tensor_1d(buffer, CDL_DTYPE_F32, elements, least);
  cdl_queue_upload(q, m, values, (size_t)elements * sizeof *values);
  cdl_svd(q, CDL_ARGS(svd, .sigma = s, .a = m));
  cdl_queue_download(q, sigma, s, (size_t)least * sizeof *sigma);
  ok(cdl_queue_sync(q));
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(q);
  ok(cdl_backend_close(cpu));
}

static double cosine(const float *x, const float *y, int64_t count)
{
  double xy = 0, xx = 0, yy = 0;
  for (int64_t i = 0; i < count; i++) {
    xy += (double)x[i] * (double)y[i];
    xx += (double)x[i] * (double)x[i];
    yy += (double)y[i] * (double)y[i];
  }
  return xy / sqrt(xx * yy);
}

/* Drawn from the seed for each layer, whatever else is adapted; neither the weight nor another
 * layer's. */
START_TEST(a_random_condition_has_the_weight_s_singular_values)
{
  static const form both = {.title = "random",
                            .method = "condlora",
                            .targets = {"value", "intermediate.dense"},
                            .options = {{"condition", 1}}},
                    alone = {.title = "random",
                             .method = "condlora",
                             .targets = {"intermediate.dense"},
                             .options = {{"condition", 1}}};
  enum { LAYERS = 2, WIDE = 17 };
  float *drawn[2][LAYERS], sigma[WIDE], of_weight[WIDE];
  start();
  make_encoder(12, LAYERS);
  ok(make_adapter(&both));
  ok(adapter_initialize(adapter, queue, 3));
  for (size_t r = 0; r < 2; r++)
    for (int layer = 0; layer < LAYERS; layer++) {
      const layer_batch *run = &adapter->runs[r];
      const int64_t rows = run->weights.size[2], columns = run->weights.size[3];
      const cdl_tensor matrix = adapter_of_layer(run->weights, layer);
      float *weight = values_of(run->modules[layer]->weight);
      drawn[r][layer] = values_of(matrix);
      ck_assert_double_lt(fabs(cosine(weight, drawn[r][layer], rows * columns)), 0.4);
      singular_values(weight, rows, columns, of_weight);
      singular_values(drawn[r][layer], rows, columns, sigma);
      for (int64_t i = 0; i < (rows < columns ? rows : columns); i++)
        ck_assert_double_eq_tol((double)sigma[i], (double)of_weight[i], 2e-6);
      free(weight);
    }
  ck_assert_double_lt(fabs(cosine(drawn[1][0], drawn[1][1], 12 * WIDE)), 0.4);
  adapter_destroy(adapter);
  for (uint64_t seed = 3; seed < 5; seed++) {
    ok(make_adapter(&alone));
    ok(adapter_initialize(adapter, queue, seed));
    for (int layer = 0; layer < LAYERS; layer++) {
      float *again = values_of(adapter_of_layer(adapter->runs[0].weights, layer));
      ck_assert_int_eq(memcmp(again, drawn[1][layer], 12 * WIDE * sizeof *again) == 0, seed == 3);
      free(again);
    }
    adapter_destroy(adapter);
  }
  adapter = NULL;
  for (int i = 0; i < 2 * LAYERS; i++)
    free(drawn[i / LAYERS][i % LAYERS]);
  stop();
}
END_TEST

/* ---- LoRA-XS ---- */

/* Row r of A times row s of A, or column r of B times column s of B. */
static double inner(const float *x, int64_t step, int64_t r_offset, int64_t s_offset, int64_t count)
{
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += (double)x[r_offset + i * step] * (double)x[s_offset + i * step];
  return sum;
}

/* With W = U Σ Vᵀ: B = U_r has orthonormal columns, A = Bᵀ W, and A's rows are orthogonal with the
 * largest singular values for lengths: so they are Σ_r V_rᵀ. All in float64. */
static void check_singular_pair(size_t module)
{
  const cdl_tensor weight = adapter->modules[module]->weight;
  const int64_t out = weight.size[2], in = weight.size[3];
  float *w = values_of(weight), *a = values_of(adapter->frozen[2 * module].value),
        *b = values_of(adapter->frozen[2 * module + 1].value), sigma[17];
  singular_values(w, out, in, sigma);
  for (int64_t r = 0; r < RANK; r++) {
    float largest = 0;
    for (int64_t s = 0; s < RANK; s++) {
      ck_assert_double_eq_tol(inner(b, RANK, r, s, out), r == s, 1e-5);
      ck_assert_double_eq_tol(inner(a, 1, r * in, s * in, in),
                              r == s ? (double)sigma[r] * (double)sigma[r] : 0, 1e-5);
    }
    for (int64_t i = 0; i < in; i++) {
      double sum = 0;
      for (int64_t o = 0; o < out; o++)
        sum += (double)b[o * RANK + r] * (double)w[o * in + i];
      ck_assert_double_eq_tol((double)a[r * in + i], sum, 1e-5);
      largest = fabsf(a[r * in + i]) > fabsf(largest) ? a[r * in + i] : largest;
    }
    ck_assert_double_gt((double)largest, 0); /* the sign that a pair of vectors is given */
  }
  free(w);
  free(a);
  free(b);
}

START_TEST(frozen_pairs_are_the_largest_singular_vectors)
{
  static const form f = {.title = "lora-xs",
                         .method = "lora-xs",
                         .targets = {"query", "intermediate.dense", "output.dense"}};
  start();
  make_encoder(12, 2);
  ok(make_adapter(&f));
  ok(adapter_initialize(adapter, queue, 3));
  ck_assert_uint_eq(adapter->frozen_count, 2 * adapter->module_count);
  for (size_t i = 0; i < adapter->module_count; i++)
    check_singular_pair(i);
  stop();
}
END_TEST

/* ---- Counting and refusing ---- */

START_TEST(conditioning_costs_what_the_paper_s_code_prints)
{
  static const struct {
    double use_x, gates;
    int64_t numbers;
  } counted[] = {{0, 0, 24576}, {1, 0, 30720}, {2, 0, 25344}, {0, 1, 24576 + 2 * 8}};
  const char *const targets[] = {"query", "value"};
  start();
  make_encoder(768, 1);
  for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
    adapter_settings s = {.method = "condlora",
                          .rank = 8,
                          .alpha = 8,
                          .orientation = ADAPTER_ORIENTATION_REFERENCE,
                          .targets = {(char **)(uintptr_t)targets, 2}};
    fill_options(
        "condlora",
        (named_option[NAMED_OPTIONS]){{"use_x", counted[i].use_x}, {"gates", counted[i].gates}},
        s.options);
    int64_t of_adapter, of_head;
    ok(adapter_create(queue, encoder, &s, &adapter));
    adapter_trainable_parameters(adapter, &of_adapter, &of_head);
    ck_assert_int_eq(of_adapter, counted[i].numbers);
    adapter_destroy(adapter);
    adapter = NULL;
  }
  stop();
}
END_TEST

START_TEST(contradictions_are_refused)
{
  static const struct {
    form form;
    const char *named;
  } refused[] = {
      {{"", "lora", {"query"}, .options = {{"dylora_rank_min", RANK + 1}}}, "dylora_rank_min"},
      {{"", "lora", {"query"}, .options = {{"dylora_frozen", 1}}}, "dylora_frozen"},
      {{"", "condlora", {"query"}, .options = {{"x_scaling", 0.25}}}, "x_scaling"},
      {{"", "condlora", {"query"}, .options = {{"use_dora", 1}, {"use_x", 2}}}, "use_dora"},
      {{"", "condlora", {"query", "output.dense"}, .options = {{"use_x", 1}}}, "output.dense"},
      {{"", "condlora", {"query", "intermediate.dense"}, .options = {{"use_x", 2}}},
       "intermediate.dense"},
  };
  start();
  make_encoder(12, 2);
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    ck_assert_int_eq(make_adapter(&refused[i].form), CDL_STATUS_USAGE);
    ck_assert_msg(strstr(cdl_error_message(), refused[i].named) != NULL, "%s", cdl_error_message());
  }
  static const form plain = {.title = "", .method = "lora", .targets = {"query"}};
  ok(make_adapter(&plain));
  ck_assert_int_eq(adapter_use_rank(adapter, queue, 2), CDL_STATUS_USAGE);
  stop();
}
END_TEST

int main(int argc, char **argv)
{
  if (!take_backend(argc, argv))
    return 77;
  Suite *suite = suite_create("low-rank methods");
  TCase *slow = tcase_create("forms");
  tcase_set_timeout(slow, 120);
  tcase_add_loop_test(slow, gradients_are_slopes_of_the_loss, 0, FORMS);
  tcase_add_loop_test(slow, merged_weights_give_the_same_logits, 0, FORMS);
  tcase_add_loop_test(slow, training_begins_at_the_model, 0, FORMS);
  tcase_add_test(slow, every_rank_of_the_range_is_drawn);
  tcase_add_loop_test(slow, a_lower_rank_leaves_the_other_rows_out, 1, RANK + 1);
  tcase_add_test(slow, frozen_rows_have_no_gradient);
  tcase_add_test(slow, gains_are_magnitudes_over_norms);
  tcase_add_test(slow, a_permuted_condition_is_another_layer_s_weight);
  tcase_add_test(slow, a_random_condition_has_the_weight_s_singular_values);
  tcase_add_test(slow, frozen_pairs_are_the_largest_singular_vectors);
  tcase_add_test(slow, conditioning_costs_what_the_paper_s_code_prints);
  tcase_add_test(slow, contradictions_are_refused);
  suite_add_tcase(suite, slow);
  return run_suite(suite);
}
