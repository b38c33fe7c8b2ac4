"""Writes golden cases: a model, data, an initial adapter and what PyTorch makes of them, see README.md in this folder.

    python write_cases.py --output DIR                   the committed cases
    python write_cases.py --output DIR --seed N          the same purposes, other shapes, numbers and sentences
    python write_cases.py --output DIR --model MODEL     LoRA and CondLoRA on a real model's folder

Truth is float64. PyTorch's own float32 runs beside it; how far it strays is noted in case.json, and a drawn case that is
too ill-conditioned for it is drawn again.
"""

import argparse
import copy
import dataclasses
import json
import math
import pathlib
import shutil

import dylora
import small_models
import tokenizers
import torch
import torch_adalora
import torch_methods
import torch_model
import transformers
from peft import PeftModel
from peft import __version__ as peft_version
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, get_scheduler
from transformers.utils import logging as transformers_logging

STEPS = 20
SEPARATOR = "|"  # between the labels of one field
ROWS = 40
SCHEDULES = {"cosine-with-restarts": "cosine_with_restarts"}  # where Transformers' name differs
ZERO_GRADIENT = (".attention.self.key.bias", ".attention.k_lin.bias", ".attention.attn.k.bias")

# What a float32 program may stray from float64: the bounds that condlora is held to.
BOUNDS = {"logits": 5e-6, "gradients": 2e-5, "losses": 1e-5, "gradient_norms": 2e-5, "final_logits": 2e-5, "final_tensors": 2e-5}

SEED = 42  # condlora's default, of what a step draws
LEAST_GAP = 0.04  # between singular values, over the largest


class IllConditioned(Exception):
    pass


DENSE_TARGETS = ["intermediate.dense", "output.dense", "attention.output.dense"]


def shape(family, hidden, heads, layers=2, intermediate=37, activation="gelu", tokenizer="vocab", head=True, **others):
    padded = "roberta" in family or family == "mpnet"  # positions count from the padding's id on
    base = {"positions": 67 if padded else 64, "epsilon": 1e-5 if padded else 1e-12, "vocabulary": 71}
    return base | {
        "family": family,
        "hidden": hidden,
        "heads": heads,
        "layers": layers,
        "intermediate": intermediate,
        "activation": activation,
        "tokenizer": tokenizer,
        "head": head,
        "form": "plain",
    } | others


@dataclasses.dataclass
class Case:
    name: str
    purpose: str
    shape: dict
    adapter: torch_model.Settings
    labels: list | None = dataclasses.field(default_factory=lambda: ["no", "yes"])  # None: regression
    multi_label: bool = False  # any number of the labels for each row
    numbers: int = 1  # outputs of a regression
    pairs: bool = False
    zero_b: bool = False
    pruned: dict | None = None  # AdaLoRA: the initial adapter has lost these ranks, by the ends of paths
    short_and_long: bool = False  # the first batch holds sequences of two tokens and one of max_length
    batch_size: int = 4
    accumulate: int = 1
    epochs: int | None = None  # None: max_steps = 20
    max_length: int = 48
    lr: float = 5e-3
    schedule: str = "linear"
    schedule_options: dict = dataclasses.field(default_factory=dict)  # Transformers' names
    warmup_ratio: float = 0.1
    weight_decay: float = 0.0
    decay: str = "all"
    max_grad_norm: float = 1.0
    label_smoothing: float = 0.0
    class_weights: list | None = None


def adapter(method, targets=None, **others):
    return torch_model.Settings(method=method, targets=targets or ["query", "value"], **others)


def allocation(**changes):
    return {"init_r": 4, "target_r": 2, "tinit": 0, "tfinal": 0, "deltaT": 1, "beta1": 0.85, "beta2": 0.85,
            "orth_reg_weight": 0.5, "total_step": STEPS} | changes


