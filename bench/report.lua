-- The line that bench/load.py reads, for every script.
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("\nresult requests=%d errors=%d p50=%d p99=%d\n", summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
