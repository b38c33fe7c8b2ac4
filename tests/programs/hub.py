#!/usr/bin/env python3
"""hub.py CASES PROGRAM PROBE: names of models, brought from a local server that answers as the hub does, by the program and
by the library."""
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import hub_server
from hub_server import COMMIT, Hub, Repository, changed, cut_after, git_hash, sha256, slowly, with_headers, with_status

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CASES, PROGRAM, PROBE = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
OTHER = "f" * 40


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


MODEL = files_of(CASES / "bert-lora/model")
ADAPTER = files_of(CASES / "bert-lora/adapter")
WEIGHTS = MODEL["model.safetensors"]


def adapter_of(base, revision=None):
    config = json.loads(ADAPTER["adapter_config.json"])
    config |= {"base_model_name_or_path": base, "revision": revision, "labels": ["no", "yes"]}
    return ADAPTER | {"adapter_config.json": json.dumps(config).encode()}


class Case(unittest.TestCase):
    def setUp(self):
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hub-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.cache = self.folder / "hub"
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_")) and not name.lower().endswith("_proxy")}
        self.environment |= {"HOME": str(self.folder), "HF_HOME": str(self.folder), "HF_ENDPOINT": self.hub.address,
                             "HF_HUB_DOWNLOAD_TIMEOUT": "5"}
        self.hub.repositories["owner/model"] = Repository(MODEL)

    def call(self, *command, fails=False):
        done = subprocess.run([str(word) for word in command], cwd=self.folder, env=self.environment, capture_output=True,
                              text=True, timeout=120)
        said = done.stdout + done.stderr
        self.assertNotIn(Hub.token, said)
        self.assertNotIn("secret-", said)
        self.assertEqual(self.hub.leaks, [], "the token went to another host")
        self.assertEqual(done.returncode != 0, fails, said)
        return done

    def resolve(self, name="owner/model", kind="model"):
        status, folder, repository, commit, progress = self.call(PROBE, kind, name).stdout.splitlines()
        self.assertEqual(status, "OK")
        self.progress = [int(number) for number in progress.split()]
        return pathlib.Path(folder), repository, commit

    def refused(self, name="owner/model", kind="model", status="IO", says=()):
        lines = self.call(PROBE, kind, name, fails=True).stdout.splitlines()
        self.assertEqual(len(lines), 3, lines)
        self.assertEqual(lines[0], status, lines[1])
        for part in [name, *([says] if isinstance(says, str) else says)]:
            self.assertIn(part, lines[1])
        return lines[1]

    def repository(self, name="owner/model"):
        return self.cache / ("models--" + name.replace("/", "--"))

    def check_whole(self, folder, files=MODEL):
        self.assertEqual(sorted(path.name for path in folder.iterdir()), sorted(files))
        for name, content in files.items():
            self.assertEqual((folder / name).read_bytes(), content, name)
        self.assertEqual([str(path) for path in self.cache.rglob("*.incomplete")], [])


