"""The chief of a search over several machines, and how its workers reach it.

KerasTuner's own chief (1.4.8) waits for a dead worker for ever, and its workers wait an hour for a
dead chief. Here a worker that runs a trial asks for it every few seconds, which tells the chief
that it lives; and a call that fails is made again, as a chief that is started anew goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

BEAT_S = 2.0
"""How often a worker tells that it lives."""
CHIEF_SILENT_S = 120.0
"""How long a worker waits for a chief that does not answer."""
_LOOK_S = 0.1


class ChiefGone(RuntimeError):
    """A chief that does not answer any more."""


class _Servicer(OracleServicer):
    """Answers workers, and notes when each was heard of."""

    def __init__(
        self, oracle: Any, begun: Callable[[Any], None], ended: Callable[[Any], None]
    ) -> None:
        super().__init__(oracle)
        self.lock = threading.Lock()
        self.heard: dict[str, float] = {}
        self.failure: Exception | None = None
        self._begun = begun
        self._ended = ended
        now = time.monotonic()
        # Workers of a chief that was killed may be at work still.
        self.heard.update(dict.fromkeys(oracle.ongoing_trials, now))

    def CreateTrial(self, request: Any, context: Any) -> Any:
        """The next trial of a worker."""

        def answer() -> Any:
            had = request.tuner_id in self.oracle.ongoing_trials
            response = super(_Servicer, self).CreateTrial(request, context)
            self.heard[request.tuner_id] = time.monotonic()
            trial = self.oracle.ongoing_trials.get(request.tuner_id)
            if TrialStatus.from_proto(response.trial.status) == TrialStatus.STOPPED:
                del self.heard[request.tuner_id]
            elif trial is not None and not had:
                self._begun(trial)
            return response

        return self._answer(answer, context)

    def GetTrial(self, request: Any, context: Any) -> Any:
        """A trial, for the worker that runs it and tells so by asking for it."""

        def answer() -> Any:
            for tuner_id, trial in self.oracle.ongoing_trials.items():
                if trial.trial_id == request.trial_id:
                    self.heard[tuner_id] = time.monotonic()
            return super(_Servicer, self).GetTrial(request, context)

        return self._answer(answer, context)

    def UpdateTrial(self, request: Any, context: Any) -> Any:
        """Takes the objective of a trial, unless another worker was faster."""

        def answer() -> Any:
            if request.trial_id not in self.oracle.end_order:
                return super(_Servicer, self).UpdateTrial(request, context)
            trial = self.oracle.get_trial(request.trial_id)
            return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

        return self._answer(answer, context)

    def EndTrial(self, request: Any, context: Any) -> Any:
        """Takes note that a trial has ended."""

        def answer() -> Any:
            trial_id = request.trial.trial_id
            is_news = trial_id not in self.oracle.end_order
            response = super(_Servicer, self).EndTrial(request, context)
            if is_news:
                self._ended(self.oracle.get_trial(trial_id))
            return response

        return self._answer(answer, context)

    def _answer(self, answer: Callable[[], Any], context: Any) -> Any:
        with self.lock:
            if self.failure is None:
                began = time.monotonic()
                try:
                    return answer()
                except Exception as error:
                    # Told by the thread that waits; here it would be lost.
                    self.failure = error
                finally:
                    # A proposal may take a minute, in which the others cannot be heard.
                    took = time.monotonic() - began
                    self.heard = {tuner_id: at + took for tuner_id, at in self.heard.items()}
        context.abort(grpc.StatusCode.ABORTED, f"the chief has failed: {self.failure}")
        return None


def serve(
    oracle: Any,
    address: str,
    *,
    worker_timeout_s: float,
    say: Callable[[str], None],
    begun: Callable[[Any], None],
    ended: Callable[[Any], None],
) -> None:
    """Gives trials to workers until all have ended, and takes them back from workers that die.

    Args:
        oracle: One of `tuner.searching.oracles`.
        address: HOST:PORT to be reached at.
        worker_timeout_s: Seconds after which a silent worker counts as dead.
        say: Called with a line of news.
        begun: Called with each trial that begins; holds up all workers.
        ended: Called with each trial that has ended; holds up all workers.

    Raises:
        OSError: The address cannot be used.
        Exception: What the oracle or a call-back raised.
    """
    servicer = _Servicer(oracle, begun, ended)
    # Else a second chief could share the port, and each would get half of the calls.
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(
            f"The chief cannot be reached at {address}: {error}. Set KERASTUNER_ORACLE_IP and "
            "KERASTUNER_ORACLE_PORT to an address of this machine and a free port."
        ) from error
    server.start()
    is_alone = False
    try:
        while servicer.failure is None:
            time.sleep(_LOOK_S)
            with servicer.lock:
                _drop_silent(servicer, worker_timeout_s, say)
                if _is_over(servicer):
                    break
                if is_alone != (not servicer.heard):
                    is_alone = not servicer.heard
                    if is_alone:
                        say(f"no worker is there. Start one that reaches {address}")
    finally:
        server.stop(grace=1).wait()
    if servicer.failure is not None:
        raise servicer.failure


def _drop_silent(servicer: _Servicer, timeout_s: float, say: Callable[[str], None]) -> None:
    for tuner_id, at in list(servicer.heard.items()):
        if time.monotonic() - at > timeout_s:
            del servicer.heard[tuner_id]
            trial = servicer.oracle.give_up(tuner_id)
            left = "" if trial is None else f"; trial {trial.trial_id} waits for another"
            say(f"worker {tuner_id} was silent for {timeout_s:g} s{left}")


def _is_over(servicer: _Servicer) -> bool:
    """Whether all trials have ended, and all workers that live know it."""
    oracle = servicer.oracle
    all_ended = len(oracle.end_order) == len(oracle.trials)
    is_full = oracle.max_trials is not None and len(oracle.trials) >= oracle.max_trials
    return all_ended and (is_full or servicer.stop_triggered) and not servicer.heard


class PatientClient(OracleClient):
    """A worker's way to the chief, which outlasts a chief that is started anew.

    Args:
        oracle: An oracle like the chief's; only its settings are read.
    """

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.stub: Any = _PatientStub(self.stub)
        self._beaten: dict[str, float] = {}

    def beat(self, trial: Any) -> None:
        """Tells the chief, now and then, that a trial is under way."""
        now = time.monotonic()
        if now - self._beaten.get(trial.trial_id, -BEAT_S) >= BEAT_S:
            self._beaten[trial.trial_id] = now
            self.get_trial(trial.trial_id)


class _PatientStub:
    """Calls of the chief, made again where they fail."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._stub, name)

        def patient(request: Any, **_: Any) -> Any:
            until = time.monotonic() + CHIEF_SILENT_S
            while (left := until - time.monotonic()) > 0:
                try:
                    return call(request, wait_for_ready=True, timeout=left)
                except grpc.RpcError as error:
                    if error.code() == grpc.StatusCode.ABORTED:
                        raise ChiefGone(str(error.details())) from error
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        break
                    time.sleep(_LOOK_S)
            raise ChiefGone(
                f"The chief has not answered for {CHIEF_SILENT_S:g} s. When it runs again, start "
                "this worker again."
            )

        return patient
