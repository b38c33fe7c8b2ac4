"""Adapters that condlora trains, in the real PEFT: the same logits, whatever settings they were trained with.

    python trained_adapters.py PATH/TO/condlora

Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from transformers import AutoTokenizer

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
PARITY = pathlib.Path(__file__).resolve().parent.parent / "parity"
CASE = PARITY.parent / "data" / "cases" / "bert-lora"
sys.path.insert(0, str(PARITY))
import torch_model  # noqa: E402

EXAMPLES, BOUND = 6, 1e-5
SETTINGS = {
    "plain": [],
    "rslora": ["--rslora"],
    "ranks": ["--rslora", "--rank-pattern", r"layer\.1\..*=2,value=5", "--alpha-pattern", "query=1.5"],
    "layers": ["--targets", "query,dense", "--layers-to-transform", "1", "--layers-pattern", "layer", "--exclude-modules", "output.dense"],
    "every bias": ["--bias", "all"],
    "adapted biases": ["--bias", "lora_only"],
    "gaussian": ["--init", "gaussian", "--lora-plus-ratio", "4"],
    "pissa": ["--init", "pissa"],
    "pissa, ranks": ["--init", "pissa", "--rslora", "--rank-pattern", "query=2", "--alpha-pattern", "value=3"],
    "olora": ["--init", "olora", "--bias", "all"],
    "saved whole": ["--modules-to-save", "pooler,output.LayerNorm"],
    "saved by a name that the head has too, roberta": ["--modules-to-save", "dense"],
    "every layer of the blocks, mpnet": ["--targets", "q,k,v,o,dense", "--rslora"],
    "every bias but attention's table, mpnet": ["--bias", "all"],
}
# Models of other settings than CASE's.
OTHER_CASES = {"roberta": CASE.parent / "roberta-none", "mpnet": CASE.parent / "mpnet-lora-biases"}


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def main():
    failures = 0
    for name, options in SETTINGS.items():
        case = OTHER_CASES.get(name.rpartition(" ")[2], CASE)
        rows = [line.split("\t")[0] for line in (case / "train.tsv").read_text(encoding="utf-8").splitlines()[1 : EXAMPLES + 1]]
        inputs = AutoTokenizer.from_pretrained(case / "model")(rows, padding=True, return_tensors="pt")
        with tempfile.TemporaryDirectory() as folder:
            adapter = pathlib.Path(folder) / "out" / "adapter"
            run("train", "--model", case / "model", "--train", case / "train.tsv", "--text-columns", "sentence1", "--label-column", "label",
                "--method", "lora", "--rank", 3, "--lr", 0.02, "--max-steps", 6, "--eval-every", 0, "--dev-fraction", 0, *options,
                "--output", adapter.parent)
            lines = run("predict", "--model", case / "model", "--adapter", adapter, "--input", case / "train.tsv",
                        "--text-columns", "sentence1").splitlines()
            ours = torch.tensor([json.loads(line)["logits"] for line in lines[:EXAMPLES]])
            base, _ = torch_model.read_base(case / "model", 2)
            model = PeftModel.from_pretrained(base, adapter).eval()
            with torch.no_grad():
                difference = float((model(**inputs).logits - ours).abs().max())
        if not difference <= BOUND:
            failures += 1
            print(f"differs: {name}: a logit by {difference:.2e}")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
