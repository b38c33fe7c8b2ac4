"""`condlora search` with the real Optuna: what it samples, prunes, stores and goes on with.

    python search_optuna.py PATH/TO/condlora

Exit status 0 when all is as it must be; each thing that is not is a line.
"""
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import numpy
import optuna

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CASE = pathlib.Path(__file__).resolve().parent.parent / "data" / "cases" / "bert-condlora-paper"
SPACE = ["--space", "lr=log:1e-3:1e-1", "--space", "rank=choice:2,4", "--space", "batch-size=int:3:9", "--space", "alpha=uniform:2:16"]
failures = []
optuna.logging.set_verbosity(optuna.logging.ERROR)


def check(holds, text):
    if not holds:
        failures.append(text)
        print(text)


def command(output, *options, space=SPACE, epochs=4):
    return [str(word) for word in (
        PROGRAM, "search", "--model", CASE / "model", "--train", CASE / "train.tsv", "--text-columns", "sentence1", "--label-column",
        "label", "--epochs", epochs, "--threads", 1, "--output", output, *space, *options)]


def search(output, *options, space=SPACE, epochs=4):
    return subprocess.run(command(output, *options, space=space, epochs=epochs), capture_output=True, text=True, env={**os.environ, "CDL_PYTHON": sys.executable})


def study_in(output, name="condlora"):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{output}/study.db")


def trials_of(study):
    """What a trial comes to, whenever and in however many pieces it was run."""
    return [(t.number, t.state.name, t.params, t.value, t.intermediate_values) for t in study.get_trials()]


def reseeded(seed, number):
    return (seed * 1_000_003 + number) % 2**32


def check_minimized(folder):
    """A metric whose smaller values are better: the study minimizes it, and the best trial has the least."""
    done = search(folder / "loss", "--metric", "loss", "--sampler", "random", "--pruner", "none", "--trials", 4)
    check(done.returncode == 0, f"loss: {done.stderr}")
    study = study_in(folder / "loss")
    check(study.direction == optuna.study.StudyDirection.MINIMIZE, f"loss: the study's direction is {study.direction}")
    for trial in study.get_trials():
        metrics = json.loads((folder / "loss" / "trials" / str(trial.number) / "metrics.json").read_text())
        least = min(evaluation["loss"] for evaluation in metrics["evaluations"])
        check(trial.value == least, f"loss: trial {trial.number} is worth {trial.value}, its best evaluation {least}")
    best = json.loads((folder / "loss" / "best.json").read_text())
    check(best["lr"] == study.best_trial.params["lr"], f"loss: best.json has lr {best['lr']}, not {study.best_trial.params}")


def check_random(folder):
    """Drawn as Optuna's own sampler draws, and logged as the runs' own files say."""
    done = search(folder / "random", "--sampler", "random", "--pruner", "none", "--trials", 6, "--seed", 5)
    check(done.returncode == 0, f"random: {done.stderr}")
    study = study_in(folder / "random")
    space = {"lr": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True), "rank": optuna.distributions.CategoricalDistribution(["2", "4"]),
             "batch_size": optuna.distributions.IntDistribution(3, 9), "alpha": optuna.distributions.FloatDistribution(2, 16)}
    for trial in study.get_trials():
        own = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=reseeded(5, trial.number)))
        drawn = own.ask(fixed_distributions=dict(sorted(space.items()))).params
        check(trial.params == drawn, f"random: trial {trial.number} has {trial.params}, Optuna draws {drawn}")
        check(trial.distributions == space, f"random: trial {trial.number}: distributions {trial.distributions}")
        metrics = json.loads((folder / "random" / "trials" / str(trial.number) / "metrics.json").read_text())
        values = [evaluation["accuracy"] for evaluation in metrics["evaluations"]]
        check(trial.value == max(values), f"random: trial {trial.number} is worth {trial.value}, its best evaluation {max(values)}")
        check(list(trial.intermediate_values.values()) == values, f"random: trial {trial.number}: {trial.intermediate_values} and {values}")
        run = json.loads((folder / "random" / "trials" / str(trial.number) / "run.json").read_text())["settings"]
        for name, value in trial.params.items():
            check(float(run[name]) == float(value), f"random: trial {trial.number} ran with {name} {run[name]}, not {value}")
    best = json.loads((folder / "random" / "best.json").read_text())
    check(best["lr"] == study.best_params["lr"], f"random: best.json has lr {best['lr']}, the study {study.best_params['lr']}")
    joint = search(folder / "joint", "--sampler", "random", "--pruner", "none", "--trials", 6, "--seed", 5, "--parallel", 3)
    check(joint.returncode == 0, f"joint: {joint.stderr}")
    params = [[t.params for t in study_in(folder / name).get_trials()] for name in ("random", "joint")]
    check(params[0] == params[1], f"joint: the trials are others: {params}")
    last = search(folder / "last", "--sampler", "random", "--objective", "last", "--trials", 2, "--seed", 5)
    check(last.returncode == 0, f"last: {last.stderr}")
    for trial in study_in(folder / "last").get_trials():
        check(trial.value == list(trial.intermediate_values.values())[-1], f"last: trial {trial.number} is worth {trial.value}")


