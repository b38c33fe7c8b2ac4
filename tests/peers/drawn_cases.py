"""drawn_cases.py PROGRAM: golden cases drawn anew with PyTorch and PEFT, and the program test-parity on them."""
import pathlib
import subprocess
import sys
import tempfile

SEED = "1"


def main(arguments):
    (program,) = arguments
    writer = pathlib.Path(__file__).resolve().parent.parent / "parity" / "write_cases.py"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(writer), "--output", folder, "--seed", SEED], check=True, stdout=subprocess.DEVNULL)
        return subprocess.run([program, folder]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
