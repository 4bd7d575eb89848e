"""The table of published corpora, and the cards written from it."""

import importlib
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from metalcx import _resources
from metalcx.corpora import _cards, find_corpus, find_known, known_corpora, list_corpora, raw_folder
from metalcx.corpora._known import ROLES
from metalcx.corpora.importers import IMPORTERS
from metalcx.errors import CorpusError

ROOT = Path(__file__).resolve().parents[2]
#: The corpora on which metalcx was measured, and others that the field uses.
MEASURED = {
    "algoperf",
    "baker2018",
    "lcdb11",
    "lemur",
    "nas-bench-graph",
    "nas-bench-macro",
    "nas-bench-nlp-wt2",
    "nb201-finals",
    "nmtlc",
    "spikenas-bench",
    "taskset-rnn",
}


def test_names_are_unique_and_what_was_measured_is_there():
    names = [known.name for known in known_corpora()]
    assert names == sorted(set(names))
    assert set(names) >= MEASURED | {"lcbench", "nas-bench-201", "nats-bench", "nas-bench-nlp-ptb"}


@pytest.mark.parametrize("known", known_corpora(), ids=lambda known: known.name)
def test_an_entry_is_whole(known):
    for text in (known.name, known.title, known.holds, known.time_unit, known.licence, known.citation):
        assert isinstance(text, str)
        assert text.strip() == text != ""
    assert known.role in ROLES
    assert known.redistributable in (True, False)
    assert known.home.startswith("https://")
    assert known.format is None or known.format in IMPORTERS
    assert known.role != "meta-train" or known.redistributable
    assert "none stated" not in known.licence or not known.redistributable
    assert known.files
    assert len({file.name for file in known.files}) == len(known.files) == len({file.address for file in known.files})


@pytest.mark.parametrize("known", known_corpora(), ids=lambda known: known.name)
def test_files_are_addressed_safely(known):
    for file in known.files:
        path = PurePosixPath(file.name)
        assert not path.is_absolute()
        assert not {"..", "", "."} & set(path.parts)
        assert not path.name.startswith(".")
        assert "{" not in file.name + file.address
        assert file.address.startswith("https://")
        # A branch moves; what is fetched from GitHub is one commit.
        assert "github.com" not in file.address or re.search(r"/(raw|archive)/[0-9a-f]{40}[./]", file.address)
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.md5 is None or re.fullmatch(r"[0-9a-f]{32}", file.md5)
        assert file.size is None or (type(file.size) is int and file.size > 0)
        assert not file.by_hand or file.sha256 or file.md5


def test_groups_of_files_are_spelled_out():
    names = [file.name for file in find_known("lcdb11").files]
    assert len(names) == 268
    assert {"meta.json", "names.json", "er/3.json", "er/42810.json", "metadata/datasets_FULL_summary.csv"} <= set(names)
    (file,) = (f for f in find_known("baker2018").files if f.name == "lstm_ptb.csv")
    assert file.address.endswith("/82ed099d8ef1c8b2f4b362232be72cbc55c36d69/data/lstm_ptb.csv")


def test_the_command_that_imports_what_was_fetched():
    folder = Path("raw")
    assert find_known("baker2018").import_command(folder) == "metalcx corpus import baker raw baker2018"
    assert "nas-bench-nlp raw/train_logs_wikitext-2/logs.zip " in find_known("nas-bench-nlp-wt2").import_command(folder)
    assert find_known("pd1").import_command(folder) is None


def test_sizes():
    assert find_known("nats-bench").size == 1145989120
    assert find_known("baker2018").size is None
    assert find_known("nas-bench-201").to_dict()["by_hand"] is True


def test_an_unknown_name():
    with pytest.raises(CorpusError, match="'cifar' is no published corpus that metalcx knows; there are 'algoperf'"):
        find_known("cifar")


def test_where_raw_files_go(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("METALCX_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert raw_folder("pd1") == tmp_path / ".cache" / "metalcx" / "raw" / "pd1"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert raw_folder("pd1") == tmp_path / "cache" / "metalcx" / "raw" / "pd1"
    monkeypatch.setenv("METALCX_DATA", f"~/one:{tmp_path / 'two'}")
    assert raw_folder("pd1") == tmp_path / "one" / "raw" / "pd1"


def test_the_table_travels_inside_the_package():
    resource = importlib.resources.files("metalcx.corpora").joinpath("known.toml")
    assert resource.is_file()


# Cards.


def test_cards_are_those_that_the_table_gives():
    folder = ROOT / "datasets" / "cards"
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == _cards.cards()


def test_a_card_says_what_matters():
    known = find_known("spikenas-bench")
    text = _cards.card(known)
    for said in (known.licence, known.citation, "may ship what is learned from it:** no", known.files[0].address):
        assert said in text
    assert find_known("lcbench").files[0].md5 in _cards.card(find_known("lcbench"))


def test_the_command_writes_them_and_leaves_others_alone(tmp_path):
    (tmp_path / "mine.md").write_text("mine")
    command = [sys.executable, "-m", "metalcx.corpora.write_cards", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert len(done.stdout.splitlines()) == len(known_corpora()) + 1
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {"mine.md": "mine", **_cards.cards()}


def test_cards_are_no_corpus(monkeypatch):
    monkeypatch.delenv("METALCX_DATA", raising=False)
    assert "cards" not in _resources.bundled_names("datasets")
    assert "cards" not in {info.name for info in list_corpora()}
    with pytest.raises(CorpusError):
        find_corpus("cards")
