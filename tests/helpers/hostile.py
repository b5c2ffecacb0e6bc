"""Forty texts that a job can be made of and that no output of ours may be driven by, whichever door they go through."""

STRINGS = (
    # Markup: what a browser would run, load, follow or close.
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "\" style=\"position:fixed;inset:0",
    "</title></svg></td></table></body></html>",
    "<!-- <b> -->",
    "<![CDATA[ x ]]>",
    "]]>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=//example.org>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<base href=//example.org><link rel=stylesheet href=//example.org/x.css>",
    "&lt;b&gt; &amp;amp; &#60;b&#62; &#x3c;",
    "&",
    "`alert(1)`=${alert(1)}{{7*7}}",
    "url(javascript:alert(1))",
    # What a terminal would do.
    "\x1b[2J\x1b[H\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "back\b\b\b\bspace\x7f",
    "bell\x07null\x00form\x0cfeed",
    # Lines and fields.
    "one\ntwo\r\nthree\rfour",
    "a\tb\vc",
    "a\u2028b\u2029c\x85d",
    "= 1 + 2",
    "=cmd|' /C calc'!A0",
    "\\n \\t \\ \\\\",
    'quote " backslash \\ newline \n end',
    "--help",
    # Writing that turns, hides, is broken, or is wide.
    "abc\u202edcba\u202c \u2066x\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "\ud800 \udfff lone",
    "\ufffe \uffff \U0001ffff nothing",
    "Zalgo " + "e" + "\u0301\u0323\u0334" * 40,
    "\u5bbd\u5b57\u7b26 \U0001f469\u200d\U0001f4bb \u05e9\u05dc\u05d5\u05dd",
    "x" * 3000,
    "'; DROP TABLE jobs; --",
)
assert len(STRINGS) == len(set(STRINGS)) == 40
