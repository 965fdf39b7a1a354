import pytest

from dnndoctor.config import Settings
from dnndoctor.registry import load_rules
from dnndoctor.select import Selection, UnknownSelector, chosen, resolve

RULES = tuple(load_rules().values())
ALL = {each.code for each in RULES}
INI = {code for code in ALL if code.startswith("INI")}


def codes(*layers: Selection) -> set[str]:
    return {each.code for each in resolve(layers, RULES)}


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (("ALL",), ALL),
        (("INI",), INI),
        (("ini101",), {"INI101"}),
        (("rate-too-high",), {"LRN101"}),
        (("weight-initialization",), INI),
        (("SHU101", "INI"), {"SHU101", *INI}),
        ((), set()),
    ],
)
def test_a_selector_is_code_prefix_name_or_practice(selectors: tuple[str, ...], expected: set[str]) -> None:
    assert codes(Selection(select=selectors)) == expected


def test_the_longest_match_wins() -> None:
    assert codes(Selection(select=("ALL",), ignore=("INI",))) == ALL - INI
    assert codes(Selection(select=("INI101",), ignore=("INI",))) == {"INI101"}
    assert codes(Selection(select=("INI",), ignore=("INI1", "INI101"))) == set()
    assert codes(Selection(select=("INI", "INI10"), ignore=("INI1", "INI101"))) == INI - {"INI101"}


def test_ignore_wins_a_tie() -> None:
    assert codes(Selection(select=("INI101",), ignore=("symmetric-weights",))) == set()


def test_extend_select_adds() -> None:
    assert codes(Selection(select=("INI",), extend_select=("SHU101",))) == INI | {"SHU101"}


def test_a_later_layer_wins() -> None:
    file = Selection(select=("ALL",), ignore=("INI101",))
    assert codes(file, Selection(ignore=("LRN",))) == {c for c in ALL if not c.startswith("LRN")} - {"INI101"}
    assert codes(file, Selection(extend_select=("INI101",))) == ALL
    assert codes(Selection(select=("INI101",)), Selection(ignore=("INI",))) == set()


def test_a_later_select_starts_afresh_but_keeps_what_was_ignored_more_exactly() -> None:
    file = Selection(select=("ALL",), ignore=("INI101",))
    assert codes(file, Selection(select=("INI",))) == INI - {"INI101"}
    assert codes(file, Selection(select=("INI101",))) == {"INI101"}


@pytest.mark.parametrize(
    ("selector", "near"),
    [("LRN101x", "LRN101"), ("rate-to-high", "rate-too-high"), ("learning-rat", "learning-rate"), ("AL", "ALL")],
)
def test_an_unknown_selector_names_the_nearest(selector: str, near: str) -> None:
    with pytest.raises(UnknownSelector, match=f'"{selector}"; nearest: {near}$'):
        codes(Selection(ignore=(selector,)))


def test_settings_choose_in_the_order_of_the_catalogue() -> None:
    settings = Settings(ignore=("INI",), overrides=Selection(extend_select=("INI104",)))
    found = [each.code for each in chosen(settings, RULES)]
    assert set(found) == (ALL - INI) | {"INI104"}
    assert found == [each.code for each in RULES if each.code in found]
