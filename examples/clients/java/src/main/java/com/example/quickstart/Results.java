package com.example.quickstart;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import com.queryengine.v1.Page;
import com.queryengine.v1.QueryServiceGrpc.QueryServiceBlockingStub;
import com.queryengine.v1.ResultEnd;
import com.queryengine.v1.StreamResultsRequest;
import com.queryengine.v1.StreamResultsResponse;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;
import java.util.zip.CRC32C;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowStreamReader;

/**
 * Reads the rows of a query over streams that may end early. Copy this class: it holds what is easy to get wrong.
 *
 * <p>{@link #nextRow} and {@link #attempt} are the position. Keep both, and another process can go on there.
 */
final class Results {
  private static final int TRIES_WITHOUT_PROGRESS = 8;

  /** These tell of the call and not of the query, as does every status without an ErrorInfo: it comes from the transport. */
  private static final Set<String> PASSING =
      Set.of(
          "READER_STALLED",
          "SANDBOX_UNAVAILABLE",
          "SERVER_DRAINING",
          "STORE_UNAVAILABLE",
          "TENANT_BUSY",
          "TENANT_STREAM_LIMIT");

  private final QueryServiceBlockingStub stub;
  private final BufferAllocator allocator;
  private final String queryId;
  private ByteString chunks = ByteString.EMPTY;
  private int chunkCount = 0;
  private int failures = 0;

  long nextRow;
  int attempt;
  int pages = 0;
  int streams = 0;

  Results(QueryServiceBlockingStub stub, BufferAllocator allocator, String queryId, long nextRow, int attempt) {
    this.stub = stub;
    this.allocator = allocator;
    this.queryId = queryId;
    this.nextRow = nextRow;
    this.attempt = attempt;
  }

  /** What arrived contradicts itself: trust none of the rows read so far. */
  static final class CorruptResultException extends RuntimeException {
    CorruptResultException(String message) {
      super(message);
    }
  }

  /** Reason and metadata of a failed call; empty when the transport failed. */
  static Optional<ErrorInfo> errorInfo(StatusRuntimeException error) {
    Status status = StatusProto.fromThrowable(error);
    if (status != null) {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          try {
            return Optional.of(detail.unpack(ErrorInfo.class));
          } catch (InvalidProtocolBufferException unreadable) {
            return Optional.empty();
          }
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Hands over every row once, in order, of one attempt, until the end of the result or until {@code wantsMore} is false.
   * A batch is valid during the call only.
   */
  void forEachBatch(Predicate<VectorSchemaRoot> wantsMore) throws IOException, InterruptedException {
    for (failures = 0; ; failures++) {
      StatusRuntimeException broken = null;
      Context.CancellableContext stream = Context.current().withCancellation();
      Context before = stream.attach();
      try {
        if (readStream(wantsMore)) {
          return;
        }
      } catch (StatusRuntimeException error) {
        Optional<ErrorInfo> info = errorInfo(error);
        if (info.isPresent() && !PASSING.contains(info.get().getReason())) {
          throw error;
        }
        broken = error;
      } finally {
        stream.detach(before);
        stream.cancel(null);
      }
      if (failures == TRIES_WITHOUT_PROGRESS) {
        throw new IOException("nothing came after row " + nextRow, broken);
      }
      // The stream rotated or broke. The next one begins at the first row that has not arrived as a whole page.
      Thread.sleep(ThreadLocalRandom.current().nextLong(50L << failures));
    }
  }

  /** Whether the reading is over. */
  private boolean readStream(Predicate<VectorSchemaRoot> wantsMore) throws IOException {
    chunks = ByteString.EMPTY;
    chunkCount = 0;
    streams++;
    Iterator<StreamResultsResponse> messages =
        stub.streamResults(
            StreamResultsRequest.newBuilder()
                .setQueryId(queryId)
                .setStartRow(nextRow)
                .setAttempt(attempt)
                .build());
    while (messages.hasNext()) {
      StreamResultsResponse message = messages.next();
      switch (message.getEventCase()) {
        case SCHEMA -> attempt = message.getSchema().getAttempt();
        case PAGE -> {
          if (!receive(message.getPage(), wantsMore)) {
            return true;
          }
        }
        case END -> {
          check(message.getEnd());
          return true;
        }
        // `rotate` is the last message of a stream that the server ends on purpose, at an age of 2 minutes for example.
        // It is not the end of the result.
        case HEARTBEAT, ROTATE -> failures = 0;
        default -> {}
      }
    }
    return false;
  }

  /** Hands over the rows of a page once all its chunks have arrived. Returns whether more is wanted. */
  private boolean receive(Page page, Predicate<VectorSchemaRoot> wantsMore) throws IOException {
    if (page.getStartRow() != nextRow || page.getChunkIndex() != chunkCount) {
      throw new CorruptResultException(
          "row " + nextRow + " was expected, the page begins at row " + page.getStartRow());
    }
    chunks = chunks.concat(page.getArrow());
    chunkCount++;
    if (chunkCount < page.getChunkCount()) {
      return true;
    }
    ByteString payload = chunks;
    chunks = ByteString.EMPTY;
    chunkCount = 0;
    CRC32C checksum = new CRC32C();
    payload.asReadOnlyByteBufferList().forEach(checksum::update);
    if ((int) checksum.getValue() != page.getCrc32C()) {
      throw new CorruptResultException("the page at row " + page.getStartRow() + " is damaged");
    }
    // A page is a complete Arrow stream of one batch.
    try (ArrowStreamReader reader = new ArrowStreamReader(payload.newInput(), allocator)) {
      reader.loadNextBatch();
      nextRow += page.getRowCount();
      pages++;
      failures = 0;
      return wantsMore.test(reader.getVectorSchemaRoot());
    }
  }

  private void check(ResultEnd end) {
    if (end.getTotalRows() != nextRow || end.getAttempt() != attempt) {
      throw new CorruptResultException(nextRow + " rows arrived, the result has " + end.getTotalRows());
    }
  }
}
