/* What settings make of an adapter: which layers, their ranks and scales, initial values, rates,
 * biases; and the options of methods as settings. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "condlora/random.h"
#include "model/adapter/adapter.h"
#include "model/adapter/io.h"
#include "tests/run_suite.h"
#include "train/settings.h"

enum { HIDDEN = 12, INSIDE = 17, LAYERS = 3, RANK = 4, SITES_MOST = 4 * LAYERS };

static const char *const query_value[] = {"query", "value"};

static cdl_backend *backend;
static cdl_queue *queue;
static model_encoder *encoder;
static model_adapter *adapter;

static void ok(cdl_status status)
{
  ck_assert_msg(status == CDL_STATUS_OK, "%s", cdl_error_message());
}

static void refused(cdl_status status, const char *named)
{
  ck_assert_int_eq(status, CDL_STATUS_USAGE);
  ck_assert_msg(strstr(cdl_error_message(), named) != NULL, "%s", cdl_error_message());
}

static float *values_of(cdl_tensor t)
{
  float *values = calloc((size_t)cdl_tensor_elements(t) + 1, sizeof *values);
  ck_assert_ptr_nonnull(values);
  cdl_queue_download(queue, values, t, (size_t)cdl_tensor_elements(t) * sizeof *values);
  ok(cdl_queue_sync(queue));
  return values;
}

static void start(void)
{
  const model_config config = {.family = MODEL_FAMILY_BERT,
                               .vocabulary_size = 20,
                               .hidden_size = HIDDEN,
                               .layers = LAYERS,
                               .heads = 3,
                               .intermediate_size = INSIDE,
                               .position_count = 16,
                               .type_count = 2,
                               .layer_norm_epsilon = 1e-5,
                               .activation = CDL_ACTIVATION_GELU};
  ok(cdl_backend_open("cpu", NULL, &backend));
  ok(cdl_queue_create(backend, &queue));
  ok(encoder_create(queue, &config, 2, &encoder));
  for (size_t i = 0; i < encoder_parameter_count(encoder); i++) {
    const cdl_tensor t = encoder_parameters(encoder)[i].value;
    cdl_random random = cdl_random_start(7, CDL_RANDOM_TEST, (uint32_t)i, 0);
    float *values = values_of(t);
    for (int64_t k = 0; k < cdl_tensor_elements(t); k++)
      values[k] = (float)cdl_random_normal(&random);
    cdl_queue_upload(queue, t, values, (size_t)cdl_tensor_elements(t) * sizeof *values);
    free(values);
  }
  encoder_weights_changed(encoder, queue, false);
}

static void stop(void)
{
  adapter_destroy(adapter);
  encoder_destroy(encoder);
  cdl_queue_destroy(queue);
  ok(cdl_backend_close(backend));
  adapter = NULL;
}

/* Lists and texts of the tests, which settings only read. */
static base_list names_of(const char *const *list, size_t count)
{
  return (base_list){(char **)(uintptr_t)list, count};
}

static adapter_module_values patterns_of(const adapter_module_value *list, size_t count)
{
  return (adapter_module_values){(adapter_module_value *)(uintptr_t)list, count};
}

static char *text_of(const char *text)
{
  return (char *)(uintptr_t)text;
}

static adapter_settings lora(void)
{
  adapter_settings s = adapter_settings_of("lora");
  s.rank = RANK;
  s.alpha = 6;
  s.targets = names_of(query_value, 2);
  return s;
}

static cdl_status create(adapter_settings s)
{
  adapter_destroy(adapter);
  return adapter_create(queue, encoder, &s, &adapter);
}

static void expect_module(size_t index, const char *path, int64_t rank, double scale)
{
  const adapter_module m = adapter_module_at(adapter, index);
  ck_assert_str_eq(m.path, path);
  ck_assert_int_eq(m.rank, rank);
  ck_assert_msg(fabs(m.scale - scale) < 1e-6 * scale, "%s: scale %g, expected %g", path, m.scale,
                scale);
}

#define LAYER(l, rest) "bert.encoder.layer." #l "." rest

/* ---- Ranks and scales ---- */

