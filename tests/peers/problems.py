"""Several labels and several numbers: what condlora trains, evaluates, predicts, merges and exports, in Transformers, PEFT,
ONNX Runtime and scikit-learn.

    python problems.py PATH/TO/condlora

Exit status 0 when all agree; each disagreement is a line.
"""
import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import torch
from peft import PeftModel
from sklearn import metrics
from transformers import AutoModelForSequenceClassification, AutoTokenizer

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
PARITY = pathlib.Path(__file__).resolve().parent.parent / "parity"
CASES = PARITY.parent / "data" / "cases"
sys.path.insert(0, str(PARITY))
import torch_model  # noqa: E402

BOUND = 1e-5  # of a logit, computed in float32 on both sides
PRINTED = 2**-23  # of a probability, which is rounded to float32 and printed
LONGEST = 48
KINDS = {
    "several labels": ("bert-lora-multi-label", ["--multi-label", "--label-separator", "|", "--label-column", "label"]),
    "several numbers": ("roberta-condlora-numbers", ["--regression", "--label-column", "number0,number1,number2"]),
}


def run(*arguments):
    length = ["--max-length", str(LONGEST)] if arguments[0] in ("train", "eval", "predict") else []
    done = subprocess.run([PROGRAM, *map(str, arguments), *length], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"condlora {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


class Kind:
    def __init__(self, case, options):
        self.model, self.data, self.options = case / "model", case / "train.tsv", options
        with open(self.data, encoding="utf-8") as file:
            self.rows = [line.split("\t") for line in file.read().splitlines()]
        self.columns = [name for name in self.rows[0] if name.startswith("sentence")]
        texts = [[row[self.rows[0].index(name)] for row in self.rows[1:]] for name in self.columns]
        tokenizer = AutoTokenizer.from_pretrained(self.model)
        self.inputs = tokenizer(*texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        self.multi_label = "--multi-label" in options

    def targets(self, names):
        header, rows = self.rows[0], self.rows[1:]
        if self.multi_label:
            return np.array([[float(name in row[header.index("label")].split("|")) for name in names] for row in rows])
        return np.array([[float(row[header.index(name)]) for name in names] for row in rows])


def logits_of(model, kind):
    with torch.no_grad():
        return model.eval()(**kind.inputs).logits.double().numpy()


def expected_scores(kind, targets, logits, thresholds):
    """scikit-learn's figures, and the loss of PyTorch."""
    if kind.multi_label:
        predicted = 1 / (1 + np.exp(-logits)) >= thresholds
        loss = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(logits), torch.tensor(targets))
        return {"accuracy": metrics.accuracy_score(targets, predicted), "hamming_loss": metrics.hamming_loss(targets, predicted),
                "macro_f1": metrics.f1_score(targets, predicted, average="macro", zero_division=0),
                "micro_f1": metrics.f1_score(targets, predicted, average="micro", zero_division=0), "loss": float(loss)}
    return {"mae": metrics.mean_absolute_error(targets, logits), "rmse": metrics.root_mean_squared_error(targets, logits),
            "r2": metrics.r2_score(targets, logits), "loss": metrics.mean_squared_error(targets, logits)}


def check(name, kind, folder):
    """Yields what differs."""
    out, adapter = folder / "out", folder / "out" / "adapter"
    common = ["--text-columns", ",".join(kind.columns)]
    run("train", "--model", kind.model, "--train", kind.data, "--dev", kind.data, *common, *kind.options, "--dev-fraction", 0,
        "--method", "lora", "--rank", 3, "--lr", 0.02, "--max-steps", 12, "--metric", "loss", "--output", out)
    lines = [json.loads(line) for line in run("predict", "--adapter", out, "--input", kind.data).splitlines()]
    ours = np.array([line["logits"] for line in lines])
    config = json.loads((adapter / "adapter_config.json").read_text())
    names, outputs = config["labels"], len(config["labels"])
    thresholds = np.array(config.get("thresholds", [0.5] * outputs))
    targets = kind.targets(names)

    scores = json.loads(run("eval", "--adapter", out, "--input", kind.data))
    kept = json.loads((out / "metrics.json").read_text())
    for key, value in expected_scores(kind, targets, ours, thresholds).items():
        if not abs(scores[key] - value) <= 1e-6 * max(1, abs(value)):
            yield f"{key} is {scores[key]}, expected {value}"
        if not abs(kept["dev"][key] - scores[key]) <= 1e-5 * max(1, abs(value)):
            yield f"{key} of metrics.json is {kept['dev'][key]}, of eval {scores[key]}"
    losses = [evaluation["loss"] for evaluation in kept["evaluations"]]
    if abs(kept["dev"]["loss"] - min(losses)) > 1e-6:
        yield f"--metric loss keeps {kept['dev']['loss']} of {losses}"

    for line, row in zip(lines, ours, strict=True):
        if kind.multi_label:
            probabilities = 1 / (1 + np.exp(-row))
            wanted = [label for label, p, t in zip(names, probabilities, thresholds) if p >= t]
            if line["prediction"] != wanted or np.abs(probabilities / line["probabilities"] - 1).max() > PRINTED:
                yield f"row {line['index']}: {line['prediction']}, expected {wanted}"
        elif not np.allclose([line["prediction"][label] for label in names], row, rtol=1e-8):
            yield f"row {line['index']}: {line['prediction']}"
    table = list(csv.DictReader(io.StringIO(run("predict", "--adapter", out, "--input", kind.data, "--format", "csv"))))
    shown = np.array([[float(row[label]) for label in names] for row in table])
    if np.abs(shown - (1 / (1 + np.exp(-ours)) if kind.multi_label else ours)).max() > 1e-6:
        yield "the columns of --format csv differ"

    run("merge", "--adapter", out, "--output", folder / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(folder / "merged")
    wanted = "multi_label_classification" if kind.multi_label else "regression"
    if merged.config.problem_type != wanted or [merged.config.id2label[i] for i in range(outputs)] != names:
        yield f"merged: {merged.config.problem_type}, {merged.config.id2label}"
    with torch.no_grad():
        answer = merged.eval()(**kind.inputs, labels=torch.tensor(targets, dtype=torch.float32))
    if abs(float(answer.loss) - scores["loss"]) > 1e-5 * max(1, scores["loss"]):
        yield f"Transformers' loss is {float(answer.loss)}, ours {scores['loss']}"
    base, _ = torch_model.read_base(kind.model, outputs)
    run("export", "--adapter", out, "--output", folder / "peft")
    run("export", "--adapter", out, "--output", folder / "onnx", "--format", "onnx")
    for place in ("merged", "onnx"):
        if json.loads((folder / place / "config.json").read_text()).get("thresholds") != config.get("thresholds"):
            yield f"{place}: config.json has other thresholds"
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    wanted_inputs = {i.name for i in session.get_inputs()}
    theirs = {
        "merged, Transformers": answer.logits.double().numpy(),
        "adapter, PEFT": logits_of(PeftModel.from_pretrained(base, folder / "peft"), kind),
        "ONNX Runtime": session.run(["logits"], {k: v.numpy() for k, v in kind.inputs.items() if k in wanted_inputs})[0],
        "merged, ours": np.array([json.loads(line)["logits"] for line in run(
            "predict", "--model", folder / "merged", "--input", kind.data).splitlines()]),
    }
    for who, logits in theirs.items():
        if not np.abs(logits - ours).max() <= BOUND:
            yield f"{who}: a logit differs by {np.abs(logits - ours).max():.2e}"
    again = json.loads(run("eval", "--model", folder / "merged", "--input", kind.data))
    for key in ("loss", "micro_f1" if kind.multi_label else "r2"):
        if abs(again[key] - scores[key]) > 1e-4:
            yield f"merged: {key} is {again[key]}, of the adapter {scores[key]}"


def main():
    failures = 0
    for name, (case, options) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            for difference in check(name, Kind(CASES / case, options), pathlib.Path(folder)):
                failures += 1
                print(f"differs: {name}: {difference}")
    print(f"{len(KINDS)} kinds of problems, {failures} differences")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
