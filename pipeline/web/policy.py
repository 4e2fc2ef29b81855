"""What a browser may load and do on our pages (Content-Security-Policy)."""

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

NOTHING: dict[str, Any] = {
    "default-src": [NONE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}
"""For what needs nothing but its own text."""

PAGES: dict[str, Any] = NOTHING | {
    # Alpine, on which the admin's look is built, compiles the expressions in its attributes.  No inline script runs.
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    # Credly says where a template's image is, and may change the host.
    "img-src": [SELF, "data:", "https:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
}
"""For the admin and whatever else nobody restricts further."""

STATUS_IMAGES: dict[str, Any] = {"img-src": [SELF, "data:"]}
"""The status page shows no image of anybody else's."""