START_TEST(the_first_pattern_that_matches_decides)
{
  const adapter_module_value ranks[] = {{"layer\\.1\\..*value", 2}, {"value", 5}, {"alue", 7}},
                             alphas[] = {{"self\\.(query|value)", 3}, {"query", 9}};
  adapter_settings s = lora();
  s.rank_pattern = patterns_of(ranks, 2);
  s.alpha_pattern = patterns_of(alphas, 1);
  ok(create(s));
  ck_assert_uint_eq(adapter_module_count(adapter), 2 * LAYERS);
  expect_module(0, LAYER(0, "attention.self.query"), 4, 3. / 4);
  expect_module(1, LAYER(0, "attention.self.value"), 5, 3. / 5);
  expect_module(3, LAYER(1, "attention.self.value"), 2, 3. / 2);
  s.rslora = true;
  ok(create(s));
  expect_module(3, LAYER(1, "attention.self.value"), 2, 3 / sqrt(2));
  s.alpha_pattern.item++; /* "query" alone */
  ok(create(s));
  expect_module(0, LAYER(0, "attention.self.query"), 4, 9 / sqrt(4));
  expect_module(1, LAYER(0, "attention.self.value"), 5, 6 / sqrt(5));
  /* A pattern matches from a dot on: "alue" is the end of no path's component. */
  s.rank_pattern = patterns_of(ranks + 2, 1);
  refused(create(s), "alue");
  s.ignore_unmatched = true;
  ok(create(s));
  expect_module(1, LAYER(0, "attention.self.value"), 4, 3);
}
END_TEST

START_TEST(layers_that_share_parameters_share_their_rank)
{
  const adapter_module_value by_layer[] = {{"layer\\.1\\..*", 2}}, by_kind[] = {{"value", 2}};
  adapter_settings s = lora();
  s.method = "condlora";
  s.rank_pattern = patterns_of(by_layer, 1);
  refused(create(s), "layer.1.attention.self.query");
  s.rank_pattern = patterns_of(by_kind, 1);
  ok(create(s));
  expect_module(0, LAYER(0, "attention.self.query"), 4, 1.5);
  expect_module(1, LAYER(0, "attention.self.value"), 2, 3);
  ck_assert_int_eq(adapter_parameter(adapter, 2)->value.size[2], 2);
}
END_TEST

/* ---- Which layers ---- */

START_TEST(layers_and_exclusions_narrow_the_targets)
{
  static const char *const named[] = {"dense", "query", LAYER(1, "attention.self.value")},
                           *const out[] = {"attention.output.dense", "pooler.dense"},
                           *const stray[] = {"nothing"}, *const names[] = {"block", "layer"};
  int64_t layers[] = {2, 0}, beyond[] = {LAYERS};
  adapter_settings s = lora();
  s.targets = names_of(named, 3);
  s.layers = layers;
  s.layer_count = 2;
  s.layers_pattern = names_of(names, 2);
  s.excluded = names_of(out, 1);
  ok(create(s));
  /* The pooler is in no layer; a whole path stays, whatever its layer. */
  static const char *const kept[] = {
      LAYER(0, "attention.self.query"), LAYER(0, "intermediate.dense"),
      LAYER(0, "output.dense"),         LAYER(1, "attention.self.value"),
      LAYER(2, "attention.self.query"), LAYER(2, "intermediate.dense"),
      LAYER(2, "output.dense")};
  ck_assert_uint_eq(adapter_module_count(adapter), 7);
  for (size_t i = 0; i < 7; i++)
    ck_assert_str_eq(adapter_module_at(adapter, i).path, kept[i]);

  s.excluded.count = 0;
  s.excluded_pattern = text_of(".*(self|intermediate).*");
  ok(create(s));
  ck_assert_uint_eq(adapter_module_count(adapter), 4); /* two dense layers of each */
  s.excluded_pattern = NULL;
  s.excluded = names_of(stray, 1);
  refused(create(s), "nothing");
  s.ignore_unmatched = true;
  ok(create(s));
  s.ignore_unmatched = false;
  s.excluded.count = 0;
  s.layers = beyond;
  s.layer_count = 1;
  refused(create(s), "no layer 3");
  s.layer_count = 0;
  refused(create(s), "layers pattern");
  s.layers_pattern.count = 0;
  s.layer_count = 1;
  s.target_pattern = text_of(".*query");
  refused(create(s), "numbers of layers");
  s.layer_count = 0;
  s.target_pattern = text_of("(");
  refused(create(s), "no regular expression");
}
END_TEST

