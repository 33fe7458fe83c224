"""Options that several verbs share: one name, one meaning, one help text."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from orca_cool.cli.completion import complete_genomes, complete_models
from orca_cool.cli.device import DEVICE_OPTIONS
from orca_cool.cli.genome_options import genome_options
from orca_cool.cli.guard import Stopped
from orca_cool.cli.help_groups import HelpGroup, WithExample, write_groups
from orca_cool.cli.option_hints import options_meant
from orca_cool.cli.signals import is_stopping
from orca_cool.cli.verbosity import QUIET, verbosity_options
from orca_cool.cli.window_options import WINDOW_STORE, window_store_options
from orca_cool.errors import ModelError, RegionError, printable
from orca_cool.prediction import EDGES

if TYPE_CHECKING:
    from orca_cool.model.estimate import Estimate

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"]}

#: What became of the work of a verb that was stopped, by its parameters.
Remains = Callable[[dict[str, Any]], str | None]


class Verb(WithExample):
    """A command with ``-q`` and ``-v``.

    Parameters
    ----------
    remains : from the parameters, what a run that was stopped has left and how to go on; None (or
        returning None): nothing was written.
    groups : of its options in the help, with examples; none: one list.
    example : a command line for the help, without the program's name.
    """

    def __init__(
        self,
        *args: Any,
        remains: Remains | None = None,
        groups: Sequence[HelpGroup] = (),
        example: str = "",
        **kwargs: Any,
    ):
        super().__init__(*args, **({"context_settings": CONTEXT} | kwargs))
        self.params += verbosity_options()
        self.remains, self.groups, self.example = remains, groups, example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's; both of two options that say the opposite are an error, where click would
        silently use the last. An option that there is not is answered with what was meant.
        """
        given = set(itertools.takewhile(lambda text: text != "--", args))
        for parameter in self.params:
            both = [given.intersection(n) for n in (parameter.opts, parameter.secondary_opts)]
            if all(both):
                first, second = (sorted(names)[0] for names in both)
                raise click.UsageError(f"{first} and {second} exclude each other; give one", ctx)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            options = [name for p in self.params for name in (*p.opts, *p.secondary_opts)]
            error.possibilities = options_meant(error.option_name, options)  # type: ignore[misc]
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, in groups where the verb has some."""
        if self.groups:
            write_groups(self, self.groups, ctx, formatter)
        else:
            super().format_options(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; Ctrl-C and SIGTERM say what became of the work."""
        try:
            return super().invoke(ctx)
        except BaseException as stop:
            if not (isinstance(stop, KeyboardInterrupt) or is_stopping()):
                raise
            left = None if self.remains is None else self.remains(ctx.params)
            raise Stopped(f"stopped; {left or 'nothing was written'}") from stop


class VerbGroup(WithExample, click.Group):
    """A command with commands below it, all of them with ``-q`` and ``-v``.

    Parameters
    ----------
    example : a command line for the help, without the program's name.
    """

    command_class = Verb

    def __init__(self, *args: Any, example: str = "", **kwargs: Any):
        super().__init__(*args, **({"context_settings": CONTEXT} | kwargs))
        self.params += verbosity_options()
        self.example = example


def is_quiet() -> bool:
    """Whether ``-q`` is given, before the verb or behind it."""
    return bool(click.get_current_context().meta.get(QUIET, False))


def echo(text: object, err: bool = False) -> None:
    """Write a text that may hold what a file says, on standard output or standard error."""
    click.echo(printable(str(text)), err=err)


def echo_each(paths: Iterable[object]) -> None:
    """Write paths on standard output, a line each."""
    for path in paths:
        echo(path)


def say(line: str) -> None:
    """A line for the user on standard error, where results do not go."""
    echo(line, err=True)


class Length(click.ParamType):
    """A length or position in bp: 100000, 100,000, 100kb, 0.1Mb."""

    name = "bp"

    def __init__(self, least: int = 0):
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The length as a whole number of bp."""
        if isinstance(value, int):
            return value
        from orca_cool.genome.regions import parse_length  # with numpy, which --help need not load

        try:
            length = parse_length(str(value))
        except RegionError as error:
            self.fail(str(error), param, ctx)
        if length < self.least:
            self.fail(f"{value!r} is less than {self.least:,} bp", param, ctx)
        return length


def all_options(function: F, options: Iterable[Callable[[Any], Any]]) -> F:
    """A function with several options, in the order of its help."""
    return functools.reduce(lambda f, option: option(f), reversed(list(options)), function)


MODEL_HELP = "A model's name (see `orca-cool models list`) or its folder."
#: Of the verbs that also take a model of somebody else.
ANY_MODEL_HELP = (
    f"{MODEL_HELP[:-1]}; or somebody else's, which is run: FILE.py:NAME, a class or function of a "
    "Python file, or the entry point of a package (docs/python.md)."
)
GENOME_HELP = (
    "FASTA (plain or bgzip), .2bit, or the name of a shipped genome (`example`, "
    "`extrusion-example`)."
)
CELL_TYPE_HELP = (
    "Of a model of several cell types, the one whose maps are wanted [default: each; its name "
    "stands in that of its file (OUT.TYPE.mcool) or of its column]."
)
STORE_HELP = (
    "Encodings of the genome on disk (`orca-cool encode`): read from it, and add what it lacks."
)


def device_options(function: F) -> F:
    """Where networks run, and in which number types."""
    return all_options(function, DEVICE_OPTIONS)


#: Names of the options of :func:`job_options`, which are fields of a job.
JOB = (
    "model",
    "genome",
    "cell_type",
    "device",
    "dtype",
    "encoder_dtype",
    "force_dtype",
    "store",
    "edges",
    "chrom_names",
    "any_genome",
    *WINDOW_STORE,
)


def job_options(
    *, required: bool = True, edges: str = "real", several: bool = False, windows: bool = True
) -> Callable[[F], F]:
    """Decorator: model, genome, device, store; they arrive as one argument ``job``, the fields of
    :class:`orca_cool.prediction.job.Job` by name.

    Parameters
    ----------
    required : model and genome must be given.
    edges : the default that the help names.
    several : ``--model`` may be given several times; ``job["model"]`` is a tuple then.
    windows : decoded windows may be stored.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **rest: Any) -> Any:
            job = {name: rest.pop(name) for name in JOB if name in rest}
            return function(*args, job=job, **rest)

        options = [
            click.option(
                "--model",
                "-m",
                required=required,
                multiple=several,
                shell_complete=complete_models,
                help=f"{ANY_MODEL_HELP}{' Repeatable.' * several}",
            ),
            click.option(
                "--genome",
                "-g",
                required=required,
                shell_complete=complete_genomes,
                help=GENOME_HELP,
            ),
            click.option("--cell-type", help=CELL_TYPE_HELP),
            device_options,
            click.option("--store", type=click.Path(), help=STORE_HELP),
            click.option(
                "--edges",
                type=click.Choice(EDGES),
                help="What the encoder sees at the ends of windows: the chromosome going on "
                "(real), "
                f"or zero padding as in the released program [default: {edges}].",
            ),
            *([window_store_options] if windows else []),
            genome_options,
        ]
        return all_options(wrapped, options)  # type: ignore[return-value]

    return decorate


