"""The list of studies as optuna-dashboard shows it: names alone, so the verdict goes with the name.

Shortlist and confirmation runs are a study of their own in the storage, next to the one that they
belong to. The list leaves it out; the note of a study links to it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bakeoff.report.answer import without_scope
from bakeoff.storage.overview import VERDICT_KEY
from bakeoff.storage.studies import CONFIRM_SUFFIX

App = Callable[..., Iterable[bytes]]
PATH = "/api/studies"
"""Where optuna-dashboard asks for the list."""


def with_verdicts(body: bytes) -> bytes:
    """The list with verdicts and without confirmation runs; as it was if it cannot be read."""
    try:
        document = json.loads(body)
        studies = document["study_summaries"]
        names = {study["study_name"] for study in studies}
        document["study_summaries"] = [
            {**study, "study_name": _titled(study)}
            for study in studies
            if not _belongs_to_another(study["study_name"], names)
        ]
    except (ValueError, KeyError, TypeError):
        return body
    return json.dumps(document).encode()


def _belongs_to_another(name: str, names: set[str]) -> bool:
    return name.endswith(CONFIRM_SUFFIX) and name.removesuffix(CONFIRM_SUFFIX) in names


def _titled(study: Mapping[str, Any]) -> str:
    """The name, followed by the verdict where there is one."""
    attributes = {one["key"]: one["value"] for one in study["user_attrs"]}
    verdict = attributes.get(VERDICT_KEY)
    name = str(study["study_name"])
    return f"{name}: {without_scope(verdict)}" if verdict else name


def with_study_list(dashboard: App) -> App:
    """The dashboard, with its list of studies changed by `with_verdicts`."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH or environ["REQUEST_METHOD"] != "GET":
            return dashboard(environ, start_response)
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], *_rest: object) -> None:
            begun.append((status, headers))

        body = with_verdicts(b"".join(dashboard(environ, start)))
        status, headers = begun[-1]
        kept = [item for item in headers if item[0].lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    return app
