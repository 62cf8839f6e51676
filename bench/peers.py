"""Other gateways, each installed into an environment of its own below BENCH_DIR."""

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.machine import BenchError, Cores
from bench.subjects import Subject, free_port, started

LITELLM_VERSION = "1.105.3"
_CHAT = "/v1/chat/completions"
_KEY = "sk-bench-1234567890"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another gateway: what to install, and how to start it from the environment where that was done."""

    requirement: str
    start: Callable[[ExitStack, Path, Cores, str, Path], Subject]


def litellm(ending: ExitStack, folder: Path, cores: Cores, upstream_url: str, environment: Path) -> Subject:
    """LiteLLM's proxy: one worker, master key only, no database and no spend record."""
    configuration = folder / "litellm.yaml"
    configuration.write_text(
        f"""model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "{upstream_url}/v1", api_key: sk-not-a-key-for-anything}}
general_settings: {{master_key: {_KEY}}}
litellm_settings: {{telemetry: false, set_verbose: false}}
"""
    )
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    argv = [str(environment / "bin/litellm"), "--config", str(configuration), "--host", "127.0.0.1"]
    process = started(
        ending,
        [*argv, "--port", str(port), "--num_workers", "1"],
        log=folder / "litellm.log",
        cores=cores,
        measured=True,
        ready=f"{base}/health/liveliness",
        # Its price list comes from its own package instead of the network.
        env={**_without_ours(), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
    )
    return Subject("LiteLLM", LITELLM_VERSION, base + _CHAT, base + _CHAT, _KEY, process)


PEERS = {"litellm": Peer(f"litellm[proxy]=={LITELLM_VERSION}", litellm)}


def installed(name: str, home: Path) -> Path:
    """The environment of a peer below `home`; made on first use. Raises BenchError."""
    if name not in PEERS:
        raise BenchError(f"BENCH_PEERS: {name} is not among {', '.join(PEERS)}.")
    environment, requirement = home / name, PEERS[name].requirement
    stamp = environment / ".installed"
    if stamp.is_file() and stamp.read_text() == requirement:
        return environment
    print(f"Installing {requirement} into {environment}; this takes some minutes the first time", flush=True)
    venv.create(environment, clear=True, with_pip=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run = subprocess.run([*pip, requirement], stdout=sys.stderr, check=False)
    if run.returncode:
        raise BenchError(f"{requirement} could not be installed: see above. Without BENCH_PEERS it is left out.")
    stamp.write_text(requirement)
    return environment


def _without_ours() -> dict[str, str]:
    """Our environment but for what names our own services, which a peer would take for its own."""
    ours = {"DATABASE_URL", "REDIS_URL", "PORT", "HOST"}
    return {name: value for name, value in os.environ.items() if name not in ours}
