"""A file as C source, for TensorFlow Lite for Microcontrollers."""

import re
from typing import SupportsBytes

_PER_LINE = 16
_C_KEYWORDS = frozenset(
    "alignas asm auto bool break case catch char class const continue default delete do double "
    "else enum explicit export extern false float for friend goto if inline int long mutable "
    "namespace new operator private protected public register restrict return short signed "
    "sizeof static struct switch template this throw true try typedef typename union unsigned "
    "using virtual void volatile while".split()
)


def to_c_array(content: SupportsBytes, name: str = "model") -> str:
    """Write bytes as a C or C++ header: an array aligned to 16 bytes, and its length.

    A microcontroller without a file system runs a model from such an array in its flash.

    Args:
        content: the bytes of a .tflite file, or a `Result`.
        name: of the array; its length in bytes is `<name>_len`.

    Returns:
        The text of the header, for C11 and C++11 or later; it may be included repeatedly.

    Raises:
        ValueError: for a name that C does not take, or no bytes.

    >>> print(to_c_array(b"TFL3", "tiny"))
    #ifndef TINY_H_
    #define TINY_H_
    <BLANKLINE>
    #ifndef __cplusplus
    #include <stdalign.h>
    #endif
    <BLANKLINE>
    alignas(16) static const unsigned char tiny[] = {
      0x54, 0x46, 0x4c, 0x33,
    };
    static const unsigned int tiny_len = 4;
    <BLANKLINE>
    #endif  // TINY_H_
    <BLANKLINE>
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _C_KEYWORDS:
        raise ValueError(
            f"A C name has letters, digits and _, begins with a letter and is no keyword. "
            f"Received: name={name!r}"
        )
    content = bytes(content)
    if not content:
        raise ValueError("There are no bytes to write. Received: content=b''")
    guard = f"{name.upper()}_H_"
    lines = [
        "  " + ", ".join(f"0x{byte:02x}" for byte in content[start : start + _PER_LINE]) + ","
        for start in range(0, len(content), _PER_LINE)
    ]
    return "\n".join(
        [
            f"#ifndef {guard}\n#define {guard}\n",
            "#ifndef __cplusplus\n#include <stdalign.h>\n#endif\n",
            f"alignas(16) static const unsigned char {name}[] = {{",
            *lines,
            "};",
            f"static const unsigned int {name}_len = {len(content)};\n",
            f"#endif  // {guard}\n",
        ]
    )


def c_name(text: str) -> str:
    """The closest name that C takes.

    >>> c_name("se-resnet.8"), c_name("8 bit"), c_name("float")
    ('se_resnet_8', 'model_8_bit', 'model_float')
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return name if name[:1].isalpha() and name not in _C_KEYWORDS else f"model_{name}"