def committed_cases():
    lora = {"rank": 3, "alpha": 5}
    return [
        Case("bert-lora", "LoRA on query and value; two epochs give the steps", shape("bert", 20, 4),
             adapter("lora", **lora), epochs=2),
        Case("roberta-lora-linear", "LoRA on every linear layer of the blocks, GELU's tanh form",
             shape("roberta", 20, 4, activation="gelu_new", tokenizer="json"),
             adapter("lora", ["query", "key", "value", "dense"], rank=2, alpha=4), pairs=True),
        Case("bert-condlora-paper", "CondLoRA as printed; B begins at zero; names without prefix, no head in the model",
             shape("bert", 36, 6, layers=3, tokenizer="json", head=False), adapter("condlora", rank=4, alpha=4), zero_b=True),
        Case("roberta-condlora-reference", "CondLoRA as its paper's code computes it",
             shape("roberta", 30, 5, activation="relu"), adapter("condlora", orientation="reference", rank=5, alpha=8)),
        Case("roberta-condlora-dense", "CondLoRA on weights that are not square; three labels; silu",
             shape("roberta", 20, 5, activation="silu", tokenizer="json", head=False),
             adapter("condlora", ["query", *DENSE_TARGETS], rank=3, alpha=3), labels=["above", "below", "level"], pairs=True),
        Case("bert-lora-pooler", "LoRA reaches bert.pooler.dense; the pooler itself stays frozen",
             shape("bert", 21, 3, intermediate=29), adapter("lora", ["query", "key", "value", "bert.pooler.dense"], **lora)),
        Case("bert-lora-pattern", "targets as one regular expression; the pooler is among the modules to save",
             shape("bert", 30, 5, activation="gelu_pytorch_tanh", tokenizer="json"),
             adapter("lora", r".*layer\.[01]\.attention\.(self\.value|output\.dense)", modules_to_save=["pooler"], **lora)),
        Case("bert-condlora-regression", "one output and mean squared error", shape("bert", 20, 4),
             adapter("condlora", rank=4, alpha=2), labels=None, pairs=True),
        Case("bert-condlora-truncated", "pairs cut to max_length, longest first", shape("bert", 36, 6, tokenizer="json"),
             adapter("condlora", ["key", "value"], rank=2, alpha=2), pairs=True, max_length=17, batch_size=5),
        Case("bert-condlora-lengths", "sequences of two tokens beside one of max_length in a batch",
             shape("bert", 20, 4, layers=3), adapter("condlora", rank=3, alpha=6), short_and_long=True, max_length=64),
        Case("bert-lora-rslora", "scale alpha over the root of the rank", shape("bert", 20, 4),
             adapter("lora", rank=5, alpha=3, peft={"use_rslora": True})),
        Case("roberta-lora-ranks", "ranks and alphas by module: the first pattern that matches counts; rsLoRA",
             shape("roberta", 24, 4, intermediate=31, tokenizer="json"),
             adapter("lora", ["query", "value", "dense"], rank=3, alpha=2, peft={
                 "use_rslora": True, "rank_pattern": {r"layer\.1\..*\.(query|value)": 2, "value": 5, "dense": 1},
                 "alpha_pattern": {"query": 1, "attention.output.dense": 0.5}})),
        Case("bert-lora-layers", "some layers alone, without the output's layers", shape("bert", 20, 4, layers=3),
             adapter("lora", ["query", "value", "dense"], rank=3, alpha=5, peft={
                 "layers_to_transform": [0, 2], "layers_pattern": "layer", "exclude_modules": ["output.dense"]})),
        Case("bert-lora-biases", "every bias is trained too, as PEFT names them in the file", shape("bert", 20, 4, tokenizer="json"),
             adapter("lora", **lora, peft={"bias": "all"}), weight_decay=0.1, decay="no-bias"),
        Case("roberta-lora-biases", "the biases of adapted layers are trained too", shape("roberta", 20, 4),
             adapter("lora", ["query", "intermediate.dense"], **lora, peft={"bias": "lora_only"})),
        Case("bert-lora-pissa", "begins at the largest singular values, which the frozen weights lose", shape("bert", 20, 4),
             adapter("lora", ["value", "intermediate.dense"], rank=3, alpha=5, peft={"init_lora_weights": "pissa"})),
        Case("roberta-lora-olora", "begins at the first columns of Q and rows of R, which the frozen weights lose",
             shape("roberta", 20, 4, intermediate=31, tokenizer="json"),
             adapter("lora", ["query", "value", "output.dense"], rank=3, alpha=2, peft={"init_lora_weights": "olora", "use_rslora": True})),
        Case("bert-lora-plus", "B and every vector learn faster than A (LoRA+)", shape("bert", 20, 4),
             adapter("lora", **lora, lora_plus_ratio=4.0), lr=2e-3),
        Case("bert-adalora", "AdaLoRA over a whole schedule: steps before, between and after choices", shape("bert", 20, 4, layers=3),
             adapter("adalora", alpha=8, allocation=allocation(tinit=2, tfinal=5, deltaT=3))),
        Case("roberta-adalora-dense", "AdaLoRA on layers of several shapes; a choice after every step; one output",
             shape("roberta", 20, 4, tokenizer="json"),
             adapter("adalora", ["query", "key", "value", "dense"], alpha=6,
                     allocation=allocation(init_r=3, target_r=1, beta1=0.6, orth_reg_weight=0.1)), labels=None, accumulate=2),
        Case("bert-adalora-pooler", "AdaLoRA outside the blocks too; tight clipping", shape("bert", 20, 4, tokenizer="json"),
             adapter("adalora", ["value", "bert.pooler.dense"], alpha=16, allocation=allocation(tfinal=1, beta2=0.5)),
             max_grad_norm=0.1),
        Case("bert-adalora-pruned", "AdaLoRA that has lost ranks, all of them in one layer; PEFT saved and read it", shape("bert", 20, 4),
             adapter("adalora", alpha=8, allocation=allocation(target_r=4)),
             pruned={"0.attention.self.query": [], "0.attention.self.value": [0, 3], "1.attention.self.query": [1, 2]}),
        Case("bert-condadalora", "AdaLoRA conditioned on the frozen weights, over a whole schedule", shape("bert", 20, 4, layers=3),
             adapter("condadalora", alpha=8, allocation=allocation(tinit=1, tfinal=4, deltaT=2))),
        Case("roberta-condadalora-dense", "the same on weights that are not square; a choice after every step",
             shape("roberta", 20, 4, activation="silu", tokenizer="json"),
             adapter("condadalora", ["value", *DENSE_TARGETS], alpha=6, allocation=allocation(init_r=3, target_r=1, tfinal=2)),
             labels=["a", "b", "c"], pairs=True),
        Case("roberta-lora-accumulate", "three batches a step, the last step of an epoch shorter",
             shape("roberta", 20, 4), adapter("lora", **lora), batch_size=4, accumulate=3, epochs=5),
        Case("bert-lora-dora", "DoRA as PEFT has it; rsLoRA", shape("bert", 20, 4),
             adapter("lora", ["query", "value", "intermediate.dense"], **lora, peft={"use_dora": True, "use_rslora": True})),
        Case("roberta-lora-dora", "DoRA on every linear layer of the blocks", shape("roberta", 20, 4, tokenizer="json"),
             adapter("lora", ["query", "key", "value", "dense"], **lora, peft={"use_dora": True}), pairs=True),
        Case("bert-condlora-dora", "CondLoRA with DoRA's magnitudes and type1", shape("bert", 20, 4),
             adapter("condlora", rank=3, alpha=4, forms={"use_dora": True, "use_x": "type1"})),
        Case("roberta-condlora-type1", "the product of the input with a shared layer is added to A's",
             shape("roberta", 20, 4), adapter("condlora", orientation="reference", rank=3, alpha=4, forms={"use_x": "type1"})),
        Case("roberta-condlora-type2", "a shared vector times the products with the first token; the last block's first tokens too",
             shape("roberta", 20, 4), adapter("condlora", ["query", "attention.output.dense", "output.dense"], rank=2, alpha=2,
             forms={"use_x": "type2", "lora_x_scaling": 0.0625}), lr=1e-3),
        Case("bert-condlora-type2", "the same as the paper's code has it: in square weights alone",
             shape("bert", 20, 4, tokenizer="json"),
             adapter("condlora", orientation="reference", rank=3, alpha=3, forms={"use_x": "type2", "lora_x_scaling": 0.0625})),
        Case("bert-lora-dylora", "a rank from 2 to 5 drawn each step", shape("bert", 20, 4),
             adapter("lora", rank=5, alpha=4, forms={"dylora_rank_min": 2})),
        Case("roberta-condlora-dylora", "a rank from 1 to 4 drawn each step, of which the last row and column move",
             shape("roberta", 20, 4), adapter("condlora", rank=4, alpha=4, forms={"dylora_rank_min": 1, "dylora_frozen": True})),
        Case("bert-condlora-random", "CondLoRA on random matrices with the singular values of the weights",
             shape("bert", 20, 4, layers=3), adapter("condlora", ["query", *DENSE_TARGETS], rank=3, alpha=4,
             forms={"condition": "random", "condition_seed": 7})),
        Case("roberta-condlora-permuted", "the same on other layers' weights, with gates, as its paper's code computes it",
             shape("roberta", 20, 4, layers=3), adapter("condlora", orientation="reference", rank=3, alpha=4,
             forms={"condition": "permuted", "gates": True})),
        Case("roberta-condlora-gates", "a factor for each layer and rank of A, beside type1's layer and DoRA",
             shape("roberta", 20, 4), adapter("condlora", rank=3, alpha=4, forms={"gates": True, "use_x": "type1", "use_dora": True})),
        Case("bert-shared", "LoRA with one pair for all layers of a group", shape("bert", 20, 4, layers=3),
             adapter("shared", ["query", *DENSE_TARGETS], rank=3, alpha=5)),
        Case("roberta-lora-xs", "a square matrix between the weights' singular vectors, outside square weights too",
             shape("roberta", 20, 4, tokenizer="json"), adapter("lora-xs", ["query", "value", "dense"], rank=4, alpha=6)),
        Case("bert-vera", "VeRA as PEFT has it, on layers of three shapes", shape("bert", 20, 4),
             adapter("vera", ["query", *DENSE_TARGETS], rank=6, peft={"d_initial": 0.3, "projection_prng_key": 11}), lr=2e-2),
        Case("bert-condlora-fresh-pooler", "the model has no pooler: a fresh one is trained and saved",
             shape("bert", 20, 4, head=False, form="no-pooler"), adapter("condlora", rank=3, alpha=3)),
        Case("roberta-none", "the head alone, constant rate without warm-up; tensors in shards",
             shape("roberta", 20, 4, tokenizer="json", form="shards"), adapter("none"), schedule="constant", warmup_ratio=0.0),
        Case("bert-bitfit", "every bias of the base and the head", shape("bert", 30, 5, activation="relu"), adapter("bitfit")),
        Case("bert-full", "every tensor, decay without biases and layer norms; no adapter folder",
             shape("bert", 20, 4, tokenizer="json"), adapter("full"), lr=2e-3, weight_decay=0.1, decay="no-bias"),
        Case("roberta-full", "every tensor decays; constant rate after warm-up", shape("roberta", 20, 4, layers=1),
             adapter("full"), lr=2e-3, weight_decay=0.1, schedule="constant", labels=["a", "b", "c"]),
        Case("bert-condlora-weighted", "label smoothing and class weights", shape("bert", 20, 4, activation="gelu_fast"),
             adapter("condlora", rank=3, alpha=3), labels=["a", "b", "c"], label_smoothing=0.1,
             class_weights=[0.5, 1.0, 2.5], accumulate=2),
        Case("bert-lora-multi-label", "any number of labels, with weights of positive examples; two batches a step",
             shape("bert", 20, 4), adapter("lora", **lora), labels=["a", "b", "c"], multi_label=True,
             class_weights=[0.5, 1.0, 2.5], accumulate=2),
        Case("distilbert-full-multi-label", "any number of labels; every tensor is trained", shape("distilbert", 20, 4),
             adapter("full"), lr=2e-3, labels=["a", "b", "c", "d", "e"], multi_label=True),
        Case("roberta-condlora-numbers", "three outputs and mean squared error", shape("roberta", 20, 4),
             adapter("condlora", rank=3, alpha=4), labels=None, numbers=3, pairs=True),
        Case("bert-lora-polynomial", "polynomial schedule, every tensor decays, tight clipping; norms named gamma and beta",
             shape("bert", 20, 4, form="gamma"),
             adapter("lora", **lora), schedule="polynomial", schedule_options={"power": 2.0, "lr_end": 1e-5},
             weight_decay=0.2, max_grad_norm=0.1),
        Case("roberta-condlora-cosine", "cosine schedule; tensors in bfloat16", shape("roberta", 20, 4, form="bfloat16"),
             adapter("condlora", orientation="reference", rank=3, alpha=3), schedule="cosine", zero_b=True),
        Case("bert-condlora-restarts", "cosine schedule with restarts, decay spares biases; tensors in float16",
             shape("bert", 20, 4, form="float16"),
             adapter("condlora", rank=3, alpha=3), schedule="cosine-with-restarts", schedule_options={"num_cycles": 2},
             weight_decay=0.3, decay="no-bias"),
        Case("distilbert-lora", "LoRA on DistilBERT's names; its activation is another than its head's",
             shape("distilbert", 20, 4, activation="gelu_new", tokenizer="json"), adapter("lora", ["q_lin", "v_lin"], **lora),
             pairs=True),
        Case("distilbert-condlora-regression", "one output; names without prefix, no head in the model; positions that "
             "config.json calls sinusoidal are those of the checkpoint",
             shape("distilbert", 30, 5, layers=3, head=False, sinusoidal=True),
             adapter("condlora", ["q_lin", "v_lin", "ffn.lin1", "lin2"], rank=3, alpha=4), labels=None),
        Case("distilbert-condlora-reference", "CondLoRA as its paper's code computes it; pairs without token types",
             shape("distilbert", 20, 4), adapter("condlora", ["attention.q_lin", "out_lin"], orientation="reference", rank=4, alpha=3),
             pairs=True, labels=["a", "b", "c"]),
        Case("distilbert-full", "every tensor, decay without biases and layer norms",
             shape("distilbert", 20, 4, tokenizer="json"), adapter("full"), lr=2e-3, weight_decay=0.1, decay="no-bias"),
        Case("electra-lora-project", "LoRA on every linear layer, the embeddings' projection too",
             shape("electra", 20, 4, embedding=13), adapter("lora", ["query", "key", "value", "dense", "embeddings_project"],
             rank=2, alpha=4), pairs=True),
        Case("electra-condlora-paper", "CondLoRA over embeddings that are wider than the blocks; regression",
             shape("electra", 30, 5, layers=3, embedding=37, activation="relu", tokenizer="json", head=False),
             adapter("condlora", ["query", "value", *DENSE_TARGETS], rank=3, alpha=3), labels=None),
        Case("electra-condlora-reference", "CondLoRA as its paper's code computes it; embeddings as wide as the blocks",
             shape("electra", 20, 4, embedding=20), adapter("condlora", orientation="reference", rank=4, alpha=6), pairs=True),
        Case("electra-full", "every tensor, the projection and what is before it",
             shape("electra", 20, 4, embedding=11, tokenizer="json"), adapter("full"), lr=2e-3, weight_decay=0.1,
             decay="no-bias", pairs=True),
        Case("xlm-roberta-lora", "LoRA; the tokenizer is sentencepiece.bpe.model alone",
             shape("xlm-roberta", 20, 4), adapter("lora", **lora), pairs=True, max_length=31),
        Case("xlm-roberta-condlora-regression", "one output; the tokenizer is tokenizer.json",
             shape("xlm-roberta", 30, 5, tokenizer="json"), adapter("condlora", rank=4, alpha=2), labels=None),
        Case("xlm-roberta-condlora-reference", "CondLoRA as its paper's code computes it; no head in the model",
             shape("xlm-roberta", 20, 4, layers=3, activation="relu", head=False),
             adapter("condlora", orientation="reference", rank=3, alpha=3), labels=["a", "b", "c"]),
        Case("mpnet-lora", "LoRA under attention's bias; tokens farther apart than the bias tells",
             shape("mpnet", 20, 4, positions=170), adapter("lora", ["q", "v"], **lora), short_and_long=True, max_length=160),
        Case("mpnet-lora-biases", "every bias is trained, but not attention's table",
             shape("mpnet", 20, 4, tokenizer="json"), adapter("lora", ["q", "o"], **lora, peft={"bias": "all"}),
             weight_decay=0.1, decay="no-bias", pairs=True),
        Case("mpnet-condlora-paper", "CondLoRA on square and other weights; names without prefix, no head in the model; one output",
             shape("mpnet", 30, 5, layers=3, tokenizer="json", head=False),
             adapter("condlora", ["q", "v", "intermediate.dense"], rank=4, alpha=3), labels=None),
        Case("mpnet-condlora-reference", "CondLoRA as its paper's code computes it", shape("mpnet", 24, 3, activation="relu"),
             adapter("condlora", ["attn.k", "attn.o"], orientation="reference", rank=3, alpha=3), labels=["a", "b", "c"]),
        Case("mpnet-full", "every tensor, attention's bias too, over all its distances; decay without biases and layer norms",
             shape("mpnet", 20, 4, positions=140), adapter("full"), lr=2e-3, weight_decay=0.1, decay="no-bias",
             short_and_long=True, max_length=130),
    ]


