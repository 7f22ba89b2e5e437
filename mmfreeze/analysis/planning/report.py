"""A plan as text."""
from dataclasses import asdict
from itertools import groupby
from typing import Any, Dict, List, Sequence, Tuple

from mmfreeze.freezing.saving import iteration_flops

from .advice import advice
from .course import Course
from .length import Length
from .plan import Plan, Planned
from .rehearsal import Rehearsal

LIMITS = (
    'Reckoned from iterations of one process on this machine as it is now: other work on it, and '
    'what several processes exchange, are in no figure. Validation and checkpoints are not either. '
    'On a CUDA device times are taken when it has done its work; that was never tried there.')


def plan_report(title: str, plan: Plan, rehearsal: Rehearsal) -> str:
    """All that a plan says, as markdown.

    Args:
        title (str): What is planned, on what.
        plan (Plan): The prediction.
        rehearsal (Rehearsal): What it was made from.

    Returns:
        str: Advice, then tables of policies, ceilings, iterations and layers.
    """
    parts = [f'# Plan: {title}', *advice(plan, rehearsal), '## Policies', _notes(plan, rehearsal),
             _policies(plan, rehearsal)]
    if plan.unsuited:
        parts.append('\n'.join(
            f'- Not planned: {", ".join(n for n, why in plan.unsuited.items() if why == reason)}: '
            f'{reason}.' for reason in dict.fromkeys(plan.unsuited.values())))
    parts += ['## Frozen layers', _frozen(plan), '## What no policy exceeds',
              _ceilings(plan, rehearsal), '## Iterations', _iterations(rehearsal),
              '## Layers', _layers(rehearsal), LIMITS]
    return '\n\n'.join(parts) + '\n'


def plan_as_dict(plan: Plan, rehearsal: Rehearsal) -> Dict[str, Any]:
    """The same in plain types.

    Returns:
        dict: The fields of the plan and of the rehearsal; of each policy ``seconds`` and ``saved``
        as they are in the table, and both its courses.
    """
    policies = [dict(asdict(planned), row=planned.row._asdict(), adaptive=planned.adaptive,
                     seconds=planned.seconds(rehearsal.measured.uncertainty),
                     saved=planned.saved(plan.base)) for planned in plan.policies]
    return dict(dict(asdict(plan), policies=policies), rehearsal=asdict(rehearsal))


def course_text(frozen: Sequence[int]) -> str:
    """The number of frozen layers by epoch, in short: ``0, 3 from epoch 3, 5 from 5``."""
    changes, epoch = [], 1
    for n, run in groupby(frozen):
        changes.append((n, epoch))
        epoch += len(list(run))
    words = [f'{n} from {"epoch " if i == 1 else ""}{at}' for i, (n, at) in enumerate(changes)]
    words[0] = str(changes[0][0])
    return ', '.join(words)


def _notes(plan: Plan, rehearsal: Rehearsal) -> str:
    measured, length = rehearsal.measured, plan.length
    known = (f'{length.samples} images, {length.iterations} iterations'
             if rehearsal.samples is not None else
             f'{length.iterations} iterations, which is assumed, for the data is absent')
    return (
        f'{_run(length)} of {known}. Seconds are those of training, validation apart; '
        f'saved: of the seconds, and of the FLOPs, of `base`. {rehearsal.rounds} rounds of '
        f'iterations agree to ± {measured.uncertainty:.1%}, by which ranges of seconds are wider. '
        'A range goes from the earliest freezes that the policy may decide on to the latest; a '
        'store that moves at other moments may lead out of it. Memory: '
        f'{rehearsal.memory_of}, and the store, if it is in the same memory (twice while it '
        'moves), at most / at the end of the run.')


def _run(length: Length) -> str:
    if length.by_epoch:
        return f'{length.passes} epochs'
    return f'{length.max_iters} iterations, {length.max_iters / length.iterations:.6g} epochs'


