"""Fixes speak of the script's own variables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dnndoctor.findings import Finding, Fix, Severity
from dnndoctor.measurements import FoundModel, TrainingLoop
from dnndoctor.placeholders import with_own_names
from dnndoctor.rule import rule


def code(text: str | None, *models: FoundModel) -> str | None:
    @rule("XYZ101", Severity.ERROR, practice="loss")
    def fault() -> Iterator[Finding]:
        """A fault."""
        yield Finding("it", fix=Fix("do", code=text))

    loop = TrainingLoop("supervised", "", models)
    [result] = with_own_names([fault.evaluate({})], loop)
    fix = result.findings[0].fix
    assert fix is not None
    return fix.code


def model(name: str, prefix: str = "", trainable: int = 9) -> FoundModel:
    return FoundModel(name, "Net", 9, trainable, prefix=prefix)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("net", "nn.init.zeros_(model.layers[0].bias)", "nn.init.zeros_(net.layers[0].bias)"),
        ("net", "SGD(model.parameters(), lr=1)\nmodel.eval()", "SGD(net.parameters(), lr=1)\nnet.eval()"),
        ("net", "nn.init.zeros_(model[2].bias)", "nn.init.zeros_(net[2].bias)"),
        ("net", "self.model.a; remodel.b; model", "self.model.a; remodel.b; model"),
        ("model", "model.a", "model.a"),
        ("Net 2", "model.a", "model.a"),
    ],
)
def test_one_model(name: str, before: str, after: str) -> None:
    assert code(before, model(name)) == after


def test_several_models_are_known_by_what_their_names_begin_with() -> None:
    models = (model("netG", "Generator"), model("nets[2]", "nets[2]"))
    assert code("zeros_(model.Generator.net[0].weight)", *models) == "zeros_(netG.net[0].weight)"
    assert code("zeros_(model.nets[2].a.weight)", *models) == "zeros_(nets[2].a.weight)"
    assert code("model.parameters()", *models) == "model.parameters()"


def test_a_teacher_beside_it_leaves_no_doubt() -> None:
    assert code("model.a", model("student"), model("teacher", trainable=0)) == "student.a"


def test_no_code_no_change() -> None:
    assert code(None, model("net")) is None


def test_tensors_have_no_weight_and_no_bias() -> None:
    tensors = FoundModel("w1, w2", "Tensor", 9, 9, tensors=("w1", "w2"))
    assert code("zeros_(model.w2.weight)\nzeros_(model.w2.bias)", tensors) == "zeros_(w2)"
    assert code("model.a; model.w1.weight", tensors, model("net")) == "net.a; w1"


def test_a_model_of_that_name_is_no_placeholder() -> None:
    """``model = copy.deepcopy(template)``: what is to be trained is called model, and is not yet."""
    assert code("SGD(model.parameters())", model("template"), model("model", trainable=0)) == "SGD(model.parameters())"
