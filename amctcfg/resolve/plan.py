# SPDX-License-Identifier: Apache-2.0
"""The whole model: a `Plan` of the effective configuration of each layer."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Iterable, Iterator, Mapping

from ..diagnostics.diagnostic import Diagnostic
from ..flavours.common import Configuration
from ..flavours.flavour import Flavour
from .effective import EffectiveConfig
from .json_writing import to_plain, write_layers
from .resolver import COMMON, OF_LAYER, OF_TYPE, Resolver

# The fields of a configuration that say what single layers get.
OF_LAYERS = ("skip_layers", "skip_layer_types", COMMON, OF_TYPE, OF_LAYER)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Plan(Mapping[str, EffectiveConfig]):
    """The effective configuration of each supported layer, by name, in the order of the layers; immutable.

    Attributes:
        config: The configuration, None where the plan was read from JSON.
        flavour: The dialect that it was expanded for.
        resolver: The configuration or document under the rules of the plan; None where it was read from JSON.
        name: The name of the file that it comes from.

    Example:
        >>> from amctcfg import AMCTConfig, Layer, expand
        >>> expand(AMCTConfig(do_fusion=False), [Layer("conv1", "Conv2D")])["conv1"].fuse
        False
    """

    layers: dataclasses.InitVar[Iterable[EffectiveConfig]]
    config: Configuration | None
    flavour: Flavour
    _globals: dict[str, Any]
    # Gives the function that makes a plan again, and its arguments, for pickle.
    _remake: Callable[[Plan], tuple[Any, ...]] | None = None
    _make_warnings: Callable[[], tuple[Diagnostic, ...]] = tuple
    resolver: Resolver | None = None
    name: str = ""
    _layers: dict[str, EffectiveConfig] = dataclasses.field(init=False)

    def __post_init__(self, layers: Iterable[EffectiveConfig]) -> None:
        self.__dict__["_layers"] = {effective.layer.name: effective for effective in layers}

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """All warnings: from reading, from the configuration alone, and on these layers. Computed on first access."""
        return self._make_warnings()

    def __getitem__(self, name: str) -> EffectiveConfig:
        return self._layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __hash__(self) -> int:
        return hash(tuple(self._layers.values()))

    def __repr__(self) -> str:
        quantized = sum(effective.quant_enable for effective in self.values())
        text = "<Plan of {} layers for {}, {} of them quantized".format(len(self), self.flavour.name, quantized)
        shown = ["  {!r}".format(effective) for effective in list(self.values())[:3]]
        more = ["  ..."] if len(self) > len(shown) else []
        return "\n".join([text, *shown, *more]) + ">"

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Return what a notebook shows; raise an `AttributeError`, and text there, where a host deleted the room."""
        try:
            from ..pages.table import write_plan
        except ImportError:
            raise AttributeError("the HTML view needs the folder pages, which was deleted from this copy") from None
        return lambda: write_plan(self)

    def __reduce__(self) -> Any:
        assert self._remake is not None  # only the search of a simulation makes plans for itself
        return self._remake(self)

    def __copy__(self) -> Plan:
        return self

    def __deepcopy__(self, memo: Any) -> Plan:
        return self

    def to_json(self) -> str:
        """Write the JSON quantization config as the toolkit does: global keys, then layers sorted by name.

        Returns:
            The JSON, which `read_plan` reads again.

        Raises:
            ValueError: The toolkit of the flavour writes none.

        Example:
            >>> from amctcfg import AMCTConfig, Layer, expand
            >>> expand(AMCTConfig(), [Layer("conv1", "Conv2D")]).to_json().splitlines()[-4].strip()
            '"channel_wise":true'

        Source:
            The toolkit's own writer of `quant_config`, for the flavours whose evidence is its code.
        """
        if self.flavour.layout is None:
            raise ValueError("the toolkit of {} writes no JSON quantization config".format(self.flavour.name))
        import json
        from json.encoder import encode_basestring_ascii as quote

        layers = [self._layers[name] for name in sorted(self._layers)]
        pieces = [json.dumps(self._globals, indent=4, separators=(",", ":"))[: -len("\n}")]]
        for effective, entry in zip(layers, write_layers(layers, self.flavour.layout)):
            pieces += ",\n    ", quote(effective.layer.name), ":", entry
        return "".join([*pieces, "\n}"])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON quantization config as Python values.

        Returns:
            The global keys, then one key a layer.

        Raises:
            ValueError: The toolkit of the flavour writes none.
        """
        import json

        result: dict[str, Any] = json.loads(self.to_json())
        return result

    def to_rows(self, origins: bool = False) -> list[dict[str, Any]]:
        """Return a flat dictionary for each layer, for `pandas.DataFrame(plan.to_rows())`.

        Args:
            origins: Add for each value `VALUE.by`, the tier that decided, and `VALUE.line`, the line of the file or None.

        Returns:
            Name, type and values of each layer, in the order of the layers.

        Example:
            >>> from amctcfg import AMCTConfig, Layer, expand
            >>> expand(AMCTConfig(), [Layer("conv1", "Conv2D")]).to_rows()[0]["ifmr_quantize.search_step"]
            0.01
        """
        found = [{"layer": e.layer.name, "type": e.layer.type, **e.settings()} for e in self.values()]
        for row, effective in zip(found, self.values()):
            for field, origin in effective.origins.items() if origins else ():
                row[field + ".by"] = origin.tier
                row[field + ".line"] = None if origin.span is None else origin.span.line
        return found

    @property
    def global_values(self) -> dict[str, Any]:
        """The keys of the JSON that are not layers."""
        return dict(self._globals)

    @property
    def model_settings(self) -> dict[str, Any]:
        """The settings that hold for the model as a whole: the global keys, and fields of the configuration that no
        JSON has."""
        found = dict(self._globals)
        if self.config is not None:
            of_layers = (*OF_LAYERS, *(name for name, _ in self.flavour.deprecated_blocks))
            for name, field in self.config.__schema__.fields.items():
                if name not in found and name not in of_layers:
                    value = getattr(self.config, name)
                    found[name] = to_plain(field.default if value is None else value)
        return found
