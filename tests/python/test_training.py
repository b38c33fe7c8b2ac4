"""Training: every form of data gives the program's bytes; callbacks; interruption; folders that go with the run."""
import gc
import json
import os
import pathlib
import signal
import subprocess
import threading
import unittest

import condlora
import numpy as np
from cases import CASES, Case, InFolder, files_of

CASE = Case("bert-lora")
SETTINGS = CASE.train_settings()
COLUMNS = {CASE.columns[0]: CASE.texts[0], "label": CASE.labels}


def adapter_of(run):
    return (run.adapter / "adapter_model.safetensors").read_bytes()


class Training(InFolder):
    def test_numbers_are_pytorchs(self):
        for name in ("bert-lora", "bert-condlora-paper"):
            case, losses = Case(name), []
            settings = {**case.train_settings(), "no_shuffle": True, "max_steps": case.settings["max_steps"]}
            with condlora.train(train=case.folder / "train.tsv", init_adapter=case.adapter, on_step=lambda s: losses.append(s.loss),
                                **settings) as run:
                self.assertEqual((run.steps, len(losses)), (20, 20))
                np.testing.assert_allclose(losses, case.expected["losses"][:20], rtol=1e-5, atol=1e-5)
                expected = case.expected["final_logits"]
                bound = case.settings["bounds"]["final_logits"] * np.maximum(1, np.abs(expected))
                self.assertTrue((np.abs(run.logits(*case.texts)[: len(expected)] - expected) <= bound).all())

    def test_forms_of_data_give_the_programs_bytes(self):
        rows = [dict(zip(COLUMNS, row)) for row in zip(*COLUMNS.values())]
        options = {name.replace("_", "-"): value for name, value in SETTINGS.items() if name not in ("text", "label")}
        command = ["condlora", "train", "--train", CASE.folder / "train.tsv", "--text-columns", CASE.columns[0], "--label-column",
                   "label", "--output", "program"]
        for name, value in options.items():
            command += ["--" + name, ",".join(value) if isinstance(value, list) else str(value)]
        subprocess.run(command, check=True, capture_output=True)
        expected = pathlib.Path("program/adapter/adapter_model.safetensors").read_bytes()
        forms = {
            "file": CASE.folder / "train.tsv",
            "columns": COLUMNS,
            "arrays": {name: np.array(values) for name, values in COLUMNS.items()},
            "rows": rows,
            "generator": (row for row in rows),
            "tuples": list(zip(*COLUMNS.values())),
        }
        for form, data in forms.items():
            with self.subTest(form), condlora.train(train=data, **SETTINGS) as run:
                self.assertEqual(adapter_of(run), expected)

    def test_the_default_columns(self):
        pairs = [(a, b, int(b in a)) for a in ("one two", "two three") for b in ("two", "three", "one")] * 2
        with condlora.train(model=CASE.model, train=pairs, epochs=1, backend="cpu", dev_fraction=0, eval_every=0, keep="last",
                            fresh_head=True) as run:
            self.assertTrue(run.classifier.is_pair)
            self.assertEqual(run.classifier.labels, (0, 1))
            self.assertEqual(run.predict(["one two"], ["one"]).dtype.kind, "i")

    def test_scores_and_records(self):
        evaluations, steps = [], []
        settings = {**SETTINGS, "eval_every": "epoch", "keep": "best", "dev_fraction": 0.25, "epochs": 2}
        with condlora.train(train=COLUMNS, dev=COLUMNS, on_step=steps.append, on_evaluation=evaluations.append, **settings) as run:
            self.assertEqual([s.step for s in steps], list(range(1, run.steps + 1)))
            self.assertEqual({s.steps for s in steps}, {run.steps})
            np.testing.assert_allclose([r["loss"] for r in run.history], [s.loss for s in steps], rtol=1e-6)
            self.assertEqual({e.split for e in evaluations}, {"valid"})
            best = [e for e in evaluations if e.is_best][-1]
            self.assertEqual((best.scores, best.step), (run.valid, run.best_step))
            self.assertEqual(run.main_metric, "accuracy")
            predicted = run.predict(CASE.texts[0])
            self.assertAlmostEqual(run.dev.metrics["accuracy"], np.mean(predicted == np.array(CASE.labels)))
            self.assertEqual(run.dev.examples, len(CASE.labels))
            self.assertEqual(run.settings["rank"], SETTINGS["rank"])
            self.assertIn("accuracy", repr(run))

    def test_several_labels_and_several_numbers(self):
        settings = {"model": CASE.model, "epochs": 1, "backend": "cpu", "dev_fraction": 0.25, "fresh_head": True}
        texts = CASE.texts[0]
        rows = [(text, ["a", "b", "c"][: i % 4]) for i, text in enumerate(texts)]
        with condlora.train(train=rows, multi_label=True, **settings) as run:
            model = run.classifier
            self.assertEqual((model.problem, model.labels), ("multi_label_classification", ("a", "b", "c")))
            probabilities, chosen = model.predict_proba(texts), model.predict_indicators(texts)
            np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-model.logits(texts).astype(float))), rtol=1e-12)
            np.testing.assert_array_equal(chosen, probabilities >= model.thresholds)
            self.assertEqual([tuple(np.array(model.labels)[row]) for row in chosen], list(model.predict(texts)))
            self.assertIn("micro_f1", run.valid.metrics)
            indicators = {"text": texts, **{name: [int(name in labels) for _, labels in rows] for name in "abc"}}
        with condlora.train(train=indicators, label=["a", "b", "c"], multi_label=True, **settings) as other:
            np.testing.assert_array_equal(other.predict_proba(texts), probabilities)
        numbers = {"text": texts, "x": np.linspace(0, 1, len(texts)), "y": [1.5] * len(texts)}
        with condlora.train(train=numbers, label=("x", "y"), regression=True, **settings) as run:
            self.assertEqual((run.classifier.problem, run.predict(texts).shape), ("regression", (len(texts), 2)))
            self.assertEqual(run.classifier.labels, ("x", "y"))
            self.assertIn("rmse", run.valid.metrics)

    def test_settings_are_checked(self):
        for words, changes in (
            ("no setting 'metod'; the nearest is method", {"metod": "lora"}),
            ("(?<!-)rank", {"rank": 0}),
            ("(?<!-)max_steps wants", {"max_steps": "a"}),
            ("^train: every row has the label 'no'", {"train": {**COLUMNS, "label": ["no"] * len(COLUMNS["label"])}, "labels": None}),
            (r"^dev\[1\]: .*'maybe'", {"dev": {"sentence1": ["a", "b"], "label": ["no", "maybe"]}}),
            ("no column 'txt'; there are 'sentence1', 'label'", {"text": "txt"}),
            ("model", {"model": None}),
            ("train", {"train": None}),
            (r"train\[1\], 'sentence1': expected a text, not NoneType", {"train": {**COLUMNS, "sentence1": ["a", None] * 20}}),
            (r"train\[0\], 'label': expected a label, not float nan", {"train": {"sentence1": ["a"], "label": [float("nan")]}}),
            ("column 'sentence1' has 1 rows, column 'label' has 2", {"train": {"sentence1": ["a"], "label": ["x", "y"]}}),
            (r"train\[0\]: expected 2 values \(sentence1, label\), not 1", {"train": [("a",)]}),
            (r"train\[0\]: there is no 'label'; there are 'sentence1'", {"train": [{"sentence1": "a"}]}),
            ("resume needs the output folder", {"resume": True}),
        ):
            given = {"train": COLUMNS, **SETTINGS, **changes}
            with self.subTest(words), self.assertRaisesRegex(condlora.CondloraError, words) as raised:
                condlora.train(**given)
            self.assertNotIn("\n", str(raised.exception))
        with self.assertRaisesRegex(TypeError, "text or text_columns, not both"):
            condlora.train(train=COLUMNS, text_columns="sentence1", **SETTINGS)
        pathlib.Path("full").mkdir()
        pathlib.Path("full/file").touch()
        with self.assertRaisesRegex(condlora.UsageError, "full is not empty; resume=True goes on with the run in it, another output"):
            condlora.train(train=COLUMNS, output="full", **SETTINGS)


