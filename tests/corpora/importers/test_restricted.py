"""The restricted loader: whatever is plain loads equal, and whatever is not is refused before anything runs."""

from __future__ import annotations

import bz2
import collections
import contextlib
import copyreg
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metalcx.corpora.importers._pickle_limits import Limits
from metalcx.corpora.importers._restricted import load_plain
from metalcx.errors import DataError

PROTOCOLS = range(6)


def load(path: Path, data: bytes, **limits: int) -> object:
    file = path / "file.pkl"
    file.write_bytes(data)
    return load_plain(file, Limits(**limits))


def refused(path: Path, data: bytes, match: str = "plain data|cannot be read", **limits: int) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load(path, data, **limits)
    assert str(caught.value).startswith(str(path / "file.pkl"))
    assert "\n" not in str(caught.value)


FLAT = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.complex_numbers(allow_nan=False)
)
DTYPES = (
    hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64))
    | hnp.boolean_dtypes()
    | hnp.unicode_string_dtypes(endianness="?", min_len=1)
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
KEYS = FLAT | st.tuples(FLAT, FLAT) | st.frozensets(st.integers())
PLAIN = st.recursive(
    FLAT | st.sets(FLAT, max_size=3) | st.frozensets(FLAT, max_size=3) | st.binary(max_size=5).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner, inner, inner)
        | st.tuples(inner)
        | st.lists(st.tuples(KEYS, inner), max_size=3).map(collections.OrderedDict)
    ),
    max_leaves=12,
)


@given(value=PLAIN, protocol=st.sampled_from(PROTOCOLS))
def test_whatever_is_plain_loads_equal(tmp_path_factory, value, protocol):
    loaded = load(tmp_path_factory.mktemp("p"), pickle.dumps(value, protocol))
    assert loaded == value
    assert repr(type(loaded)) in (repr(type(value)), "<class 'dict'>")


@given(array=ARRAYS, protocol=st.sampled_from(PROTOCOLS), fortran=st.booleans())
def test_arrays_load_equal(tmp_path_factory, array, protocol, fortran):
    array = np.asfortranarray(array) if fortran else array
    (loaded,) = load(tmp_path_factory.mktemp("p"), pickle.dumps([array], protocol))
    assert np.array_equal(loaded, array, equal_nan=array.dtype.kind == "f")
    assert (loaded.shape, loaded.dtype.kind, loaded.itemsize) == (array.shape, array.dtype.kind, array.itemsize)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_defaultdicts_and_shared_values(tmp_path, protocol):
    shared = [1, 2]
    value = {
        "x": np.float32(0.1),
        "n": np.int64(3),
        "d": collections.defaultdict(list, {1: shared}),
        "again": shared,
        ("cifar10", 777): "seed",
    }
    loaded = load(tmp_path, pickle.dumps(value, protocol))
    assert loaded == value
    assert loaded["x"].dtype == np.float32
    assert type(loaded["d"]) is dict


@pytest.mark.parametrize("packed", [False, True])
def test_the_python_loader_of_pickles_is_not_used(tmp_path, monkeypatch, packed):
    data = pickle.dumps({"a": np.arange(3)})
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    loaded = load(tmp_path, bz2.compress(data) if packed else data)
    assert loaded["a"].tolist() == [0, 1, 2]


class Evil:
    """Leaves a mark when it is unpickled by a loader that calls what it is told to."""

    def __init__(self, function, *arguments, state=None):
        self.made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.made


def boxed(function, *arguments, state=None):
    return Evil(function, *arguments, state=state)