/* What Python 3.11's re makes of each: re.match(r"(.*\.)?(…)$", path) on the paths of the model's
 * queries (flags in the expression's beginning are its own), or that it is an error (NULL), as are
 * POSIX's classes here. */
START_TEST(expressions_mean_what_they_mean_to_python)
{
  static const struct {
    const char *text;
    const char *matches; /* the layers; NULL: it is no expression */
  } cases[] = {
      {"query", "012"},
      {"uery", ""},
      {"1\\.attention\\.self\\.query", "1"},
      {"^query", ""},
      {"query$", "012"},
      {"\\Abert.*\\.2\\..*query\\Z", "2"},
      {"[02][.]attention.*", "02"},
      {"[^]0-1].attention.self.query", "2"},
      {"quer{,1}y{,3}", "012"},
      {"quer[{,1}y]*", "012"},
      {"(?x) query # the query", "012"},
      {"(?#with a ) in it", ""},
      {"(?#a remark)query", "012"},
      {"(?P<x>u)ery|(?P<y>q)uery", "012"},
      {"(?i:QUERY)", "012"},
      {"que(?=ry)ry(?<=query)(?!.)", "012"},
      {"(?>q|qu)uery", "012"},
      {"query)(?:", NULL},
      {"query)|(", NULL},
      {"(query", NULL},
      {"\\Qquery", NULL},
      {"\\Qquery\\E", NULL},
      {"q\\Kuery", NULL},
      {"\\p{L}+", NULL},
      {"(*ANYCRLF)query", NULL},
      {"quer(*ACCEPT)x", NULL},
      {"q(*COMMIT)uery", NULL},
      {"(?R)?query", NULL},
      {"(?1)(query)", NULL},
      {"(?<x>query)", NULL},
      {"(?|query)", NULL},
      {"[[:alpha:]]+", NULL},
      {"que\\", NULL},
      {"que[", NULL},
      {"\\x7", NULL},
      {"\\x71uery", "012"},
  };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    const adapter_module_value ranks[] = {{cases[c].text, 2}};
    adapter_settings s = lora();
    s.rank_pattern = patterns_of(ranks, 1);
    s.targets.count = 1; /* query */
    s.ignore_unmatched = true;
    if (cases[c].matches == NULL) {
      refused(create(s), cases[c].text);
      ck_assert(strstr(cdl_error_message(), "no regular expression") != NULL);
      continue;
    }
    ok(create(s));
    for (size_t l = 0; l < LAYERS; l++) {
      const bool matches = strchr(cases[c].matches, (int)('0' + l)) != NULL;
      ck_assert_msg((adapter_module_at(adapter, l).rank == 2) == matches, "'%s' and layer %zu",
                    cases[c].text, l);
    }
  }
}
END_TEST

/* Nested stars take more steps than there are, on every path; that is not "does not match". */
START_TEST(an_expression_that_takes_too_long_is_an_error)
{
  static const char stars[] = "(?:[a-z.]*)*(?:[a-z.0-9]*)*(?:[a-z.]+)*Zy";
  const adapter_module_value values[] = {{stars, 2}};
  static const char *const layers_pattern[] = {stars};
  int64_t layer[] = {0};
  for (int place = 0; place < 5; place++) {
    adapter_settings s = lora();
    s.ignore_unmatched = place != 1;
    if (place == 0)
      s.rank_pattern = patterns_of(values, 1);
    if (place == 1)
      s.alpha_pattern = patterns_of(values, 1);
    if (place == 2)
      s.target_pattern = text_of(stars), s.targets.count = 0;
    if (place == 3)
      s.layers = layer, s.layer_count = 1, s.layers_pattern = names_of(layers_pattern, 1);
    if (place == 4)
      s.excluded_pattern = text_of(stars);
    refused(create(s), stars);
    ck_assert_msg(strstr(cdl_error_message(), "takes too long") != NULL, "%s", cdl_error_message());
  }
}
END_TEST

