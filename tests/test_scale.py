"""The table of a catalogue's growth says what the rows say."""

from bench.scale import table


def test_each_phase_has_its_sizes_and_how_its_cpu_time_grows() -> None:
    rows = [
        {"titles": titles, "phase": phase, "events": 5, "wall_s": 1.0, "cpu_s": cpu_s, "peak_mib": 100.0}
        for titles, phase, cpu_s in ((10, "ingest", 2.0), (100, "ingest", 21.0), (10, "plan", 1.0), (100, "plan", 3.0))
    ]
    head, _, ingest, plan = table(rows).splitlines()
    assert head == "| phase | 10 titles | 100 titles | 100 / 10 |"
    assert ingest.startswith("| ingest | 1.0 s, CPU 2.0 s, 100 MiB, 5 events |")
    assert ingest.endswith("| 10.5 |")
    assert plan.endswith("| 3.0 |")
