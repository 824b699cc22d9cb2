"""Make portal/static/vendor/tabler-icons-3.51.0/icons.svg: `python docs/icon_sprite.py PACKAGE_FOLDER`.

PACKAGE_FOLDER is the unpacked npm package @tabler/icons. Add a name to NAMES, run this, commit the sprite.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SPRITE = Path(__file__).parents[1] / "portal/static/vendor/tabler-icons-3.51.0/icons.svg"

NAMES = """
activity adjustments alert-circle alert-triangle archive arrow-left arrow-narrow-right arrow-right
arrow-up-right bell bolt building calendar calendar-due certificate chart-dots check checks chevron-down
chevron-left chevron-right chevron-up circle circle-check circle-dashed circle-dot circle-x clipboard clock
clock-hour-4 clock-pause cloud cloud-check cloud-upload copy credit-card dashboard device-desktop
device-laptop device-mobile devices dots dots-vertical download edit external-link eye file-certificate
file-text file-upload filter fingerprint flag folder gauge globe heart-rate-monitor help history home
hourglass id info-circle key language layout-dashboard leaf lifebuoy link list list-check list-details
loader loader-2 lock lock-open login logout mail mail-check mail-opened menu-2 message minus moon
player-pause player-play plug plus point printer progress receipt recycle refresh refresh-alert refresh-dot
rocket rosette-discount-check rotate-clockwise search send server server-2 settings shield shield-check
shield-lock shopping-cart stack-2 stethoscope sun sun-moon timeline tools trash tree trees upload user
user-check user-circle user-minus user-plus users wallet wand world world-check world-www x zoom-check
"""


def symbol(name: str, text: str) -> str:
    """One icon as a symbol; strokes follow the text colour."""
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = body.replace('<path stroke="none" d="M0 0h24v24H0z" fill="none" />', "")
    body = re.sub(r"\s+", " ", body).replace(" />", "/>").strip()
    return (
        f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
        f'stroke-linecap="round" stroke-linejoin="round">{body}</symbol>'
    )


def main(package: Path) -> None:
    """Write the sprite; a name that the package lacks ends it."""
    folder = package / "icons/outline"
    symbols = [
        symbol(name, (folder / f"{name}.svg").read_text("utf-8")) for name in sorted(set(NAMES.split()))
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg"><!-- Tabler Icons 3.51.0, MIT: see LICENSE beside this file -->'
    SPRITE.write_text("\n".join([head, *symbols, "</svg>", ""]), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
