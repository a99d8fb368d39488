# SPDX-License-Identifier: Apache-2.0
"""The commands and their options, each in one place; only the parser of the command that is run is made."""

from __future__ import annotations

import argparse
import importlib
import math
from functools import partial
from typing import Any, NamedTuple, NoReturn

from .. import __version__
from ..diagnostics.suggestions import did_you_mean, find_nearest
from ..documents.files import is_same_file
from ..workspace.failure import require_known
from .console import EXIT_FAILURE, Console, Failure, find_columns

EPILOG = "Exit status: 0 fine, 1 errors in the file, 2 wrong usage or unreadable file."

LITERAL_MARK = "\0"  # in front of an argument that stands behind "--": it is not an option, whatever it begins with


class Option(NamedTuple):
    names: tuple[str, ...]
    settings: dict[str, Any]


def option(usage: str, words: str = "", **settings: Any) -> Option:
    """Describe an option by its names, then what stands for its value."""
    names = usage.split()
    if len(names) > 1 and not names[-1].startswith("-"):
        settings["metavar"] = names.pop()
    if words:
        settings["help"] = words
    return Option(tuple(names), settings)


def flag(usage: str, words: str) -> Option:
    return option(usage, words, action="store_true")


def strip_mark(argument: str) -> str:
    return argument[len(LITERAL_MARK) :] if argument.startswith(LITERAL_MARK) else argument


def read_target(argument: str) -> str | None:
    """Return an output's path; None for standard output, whatever it is called."""
    return None if argument == "-" or is_same_file(argument, 1) else argument


def number_from_zero(argument: str) -> int:
    if not argument.isdecimal():
        raise argparse.ArgumentTypeError("'{}' is not a number from 0 on".format(argument))
    return int(argument)


def read_finite_number(argument: str) -> float:
    """Read a number as people write it: no infinity, no digits of other scripts, no underscores."""
    try:
        found = float(argument)
    except ValueError:
        found = math.inf
    if math.isfinite(found) and argument.isascii() and "_" not in argument:
        return found
    raise argparse.ArgumentTypeError("'{}' is not a finite number".format(argument))


def read_codes(argument: str) -> list[str]:
    from ..diagnostics.codes import CODES

    found = [code for code in argument.split(",") if code]
    for code in found:
        if code not in CODES:
            hint = did_you_mean(find_nearest(code, CODES)) or "`amctcfg codes` lists them"
            raise argparse.ArgumentTypeError("there is no diagnostic '{}'; {}".format(code, hint))
        if CODES[code].severity == "error":
            raise argparse.ArgumentTypeError("'{}' is an error; only warnings can be ignored".format(code))
    return found


CFG = option("config CFG", "a configuration; - is standard input")
CFGS = option("configs CFG", "a configuration; - is standard input", nargs="+")
GRAPH = option(
    "--graph G", "the model: a frozen TensorFlow graph (.pb), an ONNX model (.onnx), or a table of layers (.json, .csv)"
)
OUTPUT = option("-o --output OUT", "the file to replace; standard output if left out", type=read_target)
IN_PLACE = flag("-i --in-place", "change the file itself")
FLAVOUR = option("--flavour NAME", "the dialect of the file, or auto (default); see `amctcfg flavours`")
STRICT = flag("--strict-warnings", "exit with 1 for warnings, too")
READING = (
    GRAPH,
    FLAVOUR,
    option("--soc NAME", "the processor that the model is for, such as Ascend310P3"),
    option(
        "--rules",
        "the priority rules of the vendor's page (default), or what the toolkit does",
        choices=["documented", "toolkit"],
    ),
    flag("--lenient", "read as the toolkit does: the last of several values counts, and what is missing is empty"),
    STRICT,
    option("--ignore CODE,...", "leave these kinds of warnings out", action="append", default=[], type=read_codes),
)
ALWAYS = (
    flag("-q --quiet", "no notes, nothing but results and errors"),
    flag("-v --verbose", "say how each file is read"),
    option("--color", "default: auto, on a terminal only", choices=["auto", "always", "never"], default="auto"),
    option("-V --version", action="version", version="amctcfg " + __version__),
)
SENSITIVITY = (
    option("--scores R", "scores of layers: the toolkit's ranking or history, JSON or CSV"),
    option("--column NAME", "the column of a CSV that holds the score"),
    flag("--low-is-sensitive", "layers with low scores are sensitive"),
    flag("--high-is-sensitive", "layers with high scores are sensitive"),
)


def formats(*names: str) -> Option:
    return option("--format", "default: {}".format(names[0]), choices=list(names), default=names[0])


