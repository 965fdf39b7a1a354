"""Objects instead of a script: they are put into the plain loop, and whatever is missing is chosen and said."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from dnndoctor.probes.clock import Stop
from dnndoctor.probes.snapshot import RandomState
from dnndoctor.subject import model_file, synthetic
from dnndoctor.subject.given import Given, parse_input
from dnndoctor.subject.input_search import Found, NotFound, Search, batch_for
from dnndoctor.subject.inputs import Inputs, Leaf, forward_parameters, required
from dnndoctor.subject.model_file import Offer
from dnndoctor.subject.objective import Objective, choose, key
from dnndoctor.subject.plain_loop import BadTarget, Call, GuessedLoss, LossOf, PlainLoop, Reader, UserLoss
from dnndoctor.subject.protocol import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dnndoctor.observe.watch import Watch

BATCH = 32
RATE = 1e-3
LARGEST_TRIED = 50_000_000  # parameters of a model that is copied to try the synthetic data on
ALONE = "the file makes no optimizer step itself, so its model is trained in a plain loop of dnndoctor's"
OURS = "the training loop is dnndoctor's own"
NO_DATA = "the data is synthetic: give train_loader or train_data to have yours judged"
NO_LOADER = "the batches are dnndoctor's own: give train_loader to have yours judged"
NO_LOSS = "the loss was chosen by dnndoctor: give loss_fn to have yours judged"
NO_OPTIMIZER = "the optimizer was chosen by dnndoctor: give optimizer to have yours judged"


@dataclass
class Plan:
    """A loop that is ready, what was chosen for it, and which measurements therefore say nothing about the user."""

    loop: PlainLoop
    notes: list[str]
    missing: dict[str, str]
    guessed: GuessedLoss | None = None

    def told(self) -> list[str]:
        """All notes, the loss among them once it is known."""
        loss = self.guessed.told if self.guessed is not None else None
        return [*self.notes, *([f"loss: {loss}"] if loss else [])]


def train_objects(names: Mapping[str, Any], watch: Watch, given: Given) -> Ending:
    """Train what these names offer, if they offer a model, until the one who watches has seen enough.

    What the model, the data or the loss raise is raised.
    """
    try:
        with quiet(watch):
            offer = model_file.gather(names, given)
            if offer is None:
                return Ending(kind="finished")
            _to_accelerator(offer)
        return train(offer, watch, given)
    except BadTarget as why:
        return Ending(kind="finished", message=str(why))


def train(offer: Offer, watch: Watch, given: Given, kind: str = "model") -> Ending:
    """Plan the loop and run it. Raises BadTarget, and whatever the user's objects raise."""
    with quiet(watch):
        calls = dict(watch.root_inputs)
        watch.forget()
        preparing = _Preparing(offer, given, calls, "--input" if kind == "model" else "input=")
        preparing.data()
    if kind == "model":
        preparing.notes.insert(0, ALONE)
    plan = preparing.plan()  # the optimizer is built where it can be seen
    watch.writer.run(kind=kind, notes=plan.told(), missing=plan.missing)
    watch.resume()
    try:
        plan.loop.run()
    except Stop as stop:
        return Ending(kind=str(stop))
    finally:
        watch.writer.run(notes=plan.told())
    return Ending(kind="finished")


@contextmanager
def quiet(watch: Watch) -> Iterator[None]:
    """Nothing is noted of the passes in here, forward or backward."""
    was = watch.observing, watch.forward.active, watch.inside_backward
    watch.observing, watch.forward.active, watch.inside_backward = False, False, True
    try:
        yield
    finally:
        watch.observing, watch.forward.active, watch.inside_backward = was


def _to_accelerator(offer: Offer) -> None:
    """A file says nothing of where its model is to be trained: where the machine trains fastest."""
    if not torch.accelerator.is_available():
        return
    device = torch.accelerator.current_accelerator()
    on_cpu = all(p.device.type == "cpu" for p in offer.model.parameters())
    if device is not None and on_cpu and not isinstance(offer.optimizer, torch.optim.Optimizer):
        offer.model.to(device)
        offer.notes.append(f"device: {device.type}")


