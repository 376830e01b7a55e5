"""Tests of serve/telemetry.py."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from serve.telemetry import Telemetry


def samples(telemetry: Telemetry) -> dict[str, float]:
    """Return the samples of the text format by name and labels: `name{a=b,c=d}`."""
    found = {}
    for family in text_string_to_metric_families(telemetry.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('proxy_serve_')}{{{labels}}}"] = sample.value
    return found


def test_requests_are_counted_by_route_model_and_status() -> None:
    telemetry = Telemetry()
    for _ in range(3):
        telemetry.request_began()
    telemetry.request_ended("/v1/predict", "m", 200, 0.02)
    telemetry.request_ended("/v1/predict", "m", 503, 0.3)
    found = samples(telemetry)
    assert found["requests_total{model=m,route=/v1/predict,status=200}"] == 1
    assert found["requests_total{model=m,route=/v1/predict,status=503}"] == 1
    assert found["in_flight_requests{}"] == 1
    assert found["request_seconds_count{route=/v1/predict}"] == 2
    assert found["request_seconds_sum{route=/v1/predict}"] == 0.32
    assert found["request_seconds_bucket{le=0.025,route=/v1/predict}"] == 1


def test_batches_and_queues_are_told_by_model() -> None:
    telemetry = Telemetry()
    lengths = [3, 4]
    telemetry.watch_queue("m", lambda: lengths[0], lambda: lengths[1])
    count = telemetry.watch_batches("m")
    count(5, 0.25)
    count(8, 0.5)
    lengths[0] = 7
    found = samples(telemetry)
    assert found["batch_images_sum{model=m}"] == 13
    assert found["batch_images_bucket{le=4.0,model=m}"] == 0
    assert found["batch_images_bucket{le=8.0,model=m}"] == 2
    assert found["batch_seconds_sum{model=m}"] == 0.75
    assert found["queue_images{model=m}"] == 7
    assert found["queue_requests{model=m}"] == 4


def test_refusals_are_counted_where_they_protect_the_server() -> None:
    telemetry = Telemetry()
    for status in (503, 503, 413, 404, 422):
        telemetry.refused(status)
    found = {name: value for name, value in samples(telemetry).items() if "rejected_t" in name}
    assert found == {
        "rejected_total{reason=overloaded}": 2,
        "rejected_total{reason=too_large}": 1,
    }


def test_a_reloaded_model_is_told_as_it_is_now() -> None:
    telemetry = Telemetry()
    telemetry.model_loaded("m", precision="fp32", explain="none", device="cpu")
    telemetry.model_loaded("other", precision="fp32", explain="none", device="cpu")
    telemetry.model_loaded("m", precision="int8", explain="grad_cam", device="cpu")
    telemetry.reloaded("m", is_new=True)
    telemetry.reloaded("m", is_new=False)
    found = samples(telemetry)
    assert {name: value for name, value in found.items() if "model_info" in name} == {
        "model_info{device=cpu,explain=grad_cam,model=m,precision=int8}": 1,
        "model_info{device=cpu,explain=none,model=other,precision=fp32}": 1,
    }
    assert found["reloads_total{model=m,outcome=replaced}"] == 1
    assert found["reloads_total{model=m,outcome=kept}"] == 1


def test_what_answers_rest_on_is_told_by_model() -> None:
    telemetry = Telemetry()
    assert not any("ticked_share" in name for name in samples(telemetry))
    telemetry.answered("m", [0.0, 0.55, 0.75], marked=2)
    telemetry.answered("m", [0.25], marked=0)
    found = samples(telemetry)
    assert found["ticked_share_sum{model=m}"] == 1.55
    assert found["ticked_share_bucket{le=0.05,model=m}"] == 1
    assert found["ticked_share_bucket{le=0.6,model=m}"] == 3
    assert found["ticked_share_bucket{le=1.0,model=m}"] == 4
    assert found["marked_answers_total{model=m}"] == 2


def test_two_servers_in_one_process_count_apart() -> None:
    one, two = Telemetry(), Telemetry()
    one.request_began()
    assert samples(one)["in_flight_requests{}"] == 1
    assert samples(two)["in_flight_requests{}"] == 0