class Layout(Case):
    def test_the_cache_has_the_layout_of_huggingface_hub(self):
        folder, name, commit = self.resolve()
        repository = self.repository()
        self.assertEqual((folder, name, commit), (repository / "snapshots" / COMMIT, "owner/model", COMMIT))
        self.check_whole(folder)
        self.assertEqual((repository / "refs/main").read_text(), COMMIT)
        for file, content in MODEL.items():
            blob = sha256(content) if file.endswith(".safetensors") else git_hash(content)
            self.assertEqual(os.readlink(folder / file), f"../../blobs/{blob}")
            self.assertTrue((self.cache / ".locks/models--owner--model" / f"{blob}.lock").is_file())
            self.assertEqual(stat.S_IMODE((repository / "blobs" / blob).stat().st_mode) & 0o111, 0)
        absent = sorted(path.name for path in (repository / ".no_exist" / COMMIT).iterdir())
        self.assertEqual(absent, ["added_tokens.json", "merges.txt", "sentencepiece.bpe.model", "tokenizer.json", "vocab.json"])

    def test_what_is_there_is_not_asked_for_again(self):
        self.resolve()
        before = len(self.hub.asked)
        self.resolve()
        self.assertEqual(len(self.hub.asked), before)
        self.hub.close()
        self.resolve()
        self.resolve(f"owner/model@{COMMIT}")

    def test_only_what_is_needed_comes(self):
        files = MODEL | {"pytorch_model.bin": b"other" * 100, "tf_model.h5": b"x", "README.md": b"y", "onnx/model.onnx": b"z"}
        self.hub.repositories["owner/model"] = Repository(files)
        folder, _, _ = self.resolve()
        self.check_whole(folder)
        self.assertEqual(self.hub.count("GET"), len(MODEL) + 1)  # the weights by two hosts
        self.assertEqual(self.hub.count("pytorch_model"), 0)

    def test_a_bin_comes_where_there_are_no_safetensors(self):
        files = {name: content for name, content in MODEL.items() if name != "model.safetensors"} | {"pytorch_model.bin": WEIGHTS}
        self.hub.repositories["owner/model"] = Repository(files)
        self.check_whole(self.resolve()[0], files)

    def test_shards_come_by_their_index(self):
        names = [f"model-{i}-of-9.safetensors" for i in range(9)]
        index = {"weight_map": {f"tensor.{i}": name for i, name in enumerate(names * 3)}}
        files = {name: content for name, content in MODEL.items() if name != "model.safetensors"}
        files |= {"model.safetensors.index.json": json.dumps(index).encode()}
        files |= {name: bytes([i]) * (5000 + i) for i, name in enumerate(names)}
        self.hub.repositories["owner/model"] = Repository(files)
        self.check_whole(self.resolve()[0], files)

    def test_equal_files_share_a_blob(self):
        files = MODEL | {"added_tokens.json": b"{}", "vocab.json": b"{}", "tokenizer.json": b"", "merges.txt": b""}
        self.hub.repositories["owner/model"] = Repository(files)
        self.check_whole(self.resolve()[0], files)

    def test_a_revision_is_a_branch_a_tag_or_a_commit(self):
        self.hub.repositories["owner/model"].refs |= {"v1", "refs/pr/7"}
        for revision in ["v1", "refs/pr/7", COMMIT]:
            self.assertEqual(self.resolve(f"owner/model@{revision}")[2], COMMIT)
        self.assertEqual((self.repository() / "refs/v1").read_text(), COMMIT)
        self.assertEqual((self.repository() / "refs/refs/pr/7").read_text(), COMMIT)
        self.assertFalse((self.repository() / "refs" / COMMIT).exists())

    def test_a_model_without_an_owner_and_one_that_moved(self):
        self.hub.repositories["model"] = Repository({})
        self.hub.repositories["model"].moved_to = "owner/model"
        folder, name, _ = self.resolve("model")
        self.assertEqual((folder.parent.parent.name, name), ("models--model", "model"))
        self.check_whole(folder)

    def test_small_files_behind_a_redirect_on_the_hub(self):
        self.hub.redirects_small = True
        self.check_whole(self.resolve()[0])

    def test_an_existing_folder_wins(self):
        (self.folder / "owner/model").mkdir(parents=True)
        self.assertEqual(self.resolve(), (pathlib.Path("owner/model"), "-", "-"))
        self.assertEqual(self.hub.asked, [])

    def test_a_kind_decides_what_comes(self):
        self.hub.repositories["owner/adapter"] = Repository(adapter_of("owner/model"))
        self.check_whole(self.resolve("owner/adapter", "any")[0], adapter_of("owner/model"))
        self.check_whole(self.resolve("owner/model", "tokenizer")[0],
                         {name: content for name, content in MODEL.items() if name != "model.safetensors"})
        self.check_whole(self.resolve("owner/model", "any")[0])

    def test_places_of_the_cache(self):
        home = {"HF_HUB_CACHE": None, "HF_HOME": None, "XDG_CACHE_HOME": None}
        for changes, place in [({"HF_HUB_CACHE": f"{self.folder}/a"}, "a"), ({"HF_HUB_CACHE": "~/b"}, "b"),
                               ({"HF_HOME": f"{self.folder}/c"}, "c/hub"),
                               ({"XDG_CACHE_HOME": f"{self.folder}/d"}, "d/huggingface/hub"), ({}, ".cache/huggingface/hub")]:
            for name in home:
                self.environment.pop(name, None)
            self.environment |= changes
            self.assertEqual(self.resolve()[0], self.folder / place / "models--owner--model/snapshots" / COMMIT)

    def test_a_link_that_leads_nowhere_is_replaced(self):
        folder, _, _ = self.resolve()
        (folder / "model.safetensors").resolve().unlink()
        self.check_whole(self.resolve()[0])

    def test_a_cache_that_cannot_be_written_can_be_read(self):
        folder, _, _ = self.resolve()
        if os.geteuid() == 0:
            self.skipTest("root may write anywhere")
        for path in [self.cache, *self.cache.rglob("*")]:
            if path.is_dir():
                path.chmod(0o500)
        self.addCleanup(lambda: [path.chmod(0o700) for path in [self.cache, *self.cache.rglob("*")] if path.is_dir()])
        self.assertEqual(self.resolve()[0], folder)


