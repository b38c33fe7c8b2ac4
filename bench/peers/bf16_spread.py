"""Trains with PyTorch in bf16 and with condlora, and tells whether condlora lies within PyTorch's spread over seeds.

    python bf16_spread.py --model DIR --data GLUE --work DIR --output FILE.json [--backend cuda --precision bf16]

One epoch of a task with LoRA on query and value. For each seed both programs get one initial adapter (PEFT's) and one order
of the examples, and there is no dropout: what differs is arithmetic. PyTorch also trains each seed in float32.

In PyTorch's bf16 (train_torch.py --precision bf16) the frozen weights and the activations are bf16, adapter and head are
float32. This is what dtype=bfloat16 and PEFT give, and what condlora's --precision bf16 does on CUDA. Under autocast the sums
of the residual branches, hence the norms' inputs, would stay float32, and the adapter's products would be bf16.

Three rules, each in the output with its figures:

  means    dev's figures (accuracy, F1 and loss of MRPC, both correlations and loss of STS-B): the difference of both programs'
           means is within Welch's 95 % interval; in accuracy and F1 one example may differ.
  curve    over the first 100 steps, the mean loss of condlora's seeds is within the least and the greatest of PyTorch's
           seeds, in windows of 10 steps, each end moved outwards by PyTorch's own root mean square distance of bf16 to float32.
  float32  condlora's losses, step by step, are at most twice as far from PyTorch's float32 as PyTorch's bf16 is, in root
           mean square over steps and seeds, or within 1e-4.

A run whose result is in --work is not repeated, so it may be stopped and started again. Exit status 1 if a rule is broken.
"""

import argparse
import concurrent.futures
import importlib.metadata
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
FIGURES = {"MRPC": ("accuracy", "f1", "loss"), "STS-B": ("pearson", "spearman", "loss")}  # of each task
BY_EXAMPLE = ("accuracy", "f1")  # these move in steps of about one example
WINDOW, CURVE_STEPS = 10, 100
FACTOR, FLOOR = 2.0, 1e-4


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--condlora", default="condlora", help="the program")
    parser.add_argument("--model", required=True, help="Hugging Face folder")
    parser.add_argument("--task", choices=sorted(FIGURES), default="MRPC")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder with TASK/train.tsv and TASK/dev.tsv")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for the runs")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file; default: standard output")
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="PyTorch's, separated by commas")
    parser.add_argument("--condlora-seeds", help="some of them, where condlora's device is slow; default: all")
    parser.add_argument("--rank", default="8")
    parser.add_argument("--lr", default="1e-3")
    parser.add_argument("--schedule", default="linear")
    parser.add_argument("--warmup-ratio", default="0.1")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--steps", type=int, help="fewer than an epoch has; the schedule ends there")
    parser.add_argument("--dev-examples", type=int, help="the first of dev; default: all")
    parser.add_argument("--parallel", type=int, default=1, help="seeds at once, each on one thread")
    parser.add_argument("--note", help="text for the output: the machine, the device")
    arguments = parser.parse_args()
    arguments.seeds = [int(seed) for seed in arguments.seeds.split(",")]
    ours = arguments.condlora_seeds
    arguments.condlora_seeds = [int(seed) for seed in ours.split(",")] if ours else arguments.seeds
    if not set(arguments.condlora_seeds) <= set(arguments.seeds) or len(arguments.seeds) < 2 or len(arguments.condlora_seeds) < 2:
        parser.error("each side needs two seeds at least, and condlora's must be among PyTorch's")
    return arguments


def lines_of(path):
    """(header, rows), each with its line end."""
    header, *rows = path.read_bytes().splitlines(keepends=True)
    return header, [row if row.endswith(b"\n") else row + b"\n" for row in rows]


