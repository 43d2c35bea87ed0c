"""`python -m benchmarks`: runs every benchmark and prints its table."""

import os
import tempfile

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        # Read by the metrics client when it is imported: so before the benchmarks are.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        from benchmarks import request_cost, scrape_time

        request_cost.main()
        print()
        scrape_time.main()
