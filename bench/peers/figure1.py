"""Figure 1 on a model of RoBERTa-base's shape: `condlora analyze conversion` against PyTorch as the paper's code has it.

    python write_roberta.py --text GLUE/RTE/train.tsv --output ROBERTA
    python figure1.py --model ROBERTA --condlora build/condlora --output ../results/figure1.json

The PyTorch side inverts each weight once, and takes the full singular value decompositions of both matrices for each pair
of layers, in float32, diagonal included, pairs below it mirrored; then the same for random matrices, the baseline. Its
imports and its reading of the model are left out. Ours is the whole command, baseline included, in float64, from the start
of the process to its last file: once before PyTorch and once after, of which the slower counts. The load average says what
else the machine did.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import tempfile
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

RANK, VECTORS, TARGETS = 8, 8, ["query", "value"]


def write_adapter(model, folder):
    """LoRA with random A and B: what they are does not matter to the time."""
    torch.manual_seed(1)
    base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
    adapted = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=RANK, lora_alpha=RANK, target_modules=TARGETS))
    factors = {}
    with torch.no_grad():
        for name, module in adapted.named_modules():
            if hasattr(module, "lora_B") and hasattr(module, "base_layer"):
                module.lora_B["default"].weight.normal_(std=0.02)
                factors[name] = tuple(x.weight.detach() for x in (module.base_layer, module.lora_A["default"], module.lora_B["default"]))
    adapted.save_pretrained(folder)
    return factors


def phi(x, y):
    u, v = torch.linalg.svd(x, full_matrices=True)[0], torch.linalg.svd(y, full_matrices=True)[0]
    return float((u[:, :VECTORS].T @ v[:, :VECTORS]).norm() ** 2 / VECTORS)


def grid(matrices):
    values = torch.zeros(len(matrices), len(matrices))
    for row, x in enumerate(matrices):
        for column in range(row, len(matrices)):
            values[row, column] = values[column, row] = phi(x, matrices[column])
    return values


def torch_figure(factors):
    """Grids of what was trained by target and matrix, and the seconds that they and those of random matrices took."""
    found, random = {}, []
    start = time.monotonic()
    for target in TARGETS:
        matrices = {"A": [], "B": [], "BA": []}
        for name, (weight, a, b) in factors.items():
            if name.endswith("." + target):
                inverse = torch.linalg.inv(weight)
                for kind, factor in ("A", a.T), ("B", b), ("BA", b @ a):
                    matrices[kind].append(inverse @ factor)
        for kind in matrices:
            found[target, kind] = grid(matrices[kind])
            random.append([torch.randn_like(matrix) for matrix in matrices[kind]])
    trained = time.monotonic()
    for matrices in random:
        grid(matrices)
    return found, {"trained": trained - start, "random": time.monotonic() - trained}


def condlora_figure(program, model, adapter, output):
    start = time.monotonic()
    subprocess.run([program, "analyze", "conversion", "--model", model, "--adapter", adapter, "--form", "reference", "--i", str(VECTORS),
                    "--j", str(VECTORS), "--backend", "cpu", "--output", output], check=True, capture_output=True)
    seconds = time.monotonic() - start
    found = {}
    for target in json.loads((output / "conversion.json").read_text())["targets"]:
        for kind, sides in target["matrices"].items():
            found[target["target"].split(".")[-1], kind] = torch.tensor(sides["left"]["phi"])
    return found, seconds


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--condlora", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        with torch.no_grad():
            factors = write_adapter(arguments.model, scratch / "adapter")
            before = condlora_figure(arguments.condlora, arguments.model, scratch / "adapter", scratch / "before")
            theirs, seconds = torch_figure(factors)
            after = condlora_figure(arguments.condlora, arguments.model, scratch / "adapter", scratch / "after")
    ours, slower = before[0], max(before[1], after[1])
    result = {
        "device": f"{processor()}, {torch.get_num_threads()} threads",
        "peers": f"torch {torch.__version__}",
        "made_with": "bench/peers/figure1.py",
        "date": datetime.date.today().isoformat(),
        "model": "RoBERTa-base's shape (12 layers of 768), random weights, LoRA of rank 8 on query and value",
        "load_average": os.getloadavg()[1],
        "condlora_s": [before[1], after[1]],
        "torch_s": seconds,
        "ratio": sum(seconds.values()) / slower,
        "ratio_to_trained_alone": seconds["trained"] / slower,
        "largest_difference_of_phi": max(float((ours[key] - theirs[key]).abs().max()) for key in theirs),
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
