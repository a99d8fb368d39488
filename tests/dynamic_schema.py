# SPDX-License-Identifier: Apache-2.0
"""The schema for protobuf's own parser, made from a flavour's description: what the witnesses and the benchmark read into."""

from functools import lru_cache

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from amctcfg import TF_ASCEND
from amctcfg.messages.kinds import Enum
from amctcfg.messages.message import messages_of

LABELS = {"optional": 1, "required": 2, "repeated": 3}


def file_descriptor(flavour=TF_ASCEND):
    file = descriptor_pb2.FileDescriptorProto(name=flavour.name + ".proto", package="amct", syntax="proto2")
    enums = {}
    for cls in messages_of(flavour.config):
        message = file.message_type.add(name=cls.__name__)
        oneofs = {}
        for number, spec in enumerate(cls.__schema__.fields.values(), 1):
            field = message.field.add(name=spec.name, number=number, label=LABELS[spec.label])
            if spec.oneof:
                if spec.oneof not in oneofs:
                    oneofs[spec.oneof] = len(oneofs)
                    message.oneof_decl.add(name=spec.oneof)
                field.oneof_index = oneofs[spec.oneof]
            if spec.is_message:
                field.type, field.type_name = field.TYPE_MESSAGE, ".amct." + spec.kind.__name__
            elif isinstance(spec.kind, Enum):
                field.type, field.type_name = field.TYPE_ENUM, ".amct." + spec.kind.proto
                enums[spec.kind.proto] = spec.kind
            else:
                field.type = getattr(field, "TYPE_" + spec.kind.proto.upper())
    for name, kind in enums.items():
        enum = file.enum_type.add(name=name)
        for number, value in kind.numbers.items():
            enum.value.add(name=value, number=number)
    return file


@lru_cache(maxsize=None)
def message_class(flavour=TF_ASCEND):
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file_descriptor(flavour).SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("amct.AMCTConfig"))
