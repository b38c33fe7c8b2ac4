"""What pip has installed: the programs, the plug-ins, OpenBLAS from its own package, types, and nothing that was not asked for."""
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import unittest

import condlora

FOLDER = pathlib.Path(condlora.__file__).parent


def output(*command, **changes):
    environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


class Package(unittest.TestCase):
    def test_versions_agree(self):
        version = importlib.metadata.version("condlora")
        self.assertEqual(condlora.__version__, version)
        self.assertIn(version, output("condlora", "--version"))

    def test_it_lies_outside_the_source(self):
        self.assertNotIn("python/condlora/__init__.py", str(condlora.__file__).replace("site-packages", ""))
        self.assertTrue((FOLDER / "py.typed").exists())

    def test_programs_find_plugins_recipes_and_openblas(self):
        listed = output("condlora", "backends", "--why", CDL_OPENBLAS=None)
        openblas = importlib.metadata.version("scipy-openblas32")
        self.assertIn(f"LAPACK      OpenBLAS {openblas}", listed)
        for name in ("cuda", "opencl"):
            self.assertIn(str((FOLDER / "lib" / "condlora" / f"condlora-{name}.so").resolve()), listed)
        tried = subprocess.run(["condlora", "train", "--recipe", "rte-condlora", "--dry-run"], capture_output=True, text=True)
        self.assertIn("give --model", tried.stderr)
        self.assertIn("gemm", output("bench-condlora", "--help"))

    def test_the_package_takes_the_same_openblas(self):
        with condlora.Backend("cpu") as backend:
            self.assertIn("libscipy_openblas.so at need", backend.description)

    def test_the_import_brings_only_what_is_needed(self):
        program = "import sys, condlora; print(*sorted({name.split('.')[0] for name in sys.modules}))"
        loaded = set(output(sys.executable, "-c", program).split())
        self.assertIn("numpy", loaded)
        self.assertFalse(loaded & {"torch", "pandas", "sklearn", "scipy", "transformers"})

    def test_what_is_public_is_documented(self):
        for name in condlora.__all__:
            thing = getattr(condlora, name)
            if isinstance(thing, type) or callable(thing):
                self.assertTrue(name == "Data" or thing.__doc__, name)

    def test_messages_go_to_logging(self):
        program = (
            "import logging, condlora, sys\n"
            "logging.basicConfig(level=logging.INFO, stream=sys.stdout, format='%(levelname)s %(name)s %(message)s')\n"
            "condlora.Backend('cpu', threads=100)\n"
        )
        self.assertRegex(output(sys.executable, "-c", program), r"(INFO|WARNING) condlora .*threads")


if __name__ == "__main__":
    unittest.main()
