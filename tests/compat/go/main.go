// Reads pages with arrow-go: a line `name<TAB>JSON` or `name<TAB>ERROR …` for each file of the folder.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	_ "github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

func nanos(count int64, unit arrow.TimeUnit) string {
	factor := map[arrow.TimeUnit]int64{arrow.Second: 1e9, arrow.Millisecond: 1e6, arrow.Microsecond: 1e3, arrow.Nanosecond: 1}[unit]
	return new(big.Int).Mul(big.NewInt(count), big.NewInt(factor)).String()
}

func float(value float64) string {
	if math.IsNaN(value) {
		return "nan"
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

// form is the value at an index, as all consumers write it.
func form(column arrow.Array, index int) any {
	if column.IsNull(index) {
		return nil
	}
	switch values := column.(type) {
	case array.ExtensionArray:
		return form(values.Storage(), index)
	case *array.Null:
		return nil
	case *array.Boolean:
		return strconv.FormatBool(values.Value(index))
	case *array.Int8:
		return strconv.FormatInt(int64(values.Value(index)), 10)
	case *array.Int16:
		return strconv.FormatInt(int64(values.Value(index)), 10)
	case *array.Int32:
		return strconv.FormatInt(int64(values.Value(index)), 10)
	case *array.Int64:
		return strconv.FormatInt(values.Value(index), 10)
	case *array.Uint8:
		return strconv.FormatUint(uint64(values.Value(index)), 10)
	case *array.Uint16:
		return strconv.FormatUint(uint64(values.Value(index)), 10)
	case *array.Uint32:
		return strconv.FormatUint(uint64(values.Value(index)), 10)
	case *array.Uint64:
		return strconv.FormatUint(values.Value(index), 10)
	case *array.Float32:
		return float(float64(values.Value(index)))
	case *array.Float64:
		return float(values.Value(index))
	case *array.Decimal128:
		return values.Value(index).ToString(values.DataType().(*arrow.Decimal128Type).Scale)
	case *array.Decimal256:
		return values.Value(index).ToString(values.DataType().(*arrow.Decimal256Type).Scale)
	case *array.String:
		return values.Value(index)
	case *array.Binary:
		return hex.EncodeToString(values.Value(index))
	case *array.FixedSizeBinary:
		return hex.EncodeToString(values.Value(index))
	case *array.Date32:
		return strconv.Itoa(int(values.Value(index)))
	case *array.Time32:
		return nanos(int64(values.Value(index)), values.DataType().(*arrow.Time32Type).Unit)
	case *array.Time64:
		return nanos(int64(values.Value(index)), values.DataType().(*arrow.Time64Type).Unit)
	case *array.Timestamp:
		return nanos(int64(values.Value(index)), values.DataType().(*arrow.TimestampType).Unit)
	case *array.Duration:
		return nanos(int64(values.Value(index)), values.DataType().(*arrow.DurationType).Unit)
	case *array.MonthDayNanoInterval:
		value := values.Value(index)
		return fmt.Sprintf("%d %d %d", value.Months, value.Days, value.Nanoseconds)
	case *array.Map:
		pairs := []any{}
		start, end := values.ValueOffsets(index)
		for each := int(start); each < int(end); each++ {
			pairs = append(pairs, []any{form(values.Keys(), each), form(values.Items(), each)})
		}
		return pairs
	case array.ListLike:
		found := []any{}
		start, end := values.ValueOffsets(index)
		for each := int(start); each < int(end); each++ {
			found = append(found, form(values.ListValues(), each))
		}
		return found
	case *array.Struct:
		found := []any{}
		for each := 0; each < values.NumField(); each++ {
			found = append(found, form(values.Field(each), index))
		}
		return found
	}
	panic(fmt.Sprintf("no form for %s", column.DataType()))
}

func read(path string) (line string) {
	defer func() {
		if cause := recover(); cause != nil {
			line = "ERROR " + strings.SplitN(fmt.Sprint(cause), "\n", 2)[0]
		}
	}()
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	reader, err := ipc.NewReader(file)
	if err != nil {
		panic(err)
	}
	defer reader.Release()
	values := []any{}
	for reader.Next() {
		column := reader.RecordBatch().Column(0)
		for index := 0; index < column.Len(); index++ {
			values = append(values, form(column, index))
		}
	}
	if reader.Err() != nil {
		panic(reader.Err())
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func main() {
	paths, _ := filepath.Glob(filepath.Join(os.Args[1], "*.arrow"))
	sort.Strings(paths)
	for _, path := range paths {
		fmt.Printf("%s\t%s\n", filepath.Base(path), read(path))
	}
}
