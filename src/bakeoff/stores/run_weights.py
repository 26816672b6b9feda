"""The weights of a run that has ended, in the store of its checkpoints, until they are taken."""

from pathlib import Path

from bakeoff.stores.protocol import Store
from bakeoff.stores.sealed import MANIFEST, get_manifest

WEIGHTS = ".safetensors"


def weights_stem(attempt: int) -> str:
    """The key of the weights that an attempt stored, without its suffix."""
    return f"attempt-{attempt}/weights"


def take_weights(store: Store, attempt: int, identity: str, target: Path) -> bool:
    """Move the weights of a run to `target`; return whether there are any of this identity.

    Raises:
        ValueError: They are damaged.
        OSError: The store cannot be read, or `target` not be written.
    """
    stem = weights_stem(attempt)
    try:
        manifest = get_manifest(store, stem)
        if manifest["identity"] != identity:
            return False
        store.move_out(stem + WEIGHTS, target, manifest["sha256"])
    except FileNotFoundError:
        return False
    store.delete([stem + MANIFEST])
    return True