class Folders(InFolder):
    def test_a_temporary_run_goes_with_its_object(self):
        run = condlora.train(train=COLUMNS, **SETTINGS)
        folder, expected = run.folder, run.logits(["a"])
        self.assertEqual(folder.parent.stat().st_mode & 0o777, 0o700)
        run.save("saved")
        with self.assertRaisesRegex(condlora.ArgumentError, "saved: it exists already"):
            run.save("saved")
        self.assertTrue(folder.exists())
        child = os.fork()
        if child == 0:
            run.close()
            os._exit(0)
        os.waitpid(child, 0)
        self.assertTrue(folder.exists())
        del run
        gc.collect()
        self.assertFalse(folder.parent.exists())
        with condlora.Classifier("saved", backend="cpu", threads=1, max_length=48) as model:
            np.testing.assert_array_equal(model.logits(["a"]), expected)

    def test_a_failed_run_leaves_no_temporary_folder(self):
        os.environ["TMPDIR"], before = str(self.folder), os.environ.get("TMPDIR")
        import tempfile
        tempfile.tempdir = None
        try:
            with self.assertRaises(condlora.CondloraError):
                condlora.train(train=COLUMNS, **{**SETTINGS, "model": "nowhere"})
            self.assertEqual(list(self.folder.iterdir()), [])
        finally:
            tempfile.tempdir = None
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before

    def test_an_output_folder_stays(self):
        with condlora.train(train=COLUMNS, output="run", **SETTINGS) as run:
            self.assertEqual(run.folder, pathlib.Path("run"))
        self.assertTrue(pathlib.Path("run/adapter/adapter_config.json").exists())
        with self.assertRaises(condlora.CondloraError):
            condlora.train(train=COLUMNS, output="run", **SETTINGS)
        with condlora.train(train=COLUMNS, output="run", resume=True, **SETTINGS) as again:
            self.assertEqual((again.steps, again.dev), (run.steps, run.dev))


