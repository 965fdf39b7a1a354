"""The commands. Every heavy import stands inside its command, so that help answers at once."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dnndoctor import __version__
from dnndoctor.config import NO_HTML, ComparisonFormat, ConfigError, FailOn, Settings
from dnndoctor.families import FAMILIES
from dnndoctor.outputs import OutputFormat
from dnndoctor.select import Selection
from dnndoctor.workspace import BadInput, check_recording, check_replaceable, check_workspace, check_writable, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dnndoctor.diagnosis import Diagnosis
    from dnndoctor.outputs import Output
    from dnndoctor.rule import Rule
    from dnndoctor.subject.given import Given

FINE, FOUND, FAILED = 0, 1, 2
INTERRUPTED = 130  # what newer versions of typer make of Ctrl-C

# Whatever typer raises about the command line; what it is called and where it lies changes between its versions.
UsageProblem: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="dnndoctor",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Finds what is wrong with a PyTorch training run and says how to mend it.",
    epilog="Exit codes: 0 nothing found at or above --fail-on, 1 findings, 2 wrong usage or not examined.",
)

_TARGET = "A training script, a folder with __main__.py, package.module or module:function."
Target = Annotated[str, typer.Argument(help=_TARGET, show_default=False)]
Arguments = Annotated[list[str] | None, typer.Argument(help="Its arguments, after --.", show_default=False)]
Module = Annotated[bool, typer.Option("-m", help="TARGET is a module's name, as for python -m.")]
Recording = Annotated[str, typer.Argument(help="A recording (*.dnnrec).", show_default=False)]
Before = Annotated[str, typer.Argument(help="The earlier recording (*.dnnrec).", show_default=False)]
After = Annotated[str, typer.Argument(help="The later one.", show_default=False)]
ComparedFormat = Annotated[ComparisonFormat, typer.Option("--output-format", help="What standard output gets.")]
ComparedFile = Annotated[str | None, typer.Option("--output-file", help="Write there instead.", metavar="PATH")]
Baseline = Annotated[
    str | None, typer.Option("--baseline", help="Findings in this file are known and pass.", metavar="FILE")
]
WriteBaseline = Annotated[bool, typer.Option("--write-baseline", help="Make that file: all that is found is known.")]
ComparedHtml = Annotated[str | None, typer.Option("--html", help="Where a page of it goes.", metavar="PATH")]
OfSettings = Annotated[bool, typer.Option("--settings", help="Of [tool.dnndoctor].")]
OfComparison = Annotated[bool, typer.Option("--comparison", help="Of what compare writes.")]
Logs = Annotated[list[str], typer.Argument(help="Files or folders of one run.", show_default=False, metavar="PATH...")]
_LOGS = (
    "Read are TensorBoard events, offline runs of W&B, trainer_state.json, metrics.csv of Lightning, MLflow's file "
    "store, any CSV or JSON lines, what a program printed, and checkpoints (*.pt, *.pth, *.ckpt, *.safetensors). "
    "Nothing of a checkpoint is executed."
)
_OVERHEAD = "How much of the training's time recording may take."
Overhead = Annotated[str, typer.Option(help=_OVERHEAD, metavar="PERCENT")]
_MAX_SIZE = "How large the recording may grow; older steps are thinned then."
MaxSize = Annotated[str, typer.Option("--max-size", help=_MAX_SIZE, metavar="SIZE")]
_TO = "Where the recording goes.  [default: a new one under .dnndoctor/]"
RecordingTo = Annotated[str | None, typer.Option("--recording", help=_TO, metavar="PATH")]
_STOP_ON = "End the training, as Ctrl-C does, when one of these rules finds something."
StopOn = Annotated[list[str] | None, typer.Option("--stop-on", help=_STOP_ON, metavar="RULES")]
_KEEP_BATCHES = "The black box holds the batch that went wrong, and not only the indices of its samples."
KeepBatches = Annotated[bool, typer.Option("--keep-batches", help=_KEEP_BATCHES)]
RuleName = Annotated[str, typer.Argument(help="Code or name.", show_default=False)]

_SELECT = "Only these rules: code, prefix, name, practice or ALL; comma separated."
Select = Annotated[list[str] | None, typer.Option("--select", help=_SELECT, metavar="RULES")]
Ignore = Annotated[list[str] | None, typer.Option("--ignore", help="Not these rules.", metavar="RULES")]
Extend = Annotated[list[str] | None, typer.Option("--extend-select", help="These rules as well.", metavar="RULES")]
Fail = Annotated[FailOn | None, typer.Option("--fail-on", help="Least severity for exit code 1.  [default: error]")]
Zero = Annotated[bool | None, typer.Option("--exit-zero", help="Exit with 0 although there are findings.")]
_FORMAT = (
    f"A report: {', '.join(OutputFormat)}; on standard output, or in a file of its own, as in sarif=report.sarif. "
    "Once for each.  [default: full]"
)
Format = Annotated[list[str] | None, typer.Option("--output-format", help=_FORMAT, metavar="FORMAT[=PATH]")]
File = Annotated[list[str] | None, typer.Option("--output-file", help="Write there instead.", metavar="PATH")]
Html = Annotated[str | None, typer.Option(help="Where the HTML report goes; none: nowhere.", metavar="PATH|none")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks on standard error.")]
ShowSettings = Annotated[bool, typer.Option("--show-settings", help="Print the settings that hold here.")]
Version = Annotated[bool, typer.Option("--version", help="Say the version.")]

_BUDGET = "Seconds that the examination may take.  [default: 120]"
Budget = Annotated[float | None, typer.Option(min=1, help=_BUDGET, metavar="SECONDS")]
_STEPS = "The script's own optimizer steps to watch.  [default: 50]"
Steps = Annotated[int | None, typer.Option(min=1, help=_STEPS, metavar="N")]
Seed = Annotated[int | None, typer.Option(help="Seed torch before the script starts.", metavar="N")]
_REPEAT = "Examine so often, with other seeds each time, and give the median verdict; each has the whole budget."
Repeat = Annotated[int | None, typer.Option(min=1, max=99, help=_REPEAT, metavar="N")]
NoProbes = Annotated[bool, typer.Option("--no-probes", help="Only watch: try nothing.")]
_ONLY = "Of all probes only this one, as learning-rate, data-scan or batch-size. Once for each."
OnlyProbe = Annotated[list[str] | None, typer.Option("--only-probe", help=_ONLY, metavar="NAME")]
_KEEP = "Keep what the script writes; by default the disk is put back."
_DIFF = "Print the fixes as one patch, for git apply or patch -p1, and no report."
Diff = Annotated[bool, typer.Option("--diff", help=_DIFF)]
_FIX = "Make the fixes in your files that change no results but broken ones."
MakeFixes = Annotated[bool, typer.Option("--fix", help=_FIX)]
_UNSAFE = "With --fix: also those that change results: another rate, another loss, another model."
Unsafe = Annotated[bool, typer.Option("--unsafe-fixes", help=_UNSAFE)]
Keep = Annotated[bool | None, typer.Option("--keep-files", help=_KEEP)]
_FAMILY = "The kind of training, where it is not recognised: " + ", ".join(FAMILIES) + "."
Family = Annotated[str | None, typer.Option(help=_FAMILY, metavar="NAME")]

_NAMED = "NAME of the target itself or PKG.MODULE:NAME"
_MODEL = f"For a file without a training loop: the model ({_NAMED})."
ModelName = Annotated[str | None, typer.Option("--model", help=_MODEL, metavar="NAME")]
TrainName = Annotated[str | None, typer.Option("--train", help="Its training data.", metavar="NAME")]
ValName = Annotated[str | None, typer.Option("--val", help="Its validation data.", metavar="NAME")]
LossName = Annotated[str | None, typer.Option("--loss", help="Its loss.", metavar="NAME")]
OptimizerName = Annotated[str | None, typer.Option("--optimizer", help="Its optimizer.", metavar="NAME")]
_INPUT = (
    "Where there is no data: what the model takes, without the batch. 3,32,32 are floats, 128:int or 128:int50257 "
    "token ids, scalar:int1000 one id per sample, x=16 names the argument. Once for each input."
)
Input = Annotated[list[str] | None, typer.Option("--input", help=_INPUT, metavar="SIZES[:KIND]")]


@app.callback(invoke_without_command=True)
def front(context: typer.Context, version: Version = False, show_settings: ShowSettings = False) -> None:
    """Finds what is wrong with a PyTorch training run and says how to mend it."""
    if show_settings:
        from dnndoctor.config import load, shown

        typer.echo(shown(load(Path())))
        raise typer.Exit(FINE)
    if version:
        typer.echo(f"dnndoctor {__version__}")
        raise typer.Exit(FINE)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(FAILED)


@app.command(epilog="Arguments of the script go after --:  dnndoctor check train.py -- --epochs 3")
def check(
    target: Target,
    args: Arguments = None,
    module: Module = False,
    output_format: Format = None,
    output_file: File = None,
    html: Html = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = False,
    select: Select = None,
    ignore: Ignore = None,
    extend_select: Extend = None,
    fail_on: Fail = None,
    exit_zero: Zero = None,
    budget: Budget = None,
    steps: Steps = None,
    seed: Seed = None,
    repeat: Repeat = None,
    no_probes: NoProbes = False,
    only_probe: OnlyProbe = None,
    diff: Diff = False,
    fix: MakeFixes = False,
    unsafe_fixes: Unsafe = False,
    keep_files: Keep = None,
    family: Family = None,
    model: ModelName = None,
    train: TrainName = None,
    val: ValName = None,
    loss: LossName = None,
    optimizer: OptimizerName = None,
    inputs: Input = None,
    quiet: Quiet = False,
) -> None:
    """Examine a training script: run it, unmodified, for a few steps and judge what was measured."""
    from dnndoctor.progress import shown
    from dnndoctor.subject.program import locate

    settings = _settings(
        _overrides(select, ignore, extend_select),
        output_format=tuple(output_format) if output_format else None,
        output_file=tuple(output_file) if output_file else None,
        html=html,
        baseline=baseline,
        fail_on=fail_on,
        exit_zero=exit_zero,
        budget=budget,
        steps=steps,
        seed=seed,
        repeat=repeat,
        probes=False if no_probes else None,
        only_probes=tuple(only_probe) if only_probe else None,
        keep_files=keep_files,
        family=family,
    )
    if fix and diff:
        raise BadInput("--fix changes files and --diff only shows how: give one of them")
    if unsafe_fixes and not fix:
        raise BadInput("--unsafe-fixes goes with --fix")
    program = locate(target, as_module=module)
    _check_baseline(settings, write_baseline)
    _check_outputs(settings)
    check_workspace(Path(settings.root))
    given = _given(model=model, train=train, val=val, loss=loss, optimizer=optimizer, inputs=tuple(inputs or ()))
    if settings.repeat > 1:
        from dnndoctor.repeated import examine_repeatedly as examine
    else:
        from dnndoctor.examination import examine

    with shown(quiet=quiet) as on_progress:
        diagnosis = examine(program, args or (), settings, on_progress=on_progress, given=given)
    diagnosis = _known(diagnosis, settings, write_baseline, quiet)
    if fix:
        _fix(diagnosis, settings, unsafe_fixes, quiet)
    raise typer.Exit(_patch(diagnosis, settings, quiet) if diff else _deliver(diagnosis, settings, quiet))


@app.command()
def report(
    recording: Recording,
    output_format: Format = None,
    output_file: File = None,
    html: Html = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = False,
    select: Select = None,
    ignore: Ignore = None,
    extend_select: Extend = None,
    fail_on: Fail = None,
    exit_zero: Zero = None,
    diff: Diff = False,
    quiet: Quiet = False,
) -> None:
    """Judge a recording again and report on it; nothing is run. No HTML unless --html says where."""
    settings = _settings(
        _overrides(select, ignore, extend_select),
        output_format=tuple(output_format) if output_format else None,
        output_file=tuple(output_file) if output_file else None,
        html=html or NO_HTML,
        baseline=baseline,
        fail_on=fail_on,
        exit_zero=exit_zero,
    )
    check_recording(Path(recording))
    _check_baseline(settings, write_baseline)
    _check_outputs(settings)
    from dnndoctor.examination import rediagnose

    try:
        diagnosis = rediagnose(Path(recording), settings)
    except ValueError as why:
        raise BadInput(str(why)) from None
    diagnosis = _known(diagnosis, settings, write_baseline, quiet)
    raise typer.Exit(_patch(diagnosis, settings, quiet) if diff else _deliver(diagnosis, settings, quiet))


@app.command()
def compare(
    before: Before,
    after: After,
    output_format: ComparedFormat = ComparisonFormat.FULL,
    output_file: ComparedFile = None,
    html: ComparedHtml = None,
    select: Select = None,
    ignore: Ignore = None,
    extend_select: Extend = None,
    fail_on: Fail = None,
    exit_zero: Zero = None,
    quiet: Quiet = False,
) -> None:
    """Show two recordings side by side: findings that came, are gone and stayed. Fails for what came."""
    from dnndoctor.comparing import compare_recordings, written

    # Where the settings send the report of an examination is no place for a comparison.
    chosen = _overrides(select, ignore, extend_select)
    settings = _settings(chosen, html=html or NO_HTML, fail_on=fail_on, exit_zero=exit_zero)
    output = Path(output_file) if output_file is not None else None
    for path in (output, settings.html_path):
        if path is not None:
            check_writable(path)
    found = compare_recordings(before, after, settings)
    color = output is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    _write(written(found, output_format, shutil.get_terminal_size((100, 24)).columns, color), output)
    if settings.html_path is not None:
        from dnndoctor.reports.comparison.html import render

        write(settings.html_path, render(found, Path(settings.root)))
        if not quiet:
            _say(f"report: {settings.html_path}")
    if not found.examined:
        _fail("one of the two was not examined, or a rule of ours failed on it: nothing follows from the comparison")
    raise typer.Exit(FOUND if found.fails(settings.fail_on) and not settings.exit_zero else FINE)


@app.command("run", epilog="Arguments of the script go after --:  dnndoctor run train.py -- --epochs 30")
def run_(
    target: Target,
    args: Arguments = None,
    module: Module = False,
    overhead: Overhead = "1%",
    max_size: MaxSize = "200MB",
    recording: RecordingTo = None,
    stop_on: StopOn = None,
    keep_batches: KeepBatches = False,
    output_format: Format = None,
    output_file: File = None,
    html: Html = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = False,
    select: Select = None,
    ignore: Ignore = None,
    extend_select: Extend = None,
    fail_on: Fail = None,
    exit_zero: Zero = None,
    family: Family = None,
    quiet: Quiet = False,
) -> None:
    """Run a whole training, unmodified, with the flight recorder on; judge it while it runs and at its end.

    The exit code is the program's own where that is not 0.
    """
    from dnndoctor.flights import exit_code, run
    from dnndoctor.quantities import share, size
    from dnndoctor.subject.launchers import own_rank
    from dnndoctor.subject.program import locate

    settings = _settings(
        _overrides(select, ignore, extend_select),
        output_format=tuple(output_format) if output_format else None,
        output_file=tuple(output_file) if output_file else None,
        html=html,
        baseline=baseline,
        fail_on=fail_on,
        exit_zero=exit_zero,
        family=family,
    )
    program = locate(target, as_module=module)
    place = Path(recording) if recording is not None else None
    if place is not None:
        check_replaceable(place)
    _check_baseline(settings, write_baseline)
    _check_outputs(settings)
    check_workspace(Path(settings.root))
    flown, diagnosis = run(
        program,
        args or (),
        settings,
        overhead=share(overhead),
        max_bytes=size(max_size),
        recording=place,
        stop_on=_codes(stop_on),
        keep_batches=keep_batches,
        quiet=quiet,
        report_now=settings.html_path,
    )
    rank = own_rank()
    if rank:
        sys.exit(exit_code(flown))  # rank 0 reports for all
    if diagnosis is None:
        _say(f"{program.path}: no optimizer made a step, so nothing was recorded")
        sys.exit(exit_code(flown) or FAILED)
    code = _deliver(_known(diagnosis, settings, write_baseline, quiet), settings, quiet)
    if rank is not None and not flown.stopped:
        sys.exit(exit_code(flown))  # a launcher ends all ranks where one of them fails, and may start them anew
    sys.exit(code if flown.stopped else exit_code(flown) or code)  # 130 is the program's own Ctrl-C, and not ours


@app.command(epilog=_LOGS)
def postmortem(
    paths: Logs,
    output_format: Format = None,
    output_file: File = None,
    html: Html = None,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = False,
    select: Select = None,
    ignore: Ignore = None,
    extend_select: Extend = None,
    fail_on: Fail = None,
    exit_zero: Zero = None,
    family: Family = None,
    quiet: Quiet = False,
) -> None:
    """Say when a finished or failed run went wrong, and why, from the logs and checkpoints that it left."""
    settings = _settings(
        _overrides(select, ignore, extend_select),
        output_format=tuple(output_format) if output_format else None,
        output_file=tuple(output_file) if output_file else None,
        html=html,
        baseline=baseline,
        fail_on=fail_on,
        exit_zero=exit_zero,
        family=family,
    )
    _check_baseline(settings, write_baseline)
    _check_outputs(settings)
    check_workspace(Path(settings.root))
    from dnndoctor.examination import examine_logs

    try:
        diagnosis = examine_logs([Path(each) for each in paths], settings)
    except ValueError as why:
        raise BadInput(str(why)) from None
    raise typer.Exit(_deliver(_known(diagnosis, settings, write_baseline, quiet), settings, quiet))


@app.command()
def rules(select: Select = None, ignore: Ignore = None, extend_select: Extend = None) -> None:
    """List the rules by practice, with their severity and, in brackets, what they judge by."""
    from dnndoctor.registry import load_rules, practices
    from dnndoctor.select import chosen

    settings = _settings(_overrides(select, ignore, extend_select))
    found = chosen(settings, load_rules().values())
    if not found:
        _fail("no rule is left: see select and ignore in the settings and on the command line")
    titles = practices()
    width = max(len(each.name) for each in found)
    for practice in dict.fromkeys(each.practice for each in found):
        typer.secho(f"{titles.get(practice, practice)} ({practice})", bold=True)
        for each in (one for one in found if one.practice == practice):
            needs = ", ".join(need.words for need in each.needs if not need.optional)
            typer.echo(f"  {each.code}  {each.severity:<7}  {each.name:<{width}}  {each.title} [{needs}]")
        typer.echo()


@app.command()
def rule(rule: RuleName) -> None:
    """Show a rule's manual page."""
    from dnndoctor.registry import load_rules
    from dnndoctor.select import nearest

    by_name = {key: each for each in load_rules().values() for key in (each.code.lower(), each.name)}
    found = by_name.get(rule.lower())
    if found is None:
        keys = [key for each in load_rules().values() for key in (each.code, each.name)]
        _fail(f'no rule is called "{rule}"{nearest(rule, keys)}')
    _page(found)


