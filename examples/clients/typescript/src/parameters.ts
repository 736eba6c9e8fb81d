// One parameter of every kind, and the value that comes back for it.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DataTypeSchema,
  NullValue,
  type Parameter,
  ParameterSchema,
  TimeUnit,
  TypeKind,
  type Value,
  ValueSchema,
} from "../gen/queryengine/v1/value_pb.js";

type Kind = MessageInitShape<typeof ValueSchema>["kind"];
type Type = MessageInitShape<typeof DataTypeSchema>;

const text: Type = { kind: TypeKind.STRING };
const int64: Type = { kind: TypeKind.INT, bitWidth: 64 };
const moment: Kind = { case: "timestampValue", value: { seconds: 1769855696n, nanos: 789000 } };
const id = Uint8Array.from(Buffer.from("0f1e2d3c4b5a49688776655443322110", "hex"));

const kinds: Record<string, Kind> = {
  flag: { case: "boolValue", value: true },
  // 64-bit integers are bigint: a number is exact up to 2^53 only.
  whole: { case: "intValue", value: -9007199254740993n },
  large: { case: "uintValue", value: 2n ** 64n - 1n },
  ratio: { case: "doubleValue", value: 0.1 },
  // Exact, as text: a binary fraction would not be.
  price: { case: "decimalValue", value: "12345678901234567890.123456789" },
  name: { case: "stringValue", value: "größe 🦆" },
  raw: { case: "bytesValue", value: Uint8Array.of(0x00, 0xff) },
  day: { case: "dateDays", value: 20484 },
  clock: { case: "timeNanos", value: 45_296_000_789_000n },
  wall: moment,
  moment,
  span: { case: "intervalValue", value: { months: 1, days: -2, nanos: 3000n } },
  took: { case: "durationValue", value: { seconds: 90n, nanos: 5000 } },
  id: { case: "uuidValue", value: id },
  huge: { case: "decimalValue", value: "9".repeat(38) },
  document: { case: "stringValue", value: '{"a": 1}' },
  tags: { case: "listValue", value: { values: [string("a"), string("b")] } },
  // A struct is a list of its members, in the order of the fields of its type.
  point: { case: "listValue", value: { values: [whole(1n), string("x")] } },
  pairs: { case: "mapValue", value: { keys: [string("k")], values: [whole(7n)] } },
  nothing: { case: "nullValue", value: NullValue.UNSPECIFIED },
};

// Where no type is given, it follows from the value: intValue binds as INT 64 and so on.
const types: Record<string, Type> = {
  moment: { kind: TypeKind.TIMESTAMP, unit: TimeUnit.MICRO, timeZone: "UTC" },
  huge: { kind: TypeKind.INT, bitWidth: 128 },
  document: { kind: TypeKind.JSON },
  point: {
    kind: TypeKind.STRUCT,
    fields: [
      { name: "x", type: int64 },
      { name: "label", type: text },
    ],
  },
  pairs: {
    kind: TypeKind.MAP,
    fields: [
      { name: "key", type: text },
      { name: "value", type: int64 },
    ],
  },
};

// DuckDB has one type for durations and calendar intervals.
const returned: Record<string, Kind> = {
  took: { case: "intervalValue", value: { nanos: 90_000_005_000n } },
};

export const parameters: { parameter: Parameter; expected: Value }[] = Object.entries(kinds).map(([name, kind]) => ({
  parameter: create(ParameterSchema, { name, type: types[name], value: { kind } }),
  expected: create(ValueSchema, { kind: returned[name] ?? kind }),
}));

function string(value: string): MessageInitShape<typeof ValueSchema> {
  return { kind: { case: "stringValue", value } };
}

function whole(value: bigint): MessageInitShape<typeof ValueSchema> {
  return { kind: { case: "intValue", value } };
}
