"""VeRA in PEFT and in condlora: PEFT's folders give the same logits here, with their frozen matrices and without; what condlora draws,
trains and saves gives the same logits in PEFT, and merged in Transformers.

    python vera_roundtrip.py PATH/TO/condlora

Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import torch
from peft import PeftModel, VeraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

PROGRAM = sys.argv[1]
CASE = pathlib.Path(__file__).parent.parent / "data" / "cases" / "bert-lora"
MODEL, ROWS = CASE / "model", CASE / "train.tsv"
TARGETS = ["query", "value", "intermediate.dense", "output.dense"]  # inputs and outputs of three sizes
RANK = 6


def condlora(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"condlora {arguments[0]}: exit {done.returncode}: {done.stderr.strip()}")


def base():
    return AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=2)


def logits_of(model, texts):
    with torch.no_grad():
        return model.eval()(**AutoTokenizer.from_pretrained(MODEL)(texts, return_tensors="pt", padding=True)).logits


def logits_of_condlora(scratch, adapter, texts):
    (scratch / "texts.txt").write_text("".join(text + "\n" for text in texts))
    condlora("predict", "--model", MODEL, "--adapter", adapter, "--input", scratch / "texts.txt", "--output", scratch / "out.jsonl")
    return torch.tensor([json.loads(line)["logits"] for line in (scratch / "out.jsonl").read_text().splitlines()])


def peft_adapter(key, save_projection):
    config = VeraConfig(r=RANK, target_modules=TARGETS, task_type="SEQ_CLS", projection_prng_key=key, save_projection=save_projection,
                        d_initial=0.3, vera_dropout=0.1)
    model = get_peft_model(base(), config)
    generator = torch.Generator().manual_seed(key)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "vera_lambda" in name:
                value.add_(torch.randn(value.shape, generator=generator))
    return model


def read_here(scratch, texts):
    """PEFT's folders in condlora."""
    for key, save_projection in ((0, True), (11, True), (11, False)):
        folder = scratch / f"peft-{key}-{save_projection}"
        model = peft_adapter(key, save_projection)
        model.save_pretrained(folder)
        difference = (logits_of_condlora(scratch, folder, texts) - logits_of(model, texts)).abs().max()
        spread = (logits_of(model, texts) - logits_of(base(), texts)).abs().max()
        if not difference < 1e-5:
            yield f"PEFT's folder of key {key}, save_projection {save_projection}: logits differ by {difference:.2g}"
        if not spread > 0.05:
            yield f"PEFT's folder of key {key} changes the logits by {spread:.2g} alone"


def train_here(scratch, texts):
    """condlora's folders in PEFT."""
    run = scratch / "run"
    condlora("train", "--model", MODEL, "--train", ROWS, "--text-columns", "sentence1", "--label-column", "label", "--method", "vera",
             "--rank", RANK, "--targets", ",".join(TARGETS), "--projection-prng-key", 5, "--bias", "lora_only", "--batch-size", 4,
             "--epochs", 4, "--lr", 0.02, "--keep", "last", "--output", run)
    saved = load_file(run / "adapter" / "adapter_model.safetensors")
    drawn = peft_adapter(5, True).base_model
    for name in ("vera_A", "vera_B"):
        if not torch.equal(saved["base_model." + name], getattr(drawn, name)["default"]):
            yield f"{name} is not drawn as PEFT draws it"
    loaded = PeftModel.from_pretrained(base(), run / "adapter")
    here = logits_of_condlora(scratch, run, texts)
    difference = (here - logits_of(loaded, texts)).abs().max()
    if not difference < 1e-5:
        yield f"condlora's folder in PEFT: logits differ by {difference:.2g}"
    if max(saved[name].abs().max() for name in saved if name.endswith("vera_lambda_b")) < 0.01:
        yield "training has hardly moved b"
    condlora("merge", "--model", MODEL, "--adapter", run, "--output", scratch / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(scratch / "merged")
    difference = (here - logits_of(merged, texts)).abs().max()
    if not difference < 1e-4:
        yield f"condlora's merged model in Transformers: logits differ by {difference:.2g}"
    condlora("export", "--model", MODEL, "--adapter", run, "--output", scratch / "lora")
    exported = PeftModel.from_pretrained(base(), scratch / "lora")
    difference = (here - logits_of(exported, texts)).abs().max()
    if not difference < 1e-4:
        yield f"condlora's export as LoRA in PEFT: logits differ by {difference:.2g}"


def main():
    warnings.simplefilter("ignore")
    texts = [line.split("\t")[0] for line in ROWS.read_text().splitlines()[1:]]
    with tempfile.TemporaryDirectory() as scratch:
        failures = [*read_here(pathlib.Path(scratch), texts), *train_here(pathlib.Path(scratch), texts)]
    for failure in failures:
        print(f"differs: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
