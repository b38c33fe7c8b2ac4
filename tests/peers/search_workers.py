"""Several `condlora search` on one study: what becomes of the trial of one that dies, stops, or falls silent.

    python search_workers.py PATH/TO/condlora [WHAT ...]

Each test runs with a study in SQLite, in a journal, and in the database that CDL_TEST_POSTGRESQL names (a URL), if it is set.
Exit status 0 when all is as it must be; each thing that is not is a line.
"""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings

import optuna

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CASE = pathlib.Path(__file__).resolve().parent.parent / "data" / "cases" / "bert-condlora-paper"
EXAMPLES = CASE.parents[3] / "examples"
BRIDGE = CASE.parents[3] / "scripts" / "optuna-bridge"
ENVIRONMENT = {**os.environ, "CDL_PYTHON": sys.executable, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
GRACE, SECONDS = 10, 300
failures = []
optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def check(holds, text):
    if not holds:
        failures.append(text)
        print(text, flush=True)


def storages(folder, name):
    yield f"sqlite:///{folder}/{name}.db"
    yield f"{folder}/{name}.journal"
    if os.environ.get("CDL_TEST_POSTGRESQL"):
        yield os.environ["CDL_TEST_POSTGRESQL"]


def study_of(storage, name):
    if "://" not in storage:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(storage))
    return optuna.load_study(study_name=name, storage=storage)


