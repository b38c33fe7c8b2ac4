/* Classifies a text:  classify MODEL "a text"
 * MODEL is the folder of an adapter, of a run, or of a whole model. */
#include <condlora/condlora.h>
#include <stdio.h>

int main(int argc, char **argv)
{
  const char *text = argc > 2 ? argv[2] : "a small domesticated mammal";
  float logits[64];
  cdl_model *model = NULL;
  cdl_status status = cdl_model_open(argc > 1 ? argv[1] : "out", NULL, &model);
  if (status == CDL_STATUS_OK)
    status = cdl_model_label_count(model) <= 64
                 ? cdl_model_classify(model, &text, NULL, 1, logits)
                 : cdl_fail(CDL_STATUS_UNSUPPORTED, "the model has more than 64 labels");
  if (status != CDL_STATUS_OK)
    fprintf(stderr, "classify: %s\n", cdl_error_message());
  else if (cdl_model_is_regression(model))
    printf("%g\n", (double)logits[0]);
  else
    printf("%s\n", cdl_model_label_name(model, cdl_model_best(model, logits)));
  cdl_model_close(model);
  return status != CDL_STATUS_OK;
}