/* ---- Initial values ---- */

START_TEST(gaussian_values_have_deviation_one_over_rank)
{
  adapter_settings s = lora();
  s.init = ADAPTER_INIT_GAUSSIAN;
  ok(create(s));
  ok(adapter_initialize(adapter, queue, 11));
  double sum = 0, squares = 0, count = 0;
  for (size_t i = 0; i < 4 * LAYERS; i++) {
    const cdl_tensor t = adapter_parameter(adapter, i)->value;
    float *values = values_of(t);
    for (int64_t k = 0; k < cdl_tensor_elements(t); k++)
      if (i % 2 == 1)
        ck_assert(values[k] == 0);
      else {
        sum += (double)values[k];
        squares += (double)values[k] * (double)values[k];
        count++;
      }
    free(values);
  }
  /* 288 values: five standard errors of a mean and of a deviation. */
  ck_assert(fabs(sum / count) < 5 / (RANK * sqrt(count)));
  ck_assert(fabs(sqrt(squares / count) * RANK - 1) < 5 / sqrt(2 * count));
}
END_TEST

/* A weight before and after its part s B A was taken off. */
typedef struct {
  int64_t out, in;
  double scale;
  float *before, *after, *a, *b;
} parted;

static double product(const parted *p, int64_t i, int64_t j)
{
  double sum = 0;
  for (int64_t r = 0; r < RANK; r++)
    sum += (double)p->b[i * RANK + r] * (double)p->a[r * p->in + j];
  return sum;
}

/* The largest singular value of what is left, by powers of WᵀW. */
static double norm_of_rest(const parted *p)
{
  double v[INSIDE], u[INSIDE], norm = 0;
  for (int64_t j = 0; j < p->in; j++)
    v[j] = 1 + (double)j / 10;
  for (int round = 0; round < 500; round++) {
    double squares = 0;
    for (int64_t i = 0; i < p->out; i++) {
      u[i] = 0;
      for (int64_t j = 0; j < p->in; j++)
        u[i] += (double)p->after[i * p->in + j] * v[j];
    }
    for (int64_t j = 0; j < p->in; j++) {
      v[j] = 0;
      for (int64_t i = 0; i < p->out; i++)
        v[j] += (double)p->after[i * p->in + j] * u[i];
      squares += v[j] * v[j];
    }
    norm = sqrt(squares);
    for (int64_t j = 0; j < p->in; j++)
      v[j] /= norm;
  }
  return sqrt(norm);
}

/* (Bᵀ W)[r, j] of what is left. */
static double against_b(const parted *p, int64_t r, int64_t j)
{
  double sum = 0;
  for (int64_t i = 0; i < p->out; i++)
    sum += (double)p->b[i * RANK + r] * (double)p->after[i * p->in + j];
  return sum;
}

/* The best approximation of rank r leaves nothing in its own directions, and no direction as long
 * as its shortest (Eckart and Young 1936). σ_r = s ‖a_r‖². */
static void check_pissa(const parted *p)
{
  double shortest = 0;
  for (int64_t j = 0; j < p->in; j++)
    shortest += p->scale * pow((double)p->a[(RANK - 1) * p->in + j], 2);
  ck_assert(norm_of_rest(p) <= shortest * (1 + 1e-5));
  for (int64_t r = 0; r < RANK; r++) {
    double in_a = 0;
    for (int64_t j = 0; j < p->in; j++) {
      ck_assert(fabs(against_b(p, r, j)) < 1e-4);
      in_a += (double)p->after[j] * (double)p->a[r * p->in + j]; /* the first row's */
    }
    ck_assert(fabs(in_a) < 1e-4);
  }
}

/* Orthonormal columns, A upper triangular, and B Bᵀ W = B A: of W, s times that is gone. */
static void check_olora(const parted *p)
{
  for (int64_t r = 0; r < RANK; r++) {
    for (int64_t q = 0; q < RANK; q++) {
      double dot = 0;
      for (int64_t i = 0; i < p->out; i++)
        dot += (double)p->b[i * RANK + r] * (double)p->b[i * RANK + q];
      ck_assert(fabs(dot - (q == r)) < 1e-5);
    }
    for (int64_t j = 0; j < p->in; j++) {
      const double a = (double)p->a[r * p->in + j];
      ck_assert(j >= r || a == 0);
      ck_assert(fabs(against_b(p, r, j) - (1 - p->scale) * a) < 1e-4);
    }
  }
}

