"""Writes the same messages as bags of others: rosbags' own writer (mcap and sqlite3), and the mcap writer with each compression."""

import sys
from pathlib import Path

import numpy
from mcap.writer import CompressionType
from mcap_ros2.writer import Writer as McapRos2Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

out = Path(sys.argv[1])
START = 1_764_000_000_000_000_000
COUNT = 50
STATE = "builtin_interfaces/Time stamp\nuint8 kind\nint64[] wide\nGeo[] where\nstring name\nfloat32[3] axes\n"
GEO = "float64 lat\nbool good\n"

store = get_typestore(Stores.ROS2_JAZZY)
store.register({**get_types_from_msg(STATE, "car_msgs/msg/State"), **get_types_from_msg(GEO, "car_msgs/msg/Geo")})
Time, State, Geo = (store.types[name] for name in ("builtin_interfaces/msg/Time", "car_msgs/msg/State", "car_msgs/msg/Geo"))
String, Imu = store.types["std_msgs/msg/String"], "sensor_msgs/msg/Imu"


def state(index):
    return State(
        stamp=Time(sec=1_764_000_000 + index, nanosec=index),
        kind=index,
        wide=numpy.array([-index, 2**62], dtype=numpy.int64),
        where=[Geo(lat=index / 2, good=index % 2 == 0)],
        name=f"Straße {index}",
        axes=numpy.array([0.5, 1.5, index], dtype=numpy.float32),
    )


for name, storage in (("rosbags_mcap", StoragePlugin.MCAP), ("rosbags_sqlite3", StoragePlugin.SQLITE3)):
    with Writer(out / name, version=9, storage_plugin=storage) as writer:
        states = writer.add_connection("/car/state", "car_msgs/msg/State", typestore=store)
        texts = writer.add_connection("/car/text", "std_msgs/msg/String", typestore=store)
        for index in range(COUNT):
            at = START + index * 100_000_000
            writer.write(states, at, store.serialize_cdr(state(index), "car_msgs/msg/State"))
            writer.write(texts, at + 1, store.serialize_cdr(String(data=f"t{index}"), "std_msgs/msg/String"))

for compression in (CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD):
    with (out / f"mcap_{compression.name.lower()}.mcap").open("wb") as stream:
        writer = McapRos2Writer(stream, chunk_size=2000, compression=compression)
        divider = "=" * 80
        schema = writer.register_msgdef("car_msgs/msg/State", f"{STATE}{divider}\nMSG: car_msgs/Geo\n{GEO}{divider}\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n")
        text = writer.register_msgdef("std_msgs/msg/String", "string data\n")
        for index in range(COUNT):
            at = START + index * 100_000_000
            message = {
                "stamp": {"sec": 1_764_000_000 + index, "nanosec": index},
                "kind": index,
                "wide": [-index, 2**62],
                "where": [{"lat": index / 2, "good": index % 2 == 0}],
                "name": f"Straße {index}",
                "axes": [0.5, 1.5, index],
            }
            writer.write_message("/car/state", schema, message, at, at, index)
            writer.write_message("/car/text", text, {"data": f"t{index}"}, at + 1, at + 1, index)
        writer.finish()
