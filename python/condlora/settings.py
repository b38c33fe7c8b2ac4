"""The settings of a training run."""
from __future__ import annotations

import json
import os
from typing import Any, Dict, Mapping

from condlora._c import ffi, lib
from condlora._library import Owner, text
from condlora.errors import check


def _plain(value: Any) -> Any:
    """A value as JSON has it: paths are texts, numpy's numbers and arrays are Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


class Settings:
    """Settings by name, as `condlora train` has them. None leaves a setting at its default."""

    def __init__(self, values: Mapping[str, Any]):
        made = ffi.new("cdl_settings **")
        check(lib.cdl_settings_create(made))
        self._settings = Owner("object of settings", made[0], lib.cdl_settings_destroy)
        given = {name: _plain(value) for name, value in values.items() if value is not None}
        check(lib.cdl_settings_parse(self._settings.pointer, json.dumps(given).encode()))

    @property
    def pointer(self) -> Any:
        return self._settings.pointer

    def values(self) -> Dict[str, Any]:
        """All settings that the method and the schedule have, with their values."""
        result = ffi.new("char **")
        check(lib.cdl_settings_json(self._settings.pointer, result))
        return dict(json.loads(text(result[0])))
