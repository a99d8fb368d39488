# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation that are made of the code: diagnostics, fields of each flavour, command line.

python docs/generate.py           write them
python docs/generate.py --check   exit with 1 where one is not up to date
"""

import argparse
import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from skill import llms, skill  # noqa: E402

from amctcfg import FLAVOURS  # noqa: E402
from amctcfg.cli.arguments import COMMANDS, parser_of  # noqa: E402
from amctcfg.cli.codes import EXAMPLE_LAYERS, example_of  # noqa: E402
from amctcfg.cli.console import Console  # noqa: E402
from amctcfg.cli.flavours import EVIDENCE  # noqa: E402
from amctcfg.diagnostics.codes import CODES  # noqa: E402
from amctcfg.diagnostics.diagnostic import render  # noqa: E402
from amctcfg.flavours.requirement import write_default  # noqa: E402
from amctcfg.messages.meanings import read_field_meanings  # noqa: E402
from amctcfg.messages.message import messages_of  # noqa: E402

NOTE = "<!-- Made by docs/generate.py; edit the code that it is made of. -->\n\n"


def diagnostics():
    parts = [
        "# Diagnostics\n\n" + NOTE,
        "Every error and warning has a code, in brackets behind `error` or `warning`. Each has an example below, with what is\n"
        "printed for it, and the cure. Examples that need a model are checked on these layers:\n\n",
    ]
    for name, layers in EXAMPLE_LAYERS.items():
        rows = "".join("{},{},{}\n".format(x.name, x.type, str(x.supported).lower()) for x in layers)
        parts.append("Read as {}:\n\n```csv\nname,type,supported\n{}```\n\n".format(name, rows))
    parts.append(
        "Errors make the exit status 1. Warnings do not, unless `--strict-warnings` is given; `--ignore CODE` leaves a warning\n"
        "out, and so does a comment `# amctcfg: ignore=CODE` in the file. `syntax` and `encoding` are reported one at a time,\n"
        "everything else at once, in the order of the places.\n\n"
    )
    for severity in ("error", "warning"):
        parts.append("## {}s\n\n".format(severity.capitalize()))
        for code, described in CODES.items():
            if described.severity == severity:
                parts.append(section(code, described))
    return "".join(parts).rstrip("\n") + "\n"


def section(code, described):
    parts = ["### {}\n\n{}\n\n".format(code, described.summary)]
    if described.example:
        read = "" if described.flavour == "tf-ascend" else "Read as {}:\n\n".format(described.flavour)
        shown = render(example_of(code), described.example)
        parts.append("{}```textproto\n{}```\n\n```text\n{}\n```\n\n".format(read, described.example, shown))
    return "".join([*parts, "Cure: {}{}\n\n".format(described.cure[0].lower(), described.cure[1:])])


def fields():
    parts = [
        "# Fields and layer types\n\n" + NOTE,
        "Every field of every flavour. A field that is left out is not the same as one that is set to its default: a default\n"
        "can come from elsewhere, as the [priority rules](priority.md) say.\n\n",
        "| flavour | the toolkit's schema | versions | evidence | fields that only it has |\n|---|---|---|---|---|\n",
    ]
    names = {f.name: set(all_fields(f)) for f in FLAVOURS.values()}
    for flavour in FLAVOURS.values():
        older = [n for n in names if n.startswith(flavour.name + "-") or flavour.name.startswith(n + "-")]
        others = set().union(*(fields for name, fields in names.items() if name != flavour.name and name not in older))
        own = ", ".join("`{}`".format(name) for name in all_fields(flavour) if name not in others) or "none"
        row = (
            flavour.name,
            "`{}`".format(flavour.proto) if flavour.proto else "",
            flavour.versions,
            EVIDENCE[flavour.evidence],
            own,
        )
        parts.append("| {} |\n".format(" | ".join(row)))
    families = {}
    for name in FLAVOURS:
        families.setdefault(family_of(name), []).append(name)
    for names in families.values():
        for name in names:
            parts.append("\n## {}\n\n{}{}\n".format(name, version_switch(name, names), flavour_text(FLAVOURS[name])))
    return "".join(parts)


def family_of(name):
    """The flavour that a flavour is an older version of, or itself."""
    return next((other for other in FLAVOURS if name.startswith(other + "-")), name)


def version_switch(name, names):
    """Links to the other versions of a flavour."""
    if len(names) == 1:
        return ""
    shown = [
        "**{}**".format(FLAVOURS[other].versions)
        if other == name
        else "[{}](#{})".format(FLAVOURS[other].versions, other.replace(".", ""))
        for other in names
    ]
    return "Version: {}\n\n".format(" · ".join(shown))


def all_fields(flavour):
    return list(dict.fromkeys(name for cls in messages_of(flavour.config) for name in cls.__schema__.fields))


def flavour_text(flavour):
    parts = ["{}: {}.\n".format(flavour.title, EVIDENCE[flavour.evidence])]
    parts.append(
        "\n| layer type | quantizable | channel_wise | BN is fused | other requirements that it satisfies |\n|---|---|---|---|---|\n"
    )
    for name, layer_type in flavour.types.items():
        quantizable = "yes" if layer_type.quantizable else "for tensor_quantize only"
        demands = ", ".join(a for a in layer_type.abilities if " by type" not in a)
        if layer_type.symmetric_only:
            demands = ", ".join(filter(None, ["symmetric activations only", demands]))
        row = (
            name,
            quantizable,
            *("yes" if on else "no" for on in (layer_type.channel_wise, layer_type.fusible)),
            demands,
        )
        parts.append("| {} |\n".format(" | ".join(row)))
    for cls in messages_of(flavour.config):
        title = (cls.__doc__ or "").strip().partition("\n")[0]
        parts.append("\n### {} ({})\n\n{}\n\n".format(cls.__name__, flavour.name, title))
        parts.append("| field | type | default | range | meaning |\n|---|---|---|---|---|\n")
        for name, meaning in read_field_meanings(cls).items():
            field = cls.__schema__.fields[name]
            kind = "{} {}".format(field.label, field.kind_name) + (
                ", one of {}".format(field.oneof) if field.oneof else ""
            )
            row = (name, kind, default_of(field), field.within.words if field.within else "", meaning)
            parts.append("| {} |\n".format(" | ".join(cell.replace("|", "\\|") for cell in row)))
    for name, what in flavour.removed_fields:
        parts.append("\n`{}`: {}.\n".format(name, what))
    return "".join(parts)


def default_of(field):
    return "an empty one" if field.is_message and field.default is not None else write_default(field)


def command_line():
    parts = [
        "# Command line\n\n" + NOTE,
        "`amctcfg COMMAND ...`, or `python -m amctcfg COMMAND ...`. The exit status is 0 where all is fine, 1 for errors in the\n"
        "configuration (or, with `--strict-warnings`, for warnings), 2 for wrong usage or a file that can't be read, 141 when\n"
        "the reader of a pipe has gone. `-` is standard input. Results go to standard output, always as UTF-8; notes and, except\n"
        "for `check`, diagnostics go to standard error. Colour appears on a terminal, with `FORCE_COLOR` always, with `NO_COLOR`\n"
        "never.\n",
    ]
    console = Console(io.StringIO(), io.StringIO(), io.StringIO())
    for name in COMMANDS:
        parser = parser_of(name, console)
        parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=80)
        text = parser.format_help().replace("optional arguments:", "options:")
        parts.append("\n## {}\n\n```text\n{}\n```\n".format(name, text.rstrip()))
    return "".join(parts)


PAGES = {
    "diagnostics.md": diagnostics,
    "fields.md": fields,
    "command-line.md": command_line,
    "../llms.txt": llms,
    "../SKILL.md": skill,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path, made = ROOT / "docs" / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != made:
            stale.append(name)
            if not check:
                path.write_text(made, encoding="utf-8")
    print(
        "written: {}".format(", ".join(stale))
        if stale and not check
        else "not up to date: {}".format(", ".join(stale))
        if stale
        else "up to date"
    )
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
