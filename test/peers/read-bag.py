"""Reads every message of a rosbag2 folder with one of the readers that others wrote, and prints one JSON line a message."""

import json
import math
import sys
from pathlib import Path

import numpy


def plain(value):
    """A decoded message as JSON: fields by name, arrays of bytes as hexadecimal text."""
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, numpy.ndarray):
        return value.tobytes().hex() if value.dtype in (numpy.uint8, numpy.int8) else [plain(each) for each in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (numpy.integer, numpy.bool_)):
        return value.item()
    if isinstance(value, (float, numpy.floating)):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    # rosbags has a type's constants beside its fields.
    names = getattr(value, "__slots__", None) or [name for name in vars(value) if not name.isupper()]
    return {name: plain(getattr(value, name)) for name in names if not name.startswith("_")}


def by_mcap_ros2_support(folder):
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    for path in sorted(Path(folder).glob("*.mcap")):
        with path.open("rb") as stream:
            reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
            for schema, channel, message, decoded in reader.iter_decoded_messages():
                yield channel.topic, schema.name, message.log_time, decoded


def by_rosbags(folder):
    from rosbags.highlevel import AnyReader

    with AnyReader([Path(folder)]) as reader:
        for connection, timestamp, data in reader.messages():
            yield connection.topic, connection.msgtype, timestamp, reader.deserialize(data, connection.msgtype)


def connections(folder):
    """What metadata.yaml and the channels say of each topic, as rosbags sees it, with the hash that rosbags computes itself."""
    from rosbags.highlevel import AnyReader
    from rosbags.rosbag2 import Reader

    with AnyReader([Path(folder)]) as reader, Reader(Path(folder)) as plain_reader:
        topics = {
            each.topic: {
                "type": each.msgtype,
                "count": each.msgcount,
                "digest": each.digest,
                "computed": reader.typestore.hash_rihs01(each.msgtype),
                "qos": len(each.ext.offered_qos_profiles),
            }
            for each in reader.connections
        }
        print(json.dumps({"topics": topics, "messages": plain_reader.message_count, "start": plain_reader.start_time, "end": plain_reader.end_time}))


how, folder = sys.argv[1:]
if how == "connections":
    connections(folder)
else:
    for topic, type_name, log_time, message in {"mcap": by_mcap_ros2_support, "rosbags": by_rosbags}[how](folder):
        print(json.dumps({"topic": topic, "type": type_name, "log_time": str(log_time), "message": plain(message)}))
