"""Files with a manifest: the payload is stored first, and without its manifest it does not count.

The manifest has the payload's length and SHA-256, and a hash of itself.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bakeoff.stores.protocol import Store

MANIFEST = ".json"


def put_sealed(
    store: Store, stem: str, suffix: str, data: bytes | memoryview, facts: Mapping[str, Any]
) -> None:
    """Store a payload as `stem` + `suffix`, and then its manifest with `facts`.

    Raises:
        OSError: The store cannot be written.
    """
    manifest = {**facts, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["check"] = _hash_of(manifest)
    store.put(stem + suffix, data)
    store.put(stem + MANIFEST, json.dumps(manifest).encode())


def get_manifest(store: Store, stem: str) -> dict[str, Any]:
    """The manifest of a payload.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged.
        OSError: The store cannot be read.
    """
    manifest = json.loads(store.get(stem + MANIFEST).decode())
    if not isinstance(manifest, dict) or manifest.pop("check", None) != _hash_of(manifest):
        raise ValueError("the manifest does not match its own hash")
    return manifest


def get_payload(store: Store, stem: str, suffix: str, manifest: Mapping[str, Any]) -> bytes:
    """The payload that a manifest describes.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged.
        OSError: The store cannot be read.
    """
    data = store.get(stem + suffix)
    if len(data) != manifest["bytes"]:
        raise ValueError(f"it has {len(data)} bytes instead of {manifest['bytes']}")
    if hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise ValueError("its SHA-256 does not match")
    return data


def _hash_of(manifest: Mapping[str, Any]) -> str:
    """The hash by which a damaged manifest is not taken for that of another run."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
