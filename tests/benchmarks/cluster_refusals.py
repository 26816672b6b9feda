"""What is said about clusters and nodes that cannot be used, each on a cluster that is really so."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from object_server import BUCKET, credentials, object_server
from ray_cluster import LocalCluster, environment, local_cluster, other_torch_path
from ray_runs import start_driver, write_study

SECONDS = 300


def _said(
    refusal: Callable[[Path], dict[str, object]],
    file: Path,
    cluster: str,
    variables: dict[str, str],
    *options: str,
) -> dict[str, object]:
    """What `study run` prints to stderr but for its progress, and its exit code."""
    engine = f"ray:{cluster}"
    driver = start_driver(file, file.parents[1] / "results", engine, variables, *options)
    try:
        printed = driver.communicate(timeout=SECONDS)[1]
    except subprocess.TimeoutExpired:
        driver.kill()
        raise
    printed = printed.replace(str(file.parents[1]), "FOLDER")
    return {
        "refusal": refusal.__name__,
        "what": (refusal.__doc__ or "").splitlines()[0],
        "exit": driver.returncode,
        "said": [line for line in printed.splitlines() if line.startswith(("study:", "node "))],
    }


def _add_other_torch(cluster: LocalCluster, folder: Path) -> None:
    cluster.add(PYTHONPATH=other_torch_path(folder))


def dead_address(folder: Path) -> dict[str, object]:
    """Nothing listens at the address."""
    file = write_study(folder / "study", epochs=2, trials=1)
    return _said(dead_address, file, "127.0.0.1:9", environment(folder))


def wrong_token(folder: Path) -> dict[str, object]:
    """The driver has another token than the cluster."""
    file = write_study(folder / "study", epochs=2, trials=1)
    with local_cluster(folder, num_nodes=1) as cluster:
        variables = {**environment(folder), "RAY_AUTH_TOKEN": "0" * 64}
        return _said(wrong_token, file, cluster.address, variables)


def no_token(folder: Path) -> dict[str, object]:
    """The cluster answers everyone."""
    file = write_study(folder / "study", epochs=2, trials=1)
    with local_cluster(folder, num_nodes=1, token=False) as cluster:
        return _said(no_token, file, cluster.address, environment(folder))


def other_torch(folder: Path) -> dict[str, object]:
    """The only node has another version of torch."""
    file = write_study(folder / "study", epochs=2, trials=1)
    with local_cluster(folder, num_nodes=0) as cluster:
        _add_other_torch(cluster, folder)
        return _said(other_torch, file, cluster.address, environment(folder))


def one_other_torch(folder: Path) -> dict[str, object]:
    """One of two nodes has another version of torch: the study runs on the other one."""
    file = write_study(folder / "study", epochs=2, trials=1)
    with local_cluster(folder, num_nodes=0) as cluster:
        _add_other_torch(cluster, folder)
        cluster.add()
        return _said(one_other_torch, file, cluster.address, environment(folder))


def no_data(folder: Path) -> dict[str, object]:
    """The data is on the driver's machine alone."""
    data = folder / "data"
    data.mkdir()
    rows = [f"{x * 37 % 101},{x % 7},{'ab'[x % 2]}" for x in range(600)]
    (data / "table.csv").write_text("\n".join(("first,second,label", *rows)) + "\n")
    file = write_study(
        folder / "study", epochs=2, trials=1,
        data={"dataset": f"csv:{data / 'table.csv'}", "target": "label"},
    )  # fmt: skip
    with local_cluster(folder, num_nodes=1, hidden=data) as cluster:
        return _said(no_data, file, cluster.address, environment(folder))


def no_credentials(folder: Path) -> dict[str, object]:
    """The nodes do not know the credentials of the store."""
    file = write_study(folder / "study", epochs=2, trials=1)
    with object_server() as port, local_cluster(folder, num_nodes=1) as cluster:
        variables = {**environment(folder), **credentials(port)}
        place = ["--checkpoints", f"s3://{BUCKET}/study"]
        return _said(no_credentials, file, cluster.address, variables, *place)


REFUSALS = (
    dead_address, wrong_token, no_token, other_torch, one_other_torch, no_data, no_credentials,
)  # fmt: skip
