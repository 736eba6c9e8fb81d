package main

import (
	"math"
	"strings"

	"github.com/google/uuid"

	api "example.com/quickstart/gen/queryengine/v1"
)

// parameter is a value with the type to bind it as, nil where it follows from the value, and what comes back for it.
type parameter struct {
	name     string
	value    *api.Value
	kind     *api.DataType
	returned *api.Value
}

// parameters has one of every kind.
func parameters() []parameter {
	id := uuid.MustParse("0f1e2d3c-4b5a-4968-8776-655443322110")
	moment := &api.Value{Kind: &api.Value_TimestampValue{
		TimestampValue: &api.TimestampValue{Seconds: 1769855696, Nanos: 789000},
	}}
	text, int64Type := &api.DataType{Kind: api.TypeKind_TYPE_KIND_STRING}, integer(64)
	// A struct is a list of its members, in the order of the fields of its type.
	point := list(whole(1), str("x"))
	pointType := &api.DataType{Kind: api.TypeKind_TYPE_KIND_STRUCT, Fields: []*api.Column{
		{Name: "x", Type: int64Type}, {Name: "label", Type: text},
	}}
	pairs := &api.Value{Kind: &api.Value_MapValue{MapValue: &api.MapValue{
		Keys: []*api.Value{str("k")}, Values: []*api.Value{whole(7)},
	}}}
	pairsType := &api.DataType{Kind: api.TypeKind_TYPE_KIND_MAP, Fields: []*api.Column{
		{Name: "key", Type: text}, {Name: "value", Type: int64Type},
	}}
	instant := &api.DataType{
		Kind: api.TypeKind_TYPE_KIND_TIMESTAMP, Unit: api.TimeUnit_TIME_UNIT_MICRO, TimeZone: "UTC",
	}
	all := []parameter{
		{name: "flag", value: &api.Value{Kind: &api.Value_BoolValue{BoolValue: true}}},
		{name: "whole", value: whole(-9007199254740993)},
		{name: "large", value: &api.Value{Kind: &api.Value_UintValue{UintValue: math.MaxUint64}}},
		{name: "ratio", value: &api.Value{Kind: &api.Value_DoubleValue{DoubleValue: 0.1}}},
		// Exact, as text: a binary fraction would not be.
		{name: "price", value: decimal("12345678901234567890.123456789")},
		{name: "name", value: str("größe 🦆")},
		{name: "raw", value: &api.Value{Kind: &api.Value_BytesValue{BytesValue: []byte{0x00, 0xff}}}},
		{name: "day", value: &api.Value{Kind: &api.Value_DateDays{DateDays: 20484}}},
		{name: "clock", value: &api.Value{Kind: &api.Value_TimeNanos{TimeNanos: 45_296_000_789_000}}},
		{name: "wall", value: moment},
		{name: "moment", value: moment, kind: instant},
		{name: "span", value: interval(&api.IntervalValue{Months: 1, Days: -2, Nanos: 3000})},
		{
			name: "took",
			value: &api.Value{Kind: &api.Value_DurationValue{
				DurationValue: &api.DurationValue{Seconds: 90, Nanos: 5000},
			}},
			// DuckDB has one type for durations and calendar intervals.
			returned: interval(&api.IntervalValue{Nanos: 90_000_005_000}),
		},
		{name: "id", value: &api.Value{Kind: &api.Value_UuidValue{UuidValue: id[:]}}},
		{name: "huge", value: decimal(strings.Repeat("9", 38)), kind: integer(128)},
		{name: "document", value: str(`{"a": 1}`), kind: &api.DataType{Kind: api.TypeKind_TYPE_KIND_JSON}},
		{name: "tags", value: list(str("a"), str("b"))},
		{name: "point", value: point, kind: pointType},
		{name: "pairs", value: pairs, kind: pairsType},
		{name: "nothing", value: &api.Value{Kind: &api.Value_NullValue{}}},
	}
	for i := range all {
		if all[i].returned == nil {
			all[i].returned = all[i].value
		}
	}
	return all
}

func str(text string) *api.Value {
	return &api.Value{Kind: &api.Value_StringValue{StringValue: text}}
}

func whole(number int64) *api.Value {
	return &api.Value{Kind: &api.Value_IntValue{IntValue: number}}
}

func decimal(text string) *api.Value {
	return &api.Value{Kind: &api.Value_DecimalValue{DecimalValue: text}}
}

func interval(value *api.IntervalValue) *api.Value {
	return &api.Value{Kind: &api.Value_IntervalValue{IntervalValue: value}}
}

func list(values ...*api.Value) *api.Value {
	return &api.Value{Kind: &api.Value_ListValue{ListValue: &api.ListValue{Values: values}}}
}

func integer(bits int32) *api.DataType {
	return &api.DataType{Kind: api.TypeKind_TYPE_KIND_INT, BitWidth: bits}
}
