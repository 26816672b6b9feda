"""Files of models on the Hugging Face hub, or in a folder of the same form on this machine.

`hf:./folder` is such a folder and `hf:NAME` a model of the hub, of which the files are looked for
where the hub's own library keeps them. Only `fetch_hub_model` uses the network. Nothing in a folder
is executed.
"""

import json
import re
from pathlib import Path
from typing import Any

from bakeoff.errors import DataError, one_line

PREFIX = "hf:"
CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
PREPROCESSOR, CARD = "preprocessor_config.json", "README.md"
FILES = (CONFIG, TOKENIZER, WEIGHTS, PREPROCESSOR, CARD)
LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)


def is_folder(reference: str) -> bool:
    """Whether `hf:PATH` names a folder of this machine, which begins with a dot, slash or ~."""
    return reference.removeprefix(PREFIX).startswith((".", "/", "~"))


def find_hub_file(reference: str, name: str) -> Path | None:
    """A file of the model `hf:...` on this machine; None if it is not there."""
    model = reference.removeprefix(PREFIX)
    if is_folder(reference):
        path = Path(model).expanduser() / name
        return path if path.is_file() else None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(model, name)
    return Path(found) if isinstance(found, str) else None


def hub_config(reference: str, name: str = CONFIG) -> dict[str, Any]:
    """The configuration of the model, or of what prepares its inputs.

    It is empty if the file is not on this machine or damaged.
    """
    path = find_hub_file(reference, name)
    try:
        content = {} if path is None else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def pad_token(reference: str) -> int:
    """The token that fills short texts up; 0 if the model states none."""
    given = hub_config(reference).get("pad_token_id")
    return given if isinstance(given, int) else 0


def hub_licence(reference: str) -> str | None:
    """The licence that the model's card states; None if it states none."""
    path = find_hub_file(reference, CARD)
    found = None if path is None else LICENCE.search(path.read_text("utf-8", errors="replace"))
    return None if found is None else found[1]


def need_hub_file(reference: str, name: str) -> Path:
    """A file of the model `hf:...` on this machine.

    Raises:
        DataError: It is not there; the message says how to get it and where to put it.
    """
    path = find_hub_file(reference, name)
    if path is None:
        raise DataError(_how_to_get(reference, f"has no {name} on this machine"))
    return path


def fetch_hub_model(reference: str) -> None:
    """Download what is missing of the model `hf:NAME`: never code, and only safetensors.

    Raises:
        DataError: It cannot be downloaded; the message says how to get it and where to put it.
    """
    if is_folder(reference) or hub_config(reference):
        need_hub_file(reference, CONFIG)
        return
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(reference.removeprefix(PREFIX), allow_patterns=list(FILES))
    except Exception as error:  # the library has many errors for a missing network or model
        problem = f"cannot be downloaded ({type(error).__name__}: {one_line(error)[:120]})"
        raise DataError(_how_to_get(reference, problem)) from error
    need_hub_file(reference, CONFIG)


def _how_to_get(reference: str, problem: str) -> str:
    if is_folder(reference):
        return f"{reference} {problem}"
    model = reference.removeprefix(PREFIX)
    return (
        f"{reference} {problem}; download {CONFIG}, {TOKENIZER} and {WEIGHTS} from"
        f" https://huggingface.co/{model} into a folder and name it as hf:./FOLDER"
    )
