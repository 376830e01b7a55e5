"""Training on several devices, in one process or in several that communicate."""

from proxy_keras.distribution.parts import Parts
from proxy_keras.distribution.strategies import make_team
from proxy_keras.distribution.team import Team, WorkerLost

__all__ = ["Parts", "Team", "WorkerLost", "make_team"]
