"""What a policy did in the course of a run: its decisions, and what it looked at before each."""
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from .timeline import RunRecord

# The signals that a decision may tell, by layer; of several the first one is what decides.
SIGNALS = dict(grad_norm='gradient norm', trend='trend of weight change (1 = largest so far)',
               weight_change='relative change of weights')
# What ``bound`` of AdaptiveFreezing means.
BOUNDS = dict(upper_limit='bound by the upper limit', gradient='bound by the gradient test',
              none='upper limit reached before')


@dataclass(frozen=True)
class Interval:
    """The time from one decision to the next.

    Args:
        begin (float): When it began, in the course's unit.
        end (float): When it ended.
        num_frozen (int): Layers that were frozen in it.
        signal (list[float | None], optional): What the policy looked at behind it, a number for
            each layer that it knew one of; None if it looked at nothing.
    """
    begin: float
    end: float
    num_frozen: int
    signal: Optional[List[Optional[float]]]


@dataclass(frozen=True)
class Move:
    """A decision.

    Args:
        time (float): When it fell, in the course's unit.
        num_frozen (int): Layers that are frozen from then on.
        reason (str): What it was bound by, in words.
    """
    time: float
    num_frozen: int
    reason: str


@dataclass(frozen=True)
class Course:
    """The course of a run.

    Args:
        unit (str): What time is counted in: ``'epochs'`` completed, or ``'iterations'`` where no
            epochs are recorded.
        signal (str, optional): Which of ``SIGNALS`` the policy looked at; None: at none.
        intervals (list[Interval]): Without gaps, from the beginning of training on.
        moves (list[Move]): The decisions, in order.
    """
    unit: str
    signal: Optional[str]
    intervals: List[Interval]
    moves: List[Move]


def course_of(record: RunRecord) -> Course:
    """Reads a run's course.

    Args:
        record (RunRecord): What the run recorded.

    Returns:
        Course: Up to the last thing that is recorded.

    Raises:
        ValueError: Nothing is recorded yet that tells how far the run is.
    """
    signal = next((name for name in SIGNALS
                   if any(decision.get(name) for decision in record.decisions)), None)
    unit, times, end = _times(record)
    if not end:
        record.require_epochs()
    intervals, begin, num_frozen = [], 0., 0
    for time, decision in zip(times, record.decisions):
        if time > begin:
            seen = None if signal is None else decision.get(signal)
            intervals.append(Interval(begin, time, num_frozen, seen))
        begin, num_frozen = time, decision['num_frozen']
    if end > begin:
        intervals.append(Interval(begin, end, num_frozen, None))
    moves = [Move(time, decision['num_frozen'], _reason(decision))
             for time, decision in zip(times, record.decisions)]
    return Course(unit, signal, intervals, moves)


def _times(record: RunRecord) -> tuple:
    """Unit of time, when the decisions fell, and how far the run is."""
    decided = [decision['iteration'] for decision in record.decisions]
    if not record.epochs:
        marks = decided + [entry['iteration'] for entry in (*record.validations, *record.fills)]
        return 'iterations', decided, max(marks, default=0)
    lengths = [v['iteration'] / v['epoch'] for v in record.validations if v['epoch']]
    # Without a validation it is not known where within an epoch a decision fell.
    times = ([iteration / lengths[0] for iteration in decided] if lengths
             else [decision['epoch'] for decision in record.decisions])
    return 'epochs', times, max([record.epochs[-1]['epoch'], *times])


def _reason(decision: Dict[str, Any]) -> str:
    if 'warning' in decision:
        return 'nothing to decide by'
    if decision.get('warmup'):
        return 'warm-up'
    bound = decision.get('bound')
    return 'decision' if bound is None else BOUNDS.get(bound, str(bound))
