// Reads the rows of a query over streams that may end early. Copy this file: it holds what is easy to get wrong.

import { setTimeout as sleep } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import { type RecordBatch, RecordBatchReader } from "apache-arrow";
import { type ErrorInfo, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import type { QueryService } from "../gen/queryengine/v1/query_service_pb.js";
import type { Page, ResultEnd } from "../gen/queryengine/v1/result_pb.js";
import { crc32c } from "./crc32c.js";

const TRIES_WITHOUT_PROGRESS = 8;

// These tell of the call and not of the query, as does every status without an ErrorInfo: it comes from the transport.
const PASSING = new Set([
  "READER_STALLED",
  "SANDBOX_UNAVAILABLE",
  "SERVER_DRAINING",
  "STORE_UNAVAILABLE",
  "TENANT_BUSY",
  "TENANT_STREAM_LIMIT",
]);

/** Reason and metadata of a failed call; undefined when the transport failed. */
export function errorInfo(error: unknown): ErrorInfo | undefined {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0];
}

/** What arrived contradicts itself: trust none of the rows read so far. */
export class CorruptResult extends Error {}

/**
 * Iterate over it for record batches: every row once, in order, of one attempt, or an exception.
 *
 * `nextRow` and `attempt` are the position. Keep both, and another process can go on there.
 */
export class Results implements AsyncIterable<RecordBatch> {
  pages = 0;
  streams = 0;
  private chunks: Uint8Array[] = [];

  constructor(
    private readonly client: Client<typeof QueryService>,
    readonly queryId: string,
    public nextRow = 0n,
    public attempt = 0,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<RecordBatch> {
    for (let failures = 0; ; failures++) {
      const position = { queryId: this.queryId, startRow: this.nextRow, attempt: this.attempt };
      // A timeout of 0 is none: heartbeats come every 15 seconds, and the server rotates long streams.
      const stream = this.client.streamResults(position, { timeoutMs: 0 });
      this.streams++;
      let broken: unknown;
      try {
        for await (const { event } of stream) {
          switch (event.case) {
            case "schema":
              this.attempt = event.value.attempt;
              break;
            case "page": {
              const batch = this.receive(event.value);
              if (batch !== undefined) {
                failures = 0;
                yield batch;
              }
              break;
            }
            case "end":
              this.check(event.value);
              return;
            case "heartbeat":
            case "rotate":
              // `rotate` is the last message of a stream that the server ends on purpose, at an age of 2 minutes for
              // example. It is not the end of the result.
              failures = 0;
          }
        }
      } catch (error) {
        const info = errorInfo(error);
        if (error instanceof CorruptResult || (info !== undefined && !PASSING.has(info.reason))) {
          throw error;
        }
        broken = error;
      }
      // The stream rotated or broke. The next one begins at the first row that has not arrived as a whole page.
      this.chunks = [];
      if (failures === TRIES_WITHOUT_PROGRESS) {
        throw new Error(`nothing came after row ${this.nextRow}`, { cause: broken });
      }
      await sleep(Math.random() * 50 * 2 ** failures);
    }
  }

  /** The rows of a page; undefined while chunks of it are missing. */
  private receive(page: Page): RecordBatch | undefined {
    if (page.startRow !== this.nextRow || page.chunkIndex !== this.chunks.length) {
      throw new CorruptResult(`row ${this.nextRow} was expected, the page begins at row ${page.startRow}`);
    }
    this.chunks.push(page.payload.value as Uint8Array);
    if (this.chunks.length < page.chunkCount) {
      return undefined;
    }
    const payload = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    this.chunks = [];
    if (crc32c(payload) !== page.crc32c) {
      throw new CorruptResult(`the page at row ${page.startRow} is damaged`);
    }
    // A page is a complete Arrow stream of one batch.
    const batch = RecordBatchReader.from(payload).next().value as RecordBatch;
    this.nextRow += page.rowCount;
    this.pages++;
    return batch;
  }

  private check(end: ResultEnd): void {
    if (end.totalRows !== this.nextRow || end.attempt !== this.attempt) {
      throw new CorruptResult(`${this.nextRow} rows arrived, the result has ${end.totalRows}`);
    }
  }
}