def drawn_case(case, rng):
    """The same purpose with another shape, rank, rate and batch."""
    drawn = small_models.draw_shape(rng, case.shape["family"])
    if isinstance(case.adapter.targets, str) or case.adapter.peft or case.adapter.forms.get("condition") == "permuted":
        drawn["layers"] = max(drawn["layers"], 2)
    drawn["form"] = case.shape["form"]
    drawn["sinusoidal"] = case.shape.get("sinusoidal", False)
    if case.adapter.method == "full" or drawn["form"] == "no-pooler":
        drawn["head"] = case.shape["head"]
    rank = rng.randint(1, 6)
    if case.adapter.peft.get("init_lora_weights") or case.adapter.method == "lora-xs":
        rank = min(rank, drawn["hidden"])
    settings = dataclasses.replace(case.adapter, rank=rank, alpha=rng.choice([rank, 2 * rank, 3, 5]))
    changes = {"shape": drawn, "adapter": settings, "lr": case.lr * rng.choice([0.5, 1.0, 1.5])}
    if case.short_and_long:
        changes["max_length"] = drawn["positions"] - (2 if drawn["family"] == "mpnet" else 0)
    if case.accumulate == 1 and case.epochs is None:
        changes["batch_size"] = rng.randint(2, 7)
    return dataclasses.replace(case, **changes)


