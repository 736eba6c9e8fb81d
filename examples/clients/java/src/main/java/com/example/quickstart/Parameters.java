package com.example.quickstart;

import com.google.protobuf.ByteString;
import com.queryengine.v1.Column;
import com.queryengine.v1.DataType;
import com.queryengine.v1.DurationValue;
import com.queryengine.v1.IntervalValue;
import com.queryengine.v1.ListValue;
import com.queryengine.v1.MapValue;
import com.queryengine.v1.NullValue;
import com.queryengine.v1.Parameter;
import com.queryengine.v1.TimeUnit;
import com.queryengine.v1.TimestampValue;
import com.queryengine.v1.TypeKind;
import com.queryengine.v1.Value;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.UUID;

/** One parameter of every kind, and the value that comes back for it. */
record Parameters(Parameter parameter, Value expected) {
  private static final DataType TEXT = DataType.newBuilder().setKind(TypeKind.TYPE_KIND_STRING).build();
  private static final DataType INT_64 = integer(64);

  static List<Parameters> ofEveryKind() {
    Value moment =
        Value.newBuilder()
            .setTimestampValue(TimestampValue.newBuilder().setSeconds(1769855696).setNanos(789000))
            .build();
    return List.of(
        // Where no type is given, it follows from the value: int_value binds as INT 64 and so on.
        of("flag", Value.newBuilder().setBoolValue(true).build()),
        of("whole", integer(-9007199254740993L)),
        // Unsigned: Java reads it as -1, see Long.toUnsignedString.
        of("large", Value.newBuilder().setUintValue(-1L).build()),
        of("ratio", Value.newBuilder().setDoubleValue(0.1).build()),
        // Exact, as text: a binary fraction would not be.
        of("price", Value.newBuilder().setDecimalValue("12345678901234567890.123456789").build()),
        of("name", string("größe 🦆")),
        of("raw", Value.newBuilder().setBytesValue(ByteString.fromHex("00ff")).build()),
        of("day", Value.newBuilder().setDateDays(20484).build()),
        of("clock", Value.newBuilder().setTimeNanos(45_296_000_789_000L).build()),
        of("wall", moment),
        typed("moment", instant(), moment),
        of("span", interval(IntervalValue.newBuilder().setMonths(1).setDays(-2).setNanos(3000).build())),
        // DuckDB has one type for durations and calendar intervals.
        new Parameters(
            Parameter.newBuilder()
                .setName("took")
                .setValue(
                    Value.newBuilder()
                        .setDurationValue(DurationValue.newBuilder().setSeconds(90).setNanos(5000)))
                .build(),
            interval(IntervalValue.newBuilder().setNanos(90_000_005_000L).build())),
        of("id", uuid(UUID.fromString("0f1e2d3c-4b5a-4968-8776-655443322110"))),
        typed("huge", integer(128), Value.newBuilder().setDecimalValue("9".repeat(38)).build()),
        typed("document", DataType.newBuilder().setKind(TypeKind.TYPE_KIND_JSON).build(), string("{\"a\": 1}")),
        of("tags", list(string("a"), string("b"))),
        // A struct is a list of its members, in the order of the fields of its type.
        typed("point", nested(TypeKind.TYPE_KIND_STRUCT, "x", INT_64, "label", TEXT), list(integer(1L), string("x"))),
        typed(
            "pairs",
            nested(TypeKind.TYPE_KIND_MAP, "key", TEXT, "value", INT_64),
            Value.newBuilder()
                .setMapValue(MapValue.newBuilder().addKeys(string("k")).addValues(integer(7L)))
                .build()),
        of("nothing", Value.newBuilder().setNullValue(NullValue.NULL_VALUE_UNSPECIFIED).build()));
  }

  private static Parameters of(String name, Value value) {
    return new Parameters(Parameter.newBuilder().setName(name).setValue(value).build(), value);
  }

  private static Parameters typed(String name, DataType type, Value value) {
    return new Parameters(Parameter.newBuilder().setName(name).setType(type).setValue(value).build(), value);
  }

  private static Value string(String text) {
    return Value.newBuilder().setStringValue(text).build();
  }

  private static Value integer(long number) {
    return Value.newBuilder().setIntValue(number).build();
  }

  private static Value interval(IntervalValue value) {
    return Value.newBuilder().setIntervalValue(value).build();
  }

  private static Value list(Value... values) {
    return Value.newBuilder().setListValue(ListValue.newBuilder().addAllValues(List.of(values))).build();
  }

  private static Value uuid(UUID id) {
    ByteBuffer octets =
        ByteBuffer.allocate(16).putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits()).flip();
    return Value.newBuilder().setUuidValue(ByteString.copyFrom(octets)).build();
  }

  private static DataType integer(int bits) {
    return DataType.newBuilder().setKind(TypeKind.TYPE_KIND_INT).setBitWidth(bits).build();
  }

  private static DataType instant() {
    return DataType.newBuilder()
        .setKind(TypeKind.TYPE_KIND_TIMESTAMP)
        .setUnit(TimeUnit.TIME_UNIT_MICRO)
        .setTimeZone("UTC")
        .build();
  }

  private static DataType nested(TypeKind kind, String first, DataType ofFirst, String second, DataType ofSecond) {
    return DataType.newBuilder()
        .setKind(kind)
        .addFields(Column.newBuilder().setName(first).setType(ofFirst))
        .addFields(Column.newBuilder().setName(second).setType(ofSecond))
        .build();
  }
}
