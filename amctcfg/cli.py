# SPDX-License-Identifier: Apache-2.0
"""The command line: `run(argv, stdin, stdout, stderr)` gives the exit status."""

from __future__ import annotations

import argparse
import os
import sys
from typing import IO, Any, Callable, Dict, Iterable, List, NoReturn, Optional, Sequence, Tuple

from . import __version__
from .checking import check
from .codes import CODES
from .condensing import condense
from .diagnostics import ERROR, ConfigError, Diagnostic, render
from .diffing import diff
from .document import Document, parse
from .expansion import expand
from .explain import explain_text, explain_values
from .files import read, write
from .formatting import format as format_text
from .graph import Examined
from .layers import describe, examine_file, layers_to_csv, layers_to_json
from .merging import DOCUMENTED, TOOLKIT
from .model import Model
from .printing import dumps
from .reports import DIFF_FORMATS, FORMATS
from .suggest import did_you_mean, nearest
from .target import TF_ASCEND, Layer
from .validate import errors

__all__ = ["main", "run"]

FINE, ERRORS, TROUBLE = 0, 1, 2

EPILOG = "Exit status: 0 fine, 1 errors in the configuration, 2 wrong usage or unreadable file."


class Failure(Exception):
    """Wrong usage, or a file that can't be read: exit status 2."""


class Console:
    """The three streams, and how to write diagnostics on them."""

    def __init__(self, stdin: IO[str], stdout: IO[str], stderr: IO[str]) -> None:
        self.stdin: IO[str] = stdin
        self.stdout: IO[str] = stdout
        self.stderr: IO[str] = stderr
        terminal = bool(getattr(stderr, "isatty", bool)())
        self.color: bool = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.width: Optional[int] = terminal_width() if terminal else None

    def print(self, text: str) -> None:
        self.stdout.write(text)

    def note(self, text: str) -> None:
        self.stderr.write("amctcfg: {}\n".format(text))

    def diagnostics(self, found: Iterable[Diagnostic], text: Optional[str]) -> None:
        found = tuple(found)
        if found:
            width = {"width": self.width} if self.width else {}
            self.stderr.write(render(found, text, self.color, **width) + "\n")

    def read(self, path: str) -> Tuple[Any, str]:
        """A file's contents and name; `-` is standard input."""
        if path == "-":
            return getattr(self.stdin, "buffer", self.stdin).read(), "<stdin>"
        return read(path)

    def try_read(self, path: str) -> Optional[Tuple[Any, str]]:
        """The same, for one of many files: None where it can't be read, which is said."""
        try:
            return self.read(path)
        except OSError as error:
            self.note("can't read {}: {}".format(path, error.strerror or error))
            return None


def terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def main() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal can't show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        status = run(sys.argv[1:], sys.stdin, sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = ERRORS
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def run(argv: Sequence[str], stdin: IO[str], stdout: IO[str], stderr: IO[str]) -> int:
    """Run a command. Results go to `stdout`, diagnostics to `stderr`."""
    console = Console(stdin, stdout, stderr)
    try:
        arguments = parse_arguments(argv, console)
        status: int = arguments.command(arguments, console)
        return status
    except Exit as exit_:
        return exit_.status
    except ConfigError as error:
        stderr.write(str(error) + "\n")
        return ERRORS
    except (Failure, ImportError) as error:
        console.note(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        console.note("can't read or write {}: {}".format(error.filename or "a file", error.strerror or error))
    return TROUBLE


# ---------------------------------------------------------------- commands


def check_command(arguments: argparse.Namespace, console: Console) -> int:
    layers = layers_of(arguments.graph)
    ignored = set(arguments.ignore)
    found: List[Diagnostic] = []
    status = FINE
    for path in arguments.configs:
        contents = console.try_read(path)
        if contents is None:
            status = TROUBLE
            continue
        text, name = contents
        told = check(text, name, layers, arguments.rules, not arguments.lenient)
        told = tuple(d for d in told if d.severity == ERROR or d.code not in ignored)
        found += told
        if arguments.format == "text":
            console.diagnostics(told, as_text(text))
    if arguments.format != "text":
        console.print(FORMATS[arguments.format](found))
    return status or verdict(found, arguments)


def expand_command(arguments: argparse.Namespace, console: Console) -> int:
    document = read_config(arguments.config, arguments, console)
    plan = expand(document, layers_of(arguments.graph) or (), rules=arguments.rules)
    console.diagnostics(plan.warnings, document.text)
    status = verdict(plan.warnings, arguments)
    if status == FINE:
        output(plan.to_json() + "\n", arguments.output, console)
    return status


def explain_command(arguments: argparse.Namespace, console: Console) -> int:
    document = read_config(arguments.config, arguments, console)
    if arguments.graph:
        examined = examine_graph(arguments.graph)
        model = Model(document, [e.layer for e in examined], TF_ASCEND, arguments.rules)
        chosen = choose_layers(examined, arguments)
        found = errors(model)
    else:
        if not arguments.type or arguments.all or not arguments.layers:
            raise Failure("explain needs --graph, or the names of layers and their --type")
        model = Model(document, None, TF_ASCEND, arguments.rules)
        chosen = [Examined(Layer(name, arguments.type), None) for name in arguments.layers]
        found = ()
    console.diagnostics(found, document.text)
    explained = [(model.merger, model.merger.merge(layer), reason or "") for layer, reason in chosen]
    if arguments.format == "json":
        import json

        values = [explain_values(*parts) for parts in explained]
        console.print(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    else:
        console.print("\n".join(explain_text(*parts) for parts in explained))
    return verdict(found, arguments)


def choose_layers(examined: List[Examined], arguments: argparse.Namespace) -> List[Examined]:
    if arguments.all:
        return [e for e in examined if TF_ASCEND.quantizes(e.layer)]
    by_name = {e.layer.name: e for e in examined}
    unknown = [name for name in arguments.layers if name not in by_name]
    if unknown:
        hint = did_you_mean(nearest(unknown[0], by_name))
        raise Failure("{} has no layer '{}'{}".format(arguments.graph, unknown[0], "; " + hint if hint else ""))
    if not arguments.layers:
        raise Failure("explain needs the names of layers, or --all")
    return [by_name[name] for name in arguments.layers]


def layers_command(arguments: argparse.Namespace, console: Console) -> int:
    examined = examine_graph(arguments.graph)
    layers = [e.layer for e in examined]
    if arguments.format != "text":
        console.print({"json": layers_to_json, "csv": layers_to_csv}[arguments.format](layers))
        return FINE
    shown = [(e.layer.name, e.layer.type, describe(e)) for e in examined]
    widths = [max([len(row[column]) for row in shown] + [0]) for column in (0, 1)]
    for name, layer_type, state in shown:
        console.print("{:<{}}  {:<{}}  {}".format(name, widths[0], layer_type, widths[1], state).rstrip() + "\n")
    return FINE


def fmt_command(arguments: argparse.Namespace, console: Console) -> int:
    status = FINE
    for path in arguments.configs:
        contents = console.try_read(path)
        if contents is None:
            status = TROUBLE
            continue
        text, name = contents
        before = as_text(text)
        try:
            after = format_text(text, name, not arguments.lenient)
        except ConfigError as error:
            console.diagnostics(error.diagnostics, before)
            status = max(status, ERRORS)
            continue
        changed = after != before
        if arguments.diff and changed:
            import difflib

            lines = (before.splitlines(True), after.splitlines(True))
            console.print("".join(difflib.unified_diff(*lines, name, name + " (formatted)")))
        if arguments.check or arguments.diff:
            if changed:
                console.note("would reformat {}".format(name))
                status = max(status, ERRORS)
        elif path == "-":
            console.print(after)
        elif changed:
            write(after, path)
            console.note("reformatted {}".format(name))
    return status


def diff_command(arguments: argparse.Namespace, console: Console) -> int:
    before, after = (read_config(path, arguments, console) for path in (arguments.before, arguments.after))
    layers = layers_of(arguments.graph) or []
    changes = diff(before, after, layers, rules=arguments.rules)
    types = {layer.name: layer.type for layer in layers if TF_ASCEND.quantizes(layer)}
    console.print(DIFF_FORMATS[arguments.format](changes, types, before.name, after.name))
    return ERRORS if changes else FINE


def condense_command(arguments: argparse.Namespace, console: Console) -> int:
    text, name = console.read(arguments.json)
    config = condense(text, layers_of(arguments.graph) or (), name=name)
    output(dumps(config), arguments.output, console)
    return FINE


# ---------------------------------------------------------------- what commands share


def as_text(contents: Any) -> str:
    """A file's contents for showing, also where they are not UTF-8."""
    return contents if isinstance(contents, str) else str(contents, "utf-8", "replace")


def read_config(path: str, arguments: argparse.Namespace, console: Console) -> Document:
    text, name = console.read(path)
    try:
        document = parse(text, name, not arguments.lenient)
    except ConfigError as error:
        console.diagnostics(error.diagnostics, as_text(text))
        raise Exit(ERRORS) from None
    return document


class Exit(Exception):
    """All is said; leave with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status: int = status


def layers_of(graph: Optional[str]) -> Optional[List[Layer]]:
    return None if graph is None else [e.layer for e in examine_graph(graph)]


def examine_graph(path: str) -> List[Examined]:
    try:
        return examine_file(path)
    except ConfigError as error:  # a file that is no graph is unreadable, not a wrong configuration
        raise Failure("can't use {} as a graph\n{}".format(path, error)) from None


def verdict(found: Iterable[Diagnostic], arguments: argparse.Namespace) -> int:
    found = tuple(found)
    return ERRORS if any(d.severity == ERROR for d in found) or (arguments.strict_warnings and found) else FINE


def output(text: str, path: Optional[str], console: Console) -> None:
    if path is None or path == "-":
        console.print(text)
    else:
        write(text, path)


# ---------------------------------------------------------------- arguments


def parse_arguments(argv: Sequence[str], console: Console) -> argparse.Namespace:
    top, commands = parsers(console)
    if argv and argv[0] in commands:  # argparse itself can't mix options and positional arguments below a command
        return commands[argv[0]].parse_intermixed_args(argv[1:])
    return top.parse_args(argv)


def parsers(console: Console) -> Tuple[argparse.ArgumentParser, Dict[str, argparse.ArgumentParser]]:
    class Parser(argparse.ArgumentParser):
        """argparse on our streams."""

        def _print_message(self, message: str, file: Any = None) -> None:
            (console.stdout if file is sys.stdout or file is None else console.stderr).write(message)

        def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
            if message:
                console.stderr.write(message)
            raise Exit(status)

    top = Parser(prog="amctcfg", description="Simplified configuration files of AMCT (quant.cfg).", epilog=EPILOG)
    top.add_argument("--version", action="version", version="amctcfg " + __version__)
    commands: Any = top.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    top.set_defaults(command=lambda arguments, console: top.error("which command? See amctcfg --help"))

    def add(name: str, command: Callable[[argparse.Namespace, Console], int], text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=EPILOG
        )
        added.set_defaults(command=command)
        return added

    added = add("check", check_command, "report every error and warning of configurations")
    added.add_argument("configs", nargs="+", metavar="CFG", help="a configuration; - is standard input")
    graph_option(added, required=False)
    added.add_argument(
        "--format",
        choices=sorted(["text", *FORMATS]),
        default="text",
        help="text (default) on stderr, others on stdout",
    )
    text = "leave a kind of warning out; may be given several times"
    added.add_argument("--ignore", action="append", default=[], choices=list(CODES), metavar="CODE", help=text)
    reading_options(added)

    added = add("expand", expand_command, "write the JSON quantization config of a model")
    added.add_argument("config", metavar="CFG", help="the configuration; - is standard input")
    graph_option(added)
    added.add_argument("-o", "--output", metavar="OUT", help="the file to replace; standard output if left out")
    reading_options(added)

    added = add("explain", explain_command, "say where each value of a layer comes from, and what lost")
    added.add_argument("config", metavar="CFG", help="the configuration; - is standard input")
    added.add_argument("layers", nargs="*", metavar="LAYER", help="a layer's name")
    added.add_argument("--all", action="store_true", help="every layer that can be quantized")
    graph_option(added, required=False)
    added.add_argument("--type", metavar="T", help="the layers' type, where no graph is given")
    added.add_argument("--format", choices=["text", "json"], default="text")
    reading_options(added)

    added = add("fmt", fmt_command, "lay configurations out in one way, in place; comments are kept")
    added.add_argument(
        "configs", nargs="+", metavar="CFG", help="a configuration; - is standard input, to standard output"
    )
    added.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
    added.add_argument(
        "--diff", action="store_true", help="write nothing; show what would change, and exit with 1 if any"
    )
    reading_options(added)

    added = add(
        "diff", diff_command, "say which layers get something else from B than from A, and because of which line"
    )
    added.add_argument("before", metavar="A", help="a configuration; - is standard input")
    added.add_argument("after", metavar="B", help="another one")
    graph_option(added)
    added.add_argument("--format", choices=sorted(DIFF_FORMATS), default="text")
    reading_options(added)

    added = add("condense", condense_command, "find the shortest configuration for a JSON quantization config")
    added.add_argument(
        "json", metavar="JSON", help="the JSON quantization config, possibly edited; - is standard input"
    )
    graph_option(added)
    added.add_argument("-o", "--output", metavar="OUT", help="the file to replace; standard output if left out")

    added = add("layers", layers_command, "list the layers of a graph: name, type, quantizable or why not")
    added.add_argument("graph", metavar="G", help="a frozen graph (.pb), or a table of layers (.json, .csv)")
    added.add_argument("--format", choices=["text", "json", "csv"], default="text")
    return top, commands.choices


def graph_option(parser: argparse.ArgumentParser, required: bool = True) -> None:
    text = "the model: a frozen TensorFlow graph (.pb), or a table of layers (.json, .csv)"
    parser.add_argument("--graph", metavar="G", required=required, help=text)


def reading_options(parser: argparse.ArgumentParser) -> None:
    text = "the priority rules of the vendor's page (default), or what the toolkit does"
    parser.add_argument("--rules", choices=[DOCUMENTED, TOOLKIT], default=DOCUMENTED, help=text)
    text = "read as the toolkit does: the last of several values counts, and what is missing is empty"
    parser.add_argument("--lenient", action="store_true", help=text)
    parser.add_argument("--strict-warnings", action="store_true", help="exit with 1 for warnings, too")