def label_of(case):
    def choose(rng, texts, index):
        if case.labels is None:
            return "\t".join(f"{5 * rng.random():.2f}" for _ in range(case.numbers))
        if case.multi_label:
            return SEPARATOR.join(label for label in case.labels if rng.random() < 0.4)
        hint = sum(len(text) for text in texts) if rng.random() < 0.7 else rng.randint(0, 99)
        return case.labels[hint % len(case.labels)]

    return choose


def write_data(folder, case, rng):
    rows = small_models.make_rows(rng, ROWS, case.pairs, label_of(case))
    if case.short_and_long:
        rows[0] = (" ", rows[0][-1])
        rows[1] = (small_models.sentence(rng, 12), rows[1][-1])
        rows[2] = (" ", rows[2][-1])
    columns = [*text_columns(case), *label_columns(case)]
    small_models.write_rows(folder / "train.tsv", columns, rows)
    return rows


def text_columns(case):
    return ["sentence1", "sentence2"] if case.pairs else ["sentence1"]


def label_columns(case):
    return ["label"] if case.numbers == 1 else [f"number{i}" for i in range(case.numbers)]


def outputs_of(case):
    return len(case.labels) if case.labels else case.numbers


def target_of(case, field):
    """A class's index, a number, or a list of 0 and 1 or of numbers."""
    if case.labels is None:
        return float(field) if case.numbers == 1 else [float(number) for number in field.split("\t")]
    if case.multi_label:
        return [float(label in field.split(SEPARATOR)) for label in case.labels]
    return case.labels.index(field)


