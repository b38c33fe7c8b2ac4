"""Models by name, from a local server that answers as the hub does; Ctrl-C stops a download."""
import contextlib
import io
import json
import os
import pathlib
import signal
import sys
import threading
import unittest

import condlora
import numpy as np
from cases import SOURCE, Case, InFolder

sys.path.insert(0, str(SOURCE / "tests" / "programs"))
from hub_server import COMMIT, Hub, Repository, slowly  # noqa: E402

CASE = Case("bert-lora")


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Names(InFolder):
    def setUp(self):
        super().setUp()
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        config = json.loads((CASE.adapter / "adapter_config.json").read_text())
        config.update(base_model_name_or_path="owner/model", revision=None)
        adapter = {**files_of(CASE.adapter), "adapter_config.json": json.dumps(config).encode()}
        self.hub.repositories.update({"owner/model": Repository(files_of(CASE.model)), "owner/adapter": Repository(adapter)})
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_")) or name.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ.update(HOME=str(self.folder), HF_HOME=str(self.folder), HF_ENDPOINT=self.hub.address)

    def interrupt_during_download(self):
        """Ctrl-C, half a second after the weights were asked for."""
        self.hub.order("content GET", 1, slowly(8))
        main = threading.main_thread().ident
        threading.Timer(1.0, lambda: signal.pthread_kill(main, signal.SIGINT)).start()

    def test_an_adapter_by_name_brings_its_base(self):
        with condlora.Classifier("owner/adapter", backend="cpu", max_length=48) as model:
            own = model.logits(*CASE.texts)
        with condlora.Classifier(CASE.adapter, model=CASE.model, backend="cpu", max_length=48) as model:
            np.testing.assert_array_equal(model.logits(*CASE.texts), own)
        with contextlib.redirect_stderr(io.StringIO()) as shown:
            os.environ["HF_HOME"] = str(self.folder / "third")
            condlora.Classifier("owner/adapter", backend="cpu", progress=True).close()
        self.assertIn("downloaded owner/model", shown.getvalue())
        with self.assertLogs("condlora", "INFO") as logged:
            os.environ["HF_HOME"] = str(self.folder / "other")
            condlora.Classifier(f"owner/adapter@{COMMIT}", backend="cpu").close()
        self.assertTrue(any("downloaded" in line for line in logged.output), logged.output)

    def test_training_brings_its_base_and_shows_it(self):
        settings = {**CASE.train_settings(), "model": "owner/model", "epochs": 1}
        with contextlib.redirect_stderr(io.StringIO()) as shown:
            with condlora.train(train=CASE.folder / "train.tsv", progress=True, **settings) as run:
                self.assertEqual(run.classifier.adapter_config["base_model_name_or_path"], "owner/model")
        self.assertIn("downloaded owner/model", shown.getvalue())

    def test_what_no_one_has_is_absent(self):
        with self.assertRaisesRegex(condlora.AbsentError, "owner/none"):
            condlora.Classifier("owner/none")

    def test_ctrl_c_ends_a_download(self):
        self.interrupt_during_download()
        with self.assertRaises(KeyboardInterrupt):
            condlora.Classifier("owner/model", backend="cpu")
        self.hub.faults.clear()
        condlora.Classifier("owner/model", backend="cpu").close()

    def test_ctrl_c_ends_the_download_of_a_run(self):
        self.interrupt_during_download()
        with self.assertRaises(KeyboardInterrupt):
            condlora.train(train=CASE.folder / "train.tsv", **{**CASE.train_settings(), "model": "owner/model"})
        self.assertEqual([path for path in pathlib.Path().rglob("run.json")], [])


if __name__ == "__main__":
    unittest.main()
