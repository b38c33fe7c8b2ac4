#!/usr/bin/env python3
"""ranks.py MPI PROBE PROGRAM CASES: jobs of 1 to 8 processes on this machine, as MPI's own mpirun starts them: openmpi, mpich, or abi for
an MPI with the library of the standard ABI, which CDL_TEST_MPI_ABI names (its folder has bin/mpirun and lib/)."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SECONDS = 120


def skip(why):
    print(f"skipped: ranks: {why}")
    sys.exit(77)


def launcher_of(mpi):
    """The command that starts a job, up to the number of processes, and the environment that it needs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMI", "SLURM_", "CDL_MPI"))}
    if mpi == "abi":
        folder = os.environ.get("CDL_TEST_MPI_ABI") or skip("CDL_TEST_MPI_ABI names no MPI with the standard ABI's library")
        environment["CDL_MPI"] = next(str(path.resolve()) for path in pathlib.Path(folder, "lib").glob("libmpi_abi.so.1"))
        return [f"{folder}/bin/mpirun", "-n"], environment
    program = shutil.which(f"mpirun.{mpi}") or skip(f"there is no mpirun.{mpi}")
    environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    return [program, "-n"], environment


class Job:
    """What a job of `count` processes printed, and how it ended."""

    def __init__(self, count, *arguments, **more):
        began = time.monotonic()
        done = subprocess.run([*LAUNCHER, str(count), PROBE, *map(str, arguments)], capture_output=True, text=True,
                              timeout=SECONDS, env={**ENVIRONMENT, **more}, check=False)
        self.status, self.seconds = done.returncode, time.monotonic() - began
        self.out, self.errors = done.stdout.splitlines(), done.stderr
        # Those of the program; the launchers add their own.
        self.said = [line for line in self.errors.splitlines() if line.startswith(("probe: ", "rank "))]

    def expect(self, status, *patterns):
        expected = [*patterns]
        if (self.status == 0) != (status == 0) or len(self.said) != len(expected) or not all(
                re.fullmatch(pattern, line) for pattern, line in zip(expected, self.said)):
            sys.exit(f"status {self.status}, expected {status} and the lines {expected}; got:\n{self.errors}")


def test_who():
    for count in (1, 2, 3, 4, 8):
        job = Job(count, "who")
        job.expect(0)
        found = sorted(job.out)
        library = "" if count == 1 else r"(Open MPI v|MPICH )\d.*"
        for rank, line in enumerate(found):
            if not re.fullmatch(f"rank {rank} of {count}, local {rank} of {count}, 1 hosts, {library}", line):
                sys.exit(f"{count} processes: {found}")


def test_sums():
    for shards, numbers in ((8, 100001), (13, 999), (64, 1), (8, 0)):
        sums = set()
        for count in (1, 2, 3, 5, 8):
            job = Job(count, "sum", shards, numbers, 7 * count)
            job.expect(0)
            assert len(job.out) == count, job.out
            sums.update(job.out)
        if len(sums) != 1:
            sys.exit(f"{shards} shards of {numbers} numbers have the sums {sums}")


def test_differences():
    Job(3, "differ").expect(1, r"rank 2 \(.+\): --lr is 0\.001, on rank 0 \(.+\) it is 0\.01",
                            r"probe: rank 2 \(.+\): the program is 0\.2\.0, on rank 0 \(.+\) it is 0\.1\.0; "
                            r"the ranks of a job need the same .+ \(2 differences\)")


def test_failures():
    Job(3, "fail").expect(1, r"probe: rank 2 \(.+\): /data/train\.tsv: no such file")
    Job(3, "alone").expect(1, r"probe: rank 2 \(.+\): something went wrong here")


def test_lost_ranks():
    """A rank that dies is the launcher's to report; one that stops is named by the others."""
    assert Job(3, "leave", int(signal.SIGKILL)).status != 0
    job = Job(4, "leave", int(signal.SIGSTOP), CDL_RANKS_TIMEOUT="2")
    job.expect(1, r"probe: step 2: rank 3 \(.+, process \d+\) did not come within 2 s; the job ends")
    assert job.seconds < 30, job.seconds


