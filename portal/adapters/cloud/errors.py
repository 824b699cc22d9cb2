"""The codes with which clouds fail, one for each thing that a person would do about it.

Temporary: cloud_throttled, cloud_unavailable, cloud_busy. Permanent: cloud_credentials, cloud_permission,
cloud_target_gone, cloud_target_refused, cloud_certificate_refused, cloud_clock, cloud_refused (anything else).
"""

from __future__ import annotations

THROTTLED = "cloud_throttled"
UNAVAILABLE = "cloud_unavailable"
BUSY = "cloud_busy"
CREDENTIALS = "cloud_credentials"
PERMISSION = "cloud_permission"
TARGET_GONE = "cloud_target_gone"
TARGET_REFUSED = "cloud_target_refused"
CERTIFICATE_REFUSED = "cloud_certificate_refused"
CLOCK = "cloud_clock"
REFUSED = "cloud_refused"

TEMPORARY = frozenset({THROTTLED, UNAVAILABLE, BUSY})
