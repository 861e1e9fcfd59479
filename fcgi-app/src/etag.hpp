// Entity tags (RFC 9110, 8.8.3): making one for a body, and comparing a client's with it. Knows nothing of what a body says.
// Pure functions: any thread.
#pragma once

#include <string>
#include <string_view>

namespace app {

// A strong tag, quoted: 64 bits of the standard library's hash, the same in all processes that are built alike. It guards
// against chance, not malice; that is enough, as nobody chooses a whole body: its numbers and times are the service's.
std::string strong_etag(std::string_view body);

// Whether If-None-Match lists `etag`, which is strong, or is `*`; compared weakly (13.1.2). Malformed anywhere: false, and the
// client gets the whole answer.
bool if_none_match(std::string_view header, std::string_view etag);

}  // namespace app
