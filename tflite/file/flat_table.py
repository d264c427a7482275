"""Tables of a flatbuffer schema without generated code."""

import flatbuffers


class Table:
    """A flatbuffer table: its fields, each with its slot in the schema and its value.

    A value is a string, a list of floats, a byte (an enumeration or the kind of a union),
    a table or a list of tables. The fields' names are for the reader.
    """

    def __init__(self, **fields: tuple[int, object]):
        self.fields = dict(fields.values())

    def to_bytes(self, identifier: bytes) -> bytes:
        """The table as a file of its own, with the four letters of its schema."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.write(builder), file_identifier=identifier)
        return bytes(builder.Output())

    def write(self, builder) -> int:
        """Append the table after everything it refers to, and return its offset."""
        offsets = {slot: _write(builder, value) for slot, value in self.fields.items()}
        builder.StartObject(max(self.fields, default=-1) + 1)
        for slot, value in self.fields.items():
            if isinstance(value, int):
                builder.PrependUint8Slot(slot, value, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
        return builder.EndObject()


def _write(builder, value) -> int | None:
    """Append a value that a table refers to, and return its offset; None for a byte."""
    if isinstance(value, int):
        return None
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, Table):
        return value.write(builder)
    offsets = [v if isinstance(v, float) else v.write(builder) for v in value]
    builder.StartVector(4, len(offsets), 4)
    for item in reversed(offsets):
        if isinstance(item, float):
            builder.PrependFloat32(item)
        else:
            builder.PrependUOffsetTRelative(item)
    return builder.EndVector()
