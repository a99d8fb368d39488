# SPDX-License-Identifier: Apache-2.0
"""The simulation against the vendor's toolkit, and its laws."""

import json
from functools import lru_cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import amctcfg
from amctcfg import PYTORCH

from .conftest import DATA

np = pytest.importorskip("numpy", reason="the simulation computes with numpy: pip install 'amctcfg[simulate]'")
onnx = pytest.importorskip("onnx", reason="the simulation edits graphs with onnx: pip install 'amctcfg[simulate]'")
pytest.importorskip("onnxruntime", reason="the simulation runs onnxruntime: pip install 'amctcfg[simulate]'")
pytest.importorskip("google.protobuf", reason="layers are read with protobuf")

from amctcfg import simulation  # noqa: E402
from amctcfg.simulation.algorithms import (  # noqa: E402
    EPSILON,
    Samples,
    bound_losses,
    compute_arq,
    compute_dmq,
    measure_losses,
    quantize_in_floats,
    search_ifmr,
)
from amctcfg.simulation.histograms import (  # noqa: E402
    Histogram,
    clip_range,
    extend_histogram,
    histogram_of,
    list_windows,
    search_hfmg,
)

GOLDEN = DATA / "simulation"


def read(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def planned(model, text, rules="toolkit"):
    path = model if hasattr(model, "exists") else GOLDEN / (model + ".onnx")
    return amctcfg.expand(amctcfg.loads(text, flavour=PYTORCH), amctcfg.load_layers(path, PYTORCH), rules=rules)


def inputs_of(case):
    with np.load(GOLDEN / case["inputs"]) as arrays:
        return {name: arrays[name] for name in arrays.files}


def batches_of(arrays):
    return [{"x": arrays[name]} for name in sorted(arrays) if name.startswith("x")]


CASES = read("cases.json")
# With BN folded by the exporter there is nothing left to keep apart.
VARIANTS = [
    (n, suffix) for n, case in enumerate(CASES) for suffix in ("", "_bn") if suffix or "fusion" not in case["config"]
]


@lru_cache(maxsize=None)
def simulated(number, suffix):
    case = CASES[number]
    arrays = inputs_of(case)
    plan = planned(case["model"] + suffix, case["config"])
    return plan, arrays, simulation.simulate(plan, GOLDEN / (case["model"] + suffix + ".onnx"), batches_of(arrays))


# ---------------------------------------------------------------- the toolkit's answers


@pytest.mark.parametrize("number, suffix", VARIANTS)
def test_the_factors_are_the_toolkits(number, suffix):
    case = CASES[number]
    plan, _, sim = simulated(number, suffix)
    assert plan.to_dict() == case["json"]
    assert sim.refused == ()
    found, wanted = sim.record.splitlines(), case["record"].splitlines()
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        if one != other:  # the last digits of a float, and nothing else
            (name, value), (wanted_name, wanted_value) = one.split(": "), other.split(": ")
            assert name == wanted_name and name.strip() in ("scale_d", "scale_w", "tensor_balance_factor")
            assert float(value) == pytest.approx(float(wanted_value), rel=1e-5)


def test_the_simulated_models_outputs_are_the_toolkits():
    """To 1e-4 of their range, but for samples in which a value lies on a rounding tie: one in fifty, by less than 1 %."""
    count = ties = 0
    for number, suffix in VARIANTS:
        _, arrays, sim = simulated(number, suffix)
        session = simulation.network.Runner(sim.network)
        for name in (n for n in sorted(arrays) if n.startswith("x")):
            wanted, found = arrays["y" + name[1:]], session.run({"x": arrays[name]})[0]
            errors = np.abs(found - wanted).reshape(len(wanted), -1).max(axis=1) / np.ptp(wanted)
            assert errors.max() < 0.01
            count, ties = count + len(errors), ties + int((errors > 1e-4).sum())
    assert count > 400 and ties <= count / 50


RANKINGS = read("rankings.json")


@pytest.mark.parametrize("suffix", ["", "_bn"])
@pytest.mark.parametrize("case", RANKINGS, ids=[case["model"] + case["config"][-12:] for case in RANKINGS])
def test_the_ranking_is_the_toolkits(case, suffix):
    plan = planned(case["model"] + suffix, case["config"])
    sim = simulation.simulate(plan, GOLDEN / (case["model"] + suffix + ".onnx"), batches_of(inputs_of(case)))
    scores = sim.sensitivity()
    assert scores.low_is_sensitive and list(scores) == sorted(scores, key=scores.get)
    # The toolkit's own single ConvTranspose2d is wrong.
    kept = [(name, value) for name, value in case["ranking"] if plan[name].layer.type != "ConvTranspose2d"]
    assert len(kept) > 3
    errors = [abs((1 - scores[name]) / (1 - value) - 1) for name, value in kept]
    assert sorted(errors)[len(errors) // 2] < 1 / 500 and max(errors) < 0.1
    assert all(scores[name] > 0.999 for name in plan if plan[name].layer.type == "ConvTranspose2d")


def test_what_the_toolkit_refuses():
    for case in read("refused.json"):
        if case["error"] != "RuntimeError":  # it refuses the file, and so does check
            found = amctcfg.check(
                case["config"],
                layers=amctcfg.load_layers(GOLDEN / (case["model"] + ".onnx"), PYTORCH),
                flavour=PYTORCH,
                rules="toolkit",
            )
            refused = [
                d for d in found if d.severity == "error" or d.code in ("algorithm-unsupported", "unknown-layer")
            ]
            assert refused, case
            continue
        batches = [{"x": np.random.default_rng(0).standard_normal((2, 4, 12, 12)).astype(np.float32)}]
        plan = planned(case["model"], case["config"])
        sim = simulation.simulate(plan, GOLDEN / (case["model"] + ".onnx"), batches)
        (refusal,) = sim.refused
        assert refusal.layer == "big" and "bias" in refusal.reason and "int32" in refusal.reason
        assert "big" not in sim.factors and len(sim.factors) == len(plan) - 1
        # What is said of the others holds once it is skipped.
        skipped = planned(case["model"], case["config"] + 'skip_layers: "big"\n')
        assert simulation.simulate(skipped, GOLDEN / (case["model"] + ".onnx"), batches).record == sim.record


# ---------------------------------------------------------------- laws of the algorithms

ORDINARY = st.floats(-100, 100, width=32)
float32 = ORDINARY | st.floats(allow_nan=False, allow_infinity=False, width=32)
arrays = (
    st.lists(ORDINARY, min_size=1, max_size=60)
    | st.lists(float32, min_size=1, max_size=60)
    | st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e30, -2.5]), min_size=1, max_size=20)
    | st.builds(lambda value, count: [value] * count, float32, st.integers(1, 9))
    | st.lists(st.floats(-1e3, 0, width=32), min_size=1, max_size=30)
).map(lambda values: np.array(values, np.float32))


