//! One parameter of every kind, and the value that comes back for it.

use uuid::Uuid;

use crate::api::value::Kind;
use crate::api::{
    Column, DataType, DurationValue, IntervalValue, ListValue, MapValue, Parameter, TimeUnit, TimestampValue, TypeKind,
    Value,
};

/// Each with the value expected for it.
pub fn of_every_kind() -> Vec<(Parameter, Value)> {
    let text = || kind(TypeKind::String);
    let moment = Kind::TimestampValue(TimestampValue { seconds: 1769855696, nanos: 789000 });
    let instant = DataType { unit: TimeUnit::Micro.into(), time_zone: "UTC".to_owned(), ..kind(TypeKind::Timestamp) };
    let point = DataType { fields: vec![field("x", integer(64)), field("label", text())], ..kind(TypeKind::Struct) };
    let pairs = DataType { fields: vec![field("key", text()), field("value", integer(64))], ..kind(TypeKind::Map) };
    let id: Uuid = "0f1e2d3c-4b5a-4968-8776-655443322110".parse().expect("a UUID");
    // Where no type is given, it follows from the value: IntValue binds as INT 64 and so on.
    let mut all = vec![
        parameter("flag", None, Kind::BoolValue(true)),
        parameter("whole", None, Kind::IntValue(-9_007_199_254_740_993)),
        parameter("large", None, Kind::UintValue(u64::MAX)),
        parameter("ratio", None, Kind::DoubleValue(0.1)),
        // Exact, as text: a binary fraction would not be.
        parameter("price", None, Kind::DecimalValue("12345678901234567890.123456789".to_owned())),
        parameter("name", None, Kind::StringValue("größe 🦆".to_owned())),
        parameter("raw", None, Kind::BytesValue(vec![0x00, 0xff])),
        parameter("day", None, Kind::DateDays(20484)),
        parameter("clock", None, Kind::TimeNanos(45_296_000_789_000)),
        parameter("wall", None, moment.clone()),
        parameter("moment", Some(instant), moment),
        parameter("span", None, Kind::IntervalValue(IntervalValue { months: 1, days: -2, nanos: 3000 })),
        parameter("took", None, Kind::DurationValue(DurationValue { seconds: 90, nanos: 5000 })),
        parameter("id", None, Kind::UuidValue(id.as_bytes().to_vec())),
        parameter("huge", Some(integer(128)), Kind::DecimalValue("9".repeat(38))),
        parameter("document", Some(kind(TypeKind::Json)), Kind::StringValue(r#"{"a": 1}"#.to_owned())),
        parameter("tags", None, list(vec![string("a"), string("b")])),
        // A struct is a list of its members, in the order of the fields of its type.
        parameter("point", Some(point), list(vec![value(Kind::IntValue(1)), string("x")])),
        parameter(
            "pairs",
            Some(pairs),
            Kind::MapValue(MapValue { keys: vec![string("k")], values: vec![value(Kind::IntValue(7))] }),
        ),
        parameter("nothing", None, Kind::NullValue(0)),
    ];
    // DuckDB has one type for durations and calendar intervals.
    let took = all.iter_mut().find(|(sent, _)| sent.name == "took").expect("is there");
    took.1 = value(Kind::IntervalValue(IntervalValue { nanos: 90_000_005_000, ..Default::default() }));
    all
}

fn parameter(name: &str, r#type: Option<DataType>, kind: Kind) -> (Parameter, Value) {
    let sent = Parameter { name: name.to_owned(), r#type, value: Some(value(kind.clone())) };
    (sent, value(kind))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn string(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

fn list(values: Vec<Value>) -> Kind {
    Kind::ListValue(ListValue { values })
}

fn kind(kind: TypeKind) -> DataType {
    DataType { kind: kind.into(), ..Default::default() }
}

fn integer(bit_width: i32) -> DataType {
    DataType { bit_width, ..kind(TypeKind::Int) }
}

fn field(name: &str, r#type: DataType) -> Column {
    Column { name: name.to_owned(), r#type: Some(r#type), ..Default::default() }
}
