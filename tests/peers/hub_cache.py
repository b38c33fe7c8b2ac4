"""The cache of the hub, shared with Hugging Face's own client: each brings models from the same local server, and the other
uses what it left.

    python hub_cache.py PATH/TO/condlora PATH/TO/hub-probe

Exit status 0 when all agree; each disagreement is a line.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "programs"))
from hub_server import COMMIT, Hub, Repository, cut_after, sha256, git_hash  # noqa: E402

CASES = HERE.parent / "data/cases"
PROGRAM, PROBE = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
MODEL = {path.name: path.read_bytes() for path in (CASES / "bert-lora/model").iterdir()}


class Case(unittest.TestCase):
    def setUp(self):
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hub-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
        self.environment = kept | {"HF_HOME": str(self.folder), "HF_ENDPOINT": self.hub.address, "HF_HUB_DISABLE_XET": "1",
                                   "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        self.big = os.urandom(400_000)
        self.hub.repositories["owner/model"] = Repository(MODEL)
        self.hub.repositories["owner/big"] = Repository(MODEL | {"model.safetensors": self.big})
        self.snapshot = self.folder / "hub/models--owner--model/snapshots" / COMMIT

    def client(self, code, offline=False):
        """Runs Python with huggingface_hub, which reads the environment when it is imported; what it prints as JSON."""
        done = subprocess.run([sys.executable, "-c", code], env=self.environment | ({"HF_HUB_OFFLINE": "1"} if offline else {}),
                              capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return json.loads(done.stdout.splitlines()[-1])

    def ours(self, *words, offline=False):
        done = subprocess.run([str(word) for word in words], env=self.environment | ({"HF_HUB_OFFLINE": "1"} if offline else {}),
                              cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def ranges(self):
        return [asked.range for asked in self.hub.asked if asked.place == "content"]


class TheirsReadsOurs(Case):
    def test_files_and_notes(self):
        self.ours(PROBE, "model", "owner/model")
        asked = len(self.hub.asked)
        found = self.client("""
import json
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache, _CACHED_NO_EXIST
info = scan_cache_dir()
repo, = info.repos
revision, = repo.revisions
print(json.dumps({
  "warnings": [str(w) for w in info.warnings], "id": repo.repo_id, "refs": sorted(revision.refs), "commit": revision.commit_hash,
  "files": {f.file_name: [str(f.blob_path), f.size_on_disk] for f in revision.files},
  "config": hf_hub_download("owner/model", "config.json"), "folder": snapshot_download("owner/model"),
  "absent": try_to_load_from_cache("owner/model", "merges.txt") is _CACHED_NO_EXIST}))
""", offline=True)
        blobs = self.snapshot.parent.parent / "blobs"
        self.assertEqual(found, {
            "warnings": [], "id": "owner/model", "refs": ["main"], "commit": COMMIT, "config": str(self.snapshot / "config.json"),
            "folder": str(self.snapshot), "absent": True,
            "files": {name: [str(blobs / (sha256(content) if name.endswith("safetensors") else git_hash(content))), len(content)]
                      for name, content in MODEL.items()}})
        self.assertEqual(len(self.hub.asked), asked)

    def test_online_it_brings_nothing_again(self):
        self.ours(PROBE, "model", "owner/model")
        before = self.hub.count("GET")
        path = self.client('import json; from huggingface_hub import hf_hub_download; '
                           'print(json.dumps(hf_hub_download("owner/model", "model.safetensors")))')
        self.assertEqual(path, str(self.snapshot / "model.safetensors"))
        self.assertEqual(self.hub.count("GET"), before)

    def test_transformers_opens_the_name(self):
        self.ours(PROBE, "model", "owner/model")
        shape = self.client("""
import json
from transformers import AutoModel, AutoTokenizer
model, tokenizer = AutoModel.from_pretrained("owner/model"), AutoTokenizer.from_pretrained("owner/model")
print(json.dumps([model.config.hidden_size, len(tokenizer)]))
""", offline=True)
        config = json.loads(MODEL["config.json"])
        self.assertEqual(shape[0], config["hidden_size"])
        self.assertGreater(shape[1], 5)

    def test_it_goes_on_with_our_bytes(self):
        done = subprocess.run([PROBE, "model", "owner/big", "150000"], env=self.environment, capture_output=True, text=True)
        self.assertIn(done.stdout.splitlines()[0], ["CANCELLED", "OK"])
        blob = self.folder / "hub/models--owner--big/blobs" / sha256(self.big)
        if blob.exists():  # it was faster than the first report
            blob.rename(f"{blob}.incomplete")
        with open(f"{blob}.incomplete", "r+b") as file:
            file.truncate(150_000)
        path = self.client('import json; from huggingface_hub import hf_hub_download; '
                           'print(json.dumps(hf_hub_download("owner/big", "model.safetensors")))')
        self.assertEqual(pathlib.Path(path).read_bytes(), self.big)
        self.assertEqual(self.ranges()[-1], "bytes=150000-")

    def test_peft_opens_our_adapter_with_its_base(self):
        shutil.copy(CASES / "bert-lora/train.tsv", self.folder)
        self.ours(PROGRAM, "train", "--model", "owner/model", "--train", "train.tsv", "--text-columns", "sentence1",
                  "--label-column", "label", "--method", "lora", "--max-steps", "2", "--backend", "cpu", "--fresh-head",
                  "--output", "run")
        self.ours(PROGRAM, "export", "--model", "owner/model", "--adapter", "run", "--output", "lora", "--backend", "cpu")
        (self.snapshot.parent.parent / "refs/main").unlink()  # the commit alone leads to the base
        answer = self.client(f"""
