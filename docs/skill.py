# SPDX-License-Identifier: Apache-2.0
"""What a language model that works with amctcfg should read: llms.txt and SKILL.md, made by generate.py."""

from amctcfg import FLAVOURS
from amctcfg.cli.arguments import GROUPS
from amctcfg.cli.schema import SCHEMAS

MOST_KEYS = 8  # of a row that are listed

REPOSITORY_PAGES = {
    "README.md": "what it is, set-up, a tour",
    "docs/guide.md": "new to AMCT: quantization, the configuration file, a first session",
    "docs/priority.md": "which setting wins for a layer, by the documented rules and by the toolkit's",
    "docs/fields.md": "every field of every flavour: type, default, range, meaning",
    "docs/diagnostics.md": "every diagnostic with an example and the cure",
    "docs/command-line.md": "every command with its options",
    "docs/library.md": "the Python interface",
    "docs/simulation.md": "what quantization does to a model, computed here",
    "docs/tuning.md": "the cheapest settings, and which layers to skip",
    "docs/ci.md": "pre-commit, actions and pipelines",
    "docs/editors.md": "the language server in editors",
}

WISHES = [
    ("Is this configuration right?", "amctcfg check quant.cfg --graph model.onnx"),
    ("Is every configuration of a repository right?", "amctcfg check ."),
    ("Fix what can be fixed without changing a layer", "amctcfg check quant.cfg --fix"),
    ("Fix likely slips of names as well", "amctcfg check quant.cfg --fix --unsafe-fixes"),
    ("Start a configuration for a model", "amctcfg init --graph model.onnx -o quant.cfg"),
    ("What does each layer get?", "amctcfg show quant.cfg --graph model.onnx --format json"),
    ("Why does this layer get that value?", "amctcfg explain quant.cfg LAYER --graph model.onnx"),
    ("What changes between two files?", "amctcfg diff old.cfg new.cfg --graph model.onnx"),
    ("The toolkit's JSON quantization config", "amctcfg expand quant.cfg --graph model.onnx -o config.json"),
    ("The shortest file for an edited JSON", "amctcfg condense config.json --graph model.onnx -o quant.cfg"),
    ("Which layers does the model have?", "amctcfg layers model.onnx --format json"),
    ("How much does each layer suffer?", "amctcfg simulate quant.cfg --graph model.onnx --data b0.npz"),
    ("Better settings by simulation", "amctcfg tune quant.cfg --graph model.onnx --data b0.npz -o tuned.cfg"),
    ("Skip the layers that suffer most", "amctcfg suggest quant.cfg --graph model.onnx --scores R --worst 3 -i"),
    ("Skip as few layers as a test allows", "amctcfg bisect quant.cfg --graph model.onnx -- ./test.sh {}"),
    ("Did the toolkit do what was asked?", "amctcfg audit quant.cfg --graph model.onnx --config config.json"),
    ("What does this diagnostic mean?", "amctcfg codes partial-override"),
    ("The JSON Schema of an output", "amctcfg schema check"),
]

EXIT_STATES = """\
- 0: fine; warnings are allowed unless `--strict-warnings`. `bisect`: a set was found, or nothing has to be skipped. `tune`: the target is
  reached, or none was given.
- 1: errors in the configuration. `diff`, `audit`: there are differences. `fmt --check`: a file would change. `tune`: the target was not
  reached, and the best is written all the same.
- 2: wrong usage, or a file that can't be read. Standard error says which.
- 3: `bisect` alone: runs gave verdicts, and none was good.
- 130: interrupted. 141: the reader of the output has gone.
"""

RULES = """\
- A block replaces lower blocks as a whole: `override_layer_configs` before `override_layer_types` before `common_config`. What a block leaves
  out falls back to its default and is not inherited; repeat what is to stay.
- Names are whole names of layers; there are no patterns. `amctcfg layers MODEL` lists them.
- Put `# amctcfg: graph=model.onnx flavour=onnx` into the first line; then no command needs `--graph` or `--flavour`.
- Results go to standard output, notes and (except for `check`) diagnostics to standard error. Only `--fix`, `-i`, `-o` and `fmt` write files.
- Before and after an edit, compare: `amctcfg diff old.cfg new.cfg` shows exactly the layers that get something else.
"""


def llms():
    """Make llms.txt."""
    lines = [
        "# amctcfg",
        "",
        "> Reads, checks, explains, expands and tunes the simplified configuration files (quant.cfg) of Huawei's AMCT, which quantizes neural "
        "networks after training. Pure Python without dependencies; a library and a command line.",
        "",
        "What to run for which wish, exit states and the shapes of JSON outputs are in [SKILL.md](SKILL.md). `amctcfg check` reports what is "
        "wrong, `amctcfg expand` writes the toolkit's JSON, `amctcfg simulate` measures what quantization costs. Exit states: 0 fine, 1 errors "
        "or differences, 2 wrong usage or unreadable file.",
        "",
        "Flavours: {}.".format(", ".join(FLAVOURS)),
        "",
        "## Documentation",
        "",
        *["- [{0}]({0}): {1}".format(path, words) for path, words in REPOSITORY_PAGES.items()],
    ]
    for title, commands in GROUPS.items():
        lines += ["", "## {}".format(title), ""]
        lines += ["- `amctcfg {}`: {}".format(name, summary) for name, summary in commands.items()]
    return "\n".join(lines) + "\n"


def skill():
    """Make SKILL.md."""
    lines = [
        "---",
        "name: amctcfg",
        "description: Check, explain, expand, compare and tune AMCT's simplified configuration files (quant.cfg) for Ascend quantization, "
        "for models as .onnx, .pb or a table of layers.",
        "---",
        "",
        "# amctcfg",
        "",
        "## What to run",
        "",
        "| wish | command |",
        "|---|---|",
        *["| {} | `{}` |".format(wish, command) for wish, command in WISHES],
        "",
        "`amctcfg help COMMAND` shows all options. A model is an `.onnx`, a frozen TensorFlow graph (`.pb`) or a table of layers (`.csv`, `.json`).",
        "",
        "## Exit states",
        "",
        EXIT_STATES,
        "## What to know",
        "",
        RULES,
        "## JSON",
        "",
        "With `--format json`; `amctcfg schema COMMAND` has the whole.",
        "",
        *["- `{}`: {}".format(name, shape(schema)) for name, schema in SCHEMAS.items()],
        "",
        "## Flavours",
        "",
        "`--flavour`, or `flavour=` in the head; found out where it is left out.",
        "",
        *["- `{}`: {}".format(flavour.name, flavour.title) for flavour in FLAVOURS.values()],
    ]
    return "\n".join(lines) + "\n"


def shape(schema):
    """The keys of a JSON value, with those of its rows."""
    if schema.get("items") == {"type": "string"}:
        return "a list of names"
    if schema.get("type") == "array":
        return "a list of objects with " + keys_of(schema["items"])
    parts = []
    for name, value in schema["properties"].items():
        rows = value.get("items", {}).get("properties")
        words = " (a list of objects with {})".format(keys_of(value["items"])) if rows else ""
        parts.append("`{}`{}".format(name, words))
    return ", ".join(parts)


def keys_of(schema):
    """The first keys of an object."""
    keys = ["`{}`".format(name) for name in schema["properties"]]
    return ", ".join(keys[:MOST_KEYS]) + (", …" if len(keys) > MOST_KEYS else "")