def encode(model_folder, case, rows):
    """Per example input_ids, token_type_ids as the model gets them, and the label's index, or number."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    columns = [list(column) for column in zip(*[row[:-1] for row in rows])]
    encoded = tokenizer(*columns, truncation=True, max_length=case.max_length, return_token_type_ids=True)
    types = encoded["token_type_ids"]
    if "token_type_ids" not in tokenizer.model_input_names:
        types = [[0] * len(ids) for ids in types]
    targets = [target_of(case, row[-1]) for row in rows]
    return list(zip(encoded["input_ids"], types, targets))


def has_numbers(case):
    return case.labels is None or case.multi_label


def collate(examples, numbers, dtype):
    longest = max(len(ids) for ids, _, _ in examples)

    def padded(values):
        return torch.tensor([list(v) + [0] * (longest - len(v)) for v in values])

    mask = padded([[1] * len(ids) for ids, _, _ in examples])
    ids = padded([ids for ids, _, _ in examples])
    labels = torch.tensor([target for _, _, target in examples], dtype=dtype if numbers else torch.long)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": padded([types for _, types, _ in examples])}, labels


def pad_with(inputs, config):
    ids = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, config.pad_token_id)
    unread = ("token_type_ids",) if config.model_type in ("distilbert", "mpnet") else ()
    return {name: value for name, value in {**inputs, "input_ids": ids}.items() if name not in unread}


def write_adapter(tuned, folder, case, seed):
    """Initial values that tell a reader of the adapter from one of the model: a head of its own, shifted base tensors."""
    generator = torch.Generator().manual_seed(seed)

    def noise(parameter, deviation):
        return deviation * torch.randn(parameter.shape, generator=generator)

    from_weights = tuned.settings.peft.get("init_lora_weights") in ("pissa", "olora")
    with torch.no_grad():
        for name, parameter in tuned.trained.items():
            if from_weights and ".lora_" in name:
                continue
            if name.endswith("_A.weight"):
                bound = 1 / math.sqrt(parameter.shape[1])
                parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) * bound)
            elif name.endswith("_B.weight"):
                parameter.copy_(noise(parameter, 0.0 if case.zero_b else 0.2))
            elif ".classifier." in name:
                parameter.copy_(noise(parameter, 0.2))
            elif name.endswith(("lora_xs_R.weight", "vera_lambda_b", "vera_lambda_d", "condlora_gate")):
                parameter.add_(noise(parameter, 0.3))
            elif tuned.allocation is not None and not name.endswith(("_P.weight", "_Q.weight")):
                parameter.copy_(noise(parameter, 0.3))
            else:
                parameter.add_(noise(parameter, 0.05))
    if case.pruned is not None:
        torch_adalora.prune(tuned.model, case.pruned)
    tuned.save(folder)


def open_tuned(model_folder, adapter_folder, case):
    outputs = outputs_of(case)
    if case.adapter.method == "full":
        base, fresh = torch_model.read_base(model_folder, outputs, attention="eager")
        return torch_model.apply(base, case.adapter, fresh)
    return torch_model.read_adapter(model_folder, adapter_folder, outputs, attention="eager")


def run(tuned, case, examples, dtype):
    """Everything expected of one case, in `dtype`."""
    tuned = tuned.to(dtype).eval()
    class_weights = None if case.class_weights is None else torch.tensor(case.class_weights, dtype=dtype)
    parameters = list(tuned.trained.values())

    def forward(chosen):
        inputs, labels = collate(chosen, has_numbers(case), dtype)
        return tuned(**pad_with(inputs, tuned.model.config)), labels

    def loss_of(chosen):
        total, divisor = torch_model.example_losses(*forward(chosen), class_weights, case.label_smoothing, case.multi_label)
        return (total + tuned.allocation.penalty() * divisor if tuned.allocation else total), divisor

    def logits():
        with torch.no_grad():
            return forward(examples[: case.batch_size])[0].double()

    def draw_rank(seed, step):
        if tuned.nested:
            tuned.use_rank(dylora.rank_of_step(seed, step, case.adapter.forms["dylora_rank_min"], case.adapter.rank))

    def end_rank():
        if case.adapter.forms.get("dylora_frozen"):
            dylora.freeze(tuned.trained, tuned.nested[0].in_use)
        tuned.use_rank(None)

    result = {"logits": logits()}
    draw_rank(0, 0)
    total, divisor = loss_of(examples[: case.batch_size])
    (total / divisor).backward()
    end_rank()
    result["loss"] = (total / divisor).item()
    result["gradients"] = {name: p.grad.double().clone() for name, p in tuned.trained.items()}
    tuned.zero_grad()

    step_rows = case.batch_size * case.accumulate
    per_epoch = math.ceil(len(examples) / step_rows)
    steps = per_epoch * case.epochs if case.epochs else STEPS
    optimizer = make_optimizer(tuned, case)
    schedule = get_scheduler(
        transformers_schedule(case), optimizer, math.ceil(case.warmup_ratio * steps), steps, case.schedule_options
    )
    result |= {"losses": [], "gradient_norms": [], "rates": [], "ranks": []}
    for step in range(steps):
        draw_rank(SEED, step)
        start = step % per_epoch * step_rows
        rows = examples[start : start + step_rows]
        parts = [rows[i : i + case.batch_size] for i in range(0, len(rows), case.batch_size)]
        sums = []
        for part in parts:
            total, divisor = loss_of(part)
            total.backward()
            sums.append((total.item(), divisor.item()))
        end_rank()
        divisor = sum(d for _, d in sums)
        for parameter in parameters:
            parameter.grad /= divisor
        result["losses"].append(sum(t for t, _ in sums) / divisor)
        result["gradient_norms"].append(torch.nn.utils.clip_grad_norm_(parameters, case.max_grad_norm).item())
        if tuned.allocation:
            tuned.allocation.scale_gradients(min(1, case.max_grad_norm / (result["gradient_norms"][-1] + 1e-6)) / divisor)
        result["rates"].append(schedule.get_last_lr()[0])
        optimizer.step()
        if tuned.allocation:
            result["ranks"].append(tuned.allocation.after_step(step))
        schedule.step()
        optimizer.zero_grad()
    result["final_logits"] = logits()
    result["final_tensors"] = {name: p.detach().double().clone() for name, p in tuned.trained.items()}
    return result


def make_optimizer(tuned, case):
    ratio = case.adapter.lora_plus_ratio
    if ratio != 1:
        return create_loraplus_optimizer(tuned.model, torch.optim.AdamW, lr=case.lr, loraplus_lr_ratio=ratio)
    return torch.optim.AdamW(torch_model.optimizer_groups(tuned.trained, case.weight_decay, case.decay), lr=case.lr)


def transformers_schedule(case):
    if case.schedule == "constant" and case.warmup_ratio > 0:
        return "constant_with_warmup"
    return SCHEDULES.get(case.schedule, case.schedule)


def zero_gradient_names(names):
    return [name for name in names if name.endswith(ZERO_GRADIENT)]


def differences(truth, other):
    """The largest of each kind, scaled as the bounds are."""
    counted = [name for name, g in truth["gradients"].items() if g.numel() > 0 and not name.endswith(ZERO_GRADIENT)]
    whole = math.sqrt(sum(float(g.norm()) ** 2 for g in truth["gradients"].values()))

    def scaled(a, b, floor=1.0):
        a, b = torch.as_tensor(a).double(), torch.as_tensor(b).double()
        return float(((a - b).abs() / a.abs().clamp(min=floor)).max())

    def gradient(name):
        g = truth["gradients"][name]
        return float((g - other["gradients"][name]).norm()) / max(float(g.norm()), 1e-6 * whole)

    return {
        "logits": scaled(truth["logits"], other["logits"]),
        "gradients": max(gradient(name) for name in counted),
        "losses": scaled(truth["losses"], other["losses"]),
        "gradient_norms": scaled(truth["gradient_norms"], other["gradient_norms"], 1e-3),
        "final_logits": scaled(truth["final_logits"], other["final_logits"]),
        "final_tensors": max(scaled(truth["final_tensors"][name], other["final_tensors"][name]) for name in counted),
    }


def packed(prefix, examples):
    offsets = [0]
    for ids, _, _ in examples:
        offsets.append(offsets[-1] + len(ids))
    return {
        f"{prefix}.input_ids": torch.tensor([i for ids, _, _ in examples for i in ids], dtype=torch.int32),
        f"{prefix}.token_type_ids": torch.tensor([t for _, types, _ in examples for t in types], dtype=torch.int32),
        f"{prefix}.offsets": torch.tensor(offsets, dtype=torch.int32),
        f"{prefix}.labels": torch.tensor([target for _, _, target in examples], dtype=torch.float64),
    }


def write_expected(path, case, examples, truth):
    tensors = packed("batch", examples[: case.batch_size]) | packed("data", examples)
    tensors |= {
        "logits": truth["logits"].float(),
        "loss": torch.tensor([truth["loss"]], dtype=torch.float64),
        "losses": torch.tensor(truth["losses"], dtype=torch.float64),
        "gradient_norms": torch.tensor(truth["gradient_norms"], dtype=torch.float64),
        "rates": torch.tensor(truth["rates"], dtype=torch.float64),
        "final_logits": truth["final_logits"].float(),
    }
    for module in truth["ranks"][-1] if truth["ranks"] else []:
        ranks = [of_step.get(module, -1) for of_step in truth["ranks"]]  # -1: no choice yet
        tensors[f"ranks/{module}"] = torch.tensor(ranks, dtype=torch.int32)
    tensors |= {f"gradient/{name}": gradient.float() for name, gradient in truth["gradients"].items()}
    tensors |= {f"final/{name}": tensor.float() for name, tensor in truth["final_tensors"].items()}
    save_file(tensors, path)


def describe(case, truth, strayed, seed):
    settings = case.adapter
    steps = len(truth["losses"])
    description = {
        "name": case.name,
        "purpose": case.purpose,
        "seed": str(seed),
        "method": settings.method,
        "modules_to_save": settings.saved_modules,
    }
    if settings.method == "vera":
        description |= {"rank": settings.rank, "targets": settings.targets}
    if settings.method in ("lora", "condlora", "lora-xs", "shared"):
        description |= {"rank": settings.rank, "alpha": settings.alpha, "targets": settings.targets}
    if settings.allocation:
        description |= {"alpha": settings.alpha, "targets": settings.targets}
    if settings.method == "condlora":
        description["orientation"] = settings.orientation
    zero = zero_gradient_names(truth["gradients"])
    return description | {
        "peft": settings.peft or None,
        "allocation": settings.allocation or None,
        "forms": settings.forms or None,
        "lora_plus_ratio": settings.lora_plus_ratio if settings.lora_plus_ratio != 1 else None,
        "task": "multi-label" if case.multi_label else "classification" if case.labels else "regression",
        "labels": case.labels,
        "train": "train.tsv",
        "text_columns": text_columns(case),
        "label_column": label_columns(case) if case.numbers > 1 else "label",
        "label_separator": SEPARATOR if case.multi_label else None,
        "max_length": case.max_length,
        "dropout": 0.0,
        "batch_size": case.batch_size,
        "accumulate": case.accumulate,
        "epochs": case.epochs,
        "max_steps": None if case.epochs else steps,
        "steps": steps,
        "lr": case.lr,
        "schedule": case.schedule,
        "cycles": case.schedule_options.get("num_cycles"),
        "power": case.schedule_options.get("power"),
        "end_rate": case.schedule_options.get("lr_end"),
        "warmup_ratio": case.warmup_ratio,
        "warmup_steps": math.ceil(case.warmup_ratio * steps),
        "weight_decay": case.weight_decay,
        "decay": case.decay,
        "max_grad_norm": case.max_grad_norm,
        "label_smoothing": case.label_smoothing,
        "class_weights": case.class_weights,
        "zero_gradients": {
            "tensors": zero,
            "reason": "a key's bias adds the same to all scores of a query, so its gradient is zero in exact arithmetic "
            "and rounding noise in any other; neither its gradient nor its final value can be compared",
        } if zero else None,
        "bounds": BOUNDS,
        "pytorch_float32_strays": strayed,
        "versions": {
            "torch": torch.__version__.partition("+")[0],
            "transformers": transformers.__version__,
            "peft": peft_version,
            "tokenizers": tokenizers.__version__,
        },
    }


def check_with_peft(model_folder, adapter_folder, case, examples, expected):
    """PEFT itself must give the logits: it reads its own folders, and others' pairs, or triplets, written out."""
    outputs = outputs_of(case)
    base, _ = torch_model.read_base(model_folder, outputs, attention="eager")
    if case.adapter.method in ("lora", "adalora", "vera"):
        model = PeftModel.from_pretrained(base, adapter_folder, is_trainable=case.adapter.method == "adalora")
    elif case.adapter.method == "condadalora":
        model = torch_adalora.written_out(base, load_file(adapter_folder / "adapter_model.safetensors"), case.adapter)
    else:
        forms = case.adapter.forms
        if forms.get("use_x") == "type2":  # no LoRA can hold it
            return
        tuned = torch_model.apply(base, dataclasses.replace(
            case.adapter, method="lora", targets=written_out_targets(case), forms={}, peft={"use_dora": forms.get("use_dora", False)}
        ))
        tuned.load_tensors(written_out(model_folder, adapter_folder, case, tuned))
        model = tuned.model
    model = model.double().eval()
    inputs, labels = collate(examples[: case.batch_size], has_numbers(case), torch.double)
    if case.adapter.method == "adalora":
        torch_adalora.PeftAllocation(model, case.adapter).check_penalty(pad_with(inputs, base.config), labels)
    with torch.no_grad():
        logits = model(**pad_with(inputs, base.config)).logits
    if float((logits - expected).abs().max()) > 1e-10:
        raise AssertionError(f"{case.name}: PEFT's logits differ by {float((logits - expected).abs().max())}")


