"""Trains a cell of the verdict again with PyTorch and PEFT, and prints both scores on dev.

    python verdict_spot_check.py --record RECORDS/RTE-lora-report-….json --model DIR --data GLUE [--seeds 0,1,2]

The record of a run of `condlora reproduce verdict` gives task, method and settings; records beside it that differ from it by
the seed alone give condlora's other scores. As there, a part of train is held out, the epoch that scores best on it is kept,
and dev is measured once. PyTorch draws its own initial values, order, dropout and held-out part, so only means and spreads
over seeds can be compared.
"""

import argparse
import json
import math
import pathlib
import random
import statistics
import sys

# Settings that train_torch.py has too and that a record leaves out at condlora's defaults; the method is always there.
DEFAULTS = {
    "orientation": "paper", "rank": 8, "alpha": 8.0, "targets": None, "epochs": 3, "batch_size": 16, "accumulate": 1,
    "lr": 1e-3, "schedule": "linear", "warmup_ratio": 0.0, "weight_decay": 0.0, "decay": "all", "max_grad_norm": 1.0, "dropout": None,
    "max_length": None, "dev_fraction": 0.1, "seed": 42,
}
USUAL_TARGETS = {"mpnet": ["q", "v"], "distilbert": ["q_lin", "v_lin"]}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", required=True, type=pathlib.Path)
    parser.add_argument("--model", required=True, help="Hugging Face folder of the record's model")
    parser.add_argument("--data", required=True, help="folder with one folder a task")
    parser.add_argument("--seeds", default="0,1,2", help="PyTorch's, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def read_record(path):
    record = json.loads(path.read_text())
    if record.get("role") != "report" or "dev" not in record:
        sys.exit(f"{path}: expected the record of a finished run of the report")
    unknown = sorted(set(record["settings"]) - {*DEFAULTS, "method"})
    if unknown:
        sys.exit(f"{path}: PyTorch's side has no setting {', '.join(unknown)}")
    return record


def cell_of(record):
    """What distinguishes a cell: everything but the seed."""
    settings = {key: value for key, value in record["settings"].items() if key != "seed"}
    return record["role"], record["task"], record["method"], record["model"]["hash"], record["data"], settings


def scores_of_condlora(path, metric):
    records = [json.loads(other.read_text()) for other in sorted(path.parent.glob(path.name.rpartition("-")[0] + "-*.json"))]
    cell = cell_of(read_record(path))
    return [record["dev"][metric] for record in records if cell_of(record) == cell and "dev" in record]


def hold_out(task, fraction, seed):
    """Indices of train: (those to train on, those held out), with the same share of every class."""
    groups = {}
    for index, target in enumerate(task.train.targets):
        groups.setdefault(target if task.labels else None, []).append(index)
    held = set()
    for group in groups.values():
        held.update(random.Random(seed).sample(group, round(fraction * len(group))))
    return [i for i in range(len(task.train)) if i not in held], sorted(held)


def train_seed(torch_side, arguments, task, seed):
    """The score on dev of the epoch that is best on the held-out part."""
    import torch

    arguments.seed = seed
    tuned = torch_side.read_model(arguments, task)
    batcher = torch_side.Batcher(arguments, task)
    train, dev = batcher.encode(task.train), batcher.encode(task.dev)
    trained, held = hold_out(task, arguments.dev_fraction, seed)
    chosen_by = [train[i] for i in held] or dev
    chosen_targets = [task.train.targets[i] for i in held] or task.dev.targets
    order = torch_side.data_order(arguments, len(trained))
    parameters = list(tuned.trained.values())
    optimizer = torch.optim.AdamW(
        torch_side.torch_model.optimizer_groups(tuned.trained, arguments.weight_decay, arguments.decay), lr=arguments.lr
    )
    schedule = torch_side.get_scheduler(
        arguments.schedule, optimizer, num_warmup_steps=math.ceil(arguments.warmup_ratio * len(order)), num_training_steps=len(order)
    )
    tuned.train()
    best, score = -math.inf, math.nan
    for step, indices in enumerate(order):
        torch_side.train_step(tuned, parameters, optimizer, schedule, batcher, [train[trained[i]] for i in indices], arguments)
        if (step + 1) % (len(order) // arguments.epochs) == 0:
            value = torch_side.metrics(torch_side.evaluate(tuned, batcher, chosen_by), chosen_targets, task.labels)[task.metric]
            if value > best or math.isinf(best):
                best = value
                score = torch_side.metrics(torch_side.evaluate(tuned, batcher, dev), task.dev.targets, task.labels)[task.metric]
            print(f"seed {seed}, step {step + 1} of {len(order)}: held out {value:.4f}", file=sys.stderr, flush=True)
    return score


def described(scores):
    spread = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.4f}{spread} ({', '.join(f'{score:.4f}' for score in scores)})"


def main():
    arguments = parse_arguments()
    record = read_record(arguments.record)
    import train_torch  # PyTorch takes seconds: after all that can be wrong without it

    vars(arguments).update(DEFAULTS | record["settings"], task=record["task"], train=None, init_adapter=None, max_steps=None, order=None,
                           modules_to_save="", no_shuffle=False, pad="dynamic", attention="sdpa")
    family = train_torch.torch_model.family_of(arguments.model)
    arguments.targets = ",".join(arguments.targets or USUAL_TARGETS.get(family, ["query", "value"]))
    train_torch.transformers_logging.set_verbosity_error()
    train_torch.torch.set_num_threads(arguments.threads)
    task = train_torch.read_task(arguments)
    if len(task.dev) != len(record["predictions"].split()):
        sys.exit(f"{arguments.data}: {len(task.dev)} examples in dev, the record has {len(record['predictions'].split())}")
    ours = scores_of_condlora(arguments.record, task.metric)
    theirs = [train_seed(train_torch, arguments, task, int(seed)) for seed in arguments.seeds.split(",")]
    print(f"{record['task']}, {record['method']}, lr {arguments.lr:g}, {arguments.epochs} epochs, {task.metric} on dev")
    print(f"condlora    {described(ours)}")
    print(f"PyTorch     {described(theirs)}")
    print(f"difference  {statistics.mean(ours) - statistics.mean(theirs):+.4f}; one example of dev is {1 / len(task.dev):.4f}")


if __name__ == "__main__":
    main()
