// Every call of queryengine from generated code: quickstart [host:port].
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	api "example.com/quickstart/gen/queryengine/v1"
)

var (
	labels = map[string]string{"client": "go"}
	rows   = &api.ResultOptions{InlineFormat: api.PageFormat_PAGE_FORMAT_ROWS}
	wait   = durationpb.New(30 * time.Second)
)

func main() {
	address := "127.0.0.1:8815"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	// Bounds these calls. It does not bound the queries: limits.execution_timeout does.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, api.NewQueryServiceClient(connection)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, client api.QueryServiceClient) error {
	id, err := submit(ctx, client)
	if err != nil {
		return err
	}
	for _, do := range []func(context.Context, api.QueryServiceClient, string) error{watch, readArrow, resume, pages} {
		if err := do(ctx, client, id); err != nil {
			return err
		}
	}
	for _, do := range []func(context.Context, api.QueryServiceClient) error{
		typedRows, inBand, bind, cancelQuery, failures,
	} {
		if err := do(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

func step(name, format string, values ...any) {
	fmt.Printf("%-12s%s\n", name, fmt.Sprintf(format, values...))
}

func stateName(status *api.QueryStatus) string {
	return strings.TrimPrefix(status.GetState().String(), "QUERY_STATE_")
}

func submit(ctx context.Context, client api.QueryServiceClient) (string, error) {
	// The client chooses the id. When the reply is lost, send the same request again: nothing runs twice.
	request := &api.SubmitRequest{
		QueryId: uuid.NewString(),
		Sql:     "SELECT range AS n, 'row ' || range AS name FROM range(1000000)",
		Labels:  labels,
	}
	first, err := client.Submit(ctx, request)
	if err != nil {
		return "", err
	}
	step("submit", "%s accepted", first.GetStatus().GetQueryId())
	again, err := client.Submit(ctx, request)
	if err != nil {
		return "", err
	}
	step("again", "existing = %t", again.GetExisting())
	return request.GetQueryId(), nil
}

// watch: states are pushed. A state may be missed, the last one never is.
func watch(ctx context.Context, client api.QueryServiceClient, id string) error {
	var names []string
	last := &api.QueryStatus{}
	for last.GetState() < api.QueryState_QUERY_STATE_COMPLETED {
		// Like a stream of results, this one may rotate or break; the next one goes on after the version known.
		stream, err := client.WatchStatus(ctx, &api.WatchStatusRequest{QueryId: id, AfterVersion: last.GetVersion()})
		if err != nil {
			return err
		}
		for {
			message, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if current := message.GetStatus(); current != nil {
				if current.GetState() != last.GetState() {
					names = append(names, stateName(current))
				}
				last = current
			}
		}
	}
	step("watch", "%s", strings.Join(names, " > "))
	return nil
}

func readArrow(ctx context.Context, client api.QueryServiceClient, id string) error {
	results := &Results{client: client, QueryID: id}
	var total int64
	for batch, err := range results.Batches(ctx) {
		if err != nil {
			return err
		}
		total += sum(batch)
	}
	step("arrow", "%d rows in %d pages over %d streams, sum %d", results.NextRow, results.Pages, results.Streams, total)
	return nil
}

// sum adds up the first column and releases the batch.
func sum(batch arrow.RecordBatch) (total int64) {
	defer batch.Release()
	for _, number := range batch.Column(0).(*array.Int64).Int64Values() {
		total += number
	}
	return total
}

func resume(ctx context.Context, client api.QueryServiceClient, id string) error {
	first := &Results{client: client, QueryID: id}
	var total int64
	for batch, err := range first.Batches(ctx) {
		if err != nil {
			return err
		}
		total += sum(batch)
		if first.NextRow >= 300_000 {
			break // As if this process ended here. What it must have kept is NextRow and Attempt.
		}
	}
	second := &Results{client: client, QueryID: id, NextRow: first.NextRow, Attempt: first.Attempt}
	for batch, err := range second.Batches(ctx) {
		if err != nil {
			return err
		}
		total += sum(batch)
	}
	step("resume", "left at row %d, went on there to %d, sum %d", first.NextRow, second.NextRow, total)
	return nil
}

// pages: random access to stored rows, back and forth.
func pages(ctx context.Context, client api.QueryServiceClient, id string) error {
	var seen []string
	reply := &api.FetchPageResponse{}
	for _, position := range []func(*api.FetchPageRequest){
		func(r *api.FetchPageRequest) { r.Position = &api.FetchPageRequest_Page{Page: 0} },
		func(r *api.FetchPageRequest) {
			r.Position = &api.FetchPageRequest_PageToken{PageToken: reply.GetNextPageToken()}
		},
		func(r *api.FetchPageRequest) {
			r.Position = &api.FetchPageRequest_PageToken{PageToken: reply.GetPrevPageToken()}
		},
		func(r *api.FetchPageRequest) {
			r.Position = &api.FetchPageRequest_Offset{Offset: reply.GetTotalRows() - 10}
		},
	} {
		request := &api.FetchPageRequest{QueryId: id, PageSize: 1000}
		position(request)
		var err error
		if reply, err = client.FetchPage(ctx, request); err != nil {
			return err
		}
		start := reply.GetPage().GetStartRow()
		seen = append(seen, fmt.Sprintf("%d-%d", start, start+reply.GetPage().GetRowCount()-1))
	}
	step("pages", "%s of %d, more = %t", strings.Join(seen, ", "), reply.GetTotalRows(), reply.GetNextPageToken() != "")
	return nil
}

// typedRows: typed values, for programs without an Arrow library.
func typedRows(ctx context.Context, client api.QueryServiceClient) error {
	submitted, err := client.Submit(ctx, &api.SubmitRequest{
		Sql:    "SELECT 42 AS answer, 12.50 AS price, DATE '2026-01-31' AS day, ['a', 'b'] AS tags, NULL AS nothing",
		Labels: labels,
	})
	if err != nil {
		return err
	}
	stream, err := client.StreamResults(ctx, &api.StreamResultsRequest{
		QueryId: submitted.GetStatus().GetQueryId(), Format: api.PageFormat_PAGE_FORMAT_ROWS,
	})
	if err != nil {
		return err
	}
	var columns []*api.Column
	var found []string
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		columns = append(columns, message.GetSchema().GetColumns()...)
		for _, row := range message.GetPage().GetRows().GetRows() {
			for i, value := range row.GetValues() {
				found = append(found, columns[i].GetName()+" = "+text(value))
			}
		}
	}
	step("rows", "%s", strings.Join(found, ", "))
	return nil
}

func text(value *api.Value) string {
	switch kind := value.GetKind().(type) {
	case *api.Value_NullValue:
		return "NULL"
	case *api.Value_IntValue:
		return fmt.Sprint(kind.IntValue)
	case *api.Value_DecimalValue:
		return kind.DecimalValue
	case *api.Value_StringValue:
		return kind.StringValue
	case *api.Value_DateDays:
		return time.Unix(0, 0).UTC().AddDate(0, 0, int(kind.DateDays)).Format(time.DateOnly)
	case *api.Value_ListValue:
		var parts []string
		for _, each := range kind.ListValue.GetValues() {
			parts = append(parts, text(each))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return value.String()
	}
}

// inBand: a short query in one call. Its rows come in the reply to Submit, and stay readable.
func inBand(ctx context.Context, client api.QueryServiceClient) error {
	reply, err := client.Submit(ctx, &api.SubmitRequest{
		Sql: "SELECT 42 AS answer", WaitTimeout: wait, Result: rows, Labels: labels,
	})
	if err != nil {
		return err
	}
	// Without `end` the reply is not the whole result: read on by StreamResults from next_row.
	whole := reply.GetEnd() != nil && reply.GetEnd().GetTotalRows() == reply.GetNextRow()
	row, err := firstRow(reply)
	if err != nil {
		return err
	}
	step("in-band", "answer = %s, whole result = %t", text(row[0]), whole)
	return nil
}

func firstRow(reply *api.SubmitResponse) ([]*api.Value, error) {
	if len(reply.GetPages()) == 0 {
		failure := reply.GetStatus().GetError()
		return nil, fmt.Errorf("%s %s: %s", stateName(reply.GetStatus()), failure.GetReason(), failure.GetMessage())
	}
	return reply.GetPages()[0].GetRows().GetRows()[0].GetValues(), nil
}

func bind(ctx context.Context, client api.QueryServiceClient) error {
	all := parameters()
	request := &api.SubmitRequest{WaitTimeout: wait, Result: rows, Labels: labels}
	var names []string
	for _, each := range all {
		names = append(names, "$"+each.name)
		request.Parameters = append(request.Parameters, &api.Parameter{Name: each.name, Type: each.kind, Value: each.value})
	}
	request.Sql = "SELECT " + strings.Join(names, ", ")
	reply, err := client.Submit(ctx, request)
	if err != nil {
		return err
	}
	row, err := firstRow(reply)
	if err != nil {
		return err
	}
	same := 0
	for i, value := range row {
		if proto.Equal(value, all[i].returned) {
			same++
		}
	}
	step("parameters", "%d of %d kinds came back as they were sent", same, len(all))
	return nil
}

func cancelQuery(ctx context.Context, client api.QueryServiceClient) error {
	submitted, err := client.Submit(ctx, &api.SubmitRequest{
		Sql:    "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3",
		Labels: labels,
	})
	if err != nil {
		return err
	}
	current := submitted.GetStatus()
	for current.GetState() == api.QueryState_QUERY_STATE_QUEUED {
		// A long poll: answers as soon as there is something newer than the version known.
		reply, err := client.GetStatus(ctx, &api.GetStatusRequest{
			QueryId: current.GetQueryId(), AfterVersion: current.GetVersion(), WaitTimeout: wait,
		})
		if err != nil {
			return err
		}
		current = reply.GetStatus()
	}
	reply, err := client.Cancel(ctx, &api.CancelRequest{
		QueryId: current.GetQueryId(), Reason: "no longer wanted", WaitTimeout: wait,
	})
	if err != nil {
		return err
	}
	engine := strings.TrimPrefix(reply.GetEngineCancel().String(), "ENGINE_CANCEL_STATE_")
	step("cancel", "%s, engine %s", stateName(reply.GetStatus()), engine)
	return nil
}

func failures(ctx context.Context, client api.QueryServiceClient) error {
	_, err := client.Submit(ctx, &api.SubmitRequest{Sql: "SELECT (1", Labels: labels})
	info := errorInfo(err)
	if info == nil {
		return err
	}
	step("error", "%v %s of %s at line %s, column %s", code.Code(status.Code(err)), info.GetReason(),
		info.GetDomain(), info.GetMetadata()["line"], info.GetMetadata()["column"])
	// A query that fails is not a call that fails.
	reply, err := client.Submit(ctx, &api.SubmitRequest{Sql: "SELECT * FROM no_such_table", WaitTimeout: wait, Labels: labels})
	if err != nil {
		return err
	}
	failed := reply.GetStatus()
	step("failed", "%s %s, retryable = %t", stateName(failed), failed.GetError().GetReason(), failed.GetError().GetRetryable())
	return nil
}
