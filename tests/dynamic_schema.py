# SPDX-License-Identifier: Apache-2.0
"""The schema for protobuf's own parser, made from ours: what the witnesses and the benchmark read texts into."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import amctcfg

MESSAGES = ("AMCTConfig", "OverrideLayerType", "OverrideLayer", "CalibrationConfig", "ARQuantize", "FMRQuantize")
KINDS = {bool: "TYPE_BOOL", float: "TYPE_FLOAT", str: "TYPE_STRING"}
LABELS = {"optional": 1, "required": 2, "repeated": 3}


def file_descriptor():
    file = descriptor_pb2.FileDescriptorProto(
        name="calibration_config_ascend_tf.proto", package="amct", syntax="proto2"
    )
    for name in MESSAGES:
        message = file.message_type.add(name=name)
        for number, spec in enumerate(getattr(amctcfg, name).specs.values(), 1):
            field = message.field.add(name=spec.name, number=number, label=LABELS[spec.label])
            if spec.is_message:
                field.type, field.type_name = field.TYPE_MESSAGE, ".amct." + spec.kind.__name__
            else:
                field.type = getattr(field, KINDS[spec.kind])
    return file


def message_class():
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file_descriptor().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("amct.AMCTConfig"))
