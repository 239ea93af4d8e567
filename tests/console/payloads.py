"""Sixty ways in which words become markup or scripts where a page forgets to escape them; each sets `window.hit`."""

from __future__ import annotations

HIT = "window.hit=1"
PAYLOADS = (
    f"<script>{HIT}</script>",
    f"<SCRIPT>{HIT}</SCRIPT>",
    f"<scr<script>ipt>{HIT}</scr</script>ipt>",
    f"<script\n>{HIT}</script\n>",
    f"<script/x>{HIT}</script>",
    f"<<script>{HIT}//<</script>",
    f"<script type=module>{HIT}</script>",
    f"<script>/*</script><script>*/{HIT}</script>",
    f"</script><script>{HIT}</script>",
    f"</title><script>{HIT}</script>",
    f"</textarea><script>{HIT}</script>",
    f"</style><script>{HIT}</script>",
    f"</pre></code><script>{HIT}</script>",
    f"</td></tr></table><script>{HIT}</script>",
    f"</option></select><script>{HIT}</script>",
    f"--><script>{HIT}</script>",
    f"]]><script>{HIT}</script>",
    f"<img src=x onerror={HIT}>",
    f"<img src=x onerror='{HIT}'>",
    f'<img src=x onerror="{HIT}">',
    f"<img src=x:x onerror={HIT}//",
    f"<img/src=x/onerror={HIT}>",
    f"<img src='x'onerror='{HIT}'>",
    f"<image src=x onerror={HIT}>",
    f'"><img src=x onerror={HIT}>',
    f"'><img src=x onerror={HIT}>",
    f"`><img src=x onerror={HIT}>",
    f'" onmouseover="{HIT}" x="',
    f"' onmouseover='{HIT}' x='",
    f'" autofocus onfocus="{HIT}" x="',
    f'" style="animation-name:x" onanimationstart="{HIT}" x="',
    f"<svg onload={HIT}>",
    f"<svg/onload={HIT}>",
    f"<svg><script>{HIT}</script></svg>",
    f"<svg><script href=data:,{HIT} /></svg>",
    f"<svg><animate onbegin={HIT} attributeName=x dur=1s>",
    f"<svg><set onbegin={HIT} attributeName=x to=1>",
    f"<svg><a href=javascript:{HIT}><text y=20>press</text></a></svg>",
    f"</svg><svg onload={HIT}>",
    f"<math><mtext><script>{HIT}</script></mtext></math>",
    f"<math><mi//xlink:href='data:x,<script>{HIT}</script>'>",
    f"<iframe srcdoc='<script>parent.{HIT}</script>'></iframe>",
    f"<iframe src='javascript:parent.{HIT}'></iframe>",
    f"<object data='data:text/html,<script>{HIT}</script>'></object>",
    f"<embed src='javascript:{HIT}'>",
    f"<body onload={HIT}>",
    f"<details open ontoggle={HIT}>",
    f"<input autofocus onfocus={HIT}>",
    f"<video src=x onerror={HIT}></video>",
    f"<audio src=x onerror={HIT}>",
    f"<marquee onstart={HIT}>x</marquee>",
    f"<form action=javascript:{HIT}><button>go</button></form>",
    f"<base href='javascript:{HIT}//'>",
    f"<meta http-equiv=refresh content='0;url=javascript:{HIT}'>",
    f"<link rel=stylesheet href='data:text/css,*{{x:expression({HIT})}}'>",
    f"<template><script>{HIT}</script></template><script>{HIT}</script>",
    f"javascript:{HIT}",
    f"&lt;script&gt;{HIT}&lt;/script&gt;",
    f"{{{{constructor.constructor('{HIT}')()}}}}${{{HIT}}}<%={HIT}%>",
    f"\u202e<script>{HIT}</script>\u2066",
)
assert len(PAYLOADS) == len(set(PAYLOADS)) == 60

# A name of a file or a model holds no slash and no colon: it has letters that look like them.
SLASH, COLON = chr(0x2215), chr(0x2236)


def as_name(payload: str) -> str:
    """Return a payload as a name."""
    return payload.replace("/", SLASH).replace(":", COLON)
