/* Trains an adapter, and prints its loss and scores:
 *   train MODEL EXAMPLES.tsv TEXT_COLUMN LABEL_COLUMN OUTPUT [NAME=VALUE …]
 * NAME is any setting of `condlora train`: method=lora rank=16 lr=1e-3. Ctrl-C saves and stops. */
#include <condlora/condlora.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile int stop;

static void on_signal(int number)
{
  stop = number;
}

static void on_step(void *user, const cdl_train_step *step)
{
  (void)user;
  if (step->step % 10 == 0)
    printf("step %lld of %lld: loss %.4f\n", (long long)step->step, (long long)step->steps,
           step->loss);
}

static void on_evaluation(void *user, const cdl_train_evaluation *evaluation)
{
  const cdl_metric metric = *(const cdl_metric *)user;
  printf("%s: %s %.4f%s\n", evaluation->split, cdl_metric_name(metric),
         evaluation->scores->metric[metric], evaluation->is_best ? " (the best)" : "");
}

/* NAME=VALUE */
static cdl_status set(cdl_settings *settings, char *option)
{
  char *equals = strchr(option, '=');
  if (equals == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "%s: expected NAME=VALUE", option);
  *equals = '\0';
  return cdl_settings_set(settings, option, equals + 1);
}

int main(int argc, char **argv)
{
  const char *const names[] = {"model", "train", "text_columns", "label_column", "output"};
  cdl_settings *settings = NULL;
  cdl_metric metric = CDL_METRIC_ACCURACY;
  cdl_train_callbacks callbacks = cdl_train_callbacks_init();
  cdl_train_result result = cdl_train_result_init();
  callbacks.user = &metric;
  callbacks.step = on_step;
  callbacks.evaluation = on_evaluation;
  callbacks.stop = &stop;
  signal(SIGINT, on_signal);

  cdl_status status = cdl_settings_create(&settings);
  for (int i = 1; i < argc && status == CDL_STATUS_OK; i++)
    status = i <= 5 ? cdl_settings_set(settings, names[i - 1], argv[i]) : set(settings, argv[i]);
  if (status == CDL_STATUS_OK)
    status = cdl_train(settings, &callbacks, &result);
  if (status == CDL_STATUS_OK)
    printf("%s: %lld parameters, %s %.4f\n", result.adapter, (long long)result.adapter_parameters,
           cdl_metric_name(result.main_metric), result.valid.metric[result.main_metric]);
  else
    fprintf(stderr, "train: %s\n", cdl_error_message());
  cdl_settings_destroy(settings);
  return status != CDL_STATUS_OK;
}
