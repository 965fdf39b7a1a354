"""``[tool.dnndoctor]`` of the nearest pyproject.toml, and what the command line says over it."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from dnndoctor.families import FAMILIES
from dnndoctor.findings import Severity
from dnndoctor.outputs import Output, outputs
from dnndoctor.probe_names import nearest_problem
from dnndoctor.select import EVERYTHING, Selection, UnknownSelector, known, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HTML = "dnndoctor-report.html"
NO_HTML = "none"


class ConfigError(ValueError):
    """A setting that cannot be used; the message names file, key and the nearest known one."""


class FailOn(StrEnum):
    """The least severity that makes exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"

    def reached(self, severity: Severity) -> bool:
        """Whether a finding of this severity counts."""
        return self is not FailOn.NEVER and severity.rank <= Severity(self.value).rank


class ComparisonFormat(StrEnum):
    """What ``compare`` writes."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """How to examine and what to say about it.

    ``budget`` in seconds of wall clock; ``steps``: the user's optimizer steps to watch.
    ``repeat``: how many examinations the verdict is the median of.
    ``only_probes``: these alone, if any are named. ``output_format``, ``output_file``: as
    ``outputs.outputs`` reads them. ``html``: a path relative to
    ``root``, or "none". ``thresholds``: by rule code, then by threshold. ``overrides``: the rules that the command
    line chose. ``root``: the working directory.
    """

    select: tuple[str, ...] = (EVERYTHING,)
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    fail_on: FailOn = FailOn.ERROR
    output_format: str | tuple[str, ...] = ()
    output_file: str | tuple[str, ...] = ()
    html: str = DEFAULT_HTML
    baseline: str | None = None
    budget: Annotated[float, msgspec.Meta(ge=1)] = 120.0
    steps: Annotated[int, msgspec.Meta(ge=1)] = 50
    seed: int | None = None
    repeat: Annotated[int, msgspec.Meta(ge=1, le=99)] = 1
    probes: bool = True
    only_probes: tuple[str, ...] = ()
    keep_files: bool = False
    family: str | None = None
    exit_zero: bool = False
    per_file_ignores: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    per_module_ignores: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    severities: dict[str, Severity] = msgspec.field(default_factory=dict)
    thresholds: dict[str, dict[str, Any]] = msgspec.field(name="rules", default_factory=dict)
    overrides: Selection = Selection()
    root: str = "."

    @property
    def family_problem(self) -> str | None:
        """Why the family that was set is none, or None."""
        if self.family is None or self.family in FAMILIES:
            return None
        return f'unknown family "{self.family}"{nearest(self.family, FAMILIES)}; one of {", ".join(FAMILIES)}'

    @property
    def html_path(self) -> Path | None:
        """Where the HTML report goes, or None."""
        return None if self.html == NO_HTML else Path(self.root, self.html)

    @property
    def baseline_path(self) -> Path | None:
        """The file of known findings, or None."""
        return None if self.baseline is None else Path(self.root, self.baseline)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Which reports go where. Raises ValueError with one line where that does not work out."""
        return outputs(_listed(self.output_format), _listed(self.output_file))

    @property
    def output_paths(self) -> tuple[Path, ...]:
        """The files that reports go to."""
        return tuple(Path(self.root, each.path) for each in self.outputs if each.path is not None)


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


NOT_IN_FILE = ("overrides", "root")


def load(root: Path) -> Settings:
    """The settings of the nearest pyproject.toml with a ``[tool.dnndoctor]`` at ``root`` or above it, or the defaults.

    Raises ConfigError.
    """
    for folder in (root.resolve(), *root.resolve().parents):
        file = folder / "pyproject.toml"
        table = _table(file) if file.is_file() else None
        if table is not None:
            return msgspec.structs.replace(_settings(table, _short(file, root)), root=str(root))
    return Settings(root=str(root))


def override(settings: Settings, overrides: Selection, **options: Any) -> Settings:
    """What the command line said over the settings; an option that is None was not given.

    Raises ConfigError.
    """
    _check_selectors({"--select": overrides.select or (), "--ignore": overrides.ignore}, "")
    _check_selectors({"--extend-select": overrides.extend_select}, "")
    given = {name: value for name, value in options.items() if value is not None}
    made = msgspec.structs.replace(settings, overrides=overrides, **given)
    if made.family_problem:
        raise ConfigError(f"--family: {made.family_problem}")
    if problem := nearest_problem(made.only_probes):
        raise ConfigError(f"--only-probe: {problem}")
    try:
        _ = made.outputs
    except ValueError as why:
        raise ConfigError(f"--output-format: {why}") from None
    return made


