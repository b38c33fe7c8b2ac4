#include "model/export/adapter_card.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"

/* A string of JSON is one of YAML too, whatever is in it. `before` stands within its quotes. */
static char *quoted(const char *before, const char *text)
{
  char *whole = NULL;
  if (asprintf(&whole, "%s%s", before, text) < 0)
    return NULL;
  json_t *string = base_json_string_of(whole);
  char *quoted = base_json_line(string);
  json_decref(string);
  free(whole);
  return quoted;
}

/* As PEFT writes it, and what kind of model it is. */
static cdl_status write_head(base_output *out, const adapter_config *c)
{
  char *base = NULL, *tag = NULL;
  if (c->base_model != NULL && c->base_model[0] != '\0') {
    base = quoted("", c->base_model);
    tag = quoted("base_model:adapter:", c->base_model);
    if (base == NULL || tag == NULL) {
      free(base);
      free(tag);
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: README.md");
    }
  }
  base_output_printf(out, "---\n");
  if (base != NULL)
    base_output_printf(out, "base_model: %s\n", base);
  base_output_printf(out, "library_name: peft\npipeline_tag: text-classification\ntags:\n");
  if (tag != NULL)
    base_output_printf(out, "- %s\n", tag);
  base_output_printf(out, "- lora\n- transformers\n---\n\n");
  free(base);
  free(tag);
  return CDL_STATUS_OK;
}

/* PEFT takes the number of outputs and the names of labels from its caller alone. */
static void write_use(base_output *out, const adapter_config *c, int outputs)
{
  base_output_printf(out, "# An adapter for text classification\n\n"
                          "A LoRA with its classification head, exported by condlora for PEFT. ");
  if (c->labels.count > 0)
    base_output_printf(out, "The names of its labels are in `adapter_config.json`; PEFT takes them "
                            "from the caller:\n\n"
                            "    import json\n");
  else
    base_output_printf(out, "The head has %d %s, which PEFT takes from the caller:\n\n", outputs,
                       outputs == 1 ? "output" : "outputs");
  base_output_printf(out, "    from peft import AutoPeftModelForSequenceClassification\n"
                          "    from transformers import AutoTokenizer\n\n"
                          "    folder = \"FOLDER\"\n");
  if (c->labels.count > 0)
    base_output_printf(
        out, "    labels = json.load(open(f\"{folder}/adapter_config.json\"))[\"labels\"]\n"
             "    model = AutoPeftModelForSequenceClassification.from_pretrained(\n"
             "        folder, id2label=dict(enumerate(labels)),\n"
             "        label2id={name: i for i, name in enumerate(labels)})\n");
  else
    base_output_printf(out,
                       "    model = AutoPeftModelForSequenceClassification.from_pretrained(folder, "
                       "num_labels=%d)\n",
                       outputs);
  base_output_printf(out, "    tokenizer = AutoTokenizer.from_pretrained(folder)\n\n"
                          "The base model is the one that `base_model_name_or_path` in "
                          "`adapter_config.json` names.\n");
}

cdl_status export_card_write(const char *folder, const adapter_config *config, int outputs)
{
  base_output *out = NULL;
  char *path = base_path_join(folder, "README.md");
  cdl_status status = path != NULL ? base_output_begin(path, &out)
                                   : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  CDL_TRY(status);
  status = write_head(out, config);
  if (status != CDL_STATUS_OK) {
    base_output_abort(out);
    return status;
  }
  write_use(out, config, outputs);
  return base_output_commit(out);
}