class Transfers(Case):
    def setUp(self):
        super().setUp()
        self.big = hashlib.shake_128(b"seed").digest(300_000)
        self.files = MODEL | {"model.safetensors": self.big}
        self.hub.repositories["owner/model"] = Repository(self.files)

    def incomplete(self):
        path = self.repository() / "blobs" / f"{sha256(self.big)}.incomplete"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def test_a_cut_is_mended_by_a_range(self):
        self.hub.order("content GET", 2, cut_after(100_000))
        self.check_whole(self.resolve()[0], self.files)
        self.assertEqual([asked.range for asked in self.hub.asked if asked.place == "content"],
                         [None, "bytes=100000-", "bytes=200000-"])

    def test_bytes_of_an_earlier_call_are_kept(self):
        self.incomplete().write_bytes(self.big[:123_456])
        self.check_whole(self.resolve()[0], self.files)
        self.assertEqual([asked.range for asked in self.hub.asked if asked.place == "content"], ["bytes=123456-"])

    def test_a_whole_file_without_its_name_is_checked_only(self):
        self.incomplete().write_bytes(self.big)
        self.check_whole(self.resolve()[0], self.files)
        self.assertEqual(self.hub.count("content"), 0)

    def test_wrong_bytes_of_an_earlier_call_are_thrown_away(self):
        for old in [b"x" * 1000, b"\0" * len(self.big), self.big + b"more"]:
            shutil.rmtree(self.cache, True)
            self.incomplete().write_bytes(old)
            self.check_whole(self.resolve()[0], self.files)

    def test_a_server_without_ranges(self):
        self.hub.ignores_ranges = True
        self.hub.order("content GET", 1, cut_after(100_000))
        self.check_whole(self.resolve()[0], self.files)

    def test_a_range_that_is_another_is_refused(self):
        self.incomplete().write_bytes(self.big[:1000])
        self.hub.order("content GET", 1, with_headers({"Content-Range": "bytes 7-299999/300000"}))
        self.refused(status="DATA", says="another part")

    def test_wrong_content_is_refused(self):
        self.hub.order("content GET", 1, changed(lambda content: content[:-1] + b"?"))
        self.refused(status="DATA", says=["model.safetensors", "hash", sha256(self.big)])
        self.assertFalse(self.incomplete().exists())
        self.assertFalse((self.repository() / "snapshots" / COMMIT / "model.safetensors").exists())
        self.check_whole(self.resolve()[0], self.files)

    def test_wrong_small_content_is_refused(self):
        self.hub.order("hub GET .*vocab.txt", 1, changed(lambda content: content[:-1] + b"?"))
        self.refused(status="DATA", says=["vocab.txt", git_hash(MODEL["vocab.txt"])])

    def test_content_that_is_too_long_is_refused(self):
        self.hub.order("content GET", 1, changed(lambda content: content + b"x" * 100_000))
        self.refused(status="DATA", says=["model.safetensors", "300000 bytes"])

    def test_content_that_stays_too_short_is_given_up(self):
        self.hub.order("content GET", 100, changed(lambda content: content[:-10]))
        self.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "1"
        self.hub.ignores_ranges = True
        message = self.refused(says=["ends early", "times"])
        self.assertLess(self.hub.count("content"), 30, message)

    def test_a_server_that_is_busy_is_asked_again(self):
        self.hub.order("hub HEAD .*config.json", 1, with_status(503))
        self.hub.order("content GET", 1, with_status(500))
        begun = time.monotonic()
        self.check_whole(self.resolve()[0], self.files)
        self.assertGreater(time.monotonic() - begun, 2)

    def test_too_many_requests_wait_as_asked(self):
        self.hub.order("content GET", 1, with_status(429, {"Retry-After": "3"}))
        begun = time.monotonic()
        self.check_whole(self.resolve()[0], self.files)
        self.assertGreater(time.monotonic() - begun, 2.9)

    def test_nobody_waits_for_an_hour(self):
        self.hub.order("hub HEAD", 1, with_status(429, {"Retry-After": "3600"}))
        begun = time.monotonic()
        self.refused(says=["429", "pause"])
        self.assertLess(time.monotonic() - begun, 5)

    def test_a_server_that_falls_silent_is_left(self):
        self.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "1"
        self.hub.order("content GET", 1, slowly(3))
        self.check_whole(self.resolve()[0], self.files)

    def test_no_server(self):
        self.hub.close()
        begun = time.monotonic()
        self.refused(says=["no such folder", str(self.cache), "127.0.0.1"])
        self.assertLess(time.monotonic() - begun, 5)

    def test_a_signed_address_that_is_too_old_is_renewed(self):
        self.hub.order("content GET", 1, with_status(403))
        self.check_whole(self.resolve()[0], self.files)
        signatures = {asked.path.split("?")[1] for asked in self.hub.asked if asked.place == "content"}
        self.assertEqual(len(signatures), 2)

    def test_progress_tells_bytes_and_can_stop(self):
        self.hub.order("content GET", 1, cut_after(100_000))
        lines = self.call(PROBE, "model", "owner/model", "100000", fails=True).stdout.splitlines()
        self.assertEqual(lines[0], "CANCELLED")
        self.assertEqual(self.incomplete().read_bytes(), self.big[:100_000])
        self.hub.faults.clear()
        self.check_whole(self.resolve()[0], self.files)
        _, ends, most, total = self.progress
        self.assertEqual((ends, most), (1, total))
        self.assertEqual([asked.range for asked in self.hub.asked if asked.place == "content"][-1], "bytes=100000-")

    def test_a_blob_that_another_process_writes_is_waited_for(self):
        lock = self.cache / ".locks/models--owner--model" / f"{sha256(self.big)}.lock"
        lock.parent.mkdir(parents=True)
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = []
            thread = threading.Thread(target=lambda: done.append(self.resolve()))
            thread.start()
            time.sleep(1)
            self.assertEqual(done, [])
            self.assertEqual(self.hub.count("content"), 0)
            (self.repository() / "blobs" / sha256(self.big)).write_bytes(self.big)
        thread.join()
        self.check_whole(done[0][0], self.files)
        self.assertEqual(self.hub.count("content"), 0)

    def test_many_processes_at_once(self):
        self.hub.order("content GET", 2, cut_after(100_000))
        running = [subprocess.Popen([PROBE, "model", "owner/model"], cwd=self.folder, env=self.environment,
                                    stdout=subprocess.PIPE) for _ in range(4)]
        for one in running:
            self.assertEqual(one.communicate(timeout=60)[0].splitlines()[0], b"OK")
        self.check_whole(self.repository() / "snapshots" / COMMIT, self.files)
        self.assertEqual(self.hub.count("content"), 3)


