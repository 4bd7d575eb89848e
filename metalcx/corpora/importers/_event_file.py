"""Event files of TensorBoard, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metalcx.errors import DataError, MissingDependencyError


class DamagedFileError(DataError):
    """An event file that breaks off in its middle."""


class EventFile:
    """An event file that may still be written.

    TensorBoard's own loaders also end quietly at a record whose checksum is wrong, which hides what follows it; here
    that is an error.

    Args:
        path: The file.

    Raises:
        MissingDependencyError: Without tensorboard.
    """

    def __init__(self, path: Path) -> None:
        try:
            from google.protobuf.message import DecodeError
            from tensorboard.compat.proto import event_pb2
            from tensorboard.compat.tensorflow_stub import errors, pywrap_tensorflow
        except ImportError:
            raise MissingDependencyError(
                'reading event files needs tensorboard; run pip install "metalcx[tensorboard]"'
            ) from None
        self.path, self._records = path, 0
        self._event, self._errors, self._no_event = event_pb2.Event, errors, DecodeError
        self._reader = pywrap_tensorflow.PyRecordReader_New(str(path))

    def fresh(self) -> Iterator[Any]:
        """The events since the last call. A last record that is not whole, as of a log that is being written, waits.

        Raises:
            DamagedFileError: Names the file and the record.
        """
        while True:
            try:
                self._reader.GetNext()
                yield self._event.FromString(self._reader.record())
            except self._errors.OutOfRangeError:
                return
            except self._errors.DataLossError as error:
                if "truncated" in str(error):
                    return
                raise DamagedFileError(f"{self.path.name} is damaged after {self._records} records") from None
            except self._no_event:
                raise DamagedFileError(f"{self.path.name}: record {self._records} is no event") from None
            self._records += 1


def events(path: Path) -> Iterator[Any]:
    """The events of a file, without a last record that is not whole.

    Raises:
        DamagedFileError: Names the file and the record.
        MissingDependencyError: Without tensorboard.
    """
    return EventFile(path).fresh()


def scalar_tag(value: Any) -> str | None:
    """The tag of a summary value that is one number, else None."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return str(value.tag)
    if kind != "tensor" or any(d.size != 1 for d in value.tensor.tensor_shape.dim) or value.tensor.string_val:
        return None
    return str(value.tag or value.node_name)


def scalar_value(value: Any) -> float:
    """The number in a summary value that has one.

    Raises:
        DamagedFileError: If its parts contradict each other.
    """
    if value.WhichOneof("value") == "simple_value":
        return float(value.simple_value)
    from tensorboard.util import tensor_util

    try:
        return float(tensor_util.make_ndarray(value.tensor).reshape(-1)[0])
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise DamagedFileError(f"{value.tag[:60]!r} holds a tensor that is no number ({error!s:.80})") from None


def hyperparameters(value: Any) -> dict[str, object]:
    """The configuration that the hparams plugin stored with a summary value; empty where it stored none.

    Raises:
        DamagedFileError: If what is stored is not whole.
    """
    if value.metadata.plugin_data.plugin_name != "hparams":
        return {}
    from google.protobuf.message import DecodeError
    from tensorboard.plugins.hparams import plugin_data_pb2

    try:
        stored = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    except DecodeError:
        raise DamagedFileError("the hyperparameters stored are not whole") from None
    found = ((name, v, v.WhichOneof("kind")) for name, v in stored.session_start_info.hparams.items())
    return {name: getattr(v, kind) for name, v, kind in found if kind not in (None, "null_value")}
