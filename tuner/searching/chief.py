"""The chief of a search over several machines, and the client of its workers.

KerasTuner's own chief (1.4.8) waits forever for a dead worker, and its workers wait an hour for a
dead chief. Here, a worker requests its running trial every few seconds as a heartbeat, and retries
failed calls, because a restarted chief resumes.
"""

from __future__ import annotations

import functools
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

from tuner.searching.objectives import SearchError

HEARTBEAT_S = 2.0
"""Interval of the heartbeats of a worker."""
CHIEF_TIMEOUT_S = 120.0
"""How long a worker waits for a chief that does not respond."""
_POLL_S = 0.1


class ChiefUnavailable(SearchError):
    """Error of a chief that does not respond."""


def _serialised(method: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Make a method of `_Servicer` hold the lock, and abort calls once the chief has failed."""

    @functools.wraps(method)
    def call(self: _Servicer, request: Any, context: Any) -> Any:
        with self.lock:
            if self.failure is None:
                began = time.monotonic()
                try:
                    return method(self, request, context)
                except Exception as error:
                    # Raised by the main thread; here it would be lost.
                    self.failure = error
                finally:
                    # A proposal may take a minute, which blocks the heartbeats of other workers.
                    took = time.monotonic() - began
                    self.last_seen = {name: at + took for name, at in self.last_seen.items()}
        context.abort(grpc.StatusCode.ABORTED, f"the chief has failed: {self.failure}")
        return None

    return call


class _Servicer(OracleServicer):
    """Servicer of the workers, which records when each was last seen."""

    def __init__(
        self, oracle: Any, on_start: Callable[[Any], None], on_end: Callable[[Any], None]
    ) -> None:
        super().__init__(oracle)
        self.lock = threading.Lock()
        self.failure: Exception | None = None
        self._on_start = on_start
        self._on_end = on_end
        # Workers of a killed chief may still be running.
        self.last_seen = dict.fromkeys(oracle.ongoing_trials, time.monotonic())

    @_serialised
    def CreateTrial(self, request: Any, context: Any) -> Any:
        """Return the next trial of a worker."""
        had = request.tuner_id in self.oracle.ongoing_trials
        response = super().CreateTrial(request, context)
        self.last_seen[request.tuner_id] = time.monotonic()
        trial = self.oracle.ongoing_trials.get(request.tuner_id)
        if TrialStatus.from_proto(response.trial.status) == TrialStatus.STOPPED:
            del self.last_seen[request.tuner_id]
        elif trial is not None and not had:
            self._on_start(trial)
        return response

    @_serialised
    def GetTrial(self, request: Any, context: Any) -> Any:
        """Return a trial; the request is the heartbeat of the worker that runs it."""
        for tuner_id, trial in self.oracle.ongoing_trials.items():
            if trial.trial_id == request.trial_id:
                self.last_seen[tuner_id] = time.monotonic()
        return super().GetTrial(request, context)

    @_serialised
    def UpdateTrial(self, request: Any, context: Any) -> Any:
        """Record the objective of a trial, unless another worker has ended it."""
        if request.trial_id not in self.oracle.end_order:
            return super().UpdateTrial(request, context)
        trial = self.oracle.get_trial(request.trial_id)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    @_serialised
    def EndTrial(self, request: Any, context: Any) -> Any:
        """Record the end of a trial."""
        trial_id = request.trial.trial_id
        is_first = trial_id not in self.oracle.end_order
        response = super().EndTrial(request, context)
        if is_first:
            self._on_end(self.oracle.get_trial(trial_id))
        return response


def serve(
    oracle: Any,
    address: str,
    *,
    worker_timeout_s: float,
    notify: Callable[[str], None],
    on_start: Callable[[Any], None],
    on_end: Callable[[Any], None],
) -> None:
    """Serve trials to workers until all have ended, and requeue the trials of dead workers.

    Args:
        oracle: One of `tuner.searching.oracles`.
        address: HOST:PORT to listen on.
        worker_timeout_s: Seconds without a heartbeat after which a worker counts as dead.
        notify: Called with progress messages.
        on_start: Called with each trial that starts; blocks all workers.
        on_end: Called with each trial that has ended; blocks all workers.

    Raises:
        OSError: The address cannot be used.
        Exception: An error of the oracle or a callback.
    """
    servicer = _Servicer(oracle, on_start, on_end)
    # Without this option, two chiefs could share the port and each receive half of the calls.
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(
            f"The chief cannot listen on {address}: {error}. Set KERASTUNER_ORACLE_IP and "
            "KERASTUNER_ORACLE_PORT to an address of this machine and a free port."
        ) from error
    server.start()
    is_alone = False
    try:
        while servicer.failure is None:
            time.sleep(_POLL_S)
            with servicer.lock:
                _drop_silent(servicer, worker_timeout_s, notify)
                if _is_over(servicer):
                    break
                if is_alone != (not servicer.last_seen):
                    is_alone = not servicer.last_seen
                    if is_alone:
                        notify(f"no workers connected. Start one that can reach {address}")
    finally:
        server.stop(grace=1).wait()
    if servicer.failure is not None:
        raise servicer.failure


def _drop_silent(servicer: _Servicer, timeout_s: float, notify: Callable[[str], None]) -> None:
    for tuner_id, at in list(servicer.last_seen.items()):
        if time.monotonic() - at > timeout_s:
            del servicer.last_seen[tuner_id]
            trial = servicer.oracle.requeue(tuner_id)
            left = "" if trial is None else f"; trial {trial.trial_id} is queued for another"
            notify(f"no heartbeat from worker {tuner_id} for {timeout_s:g} s{left}")


def _is_over(servicer: _Servicer) -> bool:
    """Return whether all trials have ended and all live workers have been notified."""
    oracle = servicer.oracle
    all_ended = len(oracle.end_order) == len(oracle.trials)
    is_full = oracle.max_trials is not None and len(oracle.trials) >= oracle.max_trials
    return all_ended and (is_full or servicer.stop_triggered) and not servicer.last_seen


class RetryingClient(OracleClient):
    """Client of a worker, which waits for a restarted chief.

    Args:
        oracle: An oracle with the settings of the chief's.
    """

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.stub: Any = _RetryingStub(self.stub)
        self._last_heartbeats: dict[str, float] = {}

    def heartbeat(self, trial: Any) -> None:
        """Send a heartbeat for a running trial, at most every `HEARTBEAT_S` seconds."""
        now = time.monotonic()
        if now - self._last_heartbeats.get(trial.trial_id, -HEARTBEAT_S) >= HEARTBEAT_S:
            self._last_heartbeats[trial.trial_id] = now
            self.get_trial(trial.trial_id)


class _RetryingStub:
    """Stub that retries failed calls."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._stub, name)

        def retrying(request: Any, **_: Any) -> Any:
            until = time.monotonic() + CHIEF_TIMEOUT_S
            while (left := until - time.monotonic()) > 0:
                try:
                    return call(request, wait_for_ready=True, timeout=left)
                except grpc.RpcError as error:
                    if error.code() == grpc.StatusCode.ABORTED:
                        raise ChiefUnavailable(str(error.details())) from error
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        break
                    time.sleep(_POLL_S)
            raise ChiefUnavailable(
                f"The chief has not responded for {CHIEF_TIMEOUT_S:g} s. Restart this worker when "
                "the chief is running again."
            )

        return retrying
