"""A plan in words."""
from typing import List, Tuple

from .plan import Plan, Planned
from .rehearsal import Rehearsal
from .rows import OWN, STATIC

# A saving below this is not noticed: single epochs differ by more.
NOTICED = .05
# Loading that takes more than this of an iteration is worth a word.
MUCH = .2


def advice(plan: Plan, rehearsal: Rehearsal) -> List[str]:
    """What to make of a plan.

    Args:
        plan (Plan): The prediction.
        rehearsal (Rehearsal): What it was made from.

    Returns:
        list[str]: Paragraphs: what the best policy (or the config's own) saves and when; what a
        store adds; loading, if it matters; and that accuracy is not predicted.
    """
    paragraphs = [_saving(plan, rehearsal)] if plan.policies else []
    paragraphs.append(_store(plan, rehearsal))
    loading = _loading(rehearsal)
    if loading:
        paragraphs.append(loading)
    paragraphs.append(
        'What freezing costs in accuracy cannot be predicted. docs/results.md says what it cost '
        'where it was measured; on your data, tools/analysis_tools/speedup_protocol.py measures '
        'it.')
    return paragraphs


def _saving(plan: Plan, rehearsal: Rehearsal) -> str:
    chosen = next((p for p in plan.policies if p.row.name == OWN), None)
    who = 'This config'
    if chosen is None:
        # Among those of which anything is known, and which train the layers at first.
        known = [p for p in plan.policies if not p.open and p.row.name != STATIC] or plan.policies
        chosen = max(known, key=lambda p: sum(p.saved(plan.base)))
        who = f'Of the policies below {chosen.row.name} saves most: it'
    saved, flops = chosen.saved(plan.base), chosen.flops_saved(plan.base)
    ceiling = 1 - plan.ceilings['freezing'].total / plan.base.total
    text = (f'{who} saves {percent(saved)} of the training time here (by FLOPs alone it would be '
            f'{percent(flops)}), {_late(plan, chosen)}. Freezing everything from the first '
            f'iteration on would save {percent((ceiling, ceiling))}: no policy saves more without '
            'a store.')
    if saved[1] < NOTICED:
        return text + ' That will probably not be noticed.'
    if saved[0] < NOTICED:
        return text + ' It may turn out too little to be noticed.'
    return text


def _late(plan: Plan, planned: Planned) -> str:
    """How much of the saving falls in the last third."""
    begin = plan.length.passes - -(-plan.length.passes // 3)
    saved = [sum(a - b for a, b in zip(plan.base.seconds[at:], planned.fastest.seconds[at:]))
             for at in (0, begin)]
    if saved[0] <= 0:
        return 'which is nothing'
    return f'{percent((saved[1] / saved[0],) * 2)} of it in the last third of the run'


def _store(plan: Plan, rehearsal: Rehearsal) -> str:
    store = rehearsal.measured.store
    if store is None:
        return f'Features of frozen layers cannot be stored: {rehearsal.no_store}.'
    fewest = store.costs.break_even(plan.length.passes)
    if fewest is None:
        return 'Storing the features of frozen layers does not pay in this run.'
    text = (f'Storing the features of frozen layers pays from {fewest} frozen layer'
            f'{"s" * (fewest > 1)} on, if they freeze at the beginning, and takes about '
            f'{store.size}')
    pair = {p.row.name: p.saved(plan.base) for p in plan.policies}
    if 'afa' in pair and 'afa+store' in pair:
        text += f': AFA then saves {percent(pair["afa+store"])} instead of {percent(pair["afa"])}'
    return text + '.'


def _loading(rehearsal: Rehearsal) -> str:
    measured = rehearsal.measured
    load = measured.load * measured.batch_size
    if measured.workers:
        if load / measured.workers > measured.seconds[-1]:
            return ('Loading bounds this training: the workers deliver a batch every '
                    f'{1e3 * load / measured.workers:.0f} ms. Freezing saves nothing below that; '
                    'more workers do.')
        return ''
    share = load / (load + measured.seconds[0])
    if share <= MUCH:
        return ''
    return (f'Loading takes {percent((share, share))} of an iteration, in the process that trains. '
            'Freezing saves nothing of it; workers (train_dataloader.num_workers) may.')


def percent(ends: Tuple[float, float]) -> str:
    """A share from ... to, in whole percent."""
    low, high = (f'{100 * end:.0f}' for end in ends)
    return f'{low} %' if low == high else f'{low} to {high} %'