class Refusals(Case):
    def test_a_model_that_does_not_exist(self):
        self.refused("owner/nothing", status="ABSENT", says=["no such folder", self.hub.address, "HF_TOKEN is not set"])
        self.environment["HF_TOKEN"] = Hub.token
        self.refused("owner/nothing", status="ABSENT", says=["no such folder", "your token has no access"])

    def test_a_revision_that_does_not_exist(self):
        self.refused("owner/model@v9", status="ABSENT", says=["no branch, tag or commit 'v9'"])
        self.refused(f"owner/model@{OTHER}", status="ABSENT", says=OTHER)

    def test_a_gated_model(self):
        self.hub.repositories["owner/model"].gated = True
        self.refused(says=["gated", f"{self.hub.address}/owner/model", "HF_TOKEN"])
        self.environment["HF_TOKEN"] = Hub.token
        self.hub.gate_closed = True
        self.refused(says=["gated", "account of your token"])
        self.hub.gate_closed = False
        self.check_whole(self.resolve()[0])

    def test_a_wrong_token(self):
        self.environment["HF_TOKEN"] = "hf_wrong"
        self.assertNotIn("hf_wrong", self.refused(says="does not accept the token"))

    def test_what_lacks_a_file(self):
        for missing, says in [("config.json", "no config.json"), ("model.safetensors", "no model.safetensors and pytorch_model.bin")]:
            files = {name: content for name, content in MODEL.items() if name != missing}
            self.hub.repositories["owner/" + missing[:5]] = Repository(files)
            self.refused("owner/" + missing[:5], status="ABSENT", says=[says, COMMIT[:10]])

    def test_text_that_is_no_name(self):
        for name in ["/no/where", "./here", "../up", "a/b/c", "a b", "owner/", "/model", "owner/model@", "owner/model@a b", "-a",
                     "owner/model@../../x", "owner/..", "o..r/m", "owner/model.git", "~/m", "a" * 97, "owner/mo\\del", "x@a:b"]:
            self.refused(name, status="ABSENT", says="no such folder; expected")
        self.assertEqual(self.hub.asked, [])

    def test_a_server_that_is_no_hub(self):
        for fault, says in [(with_status(200), "without a commit"), (with_status(418), "418"), (with_status(500), "500"),
                            (with_status(302, {"Location": "http://127.0.0.1:9/"}), "without a commit")]:
            self.hub.faults.clear()
            self.hub.order("HEAD", 100, fault)
            self.refused(says=says)

    def test_names_from_the_hub_never_leave_the_cache(self):
        evil = "../../../../evil"
        hash_of = git_hash(MODEL["config.json"])
        for header, value in [("ETag", f'"{evil}"'), ("ETag", '"x/y"'), ("X-Linked-Etag", f'"{evil}"'), ("ETag", '""'),
                              ("ETag", f'"{hash_of.upper()}"'), ("X-Repo-Commit", evil), ("X-Repo-Commit", "main"),
                              ("X-Linked-Size", str(1 << 50))]:
            shutil.rmtree(self.cache, True)
            self.hub.faults.clear()
            self.hub.order("hub HEAD .*config.json", 100, with_headers({header: value}))
            self.call(PROBE, "model", "owner/model", fails=True)
            self.assertEqual(list(self.folder.rglob("*evil*")), [])
        for name in ["../evil", "/evil", "a/../../evil", "..", "a\\b", "a\nb", 7, ""]:
            shutil.rmtree(self.cache, True)
            self.hub.faults.clear()
            files = {file: content for file, content in MODEL.items() if file != "model.safetensors"}
            files["model.safetensors.index.json"] = json.dumps({"weight_map": {"t": name}}).encode()
            self.hub.repositories["owner/model"] = Repository(files)
            self.call(PROBE, "model", "owner/model", fails=True)
            self.assertEqual(self.hub.count("evil"), 0)

    def test_redirects_end(self):
        self.hub.order("GET .*model.safetensors|content", 100, with_status(302, {"Location": f"{self.hub.address}/x"}))
        self.hub.order("GET /x", 100, with_status(302, {"Location": f"{self.hub.address}/x"}))
        self.refused(says="too many")

    def test_a_redirect_to_what_is_no_address(self):
        for where in ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/x"]:
            self.hub.faults.clear()
            self.hub.order("hub GET .*model.safetensors", 1, with_status(302, {"Location": where}))
            self.refused(says="not followed")


