package com.example.quickstart;

import com.google.protobuf.Duration;
import com.google.rpc.ErrorInfo;
import com.queryengine.v1.CancelRequest;
import com.queryengine.v1.CancelResponse;
import com.queryengine.v1.Column;
import com.queryengine.v1.FetchPageRequest;
import com.queryengine.v1.FetchPageResponse;
import com.queryengine.v1.GetStatusRequest;
import com.queryengine.v1.PageFormat;
import com.queryengine.v1.QueryServiceGrpc;
import com.queryengine.v1.QueryServiceGrpc.QueryServiceBlockingStub;
import com.queryengine.v1.QueryState;
import com.queryengine.v1.QueryStatus;
import com.queryengine.v1.ResultOptions;
import com.queryengine.v1.Row;
import com.queryengine.v1.StreamResultsRequest;
import com.queryengine.v1.StreamResultsResponse;
import com.queryengine.v1.SubmitRequest;
import com.queryengine.v1.SubmitResponse;
import com.queryengine.v1.Value;
import com.queryengine.v1.WatchStatusRequest;
import com.queryengine.v1.WatchStatusResponse;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.VectorSchemaRoot;

/** Every call of queryengine from generated code. */
public final class Quickstart {
  private static final Duration WAIT = Duration.newBuilder().setSeconds(30).build();
  private static final ResultOptions ROWS_IN_REPLY =
      ResultOptions.newBuilder().setInlineFormat(PageFormat.PAGE_FORMAT_ROWS).build();

  private final QueryServiceBlockingStub stub;
  private final BufferAllocator allocator;

