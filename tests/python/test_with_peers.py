"""The package beside the libraries that its users have: pandas, scikit-learn, PyTorch, Transformers and PEFT; the notebook and
the page of the documents, run as they stand."""
import gc
import json
import os
import pickle
import re
import unittest
import warnings

import condlora
import numpy as np
import pandas
import peft
import torch
import transformers
from cases import CASES, SOURCE, Case, InFolder
from condlora.sklearn import TextClassifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

CASE = Case("bert-lora")
FRAME = pandas.DataFrame({"sentence1": CASE.texts[0], "label": CASE.labels})


class Pandas(InFolder):
    def test_a_frame_is_as_good_as_columns(self):
        settings = CASE.train_settings()
        with condlora.train(train=FRAME, **settings) as run, condlora.train(train=FRAME.to_dict("list"), **settings) as other:
            texts = FRAME["sentence1"]
            np.testing.assert_array_equal(run.logits(texts), other.logits(list(texts)))
            numbers = FRAME.assign(label=(FRAME["label"] == "yes").astype("int64").astype("category"))
        with condlora.train(train=numbers, **{**settings, "labels": None}) as run:
            self.assertEqual(run.classifier.labels, (0, 1))
        missing = FRAME.copy()
        missing.loc[3, "sentence1"] = None
        with self.assertRaisesRegex(condlora.DataError, r"train\[3\], 'sentence1': expected a text"):
            condlora.train(train=missing, **settings)


class Peft(InFolder):
    def test_peft_gives_the_logits_of_the_export(self):
        case = Case("bert-condlora-paper")
        settings = {**case.train_settings(), "max_steps": 20}
        with condlora.train(train={**dict(zip(case.columns, case.texts)), "label": case.labels}, **settings) as run:
            own = run.logits(*case.texts)
            run.export("peft", "out")
        base = transformers.AutoModelForSequenceClassification.from_pretrained(case.model, num_labels=2)
        model = peft.PeftModel.from_pretrained(base, "out").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(case.model)
        inputs = tokenizer(*case.texts, padding=True, truncation=True, max_length=settings["max_length"], return_tensors="pt")
        with torch.no_grad():
            np.testing.assert_allclose(model(**inputs).logits.numpy(), own, atol=2e-5)


class Torch(unittest.TestCase):
    def test_tensors_are_shared_both_ways(self):
        backend = condlora.Backend("cpu")
        for dtype in ("float32", "float64", "int32", "uint8", "bfloat16"):
            t = backend.tensor(np.arange(6).reshape(2, 3), dtype)
            theirs = torch.from_dlpack(t)
            self.assertEqual((theirs.dtype, tuple(theirs.shape)), (getattr(torch, dtype), (2, 3)))
            theirs[1, 2] = 9
            self.assertEqual(t.numpy()[1, 2], 9)
            own = torch.arange(6, dtype=getattr(torch, dtype)).reshape(2, 3)
            shared = backend.from_dlpack(own)
            own[0, 0] = 7
            self.assertEqual(shared.numpy()[0, 0], 7)
            if dtype not in ("uint8", "bfloat16"):  # what fill has on the CPU
                backend.run("fill", out=shared, value=4)
                self.assertTrue((own == 4).all())
            copied = backend.from_dlpack(torch.arange(6).float().reshape(2, 3).T)
            np.testing.assert_array_equal(copied.numpy(), np.arange(6).reshape(2, 3).T)
        del t, theirs, own, shared, copied
        gc.collect()
        backend.close()


