"""A plan: what each policy would save, between which bounds, and below which ceilings."""
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from mmfreeze.freezing import FreezePolicy, NoFreezing
from mmfreeze.freezing.saving import predicted_trajectory

from .course import Course, Length, course_of
from .measured import Measured
from .rows import PlannedRow


@dataclass(frozen=True)
class Planned:
    """What is predicted of a policy.

    Whatever it does, it freezes between the two courses. Without a store its seconds lie between
    theirs, too; a store that moves at other moments may lead out of them.

    Args:
        row (PlannedRow): The policy.
        slowest (Course): If it freezes as late as it can.
        fastest (Course): If it freezes as early as it can; of a schedule the same.
        open (bool): Whether it may freeze nothing at all.
    """
    row: PlannedRow
    slowest: Course
    fastest: Course
    open: bool

    @property
    def adaptive(self) -> bool:
        """Whether only training shows what it freezes."""
        return self.slowest is not self.fastest

    def seconds(self, uncertainty: float) -> Tuple[float, float]:
        """Seconds of the run, from ... to; of a schedule both are the same.

        Args:
            uncertainty (float): How well times are known; a range is wider by so much.
        """
        least, most = sorted((self.fastest.total, self.slowest.total))
        if not self.adaptive:
            return least, most
        return least * (1 - uncertainty), most * (1 + uncertainty)

    def saved(self, base: Course) -> Tuple[float, float]:
        """The share of a run's seconds that is saved, from ... to."""
        return tuple(sorted(1 - course.total / base.total
                            for course in (self.slowest, self.fastest)))

    def flops_saved(self, base: Course) -> Tuple[float, float]:
        """The share of its FLOPs, from ... to."""
        return tuple(sorted(1 - course.flops / base.flops
                            for course in (self.slowest, self.fastest)))


@dataclass(frozen=True)
class Plan:
    """All that is predicted of a training.

    Args:
        length (Length): How long it is.
        base (Course): If nothing is frozen.
        policies (list[Planned]): The policies.
        unsuited (dict[str, str]): Of those that cannot be planned, why.
        ceilings (dict[str, Course]): ``freezing``: all layers from the first iteration on;
            ``store``: the same from stored features; ``free``: and filling the store takes nothing.
            The last two only where features can be stored.
    """
    length: Length
    base: Course
    policies: List[Planned]
    unsuited: Dict[str, str]
    ceilings: Dict[str, Course]


def make_plan(measured: Measured, length: Length, rows: Sequence[PlannedRow],
              unsuited: Dict[str, str], no_store: str = '') -> Plan:
    """Predicts.

    Args:
        measured (Measured): What was measured of the training.
        length (Length): How long it is.
        rows (Sequence[PlannedRow]): The policies.
        unsuited (dict[str, str]): Those of which it is known already that they do not suit.
        no_store (str): Why nothing can be stored. Defaults to ''.

    Returns:
        Plan: The plan.
    """
    policies, unsuited = [], dict(unsuited)
    for row in rows:
        if row.store is not None and measured.store is None:
            unsuited[row.name] = f'nothing can be stored: {no_store}'
            continue
        policy = row.build()
        try:  # settings meet the length of the run and the number of layers in the courses only
            late, early = policy.bounds()
            slowest = _course(measured, length, late, row)
            fastest = slowest if late is early else _course(measured, length, early, row)
        except ValueError as error:
            unsuited[row.name] = str(error)
            continue
        policies.append(Planned(row, slowest, fastest, isinstance(late, NoFreezing)
                                and not isinstance(policy, NoFreezing)))
    every = [measured.num_layers] * length.max_iters
    ceilings = dict(freezing=course_of(measured, length, every))
    if measured.store is not None:
        ceilings.update(store=course_of(measured, length, every, 'always'),
                        free=course_of(measured, length, every, 'always', free_fill=True))
    return Plan(length, course_of(measured, length, [0] * length.max_iters), policies, unsuited,
                ceilings)


def _course(measured: Measured, length: Length, policy: FreezePolicy, row: PlannedRow) -> Course:
    trajectory = predicted_trajectory(policy, measured.num_layers, length.max_iters, length.unit)
    return course_of(measured, length, trajectory, row.when)
