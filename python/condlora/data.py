"""Examples in memory, as the files that the library reads."""
from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from condlora._library import StrPath
from condlora.errors import DataError

#: A file (TSV, CSV or JSONL by its extension), a pandas.DataFrame, columns by name, or rows: each a mapping, or a tuple of one
#: or two texts and the label.
Data = Union[StrPath, Mapping[str, Sequence[Any]], Iterable[Mapping[str, Any]], Iterable[Sequence[Any]]]


def is_path(data: object) -> bool:
    return isinstance(data, (str, os.PathLike))


def check_text(value: object, where: str) -> str:
    """Returns a text as the library takes it. `where` begins the message about any other value."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected a text, not {type(value).__name__} {value!r:.40}")
    if "\0" in value:
        raise DataError(f"{where}: the text contains a zero character")
    return str(value)


def texts(values: object, what: str = "texts") -> List[str]:
    """A list, array or Series of texts as a list of str."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{what}: expected a list of texts, not {type(values).__name__}; a single text is [text]")
    return [check_text(value, f"{what}[{i}]") for i, value in enumerate(values)]


def _plain(value: Any) -> Any:
    """A value of numpy or pandas as one of Python."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _label(value: Any, where: str) -> Any:
    value = _plain(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_label(item, where) for item in value]
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return check_text(value, where)
    if isinstance(value, int) or (isinstance(value, float) and value == value):
        return value
    raise DataError(f"{where}: expected a label, not {type(value).__name__} {value!r:.40}")


def _column(columns: Mapping[str, Any], name: str, what: str) -> List[Any]:
    try:
        return list(columns[name])
    except KeyError:
        raise DataError(f"{what}: there is no column {name!r}; there are {', '.join(map(repr, columns))}") from None


def _of_columns(columns: Mapping[str, Any], names: Sequence[str], what: str) -> Iterator[Tuple[Any, ...]]:
    taken = [_column(columns, name, what) for name in names]
    for name, column in zip(names, taken):
        if len(column) != len(taken[0]):
            raise DataError(f"{what}: column {names[0]!r} has {len(taken[0])} rows, column {name!r} has {len(column)}")
    return zip(*taken)


def _of_rows(rows: Iterable[Any], names: Sequence[str], what: str) -> Iterator[Tuple[Any, ...]]:
    for i, row in enumerate(rows):
        if isinstance(row, Mapping):
            missing = next((name for name in names if name not in row), None)
            if missing is not None:
                raise DataError(f"{what}[{i}]: there is no {missing!r}; there are {', '.join(map(repr, row))}")
            yield tuple(row[name] for name in names)
        elif isinstance(row, (tuple, list)):
            if len(row) != len(names):
                raise DataError(f"{what}[{i}]: expected {len(names)} values ({', '.join(names)}), not {len(row)}")
            yield tuple(row)
        else:
            raise DataError(f"{what}[{i}]: expected a mapping, or a tuple of texts and label, not {type(row).__name__}")


def listed(names: Union[str, Sequence[str]]) -> List[str]:
    """One name or several, as a list."""
    return [names] if isinstance(names, str) else list(names)


def text_names(data: object, text: Union[None, str, Sequence[str]]) -> List[str]:
    """The names of the text columns. Without names, tuples of three are pairs of texts, and all else has the column "text"."""
    if text is not None:
        return listed(text)
    if isinstance(data, Sequence) and len(data) > 0 and isinstance(data[0], (tuple, list)) and len(data[0]) == 3:
        return ["text", "pair"]
    return ["text"]


def in_memory(message: str, folder: str) -> str:
    """A message about files that `write` has made in a folder, as one about the data: line 3 of train.jsonl is train[2]."""

    def place(match: "re.Match[str]") -> str:
        return f"{match[1]}[{int(match[2]) - 1}]" if match[2] else match[1]

    return re.sub(re.escape(folder + os.sep) + r"(train|dev)\.jsonl(?::(\d+))?", place, message) if folder else message


def write(data: Any, path: str, text: Sequence[str], label: Sequence[str], what: str) -> int:
    """Writes examples as JSON lines with these columns. `what` names the data in messages. Returns the number of examples."""
    names = [*text, *label]
    frame = hasattr(data, "columns") and hasattr(data, "loc")  # pandas
    columns: Optional[Mapping[str, Any]] = {str(name): data[name] for name in data.columns} if frame else None
    if columns is None and isinstance(data, Mapping):
        columns = data
    if columns is None and not isinstance(data, Iterable):
        raise DataError(f"{what}: expected a file, a DataFrame, columns by name or rows, not {type(data).__name__}")
    rows = _of_columns(columns, names, what) if columns is not None else _of_rows(data, names, what)
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            where = f"{what}[{count}]"
            record: Dict[str, Any] = {name: check_text(_plain(value), f"{where}, {name!r}") for name, value in zip(text, row)}
            record.update((name, _label(value, f"{where}, {name!r}")) for name, value in zip(label, row[len(text) :]))
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count