@dataclass
class _Preparing:
    """Decides about one part after the other."""

    offer: Offer
    given: Given
    calls: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]
    option: str
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=lambda: {"Clearings": OURS})
    loader: Iterable[Any] = ()
    feed: Callable[[Any], Call] = field(init=False)
    loss: LossOf = field(init=False)
    guessed: GuessedLoss | None = None
    validation: Iterable[Any] | None = None

    def data(self) -> None:
        """Batches, how the model is called with them, and the loss."""
        self.notes += self.offer.notes
        model = self.offer.model
        lazy = model_file.lazy_layers(model)
        if self.offer.train is None:
            self._without_data(lazy)
            return
        self.loader = self._batches(self.offer.train, self.offer.train_name or "train_loader")
        self.feed = reader = Reader(model)
        if lazy:
            self._materialize(lazy, reader)
        if self.offer.loss is not None:
            self.loss = UserLoss(loss_function(self.offer.loss))
        else:
            self.guessed = self.loss = GuessedLoss()
            self.missing["Losses"] = NO_LOSS
        if self.offer.val is not None:
            self.validation = self._batches(self.offer.val, "val_loader")

    def _batches(self, value: Any, name: str) -> Iterable[Any]:
        batches, ours = batches_of(value, name)
        if ours and name != "val_loader":
            self.notes.append(f"loader: batches of {BATCH}, shuffled")
            self.missing |= dict.fromkeys(("Loaders", "SampleOrder", "Epochs"), NO_LOADER)
        return batches

    def _materialize(self, lazy: list[str], reader: Reader) -> None:
        """Lazy layers take their sizes from the first batch, as in any loop."""
        random = RandomState()
        call = reader(next(iter(self.loader)))
        with torch.no_grad():
            self.offer.model(*call.args, **call.keywords)
        random.restore()
        self.notes.append(f"lazy layers ({', '.join(lazy[:3])}): built by a pass of the first batch")

    def _without_data(self, lazy: list[str]) -> None:
        model = self.offer.model
        if lazy:
            raise BadTarget(
                f"{type(model).__name__} has lazy layers ({', '.join(lazy[:3])}), whose sizes come from data: "
                "define train_loader or train_data, or run one batch through the model first"
            )
        found, how = self._found(model)
        objective = choose(found.inputs, found.output)
        if objective is None:
            raise BadTarget(
                f"the output of {type(model).__name__} carries no gradient to train by: define loss_fn and train_loader"
            )
        objective = _for_user_loss(objective, self.offer.loss)
        device = next(model.parameters()).device
        size = batch_for(found.flops, limit=2e10 if device.type == "cpu" else 1e12)
        inputs = _verified(model, found.inputs, objective)
        self.notes += [f"input: {inputs.told(size)}, {how}", "data: synthetic, random with something to learn in it"]
        self.missing |= dict.fromkeys(("TrainingData", "DataScan", "SampleOrder", "Loaders", "Epochs"), NO_DATA)
        self.loader = synthetic.loader(inputs, objective, size, device)
        self.feed = lambda batch: Call(*_arguments(inputs, batch), target=batch)
        self._objective(objective)

    def _objective(self, objective: Objective) -> None:
        if self.offer.loss is not None:
            user, goal = UserLoss(loss_function(self.offer.loss)), objective.goals[0] if objective.goals else None
            self.loss = lambda output, call: user(
                output, replace(call, target=call.target[key(goal)] if goal else None)
            )
            return
        self.loss = lambda output, call: objective(output, call.target)
        self.notes.append(f"loss: {objective.told}")
        if objective.own is None:
            self.missing["Losses"] = NO_LOSS

    def _found(self, model: nn.Module) -> tuple[Found, str]:
        search = Search(model)
        given = [parse_input(each) for each in self.given.inputs]
        try:
            if given:
                return search.find(search.leaves(given)), "as given"
            called = _own_call(model, self.calls)
            if called is not None:
                with suppress(NotFound):
                    return search.find(called), "as in the file's own call of it"
            return search.find(), f"found by trying shapes (to give another: {self.option})"
        except NotFound as why:
            raise BadTarget(str(why)) from None

    def plan(self) -> Plan:
        """Optimizer and scheduler, and the loop of all."""
        model = self.offer.model
        if self.offer.optimizer is None:
            optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                [p for p in model.parameters() if p.requires_grad], lr=RATE
            )
            self.notes.append(f"optimizer: AdamW at {RATE:g}")
            self.missing["Optimizers"] = NO_OPTIMIZER
        else:
            optimizer = optimizer_of(self.offer.optimizer, model)
        scheduler = scheduler_of(self.offer.scheduler, optimizer)
        loop = PlainLoop(model, self.loader, self.feed, self.loss, optimizer, scheduler, self.validation)
        return Plan(loop, self.notes, self.missing, self.guessed)


