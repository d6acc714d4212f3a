import { create, createFileRegistry, type DescMessage } from '@bufbuild/protobuf';
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';

const message = 'xds.data.orca.v3.OrcaLoadReport';

const entry = (name: string) => ({
  name,
  field: [
    { name: 'key', number: 1, type: Type.STRING, label: Label.OPTIONAL },
    { name: 'value', number: 2, type: Type.DOUBLE, label: Label.OPTIONAL },
  ],
  options: { mapEntry: true },
});

const number = (name: string, at: number, type = Type.DOUBLE) => ({
  name,
  number: at,
  type,
  label: Label.OPTIONAL,
});

const map = (name: string, at: number, typeName: string) => ({
  name,
  number: at,
  type: Type.MESSAGE,
  label: Label.REPEATED,
  typeName: `.${message}.${typeName}`,
});

/** As a code generator would have made it of `xds/data/orca/v3/orca_load_report.proto`. */
export const orcaLoadReport = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [
      {
        name: 'xds/data/orca/v3/orca_load_report.proto',
        package: 'xds.data.orca.v3',
        syntax: 'proto3',
        messageType: [
          {
            name: 'OrcaLoadReport',
            field: [
              number('cpu_utilization', 1),
              number('mem_utilization', 2),
              number('rps', 3, Type.UINT64),
              map('request_cost', 4, 'RequestCostEntry'),
              map('utilization', 5, 'UtilizationEntry'),
              number('rps_fractional', 6),
              number('eps', 7),
              map('named_metrics', 8, 'NamedMetricsEntry'),
              number('application_utilization', 9),
            ],
            nestedType: [entry('RequestCostEntry'), entry('UtilizationEntry'), entry('NamedMetricsEntry')],
          },
        ],
      },
    ],
  }),
).getMessage(message) as DescMessage;
