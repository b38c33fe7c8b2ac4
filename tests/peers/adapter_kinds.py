"""Adapters of every kind that PEFT saves, on all families: what the program makes of the folder against PEFT.

    python adapter_kinds.py PATH/TO/condlora [--all] [WORDS…]

WORDS choose kinds by their names. Without --all each kind is tried on one of its families, by turns, the first on every one, and every third kind in ONNX. Bases are the models of tests/parity with a drawn head of three labels. PEFT makes each adapter, its trained values are
drawn, and PEFT reads it again; predict, merge and both exports must give PEFT's logits. Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import shutil
import sys
import tempfile
import warnings

import numpy
import onnxruntime
import torch
from huggingface_hub import ModelCard
from peft import AdaLoraConfig, AutoPeftModelForSequenceClassification, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from foreign_files import CASES, FAILURES, LONGEST, Texts, check, close, must

warnings.filterwarnings("ignore")
FAMILIES = {"bert": "bert-full", "roberta": "roberta-full", "distilbert": "distilbert-full", "electra": "electra-full",
            "xlm-roberta": "xlm-roberta-lora"}
QUERY = {"distilbert": "q_lin"}
HEAD = {"bert": ["classifier", "pooler.dense"], "distilbert": ["pre_classifier", "classifier"]}
CLASSIFIER = ["classifier.dense", "classifier.out_proj"]
BERTS = ("bert", "electra", "roberta", "xlm-roberta")


def draw(module, deviation):
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * deviation)


def make_base(family, folder):
    source = CASES / FAMILIES[family] / "model"
    base = folder / family
    shutil.copytree(source, base, ignore=shutil.ignore_patterns("*.safetensors*"))
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=3, ignore_mismatched_sizes=True,
                                                               id2label={0: "no", 1: "maybe", 2: "yes"}, torch_dtype=torch.float32)
    draw(model, 0.1)
    model.save_pretrained(base)
    return base


def load(base, words=None):
    model = AutoModelForSequenceClassification.from_pretrained(base, attn_implementation="eager")
    if words is not None:
        model.resize_token_embeddings(words)
    return model


class Kind:
    """One way to make an adapter. `words`: the base's table is made larger or smaller first."""

    def __init__(self, name, families=tuple(FAMILIES), make=LoraConfig, words=0, after=None, **settings):
        self.name, self.families, self.make, self.words, self.after, self.settings = name, families, make, words, after, settings

    def config(self, family):
        settings = {"r": 4, "lora_alpha": 6, "task_type": "SEQ_CLS", "target_modules": ["QUERY"], **self.settings}
        for key, value in settings.items():
            if isinstance(value, list):
                settings[key] = [part for item in value for part in {"QUERY": [QUERY.get(family, "query")],
                                                                     "HEAD": HEAD.get(family, CLASSIFIER)}.get(item, [item])]
        if self.make is AdaLoraConfig:
            del settings["r"]
            settings |= {"init_r": 4, "target_r": 2, "total_step": 10}
        return self.make(**settings)


def edit(key, value):
    def change(folder):
        path = folder / "adapter_config.json"
        config = json.loads(path.read_text())
        config[key] = value
        path.write_text(json.dumps(config))
    return change


def prune(folder):
    """Ranks as AdaLoRA leaves them: the second and the last of each layer are gone."""
    tensors, pattern = load_file(folder / "adapter_model.safetensors"), {}
    for name, tensor in list(tensors.items()):
        if name.endswith("lora_E") or name.endswith("lora_A"):
            tensors[name] = tensor[[0, 2]].contiguous()
        elif name.endswith("lora_B"):
            tensors[name] = tensor[:, [0, 2]].contiguous()
        if name.endswith("lora_E"):
            pattern[name.removeprefix("base_model.model.")] = [True, False, True, False]
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    edit("rank_pattern", pattern)(folder)


