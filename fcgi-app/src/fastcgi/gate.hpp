// What a FastCGI connection has sent: one whole, well-formed request and nothing else, or not.
// libfcgi trusts its peer: it waits for ever for what does not come, and overflows on what should not. So no byte
// reaches it that was not seen here first. Pure: bytes in, verdict out; any thread.
//
// Source: FastCGI Specification 1.0, sections 3.3 (records), 3.4 (name-value pairs), 5.1 to 5.3.
#pragma once

#include <string>
#include <string_view>

namespace app {

enum class Framing {
    incomplete,  // right so far; look again when more has come
    whole,       // exactly one request, to its last byte
    malformed,   // will never be right
    oversized,   // larger than request_max_bytes (limits.hpp), or will be
};

// `bytes` from a record's first byte. A request is: BEGIN (responder), PARAMS…, empty PARAMS, STDIN…, empty STDIN,
// all with one id, its CONTENT_LENGTH that of its STDIN. No other record, so neither management records nor a
// second request behind the first (nginx sends none: it waits for the answer).
Framing inspect(std::string_view bytes);

// The REQUEST_ID in what has come, however wrong the rest is; empty where it is not there. For the log: a peer may have
// chosen it, so it is cut.
std::string request_id_in(std::string_view bytes);

}  // namespace app
