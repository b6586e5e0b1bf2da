"""The commands that a page tells the operator to type."""
import os
import re

from harness import REPO


def commands(page, heading):
    """The indented lines below `heading`, up to the next one."""
    with open(os.path.join(REPO, page)) as f:
        text = f.read()
    section = re.search(r"(?ms)^#+ %s\n(.*?)(?=^#|\Z)" % re.escape(heading), text).group(1)
    found = "".join(re.findall(r"(?m)^ {4}(.*\n)", section))
    assert found, "no commands below %r in %s" % (heading, page)
    return found
