"""Model folders of every kind, against the real Transformers: what config.json and the tensors' files may say.

    python model_folders.py PATH/TO/condlora

Models are small and random, with the tokenizers of the golden cases of tests/parity. Exit status 0 when all agree; each
disagreement is a line.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import numpy
import onnxruntime
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from foreign_files import CASES, FAILURES, check, close, must

TOKENIZERS = {"bert": "bert-full", "distilbert": "distilbert-full", "electra": "electra-full", "roberta": "roberta-full",
              "xlm-roberta": "xlm-roberta-condlora-regression"}
AFTER_PADDING = ("roberta", "xlm-roberta")


def new_model(family, folder, seed=1, **settings):
    """A random model of a family as its Transformers folder, with the tokenizer of a golden case; the loaded model."""
    base = CASES / TOKENIZERS[family] / "model"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    config = AutoConfig.from_pretrained(base, **settings)
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return model.eval()


def change_json(path, without=(), **settings):
    content = json.loads(path.read_text())
    content.update(settings)
    path.write_text(json.dumps({key: value for key, value in content.items() if key not in without}))


def texts_for(folder):
    """Pairs with the tokenizer's padding token within, at the start and at the end."""
    pad = AutoTokenizer.from_pretrained(folder).pad_token
    return [("the old river", "is cold"), (f"the {pad} old river {pad} {pad} is", "not here"), (f"{pad} the kettle", f"sings {pad}"),
            (f"{pad}", f"{pad}{pad}")]


def by_program(folder, texts, *arguments):
    rows = folder.parent / "texts.jsonl"
    rows.write_text("".join(json.dumps({"a": first, "b": second}) + "\n" for first, second in texts))
    lines = must("predict", "--backend", "cpu", "--model", folder, "--input", rows, "--text-columns", "a,b", *arguments).splitlines()
    return [json.loads(line) for line in lines]


def logits_of(answers):
    return torch.tensor([answer["logits"] for answer in answers], dtype=torch.double)


def by_torch(model, folder, texts):
    tokenizer, rows = AutoTokenizer.from_pretrained(folder), []
    for first, second in texts:
        inputs = tokenizer(first, second, return_tensors="pt")
        with torch.no_grad():
            rows.append(model(**inputs).logits[0].double())
    return torch.stack(rows)


def compare(what, folder, model=None):
    """The program's logits beside Transformers' own of the same folder."""
    if model is None:
        model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    texts = texts_for(folder)
    answers = by_program(folder, texts)
    check(bool(answers) and close(logits_of(answers), by_torch(model, folder, texts)), f"{what}: logits")
    return answers


# ---- Padding ----


def by_onnx(folder, texts, out):
    must("export", "--format", "onnx", "--backend", "cpu", "--model", folder, "--output", out)
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer, names = AutoTokenizer.from_pretrained(out), [value.name for value in session.get_inputs()]
    rows = []
    for pair in texts:
        inputs = tokenizer(*pair, return_tensors="np")
        rows.append(session.run(None, {name: inputs[name] for name in names})[0][0])
    (together,) = session.run(None, {name: tokenizer(*map(list, zip(*texts)), padding=True, return_tensors="np")[name] for name in names})
    check(numpy.allclose(together, rows, atol=1e-5), f"{folder.name}: a padded batch in ONNX")
    return torch.tensor(numpy.array(rows)).double()


def positions(folder):
    """A padding token inside a text, and other ids as padding: positions count over what is not padding."""
    for family in TOKENIZERS:
        for pad in (None, -1, 5) if family not in AFTER_PADDING else (-1, 0, 1, 5):
            out = folder / f"{family}-{pad}"
            model = new_model(family, out, pad_token_id=pad, type_vocab_size=2)
            compare(f"{family} with pad_token_id {pad}", out, model)
            if pad != 5:
                continue
            texts = texts_for(out)
            check(close(by_onnx(out, texts, folder / f"{family}-onnx"), by_torch(model, out, texts)), f"{family}: logits of the ONNX")


def padding_gradients(folder):
    """The rows of padding get no gradient, as nn.Embedding's padding_idx; the rest of the text's rows do."""
    for family, pad in (("bert", 0), ("bert", None), ("bert", -1), ("distilbert", 0), ("electra", 0), ("roberta", 1), ("roberta", -1),
                        ("xlm-roberta", 1)):
        model, run = folder / f"{family}-{pad}", folder / f"{family}-{pad}-run"
        loaded = new_model(family, model, pad_token_id=pad, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        rows = folder / "train.tsv"
        last = AutoTokenizer.from_pretrained(model).convert_ids_to_tokens(loaded.config.vocab_size - 1)
        texts = [f"{first} {last} {second}" for first, second in texts_for(model)[:3]]
        rows.write_text("text\tlabel\n" + "".join(f"{text}\t{'ab'[i % 2]}\n" for i, text in enumerate(texts)))
        must("train", "--backend", "cpu", "--model", model, "--train", rows, "--text-columns", "text", "--label-column", "label", "--method",
             "full", "--epochs", "1", "--batch-size", "3", "--dev-fraction", "0", "--eval-every", "0", "--dropout", "0", "--output", run)
        inputs = AutoTokenizer.from_pretrained(model)(texts, padding=True, return_tensors="pt")
        loaded(**inputs, labels=torch.tensor([0, 1, 0])).loss.backward()
        before, after = load_file(model / "model.safetensors"), load_file(run / "model" / "model.safetensors")
        prefix = loaded.base_model_prefix
        for table in ("word_embeddings", "position_embeddings"):
            name = f"{prefix}.embeddings.{table}.weight"
            wanted = loaded.get_parameter(name).grad.abs().sum(1) > 0
            check(torch.equal((before[name] != after[name]).any(1), wanted), f"{family} with pad_token_id {pad}: rows of {table} that change")


def main():
    for part in (positions, padding_gradients):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
        print(f"{part.__name__}: done", flush=True)
    return len(FAILURES) > 0


if __name__ == "__main__":
    sys.exit(main())
