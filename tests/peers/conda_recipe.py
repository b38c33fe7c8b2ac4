"""packaging/conda/recipe.yaml, as rattler-build's own parser renders it: of this version, with what meson.build asks for.

    python3 conda_recipe.py SOURCE
"""

import pathlib
import re
import sys

import rattler_build

SOURCE = pathlib.Path(sys.argv[1])
# conda-forge's names of what Meson looks for.
PACKAGES = {"jansson": "jansson", "libpcre2-8": "pcre2", "libutf8proc": "libutf8proc", "libprotobuf-c": "libprotobuf-c", "cairo": "cairo",
            "libcurl": "libcurl"}
PLATFORM = rattler_build.PlatformConfig(target_platform="linux-64", build_platform="linux-64", host_platform="linux-64")

path = SOURCE / "packaging/conda/recipe.yaml"
rendered = rattler_build.Stage0Recipe.from_file(path).render(
    rattler_build.VariantConfig({"c_compiler": ["gcc"], "c_compiler_version": ["13"]}), rattler_build.RenderConfig(platform=PLATFORM))
assert len(rendered) == 1, rendered
recipe = rendered[0].recipe
description = (SOURCE / "meson.build").read_text()
version = re.search(r"^ *version: '([^']*)'", description, re.M).group(1)
assert (recipe.package.name, recipe.package.version) == ("condlora", version), recipe.package
wanted = {PACKAGES[name] for name in re.findall(r"dependency\('([^']+)'", description) if name != "threads"}
given = {str(each).split()[0].strip('"') for each in re.findall(r"(?m)^    - (\S+)", path.read_text().split("  host:")[1].split("  run:")[0])}
assert given == wanted, (given, wanted)
print("1 passed, 0 failed")