KINDS = [
    Kind("plain"),
    Kind("every layer, its list in the file", BERTS, target_modules="all-linear"),
    Kind("every layer, its word in the file", BERTS, target_modules="all-linear", after=edit("target_modules", "all-linear")),
    Kind("no task, no head", task_type=None),
    Kind("the head's layers", task_type=None, target_modules=["QUERY", "HEAD"]),
    Kind("the head's layers, triplets", make=AdaLoraConfig, task_type=None, target_modules=["QUERY", "HEAD"]),
    Kind("an expression for every layer", BERTS, target_modules=r".*\.(query|dense|out_proj)"),
    Kind("every layer of no task", target_modules="all-linear", task_type=None),
    Kind("features, no head", task_type="FEATURE_EXTRACTION"),
    Kind("no task, modules []", task_type=None, after=edit("modules_to_save", [])),
    Kind("half of the head saved", ("roberta", "electra", "xlm-roberta"), task_type=None, modules_to_save=["out_proj"]),
    Kind("the head's layers alone", task_type=None, target_modules=["HEAD"]),
    Kind("one of them saved", ("roberta", "electra", "xlm-roberta"), task_type=None, target_modules=["QUERY", "classifier.dense"],
         modules_to_save=["out_proj"]),
    Kind("one of them excluded", ("roberta", "electra"), task_type=None, target_modules=["QUERY", "HEAD"], exclude_modules=["out_proj"]),
    Kind("the head's layers and all biases", task_type=None, target_modules=["QUERY", "HEAD"], bias="all"),
    Kind("the head's layers and their biases", task_type=None, target_modules=["QUERY", "HEAD"], bias="lora_only"),
    Kind("the head's layers, DoRA", task_type=None, target_modules=["QUERY", "HEAD"], use_dora=True),
    Kind("the head's layers, rsLoRA", task_type=None, target_modules=["QUERY", "HEAD"], use_rslora=True),
    Kind("the head's layers, ranks", ("roberta", "electra"), task_type=None, target_modules=["QUERY", "HEAD"],
         rank_pattern={"classifier.dense": 2, ".*out_proj": 3}, alpha_pattern={"classifier": 9, "^classifier.out_proj": 1, "QUERY": 2}),
    Kind("the head's layers, some triplets", make=AdaLoraConfig, task_type=None, target_modules=["QUERY", "HEAD"], after=prune),
    Kind("the head's layers alone, triplets", ("roberta",), make=AdaLoraConfig, task_type=None, target_modules=["classifier.dense"]),
    Kind("triplets of every layer", BERTS, make=AdaLoraConfig, target_modules="all-linear"),
    Kind("biases beside B", lora_bias=True),
    Kind("biases beside B and all others", target_modules=["QUERY", "HEAD"], task_type=None, lora_bias=True, bias="all"),
    Kind("the table of words saved", modules_to_save=["word_embeddings"]),
    Kind("norms saved", BERTS, modules_to_save=["LayerNorm"]),
    Kind("a block saved", BERTS, modules_to_save=["layer.1"]),
    Kind("LoRA of words", target_modules=["QUERY", "word_embeddings"]),
    Kind("LoRA of all tables", BERTS, target_modules=["QUERY", "word_embeddings", "position_embeddings"]),
    Kind("DoRA of words", target_modules=["QUERY", "word_embeddings"], use_dora=True),
    Kind("rows of words", trainable_token_indices=[3, 17, 5]),
    Kind("rows of a named table", ("bert", "roberta"), trainable_token_indices={"word_embeddings": [9]}),
    Kind("new words", words=3),
    Kind("new words and rows of them", ("bert", "roberta"), words=3, trainable_token_indices=[1, 2]),
    Kind("fan_in_fan_out", ("bert", "distilbert"), fan_in_fan_out=True),
    Kind("targets that are not there", ("bert",), target_modules=["QUERY", "q_proj", "c_attn"]),
    Kind("an alpha of none", ("bert",), lora_alpha=0),
    Kind("a negative alpha", ("bert",), lora_alpha=-3),
    Kind("triplets, an alpha of none", ("bert",), make=AdaLoraConfig, lora_alpha=0),
    Kind("the head's layers alone and all biases", task_type=None, target_modules=["HEAD"], bias="all"),
    Kind("LoRA of words beside a saved block", ("bert", "roberta"), target_modules=["word_embeddings"], modules_to_save=["layer.0"]),
    Kind("triplets, settings of LoRA alone", ("bert",), make=AdaLoraConfig, use_rslora=True, init_lora_weights="pissa",
         alpha_pattern={"query": 9}),
    Kind("values by their variance", ("bert",), after=edit("eva_config", {"rho": 2.0, "tau": 0.99})),
    Kind("layers", BERTS, layers_to_transform=[1], target_modules=["QUERY", "HEAD"], task_type=None),
    Kind("empty texts", ("roberta",), after=lambda folder: [edit(key, "")(folder) for key in ("exclude_modules", "layers_pattern")]),
]