def candidates(values, bits, asymmetric, percentiles, search):
    """Scale and loss of each candidate, as the toolkit does it: one after the other, in float32."""
    values = np.sort(values)
    n, f = len(values), np.float32
    k = [1 if 1 - p < EPSILON else n - int(p * n) for p in percentiles]
    high, low = max(values[n - k[0]], f(0)), min(values[k[1] - 1], f(0))
    steps = 2**bits - 1
    if not asymmetric:
        steps = 2 ** (bits - 1) - (0 if abs(high) < abs(low) else 1)
        high = max(abs(high), abs(low))
    start, end, step = search
    i, found = 0, []
    while i < (end - start) / step:
        top = f(high) * f(start + i * step)
        bottom = low if asymmetric else -top
        scale = f(top - low if asymmetric else top) / f(steps)
        scale = f(1) if scale < f(EPSILON) else scale
        rounded = np.rint(np.clip(values, bottom, top) / scale) * scale
        with np.errstate(invalid="ignore"):
            loss = np.mean((rounded.astype(np.float64) - values) ** 2)
        found.append((scale, loss, -int(np.rint(low / scale)) - 2 ** (bits - 1) if asymmetric else 0))
        i += 1
    return found


@given(
    values=arrays,
    bits=st.sampled_from([8, 16]),
    asymmetric=st.booleans(),
    percentiles=st.tuples(*[st.sampled_from([1.0, 0.999999, 0.9, 0.6])] * 2),
    search=st.sampled_from([(0.7, 1.3, 0.01), (0.3, 1.7, 0.05), (0.5, 1.2, 0.7)]),
)
def test_ifmr_takes_a_candidate_with_the_least_loss(values, bits, asymmetric, percentiles, search):
    values = values[np.abs(values) < 1e18]  # beyond, squares overflow and the toolkit's loss means nothing
    if not len(values):
        return
    scale, offset = search_ifmr(Samples(values), bits, asymmetric, percentiles, search)
    found = candidates(values, bits, asymmetric, percentiles, search)
    least = min(loss for _, loss, _ in found)
    scale_of_noise = float(np.mean(values.astype(np.float64) ** 2)) * 1e-14  # float32 at both ends
    mine = [(loss, o) for s, loss, o in found if s == np.float32(scale)]
    assert mine and min(mine)[0] <= least * (1 + 1e-5) + scale_of_noise
    assert offset in [o for _, o in mine]