static void check_parts(adapter_init init)
{
  static const char *const targets[] = {"query", "intermediate.dense", "output.dense"};
  adapter_settings s = lora();
  s.targets = names_of(targets, 3);
  s.init = init;
  ok(create(s));
  float *before[SITES_MOST];
  const size_t count = adapter_module_count(adapter);
  encoder_module *modules[SITES_MOST];
  size_t used = 0;
  for (size_t i = 0; i < encoder_module_count(encoder); i++)
    if (cdl_tensor_present(encoder_modules(encoder)[i].delta.low_rank.a) && used < SITES_MOST)
      modules[used++] = &encoder_modules(encoder)[i];
  ck_assert_uint_eq(used, count);
  ck_assert_uint_eq(used, SITES_MOST); /* "output.dense" is attention.output.dense's end too */
  for (size_t i = 0; i < count; i++)
    before[i] = values_of(modules[i]->weight);
  ok(adapter_initialize(adapter, queue, 1));
  for (size_t i = 0; i < count; i++) {
    parted p = {.out = modules[i]->weight.size[2],
                .in = modules[i]->weight.size[3],
                .scale = adapter_module_at(adapter, i).scale,
                .before = before[i],
                .after = values_of(modules[i]->weight),
                .a = values_of(modules[i]->delta.low_rank.a),
                .b = values_of(modules[i]->delta.low_rank.b)};
    for (int64_t k = 0; k < p.out * p.in; k++)
      ck_assert(fabs((double)p.after[k] + p.scale * product(&p, k / p.in, k % p.in) -
                     (double)p.before[k]) < 2e-5);
    if (init == ADAPTER_INIT_PISSA)
      check_pissa(&p);
    else
      check_olora(&p);
    free(p.before);
    free(p.after);
    free(p.a);
    free(p.b);
  }
}

START_TEST(pissa_takes_off_the_best_approximation)
{
  check_parts(ADAPTER_INIT_PISSA);
}
END_TEST

START_TEST(olora_takes_off_columns_of_q_and_rows_of_r)
{
  check_parts(ADAPTER_INIT_OLORA);
}
END_TEST

START_TEST(initial_values_that_cannot_be)
{
  adapter_settings s = lora();
  s.init = ADAPTER_INIT_PISSA;
  s.rank = HIDDEN + 1;
  ok(create(s));
  refused(adapter_initialize(adapter, queue, 1), "have no rank 13");
  s = lora();
  s.method = "condlora";
  s.init = ADAPTER_INIT_PISSA;
  refused(create(s), "pissa");
}
END_TEST

/* ---- Rates and biases ---- */

static const encoder_parameter *named(const char *name)
{
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++)
    if (strcmp(adapter_parameter(adapter, i)->name, name) == 0)
      return adapter_parameter(adapter, i);
  return NULL;
}

START_TEST(lora_plus_speeds_up_b_and_vectors)
{
  adapter_settings s = lora();
  s.lora_plus_ratio = 16;
  ok(create(s));
  ck_assert(named(LAYER(0, "attention.self.query.lora_A.weight"))->lr_scale == 1);
  ck_assert(named(LAYER(0, "attention.self.query.lora_B.weight"))->lr_scale == 16);
  ck_assert(named("classifier.weight")->lr_scale == 1 && named("classifier.bias")->lr_scale == 16);
  ok(create(lora())); /* the head's rates are as they were */
  ck_assert(named("classifier.bias")->lr_scale == 1);
}
END_TEST