MARK = "touch {mark}"
CALLS = {
    "os.system": lambda mark: boxed(os.system, f"touch {mark}"),
    "eval": lambda mark: boxed(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: boxed(exec, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: boxed(open, str(mark), "w"),
    "getattr": lambda mark: boxed(getattr, {}, "__class__"),
    "getattr chain": lambda mark: boxed(getattr, boxed(getattr, (), "__class__"), "__base__"),
    "import": lambda mark: boxed(__import__, "os"),
    "in a list": lambda mark: [1, {"a": boxed(os.system, f"touch {mark}")}],
    "as a key": lambda mark: {boxed(os.system, f"touch {mark}"): 1},
    "in an array": lambda mark: np.array([boxed(os.system, f"touch {mark}")], dtype=object),
    "array of objects": lambda mark: np.array([1, "a"], dtype=object),
    "record array": lambda mark: np.zeros(2, dtype=[("a", "f4")]),
    "dates": lambda mark: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "reconstructor": lambda mark: boxed(copyreg._reconstructor, Path, object, None),
    "bytearray of a number": lambda mark: boxed(bytearray, 1 << 40),
    "bytes of a number": lambda mark: boxed(bytes, 1 << 40),
    "set of a text": lambda mark: boxed(set, "abc"),
    "complex of a text": lambda mark: boxed(complex, "1"),
    "numpy.load": lambda mark: boxed(np.load, str(mark)),
    "memmap": lambda mark: boxed(np.memmap, str(mark)),
    "class": lambda mark: Path,
    "state": lambda mark: boxed(dict, state={"x": 1}),
    "state of an ordered dict": lambda mark: boxed(collections.OrderedDict, state={"__class__": 1}),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("attack", CALLS)
def test_calls_are_refused_and_nothing_runs(tmp_path, attack, protocol):
    mark = tmp_path / "mark"
    refused(tmp_path, pickle.dumps(CALLS[attack](mark), protocol), "is not plain data|keys?|not read")
    assert not mark.exists()


def ops(*parts: bytes | str) -> bytes:
    return b"".join(part.encode("ascii") if isinstance(part, str) else part for part in parts) + b"."


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
F8 = b"cnumpy\ndtype\n(S'f8'\nI00\nI01\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"


def array_of(shape: bytes, dtype: bytes = F8, data: bytes = b"C\x00") -> bytes:
    return ops(ARRAY, b"(I1\n", shape, dtype, b"I00\n", data, b"tb")


CRAFTED = {
    "inst": (ops("(ios\nsystem\n"), "INST at byte 1 is not of plain data"),
    "obj": (ops("(cos\nsystem\nS'ls'\no"), "os.system"),
    "newobj": (ops(b"\x80\x02ccollections\nOrderedDict\n)\x81"), "NEWOBJ"),
    "newobj_ex": (ops(b"\x80\x04ccollections\nOrderedDict\n)}\x92"), "NEWOBJ_EX"),
    "ext1": (ops(b"\x80\x02\x82\x01"), "EXT1"),
    "ext2": (ops(b"\x80\x02\x83\x01\x00"), "EXT2"),
    "ext4": (ops(b"\x80\x02\x84\x01\x00\x00\x00"), "EXT4"),
    "persid": (ops("Pstorage\n"), "PERSID"),
    "binpersid": (ops("(I1\ntQ"), "outside of the file"),
    "dup": (ops("]2a"), "DUP"),
    "buffer": (ops(b"\x80\x05\x97"), "NEXT_BUFFER"),
    "known name, other module": (ops("cevil\nOrderedDict\n)R"), r"evil\.OrderedDict is not one"),
    "known module, other name": (ops("ccollections\nabc\n)R"), r"collections\.abc is not one"),
    "dotted name": (ops(b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93"), "STACK_GLOBAL"),
    "name that is no text": (ops(b"\x80\x04K\x01K\x02\x93"), "STACK_GLOBAL"),
    "a name as value": (ops("]cnumpy\nndarray\na"), "name is not plain data"),
    "a dtype as value": (ops(F8), "dtype is not plain data"),
    "a name in a tuple": (ops("(I1\n(cnumpy\nndarray\ntt"), "arguments is not plain data"),
    "calling an argument": (ops("cnumpy\nndarray\n(I3\ntR"), "not to be called"),
    "calling a value": (ops("I1\n)R"), "not to be called"),
    "array of another class": (
        ops("cnumpy._core.multiarray\n_reconstruct\n(cbuiltins\nlist\n(I0\ntS'b'\ntR"),
        "class of its own",
    ),
    "array without content": (ops(ARRAY), "no content"),
    "shape larger than bytes": (array_of(b"(I1000000000\nt"), "does not fit its 0 bytes"),
    "shape smaller than bytes": (array_of(b"(I1\nt", data=b"C\x10" + b"a" * 16), "does not fit its 16 bytes"),
    "negative shape": (array_of(b"(I-1\nt"), "no shape"),
    "shape that overflows": (array_of(b"(I4294967296\nI4294967296\nt"), "does not fit"),
    "bool as a size": (array_of(b"(I01\nt", data=b"C\x08" + b"a" * 8), "no shape"),
    "list for bytes": (array_of(b"(I1\nt", data=b"(I1\nl"), "not bytes"),
    "objects by hand": (array_of(b"(I1\nt", F8.replace(b"f8", b"O8"), b"C\x08" + b"a" * 8), "neither numbers nor text"),
    "a dtype in one text": (array_of(b"(I0\nt", F8.replace(b"f8", b"f8,O")), "neither numbers nor text"),
    "a dtype with fields": (array_of(b"(I0\nt", F8.replace(b"NNN", b"N(I1\ntN")), "with fields"),
    "built twice": (
        ops(ARRAY, b"(I1\n(I0\nt", F8, b"I00\nC\x00tb", b"(I1\n(I0\nt", F8, b"I00\nC\x00tb"),
        "takes no state",
    ),
    "state of a dict": (ops("}(dS'x'\nI1\nsb"), "takes no state"),
    "key of lists": (ops("}((lI1\ntI2\ns"), "key is tuple"),
    "key is a list": (ops("}(lI1\ns"), "key is list"),
    "a key without a value": (ops("}(I1\nu"), "no value"),
    "append to a dict": (ops("}I1\na"), "no list"),
    "nothing to append to": (ops("a"), "nothing is left"),
    "pop past a mark": (ops("I1\n(R"), "nothing is left"),
    "no mark": (ops("t"), "no mark"),
    "memo unknown": (ops("g5\n"), "remembered as 5"),
    "two values": (ops("I1\nI2\n"), "2 values are left"),
    "no value": (ops(""), "0 values are left"),
    "unknown opcode": (b"\xff.", "damaged"),
    "number that is none": (b"Iabc\n.", "damaged"),
    "negative size": (b"\x80\x02T" + struct.pack("<i", -5) + b".", "damaged|announced"),
    "negative long": (b"\x80\x02\x8b" + struct.pack("<i", -5) + b".", "damaged|announced"),
    "huge text": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.", "announced|damaged"),
    "huge bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.", "announced"),
    "an hour of text": (b"V" + b"a" * 30 + b"\n", "ends early|damaged"),
    "nothing": (b"", "ends early|damaged"),
    "text": (b"dataset,accuracy\ncifar10,93\n", "plain data"),
}


@pytest.mark.parametrize("attack", CRAFTED)
def test_crafted_pickles_are_refused(tmp_path, attack):
    data, match = CRAFTED[attack]
    refused(tmp_path, data, match)


def test_each_position_of_a_cut_is_refused(tmp_path):
    data = pickle.dumps({"a": [np.arange(3.0), {"b": (1, 2)}], "c": "text"}, 4)
    for end in range(0, len(data), 2):
        refused(tmp_path, data[:end])


def test_no_flipped_byte_does_anything_but_load_or_be_refused(tmp_path):
    data = pickle.dumps({"a": [np.arange(2.0), ("b", 2)], "c": {1.5}}, 2)
    for place in range(len(data)):
        for bit in (0, 5):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            with contextlib.suppress(DataError):
                load(tmp_path, bytes(changed))


def test_more_than_one_pickle_is_refused(tmp_path):
    refused(tmp_path, pickle.dumps(1) + pickle.dumps(2), "more after its end")
    refused(tmp_path, pickle.dumps(1) + b"\0", "more after its end")
    refused(tmp_path, bz2.compress(pickle.dumps(1) + b"x"), "more after its end")


def test_nesting_is_limited(tmp_path):
    assert load(tmp_path, b"]" * 60 + b"a" * 59 + b".") is not None
    refused(tmp_path, b"]" * 200 + b"a" * 199 + b".", "nested")
    refused(tmp_path, b"]" * 20_000 + b"a" * 19_999 + b".", "nested")
    refused(tmp_path, b"(" * 20_000 + b"t" * 20_000 + b".", "nested")
    refused(tmp_path, b"}" + b"I1\n}" * 20_000 + b"s" * 20_000 + b".", "nested")


def test_a_container_that_holds_itself_is_refused(tmp_path):
    alone, mapping, inner = [], {}, {}
    alone.append(alone)
    mapping["a"] = inner
    inner["b"] = (1, [mapping])
    for value in (alone, mapping, [alone]):
        refused(tmp_path, pickle.dumps(value), "holds itself")


@pytest.mark.parametrize("kind", ["lists", "tuples", "top down"])
def test_a_billion_laughs_are_refused(tmp_path, kind):
    if kind == "lists":
        data = b"]p0\n0" + b"".join(b"(g%d\ng%d\nlp%d\n0" % (i, i, i + 1) for i in range(40)) + b"g40\n."
    elif kind == "tuples":
        data = b")p0\n0" + b"".join(b"(g%d\ng%d\ntp%d\n0" % (i, i, i + 1) for i in range(40)) + b"g40\n."
    else:
        data = b"".join(b"]p%d\n0" % i for i in range(41))
        data += b"".join(b"g%d\n(g%d\ng%d\ne0" % (i, i + 1, i + 1) for i in range(40)) + b"g0\n."
    refused(tmp_path, data, "unfolds to more")


def test_limits_are_held(tmp_path):
    data = pickle.dumps(list(range(100)))
    assert load(tmp_path, data, opcodes=200, values=200) == list(range(100))
    refused(tmp_path, data, "more than 50 opcodes", opcodes=50)
    refused(tmp_path, data, "more than 50 values", values=50)
    refused(tmp_path, pickle.dumps(b"x" * 100), "100 bytes is announced", text=50)


def test_a_packed_bomb_is_refused(tmp_path):
    refused(tmp_path, bz2.compress(pickle.dumps(b"\0" * (1 << 25))), "unpacks to more than")
    refused(tmp_path, bz2.compress(pickle.dumps([1] * 10))[:-4], "cannot be read|damaged|ends early")


def test_a_missing_file_or_a_folder_is_an_error_of_the_data(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            load_plain(path)


def torch_zip(path: Path, data: bytes, storages: dict[str, bytes] | None = None, extra: str | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        if extra:
            archive.writestr(extra, b"")
    return stream.getvalue()


TENSOR = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n"
    b"U\x010U\x03cpuK%ctQK%c(K%ct(K%ct\x89ccollections\nOrderedDict\n)RtR."
)


def tensor(count: int, offset: int, size: int, stride: int) -> bytes:
    return TENSOR % tuple(bytes([n]) for n in (count, offset, size, stride))


@pytest.mark.parametrize("new", [True, False])
def test_torch_files_load_with_tensors_as_arrays(tmp_path, new):
    import torch

    base = torch.arange(12.0)
    value = {
        "meta_archs": ["|a~0|"],
        "t": base.reshape(3, 4).T,
        "view": base[2:5],
        "int": torch.tensor([1, 2], dtype=torch.int64),
        "bool": torch.tensor(True),
        "bf": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "empty": torch.empty(0, 3),
        "weights": collections.OrderedDict(a=torch.nn.Parameter(torch.ones(2))),
        "array": np.arange(3),
    }
    file = tmp_path / "f.pth"
    torch.save(value, file, _use_new_zipfile_serialization=new)
    loaded = load_plain(file)
    assert loaded["meta_archs"] == ["|a~0|"]
    assert loaded["array"].tolist() == [0, 1, 2]
    assert loaded["weights"]["a"].tolist() == [1.0, 1.0]
    for key in ("t", "view", "int", "bool", "empty"):
        assert np.array_equal(loaded[key], value[key].numpy())
        assert loaded[key].dtype == value[key].numpy().dtype
    assert loaded["bf"].tolist() == [1.5, -2.0]
    data = file.read_bytes()
    for end in range(0, len(data), len(data) // 12):
        refused(tmp_path, data[:end])


@pytest.mark.parametrize("new", [True, False])
def test_torch_files_that_call_something_are_refused(tmp_path, new):
    import torch

    mark = tmp_path / "mark"
    for value in (boxed(os.system, f"touch {mark}"), torch.nn.Linear(2, 2), {"a": torch.device("cpu")}):
        torch.save(value, tmp_path / "f.pth", _use_new_zipfile_serialization=new)
        refused(tmp_path, (tmp_path / "f.pth").read_bytes(), "not one of plain data")
    assert not mark.exists()


def test_tensors_that_lie_about_their_storage_are_refused(tmp_path):
    four = {"0": np.arange(4, dtype="f4").tobytes()}
    assert load(tmp_path, torch_zip(tmp_path, tensor(4, 1, 3, 1), four)).tolist() == [1.0, 2.0, 3.0]
    refused(tmp_path, torch_zip(tmp_path, tensor(4, 2, 3, 1), four), "reaches beyond")
    refused(tmp_path, torch_zip(tmp_path, tensor(4, 0, 3, 2), four), "reaches beyond")
    refused(tmp_path, torch_zip(tmp_path, tensor(4, 0, 200, 0), four), "reaches beyond")
    refused(tmp_path, torch_zip(tmp_path, tensor(5, 0, 3, 1), four), "not of 20 bytes")
    refused(tmp_path, torch_zip(tmp_path, tensor(4, 0, 3, 1), {}), "missing")
    other = tensor(4, 0, 3, 1).replace(b"FloatStorage", b"EvilsStorage")
    refused(tmp_path, torch_zip(tmp_path, other, four), "torch.EvilsStorage is not one")


def test_zip_archives_are_held_to_what_torch_writes(tmp_path):
    data = pickle.dumps([1])
    assert load(tmp_path, torch_zip(tmp_path, data)) == [1]
    assert load(tmp_path, torch_zip(tmp_path, data, extra="../../evil")) == [1]
    assert not (tmp_path.parent / "evil").exists()
    refused(tmp_path, torch_zip(tmp_path, data, extra="other/data.pkl"), "not one that torch wrote")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("logs.txt", "x")
    refused(tmp_path, stream.getvalue(), "not one that torch wrote")
    refused(tmp_path, b"PK\x03\x04" + b"\0" * 40, "damaged")


def test_a_zip_bomb_is_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(b"\0" * (1 << 25)))
    refused(tmp_path, stream.getvalue(), "unpack to more than")
