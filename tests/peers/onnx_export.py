"""Encoders exported as ONNX, read by the real onnx and run by onnxruntime, against Transformers.

    python onnx_export.py PATH/TO/condlora

Models and adapters are the golden cases of tests/parity. Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from foreign_files import CASES, FAILURES, LONGEST, Texts, adapter_cases, check, close, must, outputs_of, refused, torch_model

FULL = ("bert-full", "roberta-full", "distilbert-full", "electra-full", "mpnet-full")


class Exported:
    """An exported folder in onnxruntime."""

    def __init__(self, folder):
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
        graph = onnx.load(folder / "model.onnx", load_external_data=False)
        check([(entry.domain, entry.version) for entry in graph.opset_import] == [("", 17)], f"{folder}: operators of more than the standard")
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def logits(self, inputs):
        (logits,) = self.session.run(["logits"], {name: inputs[name].numpy() for name in self.inputs})
        return torch.from_numpy(logits).double()

    def by_texts(self, rows):
        return self.logits(self.tokenizer(*map(list, zip(*rows)), truncation=True, max_length=LONGEST, padding=True, return_tensors="pt",
                                          return_token_type_ids=True))


def by_torch(model, inputs, names):
    with torch.no_grad():
        outputs = model(**{name: inputs[name] for name in names})
    return outputs if torch.is_tensor(outputs) else outputs.logits


def random_inputs(config, lengths, generator):
    """Sequences of random tokens, padding's own id among them, padded to the longest."""
    pad = config.pad_token_id
    kept = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    ids = torch.randint(0, config.vocab_size, kept.shape, generator=generator)
    types = torch.randint(0, max(getattr(config, "type_vocab_size", 1), 1), kept.shape, generator=generator)
    return {"input_ids": torch.where(kept, ids, pad), "attention_mask": kept.long(), "token_type_ids": torch.where(kept, types, 0)}


def compare(case, exported, tuned, config, texts, ours):
    """What the export says of texts and of random tokens, each with others and alone."""
    check(("token_type_ids" in exported.inputs) == (config.model_type in ("bert", "electra")), f"{case}: inputs {exported.inputs}")
    logits = exported.by_texts(texts.rows)
    check(close(logits, ours), f"{case}: logits beside our own")
    for row, wanted in zip(texts.rows, logits):
        check(close(exported.by_texts([row]), wanted[None]), f"{case}: logits of a text alone")
    after_padding = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "mpnet") else 0
    longest = config.max_position_embeddings - after_padding
    generator = torch.Generator().manual_seed(1)
    for lengths in ([1], [2, 1], [longest], [7, longest, 1, 2, 30]):
        inputs = random_inputs(config, lengths, generator)
        wanted = by_torch(tuned, inputs, exported.inputs)
        check(close(exported.logits(inputs), wanted), f"{case}: logits of {lengths} random tokens")
        for i, length in enumerate(lengths):
            alone = {name: tensor[i : i + 1, :length] for name, tensor in inputs.items()}
            check(close(exported.logits(alone), wanted[i : i + 1]), f"{case}: logits of {length} random tokens without padding")


def adapters(folder):
    """One case of each family, activation and method."""
    families, kinds = set(), set()
    for case, config in adapter_cases():
        encoder = json.loads((CASES / case / "model" / "config.json").read_text())
        kind = (encoder["model_type"], encoder.get("hidden_act", encoder.get("activation")), config["peft_type"], config.get("use_dora"),
                config.get("use_x"))
        if kind in kinds:
            continue
        kinds.add(kind)
        model, adapter, out = CASES / case / "model", CASES / case / "adapter", folder / case
        arguments = ("export", "--format", "onnx", "--backend", "cpu", "--model", model, "--adapter", adapter, "--output", out)
        if config.get("use_x") == "type2":
            refused(case, "type2", *arguments)
            check(not out.exists() and not list(folder.glob("*.tmp-*")), f"{case}: something is left behind")
            continue
        printed = must(*arguments)
        check(float(printed.split(" is ")[1].split(",")[0]) < 1e-4, f"{case}: {printed}")
        tuned = torch_model.read_adapter(model, adapter, outputs_of(case), attention="eager").double().eval()
        texts = Texts(case, folder)
        compare(case, Exported(out), tuned, tuned.model.config, texts, texts.by_program(model, adapter))
        families.add(tuned.model.config.model_type)
    check(families == {"bert", "roberta", "distilbert", "electra", "xlm-roberta", "mpnet"}, f"families: {families}")
    refused("an output that exists", "exists already", *arguments[:-1], folder)


def whole_models(folder):
    """Fine-tuned as a whole: no adapter. The file is the same to the last byte each time."""
    for case in FULL:
        model, out, again = CASES / case / "model", folder / case, folder / f"{case}-again"
        for output in (out, again):
            must("export", "--format", "onnx", "--backend", "cpu", "--model", model, "--output", output)
        for name in ("model.onnx", "model.onnx.data"):
            check((out / name).read_bytes() == (again / name).read_bytes(), f"{case}: {name} differs from itself")
        loaded = AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager").double().eval()
        texts = Texts(case, folder)
        compare(case, Exported(out), loaded, loaded.config, texts, texts.by_program(model))
        stored = {tensor.name: tensor for tensor in onnx.load(out / "model.onnx").graph.initializer}
        for name, tensor in loaded.float().state_dict().items():
            for key, wanted in ((name, tensor), (f"{name}.transposed", tensor.T if tensor.dim() == 2 else tensor)):
                if key in stored:
                    check(numpy.array_equal(onnx.numpy_helper.to_array(stored[key]), wanted.numpy()), f"{case}: {key} has other values")
        labels = json.loads((out / "config.json").read_text())["id2label"]
        check(len(labels) == loaded.config.num_labels, f"{case}: labels {labels}")


def main():
    for part in (adapters, whole_models):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
        print(f"{part.__name__}: done")
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
