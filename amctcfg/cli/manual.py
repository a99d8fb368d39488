# SPDX-License-Identifier: Apache-2.0
"""The commands that tell what there is: init, flavours, codes, completion, help; and the way into the language server."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..diagnostics.codes import CODES, Code
from ..diagnostics.diagnostic import ConfigError, Diagnostic, render
from ..diagnostics.words import did_you_mean, listed, nearest
from ..flavours import FLAVOURS
from ..flavours.flavour import Flavour
from ..layers.layer import Layer
from .arguments import COMMANDS, parser_of, top_parser
from .console import FINE, Console, Failure
from .job import AUTO, Jobs, detected, flavour_by_name

__all__ = ["codes", "completion", "example_of", "flavours", "help_command", "init", "lsp"]


# ---------------------------------------------------------------- codes

# The models that the examples are checked on.
EXAMPLE_LAYERS: Dict[str, Tuple[Layer, ...]] = {
    "tf-ascend": (
        Layer("conv1", "Conv2D"),
        Layer("conv2", "Conv2D"),
        Layer("conv_dynamic", "Conv2D", False),
        Layer("relu1", "Relu"),
        Layer("stage/fc", "MatMul"),
    ),
    "pytorch": (
        Layer("conv1", "Conv2d"),
        Layer("conv3", "Conv3d"),
        Layer("pool", "AvgPool2d"),
        Layer("fc", "Linear"),
    ),
}


def example_of(code: str) -> Tuple[Diagnostic, ...]:
    """What `check` reports of that code for the example."""
    described = CODES[code]
    flavour, layers = FLAVOURS[described.flavour], EXAMPLE_LAYERS[described.flavour]
    if code == "invalid-json":
        from ..resolve.quant_config import read_plan

        try:
            read_plan(described.example, layers, "config.json")
        except ConfigError as error:
            return error.diagnostics
    from ..checks.checking import check
    from ..documents.settings import Settings

    if code == "unused-ignore":
        return tuple(Settings(described.example, "quant.cfg").unused(()))
    if code == "reserved-name":
        layers = (*layers, Layer("version", "Conv2D"))
    for model in (None, layers):
        found = check(described.example, "quant.cfg", model, flavour=flavour)
        if any(d.code == code for d in found):
            return tuple(d for d in found if d.code == code)
    return ()


def codes(arguments: Any, console: Console) -> int:
    if arguments.code is None:
        width = max(map(len, CODES))
        console.lines("{:<{}}  {:<7}  {}".format(name, width, c.severity, c.summary) for name, c in CODES.items())
        return FINE
    if arguments.code not in CODES:
        hint = did_you_mean(nearest(arguments.code, CODES)) or "`amctcfg codes` lists them"
        raise Failure("there is no diagnostic '{}'; {}".format(arguments.code, hint))
    console.result(code_text(arguments.code, CODES[arguments.code]))
    return FINE


def code_text(name: str, described: Code) -> str:
    parts = ["{} ({})\n\n{}\n".format(name, described.severity, described.summary)]
    if described.example:
        read = "" if described.flavour == "tf-ascend" else ", read as {}".format(described.flavour)
        shown = "".join("    {}\n".format(line) for line in described.example.splitlines())
        told = render(example_of(name), described.example)
        parts.append(
            "\nExample{}:\n\n{}\n{}\n".format(read, shown, "".join("    {}\n".format(x) for x in told.splitlines()))
        )
    parts.append("{}Cure: {}\n".format("" if described.example else "\n", described.cure))
    return "".join(parts)


# ---------------------------------------------------------------- flavours


def flavours(arguments: Any, console: Console) -> int:
    if arguments.proto and arguments.name is None:
        raise Failure("--proto prints one flavour; say which: {}".format(listed(list(FLAVOURS), "or")))
    if arguments.name is not None:
        flavour = flavour_by_name(arguments.name)
        if arguments.proto:
            from ..tools.exporting import proto

            console.result(proto(flavour))
        else:
            console.lines(described_flavour(flavour))
        return FINE
    rows = [(f.name, f.title, f.versions or "", f.evidence) for f in FLAVOURS.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        console.lines(
            [
                "{:<{}}  {:<{}}  {:<{}}  evidence: {}".format(
                    row[0], widths[0], row[1], widths[1], row[2], widths[2], row[3]
                )
            ]
        )
    return FINE


EVIDENCE = {
    "code": "compared with the toolkit's own code",
    "pages": "known from the vendor's pages only; what they leave open is left out here",
}


def described_flavour(flavour: Flavour[Any]) -> Iterator[str]:
    from ..messages.message import messages_of

    yield "{}: {}".format(flavour.name, flavour.title)
    yield "  schema    {}".format(flavour.proto or "not named by the vendor's pages")
    if flavour.versions:
        yield "  versions  {}".format(flavour.versions)
    yield "  evidence  {}".format(EVIDENCE[flavour.evidence])
    yield "  JSON      {}".format("written by the toolkit" if flavour.layout else "none")
    yield "  types"
    width = max(map(len, flavour.types))
    for name, layer_type in flavour.types.items():
        words = [
            words
            for words, holds in (
                ("tensor_quantize only", not layer_type.quantizable),
                ("channel_wise", layer_type.channel_wise),
                ("BN fused", layer_type.fusible),
                ("symmetric only", layer_type.symmetric_only),
            )
            if holds
        ]
        words += [ability for ability in layer_type.abilities if " by type" not in ability]
        yield "    {:<{}}  {}".format(name, width, ", ".join(words)).rstrip()
    yield "  messages"
    for message in messages_of(flavour.config):
        yield "    {}: {}".format(message.__name__, ", ".join(message.__schema__.fields))


# ---------------------------------------------------------------- init


def init(arguments: Any, console: Console) -> int:
    if arguments.graph is None:
        raise Failure("a model is needed: --graph G")
    jobs = Jobs(arguments, console)
    if arguments.flavour in (None, AUTO):
        flavour, why = detected("", arguments.graph, arguments.graph, jobs, False)
        if flavour.name != "tf-ascend":
            jobs.note("written for {}: {}".format(flavour.name, why))
    else:
        flavour = flavour_by_name(arguments.flavour)
    layers = jobs.model(arguments.graph, flavour).layers
    folder = os.path.dirname(arguments.output) if arguments.output not in (None, "-") else ""
    graph = os.path.relpath(arguments.graph, folder or os.curdir)
    console.output(template(flavour, layers, graph.replace(os.sep, "/")), arguments.output, (arguments.graph,))
    return FINE


def template(flavour: Flavour[Any], layers: Sequence[Layer], graph: str) -> str:
    """A configuration of defaults for a model, with a comment for each field."""
    from ..messages.documentation import field_meanings
    from ..messages.kinds import STRING

    quantizable = [layer for layer in layers if flavour.quantizes(layer)]
    counts: Dict[str, int] = {}
    for layer in quantizable:
        counts[layer.type] = counts.get(layer.type, 0) + 1
    setting = 'graph="{}"'.format(graph) if " " in graph else "graph={}".format(graph)
    lines = ["# amctcfg: {} flavour={}".format(setting, flavour.name)]
    listing = ["{} {}".format(count, name) for name, count in counts.items()]
    lines.append("# {} layers can be quantized: {}.".format(len(quantizable), ", ".join(listing) or "none"))
    ends = list(dict.fromkeys(layer.name for layer in (*quantizable[:1], *quantizable[-1:])))
    type_name = next(iter(counts), "") or next(iter(flavour.quantizable_types))
    for name, meaning in field_meanings(flavour.config).items():
        field = flavour.config.__schema__.fields[name]
        if name in dict(flavour.stand_ins):
            continue
        lines += ["", "# {}".format(meaning)]
        if name == "skip_layers":
            lines += [
                "# The first and the last layer are usual candidates.",
                *["# skip_layers: {}".format(STRING.written(n)) for n in ends],
            ]
        elif name == "skip_layer_types":
            lines.append("# skip_layer_types: {}".format(STRING.written(type_name)))
        elif name == "skip_fusion_layers":
            fused = next((layer.name for layer in layers if layer.type in flavour.fusible_types), None)
            lines.append("# skip_fusion_layers: {}".format(STRING.written(fused or "a layer")))
        elif name == "common_config":
            lines += block_lines(field.kind, "common_config {", "")
        elif name == "override_layer_types":
            lines += override(name, "layer_type", type_name)
        elif name == "override_layer_configs":
            lines += override(name, "layer_name", ends[0] if ends else "a layer")
        elif field.is_message:
            lines.append("# {} {{ ... }}".format(name))
        elif field.label == "repeated":
            lines.append("# {}: {}".format(name, STRING.written(ends[0] if ends else "a layer")))
        elif field.default is None:
            lines.append("# {}: {}".format(name, field.kind.example))
        else:
            lines.append("{}: {}".format(name, field.kind.written(field.default)))
    return "\n".join(lines) + "\n"


def override(field: str, key: str, name: str) -> List[str]:
    from ..messages.kinds import STRING

    return [
        "# {} {{".format(field),
        "#   {}: {}".format(key, STRING.written(name)),
        "#   calibration_config { ifmr_quantize { search_step: 0.02 } }",
        "# }",
    ]


def block_lines(block: Any, head: str, indent: str) -> List[str]:
    """A block with the defaults of its default algorithms, and what else there is as comments."""
    from ..messages.documentation import field_meanings
    from ..messages.message import BY_TYPE

    lines = [indent + head]
    inner = indent + "  "
    for part, meaning in field_meanings(block).items():
        field = block.__schema__.fields[part]
        lines.append("{}# {}".format(inner, meaning))
        if not field.is_message or (field.default is None):
            lines.append(
                "{}# {}{}".format(inner, part, " { }" if field.is_message else ": {}".format(field.kind.example))
            )
            continue
        lines.append("{}{} {{".format(inner, part))
        for name, words in field_meanings(field.kind).items():
            leaf = field.kind.__schema__.fields[name]
            lines.append("{}  # {}".format(inner, words))
            if leaf.default is BY_TYPE or leaf.cascades is not None:
                lines.append("{}  # {}: {}".format(inner, name, leaf.kind.example))
            else:
                lines.append("{}  {}: {}".format(inner, name, leaf.kind.written(leaf.default)))
        lines.append(inner + "}")
    return [*lines, indent + "}"]


# ---------------------------------------------------------------- help, lsp


def help_command(arguments: Any, console: Console) -> int:
    name = arguments.command_name
    if name is None:
        top_parser(console).print_help()
    elif name in COMMANDS:
        parser_of(name, console).print_help()
    else:
        hint = did_you_mean(nearest(name, COMMANDS)) or "`amctcfg help` lists the commands"
        raise Failure("there is no command '{}'; {}".format(name, hint))
    return FINE


def lsp(arguments: Any, console: Console) -> int:
    try:
        from ..editor.server import serve
    except ImportError:
        raise Failure("this copy of amctcfg is without its folder 'editor', which the language server needs") from None
    # Unbuffered, as a thread waits in it when the interpreter ends; a buffer's lock would be in the way.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
        return serve(stdin, sys.stdout.buffer)


# ---------------------------------------------------------------- completion

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


def completion(arguments: Any, console: Console) -> int:
    if arguments.shell == "query":
        console.result("".join("{}\n".format(word) for word in completions(arguments.words)))
    else:
        console.result(SCRIPTS[arguments.shell])
    return FINE


def completions(words: Sequence[str]) -> List[str]:
    """What could stand in place of the last word; nothing where only the shell knows, as for files."""
    if len(words) <= 1:
        return list(COMMANDS)
    if words[0] not in COMMANDS:
        return []
    options = {name: o for o in COMMANDS[words[0]].options for name in o.names if name.startswith("-")}
    before, current = words[-2], words[-1]
    if before in options and takes_value(options[before]):
        return values_of(before, options[before].settings, words)
    if current.startswith("-"):
        return sorted([*options, "--help", "--version"])
    positionals = [o for o in COMMANDS[words[0]].options if not o.names[0].startswith("-")]
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
    """The layers of the model that the command line, or the head of a file on it, names."""
    from ..documents.settings import Settings
    from ..layers.loading import load_layers

    graph: Optional[str] = None
    for before, word in zip(words, words[1:]):
        if before == "--graph":
            graph = word
    for word in words[1:-1] if graph is None else ():
        if word.endswith(".cfg") and os.path.exists(word):
            with open(word, encoding="utf-8", errors="replace") as file:
                found = Settings(file.read(), word).values.get("graph")
            graph = found and os.path.join(os.path.dirname(word), found)
        elif words[0] == "layers":
            graph = word
    try:
        return [layer.name for layer in load_layers(graph) if "\n" not in layer.name] if graph else []
    except (OSError, ValueError, ImportError):
        return []
