"""A page of HTML taken apart: whether its elements are balanced, its ids each once, and what it would load or run."""

import html.parser
import re

EMPTY = {"meta", "br", "img", "link", "input", "hr"}  # elements without an end
LOADING = {"src", "href", "srcset", "action", "formaction", "poster", "data", "background", "xlink:href", "ping"}
ACTIVE = {"script", "iframe", "object", "embed", "link", "base", "form", "img", "a", "audio", "video", "animate", "set"}


class Page(html.parser.HTMLParser):
    """*text*, read; raises AssertionError where an element does not end, or another one does."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.source = text
        self.open = []
        self.elements = []  # (name, attributes)
        self.texts = []  # (name of the innermost element, text)
        self.feed(text)
        self.close()
        assert self.open == [], "left open: %r" % self.open

    def handle_starttag(self, name, attributes):
        assert len(dict(attributes)) == len(attributes), "twice in %s: %r" % (name, attributes)
        self.elements.append((name, dict(attributes)))
        if name not in EMPTY:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self.open and self.open[-1] == name, "</%s> ends %r, line %d" % (name, self.open[-3:], self.getpos()[0])
        self.open.pop()

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, but=("style",)):
        return "".join(data for name, data in self.texts if name not in but)

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def of(self, name):
        """The attributes of each element of that name."""
        return [attributes for one, attributes in self.elements if one == name]

    def loads(self):
        """What a browser would fetch, follow or run, other than the patterns of the page itself."""
        found = [name for name, _ in self.elements if name in ACTIVE]
        for name, attributes in self.elements:
            found += ["%s %s" % (name, key) for key in attributes if key in LOADING or key.startswith("on")]
            found += ["%s style" % name for key in attributes if key == "style"]
        styles = "".join(data for name, data in self.texts if name == "style")
        found += re.findall(r"@import|url\((?!#)[^)]*\)|expression\(", styles)
        return found


def checked(text):
    """The page, of which all that must hold of each one holds."""
    page = Page(text)
    ids = page.ids()
    assert len(ids) == len(set(ids)), ids
    assert page.loads() == []
    policies = [one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    for one in page.of("svg"):
        named = one.get("aria-labelledby", "").split()
        assert one.get("aria-hidden") == "true" or (one["role"] == "img" and len(named) == 2 and set(named) <= set(ids))
    assert len(text.encode("utf-8")) < 1000000
    assert sum(name == "rect" for name, _ in page.elements) <= 2000
    return page
