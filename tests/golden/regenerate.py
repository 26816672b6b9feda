"""Run this file to rewrite the golden files and the generated parts of the README.

With `--loss-curves` it also trains the runs of `loss_curves.json` again. With `--storage` it
stores the studies of `stored_studies.py` again, which a change of the format alone calls for.

The tests import `command_options` and `generated_parts` and compare; they never write.
"""

import json
import re
import sys
from pathlib import Path

from bakeoff.commands.cli import load_verb, verb_files
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.own_calls import OWN_CALLS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.ranges import describe_range

ROOT = Path(__file__).parents[2]
OPTIONS_FILE = ROOT / "tests" / "golden" / "cli_options.txt"
LOSS_CURVES_FILE = ROOT / "tests" / "golden" / "loss_curves.json"
README = ROOT / "README.md"
GUIDE = ROOT / "src" / "bakeoff" / "docs" / "guides" / "your-own-parts.md"


def command_options() -> str:
    """One line per verb with its arguments and options."""
    lines = []
    for name in sorted(verb_files()):
        parameters = load_verb(name).params
        names = ["/".join(option.opts) for option in parameters if option.name != "help"]
        lines.append(f"{name}: {' '.join(names)}".rstrip())
    return "\n".join(lines) + "\n"


def generated_parts() -> dict[str, str]:
    """Each generated text by the name of its marker in the README."""
    return {"verbs": _verbs(), "optimizers": _optimizers(), "schedulers": _schedulers()}


def _verbs() -> str:
    helps = {name: load_verb(name).help or "" for name in verb_files()}
    rows = [f"| `study {name}` | {text.splitlines()[0]} |" for name, text in helps.items()]
    return "\n".join(["| verb | does |", "|---|---|", *rows])


def _optimizers() -> str:
    rows = [
        f"| `{spec.name}` | {spec.description} | {spec.weight_decay} | {spec.state_bytes:g} |"
        f" {describe_range(spec.parameters['learning_rate'].range)} |"
        f" {', '.join(name for name, one in spec.parameters.items() if one.searched)} |"
        for spec in OPTIMIZERS
    ]
    head = "| name | what | weight decay | state | learning rate searched in | searched |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _schedulers() -> str:
    rows = [
        f"| `{spec.name}` | {spec.description} |"
        f" {', '.join(name for name, one in spec.parameters.items() if one.searched)} |"
        for spec in SCHEDULERS
    ]
    return "\n".join(["| name | what | searched |", "|---|---|---|", *rows])


def parts_of_the_guide() -> dict[str, str]:
    """Each generated text by the name of its marker in the guide to the user's own parts."""
    rows = [
        f"| `{one.key}` | {one.accepts} | {one.called_with} | {one.gives} |" for one in OWN_CALLS
    ]
    head = "| key | may be | is called with | must give |"
    return {"own calls": "\n".join([head, "|---|---|---|---|", *rows])}


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
    sys.path.insert(0, str(ROOT / "tests"))
    from loss_curves import CELLS, train_cell

    curves = {cell: train_cell(cell) for cell in CELLS}
    LOSS_CURVES_FILE.write_text(json.dumps(curves, indent=1) + "\n")


if __name__ == "__main__":
    if "--loss-curves" in sys.argv:
        write_loss_curves()
    if "--storage" in sys.argv:
        sys.path.insert(0, str(ROOT / "tests"))
        from golden import stored_studies

        stored_studies.write()
    OPTIONS_FILE.write_text(command_options())
    README.write_text(with_parts(README.read_text(), generated_parts()))
    GUIDE.write_text(with_parts(GUIDE.read_text(), parts_of_the_guide()))