import json
from peft import AutoPeftModelForSequenceClassification
model = AutoPeftModelForSequenceClassification.from_pretrained({str(self.folder / "lora")!r})
config = model.peft_config["default"]
print(json.dumps([config.base_model_name_or_path, config.revision, model.base_model.model.config._commit_hash]))
""", offline=True)
        self.assertEqual(answer, ["owner/model", COMMIT, COMMIT])


class OursReadsTheirs(Case):
    def bring(self, repository="owner/model", names=None):
        self.client(f"""
import json
from huggingface_hub import hf_hub_download
for name in {sorted(names or MODEL)!r}:
    hf_hub_download({repository!r}, name)
print(json.dumps(None))
""")

    def test_what_it_brought_is_enough(self):
        self.bring()
        asked = len(self.hub.asked)
        for name in ["owner/model", f"owner/model@{COMMIT}"]:
            self.assertEqual(self.ours(PROBE, "model", name, offline=True)[:4],
                             ["OK", str(self.snapshot), "owner/model", COMMIT])
        self.assertEqual(len(self.hub.asked), asked)

    def test_what_transformers_brought_is_known_whole(self):
        """Transformers asks for what may exist, and notes what does not."""
        self.client("""
import json
from transformers import AutoModel, AutoTokenizer
AutoModel.from_pretrained("owner/model"), AutoTokenizer.from_pretrained("owner/model")
print(json.dumps(None))
""")
        before = self.hub.count("GET")
        self.assertEqual(self.ours(PROBE, "model", "owner/model")[1], str(self.snapshot))
        self.assertEqual(self.hub.count("GET"), before)

    def test_what_is_missing_comes(self):
        self.bring(names=["config.json", "vocab.txt"])
        before = self.hub.count("GET")
        self.ours(PROBE, "model", "owner/model")
        self.assertEqual(self.hub.count("GET") - before, len(MODEL) - 2 + 1)
        for name, content in MODEL.items():
            self.assertEqual((self.snapshot / name).read_bytes(), content)

    def test_we_go_on_with_its_bytes(self):
        chunk = 10 * 1024 * 1024  # it writes as much at a time
        self.big = os.urandom(chunk + 2_000_000)
        self.hub.repositories["owner/big"] = Repository(MODEL | {"model.safetensors": self.big})
        self.hub.order("content GET", 100, cut_after(chunk + 1_000_000))
        running = subprocess.Popen(
            [sys.executable, "-c", 'from huggingface_hub import hf_hub_download; hf_hub_download("owner/big", "model.safetensors")'],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        incomplete = self.folder / "hub/models--owner--big/blobs" / f"{sha256(self.big)}.incomplete"
        deadline = time.monotonic() + 60
        while not (incomplete.exists() and incomplete.stat().st_size >= chunk) and time.monotonic() < deadline:
            time.sleep(0.05)
        running.kill()
        running.wait()
        self.hub.faults.clear()
        kept = incomplete.stat().st_size
        self.assertGreaterEqual(kept, chunk)
        self.ours(PROBE, "model", "owner/big")
        self.assertEqual(self.ranges()[-1], f"bytes={kept}-")
        snapshot = self.folder / "hub/models--owner--big/snapshots" / COMMIT
        self.assertEqual((snapshot / "model.safetensors").read_bytes(), self.big)

    def test_its_lock_holds_for_us(self):
        held = subprocess.Popen([sys.executable, "-c", f"""
import os, time
from huggingface_hub.utils import WeakFileLock
os.makedirs({str(self.folder / "hub/.locks/models--owner--big")!r})
with WeakFileLock({str(self.folder / "hub/.locks/models--owner--big" / (sha256(self.big) + ".lock"))!r}):
    print("held", flush=True)
    time.sleep(3)
"""], env=self.environment, stdout=subprocess.PIPE)
        self.assertEqual(held.stdout.readline(), b"held\n")
        begun = time.monotonic()
        self.ours(PROBE, "model", "owner/big")
        self.assertGreater(time.monotonic() - begun, 2)
        held.communicate()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
