"""What is read from wrk, and what it is told: its output was captured from a real run."""

from pathlib import Path

import pytest

from benchmarks.measures.processes import NotMeasuredError
from benchmarks.measures.wrk import parse, write_script

OUTPUT = """Running 1s test @ http://127.0.0.1:9312
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    20.13ms    2.65ms  36.84ms   72.07%
    Req/Sec   787.82     58.76     0.87k    72.73%
  863 requests in 1.10s, 269.48KB read
Requests/sec:    785.88
Transfer/sec:    245.40KB
measured: {"requests": 863, "microseconds": 1098130, "p50": 19989, "p99": 29486, "refused": 0, "broken": 0}
"""


def test_figures_agree_with_what_wrk_itself_prints() -> None:
    """Requests a second are those of wrk's own line, and microseconds become milliseconds."""
    requests, p50, p99, errors = parse(OUTPUT)
    assert requests == pytest.approx(785.88, abs=0.005)
    assert (p50, p99, errors) == (19.989, 29.486, 0)


def test_refused_and_broken_answers_are_both_errors() -> None:
    """An answer that is not 2xx and a connection that broke both count."""
    output = OUTPUT.replace('"refused": 0', '"refused": 3').replace('"broken": 0', '"broken": 4')
    assert parse(output)[3] == 7


def test_a_run_without_result_is_no_figure() -> None:
    """Where wrk could not connect there is nothing to read, and the message holds what it said."""
    with pytest.raises(NotMeasuredError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:9 Connection refused\n")


def test_script_keeps_the_body_and_starts_at_its_seed(tmp_path: Path) -> None:
    """The body stands in the script as given, with its place for the seed, and seeds go on after the first."""
    script = write_script(tmp_path, '{"count":20,"seed":%d}', 41).read_text("utf-8")
    assert '{"count":20,"seed":%d}' in script
    assert "local seed = 41" in script
    assert "{{" not in script
