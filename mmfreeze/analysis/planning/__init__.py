"""What freezing would save in a training that has not begun: measured in short, then reckoned."""
from .course import Course, course_of
from .length import Length, length_of
from .measured import Measured, MeasuredStore
from .plan import Plan, make_plan
from .rehearsal import rehearse
from .rows import PlannedRow, planned_rows

__all__ = ['Course', 'Length', 'Measured', 'MeasuredStore', 'Plan', 'PlannedRow', 'course_of',
           'length_of', 'make_plan', 'planned_rows', 'rehearse']
