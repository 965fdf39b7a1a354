"""Experiment trackers: off, or writing into scratch. A check sends nothing, also where settings name a server."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from dnndoctor.subject.late import AfterImport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

NOWHERE = "http://127.0.0.1:9"  # the discard port: what still tries to reach a server fails at once


def environment(scratch: str, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The child's environment: the user's, with every tracker turned away from its server."""
    place = os.path.join(scratch, "trackers")
    variables = dict(os.environ if inherited is None else inherited)
    variables.update(_wandb(place), **_mlflow(place), **_others(place))
    for secret in ("WANDB_API_KEY", "COMET_API_KEY", "NEPTUNE_API_TOKEN", "CLEARML_API_SECRET_KEY"):
        variables.pop(secret, None)
    return variables


def _wandb(place: str) -> dict[str, str]:
    folders = {f"WANDB_{each}": place for each in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "ARTIFACT_DIR")}
    return {**folders, "WANDB_MODE": "disabled", "WANDB_SILENT": "true", "WANDB_BASE_URL": NOWHERE}


def _mlflow(place: str) -> dict[str, str]:
    uri = _mlflow_uri(place)
    return {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_REGISTRY_URI": uri,
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }


def _mlflow_uri(place: str) -> str:
    return f"file:{place}/mlflow"


def _others(place: str) -> dict[str, str]:
    return {
        "COMET_OFFLINE_DIRECTORY": place,
        "COMET_START_ONLINE": "0",
        "COMET_URL_OVERRIDE": NOWHERE,
        "NEPTUNE_MODE": "debug",
        "CLEARML_OFFLINE_MODE": "1",
        "CLEARML_CACHE_DIR": place,
        "TRAINS_OFFLINE_MODE": "1",
        "AIM_TRACKING_ENABLED": "0",
        "SWANLAB_MODE": "disabled",
        "DVCLIVE_TEST": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def install(scratch: str) -> None:
    """In the child: overrule what the script says itself, which would go before the environment."""
    uri = _mlflow_uri(os.path.join(scratch, "trackers"))
    AfterImport(
        {
            "wandb": lambda module: _overrule(module, "init", mode="disabled"),
            "mlflow": lambda module: _divert(module, ("set_tracking_uri", "set_registry_uri"), uri),
            "neptune": lambda module: _overrule(module, "init_run", mode="debug"),
            "comet_ml": _comet,
        }
    ).install()


def _comet(module: ModuleType) -> None:
    _overrule(module, "start", online=False)
    _overrule_class(module, "Experiment", disabled=True)
    _overrule_class(module, "ExistingExperiment", disabled=True)


def _overrule(owner: Any, name: str, **settings: Any) -> None:
    original = getattr(owner, name, None)
    if original is not None:
        setattr(owner, name, _with(original, settings))


def _overrule_class(module: ModuleType, name: str, **settings: Any) -> None:
    one = getattr(module, name, None)
    if isinstance(one, type):
        _overrule(one, "__init__", **settings)


def _with(original: Callable[..., Any], settings: Mapping[str, Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **{**kwargs, **settings})

    return call


def _divert(module: ModuleType, names: tuple[str, ...], uri: str) -> None:
    for name in names:
        original = getattr(module, name, None)
        if original is not None:
            setattr(module, name, _to(original, uri))


def _to(original: Callable[..., Any], uri: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(_uri: Any = None) -> Any:
        return original(uri)

    return call