EVERYWHERE = 1  # so many kinds are tried on every family
ONNX_EVERY = 3


def by_turns(kind):
    first = KINDS.index(kind)
    return {kind.families[(first + i) % len(kind.families)] for i in range(1)}


def run_onnx(folder, texts):
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = AutoTokenizer.from_pretrained(folder)(*map(list, zip(*texts.rows)), truncation=True, max_length=LONGEST, padding=True,
                                                   return_tensors="np", return_token_type_ids=True)
    names = [value.name for value in session.get_inputs()]
    return torch.from_numpy(session.run(["logits"], {name: numpy.asarray(inputs[name], dtype="int64") for name in names})[0]).double()


def make_adapter(kind, family, base, adapter):
    """PEFT's own folder, and the number of words of the model it belongs on."""
    torch.manual_seed(len(kind.name))
    model = load(base)
    words = model.config.vocab_size + kind.words if kind.words else None
    model = load(base, words)
    if words is not None:
        draw(model.get_input_embeddings(), 0.1)
    tuned = get_peft_model(model, kind.config(family))
    draw(tuned, 0.1)
    tuned.save_pretrained(adapter)
    if kind.after is not None:
        kind.after(adapter)
    return words


def compare(kind, family, base, folder):
    what, adapter = f"{family}: {kind.name}", folder / "adapter"
    words = make_adapter(kind, family, base, adapter)
    texts = Texts(FAMILIES[family], folder)
    wanted = texts.by_torch(PeftModel.from_pretrained(load(base, words), adapter), base)
    check(not close(wanted, texts.by_torch(load(base, words), base)), f"{what}: the adapter changes nothing")
    check(close(texts.by_program(base, adapter), wanted), f"{what}: predict")
    given = ("--backend", "cpu", "--model", base, "--adapter", adapter)
    must("inspect", adapter)
    must("merge", *given, "--output", folder / "merged")
    check(close(texts.by_torch(load(folder / "merged"), base), wanted), f"{what}: merge")
    check(close(texts.by_program(folder / "merged"), wanted), f"{what}: our own logits of the merged model")
    if "--all" in sys.argv or KINDS.index(kind) % ONNX_EVERY == 0:
        must("export", *given, "--output", folder / "onnx", "--format", "onnx")
        check(close(run_onnx(folder / "onnx", texts), wanted), f"{what}: onnx")
    must("export", *given, "--output", folder / "peft")
    exported = PeftModel.from_pretrained(load(base, words), folder / "peft")
    check(close(texts.by_torch(exported, base), wanted), f"{what}: export to PEFT")
    check(close(texts.by_program(base, folder / "peft"), wanted), f"{what}: our own logits of the export")


def new_tokens(bases, folder):
    """A word that the base does not know, with the tokenizer beside the adapter; PEFT loads the export by its own means."""
    for family in ("bert", "roberta"):
        base, own = bases[family], folder / f"{family}-tokens"
        adapter = own / "adapter"
        own.mkdir()
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.add_tokens(["flurb"])
        model = load(base, len(tokenizer))
        draw(model.get_input_embeddings(), 0.1)
        tuned = get_peft_model(model, Kind("new tokens").config(family))
        draw(tuned, 0.1)
        tuned.save_pretrained(adapter)
        tokenizer.save_pretrained(adapter)
        texts = Texts(FAMILIES[family], own)
        texts.rows = [[f"flurb {part}" for part in row] for row in texts.rows]
        texts.file.write_text("".join("\t".join(row) + "\n" for row in [texts.columns, *texts.rows]), encoding="utf-8")
        wanted = texts.by_torch(PeftModel.from_pretrained(load(base, len(tokenizer)), adapter), adapter)
        check(close(texts.by_program(base, adapter), wanted), f"{family}: a new token: predict")
        given = ("--backend", "cpu", "--model", base, "--adapter", adapter)
        must("merge", *given, "--output", own / "merged")
        check(close(texts.by_torch(load(own / "merged"), own / "merged"), wanted), f"{family}: a new token: merge")
        must("export", *given, "--output", own / "onnx", "--format", "onnx")
        check(close(run_onnx(own / "onnx", texts), wanted), f"{family}: a new token: onnx")
        must("export", *given, "--output", own / "peft")
        exported = AutoPeftModelForSequenceClassification.from_pretrained(own / "peft", num_labels=3)
        check(close(texts.by_torch(exported, own / "peft"), wanted), f"{family}: a new token: export to PEFT")