START_TEST(biases_are_trained_and_named_as_peft_names_them)
{
  static const char own[] = LAYER(2, "attention.self.value.bias"),
                    other[] = LAYER(2, "output.dense.bias"),
                    norm[] = LAYER(2, "output.LayerNorm.bias");
  adapter_settings s = lora();
  ok(create(s));
  ck_assert_ptr_null(named(own));
  s.bias = ADAPTER_BIAS_ADAPTED;
  ok(create(s));
  ck_assert(named(own) != NULL && named(other) == NULL && named(norm) == NULL);
  char name[200];
  adapter_name_in_file(adapter, named(own), name, sizeof name);
  ck_assert_str_eq(name, "base_model.model." LAYER(2, "attention.self.value.base_layer.bias"));
  s.bias = ADAPTER_BIAS_ALL;
  ok(create(s));
  ck_assert(named(own) != NULL && named(other) != NULL && named(norm) != NULL);
  adapter_name_in_file(adapter, named(other), name, sizeof name);
  ck_assert_str_eq(name, "base_model.model." LAYER(2, "output.dense.bias"));
}
END_TEST

/* ---- Options of methods ---- */

static bool same_option(const base_option *a, const base_option *b)
{
  const bool same_words =
      a->kind != BASE_OPTION_CHOICE || strcmp(a->placeholder, b->placeholder) == 0;
  const char *key_a = a->key != NULL ? a->key : a->name, *key_b = b->key != NULL ? b->key : b->name;
  return a->kind == b->kind && a->default_value == b->default_value && a->low == b->low &&
         a->high == b->high && same_words && strcmp(key_a, key_b) == 0;
}

START_TEST(methods_agree_on_the_options_they_share)
{
  size_t listed = 0, count;
  const base_option *list = train_setting_list(&listed);
  ck_assert_uint_lt(listed, TRAIN_SETTINGS_MAX);
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    const base_option *options = adapter_options(*m, &count);
    ck_assert_uint_le(count, ADAPTER_OPTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
      size_t found = 0;
      for (size_t l = 0; l < listed; l++)
        if (list[l].kind != BASE_OPTION_SECTION && strcmp(list[l].name, options[i].name) == 0) {
          found++;
          ck_assert_msg((list[l].traits & TRAIN_OF_METHODS) != 0 &&
                            same_option(&list[l], &options[i]),
                        "%s of %s is another setting's name, or differs between methods",
                        options[i].name, *m);
        }
      ck_assert_msg(found == 1, "%s of %s: %zu settings", options[i].name, *m, found);
    }
  }
}
END_TEST

START_TEST(options_are_settings_of_their_methods_alone)
{
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    size_t count;
    const base_option *options = adapter_options(*m, &count);
    for (size_t i = 0; i < count; i++) {
      const base_option *o = &options[i];
      train_settings s;
      ok(train_settings_init(&s));
      ck_assert(*train_settings_option(&s, o->name) == o->default_value);
      char text[40];
      if (o->kind == BASE_OPTION_CHOICE)
        snprintf(text, sizeof text, "%.*s", (int)base_word_at(o->placeholder, 0).bytes,
                 base_word_at(o->placeholder, 0).text);
      else
        snprintf(text, sizeof text, o->kind == BASE_OPTION_FLAG ? "true" : "%.17g", o->low);
      ok(train_settings_set(&s, train_setting_find("method"), *m));
      ok(train_settings_set(&s, train_setting_find(o->name), text));
      ok(train_settings_check_options(&s));
      json_t *object = train_settings_json(&s, true);
      ck_assert_ptr_nonnull(json_object_get(object, o->name));
      json_decref(object);
      ok(train_settings_set(&s, train_setting_find("method"), "none"));
      refused(train_settings_check_options(&s), *m);
      object = train_settings_json(&s, true);
      ck_assert_ptr_null(json_object_get(object, o->name));
      json_decref(object);
      train_settings_release(&s);
    }
  }
}
END_TEST

