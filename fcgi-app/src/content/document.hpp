// What all who asked the same get: the text of the answer, made once, and the conditions of each who asked (RFC 9110, 13).
// Knows nothing of what it says. Any thread.
#pragma once

#include "base/log.hpp"
#include "http/http.hpp"
#include "http/query.hpp"
#include "http/router.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

struct Document {
    std::shared_ptr<const std::string> body;
    std::string etag;
    std::string next;          // a page's next page; empty: this is the last
    std::int64_t last_id = 0;  // a chunk's last row; 0: there are no more
};

// With a strong tag of the body, or with `etag`.
Document document_of(std::string body);
Document document_of(std::string body, std::string etag);

// A page of a list: {"NAME":ARRAY,"total":7,"next":"/api/…"}; no total, or an empty `next`, are null.
std::string page_json(std::string_view name, std::string_view array, std::optional<std::int64_t> total,
                      std::string_view next);

// The same as a document.
Document page_of(std::string_view name, std::string_view array, std::optional<std::int64_t> total, std::string next);

// What a service is and where it goes on: {"name":NAME,"version":VERSION,"links":{…}}.
std::string index_json(std::string_view name, std::string_view version,
                       const std::vector<std::pair<std::string_view, std::string_view>>& links);

// 200, 304 or 412.
void answer_document(Exchange& exchange, const Document& document, Log& log);

// For ask_then_act(): the index. Service::index is its JSON.
template <class Service>
Result<std::monostate> ask_nothing(const Service&, const Request& request, const PathValues&) {
    if (const auto problem = refuse_parameters(request.query)) return *problem;
    return std::monostate();
}
template <class Service>
void show_index(const Service& service, const ExchangePtr& exchange, std::monostate) {
    Response response{.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-cache"}}};
    response.set_body(service.index);
    exchange->respond(response);
}

}  // namespace app