#: Names of the options of :func:`edit_options`.
EDITS = ("edit", "vcf", "haplotype", "sample", "seqstr", "strict")


def edit_options(function: F) -> F:
    """Decorator: edits of the genome, which arrive as one argument ``edits``
    (:class:`orca_cool.variants.options.EditOptions`).
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **rest: Any) -> Any:
        from orca_cool.variants.options import EditOptions  # likewise

        edits = EditOptions(**{name: rest.pop(name) for name in EDITS})
        return function(*args, edits=edits, **rest)

    options = [
        click.option(
            "--edit",
            multiple=True,
            metavar="TEXT",
            help="Edit the genome: `chr2:220,295,000-222,000,000 del`, `... dup x3`, `... inv`, "
            "`chr1:5,000 ins ACGT`, `chr1:1,001 A>G`, `chr5:8M(+)::chr7:9M(-)`; several with "
            "`;`. @FILE reads them from a file. Repeatable.",
        ),
        click.option(
            "--vcf", metavar="FILE", help="Apply the variants of a VCF (or BEDPE, or table)."
        ),
        click.option(
            "--haplotype",
            type=int,
            metavar="K",
            help="With --vcf: only what haplotype K (1, 2) of a sample carries.",
        ),
        click.option(
            "--sample", metavar="NAME", help="With --haplotype: the sample [default: the only one]."
        ),
        click.option(
            "--seqstr",
            metavar="TEXT",
            help="Add chromosomes in Seqstr's notation; @FILE reads it from a file.",
        ),
        click.option(
            "--strict",
            is_flag=True,
            help="With --vcf: a variant that cannot be used is an error, not a warning.",
        ),
    ]
    return all_options(wrapped, options)  # type: ignore[return-value]


def output_option(text: str, *, required: bool = True) -> Callable[[F], F]:
    """``-o/--output``: the file, folder or prefix that is written."""
    return click.option("--output", "-o", required=required, type=click.Path(), help=text)


def levels_option(text: str = "all of the modules used") -> Callable[[F], F]:
    """``--levels``: several, by resolution or window."""
    return click.option(
        "--levels", help=f"Comma-separated resolutions (4000) or windows (1M) [default: {text}]."
    )


force_option = click.option("--force", is_flag=True, help="Replace what is there, and start anew.")

mode_option = click.option(
    "--mode",
    default="regularised",
    show_default=True,
    type=click.Choice(["regularised", "contact"]),
    help="Which number to store.",
)

pseudo_depth_option = click.option(
    "--pseudo-depth",
    default=1e5,
    show_default=True,
    type=click.FloatRange(min=1),
    help="N: count = N * frequency.",
)

clr_weight_name_option = click.option(
    "--clr-weight-name",
    default="weight",
    show_default=True,
    help="Column of balancing weights of the measured map.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

document_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document of outputs, settings and numbers in place of paths.",
)

dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would be computed, and the disk, memory and time that it takes; with "
    "--json as JSON.",
)
phasing_track_option = click.option(
    "--phasing-track",
    metavar="FILE",
    help="BigWig or bedGraph by which E1 is oriented: positive where it is high [default: G+C].",
)


def say_estimate(estimate: Estimate, as_json: bool) -> None:
    """Print what ``--dry-run`` asks for."""
    click.echo(estimate.to_json() if as_json else str(estimate))


nproc_option = click.option(
    "--nproc", "-p", default=1, show_default=True, type=click.IntRange(min=1), help="Processes."
)


def refuse_given(names: Iterable[str], why: str) -> None:
    """Options that would do nothing here are an error, if they are on the command line.

    Parameters
    ----------
    names : of parameters of the current command, as Python has them.
    why : what makes them useless, after their names.

    Raises
    ------
    ModelError
    """
    ctx = click.get_current_context()
    option = {p.name: p.opts[0] for p in ctx.command.params}
    given = [
        _as_given(option[name], ctx.params[name])
        for name in names
        if ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)
    ]
    if given:
        raise ModelError(f"{', '.join(given)}: {why}")


def _as_given(option: str, value: Any) -> str:
    """An option as it stands on the command line: a flag by its name, others with their values."""
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(option if v is True else f"{option} {str(v)!r}" for v in values)
