# SPDX-License-Identifier: Apache-2.0
"""The command completion: what shells ask for."""

from __future__ import annotations

import argparse
import os
from typing import Any, Dict, List, Optional, Sequence

from ..diagnostics.codes import CODES
from ..flavours import FLAVOURS
from ..workspace.failure import Failure
from ..workspace.model import Model
from ..workspace.workspace import AUTO, Options, Workspace
from .arguments import COMMANDS, option, options_of, plain
from .console import EXIT_OK, Console

OPTIONS = (
    option("shell", choices=["bash", "zsh", "fish", "query"], metavar="SHELL", help="bash, zsh or fish"),
    option("words", nargs="*", type=plain, help=argparse.SUPPRESS),
)


SCRIPTS = {
    "bash": """\
# bash completion of amctcfg: eval "$(amctcfg completion bash)"
_amctcfg() {
    local IFS=$'\\n' word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=($(compgen -W "$(amctcfg completion query -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$word"))
}
complete -o default -o bashdefault -F _amctcfg amctcfg
""",
    "zsh": """\
#compdef amctcfg
# zsh completion of amctcfg: eval "$(amctcfg completion zsh)"
_amctcfg() {
    local -a found
    found=(${(f)"$(amctcfg completion query -- "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)"})
    if (( ${#found} )); then compadd -- "${found[@]}"; else _files; fi
}
compdef _amctcfg amctcfg
""",
    "fish": """\
# fish completion of amctcfg: amctcfg completion fish | source
function __amctcfg
    set -l words (commandline -opc) (commandline -ct)
    amctcfg completion query -- $words[2..-1] 2>/dev/null
end
complete -c amctcfg -a '(__amctcfg)'
""",
}


def run(arguments: Any, console: Console) -> int:
    if arguments.shell == "query":
        console.result("".join("{}\n".format(word) for word in completions(arguments.words)))
    else:
        console.result(SCRIPTS[arguments.shell])
    return EXIT_OK


def completions(words: Sequence[str]) -> List[str]:
    """What could stand in place of the last word; nothing where only the shell knows, as for files."""
    if len(words) <= 1:
        return list(COMMANDS)
    if words[0] not in COMMANDS:
        return []
    options = {name: o for o in options_of(words[0]) for name in o.names if name.startswith("-")}
    before, current = words[-2], words[-1]
    if before in options and takes_value(options[before]):
        return values_of(before, options[before].settings, words)
    if current.startswith("-"):
        return sorted([*options, "--help", "--version"])
    positionals = [o for o in options_of(words[0]) if not o.names[0].startswith("-")]
    given = [
        w
        for w, b in zip(words[1:-1], words)
        if not w.startswith("-") and not (b in options and takes_value(options[b]))
    ]
    if not positionals:
        return []
    at = positionals[min(len(given), len(positionals) - 1)]
    if words[0] == "help":
        return list(COMMANDS)
    return values_of(at.names[0], at.settings, words)


def takes_value(option: Any) -> bool:
    return option.settings.get("action") not in ("store_true",)


def values_of(name: str, settings: Dict[str, Any], words: Sequence[str]) -> List[str]:
    if settings.get("choices"):
        return [choice for choice in settings["choices"] if choice != "query"]
    if name == "--flavour":
        return [*FLAVOURS, AUTO]
    if name == "--ignore":
        return [code for code, described in CODES.items() if described.severity == "warning"]
    if name == "name" and words[0] == "flavours":
        return list(FLAVOURS)
    if name == "code":
        return list(CODES)
    if name in ("layers", "--skip", "--match"):
        return layer_names(words)
    return []


def layer_names(words: Sequence[str]) -> List[str]:
    """The layers that can be quantized of the model that the command line, or the head of a file on it, names."""
    graph = next((word for before, word in zip(words, words[1:]) if before == "--graph"), None)
    flavour = next((word for before, word in zip(words, words[1:]) if before == "--flavour"), None)
    files = [word for word in words[1:-1] if os.path.isfile(word)]
    try:
        workspace = Workspace(Options(graph=graph, flavour=flavour))
        if words[0] == "layers" or not files:
            graph = graph or files[0]
            kind, _ = workspace.flavour_of_model(graph)
            model: Optional[Model] = workspace.model(graph, kind)
        else:
            file = workspace.open(files[0])
            kind, model = file.flavour, file.model
    except (OSError, ValueError, IndexError, Failure):
        return []
    return [] if model is None else [layer.name for layer in model.layers if kind.quantizes(layer)]
