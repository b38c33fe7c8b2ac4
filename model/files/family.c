#include "model/files/family.h"

#include <string.h>

static const model_block_names bert_block = {
    .layers = "encoder.layer.",
    .paths = {"attention.self.query", "attention.self.key", "attention.self.value",
              "attention.output.dense", "intermediate.dense", "output.dense"},
    .attention_norm = "attention.output.LayerNorm",
    .output_norm = "output.LayerNorm"};

static const model_block_names distilbert_block = {.layers = "transformer.layer.",
                                                   .paths = {"attention.q_lin", "attention.k_lin",
                                                             "attention.v_lin", "attention.out_lin",
                                                             "ffn.lin1", "ffn.lin2"},
                                                   .attention_norm = "sa_layer_norm",
                                                   .output_norm = "output_layer_norm"};

static const model_block_names mpnet_block = {.layers = "encoder.layer.",
                                              .paths = {"attention.attn.q", "attention.attn.k",
                                                        "attention.attn.v", "attention.attn.o",
                                                        "intermediate.dense", "output.dense"},
                                              .attention_norm = "attention.LayerNorm",
                                              .output_norm = "output.LayerNorm"};

static const model_family_facts families[MODEL_FAMILY_COUNT] = {
    [MODEL_FAMILY_BERT] = {.name = "bert",
                           .classes = "Bert",
                           .prefix = "bert.",
                           .block = &bert_block,
                           .targets = "query,value",
                           .types = true,
                           .drops_attended = true,
                           .head_dense = "pooler.dense",
                           .head_out = "classifier",
                           .head_activation = CDL_ACTIVATION_TANH,
                           .pooler = true},
    [MODEL_FAMILY_ROBERTA] = {.name = "roberta",
                              .classes = "Roberta",
                              .prefix = "roberta.",
                              .block = &bert_block,
                              .targets = "query,value",
                              .types = true,
                              .after_padding = true,
                              .drops_attended = true,
                              .head_dense = "classifier.dense",
                              .head_out = "classifier.out_proj",
                              .head_activation = CDL_ACTIVATION_TANH,
                              .head_drops_input = true,
                              .extras = {"pooler."}},
    [MODEL_FAMILY_DISTILBERT] = {.name = "distilbert",
                                 .classes = "DistilBert",
                                 .prefix = "distilbert.",
                                 .block = &distilbert_block,
                                 .targets = "q_lin,v_lin",
                                 .head_dense = "pre_classifier",
                                 .head_out = "classifier",
                                 .head_activation = CDL_ACTIVATION_RELU,
                                 .extras = {"vocab_transform.", "vocab_layer_norm.",
                                            "vocab_projector."}},
    [MODEL_FAMILY_ELECTRA] = {.name = "electra",
                              .classes = "Electra",
                              .prefix = "electra.",
                              .block = &bert_block,
                              .targets = "query,value",
                              .types = true,
                              .drops_attended = true,
                              .head_dense = "classifier.dense",
                              .head_out = "classifier.out_proj",
                              .head_activation = CDL_ACTIVATION_GELU,
                              .head_drops_input = true,
                              .extras = {"discriminator_predictions.", "generator_predictions.",
                                         "generator_lm_head."}},
    [MODEL_FAMILY_XLM_ROBERTA] = {.name = "xlm-roberta",
                                  .classes = "XLMRoberta",
                                  .prefix = "roberta.",
                                  .block = &bert_block,
                                  .targets = "query,value",
                                  .types = true,
                                  .after_padding = true,
                                  .drops_attended = true,
                                  .head_dense = "classifier.dense",
                                  .head_out = "classifier.out_proj",
                                  .head_activation = CDL_ACTIVATION_TANH,
                                  .head_drops_input = true,
                                  .extras = {"pooler."}},
    [MODEL_FAMILY_CAMEMBERT] = {.name = "camembert",
                                .classes = "Camembert",
                                .prefix = "roberta.",
                                .block = &bert_block,
                                .targets = "query,value",
                                .types = true,
                                .after_padding = true,
                                .drops_attended = true,
                                .head_dense = "classifier.dense",
                                .head_out = "classifier.out_proj",
                                .head_activation = CDL_ACTIVATION_TANH,
                                .head_drops_input = true,
                                .extras = {"pooler."}},
    [MODEL_FAMILY_MPNET] = {.name = "mpnet",
                            .classes = "MPNet",
                            .prefix = "mpnet.",
                            .block = &mpnet_block,
                            .targets = "q,v",
                            .after_padding = true,
                            .drops_attended = true,
                            .distance_bias = "encoder.relative_attention_bias.weight",
                            .head_dense = "classifier.dense",
                            .head_out = "classifier.out_proj",
                            .head_activation = CDL_ACTIVATION_TANH,
                            .head_drops_input = true,
                            .extras = {"pooler."}},
};

const model_family_facts *model_family_of(model_family family)
{
  return &families[family];
}

/* Returns whether a class belongs to a family: BertForMaskedLM and BertModel belong to Bert,
 * BertJapaneseModel does not. */
static bool is_class_of(const char *class_name, const char *classes)
{
  const size_t length = strlen(classes);
  const char *rest = class_name + length;
  return strncmp(class_name, classes, length) == 0 &&
         (strncmp(rest, "For", 3) == 0 || strcmp(rest, "Model") == 0 ||
          strcmp(rest, "PreTrainedModel") == 0 || strcmp(rest, "LMHeadModel") == 0);
}

bool model_family_find(const char *type, const char *class_name, model_family *family)
{
  for (int f = 0; f < MODEL_FAMILY_COUNT; f++) {
    const model_family_facts *facts = &families[f];
    if (type != NULL ? strcmp(type, facts->name) == 0 : is_class_of(class_name, facts->classes)) {
      *family = (model_family)f;
      return true;
    }
  }
  return false;
}

const char *model_family_name(model_family family)
{
  return families[family].name;
}

const char *model_family_targets(model_family family)
{
  return families[family].targets;
}
