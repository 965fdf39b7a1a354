import json
from typing import Any

import msgspec
import pytest

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports import json as report
from dnndoctor.reports.schema import Report


def violations(value: Any, rule: dict[str, Any], defs: dict[str, Any]) -> list[str]:
    """A validator for the part of JSON Schema that the published one uses; an unknown keyword fails."""
    if "$ref" in rule:
        return violations(value, defs[rule["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in rule:
        return [] if any(not violations(value, each, defs) for each in rule["anyOf"]) else [f"{value!r}: none fits"]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None), "boolean": bool}
    kind, problems = rule.get("type"), []
    if kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        problems.append(f"{value!r} is no number")
    if kind in kinds and not isinstance(value, kinds[kind]):
        return [f"{value!r} is no {kind}"]
    if "enum" in rule and value not in rule["enum"]:
        problems.append(f"{value!r} is not among {rule['enum']}")
    if "minimum" in rule and value < rule["minimum"]:
        problems.append(f"{value} is too small")
    problems += [f"{key} is missing" for key in rule.get("required", ()) if key not in value]
    for key, each in rule.get("properties", {}).items():
        problems += violations(value[key], each, defs) if key in value else []
    for each in value if kind == "array" else ():
        problems += violations(each, rule["items"], defs)
    known = {"type", "enum", "minimum", "required", "properties", "items", "title", "description", "$schema", "$defs"}
    return problems + [f"keyword {key} is unknown" for key in rule if key not in known]


@pytest.mark.parametrize("name", ["sick", "sound", "unseen", "hostile"])
def test_every_report_satisfies_the_published_schema(name: str, request: pytest.FixtureRequest) -> None:
    published = report.schema()
    text = report.render(request.getfixturevalue(name))
    assert violations(json.loads(text), published, published["$defs"]) == []
    msgspec.json.decode(text.encode(), type=Report)


def test_the_schema_refuses_what_is_wrong(sick: Diagnosis) -> None:
    published, whole = report.schema(), json.loads(report.render(sick))
    whole["schema_version"] = 2
    del whole["target"]["path"]
    whole["findings"][0]["location"]["line"] = 0
    assert len(violations(whole, published, published["$defs"])) >= 2


def test_the_shape_is_that_of_version_1(sick: Diagnosis) -> None:
    whole = json.loads(report.render(sick))
    keys = ["schema_version", "tool", "target", "run", "practices", "rules", "findings", "summary"]
    assert list(whole) == keys
    assert whole["summary"] == {"error": 1, "warning": 3, "info": 1}
    assert {"rule": "LOS101", "state": "crashed", "reason": "RuntimeError: a bug"} in whole["rules"]
    [init] = [each for each in whole["findings"] if each["rule"] == "INI102"]
    assert init["location"] == {"file": "train.py", "line": 11, "column": 13}
    assert init["fix"]["diff"].startswith("--- train.py")


def test_code_without_a_diff_follows_the_explanation(sick: Diagnosis) -> None:
    [rate] = [each for each in json.loads(report.render(sick))["findings"] if each["rule"] == "LRN101"]
    assert rate["fix"]["explanation"] == "Loss 0.9 instead of 1.92 after the same 20 steps.\n\nlr=0.01"
    assert rate["fix"]["diff"] is None


def test_figures_that_are_not_finite_are_words(hostile: Diagnosis) -> None:
    [finding] = json.loads(report.render(hostile), parse_constant=pytest.fail)["findings"]
    assert finding["evidence"][0]["value"] == "nan"
    assert finding["evidence"][0]["expected"] == "-inf"