def written_out_targets(case):
    inner = "|".join(target.replace(".", r"\.") for target in case.adapter.targets)
    return rf".*layer\.\d+\.(.*\.)?({inner})"


def written_out(model_folder, adapter_folder, case, lora):
    """A_l and B_l of every layer, in float64, as LoRA tensors."""
    base, _ = torch_model.read_base(model_folder, outputs_of(case), attention="eager")
    weights = {name.removesuffix(".weight"): p.detach().double() for name, p in base.named_parameters()}
    adapter_tensors = {
        name.removeprefix(torch_model.PEFT_PREFIX): t.double()
        for name, t in load_file(adapter_folder / "adapter_model.safetensors").items()
    }
    lora.double()
    tensors, groups = {}, {}
    for name in lora.trained:
        path, is_adapted, _ = name.removeprefix(torch_model.PEFT_PREFIX).partition(".lora_")
        if is_adapted and name.endswith("_A.weight"):
            groups.setdefault(torch_model.BLOCK_PATTERN.fullmatch(path).group(1), []).append(path)
        if not is_adapted or name.endswith(".lora_magnitude_vector"):
            tensors[name] = adapter_tensors[name.removeprefix(torch_model.PEFT_PREFIX)]
    conditions = torch_methods.conditions(weights, groups, case.adapter.forms)
    for inner, paths in groups.items():
        for path in paths:
            pair = written_out_pair(case.adapter, adapter_tensors, inner, path, weights, conditions)
            for letter, matrix in zip("AB", pair):
                tensors[f"{torch_model.PEFT_PREFIX}{path}.lora_{letter}.weight"] = matrix
    return tensors