def check_pruning(folder):
    """A trial is pruned where its best value so far lies below the median of those before at the same evaluation, and nowhere else."""
    done = search(folder / "pruned", "--trials", 16, "--seed", 3, "--dev-fraction", 0.3, epochs=6)
    check(done.returncode == 0, f"pruning: {done.stderr}")
    before, pruned = [], 0
    for trial in study_in(folder / "pruned").get_trials():
        seen = []
        for step, value in sorted(trial.intermediate_values.items()):
            seen.append(value)
            others = [t.intermediate_values[step] for t in before]
            below = len(before) >= 5 and max(seen) < numpy.percentile(others, 50)
            is_last = step == max(trial.intermediate_values)
            check(below == (is_last and trial.state.name == "PRUNED") or (below and is_last and step == 6),
                  f"pruning: trial {trial.number}, evaluation {step}: {seen} among {others}, {trial.state.name}")
        if trial.state.name == "PRUNED":
            pruned += 1
            steps = len((folder / "pruned" / "trials" / str(trial.number) / "train.jsonl").read_text().splitlines())
            per_epoch = math.ceil(28 / trial.params["batch_size"])
            check(steps == per_epoch * max(trial.intermediate_values), f"pruning: trial {trial.number} ran {steps} steps")
        else:
            before.append(trial)
    check(pruned > 0, "pruning: no trial of 16 was pruned, so nothing was seen")


def steps_in(output):
    return sum(log.read_bytes().count(b"\n") for log in output.glob("trials/*/train.jsonl"))


def check_kills(folder):
    """Killed outright again and again, a search ends in the trials of one that was not."""
    whole = search(folder / "whole", "--trials", 12, "--seed", 3)
    check(whole.returncode == 0, f"kills: {whole.stderr}")
    kills = 0
    for steps in (7, 31, 20, 55, 3, 90, 10_000):
        process = subprocess.Popen(command(folder / "killed", "--trials", 12, "--seed", 3, "--resume"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, env={**os.environ, "CDL_PYTHON": sys.executable})
        enough = steps_in(folder / "killed") + steps
        while process.poll() is None and steps_in(folder / "killed") < enough:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    check(process.returncode == 0, f"kills: exit status {process.returncode}: {process.stderr.read().decode()}")
    check(kills > 0, "kills: the search was through before it could be killed")
    check(trials_of(study_in(folder / "whole")) == trials_of(study_in(folder / "killed")), "kills: the two studies differ")
    check((folder / "whole" / "best.json").read_bytes() == (folder / "killed" / "best.json").read_bytes(), "kills: best.json differs")
    again = search(folder / "killed", "--trials", 12, "--seed", 3, "--resume")
    check(again.returncode == 0 and again.stdout == whole.stdout.replace("/whole/", "/killed/"), f"kills: {again.stdout}{again.stderr}")


def check_shared(folder):
    """Two searches that begin together share a study; one of something else is refused and leaves nothing."""
    storage = f"sqlite:///{folder}/shared.db"
    shared = ["--storage", storage, "--study", "ours"]
    workers = [subprocess.Popen(command(folder / name, *shared, "--trials", 8), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "CDL_PYTHON": sys.executable}) for name in ("one", "two")]
    for worker in workers:
        worker.wait()
        check(worker.returncode == 0, f"shared: {worker.stderr.read()}")
    trials = optuna.load_study(study_name="ours", storage=storage).get_trials()
    check(8 <= len(trials) <= 9 and all(t.state.is_finished() for t in trials), f"shared: {[t.state.name for t in trials]}")
    # When both have asked for the last trial, one of the two is given up before anything is drawn for it.
    rates = [t.params["lr"] for t in trials if t.params]
    check(len(rates) == 8 and len(set(rates)) == 8, f"shared: the rates are {rates}")
    refused = {
        "the space of lr": search(folder / "no", *shared, "--trials", 8, space=["--space", "lr=log:1e-3:1e-2", *SPACE[2:]]),
        "the setting weight_decay": search(folder / "no", *shared, "--trials", 8, "--weight-decay", 0.1),
        "the setting objective": search(folder / "no", *shared, "--trials", 8, "--objective", "last"),
        "the setting set of examples": search(folder / "no", *shared, "--trials", 8, "--max-length", 3),
    }
    for text, o in refused.items():
        lines = o.stderr.splitlines()
        # --max-length changes the examples too, and is the setting that is named first.
        named = text in o.stderr or (text.endswith("examples") and "max_length" in o.stderr)
        check(o.returncode == 1 and len(lines) == 1 and named and not o.stdout, f"shared: {text}: {o.returncode} {o.stderr}")
    optuna.create_study(storage=storage, study_name="foreign").ask()
    o = search(folder / "no", "--storage", storage, "--study", "foreign", "--trials", 1)
    check(o.returncode == 1 and "not one of condlora's" in o.stderr, f"shared: foreign: {o.stderr}")
    o = search(folder / "no", "--storage", "nosuch://user:secret@host/db", "--trials", 1)
    check(o.returncode == 1 and len(o.stderr.splitlines()) == 1 and "nosuch://user@host/db" in o.stderr and "secret" not in o.stderr,
          f"shared: no such storage: {o.stderr}")
    check(not (folder / "no").exists(), "shared: a refused search left a folder")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part in (check_random, check_minimized, check_pruning, check_kills, check_shared):
            part(folder)
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())
