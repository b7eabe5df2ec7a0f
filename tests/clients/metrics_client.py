"""Reads a server's metrics with Prometheus' own parser of the OpenMetrics text."""

import sys
from urllib.request import urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with urlopen(f"http://{sys.argv[1]}/metrics") as answer:
    families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}

kinds = {"burst_requests": "counter", "burst_refused": "counter", "burst_retired": "counter", "burst_leases": "gauge",
         "burst_request_seconds": "histogram", "burst_lease_wait_seconds": "histogram",
         "burst_compute_seconds": "histogram"}
for name, kind in kinds.items():
    family = families[name]
    assert family.type == kind and family.samples and family.documentation, family