def written_out_pair(settings, tensors, inner, path, weights, conditions):
    if settings.method == "shared":
        return tensors[f"{inner}.shared_A.weight"], tensors[f"{inner}.shared_B.weight"]
    if settings.method == "lora-xs":
        return tensors[f"{path}.lora_xs_R.weight"] @ tensors[f"{path}.lora_xs_A.weight"], tensors[f"{path}.lora_xs_B.weight"]
    source, rotation = conditions[path]
    condition = torch_methods.conditioned(weights[source], rotation)
    down = tensors[f"{inner}.condlora_A.weight"] @ (condition if settings.orientation == "paper" else condition.T)
    if settings.forms.get("gates"):
        down = tensors[f"{path}.condlora_gate"][:, None] * down
    if settings.forms.get("use_x") == "type1":
        down = down + settings.forms.get("lora_x_scaling", 0.5) * tensors["condlora_x.weight"]
    return down, condition @ tensors[f"{inner}.condlora_B.weight"].T


def write_case(output, case, seed, real_model=None):
    folder = output / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = small_models.make_generator(case.name, seed)
    model_folder, adapter_folder = folder / "model", folder / "adapter"
    if real_model:
        model_folder.symlink_to(pathlib.Path(real_model).resolve())
    else:
        small_models.write_model(model_folder, case.shape, outputs_of(case), rng.getrandbits(31))
    rows = write_data(folder, case, rng)
    examples = encode(model_folder, case, rows)
    if case.adapter.method != "full":
        settings = dataclasses.replace(case.adapter, labels=case.labels, regression=case.labels is None)
        torch.manual_seed(0)
        base, fresh = torch_model.read_base(model_folder, outputs_of(case), attention="eager")
        if torch_model.singular_gap(base, settings) < LEAST_GAP:
            raise IllConditioned(f"{case.name}: singular values too close")
        tuned = torch_model.apply(base, settings, fresh)
        case = dataclasses.replace(case, adapter=tuned.settings)  # a fresh pooler is saved too
        write_adapter(tuned, adapter_folder, case, rng.getrandbits(31))
    tuned = open_tuned(model_folder, adapter_folder, case)
    truth = run(copy.deepcopy(tuned), case, examples, torch.float64)
    strayed = differences(truth, run(tuned, case, examples, torch.float32))
    if case.adapter.method not in ("none", "bitfit", "full"):
        check_with_peft(model_folder, adapter_folder, case, examples, truth["logits"])
    write_expected(folder / "expected.safetensors", case, examples, truth)
    description = describe(case, truth, strayed, seed)
    (folder / "case.json").write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    make_readable(folder)
    return strayed


