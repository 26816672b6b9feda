"""Run this file to rewrite the golden files and the generated parts of the documentation.

With `--loss-curves` it also trains the runs of `loss_curves.json` again. With `--storage` it
stores the studies of `stored_studies.py` again, which a change of the format alone calls for.

The tests import `command_options` and `documents` and compare; they never write.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bakeoff.commands.cli import load_verb, verb_files  # noqa: E402
from golden import reference_pages  # noqa: E402

OPTIONS_FILE = ROOT / "tests" / "golden" / "cli_options.txt"
LOSS_CURVES_FILE = ROOT / "tests" / "golden" / "loss_curves.json"
DOCS = ROOT / "src" / "bakeoff" / "docs"
PARTS = {
    DOCS / "reference" / "commands.md": ("verbs", "commands"),
    DOCS / "reference" / "study-file.md": ("keys",),
    DOCS / "reference" / "optimizers.md": ("optimizers", "schedulers"),
    DOCS / "guides" / "your-own-parts.md": ("own calls",),
}
"""The documents that have generated parts, and the names of their markers."""


def command_options() -> str:
    """One line per verb with its arguments and options."""
    lines = []
    for name in sorted(verb_files()):
        parameters = load_verb(name).params
        names = ["/".join(option.opts) for option in parameters if option.name != "help"]
        lines.append(f"{name}: {' '.join(names)}".rstrip())
    return "\n".join(lines) + "\n"


def generated_parts() -> dict[str, str]:
    """Each generated text by the name of its marker in a document."""
    return {
        "verbs": reference_pages.verbs_table(),
        "commands": reference_pages.commands(),
        "keys": reference_pages.keys(),
        "optimizers": reference_pages.optimizers(),
        "schedulers": reference_pages.schedulers(),
        "own calls": reference_pages.own_calls(),
    }


def documents() -> dict[Path, str]:
    """The up-to-date text of each document that has generated parts."""
    parts = generated_parts()
    return {
        file: with_parts(file.read_text(), {name: parts[name] for name in names})
        for file, names in PARTS.items()
    }


def with_parts(text: str, parts: dict[str, str]) -> str:
    """A document with up-to-date generated parts."""
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"the document has no markers for {name!r}")
        text = pattern.sub(lambda found, part=part: f"{found[1]}{part}\n{found[2]}", text)
    return text


def write_loss_curves() -> None:
    """Train the three cells; only if their numbers are meant to change (say why in the commit)."""
    from loss_curves import CELLS, train_cell

    curves = {cell: train_cell(cell) for cell in CELLS}
    LOSS_CURVES_FILE.write_text(json.dumps(curves, indent=1) + "\n")


if __name__ == "__main__":
    if "--loss-curves" in sys.argv:
        write_loss_curves()
    if "--storage" in sys.argv:
        from golden import stored_studies

        stored_studies.write()
    OPTIONS_FILE.write_text(command_options())
    for file, text in documents().items():
        file.write_text(text)
