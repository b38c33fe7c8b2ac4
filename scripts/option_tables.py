"""The tables of options of a program, as it describes them itself, for what is made from them."""

import json
import subprocess


def describe(program, *words):
    shown = subprocess.run([program, *words, "--describe-options"], check=True, capture_output=True, text=True).stdout
    return json.loads(shown)


class Command:
    """A command: its words ("analyze", "layers"), commands below it, options, and operands."""

    def __init__(self, program, words=(), text=""):
        description = describe(program, *words)
        self.words, self.help = words, text
        self.commands = [
            Command(program, (*words, row["name"]), row["help"]) for row in description.get("commands", [])
        ]
        self.options = [row for row in description.get("options", []) if row["kind"] != "SECTION"]
        self.options.append({"kind": "FLAG", "name": "--help", "help": "what there is"})
        self.operands, self.operand_words = description.get("operands", 0), description.get("words", [])

    def walk(self):
        """This command and those below it, this one first."""
        yield self
        for command in self.commands:
            yield from command.walk()


def value_of(row):
    """What the value of an option is: None for a flag, a list of words, "folders", "files" or "text"."""
    placeholder = row.get("placeholder", "")
    if row["kind"] == "FLAG":
        return None
    if row["kind"] == "CHOICE":
        return placeholder.split("|")
    if placeholder in ("DIR", "MODEL", "ADAPTER"):  # the latter two may be names, too, which nobody can list
        return "folders"
    words = [word for word in placeholder.split("|") if word.islower()]
    if row["kind"] == "PAIR" or placeholder.split("|")[-1] in ("FILE", "F.json"):
        return "files"
    return words or "text"
