# SPDX-License-Identifier: Apache-2.0
"""The commands and their options, each in one place; only the parser of the command that is run is made."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Tuple

from .. import __version__
from ..diagnostics.words import did_you_mean, nearest
from .console import TROUBLE, Console, Exit, Failure

__all__ = ["COMMANDS", "Command", "Parser", "parse_arguments", "parser_of"]

EPILOG = "Exit status: 0 fine, 1 errors in the configuration, 2 wrong usage or unreadable file."

PLAIN = "\0"  # in front of an argument that stands behind "--": it is not an option, whatever it begins with


class Option(NamedTuple):
    """An option or a positional argument, as argparse takes it."""

    names: Tuple[str, ...]
    settings: Dict[str, Any]


def option(*names: str, **settings: Any) -> Option:
    return Option(names, settings)


def plain(argument: str) -> str:
    return argument[len(PLAIN) :] if argument.startswith(PLAIN) else argument


def codes(argument: str) -> List[str]:
    """The codes of warnings, separated by commas."""
    from ..diagnostics.codes import CODES

    found = [code for code in argument.split(",") if code]
    for code in found:
        if code not in CODES:
            hint = did_you_mean(nearest(code, CODES)) or "`amctcfg codes` lists them"
            raise argparse.ArgumentTypeError("there is no diagnostic '{}'; {}".format(code, hint))
        if CODES[code].severity == "error":
            raise argparse.ArgumentTypeError("'{}' is an error; only warnings can be ignored".format(code))
    return found


class Extend(argparse.Action):
    """`--ignore a,b --ignore c`"""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *values])


CFG = option("config", metavar="CFG", type=plain, help="a configuration; - is standard input")
CFGS = option("configs", nargs="+", metavar="CFG", type=plain, help="a configuration; - is standard input")
GRAPH = option(
    "--graph",
    metavar="G",
    help="the model: a frozen TensorFlow graph (.pb), an ONNX model (.onnx), or a table of layers (.json, .csv)",
)
OUTPUT = option("-o", "--output", metavar="OUT", help="the file to replace; standard output if left out")
FLAVOUR = option("--flavour", metavar="NAME", help="the dialect of the file, or auto (default); see `amctcfg flavours`")
RULES = option(
    "--rules",
    choices=["documented", "toolkit"],
    help="the priority rules of the vendor's page (default), or what the toolkit does",
)
LENIENT = option(
    "--lenient",
    action="store_true",
    help="read as the toolkit does: the last of several values counts, and what is missing is empty",
)
STRICT = option("--strict-warnings", action="store_true", help="exit with 1 for warnings, too")
IGNORE = option(
    "--ignore", action=Extend, default=[], type=codes, metavar="CODE,...", help="leave these kinds of warnings out"
)
READING = (GRAPH, FLAVOUR, RULES, LENIENT, STRICT, IGNORE)
SCORES = option("--scores", metavar="R", help="scores of layers: the toolkit's ranking or history, JSON or CSV")
COLUMN = option("--column", metavar="NAME", help="the column of a CSV that holds the score")
LOW = option("--low-is-sensitive", action="store_true", help="layers with low scores are sensitive")
HIGH = option("--high-is-sensitive", action="store_true", help="layers with high scores are sensitive")
SENSITIVITY = (SCORES, COLUMN, LOW, HIGH)


class Command(NamedTuple):
    """A command: what it does in a few words, where its function is, and its options."""

    summary: str
    home: str  # module:function
    options: Tuple[Option, ...] = ()


def formats(*names: str) -> Option:
    return option("--format", choices=list(names), default=names[0], help="default: {}".format(names[0]))


COMMANDS: Dict[str, Command] = {
    "check": Command(
        "report every error and warning of configurations",
        "reading:check",
        (
            CFGS,
            *READING,
            formats("text", "concise", "json", "github", "sarif"),
            option("-q", "--quiet", action="store_true", help="no excerpts and no summary"),
            option("--statistics", action="store_true", help="count the diagnostics by code"),
            option("--fix", action="store_true", help="mend what can be mended safely, in place"),
            option("--unsafe-fixes", action="store_true", help="with --fix, also what is only likely to be meant"),
            option("--diff", action="store_true", help="show what --fix would change, and write nothing"),
        ),
    ),
    "expand": Command(
        "write the JSON quantization config of a model", "reading:expand_command", (CFG, OUTPUT, *READING)
    ),
    "show": Command(
        "show what each layer of a model gets, as a table",
        "reading:show",
        (
            CFG,
            *READING,
            formats("text", "csv", "json", "html"),
            option("--against", metavar="OLD", help="another configuration: show before and after"),
            *SENSITIVITY,
            OUTPUT,
        ),
    ),
    "explain": Command(
        "show where each value of a layer comes from, and the settings it overrides",
        "reading:explain",
        (
            CFG,
            option(
                "layers", nargs="*", metavar="LAYER", type=plain, help="a name, the end of a path, or a pattern with *"
            ),
            option("--all", action="store_true", help="every layer that can be quantized"),
            option("--type", metavar="T", help="the layers' type, where no graph is given"),
            formats("text", "json"),
            *READING,
        ),
    ),
    "fmt": Command(
        "format configurations in place, keeping comments",
        "reading:fmt",
        (
            CFGS,
            option("--check", action="store_true", help="write nothing; exit with 1 if a file would change"),
            option("--diff", action="store_true", help="write nothing; show what would change, and exit with 1 if any"),
            *READING,
        ),
    ),
    "diff": Command(
        "show which layers get something else from B than from A, and because of which line",
        "reading:diff_command",
        (
            option("before", metavar="A", type=plain, help="a configuration or a JSON quantization config; - is stdin"),
            option("after", metavar="B", type=plain, help="another one"),
            formats("text", "json", "markdown"),
            option("--all", action="store_true", help="list every layer"),
            *READING,
        ),
    ),
    "condense": Command(
        "find the shortest configuration for a JSON quantization config",
        "reading:condense_command",
        (
            option("json", metavar="JSON", type=plain, help="the JSON, possibly edited; - is standard input"),
            GRAPH, FLAVOUR, OUTPUT, STRICT,
        ),
    ),
    "layers": Command(
        "list the layers of a graph: name, type, quantizable or why not",
        "reading:layers",
        (
            option("graph", metavar="G", type=plain, help="a graph (.pb, .onnx), or a table of layers (.json, .csv)"),
            formats("text", "json", "csv"),
            option("--quantizable", action="store_true", help="only those that can be quantized"),
            option("--match", metavar="GLOB", help="only those whose name matches; * also matches /"),
            FLAVOUR,
        ),
    ),
    "suggest": Command(
        "skip the sensitive layers of a model",
        "loop:suggest",
        (
            CFG, *READING, *SENSITIVITY,
            option("--worst", metavar="N", type=int, help="the N most sensitive layers"),
            option("--below", metavar="X", type=float, help="layers with a score below X"),
            option("--above", metavar="X", type=float, help="layers with a score above X"),
            option("--skip", metavar="GLOB", action="append", default=[], help="layers whose name matches"),
            OUTPUT,
            option("-i", "--in-place", action="store_true", help="change the file itself"),
        ),
    ),
    "bisect": Command(
        "find the layers that have to be skipped, by running a command on candidates",
        "loop:bisect",
        (
            CFG,
            option("run", nargs="*", metavar="-- COMMAND", type=plain, help="{} is the candidate, {json} its expansion"),
            *READING, *SENSITIVITY,
            option("--target", metavar="X", type=float, help="the score that is good; read from 'amctcfg-score: N'"),
            option("--budget", metavar="N", type=int, help="the most runs"),
            option("--repeat", metavar="K", type=int, default=1, help="runs of each candidate; the majority counts"),
            option("--state", metavar="DIR", help="the journal and the results; CFG.bisect if left out"),
            option("--next", action="store_true", help="write the next candidate and leave"),
            option("--tell", metavar="STATUS", help="the exit status or score of the candidate written by --next"),
        ),
    ),
    "audit": Command(
        "compare what the toolkit did with what a configuration asks",
        "loop:audit",
        (
            CFG, *READING,
            option("--config", dest="json", metavar="JSON", help="the toolkit's JSON quantization config"),
            option("--record", metavar="TXT", help="the toolkit's record file"),
            formats("text", "json"),
        ),
    ),
    "init": Command("write a commented configuration for a model", "manual:init", (GRAPH, FLAVOUR, OUTPUT)),
    "flavours": Command(
        "list the dialects of the file",
        "manual:flavours",
        (
            option("name", nargs="?", metavar="NAME", type=plain, help="one of them"),
            option("--proto", action="store_true", help="print its messages as a .proto file"),
        ),
    ),
    "codes": Command(
        "explain the diagnostics, with example and cure",
        "manual:codes",
        (option("code", nargs="?", metavar="CODE", type=plain, help="one of them"),),
    ),
    "completion": Command(
        "print the completion of a shell",
        "manual:completion",
        (
            option("shell", choices=["bash", "zsh", "fish", "query"], metavar="SHELL", help="bash, zsh or fish"),
            option("words", nargs="*", type=plain, help=argparse.SUPPRESS),
        ),
    ),
    "lsp": Command("run the language server on standard input and output", "manual:lsp"),
    "help": Command(
        "show the help of a command",
        "manual:help_command",
        (option("command_name", nargs="?", metavar="COMMAND", type=plain),),
    ),
}  # fmt: skip


def formatter(prog: str) -> argparse.HelpFormatter:
    """argparse's own asks for the width of the terminal whenever an option is added, by a module that is slow to import."""
    columns = os.environ.get("COLUMNS", "")
    if not columns.isdigit():
        try:
            columns = str(os.get_terminal_size().columns)
        except OSError:
            columns = "80"
    return argparse.HelpFormatter(prog, width=max(int(columns) - 2, 20))


