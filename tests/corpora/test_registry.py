import json

import pytest

from metalcx.corpora import _registry, find_corpus, list_corpora, open_corpus, read_checksums, write_checksums
from metalcx.errors import CorpusError

from .conftest import write_tiny


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch):
    monkeypatch.delenv("METALCX_DATA", raising=False)
    monkeypatch.setattr(_registry, "bundled_names", lambda kind: [])


@pytest.fixture
def data(tmp_path, monkeypatch):
    for name in ("one", "two"):
        write_tiny(tmp_path / "data" / name, checksums=name == "one")
    (tmp_path / "data" / "no-corpus").mkdir()
    monkeypatch.setenv("METALCX_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_corpora_of_the_data_folder_have_names(data):
    infos = list_corpora()
    assert [i.name for i in infos] == ["one", "two"]
    assert infos[0].path == data / "one"
    assert (infos[0].origin, infos[0].licence, infos[0].n_runs, infos[0].redistributable) == (
        "METALCX_DATA",
        "CC0-1.0",
        8,
        True,
    )
    assert set(infos[0].checksums) == {f"{n}.parquet" for n in ("tasks", "runs", "curves", "architectures")} | {
        "corpus.json"
    }
    assert infos[1].checksums == {}
    assert json.loads(json.dumps(infos[0].to_dict()))["path"] == str(data / "one")
    assert find_corpus("two") == data / "two"
    assert open_corpus("two").n_points == 52


def test_several_data_folders(data, tmp_path, monkeypatch):
    import os

    write_tiny(tmp_path / "other" / "three")
    monkeypatch.setenv("METALCX_DATA", os.pathsep.join([str(data), str(tmp_path / "other"), str(tmp_path / "absent")]))
    assert [i.name for i in list_corpora()] == ["one", "three", "two"]


def test_a_bundled_corpus_hides_another_of_its_name(data, tmp_path, monkeypatch):
    write_tiny(tmp_path / "shipped" / "one", tasks=("z",))
    monkeypatch.setattr(_registry, "bundled_names", lambda kind: ["one"] if kind == "datasets" else [])
    monkeypatch.setattr(_registry, "bundled", lambda kind, name: tmp_path / "shipped" / name)
    assert [(i.name, i.origin) for i in list_corpora()] == [("one", "bundled"), ("two", "METALCX_DATA")]
    assert open_corpus("one").task_names == ("z",)


def test_a_folder_goes_before_a_name(data, tmp_path, monkeypatch):
    write_tiny(tmp_path / "here" / "two", tasks=("q",))
    monkeypatch.chdir(tmp_path / "here")
    assert open_corpus("two").task_names == ("q",)
    assert open_corpus("one").task_names == ("a", "b")
    assert open_corpus(tmp_path / "here" / "two").task_names == ("q",)


def test_a_broken_corpus_is_listed_with_its_problem(data):
    (data / "two" / "corpus.json").write_text("{")
    info = list_corpora()[1]
    assert info.name == "two"
    assert "corpus.json: is not JSON" in info.problem


def test_what_is_neither_a_folder_nor_a_name(data, tmp_path, monkeypatch):
    with pytest.raises(
        CorpusError, match=r"'three' is neither a corpus folder nor a named corpus; named corpora are 'one', 'two'"
    ):
        find_corpus("three")
    with pytest.raises(CorpusError, match=r"holds no corpus\.json"):
        find_corpus(tmp_path)
    monkeypatch.delenv("METALCX_DATA")
    with pytest.raises(CorpusError, match="there are no named corpora"):
        find_corpus("one")


def test_checksums_are_those_of_sha256sum(data):
    import hashlib

    file = write_checksums(data / "two")
    stated = read_checksums(data / "two")
    assert stated["runs.parquet"] == hashlib.sha256((data / "two" / "runs.parquet").read_bytes()).hexdigest()
    assert file.read_text().splitlines()[0] == f"{stated['corpus.json']}  corpus.json"
