"""`metalcx corpus fetch`, and published corpora in `list` and `show`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from served import BODY, serving

from metalcx import corpora
from metalcx.corpora import KnownFile, _download, _known, find_known

SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(_download, "PAUSE", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as site:
        yield site


@pytest.fixture
def toy(home, site, monkeypatch):
    """Published corpora are `toy`, of two files on this machine, and `nas-bench-201`, which is had by hand."""
    files = (KnownFile("a.csv", site.address("/a"), sha256=SHA), KnownFile("b.csv", site.address("/b")))
    toy = replace(find_known("baker2018"), name="toy", files=files)
    others = (find_known("nas-bench-201"), toy)
    monkeypatch.setattr(_known, "known_corpora", lambda: others)
    monkeypatch.setattr(corpora, "known_corpora", lambda: others)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return toy


def test_fetch_prints_licence_first_and_how_to_import_last(toy, call, home, site):
    result = call("corpus", "fetch", "toy")
    assert (result.exit_code, result.stderr) == (0, "")
    folder = home / "cache" / "metalcx" / "raw" / "toy"
    lines = result.stdout.splitlines()
    assert lines[1:3] == [f"licence: {toy.licence}", f"cite: {toy.citation}"]
    assert f"{folder}: 2 fetched, 0 there before, 1,800,000 bytes in all" in lines
    assert "a.csv: verified against the published sha256" in lines
    assert "b.csv: nothing is published to verify against; the sha256 seen now is in CHECKSUMS beside it" in lines
    assert lines[-1] == f"import it: metalcx corpus import baker {folder} toy"
    again = call("corpus", "fetch", "toy").stdout
    assert "0 fetched, 2 there before" in again
    assert "b.csv: verified against the sha256 of the first fetch" in again
    assert len(site.asked) == 2


def test_fetch_as_json(toy, call, home):
    result = call("corpus", "fetch", "toy", "--to", "here", "--json")
    assert result.exit_code == 0
    known = json.loads(result.stdout)
    assert (known["licence"], known["folder"], known["format"]) == (toy.licence, str(home / "here"), "baker")
    assert [(f["name"], f["sha256"], f["verified"]) for f in known["files"]] == [
        ("a.csv", SHA, "sha256"),
        ("b.csv", SHA, ""),
    ]
    assert (home / "here" / "b.csv").read_bytes() == BODY
    assert f"licence: {toy.licence}" in result.stderr


def test_fetch_that_fails_says_where_a_file_is_found(toy, call, home, site):
    site.answers["/b"] = (404, {}, b"")
    result = call("corpus", "fetch", "toy", "--to", "here")
    assert result.exit_code == 2
    assert result.stdout.startswith(f"toy: {toy.title}\nlicence: {toy.licence}\n")
    (line,) = result.stderr.splitlines()
    assert line == (
        f"metalcx: toy: b.csv could not be fetched: HTTP 404 Not Found; address: {site.address('/b')}; "
        f"a file put by hand would be found at {home / 'here' / 'b.csv'}"
    )
    (home / "here" / "b.csv").write_bytes(b"by hand")
    assert "0 fetched, 2 there before" in call("corpus", "fetch", "toy", "--to", "here").stdout


def test_fetch_of_what_is_had_by_hand_and_of_what_is_unknown(toy, call, bad):
    result = call("corpus", "fetch", "nas-bench-201")
    assert result.exit_code == 2
    assert "can be had by hand only; address: https://drive.google.com/" in result.stderr
    assert "'mini' is no published corpus that metalcx knows; there are 'nas-bench-201', 'toy'" in bad(
        "corpus", "fetch", "mini"
    )


def test_list_has_what_is_on_disk_and_then_what_can_be_had(toy, mini, good):
    entries = {entry["name"]: entry for entry in json.loads(good("corpus", "list", "--json"))}
    states = {name: entry["state"] for name, entry in entries.items()}
    assert states == {"mini": "on disk", "nas-bench-201": "by hand only", "toy": "can be fetched"}
    assert list(states) == ["mini", "nas-bench-201", "toy"]
    assert entries["mini"]["n_bytes"] == sum(p.stat().st_size for p in mini.iterdir() if p.name != "CHECKSUMS")
    text = good("corpus", "list")
    assert text.index("mini") < text.index("by hand only") < text.index("can be fetched")
    good("corpus", "fetch", "toy")
    assert "files are here, to be imported" in good("corpus", "list")


def test_a_corpus_on_disk_hides_the_published_one_of_its_name(toy, mini, good, monkeypatch, home):
    mini.rename(home / "toy")
    monkeypatch.setenv("METALCX_DATA", str(home))
    entries = json.loads(good("corpus", "list", "--json"))
    assert [(entry["name"], entry["state"]) for entry in entries] == [
        ("toy", "on disk"),
        ("nas-bench-201", "by hand only"),
    ]
    assert json.loads(good("corpus", "show", "toy", "--json"))["n_runs"] == 48


def test_show_of_a_corpus_that_is_not_on_disk(toy, good, home, site):
    text = good("corpus", "show", "toy")
    for said in (toy.licence, "meta-train: may teach", "metalcx corpus fetch toy", site.address("/b"), f"sha256 {SHA}"):
        assert said in text
    known = json.loads(good("corpus", "show", "toy", "--json"))
    assert (known["citation"], known["state"]) == (toy.citation, "can be fetched")
    assert known["folder"] == str(home / "cache" / "metalcx" / "raw" / "toy")
    assert [file["sha256"] for file in known["files"]] == [SHA, None]
    assert site.asked == []


def test_show_of_a_corpus_on_disk_has_size_and_checksums(mini, good):
    corpora.write_checksums(mini)
    known = json.loads(good("corpus", "show", "mini", "--json"))
    assert known["checksums"] == corpora.read_checksums(mini)
    assert known["n_bytes"] == corpora.disk_size(mini) > 10_000
    assert known["checksums"]["runs.parquet"] in good("corpus", "show", "mini")
