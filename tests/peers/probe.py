"""Asks the program numbers-probe, and counts what differs: shared by the *_parity.py scripts beside it."""
import subprocess
import sys


def ask(requests):
    """One list of words for each request line."""
    done = subprocess.run([sys.argv[1]], input="\n".join(requests) + "\n", text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"numbers-probe: exit status {done.returncode}: {done.stderr.strip()}")
    answers = [line.split() for line in done.stdout.splitlines()]
    assert len(answers) == len(requests), (len(answers), len(requests))
    return answers


def finish(name, cases, differences):
    for difference in differences[:20]:
        print("differs:", difference)
    print(f"{name}: {cases} cases, {len(differences)} differ")
    sys.exit(1 if differences else 0)
