"""How the docstrings of this project are read by griffe, which mkdocstrings is built on."""

import re

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
CALL_ARGUMENTS = re.compile(r"^Call arguments:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Examples become code, "Call arguments" a table like that of the arguments."""

    def on_instance(self, *, obj, **_):
        if obj.docstring:
            text = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
            obj.docstring.value = CALL_ARGUMENTS.sub("Other Args: Call arguments:", text)
