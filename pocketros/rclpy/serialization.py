"""Messages as CDR bytes and back."""

from typing import Any

from pocketros.interfaces.codec import decode, encode


def serialize_message(message: Any) -> bytes:
    """CDR bytes of a message."""
    return bytes(encode(type(message), message))


def deserialize_message(serialized_message: bytes, message_type: Any) -> Any:
    """The message in CDR bytes.

    Raises:
        CodecError: the bytes are no such message.
    """
    return decode(message_type, serialized_message)