def write_data(arguments, seed, folder):
    """The task in the order of a seed, cut to what is trained and measured."""
    (folder / arguments.task).mkdir(parents=True, exist_ok=True)
    header, rows = lines_of(arguments.data / arguments.task / "train.tsv")
    random.Random(seed).shuffle(rows)
    if arguments.steps:
        rows = rows[: arguments.steps * arguments.batch_size]
    (folder / arguments.task / "train.tsv").write_bytes(header + b"".join(rows))
    header, rows = lines_of(arguments.data / arguments.task / "dev.tsv")
    (folder / arguments.task / "dev.tsv").write_bytes(header + b"".join(rows[: arguments.dev_examples]))


def dev_count(arguments):
    return min(arguments.dev_examples or math.inf, len(lines_of(arguments.data / arguments.task / "dev.tsv")[1]))


def shared_options(arguments, seed, folder):
    return ["--model", arguments.model, "--task", arguments.task, "--data", str(folder), "--epochs", "1", "--batch-size",
            str(arguments.batch_size), "--max-length", str(arguments.max_length), "--lr", arguments.lr, "--schedule",
            arguments.schedule, "--warmup-ratio", arguments.warmup_ratio, "--dropout", "0", "--no-shuffle", "--seed", str(seed),
            "--threads", "1"]


def call(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def run_torch(arguments, seed, folder, precision):
    command = [sys.executable, "-B", HERE / "train_torch.py", *shared_options(arguments, seed, folder), "--method", "lora",
               "--rank", arguments.rank, "--alpha", arguments.rank, "--precision", precision]
    initial = folder / "initial"
    command += ["--init-adapter", initial] if initial.exists() else ["--save-init-adapter", initial]
    lines = [json.loads(line) for line in call(command).splitlines()]
    return {"losses": [line["loss"] for line in lines if "step" in line], **scores(arguments.task, lines[-1]["result"]["epochs"][0])}


def run_condlora(arguments, seed, folder):
    out = folder / "condlora"
    call([arguments.condlora, "train", *shared_options(arguments, seed, folder), "--init-adapter", folder / "initial",
          "--backend", arguments.backend, "--precision", arguments.precision, "--dev-fraction", "0", "--keep", "last",
          "--checkpoint-every", "10", "--output", out, "--resume"])
    steps = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    record = json.loads((out / "run.json").read_text())
    result = json.loads((out / "metrics.json").read_text())
    return {"losses": [step["loss"] for step in steps], **scores(arguments.task, result["dev"]), "device": record["kernels"],
            "examples_per_s": result["timing"]["examples_per_s"]}


def scores(task, measured):
    return {name: measured[name] for name in FIGURES[task]}


def settings_of(arguments):
    names = ["task", "rank", "lr", "schedule", "warmup_ratio", "batch_size", "max_length", "steps", "dev_examples", "backend", "precision"]
    return {name: getattr(arguments, name) for name in names}


def without_settings(result):
    return {key: value for key, value in result.items() if key != "settings"}


def run(arguments, seed, side):
    """A run's result, from --work if it is there."""
    folder = arguments.work / f"seed-{seed}"
    kept = folder / f"{side}.json"
    settings = settings_of(arguments)
    if kept.exists():
        result = json.loads(kept.read_text())
        if result["settings"] != settings:
            raise SystemExit(f"{kept}: a run with other settings: give another --work")
        return result
    started = time.monotonic()
    result = run_condlora(arguments, seed, folder) if side == "condlora" else run_torch(arguments, seed, folder, side[6:])
    result = {"seed": seed, **result, "seconds": round(time.monotonic() - started, 1), "settings": settings}
    kept.write_text(json.dumps(result))
    print(f"{side}, seed {seed}: {scores(arguments.task, result)}, {result['seconds']} s", file=sys.stderr, flush=True)
    return result


def run_seed(arguments, seed):
    """[(side, result)]. The first run writes the initial adapter of the others."""
    write_data(arguments, seed, arguments.work / f"seed-{seed}")
    sides = ["torch-bf16", *(["condlora"] if seed in arguments.condlora_seeds else []), "torch-fp32"]
    return [(side, run(arguments, seed, side)) for side in sides]


def run_all(arguments):
    """{side: results in the order of seeds}"""
    results = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.parallel) as pool:
        for of_seed in pool.map(lambda seed: run_seed(arguments, seed), arguments.seeds):
            for side, result in of_seed:
                results.setdefault(side, []).append(result)
    return results


