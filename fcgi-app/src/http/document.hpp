// What all who asked the same get: the text of the answer, made once, and the conditions of each who asked (RFC 9110, 13).
// Knows nothing of what it says. Any thread.
#pragma once

#include "base/log.hpp"
#include "http/http.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace app {

struct Document {
    std::shared_ptr<const std::string> body;
    std::string etag;
    std::string next;          // a page's next page; empty: this is the last
    std::int64_t last_id = 0;  // a chunk's last row; 0: there are no more
};

// With a strong tag of the body.
Document document_of(std::string body);

// 200, 304 or 412.
void answer_document(Exchange& exchange, const Document& document, Log& log);

}  // namespace app
