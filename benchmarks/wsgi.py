"""What gunicorn serves in `throughput`: the variant that BENCHMARK_VARIANT names."""

import os

from benchmarks.variants import VARIANTS

app = VARIANTS[os.environ["BENCHMARK_VARIANT"]].build()
