"""What was measured before a study, kept for later studies of the same model, data and machine.

A study begins with a few steps of its model in a worker, to see that it can be trained and which
precision is fastest. That takes seconds, and tells nothing new where the same was tried before.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.data.array_cache import data_folder
from bakeoff.engines.protocol import Probe, Probed
from bakeoff.files import write_atomically
from bakeoff.own_source import own_folders
from bakeoff.records import as_plain

MOST_DAYS = 7
"""After so many days the steps are measured again: the machine may have been busy then."""
MOST_KEPT = 200
DAMAGE = (OSError, ValueError, TypeError, KeyError)
"""What reading a missing or damaged file raises."""


@dataclass(frozen=True, kw_only=True)
class KeptProbes:
    """Results of probes on this machine, in the folder of data."""

    data: str
    """Fingerprint of the data."""
    machine: Mapping[str, str]
    """Processor, threads and versions of packages, as text by heading."""

    def find(self, probe: Probe) -> Probed | None:
        """The kept result of an equal probe, unless code of the user's differs from then."""
        path = self._path_of(probe)
        try:
            if time.time() - path.stat().st_mtime > MOST_DAYS * 24 * 3600:
                return None
            found = Probed(**json.loads(path.read_text(encoding="utf-8")))
            if any(_hash_of(Path(file)) != digest for file, digest in found.code.items()):
                return None
        except DAMAGE:
            return None
        stacks, reason = found.stack_reason, f"{found.reason}; measured earlier"
        if found.stack_gain or found.search_gain:
            stacks = f"{stacks}; measured earlier"
        return replace(found, run=probe.run, reason=reason, stack_reason=stacks)

    def keep(self, probe: Probe, probed: Probed) -> None:
        """Keep a result. Nothing is kept of pretrained weights, whose files may change."""
        if probed.weights:
            return
        path = self._path_of(probe)
        with suppress(OSError):  # it is measured again then
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(as_plain(probed)))
            kept = sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)
            for oldest in kept[:-MOST_KEPT]:
                oldest.unlink(missing_ok=True)

    def _path_of(self, probe: Probe) -> Path:
        # Nothing that is measured depends on the seed.
        configs = [
            as_plain(replace(one, seed=0, split_seed=0, test_seed=None))
            for one in (probe.config, *probe.others)
        ]
        places = [str(Path.cwd()), *own_folders()]
        widths = [probe.stack_width, probe.search_width, probe.least_gain]
        parts = [configs, widths, self.data, dict(self.machine), places]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
        return data_folder() / "probes" / f"{key}.json"


def _hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
