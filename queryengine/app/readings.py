"""What a scrape of the metrics reads of a running server."""

from collections.abc import Callable

from queryengine.accepting.engines import Engines
from queryengine.reading.open_streams import OpenStreams
from queryengine.results.meter import SpoolMeter
from queryengine.telemetry.gauges import EngineReading, Reading


def readings(engines: Engines, meter: SpoolMeter, streams: OpenStreams) -> Callable[[], Reading]:
    """Reads the parts at the moment of the call, on the event loop."""

    def read() -> Reading:
        found = {
            view.name: EngineReading(
                is_up=view.load.available,
                slots=view.load.slots,
                running=view.load.running,
                queued=view.queued,
                workers=len(view.load.worker_pids),
            )
            for view in engines.views()
        }
        return Reading(engines=found, spool_bytes=meter.total, streams=streams.total)

    return read
