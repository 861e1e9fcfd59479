-- What wrk sends, by arguments behind `--`, and one line of JSON at the end. Requests that all look alike are made once;
-- the others come from a list made before the start where they can, since the generator runs on the cores that it measures.
--   kind     what it sends                                   further arguments
--   fixed    the same request each time                      METHOD PATH [BODY [NAME VALUE]]
--   ids      GET, of a thousand random ids up to LAST        FORMAT LAST     (%d in FORMAT is the id)
--   keyed    POST with a new Idempotency-Key each            PATH BODY PREFIX
--   mixed    four GETs, then a POST, and again               GET_PATH POST_PATH BODY
local json = { ["Content-Type"] = "application/json" }

function init(args)
    local kind = args[1]
    if kind == "fixed" then
        wrk.method, wrk.path = args[2], args[3]
        if args[4] and args[4] ~= "" then
            wrk.body = args[4]
            wrk.headers["Content-Type"] = "application/json"
        end
        if args[5] then wrk.headers[args[5]] = args[6] end
        return
    end
    local count, requests = 0, {}
    if kind == "ids" then
        math.randomseed(os.time())
        for i = 1, 1000 do
            requests[i] = wrk.format("GET", string.format(args[2], math.random(100, tonumber(args[3]))))
        end
    elseif kind == "mixed" then
        for i = 1, 4 do requests[i] = wrk.format("GET", args[2]) end
        requests[5] = wrk.format("POST", args[3], json, args[4])
    end
    if kind == "keyed" then
        -- The whole text but the key is the same: formatting it anew would cost more than the server's work.
        local whole = wrk.format("POST", args[2],
            { ["Content-Type"] = json["Content-Type"], ["Idempotency-Key"] = "@" }, args[3])
        local before, after = whole:match("^(.-: )@(\r\n.*)$")
        before = before .. args[4]
        function request()
            count = count + 1
            return before .. count .. after
        end
    else
        local size = #requests
        function request()
            count = count + 1
            return requests[count % size + 1]
        end
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"failed":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        latency.max / 1e3, errors.connect + errors.read + errors.write + errors.timeout))
end
