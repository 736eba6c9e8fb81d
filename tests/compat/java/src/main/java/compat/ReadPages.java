package compat;

import java.io.InputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.*;
import org.apache.arrow.vector.complex.*;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.apache.arrow.vector.types.TimeUnit;
import org.apache.arrow.vector.types.pojo.ArrowType;

/** Reads pages with arrow-java: a line `name<TAB>JSON` or `name<TAB>ERROR …` for each file of the folder. */
public final class ReadPages {
  private static String nanos(long count, TimeUnit unit) {
    long factor = switch (unit) {
      case SECOND -> 1_000_000_000L;
      case MILLISECOND -> 1_000_000L;
      case MICROSECOND -> 1_000L;
      case NANOSECOND -> 1L;
    };
    return BigInteger.valueOf(count).multiply(BigInteger.valueOf(factor)).toString();
  }

  private static String quoted(String text) {
    StringBuilder found = new StringBuilder("\"");
    for (char each : text.toCharArray()) {
      if (each == '"' || each == '\\') {
        found.append('\\').append(each);
      } else if (each < ' ') {
        found.append(String.format("\\u%04x", (int) each));
      } else {
        found.append(each);
      }
    }
    return found.append('"').toString();
  }

  private static String joined(Stream<String> parts) {
    return parts.collect(Collectors.joining(",", "[", "]"));
  }

  private static String range(FieldVector vector, int start, int end) {
    List<String> parts = new ArrayList<>();
    for (int index = start; index < end; index++) {
      parts.add(form(vector, index));
    }
    return joined(parts.stream());
  }

  /** The value at an index as JSON, as all consumers write it. */
  private static String form(ValueVector vector, int index) {
    if (vector instanceof NullVector || vector.isNull(index)) {
      return "null";
    }
    if (vector instanceof ExtensionTypeVector<?> extension) {
      return form(extension.getUnderlyingVector(), index);
    }
    if (vector instanceof MapVector map) {
      StructVector entries = (StructVector) map.getDataVector();
      List<String> pairs = new ArrayList<>();
      for (int each = map.getElementStartIndex(index); each < map.getElementEndIndex(index); each++) {
        pairs.add("[" + form(entries.getChildrenFromFields().get(0), each) + ","
            + form(entries.getChildrenFromFields().get(1), each) + "]");
      }
      return joined(pairs.stream());
    }
    if (vector instanceof ListVector list) {
      return range(list.getDataVector(), list.getElementStartIndex(index), list.getElementEndIndex(index));
    }
    if (vector instanceof FixedSizeListVector list) {
      return range(list.getDataVector(), list.getElementStartIndex(index), list.getElementEndIndex(index));
    }
    if (vector instanceof StructVector struct) {
      return joined(struct.getChildrenFromFields().stream().map(each -> form(each, index)));
    }
    return quoted(text(vector, index));
  }

  private static String text(ValueVector vector, int index) {
    ArrowType type = vector.getField().getType();
    if (vector instanceof UInt1Vector small) {
      return Integer.toString(Byte.toUnsignedInt(small.get(index)));
    }
    if (vector instanceof UInt2Vector small) {
      return Integer.toString(small.get(index));
    }
    if (vector instanceof UInt4Vector number) {
      return Integer.toUnsignedString(number.get(index));
    }
    if (vector instanceof UInt8Vector number) {
      return Long.toUnsignedString(number.get(index));
    }
    if (vector instanceof BitVector bit) {
      return bit.get(index) == 1 ? "true" : "false";
    }
    if (vector instanceof DecimalVector || vector instanceof Decimal256Vector) {
      return ((BigDecimal) vector.getObject(index)).toPlainString();
    }
    if (vector instanceof VarBinaryVector binary) {
      return HexFormat.of().formatHex(binary.get(index));
    }
    if (vector instanceof FixedSizeBinaryVector binary) {
      return HexFormat.of().formatHex(binary.get(index));
    }
    if (vector instanceof DateDayVector date) {
      return Integer.toString(date.get(index));
    }
    if (type instanceof ArrowType.Time time) {
      long count = time.getBitWidth() == 32
          ? vector.getDataBuffer().getInt(4L * index) : vector.getDataBuffer().getLong(8L * index);
      return nanos(count, time.getUnit());
    }
    if (vector instanceof TimeStampVector moment) {
      return nanos(moment.get(index), ((ArrowType.Timestamp) type).getUnit());
    }
    if (vector instanceof DurationVector duration) {
      Duration value = duration.getObject(index);
      return BigInteger.valueOf(value.getSeconds()).multiply(BigInteger.valueOf(1_000_000_000L))
          .add(BigInteger.valueOf(value.getNano())).toString();
    }
    if (vector instanceof IntervalMonthDayNanoVector interval) {
      return IntervalMonthDayNanoVector.getMonths(interval.getDataBuffer(), index) + " "
          + IntervalMonthDayNanoVector.getDays(interval.getDataBuffer(), index) + " "
          + IntervalMonthDayNanoVector.getNanoseconds(interval.getDataBuffer(), index);
    }
    Object value = vector.getObject(index);
    if (value instanceof Double number && number.isNaN()) {
      return "nan";
    }
    // A float has fewer digits as text than it has as a double.
    return value instanceof Float number ? Double.toString(number.doubleValue()) : value.toString();
  }

  private static String read(RootAllocator allocator, Path path) throws Exception {
    List<String> values = new ArrayList<>();
    try (InputStream stream = Files.newInputStream(path);
        ArrowStreamReader reader = new ArrowStreamReader(stream, allocator)) {
      while (reader.loadNextBatch()) {
        FieldVector column = reader.getVectorSchemaRoot().getFieldVectors().get(0);
        for (int index = 0; index < column.getValueCount(); index++) {
          values.add(form(column, index));
        }
      }
    }
    return joined(values.stream());
  }

  public static void main(String[] arguments) throws Exception {
    try (RootAllocator allocator = new RootAllocator(); Stream<Path> files = Files.list(Path.of(arguments[0]))) {
      for (Path path : files.filter(each -> each.toString().endsWith(".arrow")).sorted().toList()) {
        String line;
        try {
          line = read(allocator, path);
        } catch (Exception | LinkageError cause) {
          line = "ERROR " + String.valueOf(cause.getMessage()).lines().findFirst().orElse("");
        }
        System.out.println(path.getFileName() + "\t" + line);
      }
    }
  }
}
