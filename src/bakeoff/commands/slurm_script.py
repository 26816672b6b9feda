"""The batch script with which SLURM runs a study, continues it after each time limit, and ends it.

SLURM signals the batch shell some time before the limit. The shell passes the signal on as Ctrl-C,
which lets the epochs in progress end and stores checkpoints. If the driver was stopped by that, the
job goes back into the queue under the same number, and continues the study when it starts.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.errors import UsageError

LAST_SECONDS = 45
"""Before the limit, the driver is asked to end without waiting for an epoch. It does within 20 s,
and the job must still be put back into the queue."""
SHORTEST_PAUSE = 90
"""Seconds before the limit; SLURM itself promises its signal only to the minute."""
TIME = re.compile(r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}")
"""Minutes, or [days-]hours:minutes:seconds, as SLURM reads them."""
EARLY_SECONDS = 60
"""SLURM may send its signal by so much earlier than it was asked to (man sbatch, --signal)."""
UNITS = ("hours", "minutes", "seconds")
DIRECTIVE = re.compile(r"[a-z][a-z0-9-]*")
OWN_DIRECTIVES = {
    "nodes": "--nodes",
    "gpus-per-node": "--gpus-per-node",
    "cpus-per-task": "--cpus-per-node",
    "time": "--time-limit",
    "signal": "--pause-before",
}
"""Directives of sbatch that have an option of their own."""
FIRST_PORT, NUM_PORTS = 20_000, 10_000
"""Ports of the heads of Ray clusters; each job has its own."""

PREPARE = """\
driver= watch= pauses= caught=

# Some time before the limit: Ctrl-C for the driver, and shortly before the limit a second request.
pause() {{
  caught=yes pauses=yes
  [[ -n $driver ]] || return
  kill -INT "$driver"
  (sleep {patience} && kill -TERM "$driver") 2>/dev/null &
  watch=$!
}}
# `scancel` and preemption: SLURM signals the driver itself, too, and a second request would be one
# to stop at once.
end() {{
  caught=yes
  [[ -n $driver ]] || exit 143
}}
trap pause USR1
trap end TERM INT
"""
DRIVE = """\
code=130
if [[ -z $pauses ]]; then
  "${study[@]}" &
  driver=$!
  while caught= ; do
    wait "$driver"
    ended=$?
    # 127: it had ended before the signal that was caught meanwhile
    if (( ended != 127 )); then code=$ended; fi
    if [[ -z $caught ]]; then break; fi
  done
fi
if [[ -n $watch ]]; then kill "$watch" 2>/dev/null; fi

if [[ -n $pauses ]] && (( code == 130 || code == 143 )); then
  echo "stopped before the time limit; back into the queue"
  scontrol requeue "$SLURM_JOB_ID" && sleep 60
fi
exit "$code"
"""
RAY = """\
# A Ray cluster on the nodes of this job, which answers only those who have this job's token.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
RAY_AUTH_TOKEN=$("$python" -c 'import secrets; print(secrets.token_hex(32))') || exit
export RAY_AUTH_TOKEN
# The first node as another one sees it, because a node often knows itself as 127.0.1.1.
[[ $(scontrol show node --oneliner "$SLURMD_NODENAME") =~ NodeAddr=([^ ]+) ]] || exit
address=$(srun --nodes=1 --ntasks=1 --relative=1 getent ahostsv4 "${{BASH_REMATCH[1]}}") || exit
address=${{address%% *}}
port=$(( {first_port} + SLURM_JOB_ID % {num_ports} ))
ray=("$python" -m ray.scripts.scripts)
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \\
  --overlap --kill-on-bad-exit=0 bash -c '
    address=$1 port=$2
    shift 2
    if [[ $SLURM_NODEID == 0 ]]; then
      where=(--head --node-ip-address="$address" --port="$port" --include-dashboard=false)
    else
      where=(--address="$address:$port")
    fi
    exec "$@" start "${{where[@]}}" --num-cpus="$SLURM_CPUS_ON_NODE" --num-gpus={gpus} --block
  ' ray "$address" "$port" "${{ray[@]}}" &
for attempt in {{1..60}}; do
  "${{ray[@]}}" health-check --address="$address:$port" >/dev/null 2>&1 && break
  sleep 2