class Parser(argparse.ArgumentParser):
    """argparse on our streams, with the nearest option for one that is not there."""

    console: Console

    def option_actions(self) -> Dict[str, argparse.Action]:
        """What each option does."""
        return {name: action for action in self._actions for name in action.option_strings}

    def _print_message(self, message: str, file: Any = None) -> None:
        if file in (None, sys.stdout, self.console.stdout):
            self.console.result(message)
        elif self.console.stderr is not None:
            self.console.stderr.write(message)

    def print_help(self, file: Any = None) -> None:
        self.console.result(self.format_help())

    def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
        if message and status:
            self.console.note(message)
        elif message:
            self.console.result(message)
        raise Exit(status)

    def error(self, message: str) -> NoReturn:
        lead = "unrecognized arguments: "
        if message.startswith(lead):
            wrong = [word for word in message[len(lead) :].split() if word.startswith("-")]
            known = [name for action in self._actions for name in action.option_strings]
            hint = did_you_mean(nearest(wrong[0], known)) if wrong else None
            message = "there is no option {}{}".format(wrong[0], "; " + hint if hint else "") if wrong else message
        if self.console.stderr is not None:
            self.console.stderr.write(self.format_usage())
        self.console.note(message.replace(PLAIN, ""))
        raise Exit(TROUBLE)


