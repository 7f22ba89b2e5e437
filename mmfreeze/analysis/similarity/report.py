"""The similarity of layers as text."""
from typing import List, Optional

from .similarity import Similarity

_ELSEWHERE = '--freezing judges another run, such as one that froze'


def similarity_report(title: str, similarity: Similarity) -> str:
    """All that was found, as markdown.

    Args:
        title (str): What was compared.
        similarity (Similarity): What was found.

    Returns:
        str: How to read it, the table, and the judgement of a run's freezing if there is one.
    """
    parts = similarity.minibatches
    text = [title, '',
            f'Linear CKA of each layer to the final model, {similarity.files[-1]}, by '
            f'{similarity.unit}; {similarity.images} images in {parts} '
            f'minibatch{"es" * (parts > 1)}. Settled: the first of these {similarity.unit}s from '
            f'which on CKA stays at or above {similarity.threshold:g}.', '',
            similarity_table(similarity)]
    if any(value is None for row in similarity.cka for value in row):
        text += ['', '-: the layer gives the same for all images, so that it has no CKA.']
    return '\n'.join(text + ['', *judgement(similarity)]) + '\n'


def similarity_table(similarity: Similarity) -> str:
    """A line for each layer, as markdown whose columns are aligned.

    Args:
        similarity (Similarity): What was found.

    Returns:
        str: CKA at each checkpoint, when the layer settled and, if a run is judged, when it froze.
    """
    freezing, times = similarity.freezing, similarity.times
    rows = [['layer', *map(str, times), 'settled']]
    for layer, values in enumerate(similarity.cka):
        settled = similarity.settled(layer)
        rows.append([str(layer), *('-' if value is None else f'{value:.3f}' for value in values),
                     '-' if settled is None else str(times[settled])])
    if freezing is not None:
        for row, cell in zip(rows, ['froze after', *map(_or_never, freezing.after)]):
            row.append(cell)
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ['-' * (width - 1) + ':' for width in widths])
    return '\n'.join(f'| {" | ".join(map(str.rjust, row, widths))} |' for row in rows)


def judgement(similarity: Similarity) -> List[str]:
    """What each layer had reached when the run that is judged froze it.

    Args:
        similarity (Similarity): What was found.

    Returns:
        list[str]: A line for each layer that froze, and what they say together.
    """
    freezing = similarity.freezing
    if freezing is None:
        return [f'The final checkpoint has no record of freezing; {_ELSEWHERE}.']
    of = f'{freezing.run} ({freezing.policy})'
    lines, below = [], []
    for layer, after in enumerate(freezing.after):
        if after is None:
            continue
        index = similarity.last_before(after)
        value = None if index is None else similarity.cka[layer][index]
        lines.append(f'- layer {layer} froze after {similarity.unit} {after}; '
                     + _value_then(similarity, after, index, value))
        if value is not None and value < similarity.threshold:
            below.append(layer)
    if not lines:
        return [f'{of} froze none of these layers' + (f'; {_ELSEWHERE}.' if freezing.own else '.')]
    if freezing.own:
        verdict = ('A layer that is frozen with all those before it computes what it computes in '
                   'the final model, so that its CKA is 1 from then on, whatever freezing did to '
                   'it. To judge a policy, compare checkpoints of an un-frozen run and name the '
                   'run that froze by --freezing.')
    elif below:
        verdict = (f'{len(below)} of the {len(lines)} layers that froze had not reached '
                   f'{similarity.threshold:g} by then: {", ".join(map(str, below))}.')
    else:
        verdict = (f'None of the {len(lines)} layers that froze is known to have been below '
                   f'{similarity.threshold:g} then.')
    return [f'{of}:', '', *lines, '', verdict]


def _value_then(similarity: Similarity, after: int, index: Optional[int],
                value: Optional[float]) -> str:
    if index is None:
        return 'no checkpoint is that early'
    if index == len(similarity.times) - 1:
        return 'that is not before the final model, to which it is compared'
    if value is None:
        return f'it has no CKA in {similarity.files[index]}'
    time, file = similarity.times[index], similarity.files[index]
    where = (f'then ({file})' if time == after else
             f'at {similarity.unit} {time} ({file}), the nearest checkpoint before')
    return f'its CKA to the final model was {value:.3f} {where}'


def _or_never(after: Optional[int]) -> str:
    return 'never' if after is None else str(after)
