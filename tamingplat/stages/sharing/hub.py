"""The Hugging Face hub, as sharing needs it: the only place here that asks a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamingplat.interfaces import TamingplatError, UnavailableError
from tamingplat.stages.sharing.description import CARD, DESCRIPTION
from tamingplat.stages.sharing.target import Target

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_FOLDER = "a folder does without: `--to FOLDER`, and `tamingplat pull FOLDER` where it was copied to"
_MODEL = "model"
_OWN = frozenset({".gitattributes", ".gitignore", CARD, "LICENSE", "LICENSE.md"})
"""What a repository may hold before anything was pushed to it."""


@dataclass(frozen=True)
class Snapshot:
    """A repository at one moment.

    Attributes:
        commit: Its commit.
        sizes: Bytes of its files, by name.
    """

    commit: str
    sizes: dict[str, int]


class Hub:
    """Model repositories of the hub.

    Args:
        api: In place of a new ``HfApi``, which takes the user's token and ``HF_ENDPOINT``.
    """

    def __init__(self, api: HfApi | None = None) -> None:
        if api is None:
            from huggingface_hub import HfApi

            api = HfApi()
        self._api = api

    def upload(self, folder: Path, target: Target, *, private: bool, message: str) -> str:
        """Make a folder the content of a repository, which is made unless it is there, in one commit.

        Returns:
            The commit.

        Raises:
            TamingplatError: There is no token, it may not write there, or the repository holds something else.
            UnavailableError: The hub cannot be reached.
        """
        self.demand_token(target)
        at: dict[str, Any] = {"repo_id": target.repository, "repo_type": _MODEL}
        with self._asked(target):
            self._api.create_repo(**at, private=private or None, exist_ok=True)
            if target.revision:
                self._api.create_branch(**at, branch=target.revision, exist_ok=True)
            present = self._api.list_repo_files(**at, revision=target.revision or None)
        foreign = sorted(set(present) - _OWN)
        if foreign and DESCRIPTION not in present:
            raise TamingplatError(
                f"{target}: the repository holds {foreign[0]}, which tamingplat did not push; name a repository of its own"
            )
        with self._asked(target):
            done = self._api.upload_folder(
                **at,
                folder_path=str(folder),
                revision=target.revision or None,
                commit_message=message,
                # A prior's weights would otherwise stay behind where a tokenizer is pushed after it.
                delete_patterns=["*.safetensors"],
            )
        return str(done.oid)

    def snapshot(self, target: Target) -> Snapshot:
        """What is in a repository now, without getting it; raises as ``upload`` does."""
        with self._asked(target):
            info = self._api.model_info(target.repository, revision=target.revision or None, files_metadata=True)
        sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
        return Snapshot(str(info.sha), sizes)

    def download(self, target: Target, commit: str, names: Sequence[str], into: Path) -> None:
        """Get files of a commit into a folder; raises as ``upload`` does."""
        with self._asked(target):
            self._api.snapshot_download(
                target.repository, repo_type=_MODEL, revision=commit, local_dir=str(into), allow_patterns=list(names)
            )

    def demand_token(self, target: Target) -> None:
        """Say now that a repository cannot be written to without a token.

        Raises:
            TamingplatError: There is none.
        """
        from huggingface_hub import get_token

        if not (self._api.token or get_token()):
            raise TamingplatError(
                f"{target}: pushing to the hub needs a token, and there is none; log in with `hf auth login`, "
                f"or set HF_TOKEN; {_FOLDER}"
            )

    @contextmanager
    def _asked(self, target: Target) -> Iterator[None]:
        """Turns what the client raises into sentences."""
        from huggingface_hub import errors

        # The client's own errors are also those of the HTTP library that it is built upon, whichever that is.
        bases = errors.HfHubHTTPError.__bases__
        of_library = tuple(base for base in bases if issubclass(base, Exception) and base is not OSError)
        unreachable: tuple[type[Exception], ...] = (*of_library, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError)
        try:
            yield
        except errors.HFValidationError as error:
            raise TamingplatError(f"{target}: {_line(error)}") from error
        except errors.RevisionNotFoundError as error:
            raise TamingplatError(f"{target}: the repository has no revision {target.revision or 'main'}") from error
        except errors.RepositoryNotFoundError as error:
            raise TamingplatError(
                f"{target}: there is no such model on the hub, or this token may not see it; `hf auth whoami` says whose it is"
            ) from error
        except errors.HfHubHTTPError as error:
            status = getattr(error.response, "status_code", None)
            if status in (401, 403):
                remedy = "log in with `hf auth login` as one who may"
                raise TamingplatError(f"{target}: the hub does not let this token do that ({status}); {remedy}") from error
            raise UnavailableError(f"{target}: the hub answered {status or 'nothing'}: {_line(error)}; {_FOLDER}") from error
        except unreachable as error:
            raise UnavailableError(f"{target}: the hub cannot be reached ({type(error).__name__}); {_FOLDER}") from error
        except OSError as error:
            raise TamingplatError(f"{error.filename or target}: {error.strerror or _line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