def cards(folder):
    """What the README of an export says to do, and what the hub reads of it."""
    model, adapter, out = CASES / "bert-condlora-paper" / "model", folder / "adapter", folder / "card"
    shutil.copytree(CASES / "bert-condlora-paper" / "adapter", adapter)
    edit("base_model_name_or_path", str(model))(adapter)
    must("export", "--backend", "cpu", "--model", model, "--adapter", adapter, "--output", out)
    labels = json.loads((adapter / "adapter_config.json").read_text())["labels"]
    card = ModelCard.load(out / "README.md")
    check((card.data.base_model, card.data.library_name, card.data.tags) == (None, "peft", ["lora", "transformers"]), f"card: {card.data}")
    check(AutoConfig.from_pretrained(out).num_labels == len(labels), "card: config.json has other labels")
    code = "\n".join(line[4:] for line in card.text.split("\n") if line.startswith("    "))
    names = {}
    exec(code.replace("FOLDER", str(out)), names)
    check(list(names["model"].config.id2label.values()) == labels, f"card: labels {names['model'].config.id2label}")
    texts = Texts("bert-condlora-paper", folder)
    check(close(texts.by_torch(names["model"], out), texts.by_program(model, adapter)), "card: logits")


def starts(bases, folder):
    """Training that starts from such an adapter saves one that PEFT reads."""
    for family, name in (("distilbert", "the head's layers"), ("roberta", "LoRA of words"), ("bert", "biases beside B")):
        own, base = folder / f"{family}-start", bases[family]
        own.mkdir()
        make_adapter(next(kind for kind in KINDS if kind.name == name), family, base, own / "adapter")
        texts = Texts(FAMILIES[family], own)
        rows = [[*row, label] for row, label in zip(texts.rows * 2, ["no", "maybe", "yes"] * 4)]
        (own / "train.tsv").write_text("".join("\t".join(row) + "\n" for row in [[*texts.columns, "label"], *rows]), encoding="utf-8")
        must("train", "--backend", "cpu", "--model", base, "--init-adapter", own / "adapter", "--train", own / "train.tsv", "--text-columns",
             ",".join(texts.columns), "--label-column", "label", "--labels", "no,maybe,yes", "--max-steps", 2, "--batch-size", 4,
             "--eval-every", 0, "--output", own / "out")
        tuned = PeftModel.from_pretrained(load(base), own / "out" / "adapter")
        check(close(texts.by_program(base, own / "out" / "adapter"), texts.by_torch(tuned, base)), f"{family}: training from {name}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bases = {family: make_base(family, folder) for family in FAMILIES}
        chosen = [word for word in sys.argv[2:] if word != "--all"]
        every = "--all" in sys.argv
        for kind in KINDS:
            for family in kind.families if every or kind in KINDS[:EVERYWHERE] else by_turns(kind):
                if chosen and not any(word in f"{family}: {kind.name}" for word in chosen):
                    continue
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    try:
                        compare(kind, family, bases[family], pathlib.Path(own))
                    except Exception as error:  # of the libraries: the other kinds are to be seen too
                        check(False, f"{family}: {kind.name}: {type(error).__name__}: {str(error)[:300]}")
        if not chosen:
            new_tokens(bases, folder)
            cards(folder)
            starts(bases, folder)
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