def parse_arguments(argv: List[str], console: Console) -> argparse.Namespace:
    """The arguments of a command, with its function as `command`. Raises `Exit` and `Failure`."""
    if not argv or argv[0] in ("-h", "--help"):
        if argv:
            top_parser(console).print_help()
            raise Exit(0)
        top_parser(console).error("which command? See amctcfg --help")
    if argv[0] in ("-V", "--version"):
        console.lines(["amctcfg " + __version__])
        raise Exit(0)
    if argv[0] not in COMMANDS:
        hint = did_you_mean(nearest(argv[0], COMMANDS)) or "`amctcfg help` lists the commands"
        what = "option" if argv[0].startswith("-") else "command"
        raise Failure("there is no {} '{}'; {}".format(what, argv[0], hint))
    parser = parser_of(argv[0], console)
    arguments = parser.parse_args(arranged(argv[1:], parser))
    module, _, function = COMMANDS[argv[0]].home.partition(":")
    command: Callable[[Any, Console], int] = getattr(importlib.import_module("." + module, __package__), function)
    arguments.command = command
    arguments.strict_warnings = getattr(arguments, "strict_warnings", False)
    return arguments


def arranged(argv: List[str], parser: Parser) -> List[str]:
    """The options in front of the other arguments, so that they may be mixed.

    argparse's own way of doing that is to format the usage first, which takes as long as checking a small file.
    """
    options: List[str] = []
    others: List[str] = []
    rest = iter(argv)
    for argument in rest:
        if argument == "--":
            others += [PLAIN + other if other.startswith("-") else other for other in rest]
        elif argument.startswith("-") and argument != "-":
            options.append(argument)
            if takes_value(argument, parser):
                options += [value for value in (next(rest, None),) if value is not None]
        else:
            others.append(argument)
    return options + others


def takes_value(option: str, parser: Parser) -> bool:
    """Whether the next argument belongs to an option: one that is known, or the beginning of a single one that is."""
    known = parser.option_actions()
    meant = [name for name in known if name == option] or [name for name in known if name.startswith(option)]
    return len(meant) == 1 and "=" not in option and known[meant[0]].nargs is None


def parser_of(name: str, console: Console) -> Parser:
    command = COMMANDS[name]
    summary = command.summary[0].upper() + command.summary[1:] + "."
    parser = Parser(prog="amctcfg " + name, description=summary, epilog=EPILOG, formatter_class=formatter)
    parser.console = console
    for names, settings in command.options:
        parser.add_argument(*names, **settings)
    parser.add_argument("-V", "--version", action="version", version="amctcfg " + __version__)
    return parser


def top_parser(console: Console) -> Parser:
    width = max(map(len, COMMANDS)) + 2
    rows = ["  {:<{}}{}".format(name, width, command.summary) for name, command in COMMANDS.items()]
    parser = Parser(
        prog="amctcfg",
        usage="amctcfg COMMAND ...",
        description="Simplified configuration files of AMCT (quant.cfg).\n\ncommands:\n" + "\n".join(rows),
        epilog="`amctcfg help COMMAND` shows the options of a command. " + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.console = console
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    return parser
