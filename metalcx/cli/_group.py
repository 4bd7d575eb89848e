"""How the command ends: 0, or 2 with one line on standard error for whatever a person can mend."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from metalcx.errors import MetalcxError

#: Root of what the parser raises about a wrong command line. Newer releases of typer carry their own copy of click, so
#: that it cannot be imported by one name.
_USAGE: type[Exception] = next(
    k for k in typer.BadParameter.__mro__ if k.__name__ == "ClickException" and issubclass(k, Exception)
)

INTERRUPTED = 130

_ELSEWHERE = "give a place that you may write to"
_MENDS = {
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.EEXIST: _ELSEWHERE,
    errno.ENOSPC: "make room, and run the same command again",
}


class OneLineErrors(TyperGroup):
    """A group that prints errors a person can mend as one line and exits with 2; others keep their traceback."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run and exit."""
        try:
            code = super().main(args, *rest, **{**options, "standalone_mode": False})
            sys.stdout.flush()
        except MetalcxError as error:
            code = fail(str(error))
        except BrokenPipeError:
            # Whoever read us, such as `head`, has seen enough; without this Python complains while it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except OSError as error:
            mend = _MENDS.get(error.errno or 0, "mend that, and run the same command again")
            code = fail(f"{error.filename or 'the system'}: {error.strerror or error}; {mend}")
        except _USAGE as error:
            code = fail(_usage(error))
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        if code == INTERRUPTED:
            fail("interrupted")
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str) -> int:
    """Print one line on standard error; the exit code for it."""
    print("metalcx: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "metalcx"
    return f"{error.format_message().rstrip('.')}; `{path} --help` shows how it is called"