def test_wrong_launcher():
    """Each process would be a job of its own."""
    other = {"openmpi": "mpich", "mpich": "openmpi"}.get(MPI)
    if other is not None and shutil.which(f"mpirun.{other}"):
        job = Job(2, "who", CDL_MPI=other)
        assert job.status != 0 and job.out == [], job.out
        assert re.search(r"started 2 processes, but (Open MPI|MPICH) .* sees 1: start the program with", job.errors), job.errors
    Job(2, "who", CDL_MPI="lam").expect(1, *[r"probe: CDL_MPI is lam; expected .*"] * 2)


# ---- The program ----


def condlora(count, *arguments, **more):
    """A command in a job of `count` processes; 0: without a launcher."""
    start = [*LAUNCHER, str(count)] if count else []
    return subprocess.run([*start, PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS,
                          env={**ENVIRONMENT, **more}, check=False)


def done(count, *arguments, **more):
    run = condlora(count, *arguments, **more)
    if run.returncode != 0:
        sys.exit(f"{count} processes, {arguments}: status {run.returncode}\n{run.stderr}")
    return run.stdout


def training(case, output, *more):
    """`more` may give another --train or --batch-size."""
    folder = CASES / case
    usual = [] if "--train" in more else ["--train", folder / "train.tsv"]
    usual += [] if "--batch-size" in more else ["--batch-size", 9]
    return ["train", "--model", folder / "model", *usual, "--text-columns", "sentence1", "--label-column",
            "label", "--threads", 1, "--dropout", 0.1, "--dev-fraction", 0.25,
            "--output", output, *more]


def files_of(folder):
    """What a run keeps, without times and machines."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and path.name not in ("run.json", "metrics.json"):
            kept[name] = re.sub(rb', "examples_per_s": [^}]*|.*/tmp/.*', b"", path.read_bytes()) if name.endswith((".jsonl", ".md")) \
                else path.read_bytes()
    return kept


def assert_same(one, other, what):
    a, b = files_of(one), files_of(other)
    different = [name for name in a.keys() | b.keys() if a.get(name) != b.get(name)]
    if different or not a:
        sys.exit(f"{what}: {sorted(different)} differ" if a else f"{what}: nothing was kept")


METHODS = {
    "lora": ("--method", "lora", "--rank", 2),
    "condlora": ("--method", "condlora", "--rank", 2, "--accumulate", 2),
    "adalora": ("--method", "adalora", "--init-r", 4, "--target-r", 2, "--delta-t", 2),
    "dora": ("--method", "lora", "--rank", 2, "--use-dora", "--adapter-dropout", 0.1),
    "bitfit": ("--method", "bitfit"),
    "full": ("--method", "full", "--accumulate", 2),
    "full-distances": ("--method", "full", "--weight-decay", 0.1),
    "embeddings": ("--method", "lora", "--rank", 2, "--modules-to-save", "word_embeddings,pooler"),
}
CASE_OF = {"full": "roberta-full", "full-distances": "mpnet-full"}  # of the others: bert-lora
RANKS_OF = {"lora": (2, 3, 8), "condlora": (2, 3, 8), "full": (2, 3, 4, 8)}  # of the others: 3


def test_training():
    """The same bytes for any number of ranks, with an uneven last batch."""
    for name, options in METHODS.items():
        folders = {}
        for count in (0, *RANKS_OF.get(name, (3,))):
            folders[count] = SCRATCH / f"{name}-{count}"
            done(count, *training(CASE_OF.get(name, "bert-lora"), folders[count], *options, "--epochs", 2, "--eval-every", 2))
            if count != 0:
                assert_same(folders[0], folders[count], f"{name}, {count} ranks")


def claims_success(job):
    """Whether a launcher that was asked to stop reports a whole job. MPICH's sometimes does, though each rank ends with 143."""
    return job.returncode == 0 and MPI != "mpich"


def wait_until(holds, job):
    until = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < until and job.poll() is None:
        time.sleep(0.01)


def has_lines(log, count):
    return log.exists() and log.read_bytes().count(b"\n") > count


def stop_when(holds, job):
    """Asks the launcher to stop its job once `holds()` is true; gives what the job said."""
    wait_until(holds, job)
    job.send_signal(signal.SIGTERM)
    return job.communicate(timeout=SECONDS)[1]


def long_examples():
    """The examples often, with long texts: a step of 128 takes so long that a rank computes most of the time."""
    data = SCRATCH / "long.tsv"
    if not data.exists():
        header, *lines = (CASES / "bert-lora" / "train.tsv").read_text().splitlines()
        rows = [line.split("\t") for line in lines] * 7
        data.write_text("\n".join([header, *("\t".join([" ".join([text] * 60), label]) for text, label in rows)] + [""]))
    return ("--train", data, "--batch-size", 128)


def long_run():
    """A run of seconds: Open MPI's launcher waits for one before it tells the ranks to stop."""
    return (*long_examples(), "--max-steps", 250, "--eval-every", 60)


def test_resuming():
    """A job that was stopped goes on with another number of ranks, to the bytes of one that was not."""
    options = (*long_run(), "--method", "condlora", "--rank", 2)
    done(0, *training("bert-lora", SCRATCH / "whole", *options))
    output = SCRATCH / "stopped"
    job = subprocess.Popen([*LAUNCHER, "3", PROGRAM, *map(str, training("bert-lora", output, *options))], env=ENVIRONMENT,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = stop_when(lambda: has_lines(output / "train.jsonl", 5), job)
    if claims_success(job) or errors.count("stopped after step") != 1:
        sys.exit(f"status {job.returncode} of a job that was stopped:\n{errors}")
    done(2, *training("bert-lora", output, *options), "--resume")
    assert_same(SCRATCH / "whole", output, "a job that was stopped and resumed")


def train_with_slow_rank(slow, *command):
    """Trains on 3 ranks, one of which is stopped for three quarters of the time."""
    job = subprocess.Popen([*LAUNCHER, "3", PROGRAM, *map(str, command)], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    folder, stopped = command[command.index("--output") + 1], None
    while job.poll() is None:
        if stopped is None:
            stopped = next((process for process in ranks_of(folder) if rank_of(process) == slow), None)
        for number, pause in ((signal.SIGSTOP, 0.03), (signal.SIGCONT, 0.01)):
            if stopped is not None:
                send(stopped, number)
            time.sleep(pause)
    if job.returncode != 0:
        sys.exit(f"status {job.returncode} of a job with a slow rank")


def send(process, number):
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass


def test_slow_ranks():
    """A rank that is slow gets fewer shards and is named in the log; no byte changes."""
    options = (*long_examples(), "--method", "lora", "--rank", 2, "--max-steps", 30, "--eval-every", 0)
    done(0, *training("bert-lora", SCRATCH / "even", *options))
    train_with_slow_rank(1, *training("bert-lora", SCRATCH / "uneven", *options))
    assert_same(SCRATCH / "even", SCRATCH / "uneven", "a job with a slow rank")
    lines = [json.loads(line) for line in (SCRATCH / "uneven" / "train.jsonl").read_text().splitlines()]
    named = sum(line["slowest_rank"] == 1 for line in lines[8:])
    waited = [sum(line["waiting"] for line in part) / len(part) for part in (lines[:8], lines[8:])]
    if named < 0.5 * len(lines[8:]) or not 0.05 < waited[0] < 1:
        sys.exit(f"rank 1 was slow, {named} of {len(lines[8:])} lines name it, and ranks waited {waited}")


def memory_of(process):
    """{inode: mode} of the memory that a process shares with others."""
    maps = pathlib.Path("/proc", str(process), "maps").read_text().splitlines()
    fields = [line.split() for line in maps if "/memfd:condlora" in line]
    return {field[4]: field[1] for field in fields}


def test_shared_tokens():
    """The ranks of a host hold train's and dev's tokens once, in memory that nobody can write any more."""
    command = training("bert-lora", SCRATCH / "shared", *long_run(), "--dev", CASES / "bert-lora" / "train.tsv", "--method", "lora")
    job = subprocess.Popen([*LAUNCHER, "3", PROGRAM, *map(str, command)], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    wait_until(lambda: has_lines(SCRATCH / "shared" / "train.jsonl", 1), job)
    found = [memory_of(process) for process in ranks_of(SCRATCH / "shared")]
    job.send_signal(signal.SIGTERM)
    job.wait(timeout=SECONDS)
    if len(found) != 3 or len(found[0]) != 2 or set(found[0].values()) != {"r--s"} or found != [found[0]] * 3:
        sys.exit(f"three ranks share this memory: {found}")


def test_unshared_tokens():
    """Ranks that cannot reach each other's memory, as in two containers, make the tokens themselves."""
    apart = ("unshare", "--pid", "--fork", "--mount-proc")
    if MPI != "openmpi" or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        return
    options = ("--method", "lora", "--max-steps", 4)
    done(0, *training("bert-lora", SCRATCH / "alone", *options))
    command = [PROGRAM, *map(str, training("bert-lora", SCRATCH / "apart", *options))]
    run = subprocess.run([*LAUNCHER, "1", *command, ":", "-n", "1", *apart, *command], capture_output=True, text=True, timeout=SECONDS,
                         env={**ENVIRONMENT, "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}, check=False)
    if run.returncode != 0 or run.stderr.count("each rank makes the tokens for itself") != 1:
        sys.exit(f"ranks that share no memory: status {run.returncode}:\n{run.stderr}")
    assert_same(SCRATCH / "alone", SCRATCH / "apart", "ranks that share no memory")


def test_records():
    """run.json names the ranks and hosts; a trace has each rank's ops and meetings."""
    folder, trace = SCRATCH / "recorded", SCRATCH / "trace.json"
    done(3, *training("bert-lora", folder, "--method", "lora", "--max-steps", 3, "--trace", trace))
    process, = json.loads((folder / "run.json").read_text())["processes"]
    assert process["ranks"] == 3 and process["hosts"] == [{"host": process["host"], "ranks": 3}], process
    assert re.match("Open MPI v|MPICH ", process["mpi"]), process
    assert 0 <= json.loads((folder / "metrics.json").read_text())["timing"]["waiting"] < 1
    events = json.loads(trace.read_text())["traceEvents"]
    for rank in range(3):
        own = [event for event in events if event["pid"] == rank + 1]
        assert [event["args"]["name"] for event in own if event["ph"] == "M"] == [f"rank {rank} ({process['host']})"]
        assert {"linear", "attention_grad", "step 1", "step 3"} <= {event["name"] for event in own}, rank
        assert [event["ts"] for event in own if event["name"] == "step 2"] > [0]


def rank_of(process):
    try:
        words = pathlib.Path("/proc", str(process), "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    found = dict(word.split(b"=", 1) for word in words if b"=" in word)
    return int(found.get(b"OMPI_COMM_WORLD_RANK", found.get(b"PMI_RANK", b"-1")))


def ranks_of(folder):
    """The process ids of the ranks that train into a folder."""
    return [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit() and is_rank(entry, folder)]


def is_rank(entry, folder):
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0] == os.fsencode(PROGRAM) and os.fsencode(folder) in words


def test_kills():
    """A rank that is killed ends the job; the checkpoint stands, and the run goes on from it."""
    options = (*long_run(), "--method", "condlora", "--rank", 2, "--checkpoint-every", 5)
    output, log = SCRATCH / "killed", SCRATCH / "killed" / "train.jsonl"
    for count, resume in ((3, ()), (4, ("--resume",))):
        lines = log.read_bytes().count(b"\n") if log.exists() else 0
        job = subprocess.Popen([*LAUNCHER, str(count), PROGRAM, *map(str, training("bert-lora", output, *options)), *resume],
                               env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: has_lines(log, lines + 20), job)
        os.kill(max(ranks_of(output)), signal.SIGKILL)
        if job.wait(timeout=SECONDS) == 0:
            sys.exit("a job whose rank was killed ended well")
    done(2, *training("bert-lora", output, *options), "--resume")
    assert_same(SCRATCH / "whole", output, "a job whose ranks were killed")


def test_answers():
    """eval and predict give the same with any number of ranks, and only the first writes."""
    adapter = ("--adapter", SCRATCH / "whole" / "adapter", "--input", CASES / "bert-lora" / "train.tsv", "--text-columns",
               "sentence1")
    for command in (("eval", *adapter, "--label-column", "label"), ("predict", *adapter)):
        alone = done(0, *command)
        for count in (2, 5):
            if done(count, *command) != alone or alone == "":
                sys.exit(f"{command[0]} with {count} ranks prints something else")
    done(3, "predict", *adapter, "--output", SCRATCH / "answers.jsonl")
    if (SCRATCH / "answers.jsonl").read_text() != done(0, "predict", *adapter):
        sys.exit("predict --output with 3 ranks writes something else")


def search(output, *more):
    return ["search", *training("bert-lora", output, "--epochs", 3, "--space", "lr=log:1e-3:1e1", "--space", "rank=choice:2,4",
                                "--method", "condlora", *more)[1:]]


TRIALS = [{"lr": 0.02, "rank": "2"}, {"lr": 0.03, "rank": "4"}, {"lr": 0.005, "rank": "2"}]


def fake_study(folder, asks, **files):
    """What tests/programs/fake-bridge answers from, and the environment that makes it the bridge to Optuna."""
    folder.mkdir()
    trial = [{"number": number, "parameters": TRIALS[number]} for number in range(len(TRIALS))]
    listed = [{**one, "state": "pruned" if number == 1 else "complete", "value": 0.5} for number, one in enumerate(trial)]
    (folder / "asks").write_text("".join(json.dumps(trial[number], separators=(",", ":")) + "\n" for number in asks))
    (folder / "list").write_text(json.dumps({"trials": listed}) + "\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    return {"FAKE": str(folder), "CDL_PYTHON": str(CASES.parent.parent / "programs" / "fake-bridge")}


def told(folder):
    """What the study was asked and told, without the search's own name."""
    return re.sub(r'"owner":"[0-9a-f]+"', "", (folder / "log").read_text())


def test_search():
    """All ranks train each trial, one of which is pruned; the study hears what one process would tell it."""
    studies = {}
    for count in (0, 3):
        studies[count] = SCRATCH / f"study-{count}"
        environment = fake_study(studies[count], (0, 1, 2), prune="1 2\n")
        said = done(count, *search(SCRATCH / f"search-{count}", "--trials", 3, "--storage", SCRATCH / "unused"), **environment)
        if said.count("is the best") != 1 or said.count("pruned") != 1:
            sys.exit(f"search with {count} processes prints:\n{said}")
    if told(studies[0]) != told(studies[3]) or told(studies[0]).count('"do":"tell"') != 3:
        sys.exit(f"the study of 3 processes was told:\n{told(studies[3])}\nand of one:\n{told(studies[0])}")
    assert_same(SCRATCH / "search-0" / "trials", SCRATCH / "search-3" / "trials", "the trials of a search")
    alone = SCRATCH / "best"
    done(0, "train", "--config", SCRATCH / "search-3" / "best.json", "--output", alone)
    assert_same(alone / "adapter", SCRATCH / "search-3" / "trials" / "0" / "adapter", "the best trial")


def test_failing_trials():
    """A trial that cannot be trained, and one whose loss is not finite: all ranks go on with the next one."""
    heard = []
    trials = [{"method": method, "rank": rank, "dylora_rank_min": 5, "lr": lr}
              for method, rank, lr in (("condlora", 2, 0.01), ("lora", 8, 8e5), ("condlora", 8, 0.01))]
    for count in (0, 3):
        study = SCRATCH / f"failing-{count}"
        environment = fake_study(study, ())
        numbered = [{"number": number, "parameters": trial} for number, trial in enumerate(trials)]
        (study / "asks").write_text("".join(json.dumps(trial) + "\n" for trial in numbered))
        (study / "list").write_text(json.dumps({"trials": [{**numbered[2], "state": "complete", "value": 0.5}]}) + "\n")
        done(count, "search", *training("bert-condlora-paper", SCRATCH / f"search-failing-{count}", "--space", "rank=int:2:8", "--space",
                                        "dylora-rank-min=int:1:8", "--space", "lr=log:1e-3:9e5", "--space", "method=choice:condlora,lora",
                                        "--targets", "all-linear", "--lora-plus-ratio", 1e6, "--alpha", 1e9, "--max-grad-norm", 0, "--trials", 3,
                                        "--storage", SCRATCH / "unused", "--epochs", 4)[1:], **environment)
        heard.append(told(study))
    if heard[0] != heard[1] or [heard[0].count(f'"state":"{state}"') for state in ("fail", "pruned", "complete")] != [1, 1, 1]:
        sys.exit(f"the study of 3 processes was told:\n{heard[1]}\nand of one:\n{heard[0]}")


def test_stopped_search():
    """SIGTERM ends the trial with a checkpoint, and another number of ranks goes on with it."""
    study, output = SCRATCH / "study-stopped", SCRATCH / "search-stopped"
    environment = fake_study(study, (2,))
    arguments = search(output, "--trials", 3, *long_run())
    job = subprocess.Popen([*LAUNCHER, "3", PROGRAM, *map(str, arguments)], env={**ENVIRONMENT, **environment},
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = stop_when(lambda: has_lines(output / "trials" / "2" / "train.jsonl", 5), job)
    if claims_success(job) or errors.count("stopped in trial 2") != 1 or '"do":"tell"' in told(study):
        sys.exit(f"status {job.returncode} of a search that was stopped:\n{errors}\n{told(study)}")
    (study / "resumed").write_text(json.dumps({"version": 1, "resumed": [{"number": 2, "parameters": TRIALS[2], "prune": False}]}) + "\n")
    done(2, *arguments, "--resume", **environment)
    whole = fake_study(SCRATCH / "study-unstopped", (2,))
    done(0, *search(SCRATCH / "search-unstopped", "--trials", 3, *long_run()), **whole)
    assert_same(SCRATCH / "search-unstopped" / "trials", output / "trials", "a search that was stopped and resumed")


def write_glue(folder, examples=40, times=1):
    """GLUE's RTE with made-up examples, the first text so many times as long."""
    words = ("the cat", "a dog", "sat there", "ran off", "saw me", "in it")
    (folder / "RTE").mkdir(parents=True)
    for split, count in (("train", examples), ("dev", 12)):
        rows = [f"{f'{words[i * 7 % 6]} {words[i * 5 % 6]} ' * times}\t{words[i % 6]}\t{('entailment', 'not_entailment')[i * 3 % 4 // 2]}"
                for i in range(count)]
        (folder / "RTE" / f"{split}.tsv").write_text("\n".join(["sentence1\tsentence2\tlabel", *rows]) + "\n")


def without_seconds(value):
    """A record without how long its run took."""
    return {name: one for name, one in value.items() if "seconds" not in name}


def results_of(folder):
    """What a reproduction has found out: adapters, logs of steps, predictions and records, without times."""
    kept = {name: content for name, content in files_of(folder).items()
            if name.endswith((".safetensors", "train.jsonl", ".tsv"))}
    for path in folder.glob("records/*.json"):
        kept[f"records/{path.name}"] = without_seconds(json.loads(path.read_text()))
    return kept


def test_reproduce():
    """Runs, predictions and records of a table and of the verdict are those of one process, also after a stop."""
    data = SCRATCH / "glue"
    write_glue(data)
    common = ("--model", CASES / "bert-condlora-paper" / "model", "--data", data, "--tasks", "RTE", "--epochs", 4, "--threads", 1,
              "--setting", "max_length=32", "--setting", "batch_size=8")
    for name, words in {"table1": ("--methods", "lora,condlora-reference", "--seeds", 1, "--lr", 0.01),
                        "verdict": ("--methods", "lora,condlora", "--seeds", 1, "--rates", "1e-3:1e-1:3")}.items():
        folders = {count: SCRATCH / f"{name}-{count}" for count in (0, 3)}
        for count, folder in folders.items():
            said = done(count, "reproduce", name, *common, *words, "--output", folder)
            if len(said.splitlines()) != 2:
                sys.exit(f"reproduce with {count} processes prints:\n{said}")
        one, three = (results_of(folder) for folder in folders.values())
        different = [file for file in one.keys() | three.keys() if one.get(file) != three.get(file)]
        if different or len(one) < 4:
            sys.exit(f"reproduce {name} with 3 processes: {sorted(different)} differ among {sorted(one)}")
    refused(2, "was begun with epochs 4, not 3", "reproduce", "table1", *common[:7], 3, *common[8:], "--output", folders[0].parent / "table1-0",
            "--methods", "lora", "--seeds", 1, "--lr", 0.01)


def test_stopped_reproduction():
    """SIGTERM ends a reproduction within a run, and another number of ranks goes on with it; its runs take seconds, as in long_run."""
    data, whole, stopped = (SCRATCH / name for name in ("long-glue", "verdict-whole", "verdict-stopped"))
    write_glue(data, examples=800, times=20)
    arguments = ["reproduce", "verdict", "--model", CASES / "bert-condlora-paper" / "model", "--data", data, "--tasks", "RTE", "--epochs", 4,
                 "--threads", 1, "--setting", "batch_size=32", "--setting", "max_length=64", "--methods", "lora,condlora", "--seeds", 1, "--rates",
                 "1e-3:1e-1:3", "--output"]
    done(0, *arguments, whole)
    arguments.append(stopped)
    job = subprocess.Popen([*LAUNCHER, "3", PROGRAM, *map(str, arguments)], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    errors = stop_when(lambda: len(list(stopped.glob("runs/*/*/*/train.jsonl"))) >= 3, job)
    if claims_success(job) or errors.count("the same command goes on") != 1:
        sys.exit(f"status {job.returncode} of a reproduction that was stopped:\n{errors}")
    done(2, *arguments)
    one, two = results_of(whole), results_of(stopped)
    different = [file for file in one.keys() | two.keys() if one.get(file) != two.get(file)]
    if different or len(one) < 4:
        sys.exit(f"reproduce verdict, stopped and gone on with: {sorted(different)} differ among {sorted(one)}")


def refused(count, pattern, *arguments, **more):
    run = condlora(count, *arguments, **more)
    said = [line for line in run.stderr.splitlines() if line.startswith("condlora: ")]
    if run.returncode == 0 or len(said) != 1 or not re.search(pattern, said[0]):
        sys.exit(f"{arguments}: status {run.returncode}, expected one line with {pattern}; got:\n{run.stderr}")


def test_refusals():
    output = SCRATCH / "refused"
    refused(3, "3 ranks are more than the 2 shards of a batch",
            *training("bert-lora", output, "--shards", 2))
    refused(4, "4 ranks are more than the 3 examples of a step",
            *training("bert-lora", output, "--batch-size", 3))
    refused(2, "condlora inspect is for one", "inspect", CASES / "bert-lora" / "model")
    environment = fake_study(SCRATCH / "study-refused", (0,))
    refused(2, "--parallel trains trials together in one process", *search(output, "--trials", 2, "--parallel", 2), **environment)
    refused(2, "fake-bridge.* has ended with exit status 7: the last words", *search(output, "--trials", 2),
            **{**environment, **fake_study(SCRATCH / "study-dead", (0,), die="open")})
    refused(2, "no such file", *[str(argument).replace("train.tsv", "absent.tsv") for argument in training("bert-lora", output)])
    if output.exists():
        sys.exit("a refused job has left a folder")


def condlora_of_two(first, second, program=None, **more):
    """Two processes with other arguments, or the second of another program."""
    start = [*LAUNCHER, "1", PROGRAM, *map(str, first), ":", "-n", "1", program or PROGRAM, *map(str, second)]
    began = time.monotonic()
    run = subprocess.run(start, capture_output=True, text=True, timeout=SECONDS, env={**ENVIRONMENT, **more}, check=False)
    said = [line for line in run.stderr.splitlines() if line.startswith(("condlora: ", "warning: "))]
    if run.returncode == 0 or time.monotonic() - began > 60:
        sys.exit(f"{second}: status {run.returncode} after {time.monotonic() - began:.0f} s:\n{run.stderr}")
    return said


def test_bad_launches():
    """What differs between ranks is one line that names a rank."""
    usual = training("bert-lora", SCRATCH / "bad", "--max-steps", 4)

    def expect(pattern, second, **more):
        said = condlora_of_two(usual, second, **more)
        if len(said) != 1 or not re.search(pattern, said[0]):
            sys.exit(f"{second}: expected one line with {pattern}; got {said}")

    expect(r"rank 1 \(.+\): the setting lr is 0\.5, on rank 0 .+ it is", [*usual, "--lr", "0.5"])
    expect(r"rank 1 \(.+\): the setting epochs is 7, on rank 0 .+ it is", [*usual, "--epochs", 7])
    for given in (("--resume",), ("--dry-run",), ("--trace", SCRATCH / "bad.json")):
        expect(rf"rank 1 \(.+\): {given[0]} is given, on rank 0 .+ it is not given", [*usual, *given])
    expect(r"rank 1 \(.+\): .*absent\.tsv: no such file", [*usual[:3], "--train", "absent.tsv", *usual[5:]])
    shorter = SCRATCH / "shorter.tsv"
    shorter.write_text("".join((CASES / "bert-lora" / "train.tsv").read_text().splitlines(keepends=True)[:-1]))
    expect(r"rank 1 \(.+\): the set of examples is", [*usual[:3], "--train", shorter, *usual[5:]])
    reworded = SCRATCH / "reworded.tsv"  # the same labels and numbers of examples
    reworded.write_text((CASES / "bert-lora" / "train.tsv").read_text().replace("the", "a", 1))
    expect(r"rank 1 \(.+\): the set of examples is", [*usual[:3], "--train", reworded, *usual[5:]])
    expect(r"rank 1 \(.+\) runs condlora eval of version .+, rank 0 \(.+\) runs condlora train of version", ["eval", *usual[1:]])
    other, version = SCRATCH / "condlora-of-another-version", done(0, "--version").split()[1]
    other.write_bytes(PROGRAM_BYTES.replace(f"{version}\0".encode(), f"{version[:-1]}9\0".encode()))
    other.chmod(0o755)
    expect(rf"rank 1 \(.+\) runs condlora train of version {version[:-1]}9 \(.*\), rank 0 \(.+\) runs condlora train of version "
           rf"{version} ", usual, program=other)
    if (SCRATCH / "bad").exists():
        sys.exit("a bad launch has left a folder")


def test_memory():
    """Nothing is read before it was written or left behind, on any rank. MPICH; Open MPI itself leaks."""
    valgrind = shutil.which("valgrind")
    if MPI != "mpich" or valgrind is None:
        return
    suppressions = pathlib.Path(__file__).resolve().parent.parent / "suppressions" / "valgrind.supp"
    watched = [valgrind, "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite", f"--suppressions={suppressions}"]
    for more in ([], ["--method", "full", "--shards", 4]):
        command = [PROGRAM, *training("bert-lora", SCRATCH / "watched", "--max-steps", 3, "--backend", "cpu", *more)]
        run = subprocess.run([*LAUNCHER, "2", *watched, *map(str, command)], capture_output=True, text=True, timeout=3 * SECONDS,
                             env=ENVIRONMENT, check=False)
        if run.returncode != 0:
            sys.exit(f"valgrind on 2 ranks, {more}: status {run.returncode}:\n{run.stderr}")
        shutil.rmtree(SCRATCH / "watched")


def test_absent_host():
    """A host that is not there is the launcher's to report, at once. MPICH's says so and waits."""
    if MPI != "openmpi":
        return
    hosts = SCRATCH / "hosts"
    hosts.write_text("no-such-host.invalid\n")
    began = time.monotonic()
    run = subprocess.run([LAUNCHER[0], "-hostfile", hosts, "-n", "2", PROBE, "who"], capture_output=True,
                         text=True, timeout=SECONDS, env=ENVIRONMENT, check=False)
    if run.returncode == 0 or run.stdout or "no-such-host" not in run.stderr or time.monotonic() - began > 60:
        sys.exit(f"a host that is absent: status {run.returncode}:\n{run.stdout}{run.stderr}")


if __name__ == "__main__":
    MPI, PROBE, PROGRAM, CASES = *sys.argv[1:4], pathlib.Path(sys.argv[4])
    LAUNCHER, ENVIRONMENT = launcher_of(MPI)
    PROGRAM_BYTES = pathlib.Path(PROGRAM).read_bytes()
    with tempfile.TemporaryDirectory(prefix="condlora-ranks-") as scratch:
        SCRATCH = pathlib.Path(scratch)
        for name, test in list(globals().items()):
            if name.startswith("test_") and (len(sys.argv) < 6 or name in sys.argv[5:]):
                test()
                print(f"{name}: passed", flush=True)