# Each command with its summary, as the help groups them; the module of its name has its OPTIONS and its `run`.
GROUPS: dict[str, dict[str, str]] = {
    "Write and check": {
        "check": "report every error and warning of configurations",
        "fmt": "format configurations in place, keeping comments",
        "init": "write a commented configuration for a model",
        "condense": "find the shortest configuration for a JSON quantization config",
    },
    "See what a layer gets": {
        "show": "show what each layer of a model gets, as a table",
        "explain": "show where each value of a layer comes from, and what it overrides",
        "diff": "show which layers get something else from B than from A, and why",
        "expand": "write the JSON quantization config of a model",
        "layers": "list the layers of a graph: name, type, quantizable or why not",
    },
    "Find better settings": {
        "simulate": "quantize a model here, and show what that does to each layer",
        "tune": "find the cheapest setting for each layer that hurts, by simulation",
        "suggest": "skip the sensitive layers of a model",
        "bisect": "find the layers to skip, by running your command on candidates",
        "audit": "compare what the toolkit did with what a configuration asks",
    },
    "Look up and set up": {
        "flavours": "list the dialects of the file",
        "codes": "explain the diagnostics, with example and cure",
        "schema": "print the JSON Schema of what a command writes with --format json",
        "completion": "print the completion of a shell",
        "lsp": "run the language server on standard input and output",
        "help": "show the help of a command",
    },
}
LISTED_BY_NAME = "Look up and set up"  # in the help, where a summary each would not fit on a screen
COMMANDS: dict[str, str] = {name: summary for group in GROUPS.values() for name, summary in group.items()}


def module_of(name: str) -> Any:
    return importlib.import_module("." + name, __package__)


def options_of(name: str) -> tuple[Option, ...]:
    options: tuple[Option, ...] = module_of(name).OPTIONS
    return options


class Parser(argparse.ArgumentParser):
    """argparse on our streams, with the nearest option for one that is not there."""

    console: Console

    def _print_message(self, message: str, file: Any = None) -> None:
        self.console.write_result(message)

    def error(self, message: str) -> NoReturn:
        wrong = [word for word in message.split() if word.startswith("-")]
        if wrong and message.startswith("unrecognized arguments: "):
            hint = did_you_mean(find_nearest(wrong[0], self._option_string_actions))
            message = "there is no option {}{}".format(wrong[0], "; " + hint if hint else "")
        self.console.complain("{}; see `{} --help`".format(message.replace(LITERAL_MARK, ""), self.prog))
        raise SystemExit(EXIT_FAILURE)


def parse_arguments(argv: list[str], console: Console) -> argparse.Namespace:
    """Return a command's arguments, with its function as `command`."""
    if not argv:
        raise Failure("which command? `amctcfg help` lists them")
    if argv[0] in ("-h", "--help"):
        argv = ["help"]
    if argv[0] in ("-V", "--version"):
        argv = ["help", "--version"]
    require_command(argv[0], "option" if argv[0].startswith("-") else "command")
    parser = parser_of(argv[0], console)
    arguments = parser.parse_args(put_options_first(argv[1:], parser))
    console.is_quiet, console.is_verbose, console.color = arguments.quiet, arguments.verbose, arguments.color
    arguments.command = module_of(argv[0]).run
    return arguments


def require_command(name: str, what: str = "command") -> None:
    require_known(name, COMMANDS, what, "`amctcfg help` lists the commands")


def put_options_first(argv: list[str], parser: Parser) -> list[str]:
    """Put the options in front of the other arguments, so that they may be mixed.

    argparse's own way formats the usage first, which takes as long as checking a small file.
    """
    nargs = {name: action.nargs for name, action in parser._option_string_actions.items()}
    options: list[str] = []
    others: list[str] = []
    wanted: int | str | None = 0  # of the last option: None for one value, "+" for many
    for index, argument in enumerate(argv):
        if wanted is None:
            options.append(argument)
            wanted = 0
        elif argument == "--":
            others += [LITERAL_MARK + other if other.startswith("-") else other for other in argv[index + 1 :]]
            break
        elif argument.startswith("-") and argument != "-":
            options.append(argument)
            wanted = nargs.get(argument, 0)
        else:
            (options if wanted == "+" else others).append(argument)
    if others and any(nargs.get(option) == "+" for option in options):
        return [*options, "--", *others]  # an option that takes many values would take the others, too
    return options + others


def parser_of(name: str, console: Console) -> Parser:
    summary = COMMANDS[name][0].upper() + COMMANDS[name][1:] + "."
    layout = partial(argparse.HelpFormatter, width=max(find_columns() - 2, 20))
    parser = Parser(
        prog="amctcfg " + name, description=summary, epilog=EPILOG, formatter_class=layout, allow_abbrev=False
    )
    parser.console = console
    parser.register("type", None, strip_mark)
    for names, settings in (*options_of(name), *ALWAYS):
        parser.add_argument(*names, **settings)
    return parser


def write_help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = ["Simplified configuration files of AMCT (quant.cfg): amctcfg COMMAND ..."]
    for title, commands in GROUPS.items():
        lines.append(title + ":")
        if title == LISTED_BY_NAME:
            lines.append("  " + ", ".join(commands))
        else:
            lines += ["  {:<{}}{}".format(name, width, summary) for name, summary in commands.items()]
    lines += [
        "`amctcfg help COMMAND` shows the options of a command, `amctcfg -V` the version.",
        EPILOG,
    ]
    return "\n".join(lines) + "\n"
