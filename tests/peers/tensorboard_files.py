"""Event files of a run, read by the real TensorBoard: live, resumed after a kill, and its page of settings.

    python tensorboard_files.py PATH/TO/condlora

Exit status 0 when all agree; each disagreement is a line.
"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
except ImportError:
    print("skipped: tensorboard_files: this Python has no tensorboard")
    sys.exit(77)

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CASE = pathlib.Path(__file__).resolve().parent.parent / "data" / "cases" / "bert-condlora-paper"
RUN = ("train", "--model", CASE / "model", "--train", CASE / "train.tsv", "--text-columns", "sentence1", "--label-column", "label", "--batch-size", 4,
       "--eval-every", 20, "--report-to", "tensorboard", "--threads", 1)
STEP_KEYS = {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad_norm", "epoch": "epoch", "examples_per_s": "examples_per_s"}
failures = []


def check(holds, text):
    if not holds:
        failures.append(text)
        print(text)


def start(*words):
    return subprocess.Popen([str(word) for word in (PROGRAM, *words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def run(*words):
    process = start(*words)
    _, err = process.communicate()
    check(process.returncode == 0, f"{words}: {err}")


def read(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return accumulator


def steps_of(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def close(a, b):
    return abs(a - b) <= 2e-7 * abs(b) + 1e-12  # TensorBoard holds floats


def compare(folder, what):
    """Each step once and in order, each evaluation of metrics.json once."""
    curves, steps = read(folder), steps_of(folder)
    for tag, key in STEP_KEYS.items():
        points = curves.Scalars(f"train/{tag}")
        check([point.step for point in points] == [step["step"] for step in steps], f"{what}: train/{tag} has the steps {[p.step for p in points]}")
        if tag != "examples_per_s":  # of the process that was killed, it is that process's
            check(all(close(point.value, step[key]) for point, step in zip(points, steps)), f"{what}: train/{tag} differs from train.jsonl")
    evaluations = json.loads((folder / "metrics.json").read_text())["evaluations"]
    names = {tag.split("/", 1)[1] for tag in curves.Tags()["scalars"] if tag.startswith("valid/")}
    check(names == {"loss", "accuracy", "f1", "macro_f1", "mcc"}, f"{what}: curves of valid: {names}")
    for name in names:
        points = [(point.step, point.value) for point in curves.Scalars(f"valid/{name}")]
        wanted = [(evaluation["step"], evaluation[name]) for evaluation in evaluations]
        check(len(points) == len(wanted) and all(p[0] == w[0] and close(p[1], w[1]) for p, w in zip(points, wanted)),
              f"{what}: valid/{name} is {points}, metrics.json has {wanted}")


def check_settings(folder):
    contents = read(folder).PluginTagToContent("hparams")
    start_info = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
    settings = json.loads((folder / "run.json").read_text())["settings"]
    shown = {name: getattr(value, value.WhichOneof("kind")) for name, value in start_info.hparams.items()}
    for name in ("lr", "rank", "method", "batch_size", "rslora"):
        check(shown.get(name) == settings[name], f"settings: {name} is {shown.get(name)!r}, run.json has {settings[name]!r}")
    check("class_weights" not in shown, "settings: one that is not set is shown")
    end_info = metadata.parse_session_end_info_plugin_data(contents[metadata.SESSION_END_INFO_TAG])
    check(end_info.status == 1 and end_info.end_time_secs >= start_info.start_time_secs, f"settings: the end is {end_info}")


def check_live(folder):
    """What TensorBoard sees while the run is going on, and after a kill and a resume."""
    process = start(*RUN, "--max-steps", 2000, "--checkpoint-every", 30, "--output", folder)
    log = folder / "train.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not (log.exists() and log.read_text().count("\n") > 100):
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    seen = len(read(folder).Scalars("train/loss"))
    written = log.read_text().count("\n")
    check(seen >= written - 1, f"live: {seen} of {written} steps are there")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run(*RUN, "--max-steps", 2000, "--checkpoint-every", 30, "--output", folder, "--resume")
    check(len(list(folder.glob("events.out.tfevents.*"))) == 2, "resumed: not a second file")
    compare(folder, "resumed")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run(*RUN, "--max-steps", 60, "--output", folder / "whole")
        compare(folder / "whole", "whole")
        check_settings(folder / "whole")
        run(*RUN, "--max-steps", 80, "--output", folder / "whole", "--resume")
        compare(folder / "whole", "made longer")
        check_live(folder / "live")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
