"""gunicorn's configuration in `throughput`: the product's own, for every variant.

Ours also keeps the product's hooks: the master joins the metrics directory, each process publishes
its readings in a thread, and the dead are absorbed. The others get the settings without the hooks.
"""

import os
from pathlib import Path

from gunicorn.config import KNOWN_SETTINGS

from benchmarks.variants import VARIANTS

# Run here and not imported: its hooks then find the functions of this module in place of theirs.
_PRODUCT = Path(__file__).parents[1] / "gunicorn.conf.py"
exec(compile(_PRODUCT.read_text(), str(_PRODUCT), "exec"))

if VARIANTS[os.environ["BENCHMARK_VARIANT"]].ours:

    def _check_schema() -> None:
        """Pass: the little application has no database."""

else:
    for _setting in KNOWN_SETTINGS:
        if _setting.section == "Server Hooks":
            globals().pop(_setting.name, None)