class Tokens(Case):
    def setUp(self):
        super().setUp()
        self.hub.repositories["owner/model"].private = True

    def check_token(self):
        self.resolve()
        for asked in self.hub.asked:
            self.assertEqual(asked.token, f"Bearer {Hub.token}" if asked.place == "hub" else None)
            self.assertRegex(asked.agent, r"^condlora/\d")
        self.assertGreater(self.hub.count("content"), 0)

    def test_from_the_environment(self):
        self.environment["HF_TOKEN"] = f"  {Hub.token}\n"
        self.check_token()

    def test_from_the_file_of_a_login(self):
        (self.folder / "token").write_text(Hub.token + "\n")
        self.check_token()

    def test_from_a_named_file(self):
        (self.folder / "mine").write_text(Hub.token)
        self.environment["HF_TOKEN_PATH"] = str(self.folder / "mine")
        self.check_token()

    def test_none_by_wish(self):
        (self.folder / "token").write_text(Hub.token)
        self.environment["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
        self.refused(status="ABSENT")

    def test_a_token_that_would_end_its_header(self):
        self.environment["HF_TOKEN"] = "hf_a\r\nX-Other: b"
        self.assertNotIn("X-Other", self.call(PROBE, "model", "owner/model", fails=True).stdout)
        self.assertEqual(self.hub.asked, [])

    def test_a_redirect_to_another_name_of_the_host(self):
        self.environment["HF_TOKEN"] = Hub.token
        self.hub.content_address = self.hub.content_address.replace("127.0.0.1", "localhost")
        self.check_token()

    def test_a_proxy_is_used(self):
        port = self.hub.address.rsplit(":", 1)[1]
        self.environment |= {"HF_TOKEN": Hub.token, "HF_ENDPOINT": "http://hub.invalid", "http_proxy": f"http://127.0.0.1:{port}",
                             "no_proxy": "127.0.0.1"}
        self.hub.order("http://hub.invalid", 10**6, lambda request: setattr(
            request, "path", request.path.removeprefix("http://hub.invalid")))
        self.check_whole(self.resolve()[0])


class Encrypted(Case):
    def setUp(self):
        super().setUp()
        self.certificate = self.folder / "certificate.pem"
        made = shutil.which("openssl") and subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", self.folder / "key.pem", "-out", self.certificate], capture_output=True)
        if not made or made.returncode != 0:
            self.skipTest("hub: there is no openssl that makes a certificate")
        (self.folder / "both.pem").write_bytes((self.folder / "key.pem").read_bytes() + self.certificate.read_bytes())
        self.hub = Hub(self.folder / "both.pem")
        self.addCleanup(self.hub.close)
        self.hub.repositories["owner/model"] = Repository(MODEL, private=True)
        self.environment |= {"HF_ENDPOINT": self.hub.address, "HF_TOKEN": Hub.token}

    def test_a_certificate_that_is_known(self):
        for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]:
            shutil.rmtree(self.cache, True)
            self.environment[variable] = str(self.certificate)
            self.check_whole(self.resolve()[0])
            del self.environment[variable]

    def test_a_certificate_that_is_unknown(self):
        message = self.refused(says=[self.hub.address, "certificate"])
        self.assertEqual(self.hub.asked, [], message)

    def test_a_redirect_out_of_https(self):
        self.environment["REQUESTS_CA_BUNDLE"] = str(self.certificate)
        plain = Hub()
        self.addCleanup(plain.close)
        self.hub.content_address = plain.content_address
        self.refused(says="not followed")
        self.assertEqual(plain.asked, [])


