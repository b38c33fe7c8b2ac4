"""Classifying: PyTorch's numbers of the golden cases, and the rules for adapters, threads and processes."""
import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
import unittest

import condlora
import numpy as np
from cases import CASES, Case, InFolder


def opened(case, **options):
    return condlora.Classifier(case.adapter, model=case.model, backend="cpu", threads=1, max_length=case.settings["max_length"], **options)


class Answers(unittest.TestCase):
    def test_logits_are_pytorchs(self):
        for name in ("bert-lora", "bert-condlora-paper", "distilbert-lora", "mpnet-lora", "bert-condlora-regression"):
            case = Case(name)
            with self.subTest(name), opened(case) as model:
                logits = model.logits(*case.texts)
                expected = case.expected["logits"]  # of the first texts
                self.assertEqual(logits.dtype, np.float32)
                bound = case.settings["bounds"]["logits"] * np.maximum(1, np.abs(expected))
                self.assertTrue((np.abs(logits[: len(expected)] - expected) <= bound).all())
                if model.is_regression:
                    self.assertEqual((model.labels, model.predict(*case.texts).tolist()), ((), logits[:, 0].tolist()))
                    continue
                shifted = np.exp(logits.astype(float) - logits.max(axis=1, keepdims=True))
                np.testing.assert_allclose(model.predict_proba(*case.texts), shifted / shifted.sum(axis=1, keepdims=True), rtol=1e-12)
                self.assertEqual(model.predict(*case.texts).tolist(), [model.labels[i] for i in logits.argmax(axis=1)])

    def test_answers_are_the_programs(self):
        case = Case("bert-lora")
        lines = subprocess.run(
            ["condlora", "predict", "--adapter", case.adapter, "--model", case.model, "--input", case.folder / "train.tsv",
             "--text-columns", ",".join(case.columns), "--backend", "cpu", "--max-length", "48"],
            capture_output=True, check=True, text=True).stdout.splitlines()
        records = [json.loads(line) for line in lines]
        with opened(case) as model:
            np.testing.assert_array_equal(model.logits(*case.texts), np.array([r["logits"] for r in records], np.float32))
            self.assertEqual([str(label) for label in model.predict(*case.texts)], [r["prediction"] for r in records])

    def test_forms_of_texts(self):
        with opened(Case("bert-lora")) as model:
            expected = model.logits(["a", "b"])
            for texts in (("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], object), iter(["a", "b"]), {"a": 1, "b": 2}):
                np.testing.assert_array_equal(model.logits(texts), expected)
            self.assertEqual(model.logits([]).shape, (0, 2))
            self.assertEqual(model.predict([]).shape, (0,))
            self.assertEqual(model.predict_proba([]).shape, (0, 2))
            for wrong in ("a", b"a", 3):
                with self.assertRaisesRegex(TypeError, "a list of texts"):
                    model.predict(wrong)
            for wrong, word in (([None], r"texts\[0\]: .*NoneType"), (["a", 1.5], r"texts\[1\]: .*float"), (["a\0b"], "zero")):
                with self.assertRaisesRegex(condlora.DataError, word):
                    model.predict(wrong)
            with self.assertRaisesRegex(condlora.ArgumentError, "2 texts and 1 pairs"):
                model.logits(["a", "b"], ["c"])

    def test_integer_labels_are_ints(self):
        with condlora.Classifier(CASES / "bert-lora" / "model", backend="cpu") as model:
            self.assertEqual(model.labels, (0, 1))
            self.assertEqual(model.predict(["a"]).dtype.kind, "i")
            self.assertEqual(repr(model), "<condlora.Classifier of 2 labels on cpu>")
        self.assertEqual(repr(model), "<condlora.Classifier, closed>")


class Adapters(InFolder):
    def test_adapters_are_switched(self):
        case = Case("bert-lora")
        with opened(case) as model:
            own = model.logits(*case.texts)
            self.assertEqual((model.adapters, model.adapter), (["default"], "default"))
            model.create_adapter("fresh", method="lora", rank=4, targets=["query", "value"], seed=3)
            model.adapter = "fresh"
            self.assertEqual(model.adapter_config["r"], 4)
            self.assertFalse(np.array_equal(model.logits(*case.texts), own))
            model.load_adapter(case.adapter, "again")
            model.adapter = "again"
            np.testing.assert_array_equal(model.logits(*case.texts), own)
            model.delete_adapter("fresh")
            self.assertEqual(model.adapters, ["default", "again"])
            with self.assertRaisesRegex(condlora.ArgumentError, "'none'.*'default', 'again'|none.*default.*again"):
                model.adapter = "none"

    def test_what_is_exported_gives_the_same(self):
        case = Case("bert-condlora-paper")
        with opened(case) as model:
            own = model.logits(*case.texts)
            for format in ("peft", "merged", "adapter", "onnx"):
                self.assertLess(model.export(format, format), 1e-4)
            with self.assertRaisesRegex(condlora.ArgumentError, "peft.*exist|exist.*peft"):
                model.export("merged", "peft")
            with self.assertRaisesRegex(condlora.ArgumentError, "no format 'onxx'; there are peft, onnx"):
                model.export("onxx", "out")
        for folder, base in (("peft", case.model), ("merged", None), ("adapter", case.model)):
            with condlora.Classifier(folder, model=base, backend="cpu", max_length=48) as model:
                np.testing.assert_allclose(model.logits(*case.texts), own, atol=2e-5)
        self.assertTrue(os.path.exists("onnx/model.onnx"))


def classify_in_child(model, answers):
    try:
        answers.put(str(model.labels))
    except condlora.ForkError as error:
        answers.put(str(error))


class ThreadsAndProcesses(unittest.TestCase):
    def test_threads_share_one_and_use_several(self):
        case = Case("bert-lora")
        with opened(case) as one, opened(case) as other:
            expected, answers = one.logits(*case.texts), []
            work = [threading.Thread(target=lambda m=m: [answers.append(m.logits(*case.texts)) for _ in range(5)])
                    for m in (one, one, other, other)]
            for thread in work:
                thread.start()
            for thread in work:
                thread.join()
            self.assertEqual(len(answers), 20)
            for answer in answers:
                np.testing.assert_array_equal(answer, expected)

    def test_calls_release_the_lock(self):
        case, ticks, done = Case("bert-lora"), 0, threading.Event()
        with opened(case) as model:
            texts = [text * 3 for text in case.texts[0]] * 400
            thread = threading.Thread(target=lambda: (model.logits(texts), done.set()))
            thread.start()
            while not done.is_set():
                ticks += 1
                time.sleep(0.001)
            thread.join()
        self.assertGreater(ticks, 5)

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_fork_is_an_error(self):
        with opened(Case("bert-lora")) as model:
            context = multiprocessing.get_context("fork")
            answers = context.SimpleQueue()
            child = context.Process(target=classify_in_child, args=(model, answers))
            child.start()
            self.assertIn("forked after condlora had opened", answers.get())
            child.join()
            self.assertEqual(child.exitcode, 0)
            self.assertEqual(len(model.labels), 2)

    def test_a_fork_after_the_import_alone_is_none(self):
        case = Case("bert-lora")
        program = (
            "import os, condlora\n"
            "child = os.fork()\n"
            f"if child == 0:\n    condlora.Classifier({str(case.adapter)!r}, model={str(case.model)!r}).predict(['a']); os._exit(7)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        )
        subprocess.run([os.sys.executable, "-c", program], check=True, timeout=120)

    def test_signals_are_the_programs_own(self):
        before = signal.getsignal(signal.SIGINT)
        with opened(Case("bert-lora")) as model:
            model.predict(["a"])
        self.assertIs(signal.getsignal(signal.SIGINT), before)


class Failures(unittest.TestCase):
    def test_each_failure_has_its_class_and_one_line(self):
        case = Case("bert-lora")
        for error, builtin, call in (
            (condlora.AbsentError, LookupError, lambda: condlora.Classifier("nowhere")),
            (condlora.AbsentError, LookupError, lambda: condlora.Classifier(case.adapter, model="nowhere")),
            (condlora.AbsentError, LookupError, lambda: opened_on(case, backend="cpu:9")),
            (condlora.UnsupportedError, NotImplementedError, lambda: opened_on(case, backend="cpu", precision="tf32")),
            (condlora.UnsupportedError, NotImplementedError, lambda: opened_on(case, precision="fp8")),
        ):
            with self.assertRaises(error) as raised:
                call()
            self.assertIsInstance(raised.exception, condlora.CondloraError)
            self.assertIsInstance(raised.exception, builtin)
            self.assertRegex(str(raised.exception), r"\A[^\n]+\Z")

    def test_a_closed_classifier_says_so(self):
        model = opened(Case("bert-lora"))
        model.close()
        model.close()
        with self.assertRaisesRegex(condlora.ArgumentError, "the classifier is closed"):
            model.predict(["a"])


def opened_on(case, **options):
    return condlora.Classifier(case.adapter, model=case.model, **options)


if __name__ == "__main__":
    unittest.main()