class Estimator(unittest.TestCase):
    def estimator(self, **changes):
        given = {"epochs": 2, "lr": 5e-3, "backend": "cpu", "threads": 1, "random_state": 1, "dev_fraction": 0,
                 "settings": {"eval_every": 0, "keep": "last"}, **changes}
        return TextClassifier(CASE.model, **given)

    def test_scikit_learns_own_checks(self):
        """Most of them fit numbers, which texts are not; those of parameters, tags and clones remain."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SkipTestWarning)
            check_estimator(self.estimator())
        checks = (estimator_checks.check_parameters_default_constructible, estimator_checks.check_get_params_invariance,
                  estimator_checks.check_set_params, estimator_checks.check_no_attributes_set_in_init,
                  estimator_checks.check_estimator_repr,
                  estimator_checks.check_mixin_order, estimator_checks.check_estimator_cloneable,
                  estimator_checks.check_do_not_raise_errors_in_init_or_set_params, estimator_checks.check_valid_tag_types)
        for check in checks:
            with self.subTest(check.__name__):
                check("TextClassifier", TextClassifier())

    def test_labels_of_any_type(self):
        X, y = FRAME["sentence1"], FRAME["label"]
        fitted = {}
        for name, labels in (("str", y), ("int", (y == "yes").astype(int)), ("bool", y == "yes"), ("negative", np.where(y == "yes", 5, -1))):
            estimator = self.estimator().fit(X, labels)
            self.assertEqual(estimator.predict(X).dtype.kind, np.asarray(labels).dtype.kind)
            self.assertEqual(set(estimator.predict(X)) - set(labels), set())
            fitted[name] = estimator.predict_proba(X)
        for name in ("int", "bool", "negative"):
            np.testing.assert_array_equal(fitted[name], fitted["str"])
        np.testing.assert_array_equal(estimator.decision_function(X) > 0, estimator.predict(X) == 5)
        self.assertEqual(estimator.score(X, labels), np.mean(estimator.predict(X) == labels))

    def test_it_learns_and_repeats(self):
        X = ["the old harbour", "a cold river"] * 12
        y = ["harbour", "river"] * 12
        one, other = self.estimator(epochs=20).fit(X, y), self.estimator(epochs=20).fit(X, y)
        self.assertEqual(one.score(X, y), 1)
        np.testing.assert_array_equal(one.decision_function(X), other.decision_function(X))

    def test_it_works_with_the_tools_of_scikit_learn(self):
        X, y = np.array(CASE.texts[0]), np.array(CASE.labels)
        self.assertEqual(cross_val_score(self.estimator(epochs=1), X, y, cv=2).shape, (2,))
        search = GridSearchCV(self.estimator(epochs=1), {"method": ["lora", "condlora"]}, cv=2, n_jobs=2).fit(X, y)
        self.assertIn(search.best_params_["method"], ("lora", "condlora"))
        lower = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), self.estimator(epochs=1))
        self.assertEqual(lower.fit(X, y).predict(X).shape, y.shape)

    def test_clones_and_pickles(self):
        X, y = FRAME[["sentence1"]], FRAME["label"]
        fresh = clone(self.estimator(lr=1e-4))
        self.assertEqual(fresh.get_params()["lr"], 1e-4)
        with self.assertRaises(NotFittedError):
            fresh.predict(X)
        fitted = fresh.fit(X, y)
        before = fitted.decision_function(X)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).decision_function(X), before)
        pairs = FRAME.assign(second="the other")[["sentence1", "second"]]
        self.assertEqual(self.estimator(settings={"eval_every": 0, "keep": "last", "fresh_head": True}).fit(pairs, y).predict(pairs).shape,
                         (len(y),))

    def test_what_cannot_be_fitted(self):
        for words, X, y in (("one class", ["a", "b"], [1, 1]), ("2 texts and 1 labels", ["a", "b"], [1]), ("Unknown label type", ["a", "b"], [0.5, 1.5]),
                            ("not one text", "ab", [1, 2]), ("rows of one or two texts", [[1, 2, 3]], [1])):
            with self.subTest(words), self.assertRaisesRegex(ValueError, words):
                self.estimator().fit(X, y)


class Documents(InFolder):
    """With a tiny model under the name that they use."""

    def setUp(self):
        super().setUp()
        os.symlink(CASES / "bert-lora" / "model", "roberta-base")
        self.before = condlora.train
        self.namespace = {}

    def run_blocks(self, blocks):
        for block in blocks:
            exec(compile(block, "block", "exec"), self.namespace)

    def test_the_page(self):
        page = (SOURCE / "docs" / "python.md").read_text()
        blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
        self.assertGreater(len(blocks), 5)
        self.run_blocks(blocks)
        self.assertTrue(os.path.exists("for-peft/adapter_config.json") and os.path.exists("adapter/adapter_config.json"))

    def test_the_notebook(self):
        notebook = json.loads((SOURCE / "examples" / "classify.ipynb").read_text())
        cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        self.assertFalse(any(cell.get("outputs") for cell in notebook["cells"]))
        self.run_blocks(cells)
        self.assertTrue(os.path.exists("notebook-peft/adapter_config.json"))


if __name__ == "__main__":
    unittest.main()
