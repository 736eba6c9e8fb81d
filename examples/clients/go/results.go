package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	api "example.com/quickstart/gen/queryengine/v1"
)

const triesWithoutProgress = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// These reasons tell of the call and not of the query, as does every status without an ErrorInfo: it comes from the
// transport.
var passing = map[string]bool{
	"READER_STALLED":      true,
	"SANDBOX_UNAVAILABLE": true,
	"SERVER_DRAINING":     true,
	"STORE_UNAVAILABLE":   true,
	"TENANT_BUSY":         true,
	"TENANT_STREAM_LIMIT": true,
}

// errorInfo returns reason and metadata of a failed call; nil when the transport failed.
func errorInfo(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// Results reads the rows of a query over streams that may end early. Copy this file: it holds what is easy to get wrong.
//
// NextRow and Attempt are the position. Keep both, and another process can go on there.
type Results struct {
	QueryID string
	NextRow int64
	Attempt int32
	Pages   int
	Streams int

	client api.QueryServiceClient
	chunks [][]byte
}

// Batches yields every row once, in order, of one attempt, or an error as the last pair.
func (r *Results) Batches(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for failures := 0; ; failures++ {
			progress, done, err := r.stream(ctx, yield)
			if done {
				return
			}
			if progress {
				failures = 0
			}
			// Our own cancel or deadline looks like a fault of the transport, and is none.
			if ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			if info := errorInfo(err); info != nil && !passing[info.GetReason()] {
				yield(nil, err)
				return
			}
			var corrupt *corruptError
			if errors.As(err, &corrupt) {
				yield(nil, err)
				return
			}
			if failures == triesWithoutProgress {
				yield(nil, fmt.Errorf("nothing came after row %d: %w", r.NextRow, err))
				return
			}
			// The stream rotated or broke. The next one begins at the first row that has not arrived as a whole page.
			time.Sleep(time.Duration(rand.Int64N(int64(50*time.Millisecond) << failures)))
		}
	}
}

// stream reads one stream as far as it goes. It is done at the end of the result, or when yield wants no more.
func (r *Results) stream(ctx context.Context, yield func(arrow.RecordBatch, error) bool) (progress, done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.chunks = nil
	r.Streams++
	stream, err := r.client.StreamResults(ctx, &api.StreamResultsRequest{
		QueryId: r.QueryID, StartRow: r.NextRow, Attempt: r.Attempt,
	})
	if err != nil {
		return false, false, err
	}
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return progress, false, errors.New("the stream ended without end or rotate")
		}
		if err != nil {
			return progress, false, err
		}
		switch event := message.GetEvent().(type) {
		case *api.StreamResultsResponse_Schema:
			r.Attempt = event.Schema.GetAttempt()
		case *api.StreamResultsResponse_Page:
			batch, err := r.receive(event.Page)
			if err != nil {
				return progress, false, err
			}
			if batch != nil {
				progress = true
				if !yield(batch, nil) {
					return true, true, nil
				}
			}
		case *api.StreamResultsResponse_Heartbeat:
			progress = true
		case *api.StreamResultsResponse_Rotate:
			// The server ends this stream on purpose, at an age of 2 minutes for example. It is not the end of the result.
			return true, false, nil
		case *api.StreamResultsResponse_End:
			if event.End.GetTotalRows() != r.NextRow || event.End.GetAttempt() != r.Attempt {
				return true, false, corrupt("%d rows arrived, the result has %d", r.NextRow, event.End.GetTotalRows())
			}
			return true, true, nil
		}
	}
}

// receive returns the rows of a page; nil while chunks of it are missing.
func (r *Results) receive(page *api.Page) (arrow.RecordBatch, error) {
	if page.GetStartRow() != r.NextRow || int(page.GetChunkIndex()) != len(r.chunks) {
		return nil, corrupt("row %d was expected, the page begins at row %d", r.NextRow, page.GetStartRow())
	}
	r.chunks = append(r.chunks, page.GetArrow())
	if len(r.chunks) < int(page.GetChunkCount()) {
		return nil, nil
	}
	payload := bytes.Join(r.chunks, nil)
	r.chunks = nil
	if crc32.Checksum(payload, castagnoli) != page.GetCrc32C() {
		return nil, corrupt("the page at row %d is damaged", page.GetStartRow())
	}
	// A page is a complete Arrow stream of one batch.
	reader, err := ipc.NewReader(bytes.NewReader(payload))
	if err != nil {
		return nil, corrupt("the page at row %d cannot be read: %v", page.GetStartRow(), err)
	}
	defer reader.Release()
	if !reader.Next() {
		return nil, corrupt("the page at row %d cannot be read: %v", page.GetStartRow(), reader.Err())
	}
	batch := reader.RecordBatch()
	batch.Retain()
	r.NextRow += page.GetRowCount()
	r.Pages++
	return batch, nil
}

// corruptError says that what arrived contradicts itself: trust none of the rows read so far.
type corruptError struct{ message string }

func (e *corruptError) Error() string { return e.message }

func corrupt(format string, values ...any) error {
	return &corruptError{fmt.Sprintf(format, values...)}
}
