"""Prints, as JSON, who may use a Ray cluster and which nodes it has.

This is a program of its own, because Ray reads once per process whether it sends a token. Run it
with `RAY_AUTH_MODE=disabled` to learn whether a cluster answers everyone.
"""

import json
import sys
from typing import Any

from bakeoff.engines.ray_settings import num_slots


def main(address: str, cpus_per_worker: int, gpus_per_worker: float) -> dict[str, Any]:
    """What was found: `answer` is `none`, `refused` or `nodes`, and the number of workers."""
    from ray._private.services import get_ray_address_from_environment
    from ray._raylet import GcsClient
    from ray.exceptions import AuthenticationError

    try:
        found = address or get_ray_address_from_environment("auto", None)
    except ConnectionError:
        return {"answer": "none"}
    try:
        nodes = GcsClient(address=found).get_all_node_info(timeout=20).values()
    except AuthenticationError as error:
        return {"answer": "refused", "address": found, "reason": str(error)}
    alive = [node for node in nodes if node.state == 0]
    totals = [dict(node.resources_total) for node in alive]
    slots = [
        num_slots(
            one.get("CPU", 0.0),
            one.get("GPU", 0.0),
            cpus_per_worker=cpus_per_worker,
            gpus_per_worker=gpus_per_worker,
        )
        for one in totals
    ]
    is_loopback = any(node.node_manager_address == "127.0.0.1" for node in alive)
    return {"answer": "nodes", "address": found, "slots": sum(slots), "is_loopback": is_loopback}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