def _policies(plan: Plan, rehearsal: Rehearsal) -> str:
    base = Planned(None, plan.base, plan.base, False)
    lines = ['| policy | what | training (s) | first / last epoch (s) | time saved | FLOPs saved '
             '| memory (MB) |', '|---|---|--:|--:|--:|--:|--:|']
    for name, what, planned in [('base', 'NoFreezing', base)] + [
            (planned.row.name, _what(planned), planned) for planned in plan.policies]:
        courses = (planned.fastest, planned.slowest)
        lines.append('| ' + ' | '.join([
            name, what, _range(planned.seconds(rehearsal.measured.uncertainty), '.1f'),
            ' / '.join(_range(sorted(course.seconds[at] for course in courses), '.1f')
                       for at in (0, -1)),
            _range(planned.saved(plan.base), '.1%'), _range(planned.flops_saved(plan.base), '.1%'),
            ' / '.join(_range(sorted(course.memory[at] / 1e6 for course in courses), '.0f')
                       for at in (0, 1))]) + ' |')
    return '\n'.join(lines)


def _what(planned: Planned) -> str:
    row = planned.row
    store = {None: '', 'auto': ', store where it pays', 'always': ', store'}[row.when]
    return row.policy['type'] + store + (', not predictable' if planned.open else '')


def _frozen(plan: Plan) -> str:
    lines = []
    for planned in plan.policies:
        late, early = (course_text(course.frozen) for course in (planned.slowest, planned.fastest))
        lines.append(f'- {planned.row.name}: ' + (
            f'at least {late}; at most {early}' if planned.adaptive else late))
    return '\n'.join(lines)


def _ceilings(plan: Plan, rehearsal: Rehearsal) -> str:
    names = dict(freezing='All layers frozen from the first iteration on',
                 store='The same, from stored features',
                 free='The same, if filling the store took nothing')
    lines = [f'- {names[key]}: {course.total:.1f} s, {_share(course, plan.base)}'
             for key, course in plan.ceilings.items()]
    measured = rehearsal.measured
    if measured.store is not None:
        lines.append(f'- Store, about {measured.store.size}: '
                     f'{measured.store.costs.describe(plan.length.passes)}.')
    else:
        lines.append(f'- No store: {rehearsal.no_store}.')
    return '\n'.join(lines)


def _share(course: Course, base: Course) -> str:
    return (f'{1 - course.total / base.total:.1%} of the time saved, '
            f'{1 - course.flops / base.flops:.1%} of the FLOPs')


def _iterations(rehearsal: Rehearsal) -> str:
    measured = rehearsal.measured
    loading = 'not measured' if rehearsal.samples is None else (
        f'{1e3 * measured.load * measured.batch_size:.1f} ms'
        + (f' by one of {measured.workers} workers, which do so meanwhile'
           if measured.workers else ', which is in no figure below'))
    lines = [f'{measured.batch_size} images, {rehearsal.batch}. Loading them: {loading}. The first '
             f'iterations took {measured.first:.2f} s longer.', '',
             f'| frozen of {measured.num_layers} | iteration (ms) | time | FLOPs | memory (MB) |',
             '|--:|--:|--:|--:|--:|']
    whole = iteration_flops(measured.layers, 0)
    for n, seconds, memory in zip(measured.counts, measured.seconds, measured.memory):
        lines.append(f'| {n} | {seconds * 1e3:.1f} | {seconds / measured.seconds[0]:.3f} '
                     f'| {iteration_flops(measured.layers, n) / whole:.3f} '
                     f'| {memory / 1e6:.1f} |')
    return '\n'.join(lines)


def _layers(rehearsal: Rehearsal) -> str:
    measured, costs = rehearsal.measured, rehearsal.measured.layers
    lines = ['For one image; the time that freezing a layer saves, when those before it are frozen '
             'too, is interpolated between the iterations above.', '',
             '| layer | names | GFLOPs forward | GFLOPs backward | forward (ms) '
             '| freezing saves (ms an iteration) |', '|--:|---|--:|--:|--:|--:|']
    for i, names in enumerate(rehearsal.layers):
        saved = measured.iteration(i) - measured.iteration(i + 1)
        lines.append(f'| {i} | {names} | {costs.forward[i] / 1e9:.3f} '
                     f'| {costs.backward[i] / 1e9:.3f} | {measured.forward[i] * 1e3:.2f} '
                     f'| {saved * 1e3:.1f} |')
    lines.append(f'| | the rest | {costs.rest_forward / 1e9:.3f} | {costs.rest_backward / 1e9:.3f} '
                 '| | |')
    return '\n'.join(lines)


def _range(ends: Tuple[float, float], form: str) -> str:
    low, high = (format(end, form) for end in ends)
    return low if low == high else f'{low} to {high}'
