"""The script for whoever has a GPU runs here in its CPU form, so that it stays whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.long
def test_quick_form_on_a_cpu(tmp_path):
    out = tmp_path / "gpu.json"
    done = subprocess.run(
        ["bash", "scripts/bench/gpu.sh", str(out), "--quick", "--device", "cpu"],
        cwd=ROOT,
        env=os.environ | {"BENCH_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["about"]["torch"] == torch.__version__
    assert not found["failed"]
    parts = found["parts"]
    new = {"stubbed", "batches", "start"}
    assert set(parts) == {"parity", "precision", "steps", "end_to_end", "ddp", "repeat"} | new
    assert found["not run"]["golden"] == "--quick"
    assert all(name in found["not run"] for name in parts)
    assert (
        max(x for m in parts["parity"]["largest difference in sd"].values() for x in m.values())
        == 0
    )
    assert parts["ddp"]["backend"] == "gloo"
    assert parts["ddp"]["largest difference of weights"] < 1e-4
    assert set(parts["repeat"]) >= {"equal seeds, largest difference of weights"}
    assert {v for k, v in parts["repeat"].items() if k != "took"} == {0}
    assert parts["end_to_end"]["windows a second"] > 0
    assert parts["stubbed"]["windows a second"] > 0
    alone, together = (parts["batches"][k] for k in ("each root by itself", "together"))
    assert together["windows a batch"] > alone["windows a batch"] >= 1
    assert 0 < parts["start"]["predict --help"]["CPU seconds"]
    assert 0 < parts["start"]["example"]["CPU seconds"]
    assert parts["precision"]["decoders bfloat16, encoder float32"][
        "r and largest difference in sd"
    ]


def test_unknown_parts_are_named():
    line = [sys.executable, "scripts/bench/gpu.py", "--parts", "parity,nothing"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing: known are parity, golden" in done.stderr