def described(task, runs):
    return {
        name: {"mean": statistics.mean(values), "deviation": statistics.stdev(values), "values": values}
        for name in FIGURES[task]
        for values in [[result[name] for result in runs]]
    }


def judge_means(ours, theirs, example):
    """Welch's interval of the difference of means. `example` is what one example of dev weighs in accuracy, and about in F1."""
    from scipy import stats

    figures = {}
    for name, a in ours.items():
        b = theirs[name]
        parts = [side["deviation"] ** 2 / len(side["values"]) for side in (a, b)]
        error = math.sqrt(sum(parts))
        degrees = sum(parts) ** 2 / sum(part**2 / (len(side["values"]) - 1) for part, side in zip(parts, (a, b))) if error > 0 else 1
        interval = max(float(stats.t.ppf(0.975, degrees)) * error, example if name in BY_EXAMPLE else 0)
        difference = a["mean"] - b["mean"]
        figures[name] = {"difference": difference, "interval": interval, "holds": abs(difference) <= interval}
    return {**figures, "holds": all(figure["holds"] for figure in figures.values())}


def distance(runs, others):
    """Root mean square over steps and seeds; the seeds of `runs` are among those of `others`."""
    other = {result["seed"]: result["losses"] for result in others}
    squares = [(a - b) ** 2 for result in runs for a, b in zip(result["losses"], other[result["seed"]], strict=True)]
    return math.sqrt(statistics.mean(squares))


def windows(losses):
    losses = losses[:CURVE_STEPS]
    return [statistics.mean(losses[i : i + WINDOW]) for i in range(0, len(losses), WINDOW)]


def judge_curve(sides):
    slack = distance(sides["torch-bf16"], sides["torch-fp32"])
    ours = [statistics.mean(column) for column in zip(*(windows(result["losses"]) for result in sides["condlora"]))]
    theirs = list(zip(*(windows(result["losses"]) for result in sides["torch-bf16"])))
    least, most = [min(column) for column in theirs], [max(column) for column in theirs]
    inside = [low - slack <= value <= high + slack for low, value, high in zip(least, ours, most, strict=True)]
    return {"condlora": ours, "least": least, "most": most, "slack": slack, "inside": f"{sum(inside)} of {len(inside)} windows",
            "holds": all(inside)}


def judge_float32(sides):
    seeds = {result["seed"] for result in sides["condlora"]}
    theirs = distance([result for result in sides["torch-bf16"] if result["seed"] in seeds], sides["torch-fp32"])
    ours = distance(sides["condlora"], sides["torch-fp32"])
    return {"condlora": ours, "torch_bf16": theirs, "holds": ours <= max(FACTOR * theirs, FLOOR)}


def main():
    arguments = parse_arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    sides = run_all(arguments)
    summary = {side: described(arguments.task, runs) for side, runs in sides.items()}
    rules = {
        "means": judge_means(summary["condlora"], summary["torch-bf16"], 1 / dev_count(arguments)),
        "curve": judge_curve(sides),
        "float32": judge_float32(sides),
    }
    report = {
        "made_with": "bench/peers/bf16_spread.py",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "note": arguments.note,
        "device": sides["condlora"][0]["device"],
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
        "task": arguments.task,
        "settings": settings_of(arguments),
        "rules": rules,
        "summary": summary,
        "runs": {side: [without_settings(result) for result in runs] for side, runs in sides.items()},
    }
    text = json.dumps(report, indent=1) + "\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    for name, rule in rules.items():
        print(f"{name:8}{'holds' if rule['holds'] else 'is broken'}", file=sys.stderr)
    return 0 if all(rule["holds"] for rule in rules.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