class Offline(Case):
    def test_the_cache_alone_is_asked(self):
        for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]:
            for value in ["1", "true", "Yes", "ON"]:
                self.environment[variable] = value
                self.refused(status="ABSENT", says=["no such folder", str(self.cache), "HF_HUB_OFFLINE"])
                del self.environment[variable]
        self.assertEqual(self.hub.asked, [])
        folder, _, _ = self.resolve()
        self.environment["HF_HUB_OFFLINE"] = "1"
        self.assertEqual(self.resolve()[0], folder)

    def test_a_cache_that_others_filled_suffices(self):
        """As `hf download` leaves it: without notes of what does not exist."""
        folder, _, _ = self.resolve()
        shutil.rmtree(self.repository() / ".no_exist")
        self.hub.asked.clear()
        for change in [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}]:
            kept = dict(self.environment)
            self.environment |= change
            self.assertEqual(self.resolve()[0], folder)
            self.environment = kept
        self.assertEqual(self.hub.asked, [])
        self.resolve()
        self.assertEqual(self.hub.count("HEAD"), 5)
        self.assertEqual(self.hub.count("GET"), 0)

    def test_a_part_does_not_suffice(self):
        for missing in ["config.json", "model.safetensors", "vocab.txt"]:
            shutil.rmtree(self.cache, True)
            folder, _, _ = self.resolve()
            (folder / missing).unlink()
            self.environment["HF_HUB_OFFLINE"] = "1"
            self.refused(status="ABSENT", says="not all its files")
            del self.environment["HF_HUB_OFFLINE"]
            self.check_whole(self.resolve()[0])