  private Quickstart(QueryServiceBlockingStub stub, BufferAllocator allocator) {
    this.stub = stub;
    this.allocator = allocator;
  }

  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    try (BufferAllocator allocator = new RootAllocator()) {
      Quickstart quickstart = new Quickstart(QueryServiceGrpc.newBlockingStub(channel), allocator);
      String queryId = quickstart.submit();
      quickstart.watch(queryId);
      quickstart.arrow(queryId);
      quickstart.resume(queryId);
      quickstart.pages(queryId);
      quickstart.rows();
      quickstart.inBand();
      quickstart.parameters();
      quickstart.cancel();
      quickstart.errors();
    } finally {
      channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
    }
  }

  /** The deadline of one call. It does not bound the query: limits.execution_timeout does. */
  private QueryServiceBlockingStub unary() {
    return stub.withDeadlineAfter(60, TimeUnit.SECONDS);
  }

  private static SubmitRequest.Builder request(String sql) {
    return SubmitRequest.newBuilder().setSql(sql).putLabels("client", "java");
  }

  private static void step(String name, String format, Object... values) {
    System.out.printf("%-12s%s%n", name, format.formatted(values));
  }

  private static String name(Enum<?> value, String prefix) {
    return value.name().substring(prefix.length());
  }

  private static String state(QueryStatus status) {
    return name(status.getState(), "QUERY_STATE_");
  }

  private String submit() {
    // The client chooses the id. When the reply is lost, send the same request again: nothing runs twice.
    SubmitRequest request =
        request("SELECT range AS n, 'row ' || range AS name FROM range(1000000)")
            .setQueryId(UUID.randomUUID().toString())
            .build();
    step("submit", "%s accepted", unary().submit(request).getStatus().getQueryId());
    step("again", "existing = %s", unary().submit(request).getExisting());
    return request.getQueryId();
  }

  /** States are pushed. A state may be missed, the last one never is. */
  private void watch(String queryId) {
    List<String> names = new ArrayList<>();
    QueryStatus last = QueryStatus.getDefaultInstance();
    while (last.getState().getNumber() < QueryState.QUERY_STATE_COMPLETED_VALUE) {
      // Like a stream of results, this one may rotate or break; the next one goes on after the version known.
      Iterator<WatchStatusResponse> messages =
          stub.watchStatus(
              WatchStatusRequest.newBuilder().setQueryId(queryId).setAfterVersion(last.getVersion()).build());
      while (messages.hasNext()) {
        WatchStatusResponse message = messages.next();
        if (message.hasStatus()) {
          if (message.getStatus().getState() != last.getState()) {
            names.add(state(message.getStatus()));
          }
          last = message.getStatus();
        }
      }
    }
    step("watch", "%s", String.join(" > ", names));
  }

  private static long sum(VectorSchemaRoot batch) {
    BigIntVector numbers = (BigIntVector) batch.getVector("n");
    long total = 0;
    for (int row = 0; row < batch.getRowCount(); row++) {
      total += numbers.get(row);
    }
    return total;
  }

  private void arrow(String queryId) throws IOException, InterruptedException {
    Results results = new Results(stub, allocator, queryId, 0, 0);
    long[] total = {0};
    results.forEachBatch(
        batch -> {
          total[0] += sum(batch);
          return true;
        });
    step(
        "arrow",
        "%d rows in %d pages over %d streams, sum %d",
        results.nextRow,
        results.pages,
        results.streams,
        total[0]);
  }

  private void resume(String queryId) throws IOException, InterruptedException {
    Results first = new Results(stub, allocator, queryId, 0, 0);
    long[] total = {0};
    first.forEachBatch(
        batch -> {
          total[0] += sum(batch);
          return first.nextRow < 300_000; // As if this process ended here. It must have kept nextRow and attempt.
        });
    Results second = new Results(stub, allocator, queryId, first.nextRow, first.attempt);
    second.forEachBatch(
        batch -> {
          total[0] += sum(batch);
          return true;
        });
    step("resume", "left at row %d, went on there to %d, sum %d", first.nextRow, second.nextRow, total[0]);
  }

  /** Random access to stored rows, back and forth. */
  private void pages(String queryId) {
    List<String> seen = new ArrayList<>();
    FetchPageRequest request = FetchPageRequest.newBuilder().setQueryId(queryId).setPageSize(1000).build();
    FetchPageResponse first = fetch(request.toBuilder().setPage(0), seen);
    FetchPageResponse second = fetch(request.toBuilder().setPageToken(first.getNextPageToken()), seen);
    fetch(request.toBuilder().setPageToken(second.getPrevPageToken()), seen);
    FetchPageResponse last = fetch(request.toBuilder().setOffset(first.getTotalRows() - 10), seen);
    boolean more = !last.getNextPageToken().isEmpty();
    step("pages", "%s of %d, more = %s", String.join(", ", seen), last.getTotalRows(), more);
  }

  private FetchPageResponse fetch(FetchPageRequest.Builder request, List<String> seen) {
    FetchPageResponse reply = unary().fetchPage(request.build());
    long start = reply.getPage().getStartRow();
    seen.add(start + "-" + (start + reply.getPage().getRowCount() - 1));
    return reply;
  }

  /** Typed values, for programs without an Arrow library. */
  private void rows() {
    String sql =
        "SELECT 42 AS answer, 12.50 AS price, DATE '2026-01-31' AS day, ['a', 'b'] AS tags, NULL AS nothing";
    String queryId = unary().submit(request(sql).build()).getStatus().getQueryId();
    List<Column> columns = new ArrayList<>();
    List<String> found = new ArrayList<>();
    Iterator<StreamResultsResponse> messages =
        unary()
            .streamResults(
                StreamResultsRequest.newBuilder()
                    .setQueryId(queryId)
                    .setFormat(PageFormat.PAGE_FORMAT_ROWS)
                    .build());
    while (messages.hasNext()) {
      StreamResultsResponse message = messages.next();
      columns.addAll(message.getSchema().getColumnsList());
      for (Row row : message.getPage().getRows().getRowsList()) {
        for (int index = 0; index < row.getValuesCount(); index++) {
          found.add(columns.get(index).getName() + " = " + text(row.getValues(index)));
        }
      }
    }
    step("rows", "%s", String.join(", ", found));
  }

  private static String text(Value value) {
    return switch (value.getKindCase()) {
      case NULL_VALUE -> "NULL";
      case INT_VALUE -> Long.toString(value.getIntValue());
      case DECIMAL_VALUE -> value.getDecimalValue();
      case STRING_VALUE -> value.getStringValue();
      case DATE_DAYS -> LocalDate.ofEpochDay(value.getDateDays()).toString();
      case LIST_VALUE ->
          value.getListValue().getValuesList().stream()
              .map(Quickstart::text)
              .collect(Collectors.joining(", ", "[", "]"));
      default -> value.toString();
    };
  }

  /** A short query in one call: its rows come in the reply to Submit, and stay readable. */
  private void inBand() {
    SubmitResponse reply =
        unary()
            .submit(request("SELECT 42 AS answer").setWaitTimeout(WAIT).setResult(ROWS_IN_REPLY).build());
    // Without `end` the reply is not the whole result: read on by StreamResults from next_row.
    boolean whole = reply.hasEnd() && reply.getEnd().getTotalRows() == reply.getNextRow();
    String answer = text(firstRow(reply).get(0));
    step("in-band", "answer = %s, whole result = %s", answer, whole);
  }

  private static List<Value> firstRow(SubmitResponse reply) {
    if (reply.getPagesCount() == 0) {
      throw new IllegalStateException(
          state(reply.getStatus()) + " " + reply.getStatus().getError().getReason() + ": "
              + reply.getStatus().getError().getMessage());
    }
    return reply.getPages(0).getRows().getRows(0).getValuesList();
  }

  private void parameters() {
    List<Parameters> all = Parameters.ofEveryKind();
    SubmitRequest.Builder request =
        request(
            all.stream().map(each -> "$" + each.parameter().getName()).collect(Collectors.joining(", ", "SELECT ", "")));
    all.forEach(each -> request.addParameters(each.parameter()));
    SubmitResponse reply = unary().submit(request.setWaitTimeout(WAIT).setResult(ROWS_IN_REPLY).build());
    List<Value> values = firstRow(reply);
    int same = 0;
    for (int index = 0; index < all.size(); index++) {
      same += values.get(index).equals(all.get(index).expected()) ? 1 : 0;
    }
    step("parameters", "%d of %d kinds came back as they were sent", same, all.size());
  }

  private void cancel() {
    String sql = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
    QueryStatus status = unary().submit(request(sql).build()).getStatus();
    while (status.getState() == QueryState.QUERY_STATE_QUEUED) {
      // A long poll: answers as soon as there is something newer than the version known.
      GetStatusRequest newer =
          GetStatusRequest.newBuilder()
              .setQueryId(status.getQueryId())
              .setAfterVersion(status.getVersion())
              .setWaitTimeout(WAIT)
              .build();
      status = unary().getStatus(newer).getStatus();
    }
    CancelResponse reply =
        unary()
            .cancel(
                CancelRequest.newBuilder()
                    .setQueryId(status.getQueryId())
                    .setReason("no longer wanted")
                    .setWaitTimeout(WAIT)
                    .build());
    step("cancel", "%s, engine %s", state(reply.getStatus()), name(reply.getEngineCancel(), "ENGINE_CANCEL_STATE_"));
  }

  private void errors() {
    try {
      SubmitResponse reply = unary().submit(request("SELECT (1").build());
      throw new IllegalStateException("was accepted: " + reply);
    } catch (StatusRuntimeException error) {
      ErrorInfo info = Results.errorInfo(error).orElseThrow(() -> error);
      step(
          "error",
          "%s %s of %s at line %s, column %s",
          error.getStatus().getCode(),
          info.getReason(),
          info.getDomain(),
          info.getMetadataOrThrow("line"),
          info.getMetadataOrThrow("column"));
    }
    // A query that fails is not a call that fails.
    QueryStatus status =
        unary().submit(request("SELECT * FROM no_such_table").setWaitTimeout(WAIT).build()).getStatus();
    step(
        "failed",
        "%s %s, retryable = %s",
        state(status),
        status.getError().getReason(),
        status.getError().getRetryable());
  }
}
