"""completion.py COMPLETIONS PROGRAM …: completion in bash, and in zsh and fish where they are.

COMPLETIONS holds NAME for bash, _NAME for zsh and NAME.fish of each program. What they offer is held against the programs' own help.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ASK_BASH = r"""
source "$1"; name=$2; shift 2
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
$(complete -p "$name" | sed 's/.*-F \([^ ]*\).*/\1/') 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"""


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


def help_of(program, *words):
    return run(program, *words, "--help")


def options_in(text):
    """{"--model": "DIR", …}: the placeholder is None for a flag."""
    found = re.findall(r"^  (--[a-z0-9-]+)(?: (\S+(?: B)?))?(?:  |$)", text, re.MULTILINE)
    return {name: placeholder or None for name, placeholder in found}


class Bash:
    def __init__(self, folder, name):
        self.script, self.name = folder / name, name
        run("bash", "-n", self.script)

    def ask(self, *words, cwd=None):
        """What is offered in place of the last word."""
        out = run("bash", "--norc", "-c", ASK_BASH, "bash", self.script, self.name, self.name, *words, cwd=cwd)
        return {line for line in out.splitlines() if line}


class Fish:
    def __init__(self, folder, name):
        self.script, self.name = folder / f"{name}.fish", name
        run("fish", "--no-execute", self.script)

    def ask(self, *words, cwd=None):
        line = " ".join([self.name, *words])
        out = run("fish", "--private", "-c", f"source {self.script}; complete -C '{line}'", cwd=cwd)
        return {shown.split("\t")[0] for shown in out.splitlines() if shown}


def expect(what, found, wanted):
    if set(found) != set(wanted):
        sys.exit(f"{what}: {sorted(found)}, expected {sorted(wanted)}")


def check_choices(shell, words, options):
    """Words of choices, and nothing where a value is anybody's."""
    for option, placeholder in options.items():
        if placeholder is not None and re.fullmatch(r"[a-z0-9_-]+(\|[a-z0-9_-]+)+", placeholder):
            expect(f"{shell.name} {words} {option}", shell.ask(*words, option, ""), placeholder.split("|"))
        elif placeholder in ("N", "R", "X", "RATE"):
            expect(f"{shell.name} {words} {option}", shell.ask(*words, option, ""), [])


def check_condlora(shell, program):
    commands = re.findall(r"^  ([a-z]+) +\S", help_of(program), re.MULTILINE)
    expect("commands", {w for w in shell.ask("") if not w.startswith("-")}, commands)
    expect("tr", shell.ask("tr"), ["train"])
    analyses = re.findall(r"^  ([a-z]+) +\S", help_of(program, "analyze"), re.MULTILINE)
    expect("analyze", {w for w in shell.ask("analyze", "") if not w.startswith("-")}, analyses)
    for words in [(c,) for c in commands if c != "analyze"] + [("analyze", a) for a in analyses]:
        options = options_in(help_of(program, *words))
        expect(f"options of {words}", shell.ask(*words, "--"), options)
        if words in (("train",), ("analyze", "correlation")):
            check_choices(shell, words, options)
    expect("tables", shell.ask("reproduce", "t"), ["table1", "table2", "table3", "table4"])
    expect("after a flag", shell.ask("train", "--resume", "--dry"), ["--dry-run"])


def check_bench(shell, program):
    text = help_of(program)
    expect("workloads", {w for w in shell.ask("") if not w.startswith("-")}, re.findall(r"^  ([a-z]+) +\S", text, re.MULTILINE))
    expect("options", shell.ask("--"), options_in(text))


def check_files(shell):
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "models").mkdir()
        (place / "mine.tsv").touch()
        folders, files = shell.ask("train", "--model", "m", cwd=place), shell.ask("train", "--train", "m", cwd=place)
        expect("folders", {name.rstrip("/") for name in folders}, ["models"])
        expect("files", {name.rstrip("/") for name in files}, ["models", "mine.tsv"])


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    programs = {pathlib.Path(program).name: program for program in sys.argv[2:]}
    for kind, program in ((Bash, "bash"), (Fish, "fish")):
        if shutil.which(program) is None:
            print(f"skipped: completion in {program}: it is not installed")
            continue
        shell = kind(folder, "condlora")
        check_condlora(shell, programs["condlora"])
        check_files(shell)
        check_bench(kind(folder, "bench-condlora"), programs["bench-condlora"])
    bash = Bash(folder, "condlora")
    expect("= in bash", bash.ask("train", "--keep", "=", "l"), ["last"])
    expect("= alone in bash", bash.ask("train", "--keep", "="), ["best", "last"])
    if shutil.which("zsh") is None:
        print("skipped: completion in zsh: it is not installed")
        return
    for name in programs:
        run("zsh", "-n", folder / f"_{name}")


if __name__ == "__main__":
    main()
