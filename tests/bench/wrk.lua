-- Posts $BURST_BODY as JSON or the bytes of $BURST_BODY_FILE where there is one, gets otherwise; ends with a line that tests/bench/wrk.rs reads.
local body = os.getenv("BURST_BODY")
if body then
    wrk.method = "POST"
    wrk.body = body
    wrk.headers["content-type"] = "application/json"
end

local file = os.getenv("BURST_BODY_FILE")
if file then
    wrk.method = "POST"
    wrk.body = assert(io.open(file, "rb")):read("*a")
    wrk.headers["content-type"] = "application/octet-stream"
    if os.getenv("BURST_HEAD_BYTES") ~= "0" then
        wrk.headers["inference-header-content-length"] = os.getenv("BURST_HEAD_BYTES")
    end
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    local seconds = summary.duration / 1e6
    local p50, p99 = latency:percentile(50), latency:percentile(99)
    io.write(string.format("burst: %d %f %f %f %d\n", summary.requests, seconds, p50, p99, failed))
end
