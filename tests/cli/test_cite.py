"""`metalcx cite`: what stands behind models, methods, corpora and hosts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import metalcx
from metalcx import decide, encoders, forecasters, histories, hub
from metalcx.transfer import ALGORITHMS

ROOT = Path(metalcx.__file__).resolve().parent.parent
WORKS = tomllib.loads((ROOT / "metalcx" / "cli" / "references.toml").read_text(encoding="utf-8"))["work"]


def keys(text: str) -> list[str]:
    return [work["key"] for work in json.loads(text)]


def test_alone_it_cites_metalcx_as_the_file_of_the_repository_does(good) -> None:
    (work,) = json.loads(good("cite", "--json"))
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (work["title"], work["version"], work["license"]) == (said["title"], said["version"], said["license"])
    assert work["version"] == metalcx.__version__
    assert work["author"] == "{" + said["authors"][0]["name"] + "}"


def test_bibtex_is_whole(good) -> None:
    text = good("cite", "SRM", "optuna")
    entries = text.strip().split("\n\n")
    assert [re.match(r"@(\w+)\{(\S+),", entry)[2] for entry in entries] == [
        "metalcx",
        "baker2018accelerating",
        "akiba2019optuna",
    ]
    for entry in entries:
        assert entry.count("{") == entry.count("}")
        assert all(re.fullmatch(r"  \w+ = \{.+\},", line) for line in entry.splitlines()[1:-1])
    assert "  eprint = {1705.10823},\n  archiveprefix = {arXiv},\n" in text


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("metalcx-base", {"rakotoarison2024context", "lemur", "algoperf", "smallnets"}),
        ("metalcx-encoder", {"kim2025learning", "bresson2017residual", "lemur", "nas-bench-graph"}),
        ("metalcx-suggest", {"wistuba2019inductive", "kim2025learning", "smallnets", "nas-bench-201"}),
    ],
)
def test_what_ships_cites_papers_and_every_source_of_its_card(call, model: str, wanted: set[str]) -> None:
    found = json.loads(call("cite", model, "--json").stdout)
    assert wanted <= {work["key"] for work in found}
    card = hub.describe(model)["card"].partition("## Sources")[2].partition("\n## ")[0]
    sources = re.findall(r"^- ([\w-]+):", card, re.MULTILINE)
    assert len(sources) >= 2
    plain = {work["key"].replace("-", "") for work in found if work["of"] == ["corpus"]}
    assert {name.replace("-", "") for name in sources} <= plain
    # Full citations are those of the registry, not the card's short ones.
    assert all(work["note"] for work in found if work["of"] == ["corpus"])


def test_an_adapted_model_cites_what_its_base_does(home, good) -> None:
    sources = "## Sources\n\n- mine: CC0-1.0. Me, 2024\n- lemur: MIT. arXiv:2504.10552\n"
    card = f"# Tiny\n\n{sources}\n## Limits\n\n- other: none\n"
    about = {"algorithm": "maml"}
    hub.save(hub.load("tiny-base"), home / "base", name="base", card=card, metrics=about)
    good("adapt", "base", "--curves", "runs.csv", "--metric", "val_loss:min:0", "--out", "mine")
    found = {work["key"]: work for work in json.loads(good("cite", "mine", "--json"))}
    assert list(found) == ["metalcx", "finn2017model", "arnold2020learn2learn", "mine", "lemur"]
    assert found["mine"]["note"] == "CC0-1.0. Me, 2024"
    assert "Goodarzi" in found["lemur"]["note"]


def test_corpora_on_disk_and_published(mini, good) -> None:
    assert keys(good("cite", "mini", "lcbench", "--json")) == ["metalcx", "mini", "lcbench"]


def test_what_nobody_knows_is_refused_by_name(home, bad) -> None:
    assert "'nosuch' is no model, corpus or folder, and none of '" in bad("cite", "nosuch")
    (home / "empty").mkdir()
    assert "holds no config.json" in bad("cite", "empty")


def test_the_table_names_what_there_is() -> None:
    """Every word is a class, a kind, an algorithm, a search or a host, and every host and algorithm has a work."""
    hosts = {p.stem for p in (ROOT / "metalcx" / "integrations").glob("[!_]*.py")} - {"loop"}
    kinds = {"gin", "gated-gcn"}
    models = {*forecasters.__all__, *decide.__all__, *histories.__all__, "GraphEncoder", "TransferModel"}
    words = {word for work in WORKS for word in work["of"]}
    assert words <= models | hosts | kinds | {*ALGORITHMS} | {"metalcx", "dynamics"}
    assert hosts | kinds | {*ALGORITHMS} - {"episodic"} <= words
    assert "GraphEncoder" in encoders.__all__
    assert len({work["key"] for work in WORKS}) == len(WORKS)
    assert {"key", "of", "type", "title"} <= set.intersection(*(set(work) for work in WORKS))
