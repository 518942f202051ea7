"""``mini-diffuser import-official``: published weights into a policy directory of ours."""

from __future__ import annotations

import sys
from pathlib import Path

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from mini_diffuser_ros.policy.errors import PolicyError
from mini_diffuser_ros.policy.official.published import DEAD_TENSORS, import_official
from mini_diffuser_ros.policy.storage import save_policy
from mini_diffuser_ros.records import RLBENCH, Provenance
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import output_folder

_CARD = """# Mini Diffuser, published weights

Imported from `{file}` with `mini-diffuser import-official`. Trained by the authors of Mini Diffuser on their data; the
figures of that training are theirs and were not measured again here.

The network is in official behaviour: `config.json` is `MiniDiffuserConfig.official()`, which repeats every quirk of the
published code that acts at inference, except that the space-filling curve is always the first one instead of a random
one (`curve_shuffle` set to `always` draws it). Positions are metres in a frame centred on the cloud; there is no
termination logit. Workspace and table height are those of this package's own table, not those of the authors' data:
set `workspace` and `table_height` in `config.json` to your scene's.

Sentences are read by CLIP ViT-B/32 (`openai/clip-vit-base-patch32`, 512 wide), which must be in the Hugging Face cache.

{parameters} parameters. Left out, because the published network never reads it: {dead}.
"""


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "import-official",
        description="Read a published checkpoint (a state_dict of torch.save) and write a policy directory.",
    )
    parser.add_argument("file", type=Path, help="published checkpoint, model_step_*.pt")
    parser.add_argument("directory", type=Path, help="policy directory to write")
    parser.add_argument("--force", action="store_true", help="replace a policy that is in the directory already")
    values = parser.parse_args(arguments)
    try:
        _check_target(values.directory, values.force)
        with output_folder(values.directory, "directory"):
            model = import_official(values.file)
        parameters = sum(value.numel() for value in model.parameters())
        card = _CARD.format(file=values.file.name, parameters=parameters, dead=", ".join(DEAD_TENSORS))
        save_policy(model, values.directory, card, world=Provenance((RLBENCH,), ("panda",)))
    except OSError as error:
        raise UserError(f"cannot write {values.directory}: {error.strerror or error}") from error
    sys.stdout.write(f"wrote {values.directory}: {parameters} parameters, official behaviour, sentences read by CLIP\n")
    return 0


def _check_target(directory: Path, force: bool) -> None:
    """Refuse to mix the policy with other files, and without ``force`` to replace one.

    Raises:
        PolicyError: the directory is a file, or holds something already.
    """
    if directory.exists() and not directory.is_dir():
        raise PolicyError(f"{directory} is a file, expected a directory to write")
    if not directory.is_dir() or not any(directory.iterdir()):
        return
    if not ((directory / CONFIG_FILE).is_file() and (directory / WEIGHTS_FILE).is_file()):
        raise PolicyError(f"{directory} holds other files than a policy; name an empty or a new directory")
    if not force:
        raise PolicyError(f"{directory} holds a policy already; name another directory, or replace it with --force")