class Interruption(InFolder):
    def whole(self):
        with condlora.train(train=COLUMNS, output="whole", **SETTINGS) as run:
            return adapter_of(run)

    def resumed(self):
        with condlora.train(train=COLUMNS, output="run", resume=True, **SETTINGS) as run:
            return adapter_of(run)

    def test_a_callback_stops_and_the_run_resumes_to_the_same_bytes(self):
        with self.assertRaises(condlora.CancelledError) as raised:
            condlora.train(train=COLUMNS, output="run", on_step=lambda step: step.step == 5, **SETTINGS)
        self.assertNotIn("\n", str(raised.exception))
        self.assertFalse(pathlib.Path("run/metrics.json").exists())
        self.assertEqual(self.resumed(), self.whole())

    def test_an_exception_in_a_callback_is_raised_after_saving(self):
        def fail(step):
            if step.step == 7:
                raise RuntimeError("mine")
        with self.assertRaisesRegex(RuntimeError, "mine"):
            condlora.train(train=COLUMNS, output="run", on_step=fail, **SETTINGS)
        self.assertEqual(self.resumed(), self.whole())

    def test_ctrl_c_saves(self):
        program = ("import condlora, json, os, signal, sys\n"
                   "data, settings = json.load(open(sys.argv[1]))\n"
                   "condlora.train(train=data, output='run', on_step=lambda s: os.kill(os.getpid(), signal.SIGINT) if s.step == 6 else None,"
                   " **settings)\n")
        settings = {**SETTINGS, "model": str(SETTINGS["model"])}
        pathlib.Path("given.json").write_text(json.dumps([COLUMNS, settings]))
        done = subprocess.run([os.sys.executable, "-c", program, "given.json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, -signal.SIGINT, done.stderr)
        self.assertIn("KeyboardInterrupt", done.stderr)
        self.assertEqual(self.resumed(), self.whole())

    def test_ctrl_c_in_a_thread_that_waits(self):
        """The signal comes while the library computes, without a callback."""
        started = threading.Event()
        steps = []

        def note(step):
            steps.append(step.step)
            started.set()

        timer = threading.Thread(target=lambda: (started.wait(), signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            condlora.train(train=COLUMNS, output="run", on_step=note, **{**SETTINGS, "epochs": 500})
        timer.join()
        self.assertLess(len(steps), 5000)
        self.assertTrue(pathlib.Path("run/run.json").exists())

    def test_runs_at_the_same_time(self):
        expected, found = self.whole(), []

        def one():
            with condlora.train(train=COLUMNS, **SETTINGS) as run:
                found.append(adapter_of(run))

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [expected] * 3)


class Progress(unittest.TestCase):
    def test_lines_of_a_file_and_of_a_terminal(self):
        import io
        from condlora.progress import ProgressLine

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        step = condlora.Step(3, 10, 0.5, 0.25, 1e-3, 1.0, 12.5, 75.0)
        evaluation = condlora.Evaluation(3, 0.5, "valid", condlora.Scores(4, 0.5, {"accuracy": 0.75}), True)
        for stream in (Terminal(), io.StringIO()):
            line = ProgressLine(stream)
            line.step(step)
            line.evaluation(evaluation)
            line.close()
            text = stream.getvalue()
            self.assertEqual("step 3/10  epoch 0.50  loss 0.2500  12.5 examples/s  1:15 left" in text, stream.isatty())
            self.assertIn("epoch 0.50  valid: loss 0.5000  accuracy 0.7500  (best so far)", text)
            self.assertTrue(text.endswith("\n"))


if __name__ == "__main__":
    unittest.main()
