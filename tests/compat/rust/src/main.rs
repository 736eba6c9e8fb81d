//! Reads pages with arrow-rs: a line `name<TAB>JSON` or `name<TAB>ERROR …` for each file of the folder.

use std::fs::{self, File};
use std::panic;

use arrow::array::*;
use arrow::datatypes::*;
use arrow::ipc::reader::StreamReader;
use serde_json::{json, Value};

fn nanos(count: i64, unit: &TimeUnit) -> String {
    let factor: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    (count as i128 * factor).to_string()
}

fn float(value: f64) -> String {
    if value.is_nan() { "nan".into() } else { format!("{value:e}") }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn all(column: &dyn Array) -> Vec<Value> {
    (0..column.len()).map(|index| form(column, index)).collect()
}

/// The value at an index, as all consumers write it.
fn form(column: &dyn Array, index: usize) -> Value {
    if column.is_null(index) || column.data_type() == &DataType::Null {
        return Value::Null;
    }
    macro_rules! text {
        ($kind:ty) => {
            json!(column.as_primitive::<$kind>().value(index).to_string())
        };
    }
    match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(index).to_string()),
        DataType::Int8 => text!(Int8Type),
        DataType::Int16 => text!(Int16Type),
        DataType::Int32 => text!(Int32Type),
        DataType::Int64 => text!(Int64Type),
        DataType::UInt8 => text!(UInt8Type),
        DataType::UInt16 => text!(UInt16Type),
        DataType::UInt32 => text!(UInt32Type),
        DataType::UInt64 => text!(UInt64Type),
        DataType::Float32 => json!(float(column.as_primitive::<Float32Type>().value(index) as f64)),
        DataType::Float64 => json!(float(column.as_primitive::<Float64Type>().value(index))),
        DataType::Decimal128(_, _) => json!(column.as_primitive::<Decimal128Type>().value_as_string(index)),
        DataType::Decimal256(_, _) => json!(column.as_primitive::<Decimal256Type>().value_as_string(index)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(index)),
        DataType::Binary => json!(hex(column.as_binary::<i32>().value(index))),
        DataType::FixedSizeBinary(_) => json!(hex(column.as_fixed_size_binary().value(index))),
        DataType::Date32 => text!(Date32Type),
        DataType::Time32(TimeUnit::Second) => json!(nanos(column.as_primitive::<Time32SecondType>().value(index) as i64, &TimeUnit::Second)),
        DataType::Time32(_) => json!(nanos(column.as_primitive::<Time32MillisecondType>().value(index) as i64, &TimeUnit::Millisecond)),
        DataType::Time64(TimeUnit::Microsecond) => json!(nanos(column.as_primitive::<Time64MicrosecondType>().value(index), &TimeUnit::Microsecond)),
        DataType::Time64(_) => json!(nanos(column.as_primitive::<Time64NanosecondType>().value(index), &TimeUnit::Nanosecond)),
        DataType::Timestamp(unit, _) => json!(nanos(match unit {
            TimeUnit::Second => column.as_primitive::<TimestampSecondType>().value(index),
            TimeUnit::Millisecond => column.as_primitive::<TimestampMillisecondType>().value(index),
            TimeUnit::Microsecond => column.as_primitive::<TimestampMicrosecondType>().value(index),
            TimeUnit::Nanosecond => column.as_primitive::<TimestampNanosecondType>().value(index),
        }, unit)),
        DataType::Duration(unit) => json!(nanos(match unit {
            TimeUnit::Second => column.as_primitive::<DurationSecondType>().value(index),
            TimeUnit::Millisecond => column.as_primitive::<DurationMillisecondType>().value(index),
            TimeUnit::Microsecond => column.as_primitive::<DurationMicrosecondType>().value(index),
            TimeUnit::Nanosecond => column.as_primitive::<DurationNanosecondType>().value(index),
        }, unit)),
        DataType::Interval(_) => {
            let value = column.as_primitive::<IntervalMonthDayNanoType>().value(index);
            json!(format!("{} {} {}", value.months, value.days, value.nanoseconds))
        }
        DataType::List(_) => json!(all(&column.as_list::<i32>().value(index))),
        DataType::FixedSizeList(_, _) => json!(all(&column.as_fixed_size_list().value(index))),
        DataType::Struct(_) => json!(column.as_struct().columns().iter().map(|each| form(each, index)).collect::<Vec<_>>()),
        DataType::Map(_, _) => {
            let entries = column.as_map().value(index);
            json!((0..entries.len()).map(|each| json!([form(entries.column(0), each), form(entries.column(1), each)])).collect::<Vec<_>>())
        }
        other => panic!("no form for {other}"),
    }
}

fn read(path: &std::path::Path) -> Result<String, String> {
    let file = File::open(path).map_err(|cause| cause.to_string())?;
    let reader = StreamReader::try_new(file, None).map_err(|cause| cause.to_string())?;
    let mut values = Vec::new();
    for batch in reader {
        values.extend(all(batch.map_err(|cause| cause.to_string())?.column(0)));
    }
    Ok(Value::Array(values).to_string())
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    let folder = std::env::args().nth(1).expect("a folder");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "arrow")) {
        let line = panic::catch_unwind(|| read(path))
            .unwrap_or_else(|_| Err("panicked".into()))
            .unwrap_or_else(|cause| format!("ERROR {}", cause.lines().next().unwrap_or("")));
        println!("{}\t{}", path.file_name().unwrap().to_string_lossy(), line);
    }
}