def shown(settings: Settings) -> str:
    """The settings that hold, as indented JSON."""
    values = {key: each for key, each in msgspec.to_builtins(settings).items() if key not in NOT_IN_FILE}
    return msgspec.json.format(msgspec.json.encode(values), indent=2).decode()


def schema() -> dict[str, Any]:
    """The JSON Schema of ``[tool.dnndoctor]``."""
    made = msgspec.json.schema(Settings)
    definition = made["$defs"]["Settings"]
    for key in NOT_IN_FILE:
        definition["properties"].pop(key, None)
    made["$defs"].pop("Selection", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tool.dnndoctor", **made}


def _table(file: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as why:
        raise ConfigError(f"{file}: {why}") from None
    tool = document.get("tool", {})
    if not isinstance(tool, dict):
        raise ConfigError(f"{file}: tool: expected a table")
    table = tool.get("dnndoctor")
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.dnndoctor: expected a table")
    return table


def _settings(table: dict[str, Any], file: str) -> Settings:
    fields = [each.encode_name for each in msgspec.structs.fields(Settings) if each.name not in NOT_IN_FILE]
    for key in table:
        if key not in fields:
            raise ConfigError(f'{file}: unknown setting "tool.dnndoctor.{key}"{nearest(key, fields)}')
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as why:
        raise ConfigError(f"{file}: {_readable(str(why))}") from None
    lists = {"select": settings.select, "ignore": settings.ignore, "extend-select": settings.extend_select}
    lists |= {f'per-file-ignores."{each}"': selectors for each, selectors in settings.per_file_ignores.items()}
    lists |= {f'per-module-ignores."{each}"': selectors for each, selectors in settings.per_module_ignores.items()}
    lists["severities"] = tuple(settings.severities)
    _check_selectors({f"tool.dnndoctor.{key}": each for key, each in lists.items()}, f"{file}: ")
    try:
        _ = settings.outputs
    except ValueError as why:
        raise ConfigError(f"{file}: tool.dnndoctor.output-format: {why}") from None
    if settings.family_problem:
        raise ConfigError(f"{file}: tool.dnndoctor.family: {settings.family_problem}")
    if problem := nearest_problem(settings.only_probes):
        raise ConfigError(f"{file}: tool.dnndoctor.only-probes: {problem}")
    return msgspec.structs.replace(settings, thresholds=_thresholds(settings.thresholds, file))


def _readable(message: str) -> str:
    what, _, where = message.partition(" - at ")
    key = re.sub(r"\[\d*\.*\]", "", where.strip("`").removeprefix("$"))
    if what.startswith("Invalid enum value"):
        kind = FailOn if key == ".fail-on" else Severity
        what = f"{what}; one of {', '.join(kind)}".replace("Invalid enum value ", "unknown value ")
    return f"tool.dnndoctor{key}: {what.replace('`', '').replace('Expected', 'expected', 1)}"


def _check_selectors(by_key: Mapping[str, tuple[str, ...]], prefix: str) -> None:
    if not any(each != EVERYTHING for selectors in by_key.values() for each in selectors):
        return
    from dnndoctor.registry import load_rules

    rules = load_rules().values()
    for key, selectors in by_key.items():
        for each in selectors:
            try:
                known(each, rules)
            except UnknownSelector as why:
                raise ConfigError(f"{prefix}{key}: {why}") from None


def _thresholds(tables: dict[str, dict[str, Any]], file: str) -> dict[str, dict[str, Any]]:
    if not tables:
        return {}
    from dnndoctor.registry import load_rules

    rules = load_rules()
    by_name = {each.name: each for each in rules.values()} | dict(rules)
    found: dict[str, dict[str, Any]] = {}
    for key, table in tables.items():
        rule = by_name.get(key)
        if rule is None:
            raise ConfigError(f'{file}: unknown rule "tool.dnndoctor.rules.{key}"{nearest(key, by_name)}')
        for name, value in table.items():
            place = f"tool.dnndoctor.rules.{key}.{name}"
            if name not in rule.thresholds:
                raise ConfigError(f'{file}: unknown threshold "{place}"{nearest(name, rule.thresholds)}')
            if not _fits(value, rule.thresholds[name]):
                kind = _kind(rule.thresholds[name])
                raise ConfigError(f"{file}: {place}: expected {kind}, got {value!r}")
        found.setdefault(rule.code, {}).update(table)
    return found


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _kind(default: Any) -> str:
    return {float: "a number", int: "a whole number", bool: "true or false"}.get(type(default), "a text")


def _short(file: Path, root: Path) -> str:
    return file.name if file.parent == root.resolve() else str(file)
