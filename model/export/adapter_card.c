#include "model/export/adapter_card.h"

#include "model/export/card.h"

cdl_status export_adapter_card_write(const char *folder, const adapter_config *config)
{
  const export_card_head head = {.base = config->base_model,
                                 .relation = "adapter",
                                 .library = "peft",
                                 .tags = {"lora", "transformers"}};
  static const char body[] =
      "# An adapter for text classification\n\n"
      "A LoRA with its classification head, exported by condlora for PEFT:\n\n"
      "    from peft import AutoPeftModelForSequenceClassification\n"
      "    from transformers import AutoConfig, AutoTokenizer\n\n"
      "    folder = \"FOLDER\"\n"
      "    config = AutoConfig.from_pretrained(folder)\n"
      "    model = AutoPeftModelForSequenceClassification.from_pretrained(\n"
      "        folder, id2label=config.id2label, label2id=config.label2id,\n"
      "        problem_type=config.problem_type)\n"
      "    tokenizer = AutoTokenizer.from_pretrained(folder)\n\n"
      "`config.json` is the base model's with the labels of this adapter, which PEFT takes from "
      "its "
      "caller alone.\n"
      "The base model is the one that `base_model_name_or_path` in `adapter_config.json` names.\n";
  return export_card_write(folder, &head, body);
}
