"""The tables of a recording. Units are SI or counts, lists and mappings JSON text, places file, line and column."""

VERSION = 2  # 1 had each point in a row of its own
APPLICATION_ID = 0x444E4E52  # "DNNR"

_PLACE = "file TEXT, line INTEGER, column INTEGER"

TABLES: dict[str, str] = {
    "run": "key TEXT PRIMARY KEY, value TEXT",
    "module": f"id INTEGER PRIMARY KEY, path TEXT, class TEXT, parameters INTEGER, {_PLACE}",
    "parameter": f"id INTEGER PRIMARY KEY, name TEXT, module TEXT, module_class TEXT, shape TEXT, kind TEXT, "
    f"fan_in INTEGER, fan_out INTEGER, trainable INTEGER, optimizer INTEGER, learning_rate REAL, facts TEXT, {_PLACE}",
    "optimizer": f"id INTEGER PRIMARY KEY, name TEXT, steps INTEGER, facts TEXT, {_PLACE}",
    "loader": f"id INTEGER PRIMARY KEY, facts TEXT, {_PLACE}",
    "step": "step INTEGER PRIMARY KEY, loss REAL, learning_rate REAL, grad_norm REAL, data_seconds REAL, "
    "compute_seconds REAL, backwards INTEGER, batch_size INTEGER",
    "operation": f"id INTEGER PRIMARY KEY, name TEXT, module TEXT, module_class TEXT, inputs TEXT, parameters TEXT, "
    f"shape TEXT, input_shape TEXT, differentiable INTEGER, attributes TEXT, {_PLACE}",
    "activation": "step INTEGER, operation INTEGER, mean REAL, std REAL, unit_std REAL, max_abs REAL, zero_share REAL, "
    "saturated_share REAL, dead_share REAL, pooled INTEGER, low REAL, high REAL, histogram TEXT, "
    "PRIMARY KEY (step, operation)",
    "output_gradient": "step INTEGER, operation INTEGER, rms REAL, PRIMARY KEY (step, operation)",
    "gradient": "step INTEGER, parameter TEXT, rms REAL, PRIMARY KEY (step, parameter)",
    '"update"': "step INTEGER, parameter TEXT, ratio REAL, PRIMARY KEY (step, parameter)",
    "loss": "operation INTEGER PRIMARY KEY, facts TEXT",
    "dataset": f"id INTEGER PRIMARY KEY, facts TEXT, {_PLACE}",
    "pass": f"id INTEGER PRIMARY KEY, facts TEXT, {_PLACE}",
    "clearing": f"id INTEGER PRIMARY KEY, facts TEXT, {_PLACE}",
    "trial": "probe TEXT, setting REAL, step INTEGER, loss REAL, PRIMARY KEY (probe, setting, step)",
    "window": "name TEXT PRIMARY KEY, facts TEXT",
    "probe": "name TEXT PRIMARY KEY, facts TEXT",
    "throughput": "batch_size INTEGER, repeat INTEGER, samples_per_second REAL, peak_bytes REAL, "
    "PRIMARY KEY (batch_size, repeat)",
    "series": "id INTEGER PRIMARY KEY, name TEXT, role TEXT, facts TEXT",
    "checkpoint": "id INTEGER PRIMARY KEY, path TEXT, step REAL, facts TEXT",
    "stretch": "id INTEGER PRIMARY KEY, series INTEGER, level INTEGER, first REAL, last REAL, kept INTEGER, "
    "seen INTEGER, non_finite INTEGER, low REAL, mean REAL, high REAL, points TEXT",
    "recent": "id INTEGER PRIMARY KEY, points TEXT",
    "rank": "step INTEGER PRIMARY KEY, facts TEXT",
    "event": f"id INTEGER PRIMARY KEY, step INTEGER, kind TEXT, facts TEXT, {_PLACE}",
}

POINT = """
CREATE VIEW point AS
SELECT series, json_extract(each.value, '$[0]') AS step, json_extract(each.value, '$[1]') AS value,
       json_extract(each.value, '$[2]') AS time, json_extract(each.value, '$[3]') AS line
FROM stretch, json_each(stretch.points) AS each
UNION ALL
SELECT json_extract(each.value, '$[3]'), json_extract(each.value, '$[0]'), json_extract(each.value, '$[1]'),
       json_extract(each.value, '$[2]'), NULL
FROM recent, json_each(recent.points) AS each
"""


def create() -> list[str]:
    """The statements that make an empty recording."""
    tables = [f"CREATE TABLE {name} ({columns})" for name, columns in TABLES.items()]
    return [f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {VERSION}", *tables, POINT]
