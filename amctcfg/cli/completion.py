# SPDX-License-Identifier: Apache-2.0
"""The command completion: what shells ask for. Names come from models, so they are data wherever they are inserted."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from typing import Any, Iterable, Iterator, Sequence, Tuple

from ..diagnostics.codes import CODES
from ..diagnostics.words import escape_controls
from ..flavours import FLAVOURS
from ..flavours.layer import Layer, Layers
from ..workspace.failure import Failure
from ..workspace.workspace import AUTO, Options, Workspace
from .arguments import COMMANDS, option, options_of
from .console import Console

QUERY = "query"  # what the scripts ask with

SCRIPTS = {
    # Each candidate is a line of its own, never a word that the shell expands, and is quoted where it is inserted; one
    # that needs quotes is left out where the user began with a quote.
    "bash": """\
# bash completion of amctcfg: eval "$(amctcfg completion bash)"
_amctcfg() {
    local line word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\\t'*}
        case $word in
            [\\"\\']*) case $line in *[!A-Za-z0-9_./:@%+=,-]*) continue ;; esac ;;
            *) printf -v line %q "$line" ;;
        esac
        COMPREPLY+=("$line")
    done < <(amctcfg completion query -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -o bashdefault -F _amctcfg amctcfg
""",
    "zsh": """\
#compdef amctcfg
# zsh completion of amctcfg: eval "$(amctcfg completion zsh)"
_amctcfg() {
    local line
    local -a values shown
    while IFS= read -r line; do
        values+=("${line%%$'\\t'*}")
        shown+=("${line/$'\\t'/  -- }")
    done < <(amctcfg completion query -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#values} )); then compadd -l -d shown -- "${values[@]}"; else _files; fi
}
compdef _amctcfg amctcfg
""",
    "fish": """\
# fish completion of amctcfg: amctcfg completion fish | source
function __amctcfg
    set -l words (commandline -opc) (commandline -ct)
    set -l found (amctcfg completion query -- $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else if test (count (commandline -opc)) -gt 1
        __fish_complete_path (commandline -ct)
    end
end
complete -c amctcfg -f -a '(__amctcfg)'
""",
}

Completion = Tuple[str, str]  # what is inserted, and what it is


def read_shell(word: str) -> str:
    if word not in (*SCRIPTS, QUERY):
        raise argparse.ArgumentTypeError("there is no completion for '{}'; there is bash, zsh and fish".format(word))
    return word


OPTIONS = (
    option("shell SHELL", "bash, zsh or fish", type=read_shell),
    option("words", argparse.SUPPRESS, nargs="*", default=[]),
)


def run(arguments: argparse.Namespace, console: Console) -> None:
    if arguments.shell != QUERY:
        console.write_result(SCRIPTS[arguments.shell])
        return
    for value, words in complete_words(arguments.words):
        if value.isprintable():  # a name with a line feed or a tab would be two
            console.write_result("{}\t{}\n".format(value, escape_controls(words)) if words else value + "\n")


def complete_words(words: Sequence[str]) -> list[Completion]:
    """Return what could be the last word; nothing where only the shell knows, as for files."""
    words = join_assignments(words) or [""]
    current, lead = words[-1], ""
    if current.startswith("--") and "=" in current:
        name, _, current = current.partition("=")
        lead = name + "="
        words = [*words[:-1], name, current]
    prefixes = (current, re.sub(r"\\(.)", r"\1", current.lstrip("'\"")))  # without quotes
    found = [(value, what) for value, what in offer(words) if value.startswith(prefixes)]
    if not found and words[0] == "explain":
        found = ends_of_paths(offer(words), prefixes[1])
    return [(lead + value, what) for value, what in found]


def join_assignments(words: Sequence[str]) -> list[str]:
    """Read `--option = value`, as bash splits it at the sign, like `--option value`."""
    signs = [word == "=" and before.startswith("--") for word, before in zip(words, ["", *words])]
    return [word for word, sign in zip(words, signs) if not sign] + ([""] if signs[-1:] == [True] else [])


def offer(words: Sequence[str]) -> Iterable[Completion]:
    """Return all that can stand in the last word's place, whatever it begins with."""
    if len(words) == 1:
        return COMMANDS.items()
    if words[0] not in COMMANDS:
        return []
    options = {name: o for o in options_of(words[0]) for name in o.names if name.startswith("-")}
    with_value = {name: o.settings for name, o in options.items() if o.settings.get("action") != "store_true"}
    if words[-2] in with_value:
        return offer_values(words[-2], with_value[words[-2]], words)
    if words[-1].startswith("-"):
        helps = {name: str(o.settings.get("help", "")) for name, o in options.items()}
        return sorted({**helps, "--help": "show the options", "--version": "show the version"}.items())
    positionals = [o for o in options_of(words[0]) if not o.names[0].startswith("-")]
    if not positionals:
        return []
    given = [w for w, before in zip(words[1:-1], words) if not w.startswith("-") and before not in with_value]
    at = positionals[min(len(given), len(positionals) - 1)]
    return offer_values(at.names[0], at.settings, words)


def offer_values(name: str, settings: dict[str, Any], words: Sequence[str]) -> Iterable[Completion]:
    if settings.get("choices"):
        return [(str(choice), "") for choice in settings["choices"]]
    if name == "shell":
        return [(shell, "") for shell in SCRIPTS]
    if name == "--flavour" or (name == "name" and words[0] == "flavours"):
        own = [(AUTO, "what fits model and file")] if name == "--flavour" else []
        return [*[(flavour.name, flavour.title) for flavour in FLAVOURS.values()], *own]
    if name in ("--ignore", "code"):
        return [(code, d.summary) for code, d in CODES.items() if name == "code" or d.severity == "warning"]
    if name == "command_name":
        from .schema import SCHEMAS

        return [(name, what) for name, what in COMMANDS.items() if words[0] != "schema" or name in SCHEMAS]
    if name in ("layers", "--skip", "--match"):
        return ((layer.name, layer.type) for layer in iter_quantizable_layers(words))
    return []


def iter_quantizable_layers(words: Sequence[str]) -> Iterator[Layer]:
    """Yield the layers of the model that the words, or the head of a file in them, name."""
    given = dict(zip(words, words[1:]))
    graph, files = given.get("--graph"), [word for word in words[1:-1] if os.path.isfile(word)]
    try:
        workspace = Workspace(Options(graph=graph, flavour=given.get("--flavour")))
        if words[0] == "layers" or not files:
            kind, _ = workspace.suggest_flavour(graph or files[0])
            layers = workspace.read_model(graph or files[0], kind).layers
        else:
            file = workspace.open(files[0])
            kind, layers = file.flavour, file.layers or Layers(())
    except (OSError, ValueError, IndexError, Failure):
        return
    yield from filter(kind.quantizes, layers)


def ends_of_paths(names: Iterable[Completion], prefix: str) -> list[Completion]:
    """Return the ends of paths that one name alone has, as `explain` takes them."""
    ends = [
        (name[match.end() :], what)
        for name, what in names
        for match in re.finditer(r"[/.]", name)
        if name.startswith(prefix, match.end())
    ]
    counts = Counter(end for end, _ in ends)
    return [(end, what) for end, what in ends if end and counts[end] == 1]
