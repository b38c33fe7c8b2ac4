"""scripts/release, on a scratch repository: it tags a version that every place names, and refuses all else.

    python3 release.py SOURCE
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1]).resolve()
PLACES = ("meson.build", "include/condlora/version.h", "CHANGELOG.md", "packaging/conda/recipe.yaml", "debian/changelog")
CHANGELOG = """# Changelog

## 1.2.3 (2026-12-01)

### New

* A sentence that names [a page](docs/files.md).
  A second one.
* An [outer](https://example.org/a) link.

## 1.2.2 (2026-11-01)

* Older.
"""
WANTED = """### New

* A sentence that names [a page](../blob/v1.2.3/docs/files.md). A second one.
* An [outer](https://example.org/a) link.
"""


def git(root, *arguments):
    return subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", str(root), *arguments],
                          check=True, capture_output=True, text=True).stdout


def change(root, place, old, new):
    path = root / place
    text = path.read_text()
    assert old in text, f"{place} has no {old!r}"
    path.write_text(text.replace(old, new))


def release(root, *arguments):
    environment = {"PATH": "/usr/bin:/bin:" + str(pathlib.Path(sys.executable).parent), "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "t@example.org",
                   "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "t@example.org"}
    return subprocess.run([sys.executable, str(root / "scripts/release"), *arguments], capture_output=True, text=True, env=environment)


def refused(root, what, *arguments):
    done = release(root, *arguments)
    assert done.returncode == 1 and what in done.stderr and done.stderr.count("\n") == 1, (what, done)
    assert git(root, "tag") == "", "a tag was made"


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for place in (*PLACES, "scripts/release"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / place, root / place)
        now = next(line.split("'")[1] for line in (root / "meson.build").read_text().splitlines() if line.lstrip().startswith("version:"))
        git(root, "init", "--quiet")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", "as it is")
        (root / "CHANGELOG.md").write_text(CHANGELOG)
        refused(root, "meson.build:2: the version is", "1.2.3")
        change(root, "meson.build", f"version: '{now}'", "version: '1.2.3'")
        refused(root, "version.h:", "1.2.3")
        change(root, "include/condlora/version.h", f'STRING "{now}"', 'STRING "1.2.3"')
        refused(root, "CDL_VERSION_MAJOR", "1.2.3")
        header = root / "include/condlora/version.h"
        for part, old, new in zip(("MAJOR", "MINOR", "PATCH"), now.split("."), ("1", "2", "3")):
            header.write_text(header.read_text().replace(f"CDL_VERSION_{part} {old}", f"CDL_VERSION_{part} {new}"))
        refused(root, "recipe.yaml:3", "1.2.3")
        change(root, "packaging/conda/recipe.yaml", f'version: "{now}"', 'version: "1.2.3"')
        refused(root, "debian/changelog:1", "1.2.3")
        debian, older = root / "debian/changelog", (root / "debian/changelog").read_text().split("\n", 1)[1]
        for version, distribution, what in [("1.2.3~dev-1", "unstable", "the version is 1.2.3~dev"), ("1.2.3-1", "UNRELEASED", "UNRELEASED")]:
            debian.write_text(f"condlora ({version}) {distribution}; urgency=medium\n{older}")
            refused(root, what, "1.2.3")
        debian.write_text(f"condlora (1.2.3-1) unstable; urgency=medium\n{older}")
        refused(root, "not committed", "1.2.3")
        git(root, "commit", "--quiet", "--all", "--message", "1.2.3")
        change(root, "CHANGELOG.md", "(2026-12-01)", "(unreleased)")
        refused(root, "'unreleased' is no date", "1.2.3")
        change(root, "CHANGELOG.md", "(unreleased)", "(2026-12-01)")
        assert release(root, "1.2.3", "--check").returncode == 0 and git(root, "tag") == ""
        assert release(root, "1.2").returncode == 2
        done = release(root, "1.2.3", "--notes", str(root / "notes.md"))
        assert done.returncode == 0, done
        assert (root / "notes.md").read_text() == WANTED, (root / "notes.md").read_text()
        assert git(root, "tag").strip() == "v1.2.3" and git(root, "cat-file", "-t", "v1.2.3").strip() == "tag"
    print("1 passed, 0 failed")


main()