def make_readable(folder):
    """safetensors writes files that only their owner may read."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.parent.is_symlink():
            path.chmod(0o644)


def well_conditioned(strayed):
    """PyTorch's own float32 keeps to a quarter of each bound."""
    return all(strayed[kind] <= bound / 4 for kind, bound in BOUNDS.items())


def write_drawn(output, case, seed):
    for attempt in range(20):
        rng = small_models.make_generator("shape", case.name, seed, attempt)
        try:
            strayed = write_case(output, drawn_case(case, rng), f"{seed}.{attempt}")
        except IllConditioned:
            continue
        if well_conditioned(strayed):
            return strayed
    raise RuntimeError(f"{case.name}: twenty draws, all too ill-conditioned for float32")


USUAL_TARGETS = {"mpnet": ["q", "v"], "distilbert": ["q_lin", "v_lin"]}


def real_cases(seed, model):
    targets = USUAL_TARGETS.get(torch_model.family_of(model))
    common = {"pairs": True, "batch_size": 8, "max_length": 64, "shape": {}, "lr": 1e-3}
    return [
        Case(f"real-lora-{seed}", "LoRA on a real model", adapter=adapter("lora", targets), **common),
        Case(f"real-condlora-paper-{seed}", "CondLoRA on a real model", adapter=adapter("condlora", targets), **common),
        Case(f"real-condlora-reference-{seed}", "CondLoRA on a real model, as its paper's code computes it",
             adapter=adapter("condlora", targets, orientation="reference"), zero_b=True, **common),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="0: the committed cases")
    parser.add_argument("--model", help="a real model's folder")
    parser.add_argument("--only", help="write only cases whose names contain this")
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    cases = real_cases(arguments.seed, arguments.model) if arguments.model else committed_cases()
    for case in cases:
        if arguments.only and arguments.only not in case.name:
            continue
        if arguments.seed and not arguments.model:
            strayed = write_drawn(arguments.output, case, arguments.seed)
        else:
            strayed = write_case(arguments.output, case, arguments.seed, arguments.model)
        marks = " ".join(f"{kind} {value:.1e}" for kind, value in strayed.items())
        print(f"{case.name:28} {marks}{'' if well_conditioned(strayed) else '  ILL-CONDITIONED'}", flush=True)


if __name__ == "__main__":
    main()
