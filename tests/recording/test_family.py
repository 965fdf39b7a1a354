"""Families are judged from counted signs and rows, never from names; literal rows, no torch."""

from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.families import FAMILIES
from dnndoctor.recording.family import NO_SIGN, SET, pretrained, recognised
from dnndoctor.recording.reader import Rows


def model(name: str, trainable: int, *optimizers: int, prefix: str = "", kind: str = "Net") -> dict[str, Any]:
    return {
        "name": name,
        "class": kind,
        "prefix": prefix,
        "parameters": 100,
        "trainable": trainable,
        "optimizers": list(optimizers),
        "location": ["train.py", 3, 1],
        "alive": True,
    }


TWO = {"models": [model("netG", 100, 1, prefix="G"), model("netD", 100, 0, prefix="D")], "optimizers": [[1], [0]]}


def rows(
    steps: dict[str, int] | None = None,
    *,
    losses: tuple[float, ...] = (),
    loader: bool = False,
    parameters: list[dict[str, Any]] | None = None,
    run: dict[str, Any] | None = None,
    **signs: Any,
) -> Rows:
    facts = {"steps": {"steps": 12, **(steps or {})}, **signs}
    tables: dict[str, list[dict[str, Any]]] = {
        "step": [{"step": i, "loss": each} for i, each in enumerate(losses or (1.0,) * 12)],
        "loader": [{"facts": {"steps": 12 if loader else 0}}],
        "parameter": parameters or [],
    }
    return Rows(tables, {"signs": facts, **(run or {})})


def parameter(
    name: str, size: int, *, trainable: bool = True, loaded: bool = False, held: bool = True
) -> dict[str, Any]:
    facts = {"used": True, "loaded": loaded}
    return {"name": name, "shape": [size], "trainable": trainable, "optimizer": 0 if held else None, "facts": facts}


def test_without_a_sign_it_is_supervised() -> None:
    assert recognised(rows()) == ("supervised", NO_SIGN)
    assert recognised(Rows({})) == ("supervised", NO_SIGN)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_user_s_word_comes_first(family: str) -> None:
    signed = rows({"contrasted": 12})
    assert recognised(signed, family) == (family, SET)
    assert recognised(rows({"contrasted": 12}, run={"family": family})) == (family, SET)


def test_a_gan_is_one_network_taught_through_another_that_judges_it() -> None:
    found = recognised(rows(teaching=[[0, 1, 11]], judging=[[0, 1, 11]], run={"loop": TWO}))
    assert found == ("gan", "netD is trained on what netG puts out, and netG through netD")


@pytest.mark.parametrize(
    "signs",
    [
        {"teaching": [[0, 1, 11]]},  # the critic of an actor is never trained on what the actor does now
        {"judging": [[0, 1, 11]]},  # a probe on detached features
        {"teaching": [[0, 1, 1]], "judging": [[0, 1, 1]]},  # once each is chance
        {"teaching": [[0, 1, 11]], "judging": [[1, 0, 11]]},
    ],
)
def test_half_a_gan_is_none(signs: dict[str, Any]) -> None:
    assert recognised(rows(**signs))[0] != "gan"


def test_an_actor_s_critic_that_learns_values_is_no_judge() -> None:
    signs: dict[str, Any] = {"teaching": [[0, 1, 11]], "judging": [[0, 1, 11]]}
    family, reason = recognised(rows({"bootstrapped 0": 12}, run={"loop": TWO}, **signs))
    assert family == "reinforcement"
    assert reason.startswith("netG is trained through netD")


@pytest.mark.parametrize(
    ("sign", "family"),
    [
        ("score", "reinforcement"),
        ("valued", "reinforcement"),
        ("denoised", "diffusion"),
        ("divergence", "variational"),
        ("contrasted", "contrastive"),
        ("metric triplet_margin_loss", "contrastive"),
        ("metric margin", "contrastive"),
    ],
)
def test_signs_tell_the_family_and_the_reason(sign: str, family: str) -> None:
    found, reason = recognised(rows({sign: 12}))
    assert found == family
    assert reason != NO_SIGN
    assert recognised(rows({sign: 1}))[0] == "supervised", "a sign in one step of twelve is chance"


def test_a_negative_loss_alone_is_no_reinforcement() -> None:
    negative = (-1.0,) * 12
    assert recognised(rows({"log_prob": 12}, losses=negative))[0] == "supervised"
    assert recognised(rows({"log_prob": 12}, losses=negative, most_acting=50, loader=True))[0] == "supervised"
    assert recognised(rows({"log_prob": 12}, losses=negative, most_acting=50))[0] == "reinforcement"
    assert recognised(rows({"log_prob": 12}, most_acting=50))[0] == "supervised"


def test_actions_drawn_from_the_model_s_output_are_reinforcement_whatever_the_loss() -> None:
    assert recognised(rows({"log_prob": 12}, drawn=128))[0] == "reinforcement"
    assert recognised(rows({"log_prob": 12}, drawn=128, loader=True))[0] == "supervised"


def test_loaded_weights_are_fine_tuning() -> None:
    loop = {"models": [model("net", 100, 0)]}
    loaded = rows(parameters=[parameter("a.weight", 9, loaded=True)], run={"pretrained": True, "loop": loop})
    assert pretrained(loaded)
    assert recognised(loaded) == ("fine-tuning", "weights were loaded before the first step")


def test_a_target_network_s_copy_is_no_pretraining() -> None:
    parameters = [parameter("q.weight", 9), parameter("t.weight", 9, loaded=True, held=False)]
    copy = {"models": [model("q", 100, 0, prefix="q"), model("target", 0, prefix="t")]}
    other = {"models": [model("head", 100, 0, prefix="q"), model("body", 0, prefix="t", kind="ResNet")]}
    assert not pretrained(rows(parameters=parameters, run={"pretrained": True, "loop": copy}))
    assert pretrained(rows(parameters=parameters, run={"pretrained": True, "loop": other}))


@pytest.mark.parametrize(("frozen", "family"), [(90, "fine-tuning"), (10, "supervised")])
def test_a_mostly_frozen_model_is_fine_tuned(frozen: int, family: str) -> None:
    parameters = [parameter("body", frozen, trainable=False, held=False), parameter("head", 100 - frozen)]
    assert recognised(rows(parameters=parameters, run={"loop": {"models": [model("net", 10, 0)]}}))[0] == family


def test_a_frozen_teacher_beside_the_model_is_none_of_its_parameters() -> None:
    parameters = [parameter("t.w", 90, trainable=False, held=False), parameter("s.w", 10)]
    loop = {"models": [model("s", 10, 0, prefix="s"), model("t", 0, prefix="t")]}
    assert recognised(rows(parameters=parameters, run={"loop": loop}))[0] == "supervised"
