/* Trains an adapter, and shows its loss and its accuracy:
 *   train model=DIR train=FILE.tsv text_columns=A label_column=B output=DIR [NAME=VALUE …]
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
    printf("step %d of %d: loss %.4f\n", (int)step->step, (int)step->steps, step->loss);
}

static void on_evaluation(void *user, const cdl_train_evaluation *evaluation)
{
  (void)user;
  printf("%s: accuracy %.4f%s\n", evaluation->split,
         evaluation->scores->metric[CDL_METRIC_ACCURACY], evaluation->is_best ? " (best)" : "");
}

int main(int argc, char **argv)
{
  cdl_settings *settings = NULL;
  cdl_train_callbacks callbacks = cdl_train_callbacks_init();
  cdl_train_result result = cdl_train_result_init();
  callbacks.step = on_step;
  callbacks.evaluation = on_evaluation;
  callbacks.stop = &stop;
  signal(SIGINT, on_signal);

  cdl_status status = cdl_settings_create(&settings);
  for (int i = 1; i < argc && status == CDL_STATUS_OK; i++) {
    char *value = strchr(argv[i], '=');
    if (value != NULL)
      *value++ = '\0';
    status = cdl_settings_set(settings, argv[i], value != NULL ? value : "");
  }
  if (status == CDL_STATUS_OK)
    status = cdl_train(settings, &callbacks, &result);
  if (status == CDL_STATUS_OK)
    printf("%s: %s %.4f\n", result.adapter, cdl_metric_name(result.main_metric),
           result.valid.metric[result.main_metric]);
  else
    fprintf(stderr, "train: %s\n", cdl_error_message());
  cdl_settings_destroy(settings);
  return status != CDL_STATUS_OK;
}
