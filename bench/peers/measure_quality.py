"""Fine-tunes over several seeds with train_torch.py and keeps the figures in one JSON file.

    python measure_quality.py --model DIR --data GLUE --output results-quality.json [--wordnet DIR] [--seeds 0,1,2,3,4]

A run that the file holds already is not repeated, so it may be stopped and started again. Each result is also printed as
a line. --wordnet is a folder with the quickstart's train.tsv and dev.tsv.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
COMMON = ["--batch-size", "16", "--schedule", "linear", "--warmup-ratio", "0.1", "--dropout", "0"]

# name: task, method, orientation, epochs, rate
WORKLOADS = {
    "MRPC lora": ("MRPC", "lora", "paper", 3, 1e-3),
    "STS-B condlora paper": ("STS-B", "condlora", "paper", 2, 1e-3),
    "MRPC condlora paper": ("MRPC", "condlora", "paper", 3, 1e-3),
    "wordnet condlora paper": (None, "condlora", "paper", 3, 2e-3),
    "MRPC condlora reference": ("MRPC", "condlora", "reference", 3, 1e-3),
}
DEFAULT_WORKLOADS = "MRPC lora,STS-B condlora paper,MRPC condlora paper"


def command(workload, seed, arguments):
    task, method, orientation, epochs, rate = WORKLOADS[workload]
    if task:
        data = ["--task", task, "--data", arguments.data]
    else:
        folder = pathlib.Path(arguments.wordnet)
        data = ["--train", str(folder / "train.tsv"), "--dev", str(folder / "dev.tsv"),
                "--text-columns", arguments.text_columns, "--label-column", arguments.label_column]
    own = ["--method", method, "--orientation", orientation, "--epochs", str(epochs), "--lr", str(rate)]
    own += ["--seed", str(seed), "--threads", str(arguments.threads), "--quiet"]
    program = [sys.executable, str(HERE / "train_torch.py"), "--model", arguments.model]
    return [*program, *data, *own, *COMMON]


def run(workload, seed, arguments):
    output = subprocess.run(command(workload, seed, arguments), check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])["result"]
    kept = ("seed", "metric", "best", "best_epoch", "epochs", "steps", "trainable", "torch")
    return {"workload": workload, **{key: result[key] for key in kept}}


def summarize(runs):
    summary = {}
    for workload in dict.fromkeys(run["workload"] for run in runs):
        best = [run["best"] for run in runs if run["workload"] == workload]
        summary[workload] = {
            "metric": next(run["metric"] for run in runs if run["workload"] == workload),
            "seeds": len(best),
            "mean_best": statistics.mean(best),
            "deviation": statistics.stdev(best) if len(best) > 1 else None,
        }
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", help="folder with one folder a GLUE task")
    parser.add_argument("--wordnet", help="folder with train.tsv and dev.tsv")
    parser.add_argument("--text-columns", default="definition", help="of --wordnet")
    parser.add_argument("--label-column", default="kind", help="of --wordnet")
    parser.add_argument("--workloads", default=DEFAULT_WORKLOADS, help=f"of: {', '.join(WORKLOADS)}")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    workloads = arguments.workloads.split(",")
    if unknown := set(workloads) - set(WORKLOADS):
        parser.error(f"unknown workloads {sorted(unknown)}")
    runs = json.loads(arguments.output.read_text())["runs"] if arguments.output.exists() else []
    for seed in map(int, arguments.seeds.split(",")):
        for workload in workloads:
            if any(run["workload"] == workload and run["seed"] == seed for run in runs):
                continue
            runs.append(run(workload, seed, arguments))
            print(json.dumps(runs[-1]), flush=True)
            text = json.dumps({"summary": summarize(runs), "runs": runs}, indent=1) + "\n"
            arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
