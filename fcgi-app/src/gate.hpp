// What lies in a FastCGI connection's socket buffer: one whole, well-formed request and nothing else, or not.
// libfcgi trusts its peer: it waits for ever for what does not come, and overflows on what should not. So no byte
// reaches it that was not seen here first. Pure: bytes in, verdict out; any thread.
//
// Source: FastCGI Specification 1.0, sections 3.3 (records), 3.4 (name-value pairs), 5.1 to 5.3.
#pragma once

#include <cstddef>
#include <string_view>

namespace app {

// All records of one request together. nginx's own limits keep headers and body below 40 KiB, but a body that
// dripped in byte by byte leaves nginx as 4096 records of 16 bytes.
constexpr std::size_t request_max_bytes = 128 * 1024;

enum class Framing {
    incomplete,  // right so far; look again when more has come
    whole,       // exactly one request, to its last byte
    malformed,   // will never be right, or is larger than request_max_bytes
};

// `bytes` from a record's first byte. A request is: BEGIN (responder), PARAMS…, empty PARAMS, STDIN…, empty STDIN,
// all with one id, its CONTENT_LENGTH that of its STDIN. No other record, so neither management records nor a
// second request behind the first (nginx sends none: it waits for the answer).
Framing inspect(std::string_view bytes);

}  // namespace app
