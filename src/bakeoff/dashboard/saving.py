"""The functions of optuna-dashboard that save notes and figures, without its server.

The package imports its server, and with that scikit-learn, which takes a second at the end of every
study. The two modules that save import Optuna alone, so they are loaded from their files.
"""

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import optuna

from bakeoff.report.figures.style import Figure

PACKAGE = "optuna_dashboard"
NOTES = "_note"
FIGURES = "_custom_plot_data"


def save_note(study: optuna.Study, text: str) -> None:
    """Replace the note of a study, which is Markdown."""
    _home_of(NOTES).save_note(study, text)


def save_figure(study: optuna.Study, figure: Figure, identity: str) -> None:
    """Store a figure in a study, in place of the one of the same identity."""
    saved = _home_of(FIGURES).save_plotly_graph_object
    saved(study, figure, graph_object_id=identity)


def _home_of(module: str) -> ModuleType:
    """A module of optuna-dashboard; the whole package if the module cannot be loaded alone."""
    name = f"{__name__}.{module}"
    if PACKAGE not in sys.modules and name not in sys.modules:
        found = find_spec(PACKAGE)
        folders = (found and found.submodule_search_locations) or ()
        for file in (Path(folder) / f"{module}.py" for folder in folders):
            if file.is_file() and (spec := spec_from_file_location(name, file)) and spec.loader:
                loaded = module_from_spec(spec)
                with suppress(ImportError):  # in a release where it needs other modules
                    spec.loader.exec_module(loaded)
                    sys.modules[name] = loaded
    return sys.modules.get(name) or import_module(PACKAGE)