done
"""


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """What a batch script asks of SLURM."""

    nodes: int = 1
    gpus_per_node: int = 0
    cpus_per_node: int | None = None
    """None leaves the number to SLURM, which gives one unless the site has another default."""
    time_limit: str | None = None
    """Of each start; None leaves it to the partition."""
    pause_seconds: int = 300
    """How long before the time limit the study pauses."""
    chooses_workers: bool = True
    """Whether the script gives each core of a node without GPUs a worker, as `study run` would if
    it knew the cores of the job."""
    directives: Mapping[str, str] = field(default_factory=dict)
    """Further options of sbatch, such as `partition`."""

    def __post_init__(self) -> None:
        """Check what SLURM would refuse, or read as something else.

        Raises:
            UsageError: The message names the option.
        """
        if self.time_limit is not None and not TIME.fullmatch(self.time_limit):
            raise UsageError(
                f"--time-limit {self.time_limit}: SLURM takes minutes, hours:minutes:seconds or"
                " days-hours:minutes:seconds"
            )
        if self.pause_seconds < SHORTEST_PAUSE:
            raise UsageError(
                f"--pause-before: {self.pause_seconds} s are too short; at least {SHORTEST_PAUSE} s"
                " are needed to store checkpoints and return to the queue"
            )
        limit = 0 if self.time_limit is None else limit_seconds(self.time_limit)
        if 0 < limit <= self.pause_seconds + EARLY_SECONDS:
            raise UsageError(
                f"--time-limit {self.time_limit}: leaves no time to train before the pause, which"
                f" comes up to {self.pause_seconds + EARLY_SECONDS} s before the limit"
                f" (--pause-before {self.pause_seconds}s, and SLURM signals up to"
                f" {EARLY_SECONDS} s early); give the job more time, or a shorter pause"
            )


def limit_seconds(text: str) -> int:
    """Seconds of a time limit as SLURM reads it; 0 means that there is no limit.

    Args:
        text: Matches `TIME`. With days the parts are hours, minutes, seconds; one part alone is
            minutes, two are minutes and seconds, three are hours, minutes, seconds.
    """
    days, dash, rest = text.rpartition("-")
    parts = [int(one) for one in rest.split(":")]
    if not dash and len(parts) < len(UNITS):
        parts = [0, *parts]
    hours, minutes, seconds = [*parts, 0, 0][: len(UNITS)]
    return int(days or 0) * 86_400 + hours * 3600 + minutes * 60 + seconds


def parse_directives(given: Sequence[str]) -> dict[str, str]:
    """Options of sbatch from texts such as `partition=gpu`; `exclusive` alone has no value.

    Raises:
        UsageError: A text is something else, or there is an option of ours for it.
    """
    found: dict[str, str] = {}
    for text in given:
        name, _, value = text.removeprefix("--").partition("=")
        if not DIRECTIVE.fullmatch(name) or not value.isprintable() or {'"', "\\"} & {*value}:
            raise UsageError(f"--sbatch {text!r}: write OPTION=VALUE as sbatch takes it")
        if name in OWN_DIRECTIVES:
            raise UsageError(f"--sbatch {name}: use {OWN_DIRECTIVES[name]}")
        found[name] = value
    return found


def build_script(
    name: str, command: Sequence[str], job: SlurmJob, *, folder: Path, python: str
) -> str:
    """The text of the batch script.

    Args:
        name: Name of the study.
        command: The arguments of `study run`. File names are relative to `folder`.
        job: What it asks of SLURM.
        folder: Where it runs.
        python: The interpreter that has bakeoff.
    """
    is_cluster = job.nodes > 1
    engine = '--engine "ray:$address:$port"' if is_cluster else ""
    ray = RAY.format(first_port=FIRST_PORT, num_ports=NUM_PORTS, gpus=job.gpus_per_node)
    sets_workers = job.chooses_workers and not job.gpus_per_node
    workers = 'export BAKEOFF_WORKERS="${BAKEOFF_WORKERS:-$SLURM_CPUS_ON_NODE}"\n'
    parts = (
        "#!/bin/bash\n# Written by `study cluster slurm`. `sbatch FILE` submits it.\n"
        + "".join(f"#SBATCH --{line}\n" for line in _directives(name, job)),
        f"set -u\ncd -- {shlex.quote(str(folder))} || exit\npython={shlex.quote(python)}\n",
        PREPARE.format(patience=job.pause_seconds - LAST_SECONDS),
        ray if is_cluster else workers if sets_workers else "",
        f'study=("$python" -m bakeoff run {shlex.join(command)}{engine and " " + engine})\n',
        DRIVE,
    )
    return "\n".join(part for part in parts if part)


def _directives(name: str, job: SlurmJob) -> list[str]:
    """The options of sbatch, one a line. Those that the user names replace the defaults."""
    chosen = {
        "job-name": f"study-{name}",
        "output": f"{name}-%j.log",
        "open-mode": "append",
        "nodes": f"{job.nodes}",
        "ntasks-per-node": "1",
        **({"cpus-per-task": f"{job.cpus_per_node}"} if job.cpus_per_node else {}),
        **({"gpus-per-node": f"{job.gpus_per_node}"} if job.gpus_per_node else {}),
        **({"time": job.time_limit} if job.time_limit else {}),
        "requeue": "",
        "signal": f"B:USR1@{job.pause_seconds}",
        **job.directives,
    }
    return [f"{key}={_quoted(value)}" if value else key for key, value in chosen.items()]


def _quoted(value: str) -> str:
    """A value as sbatch reads it, which takes `#` and blanks only between quotes."""
    return value if re.fullmatch(r"[\w%@:.,/+=-]+", value) else f'"{value}"'