def _arguments(inputs: Inputs, batch: Mapping[str, torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, keywords = synthetic.feed(inputs, batch)
    return tuple(args), keywords


def _own_call(
    model: nn.Module, calls: Mapping[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]
) -> dict[str, Leaf] | None:
    """The shapes with which the file itself called a model of this class, such as in a smoke test of its own."""
    for module, (args, keywords) in calls.items():
        if type(module) is not type(model):
            continue
        names = [p.name for p in required(forward_parameters(model))]
        values = {**dict(zip(names, args, strict=False)), **keywords}
        if len(values) >= len(args) and all(isinstance(v, torch.Tensor) and v.dim() for v in values.values()):
            return {name: _leaf_of(value) for name, value in values.items()}
    return None


def _leaf_of(value: torch.Tensor) -> Leaf:
    kind = "bool" if value.dtype is torch.bool else "float" if value.is_floating_point() else "int"
    return Leaf(tuple(value.shape[1:]), kind)


def batches_of(value: Any, name: str) -> tuple[Iterable[Any], bool]:
    """Batches to go over again and again, and whether we make them (out of a dataset). Raises BadTarget."""
    if inspect.isgeneratorfunction(value):
        return _Again(value), False
    if callable(value) and not hasattr(value, "__iter__") and not hasattr(value, "__getitem__"):
        function, value = value, _called(value, name)
        if hasattr(value, "__next__"):
            return _Again(function), False
    if isinstance(value, (DataLoader, _Again)):
        return value, False
    if isinstance(value, Dataset) or name.rpartition(":")[2].endswith("data"):
        return _loader_over(value, name), True
    if isinstance(value, torch.Tensor) or not (hasattr(value, "__iter__") or hasattr(value, "__getitem__")):
        raise BadTarget(
            f"{name} is of type {type(value).__name__}: it has to be a DataLoader or another iterable of batches"
        )
    if hasattr(value, "__next__"):
        raise BadTarget(
            f"{name} is an iterator, which is used up after one pass: give a DataLoader, a list or a function"
        )
    return value, False


def _loader_over(data: Any, name: str) -> DataLoader[Any]:
    if isinstance(data, tuple) and data and all(hasattr(each, "shape") for each in data):
        data = TensorDataset(*(torch.as_tensor(each) for each in data))
    if isinstance(data, torch.utils.data.IterableDataset):
        return DataLoader(data, batch_size=BATCH)
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise BadTarget(
            f"{name} is of type {type(data).__name__}: it has to be a dataset, with a length and items by index"
        )
    if not len(data):
        raise BadTarget(f"{name} is empty: there is nothing to train on")
    return DataLoader(data, batch_size=BATCH, shuffle=True)


class _Again:
    """A function that gives an iterator, as an iterable: it is called anew for every epoch."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def __iter__(self) -> Any:
        return iter(self._function())


def _called(value: Callable[[], Any], name: str) -> Any:
    missing = model_file._asked(value)
    if missing:
        raise BadTarget(f"{name} needs arguments ({', '.join(missing)}): it has to be a function without any")
    return value()


def loss_function(value: Any) -> Callable[..., Any]:
    """A loss to call; a class of losses is built. Raises BadTarget."""
    if isinstance(value, type) and issubclass(value, nn.Module):
        built = _called(value, "loss_fn")
        return model_file.built(built, "loss_fn") if not isinstance(built, nn.Module) else built
    if not callable(value):
        raise BadTarget(f"loss_fn is of type {type(value).__name__}: it has to be a function of output and target")
    found: Callable[..., Any] = value
    return found


def optimizer_of(value: Any, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer itself; a class or function is called with the parameters. Raises BadTarget."""
    if not isinstance(value, torch.optim.Optimizer):
        if not callable(value):
            raise BadTarget(
                f"optimizer is of type {type(value).__name__}: it has to be one or a function of the parameters"
            )
        value = _build_optimizer(value, model)
    optimizer: torch.optim.Optimizer = value
    own = {id(p) for p in model.parameters()}
    held = {id(p) for group in value.param_groups for p in group["params"]}
    if not own & held:
        raise BadTarget(
            f"optimizer ({type(value).__name__}) holds none of the parameters of {type(model).__name__}: "
            "make it a function, def optimizer(parameters), or define model as the very object that it was built for"
        )
    return optimizer


def _build_optimizer(value: Callable[..., Any], model: nn.Module) -> torch.optim.Optimizer:
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    first = parameters[0] if parameters else None
    if first is None and parameters == [] and inspect.isfunction(value):
        made = value()
    elif first is not None and (
        first.name in ("model", "net", "module") or first.annotation in (nn.Module, "nn.Module")
    ):
        made = value(model)
    else:
        made = value(model.parameters())
    if not isinstance(made, torch.optim.Optimizer):
        raise BadTarget(f"optimizer(...) gives {type(made).__name__}: it has to give one torch.optim.Optimizer")
    found: torch.optim.Optimizer = made
    return found


def scheduler_of(value: Any, optimizer: torch.optim.Optimizer) -> Any:
    """The scheduler itself; a class or function is called with the optimizer. Raises BadTarget."""
    if value is None or (not isinstance(value, type) and hasattr(value, "step")):
        return value
    if not callable(value):
        raise BadTarget(
            f"scheduler is of type {type(value).__name__}: it has to be a scheduler or a function of the optimizer"
        )
    made = value(optimizer)
    if not hasattr(made, "step"):
        raise BadTarget(f"scheduler(optimizer) gives {type(made).__name__}, which has no step()")
    return made


_TARGETS = (
    ("binary", ("BCE", "binary_cross_entropy", "SoftMargin")),
    ("classes", ("CrossEntropy", "cross_entropy", "NLL", "nll_loss", "Focal")),
    ("floats", ("MSE", "mse", "L1", "l1_loss", "Huber", "huber")),
)


def _for_user_loss(objective: Objective, loss: Any) -> Objective:
    """Synthetic targets of the kind that the user's own loss is known to take."""
    if loss is None or not objective.goals:
        return objective
    name = getattr(loss, "__name__", "") or type(loss).__name__
    kind = next((kind for kind, signs in _TARGETS if any(each in name for each in signs)), None)
    goal = objective.goals[0]
    if kind is None or kind == goal.kind or (kind == "floats" and goal.kind == "input"):
        return replace(objective, goals=(goal,))
    if kind == "classes":
        return objective
    shape = goal.shape if goal.kind != "classes" else (goal.classes, *goal.shape)
    return replace(objective, goals=(replace(goal, kind=kind, shape=shape, classes=0),))


def _verified(model: nn.Module, inputs: Inputs, objective: Objective) -> Inputs:
    """The inputs with ids as large as the model really takes: it may add an offset before it looks them up."""
    ids = [path for path, leaf in inputs.leaves.items() if leaf.kind == "int" and leaf.high > 1]
    if not ids or sum(p.numel() for p in model.parameters()) > LARGEST_TRIED:
        return inputs
    random = RandomState()
    try:
        copied = copy.deepcopy(model)
        for share in (1, 2, 3, 4, 8, 16, 64, 256, 1024):
            leaves = {
                p: replace(leaf, high=max(leaf.high // share, 1)) if p in ids else leaf
                for p, leaf in inputs.leaves.items()
            }
            tried = Inputs(leaves, inputs.keywords)
            if _runs(copied, tried, objective):
                return tried
    except Exception:  # noqa: BLE001 - a model that cannot be copied is tried by training it
        return inputs
    finally:
        random.restore()
    return inputs


def _runs(model: nn.Module, inputs: Inputs, objective: Objective) -> bool:
    device = next(model.parameters()).device
    batch = synthetic.Batches(inputs, objective, 8, device)[0]
    args, keywords = synthetic.feed(inputs, batch)
    try:
        with torch.no_grad():
            model(*args, **keywords)
    except (IndexError, RuntimeError) as error:
        return "index" not in str(error).lower()
    return True
