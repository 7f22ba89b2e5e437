"""Trainings under several policies side by side: what each saves, and what it costs in quality."""
from .costs import training_costs
from .protocol import Protocol
from .rows import POLICIES, make_rows
from .schedule import with_epochs
from .training import Trainer, TrainingFailed, device

__all__ = ['POLICIES', 'Protocol', 'Trainer', 'TrainingFailed', 'device', 'make_rows',
           'training_costs', 'with_epochs']
