"""What ships: corpora and models, listed, shown and validated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from metalcx import hub


def test_models_list(home, good, shelf):
    text = good("models", "list")
    assert "tiny-base" in text
    assert hub.describe("tiny-base")["sha256"][:12] in text
    (entry,) = json.loads(good("models", "list", "--json"))
    assert (entry["name"], entry["class"], entry["parameters"]) == ("tiny-base", "Tiny", 2)


def test_models_list_shows_damage_and_nothing(home, good, shelf):
    (shelf / "pretrained" / "tiny-base" / "model.safetensors").write_bytes(b"short")
    text = good("models", "list")
    assert "damaged" in text
    assert "cut short" in text
    shutil.rmtree(shelf / "pretrained" / "tiny-base")
    assert good("models", "list") == "no model ships with this installation\n"


def test_models_show(home, good):
    text = good("models", "show", "tiny-base")
    assert "# Tiny" in text
    assert '{"width": 0.05}' in text
    assert json.loads(good("models", "show", "tiny-base", "--json")) == hub.describe("tiny-base")


def test_corpus_list(mini, good, tmp_path, monkeypatch):
    shutil.copytree(mini, tmp_path / "data" / "other")
    shutil.copytree(mini, tmp_path / "data" / "torn")
    (tmp_path / "data" / "torn" / "corpus.json").write_text("{")
    monkeypatch.setenv("METALCX_DATA", str(tmp_path / "data"))
    entries = {e["name"]: e for e in json.loads(good("corpus", "list", "--json")) if "origin" in e}
    assert {name: entry["origin"] for name, entry in entries.items()} == {
        "mini": "bundled",
        "other": "METALCX_DATA",
        "torn": "METALCX_DATA",
    }
    assert (entries["mini"]["n_tasks"], entries["mini"]["n_runs"]) == (2, 48)
    text = good("corpus", "list")
    assert "CC0-1.0" in text
    assert "damaged" in text


def test_corpus_list_without_any(home, good):
    assert "set METALCX_DATA" in good("corpus", "list")


def test_corpus_show(mini, good):
    known = json.loads(good("corpus", "show", "mini", "--json"))
    assert [(t["task"], t["family"], t["runs"]) for t in known["tasks"]] == [
        ("wine", "wine", 24),
        ("digits", "digits", 24),
    ]
    assert [m["goal"] for m in known["metrics"]] == ["min", "max"]
    text = good("corpus", "show", str(mini))
    assert "val_loss (min), val_accuracy (max)" in text
    assert "digits" in text


def test_corpus_validate(mini, good, call, tmp_path):
    assert "valid, 2 tasks, 48 runs, 1,398 points" in good("corpus", "validate", "mini")
    shutil.copytree(mini, tmp_path / "torn")
    curves = tmp_path / "torn" / "curves.parquet"
    curves.write_bytes(curves.read_bytes()[:-50])
    result = call("corpus", "validate", "mini", tmp_path / "torn")
    assert result.exit_code == 2
    assert "curves.parquet" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("metalcx: ")
    assert "1 problem; mend" in line
    reports = json.loads(call("corpus", "validate", "mini", tmp_path / "torn", "--json").stdout)
    assert [report["ok"] for report in reports] == [True, False]


def test_nothing_is_written_by_looking(mini, good):
    for command in (
        ("models", "list"),
        ("models", "show", "tiny-base"),
        ("corpus", "list"),
        ("corpus", "validate", "mini"),
    ):
        good(*command)
    assert sorted(p.name for p in Path().iterdir()) == ["runs.csv"]