@app.command()
def schema(comparison: OfComparison = False, settings: OfSettings = False) -> None:
    """Print the JSON Schema of --output-format json."""
    import json

    if settings:
        from dnndoctor.config import schema as made
    elif comparison:
        from dnndoctor.reports.comparison.json import schema as made
    else:
        from dnndoctor.reports.json import schema as made

    typer.echo(json.dumps(made(), indent=2))


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code; a mistake in the command line or the input is one line."""
    try:
        code = app(args, prog_name="dnndoctor", standalone_mode=False)
    except UsageProblem as why:
        _fail(_usage(why))
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted")
    except (BadInput, ConfigError) as why:
        _fail(str(why))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; say nothing of it at exit either
        sys.exit(FINE)
    if code == INTERRUPTED:
        _fail("interrupted")
    sys.exit(code if isinstance(code, int) else FINE)


def _settings(overrides: Selection, **options: Any) -> Settings:
    from dnndoctor.config import load, override

    return override(load(Path()), overrides, **options)


def _given(**named: Any) -> Given:
    from dnndoctor.subject.given import Given, parse_input

    for each in named["inputs"]:
        parse_input(each)
    return Given(**named)


def _overrides(select: list[str] | None, ignore: list[str] | None, extend_select: list[str] | None) -> Selection:
    chosen = _split(select) if select is not None else None
    return Selection(select=chosen or None, ignore=_split(ignore), extend_select=_split(extend_select))


def _split(values: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def _codes(selectors: list[str] | None) -> frozenset[str]:
    """The codes of the rules that are meant; an unknown selector is an error that names the nearest one."""
    if not selectors:
        return frozenset()
    from dnndoctor.registry import load_rules
    from dnndoctor.select import UnknownSelector, known

    rules = load_rules().values()
    try:
        return frozenset(each.code for selector in _split(selectors) for each in known(selector, rules))
    except UnknownSelector as why:
        raise BadInput(f"--stop-on: {why}") from None


def _check_baseline(settings: Settings, write_it: bool) -> None:
    path = settings.baseline_path
    if path is None:
        if write_it:
            raise BadInput("--write-baseline needs a file: --baseline FILE")
        return
    check_writable(path)
    if not write_it and not path.exists():
        raise BadInput(f"{path}: no such file; --write-baseline makes it")


def _known(diagnosis: Diagnosis, settings: Settings, write_it: bool, quiet: bool) -> Diagnosis:
    """The diagnosis without what the baseline knows; nothing is concluded from one that was not examined."""
    from dnndoctor.diagnosis import Outcome

    if settings.baseline_path is None or diagnosis.target.outcome is Outcome.NOT:
        return diagnosis
    from dnndoctor.baseline import applied, written

    made, said = (written if write_it else applied)(diagnosis, settings.baseline_path, Path(settings.root))
    if said and not quiet:
        _say(said)
    return made


def _check_outputs(settings: Settings) -> None:
    for path in (*settings.output_paths, *([settings.html_path] if settings.html_path is not None else [])):
        check_writable(path)


def _deliver(diagnosis: Diagnosis, settings: Settings, quiet: bool) -> int:
    """Write the reports; gives the exit code."""
    from dnndoctor.diagnosis import Outcome

    outcome = diagnosis.target.outcome
    empty = outcome is Outcome.NOT and not diagnosis.findings and not diagnosis.run.steps_observed
    wanted = [each for each in settings.outputs if not (empty and each.format.for_people)]
    for each in wanted:
        _write(_rendered(each, diagnosis, settings), Path(settings.root, each.path) if each.path is not None else None)
    if not empty and settings.html_path is not None:
        _write_html(diagnosis, settings.html_path, Path(settings.root), quiet)
    shows_notes = any(each.format is OutputFormat.FULL for each in wanted)
    if not quiet and not shows_notes:
        for note in diagnosis.run.notes:
            _say(note)
    for crash in diagnosis.crashed:
        _say(f"rule {crash.rule.code} failed, which is a fault of dnndoctor: {crash.reason}")
    if outcome is Outcome.NOT:
        _say(f"{diagnosis.target.path}: not examined: {diagnosis.target.reason or 'no reason was recorded'}")
    return _exit_code(diagnosis, settings)


def _patch(diagnosis: Diagnosis, settings: Settings, quiet: bool) -> int:
    """Print the fixes of all findings that go together, and nothing else on standard output."""
    from dnndoctor.fixes import offer

    offered, _ = offer.patch(diagnosis, Path(settings.root), unsafe=True)
    if settings.output_paths:
        write(settings.output_paths[0], offered.text)
    else:
        sys.stdout.buffer.write(offered.text.encode())
        sys.stdout.flush()
    for line in offer.told(offered, done=False) if not quiet else ():
        _say(line)
    return _exit_code(diagnosis, settings)


def _fix(diagnosis: Diagnosis, settings: Settings, unsafe: bool, quiet: bool) -> None:
    from dnndoctor.fixes import offer

    offered, files = offer.patch(diagnosis, Path(settings.root), unsafe=unsafe)
    problems = offer.apply(offered, files, Path(settings.root))
    for problem in problems:
        _say(problem)
    for line in offer.told(offered, done=not problems) if not quiet else ():
        _say(line)


def _exit_code(diagnosis: Diagnosis, settings: Settings) -> int:
    from dnndoctor.diagnosis import Outcome

    if diagnosis.crashed or diagnosis.target.outcome is Outcome.NOT:
        return FAILED
    found = any(each.severity and settings.fail_on.reached(each.severity) for each in diagnosis.findings)
    return FOUND if found and not settings.exit_zero else FINE


def _rendered(output: Output, diagnosis: Diagnosis, settings: Settings) -> str:
    from dnndoctor.delivery import rendered

    color = output.path is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return rendered(output.format, diagnosis, settings, shutil.get_terminal_size((100, 24)).columns, color)


def _write(text: str, path: Path | None) -> None:
    text = text.rstrip("\n") + "\n"
    if path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write(path, text)


def _write_html(diagnosis: Diagnosis, path: Path, root: Path, quiet: bool) -> None:
    from dnndoctor.reports.html import render

    write(path, render(diagnosis, root, path.parent))
    if not quiet:
        _say(f"report: {path}")


def _page(found: Rule) -> None:
    from dnndoctor.registry import practices

    practice = practices().get(found.practice, found.practice)
    typer.secho(f"{found.code} {found.name}", bold=True)
    typer.echo(f"{found.severity} - {practice} ({found.practice})\n")
    for line in found.doc.splitlines():
        typer.secho(line, bold=bool(line) and not line[0].isspace() and not line.endswith("."))
    for number, (family, reason) in enumerate(found.not_for.items()):
        if not number:
            typer.secho("\nNot applicable in", bold=True)
        typer.echo(f"    {family}: {reason}")
    typer.secho("\nSettings", bold=True)
    typer.echo(f"    [tool.dnndoctor.rules.{found.code}]")
    for name, default in found.thresholds.items():
        typer.echo(f"    {name} = {_toml(default)}")
    typer.echo(f"\n    To silence it on a line:  # dnndoctor: ignore[{found.code}]")


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def _usage(problem: Exception) -> str:
    message: str = problem.format_message() if hasattr(problem, "format_message") else str(problem)
    command = getattr(getattr(problem, "ctx", None), "info_name", None)
    if command == "check" and message.startswith("No such option"):
        return f"{message}; an option of the script goes after --"
    return f"{message}; see dnndoctor --help" if command == "dnndoctor" else message


def _say(message: str) -> None:
    print(f"dnndoctor: {' '.join(message.split())}", file=sys.stderr)


def _fail(message: str) -> NoReturn:
    _say(message)
    sys.exit(FAILED)