/* Settings at their defaults, from text and from JSON. */
START_TEST(a_given_setting_that_is_lacking_is_refused_even_at_its_default)
{
  static const struct {
    const char *method, *schedule, *setting, *value;
    const char *owner; /* who has it; NULL: it is not lacking */
  } cases[] = {{"lora", "linear", "rank", "8", NULL},
               {"lora", "linear", "alpha", "8", NULL},
               {"none", "linear", "rank", "8", "lora"},
               {"full", "linear", "alpha", "8", "lora"},
               {"bitfit", "linear", "adapter_dropout", "0", "lora"},
               {"bitfit", "linear", "bias", "none", "lora"},
               {"none", "linear", "targets", "query", "lora"},
               {"none", "linear", "init", "kaiming", "lora"},
               {"full", "linear", "lora_plus_ratio", "1", "lora"},
               {"full", "linear", "rslora", "false", "lora"},
               {"vera", "linear", "rank", "8", NULL},
               {"vera", "linear", "alpha", "8", "lora"},
               {"adalora", "linear", "alpha", "8", NULL},
               {"adalora", "linear", "rank", "8", "lora"},
               {"lora", "linear", "orientation", "paper", "condlora"},
               {"condlora", "linear", "orientation", "paper", NULL},
               {"lora", "linear", "num_cycles", "0", "cosine"},
               {"lora", "cosine", "num_cycles", "0", NULL},
               {"lora", "cosine", "power", "1", "polynomial"},
               {"lora", "constant", "end_lr", "1e-7", "polynomial"},
               {"lora", "polynomial", "power", "1", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int from_json = 0; from_json < 2; from_json++) {
      train_settings s;
      ok(train_settings_init(&s));
      ok(train_settings_set(&s, train_setting_find("method"), cases[i].method));
      ok(train_settings_set(&s, train_setting_find("schedule"), cases[i].schedule));
      ok(train_settings_check_options(&s));
      json_t *object = json_pack("{ss}", cases[i].setting, cases[i].value);
      if (from_json)
        ok(train_settings_take(&s, "c.json", object, NULL));
      else
        ok(train_settings_set(&s, train_setting_find(cases[i].setting), cases[i].value));
      json_decref(object);
      const char *own =
          train_setting_find(cases[i].setting)->traits & (TRAIN_OF_COSINE | TRAIN_OF_POLYNOMIAL)
              ? cases[i].schedule
              : cases[i].method;
      if (cases[i].owner == NULL)
        ok(train_settings_check_options(&s));
      else {
        refused(train_settings_check_options(&s), base_option_shown(cases[i].setting).text);
        ck_assert_ptr_nonnull(strstr(cdl_error_message(), cases[i].owner));
        ck_assert_ptr_nonnull(strstr(cdl_error_message(), own));
      }
      /* What is written can be read again. */
      object = train_settings_json(&s, false);
      ck_assert((json_object_get(object, cases[i].setting) == NULL) == (cases[i].owner != NULL));
      train_settings again;
      ok(train_settings_init(&again));
      ok(train_settings_take(&again, "again.json", object, NULL));
      ok(train_settings_check_options(&again));
      json_decref(object);
      ok(train_settings_drop_options(&s));
      ok(train_settings_check_options(&s));
      train_settings_release(&again);
      train_settings_release(&s);
    }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("adapter_settings");
  TCase *encoder_case = tcase_create("adapters"), *settings_case = tcase_create("options");
  tcase_add_checked_fixture(encoder_case, start, stop);
  tcase_add_test(encoder_case, the_first_pattern_that_matches_decides);
  tcase_add_test(encoder_case, layers_that_share_parameters_share_their_rank);
  tcase_add_test(encoder_case, layers_and_exclusions_narrow_the_targets);
  tcase_add_test(encoder_case, expressions_mean_what_they_mean_to_python);
  tcase_add_test(encoder_case, an_expression_that_takes_too_long_is_an_error);
  tcase_add_test(encoder_case, gaussian_values_have_deviation_one_over_rank);
  tcase_add_test(encoder_case, pissa_takes_off_the_best_approximation);
  tcase_add_test(encoder_case, olora_takes_off_columns_of_q_and_rows_of_r);
  tcase_add_test(encoder_case, initial_values_that_cannot_be);
  tcase_add_test(encoder_case, lora_plus_speeds_up_b_and_vectors);
  tcase_add_test(encoder_case, biases_are_trained_and_named_as_peft_names_them);
  tcase_add_test(settings_case, methods_agree_on_the_options_they_share);
  tcase_add_test(settings_case, options_are_settings_of_their_methods_alone);
  tcase_add_test(settings_case, a_given_setting_that_is_lacking_is_refused_even_at_its_default);
  suite_add_tcase(suite, encoder_case);
  suite_add_tcase(suite, settings_case);
  return run_suite(suite);
}