class Commands(Case):
    def setUp(self):
        super().setUp()
        self.hub.repositories["owner/adapter"] = Repository(adapter_of("owner/model", COMMIT))
        shutil.copytree(CASES / "bert-lora/model", self.folder / "local-model")
        (self.folder / "local-adapter").mkdir()
        for name, content in adapter_of("local-model").items():
            (self.folder / "local-adapter" / name).write_bytes(content)
        shutil.copy(CASES / "bert-lora/train.tsv", self.folder)
        self.examples = ["--input", "train.tsv", "--text-columns", "sentence1", "--backend", "cpu", "--threads", "1"]

    def test_names_and_folders_give_the_same(self):
        for command in [["predict"], ["eval", "--label-column", "label"]]:
            outputs = [self.call(PROGRAM, command[0], "--model", model, "--adapter", adapter, *self.examples, *command[1:]).stdout
                       for model, adapter in [("local-model", "local-adapter"), ("owner/model", "owner/adapter"),
                                              (f"owner/model@{COMMIT}", "owner/adapter@main")]]
            self.assertEqual(len(set(outputs)), 1)
            self.assertGreater(len(outputs[0]), 50)

    def test_tokenize_and_inspect(self):
        for words in [["tokenize", "--input", "train.tsv", "--text-columns", "sentence1", "--model"], ["inspect"]]:
            named, local = (self.call(PROGRAM, *words, model).stdout.splitlines() for model in ["owner/model", "local-model"])
            skipped = 1 if words == ["inspect"] else 0  # the line that names the folder
            self.assertEqual(named[skipped:], local[skipped:])
            self.assertGreater(len(named), 5)
        self.assertIn("owner/model", self.call(PROGRAM, "inspect", "owner/adapter").stdout)

    def train(self, output, model, *more):
        return self.call(PROGRAM, "train", "--model", model, "--train", "train.tsv", "--text-columns", "sentence1",
                         "--label-column", "label", "--max-steps", "2", "--backend", "cpu", "--threads", "1", "--output", output, *more)

    def test_training_records_the_name_and_the_commit(self):
        self.train("local", "local-model", "--fresh-head")
        self.train("named", "owner/model", "--fresh-head")
        self.assertEqual((self.folder / "local/adapter/adapter_model.safetensors").stat().st_size,
                         (self.folder / "named/adapter/adapter_model.safetensors").stat().st_size)
        config = json.loads((self.folder / "named/adapter/adapter_config.json").read_text())
        self.assertEqual((config["base_model_name_or_path"], config["revision"]), ("owner/model", COMMIT))
        run = json.loads((self.folder / "named/run.json").read_text())
        self.assertEqual((run["settings"]["model"], run["model_commit"]), ("owner/model", COMMIT))
        local = json.loads((self.folder / "local/adapter/adapter_config.json").read_text())
        self.assertNotIn("revision", local)
        self.train("named", "owner/model", "--resume")
        # The base's name leads to the base, at its commit, wherever the branch is now.
        (self.repository() / "refs/main").unlink()
        self.call(PROGRAM, "export", "--model", "owner/model", "--adapter", "named", "--output", "exported", "--backend", "cpu")
        exported = json.loads((self.folder / "exported/adapter_config.json").read_text())
        self.assertEqual((exported["base_model_name_or_path"], exported["revision"]), ("owner/model", COMMIT))

    def test_training_starts_from_a_named_adapter(self):
        self.train("on", "owner/model", "--init-adapter", "owner/adapter")

    def test_search_by_name(self):
        """The base is brought once; a trial, and a run of the best settings, record name and commit."""
        bridge = self.folder / "bridge"
        bridge.mkdir()
        (bridge / "asks").write_text("".join(f'{{"number":{i},"parameters":{{"lr":0.0{i + 1}}}}}\n' for i in range(2)))
        (bridge / "list").write_text('{"trials":[{"number":0,"state":"complete","value":0.5,"parameters":{"lr":0.01}}]}\n')
        self.environment |= {"FAKE": str(bridge), "CDL_PYTHON": str(SOURCE / "tests/programs/fake-bridge")}
        search = ["search", "--train", "train.tsv", "--text-columns", "sentence1", "--label-column", "label", "--space", "lr=log:1e-3:1",
                  "--fresh-head", "--epochs", "1", "--backend", "cpu", "--threads", "1"]
        self.call(PROGRAM, *search, "--trials", "2", "--model", "owner/model", "--output", "named")
        self.assertEqual(self.hub.count("GET"), len(MODEL) + 1)
        self.call(PROGRAM, "train", "--config", "named/best.json", "--output", "again")
        for run in ["named/trials/0", "named/trials/1", "again"]:
            config = json.loads((self.folder / run / "adapter/adapter_config.json").read_text())
            self.assertEqual((config["base_model_name_or_path"], config["revision"]), ("owner/model", COMMIT), run)
        self.assertEqual(*[(self.folder / run / "adapter/adapter_model.safetensors").read_bytes()
                           for run in ["named/trials/0", "again"]])

    def test_reproduce_by_name(self):
        """It ends in the tables of a folder, and goes on where the branch has moved meanwhile."""
        rows = [f"the old {word}\tit is {word}\t{'entailment' if i % 3 else 'not_entailment'}\n"
                for i, word in enumerate("owl cat dog sun moon tree rain snow wind fire sea hill".split())]
        (self.folder / "glue/RTE").mkdir(parents=True)
        for part in ["train", "dev"]:
            (self.folder / f"glue/RTE/{part}.tsv").write_text("sentence1\tsentence2\tlabel\n" + "".join(rows))

        def reproduce(model, output, seeds="1"):
            self.call(PROGRAM, "reproduce", "table1", "--model", model, "--data", "glue", "--output", output, "--tasks", "RTE", "--methods",
                      "lora,condlora-reference", "--seeds", seeds, "--epochs", "1", "--setting", "max_length=32", "--setting", "compat=none",
                      "--threads", "1")

        reproduce("local-model", "local")
        reproduce("owner/model", "named")
        for name in ["table.csv", "runs/RTE/lora/seed0/predictions.tsv"]:
            self.assertEqual(*[(self.folder / output / name).read_text() for output in ["local", "named"]])
        run = json.loads((self.folder / "named/runs/RTE/lora/seed0/run.json").read_text())
        self.assertEqual((run["settings"]["model"], run["model_commit"]), ("owner/model", COMMIT))
        self.hub.repositories["owner/model"].commit = OTHER
        reproduce("owner/model", "named", "2")
        self.assertTrue((self.folder / "named/runs/RTE/lora/seed1/predictions.tsv").exists())

    def test_merge_and_export_by_name(self):
        for place in ["local", "named"]:
            model, adapter = ("local-model", "local-adapter") if place == "local" else ("owner/model", "owner/adapter")
            self.call(PROGRAM, "merge", "--model", model, "--adapter", adapter, "--output", place + "-merged", "--backend", "cpu")
            self.call(PROGRAM, "export", "--model", model, "--adapter", adapter, "--format", "onnx", "--output", place + "-onnx",
                      "--backend", "cpu")
        for kind in ["merged", "onnx"]:
            self.assertEqual(files_of(self.folder / f"local-{kind}"), files_of(self.folder / f"named-{kind}"))

    def test_a_missing_model_is_one_line(self):
        for command in ["predict", "tokenize"]:
            done = self.call(PROGRAM, command, "--model", "owner/nothing", "--input", "train.tsv", fails=True)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertRegex(done.stderr, r"\Acondlora: owner/nothing: no such folder.*\n\Z")

    def test_a_download_is_reported(self):
        self.hub.repositories["owner/model"] = Repository(MODEL | {"model.safetensors": b"x" * 2_000_000})
        done = self.call(PROGRAM, "inspect", "owner/model", fails=True)
        self.assertRegex(done.stderr, r"owner/model: downloaded \d files?, 2\.\d MB, in \d+ s\n")

    def test_a_library_that_is_missing_is_named(self):
        """Without libcurl what the cache has works, and nothing else."""
        self.resolve()
        blind = self.folder / "blind"
        blind.mkdir()
        for name in ["libcurl.so.4", "libcurl-gnutls.so.4"]:
            (blind / name).write_text("no library")
        self.environment["LD_LIBRARY_PATH"] = str(blind)
        self.resolve()
        self.refused("owner/adapter", "adapter", status="ABSENT", says=["libcurl.so.4", "Debian's package libcurl4", "`hf download'"])
        done = self.call(PROGRAM, "predict", "--model", "owner/adapter", "--input", "-", fails=True)
        self.assertRegex(done.stderr, r"\Acondlora: owner/adapter: no such folder, it is not in .*libcurl4.*\n\Z")



if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=1)
