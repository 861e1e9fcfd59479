// What a request must be before anyone looks at what it asks: from our own site, with a good key, the admin's, a JSON body of a
// bounded size. Each gives the problem, or none. Knows no resource. Pure functions: any thread.
#pragma once

#include "http/http.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace app {

// A person's page may not change anything here through a browser that is on another site (Fetch Metadata's Sec-Fetch-Site).
std::optional<Problem> refuse_other_sites(const Request& request);

// Idempotency-Key: none, or 1 to 64 visible ASCII characters.
std::optional<Problem> refuse_key(std::string_view key);

// Authorization must be the bearer of `admin_token` (RFC 6750); where that is empty, no request is.
std::optional<Problem> refuse_strangers(const Request& request, std::string_view admin_token);

// 413, and 415 for a body that is not application/json in UTF-8; an empty body is neither.
std::optional<Problem> refuse_body(const Request& request, std::size_t bytes_max);

// What each request must be that changes something, before anyone looks at what it asks: all of the above but the admin's, and
// no parameters.
std::optional<Problem> refuse_write(const Request& request, std::size_t bytes_max);

// If-Match names another version of `what` than the one with this tag.
std::optional<Problem> refuse_version(std::string_view if_match_header, std::string_view etag, std::string_view what);

}  // namespace app