def bridge_of(process):
    return int(pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def folders_in(output):
    return sorted(output.glob("trials/*"), key=lambda folder: int(folder.name))


def steps_in(output):
    """How far the last trial in a folder of a search is."""
    logs = [folder / "train.jsonl" for folder in folders_in(output)]
    return logs[-1].read_bytes().count(b"\n") if logs and logs[-1].exists() else 0


class Worker:
    """A search in a folder of its own."""

    def __init__(self, storage, study, output, *options, steps=300, grace=("--grace-period", GRACE), start=()):
        self.output, self.study = output, study
        self.process = subprocess.Popen(
            [str(word) for word in (
                *start, PROGRAM, "search", "--model", CASE / "model", "--train", CASE / "train.tsv", "--text-columns", "sentence1",
                "--label-column", "label", "--threads", 1, "--batch-size", 4, "--max-steps", steps, *(() if "--eval-every" in options else ("--eval-every", 100)),
                "--checkpoint-every", 20, "--space", "lr=log:1e-3:1e-1", "--space", "rank=choice:2,4", *(() if "--pruner" in options else ("--pruner", "none")),
                "--storage", storage, "--study", study, "--output", output, *grace, *options)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)

    def bridge(self):
        return bridge_of(self.process.pid)

    def folders(self):
        return folders_in(self.output)

    def wait_in_trial(self, steps=60):
        until = time.monotonic() + SECONDS
        while steps_in(self.output) < steps and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        check(self.process.poll() is None, f"{self.study}: a worker ended before its signal")

    def end(self, status=0):
        out, errors = self.process.communicate(timeout=SECONDS)
        check(self.process.returncode == status, f"{self.study}: exit status {self.process.returncode}, not {status}: {errors}")
        return out, errors


def check_study(storage, name, outputs, wanted, repeated):
    """The study has as many trials as wanted, each trained in one folder to the value that the study has; `repeated` of those that
    it began were given up, and their parameters were trained by another."""
    trials = study_of(storage, name).get_trials()
    history = optuna.storages.RetryFailedTrialCallback.retry_history
    again = {history(trial)[-1]: trial for trial in trials if history(trial)}
    whole = [trial for trial in trials if trial.state.name == "COMPLETE"]
    surplus = [trial for trial in trials if "condlora_surplus" in trial.user_attrs]
    check(len(whole) == wanted, f"{name}: {len(whole)} trials are complete, not {wanted}")
    check(len(again) == repeated, f"{name}: {len(again)} trials were repeated, not {repeated}")
    check(len(trials) == wanted + repeated + len(surplus), f"{name}: {[(t.number, t.state.name) for t in trials]}")
    for number, trial in again.items():
        check(trials[number].state.name == "FAIL" and trials[number].params == trial.params and trial.state.name == "COMPLETE",
              f"{name}: trial {number} has {trials[number].params}, its repetition {trial.params}, {trial.state.name}")
    finished = [folder for output in outputs for folder in folders_in(output) if (folder / "metrics.json").exists()]
    numbers = sorted(int(folder.name) for folder in finished if int(folder.name) not in again)
    check(numbers == [trial.number for trial in whole], f"{name}: folders of {numbers}, trials {[t.number for t in whole]}")
    for folder in finished:
        if int(folder.name) not in again:
            values = [entry["accuracy"] for entry in json.loads((folder / "metrics.json").read_text())["evaluations"]]
            check(trials[int(folder.name)].value == max(values), f"{name}: {folder}: {values}, {trials[int(folder.name)].value}")


def test_deaths(folder):
    """A worker that is killed, with or without its bridge, leaves its trial to the others."""
    for kind, storage in enumerate(storages(folder, "deaths")):
        name = f"deaths{kind}"
        workers = [Worker(storage, name, folder / f"{name}-{number}", "--trials", 6) for number in range(3)]
        killed = workers[0]
        killed.wait_in_trial()
        bridge = killed.bridge()
        killed.process.kill()
        if kind == 0:
            os.kill(bridge, signal.SIGKILL)
        killed.end(-signal.SIGKILL)
        tables = [worker.end()[0].splitlines()[-1].split(":")[0] for worker in workers[1:]]
        check(tables[0] == tables[1] and " is the best" in tables[0], f"{name}: the workers name other best trials: {tables}")
        check_study(storage, name, [worker.output for worker in workers], 6, 1)


def test_stops(folder):
    """A worker that is asked to stop goes on with its trial; a cluster signals its bridge too."""
    for kind, storage in enumerate(storages(folder, "stops")):
        name = f"stops{kind}"
        first, other = (Worker(storage, name, folder / f"{name}-{number}", "--trials", 4) for number in range(2))
        first.wait_in_trial()
        number = first.folders()[-1].name
        for process in (first.bridge(), first.process.pid):
            os.kill(process, signal.SIGTERM)
        errors = first.end(128 + signal.SIGTERM)[1]
        check(f"stopped in trial {number}; --resume" in errors, f"{name}: {errors}")
        again = Worker(storage, name, first.output, "--trials", 4, "--resume")
        again.end()
        other.end()
        check_study(storage, name, [first.output, other.output], 4, 0)
        subprocess.run([PROGRAM, "train", "--config", first.output / "trials" / number / "run.json", "--output", folder / name],
                       check=True, capture_output=True)
        adapter = pathlib.Path("adapter", "adapter_model.safetensors")
        check((first.output / "trials" / number / adapter).read_bytes() == (folder / name / adapter).read_bytes(),
              f"{name}: the trial that was stopped has other bytes than a run that was not")


def test_silence(folder):
    """A worker that is silent, but not dead, learns that its trial is another's."""
    for kind, storage in enumerate(storages(folder, "silence")):
        name = f"silence{kind}"
        first, other = (Worker(storage, name, folder / f"{name}-{number}", "--trials", 4) for number in range(2))
        first.wait_in_trial()
        frozen = [first.process.pid, first.bridge()]
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        other.end()
        for process in frozen:
            os.kill(process, signal.SIGCONT)
        errors = first.end()[1]
        check(re.search(r"trial \d+: lost .*another one repeats the trial", errors), f"{name}: {errors}")
        check_study(storage, name, [first.output, other.output], 4, 1)


def test_counts(folder):
    """Workers that begin together never train more trials than wanted, and none of them waits with --no-wait."""
    for kind, storage in enumerate(storages(folder, "counts")):
        name = f"counts{kind}"
        workers = [Worker(storage, name, folder / f"{name}-{number}", "--trials", 5, "--no-wait", steps=20) for number in range(4)]
        for worker in workers:
            errors = worker.end()[1] if worker.folders() else worker.process.communicate()[1]
            check("waiting for" not in errors, f"{name}: {errors}")
        check_study(storage, name, [worker.output for worker in workers], 5, 0)


def test_ranks(folder):
    """Processes of MPI that search together: the study and the trials of one process."""
    mpirun = shutil.which("mpirun.openmpi")
    if mpirun is None:
        print("skipped: test_ranks: there is no mpirun.openmpi", flush=True)
        return
    launch = ["--oversubscribe", "-n", "3"]
    found = []
    for name, start in (("one", []), ("three", [mpirun, *launch])):
        worker = Worker(f"{folder}/{name}.journal", "ranks", folder / f"ranks-{name}", "--trials", 10, "--pruner", "median", "--sampler",
                        "tpe", "--seed", 3, "--metric", "loss", "--eval-every", 10, steps=60, start=start)
        worker.end()
        found.append([(trial.number, trial.state.name, trial.params, trial.value, trial.intermediate_values)
                      for trial in study_of(f"{folder}/{name}.journal", "ranks").get_trials()])
    check(found[0] == found[1], f"ranks: the studies differ: {found}")
    check("PRUNED" in [trial[1] for trial in found[0]], "ranks: no trial was pruned, so nothing was seen")
    one, three = (folders_in(folder / f"ranks-{name}") for name in ("one", "three"))
    check([trial.name for trial in one] == [trial.name for trial in three], f"ranks: {one}, {three}")
    for a, b in zip(one, three):
        adapter = pathlib.Path("adapter", "adapter_model.safetensors")
        check((a / adapter).read_bytes() == (b / adapter).read_bytes(), f"ranks: the adapters of {a} and {b} differ")


def test_grace(folder):
    """The study keeps its grace period; a search that gives another is refused, one that gives none takes it."""
    storage = f"{folder}/grace.journal"
    Worker(storage, "grace", folder / "grace-0", "--trials", 1, steps=20).end()
    errors = Worker(storage, "grace", folder / "grace-1", "--trials", 2, steps=20, grace=("--grace-period", 20)).end(1)[1]
    check("the study grace has a grace period of 10 s, not 20 s" in errors, f"grace: {errors}")
    Worker(storage, "grace", folder / "grace-2", "--trials", 2, steps=20, grace=()).end()
    check(not (folder / "grace-1").exists(), "grace: the search that was refused left a folder")


def test_storm(folder):
    """Workers that are killed at random moments; most are started again."""
    kills = 5
    for kind, storage in enumerate(storages(folder, "storm")):
        name, draw = f"storm{kind}", random.Random(kind)
        wanted = 4 + 2 * kills
        outputs = [folder / f"{name}-{number}" for number in range(3 + kills)]
        workers = {number: Worker(storage, name, outputs[number], "--trials", wanted, steps=120) for number in range(3)}
        for kill in range(kills):
            time.sleep(draw.uniform(0.3, 4))
            victim = draw.choice(sorted(workers))
            worker = workers.pop(victim)
            worker.process.kill()
            worker.process.communicate()
            heir = victim if draw.random() < 0.6 else 3 + kill
            workers[heir] = Worker(storage, name, outputs[heir], "--trials", wanted, "--resume", steps=120)
        for worker in workers.values():
            worker.end()
        repeated = sum("retry_history" in trial.system_attrs for trial in study_of(storage, name).get_trials())
        check_study(storage, name, outputs, wanted, repeated)
        print(f"{name}: {kills} kills, {repeated} trials repeated", flush=True)


class Bridge:
    """The bridge to a study, asked as a search asks it."""

    def __init__(self, storage, owner):
        self.process = subprocess.Popen([sys.executable, BRIDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask({"do": "open", "version": 1, "storage": storage, "study": "deadly", "direction": "maximize", "sampler": "random",
                  "pruner": "none", "seed": 1, "trials": 3, "grace": 600, "owner": owner, "facts": {},
                  "space": {"lr": {"kind": "log", "low": 1e-3, "high": 1e-1}}})

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def die(self):
        self.process.kill()
        self.process.communicate()


def test_deadly_trial(folder):
    """A trial that kills whoever trains it is repeated three times, then left."""
    drawn = []
    for owner in range(6):
        bridge = Bridge(f"sqlite:///{folder}/deadly.db", f"owner{owner}")
        drawn.append(bridge.ask({"do": "ask"}))
        bridge.die()
        with contextlib.closing(sqlite3.connect(folder / "deadly.db")) as database:
            database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")
            database.commit()
    check([trial["number"] for trial in drawn] == [0, 1, 2, 3, 4, 5], f"deadly: {drawn}")
    rates = [trial["parameters"]["lr"] for trial in drawn]
    check(len(set(rates[:4])) == 1 and rates[4] != rates[0] and rates[5] == rates[4], f"deadly: rates {rates}")
    bridge = Bridge(f"sqlite:///{folder}/deadly.db", "last")
    listed = bridge.ask({"do": "list"})["trials"]
    bridge.die()
    check([trial["note"] for trial in listed[:3]] == [f"its search has died; trial {n} repeats it" for n in (1, 2, 3)], f"deadly: {listed}")


def test_array(folder):
    """The example for an array of Slurm: a task whose time is over is started again and goes on, another's node dies."""
    slurm, study = folder / "slurm", folder / "array"
    slurm.mkdir()
    for name in ("sbatch", "srun", "scontrol"):
        (slurm / name).symlink_to(pathlib.Path(__file__).resolve().parent / "slurm-stand-in")
    (folder / "settings.json").write_text(json.dumps({
        "model": str(CASE / "model"), "train": str(CASE / "train.tsv"), "text_columns": "sentence1", "label_column": "label",
        "batch_size": 4, "max_steps": 300, "eval_every": 100, "threads": 1, "space": {"lr": "log:1e-3:1e-1", "rank": [2, 4]}}))
    script = (EXAMPLES / "search-array.sbatch").read_text().replace(" --resume\n", f" --resume --pruner none --grace-period {GRACE}\n")
    (folder / "array.sbatch").write_text(script)
    log = open(folder / "array.log", "w")
    job = subprocess.Popen([slurm / "sbatch", "--array=0-3", folder / "array.sbatch", folder / "settings.json", study, "10"],
                           stdout=log, stderr=log, env={**ENVIRONMENT, "SLURM_STAND_IN": str(slurm),
                                                        "PATH": f"{slurm}:{PROGRAM.parent}:{os.environ['PATH']}"})
    for task, number in ((1, signal.SIGUSR1), (2, signal.SIGKILL)):
        until = time.monotonic() + SECONDS
        while steps_in(study / f"task-{task}") < 60 and job.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process = int((slurm / f"step-{task}").read_text())
        for one in (bridge_of(process), process):
            os.kill(one, number)
    check(job.wait(timeout=SECONDS) == 0, f"array: exit status {job.returncode}")
    text = (folder / "array.log").read_text()
    ends = [(slurm / f"ended-{task}").read_text().split() for task in range(4)]
    check(ends == [["0"], ["138", "0"], ["137"], ["0"]], f"array: the tasks ended with {ends}: {text}")
    check("stopped in trial" in text, f"array: {text}")
    check_study(f"{study}/study.journal", "array", sorted(study.glob("task-*")), 10, 1)


def main():
    if not os.environ.get("CDL_TEST_POSTGRESQL"):
        print("skipped: search_workers: studies in PostgreSQL: CDL_TEST_POSTGRESQL names no database", flush=True)
    with tempfile.TemporaryDirectory(prefix="condlora-workers-") as name:
        for test, run in list(globals().items()):
            if test.startswith("test_") and (len(sys.argv) < 3 or test in sys.argv[2:]):
                began = time.monotonic()
                run(pathlib.Path(name))
                print(f"{test}: {time.monotonic() - began:.0f} s", flush=True)
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())
