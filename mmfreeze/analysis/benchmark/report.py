"""What was measured, as text."""
from typing import Any, Dict

from .stopwatch import PASSES, PHASES


def benchmark_table(result: Dict[str, Any]) -> str:
    """Cost against the number of frozen layers, as markdown below a heading.

    Args:
        result (dict): ``config``, ``device``, ``torch``, ``images``, ``batch``, ``load_seconds``,
            ``repeats``, ``num_layers``, ``memory`` (which kind), and ``counts`` of
            :func:`measure_freezing`, that of no frozen layer among them.

    Returns:
        str: A line for each count. Times are medians with quartiles in brackets.
    """
    base = next(c for c in result['counts'] if c['num_frozen'] == 0)
    lines = [
        f'{result["config"]}, {result["device"]}, torch {result["torch"]}'
        + (', mixed precision' if result['amp'] else ''),
        f'{result["images"]} images a batch: {result["batch"]}',
        *([f'loading the batch took {1e3 * result["load_seconds"]:.0f} ms, which is in no time '
           'below'] if result['load_seconds'] is not None else []),
        f'{result["repeats"]} repeats; quartiles in brackets; time and FLOPs as shares of those '
        'without freezing', '',
        f'| frozen of {result["num_layers"]} | iteration (ms) | time | forward / backward / step '
        f'(ms) | ideal (ms) | efficiency | FLOPs | GFLOPs forward / backward | memory, '
        f'{result["memory"]} (MB) | reduced (MB) |',
        '|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|']
    for count in result['counts']:
        flops = count['flops']
        phases = ' / '.join(f'{1e3 * count[phase]:.1f}' for phase in PHASES)
        lines.append(
            f'| {count["num_frozen"]} | {_spread(count["iteration"], 1e3, 1)} '
            f'| {count["iteration"]["median"] / base["iteration"]["median"]:.3f} | {phases} '
            f'| {_spread(count["ideal"], 1e3, 1)} | {_spread(count["efficiency"], 1, 3)} '
            f'| {sum(flops.values()) / sum(base["flops"].values()):.3f} '
            f'| {flops["forward"] / 1e9:.1f} / {flops["backward"] / 1e9:.1f} '
            f'| {count["memory"] / 1e6:.1f} | {count["reduced"] / 1e6:.2f} |')
    return '\n'.join(lines)


def overhead_table(result: Dict[str, Any]) -> str:
    """What freezing costs while nothing is frozen, as markdown.

    Args:
        result (dict): ``overhead`` of :func:`measure_overhead`.

    Returns:
        str: A line for the hook with its wrapper, one for the signals.
    """
    overhead = result['overhead']
    return '\n'.join([
        '| nothing frozen | time of an iteration |', '|---|--:|',
        f'| OptimWrapper of MMEngine, no hook (ms) | {_spread(overhead["plain"], 1e3, 1)} |',
        f'| LayerFreezingHook and freezing wrapper, NoFreezing (% more, 95 % interval) '
        f'| {_spread(overhead["hook"], 1, 2)} |',
        f'| the signals of AdaptiveFreezing (% more than that, 95 % interval) '
        f'| {_spread(overhead["signals"], 1, 2)} |'])


def encoder_table(result: Dict[str, Any]) -> str:
    """What was measured, as markdown below a heading.

    Args:
        result (dict): ``encoder``, ``device``, ``torch``, ``dtype``, ``images``, ``repeats``,
            ``memory`` (which kind) and ``sizes`` of ``measure_encoders``.

    Returns:
        str: A line for each image size.
    """
    lines = [
        f'{result["encoder"]}, {result["dtype"]}, {result["device"]}, torch {result["torch"]}, '
        f'{result["images"]} images a batch, {result["repeats"]} repeats; quartiles in brackets',
        '', '| image (px) | kernel in windows / global | ours (ms) | forward / backward (ms) '
        '| segment-anything (ms) | forward / backward (ms) | times as fast '
        f'| {result["memory"]} (MB), ours / segment-anything | times less |',
        '|--:|---|--:|--:|--:|--:|--:|--:|--:|']
    for row in result['sizes']:
        ours, theirs = ([_spread(row[name]['iteration'], 1e3, 0),
                         ' / '.join(f'{1e3 * row[name][key]:.0f}' for key in PASSES)]
                        for name in ('ours', 'theirs'))
        lines.append('| ' + ' | '.join([
            str(row['size']), ' / '.join(row['kernels'].values()), *ours, *theirs,
            _spread(row['faster'], 1, 2),
            ' / '.join(f'{row[name]["memory"] / 1e6:.1f}' for name in ('ours', 'theirs')),
            f'{row["smaller"]:.2f}']) + ' |')
    return '\n'.join(lines)


def _spread(value: Dict[str, float], scale: float, digits: int) -> str:
    middle, lower, upper = (f'{value[key] * scale:.{digits}f}'
                            for key in ('median', 'lower', 'upper'))
    return f'{middle} [{lower}, {upper}]'