SPREADS = {
    "normal": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "heavy": lambda x: x**5,
    "uniform": lambda x: x - np.floor(x) - np.float32(0.3),
    "grid": lambda x: np.round(x * 4) / 4,
    "bytes": lambda x: np.clip(np.round(x * 50), -128, 127) / 128,
    "one outlier": lambda x: np.where(x == x.max(), np.float32(1e4), x),
    "positive": lambda x: np.abs(x) + 1,
}


@given(
    seed=st.integers(0, 2**32 - 1),
    asymmetric=st.booleans(),
    spread=st.sampled_from(sorted(SPREADS)),
    percentile=st.sampled_from([1.0, 0.999999, 0.9999, 0.99, 0.6]),
)
def test_counting_first_changes_nothing(seed, asymmetric, spread, percentile):
    """Where there are many values, bounds of the losses leave few candidates: the loop's winner is always among them."""
    values = SPREADS[spread](np.random.default_rng(seed).standard_normal(140000).astype(np.float32)).astype(np.float32)
    samples = Samples(values)
    assert samples.is_countable()
    tops, bottoms, scales = candidate_arrays(values, asymmetric)
    losses = measure_losses(values, bottoms, tops, scales).astype(np.float64) * len(values)
    least, most = bound_losses(samples.make_grid(), bottoms, tops, scales, 8)
    slack = 1e-5 * losses + 1e-10 * float(np.sum(values.astype(np.float64) ** 2))
    assert (least <= losses + slack).all() and (losses <= most + slack).all()
    assert np.median((most - least) / (losses + slack)) < 0.02
    percentiles = (percentile, percentile)
    found = search_ifmr(samples, 8, asymmetric, percentiles)
    every = candidates(values, 8, asymmetric, percentiles, (0.7, 1.3, 0.01))
    (loss,) = [loss for scale, loss, offset in every if scale == np.float32(found[0]) and offset == found[1]][:1]
    assert loss <= min(loss for _, loss, _ in every) * (1 + 1e-5)


def candidate_arrays(values, asymmetric):
    high = max(np.max(values), np.float32(0))
    low = min(np.min(values), np.float32(0)) if asymmetric else -high
    tops = high * np.linspace(0.5, 1.4, 7, dtype=np.float32)
    scales = (tops - low) / np.float32(255) if asymmetric else tops / np.float32(127)
    return tops, (np.full_like(tops, low) if asymmetric else -tops), scales


def test_samples_leave_the_callers_array_as_it_is():
    values = np.array([3, 1, 2], np.float32)
    search_ifmr(Samples(values), 8, True, (0.6, 0.6))
    assert values.tolist() == [3, 1, 2]


@given(values=arrays, more=arrays, bins=st.sampled_from([16, 1024]))
def test_a_histogram_counts_each_value_once(values, more, bins):
    values, more = values[np.abs(values) < 1e37], more[np.abs(more) < 1e37]
    if not len(values) or not len(more):
        return
    first = histogram_of(values, bins)
    assert first.counts.sum() == len(values) and first.low == values.min() and first.high == values.max()
    both = extend_histogram(first, more)
    assert both.counts.sum() == len(values) + len(more) and (both.counts >= 0).all()
    assert both.low == min(first.low, more.min()) and both.high == max(first.high, more.max())


def window_loss_by_integration(counts, left, right, bits):
    """The same integral in small steps: values that are uniform in their bins, each at the centre of its target."""
    fine = 64
    step = (right - left + 1) / 2**bits
    x = (np.arange(len(counts) * fine) + 0.5) / fine - left
    target = np.clip(np.floor(x / step), 0, 2**bits - 1)
    return float(np.sum(np.repeat(counts, fine) / fine * (x - (target + 0.5) * step) ** 2))


@given(
    counts=st.lists(st.integers(0, 50), min_size=40, max_size=40).filter(any),
    ends=st.tuples(st.integers(0, 15), st.integers(20, 39)),
)
def test_the_loss_of_a_window_is_the_integral(counts, ends):
    from amctcfg.simulation.histograms import measure_window

    counts = np.array(counts)
    found = measure_window(counts, *ends, bits=3)
    assert found == pytest.approx(window_loss_by_integration(counts, *ends, 3), rel=0.02, abs=0.02)


@given(seed=st.integers(0, 2**32 - 1), holes=st.sampled_from([0.0, 0.5, 0.99]))
def test_the_losses_of_windows_from_integrals(seed, holes):
    """The same as bin by bin."""
    from amctcfg.simulation.histograms import measure_window, measure_windows

    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 1000, 512) * (rng.random(512) >= holes)
    windows = list_windows(counts)[:100] or [(0, 300)]
    wanted = [measure_window(counts, left, right, 8) for left, right in windows]
    assert measure_windows(counts, windows, 8) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@given(counts=st.lists(st.integers(0, 100000), min_size=16, max_size=64))
