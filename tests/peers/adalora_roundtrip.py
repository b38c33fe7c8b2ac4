"""An AdaLoRA that condlora trained and pruned, in PEFT: it reads the folder and gives the same logits.

    python adalora_roundtrip.py PATH/TO/condlora

Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification, AutoTokenizer

PROGRAM = sys.argv[1]
CASE = pathlib.Path(__file__).parent.parent / "data" / "cases" / "bert-lora"
MODEL, ROWS = CASE / "model", CASE / "train.tsv"
INIT_R, TARGET_R = 6, 3


def condlora(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"condlora {arguments[0]}: exit {done.returncode}: {done.stderr.strip()}")


def logits_of_condlora(folder, adapter, texts):
    (folder / "texts.txt").write_text("".join(text + "\n" for text in texts))
    condlora("predict", "--model", MODEL, "--adapter", adapter, "--input", folder / "texts.txt", "--output", folder / "out.jsonl")
    return torch.tensor([json.loads(line)["logits"] for line in (folder / "out.jsonl").read_text().splitlines()])


def logits_of_peft(adapter, texts):
    model = PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=2), adapter).eval()
    with torch.no_grad():
        return model(**AutoTokenizer.from_pretrained(MODEL)(texts, return_tensors="pt", padding=True)).logits


def main():
    texts = [line.split("\t")[0] for line in ROWS.read_text().splitlines()[1:]]
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        condlora("train", "--model", MODEL, "--train", ROWS, "--text-columns", "sentence1", "--label-column", "label", "--method", "adalora",
                 "--init-r", INIT_R, "--target-r", TARGET_R, "--tinit", 5, "--tfinal", 20, "--delta-t", 4, "--batch-size", 4, "--epochs", 10,
                 "--lr", 0.01, "--keep", "last", "--output", folder / "run")
        adapter = folder / "run" / "adapter"
        pattern = json.loads((adapter / "adapter_config.json").read_text())["rank_pattern"]
        kept = sum(sum(ranks) for ranks in pattern.values())
        if not 0 < kept <= TARGET_R * len(pattern):
            failures.append(f"{kept} ranks are kept of a budget of {TARGET_R * len(pattern)}")
        with safe_open(adapter / "adapter_model.safetensors", "pt") as tensors:
            stored = {name.partition(".lora_E")[0]: len(tensors.get_tensor(name)) for name in tensors.keys() if name.endswith("lora_E")}
        if stored != {"base_model.model." + name.removesuffix(".lora_E"): sum(ranks) for name, ranks in pattern.items()}:
            failures.append("the tensors are not of the ranks in rank_pattern")
        difference = (logits_of_condlora(folder, adapter, texts) - logits_of_peft(adapter, texts)).abs().max()
        if not difference < 1e-5:
            failures.append(f"logits differ by {difference:.2g}")
    for failure in failures:
        print(f"differs: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
