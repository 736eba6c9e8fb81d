// Reads pages with apache-arrow: a line `name<TAB>JSON` or `name<TAB>ERROR …` for each file of the folder.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC, Type, TimeUnit, util, Vector } from "apache-arrow";

const NANOS = { [TimeUnit.SECOND]: 1_000_000_000n, [TimeUnit.MILLISECOND]: 1_000_000n, [TimeUnit.MICROSECOND]: 1000n, [TimeUnit.NANOSECOND]: 1n };
const hex = (octets) => Buffer.from(octets).toString("hex");

function decimal(value, scale) {
  // The library gives the octets; a scale of its own it does not apply.
  const digits = util.bigNumToString(value);
  const negative = digits.startsWith("-");
  const padded = (negative ? digits.slice(1) : digits).padStart(scale + 1, "0");
  const text = scale > 0 ? `${padded.slice(0, -scale)}.${padded.slice(-scale)}` : padded;
  return (negative ? "-" : "") + text;
}

// The value at an index of one chunk of a column, in the form that all consumers write.
function form(data, vector, index) {
  const value = vector.get(index);
  if (value === null || value === undefined) return null;
  const type = vector.type;
  switch (type.typeId) {
    case Type.Bool: case Type.Int: case Type.Utf8: case Type.LargeUtf8: return String(value);
    case Type.Float: return Number.isNaN(value) ? "nan" : Object.is(value, -0) ? "-0.0" : String(value);
    case Type.Decimal: return decimal(value, type.scale);
    case Type.Binary: case Type.FixedSizeBinary: case Type.LargeBinary: return hex(value);
    // A Date is given in milliseconds, a Timestamp in milliseconds with a fraction.
    case Type.Date: return String(Number(value) / 86_400_000);
    case Type.Time: return String(BigInt(value) * NANOS[type.unit]);
    case Type.Timestamp: return String(BigInt(data.values[index]) * NANOS[type.unit]);
    case Type.Duration: return String(BigInt(value) * NANOS[type.unit]);
    case Type.Interval: return interval(value);
    case Type.List: case Type.FixedSizeList: return [...Array(value.length).keys()].map((each) => form(value.data[0], value, each));
    case Type.Struct: return type.children.map((_, each) => { const child = vector.getChildAt(each); return form(child.data[0], child, index); });
    case Type.Map: return entries(data, index);
    default: throw new Error(`no form for ${type}`);
  }
}

// By the vectors below it: a row of a map gives its values without their types.
function entries(data, index) {
  const struct = data.children[0];
  const [keys, items] = struct.children.map((each) => new Vector([each]));
  const pairs = [];
  for (let each = data.valueOffsets[index]; each < data.valueOffsets[index + 1]; each += 1) {
    pairs.push([form(keys.data[0], keys, each), form(items.data[0], items, each)]);
  }
  return pairs;
}

function interval(value) {
  const words = new BigInt64Array(value.buffer.slice(value.byteOffset + 8, value.byteOffset + 16));
  return `${value[0]} ${value[1]} ${words[0]}`;
}

const folder = process.argv[2];
for (const name of readdirSync(folder).sort()) {
  if (!name.endsWith(".arrow")) continue;
  let line;
  try {
    const column = tableFromIPC(readFileSync(join(folder, name))).getChildAt(0);
    const values = [];
    for (const data of column.data) {
      const chunk = column.data.length === 1 ? column : column.slice(0, data.length);
      for (let index = 0; index < data.length; index += 1) values.push(form(data, chunk, index));
    }
    line = JSON.stringify(values);
  } catch (error) {
    line = `ERROR ${String(error.message).split("\n")[0]}`;
  }
  console.log(`${name}\t${line}`);
}