def test_the_windows_of_the_search_by_single_steps(counts):
    """The same as counting bin by bin."""
    bins, step = len(counts), max(-(-sum(counts) // 100000), 1)
    left, right, wanted = 0, bins - 1, []
    while right - left > -(-bins // 4):
        l, r, held = left, right, 0  # noqa: E741
        while l < right and held < step:
            held += counts[l]
            l += 1  # noqa: E741
        held = 0
        while r > left and held < step:
            held += counts[r]
            r -= 1
        if l - left > right - r:
            left = l
        else:
            right = r
        wanted.append((left, right))
    assert list_windows(np.array(counts)) == wanted


@given(values=arrays, bits=st.sampled_from([8, 16]), asymmetric=st.booleans())
def test_hfmg_gives_factors_of_the_type(values, bits, asymmetric):
    values = values[np.abs(values) < 1e37]
    if not len(values):
        return
    scale, offset = search_hfmg([values], bits, asymmetric, 1024)
    assert scale > 0 and -(2 ** (bits - 1)) <= offset < 2 ** (bits - 1)
    assert asymmetric or offset == 0


def test_a_range_without_width_is_not_searched():
    assert clip_range(Histogram(np.array([3, 0]), np.float32(2), np.float32(2)), 8) == (2, 2)
    assert search_hfmg([np.full(5, -2, np.float32)], 8, True, 1024) == (pytest.approx(2 / 255), 127)
    assert search_hfmg([np.zeros(5, np.float32)], 8, True, 1024) == (1.0, -128)
    assert search_hfmg([np.zeros(5, np.float32)], 8, False, 1024) == (1.0, 0)
    grown = extend_histogram(histogram_of(np.full(5, 1, np.float32), 8), np.array([0, 4], np.float32))
    assert grown.counts.tolist() == [1, 0, 5, 0, 0, 0, 0, 1]


@given(values=arrays, bits=st.sampled_from([4, 6, 7, 8]))
@example(values=np.array([5.7131024e16, -5.7482872e16], np.float32), bits=4)
@example(values=np.array([0.98, -1.0], np.float32), bits=8)
def test_arq_covers_the_largest_weight(values, bits):
    """Half a step is lost at most; a positive end that is nearly as large as the negative one has no step of its own."""
    scale = compute_arq(values, bits)
    assert scale.shape == (1,) and scale.dtype == np.float32
    largest = np.max(np.abs(values))
    if largest / 2 ** (bits - 1) > 2 * EPSILON and largest < 1e38:
        rounded = quantize_in_floats(values, scale, bits)
        highest = np.float32(2 ** (bits - 1) - 1) * scale[0]
        assert np.max(np.abs(rounded - np.minimum(values, highest))) <= float(scale[0]) * 0.5001
        assert np.max(np.abs(rounded - values)) <= float(scale[0]) * 1.0001
        steps = 2 ** (bits - 1) - (0 if abs(np.max(values)) < abs(np.min(values)) else 1)
        assert float(scale[0]) == pytest.approx(float(largest) / steps, rel=1e-6)
    elif largest < EPSILON:
        assert scale[0] == 1


@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 1e-9, 0.5, 3.0, 70.0])] * 2), min_size=1, max_size=6),
    st.sampled_from([0.2, 0.5, 0.8]),
)
def test_dmq_channel_by_channel(channels, strength):
    a, w = (np.array(column, np.float32) for column in zip(*channels))
    found = compute_dmq(a, w, strength)
    usual = [(x, y, x**strength / y ** (1 - strength)) for x, y in zip(a, w) if x >= EPSILON and y >= EPSILON]
    for x, y, factor in zip(a, w, found):
        if not usual or (x < EPSILON and y < EPSILON):
            assert factor == 1
        elif x < EPSILON:
            assert factor == pytest.approx(max(yy * ff for _, yy, ff in usual) / y, rel=1e-5)
        elif y < EPSILON:
            assert factor == pytest.approx(x / max(xx / ff for xx, _, ff in usual), rel=1e-5)
        else:
            assert factor == pytest.approx(x**strength / y ** (1 - strength), rel=1e-5)


def test_outputs_that_overflow_are_the_worst_that_can_be():
    from amctcfg.simulation.sensitivity import Agreement

    ones = np.ones(3, np.float32)
    for wrong in (np.inf, -np.inf, np.nan):
        agreement = Agreement()
        agreement.add(ones, ones * np.float32(wrong))
        assert (agreement.cosine, agreement.decibels) == (0.0, -200.0)
        agreement.add(ones * np.float32(wrong), ones)
        assert np.isnan(agreement.cosine) and np.isnan(agreement.decibels)
