// If-Match and If-None-Match, and the headers of a document.
#include "content/document.hpp"

#include "http/etag.hpp"
#include "http/router.hpp"
#include "text/json_text.hpp"

#include <utility>

namespace app {

Document document_of(std::string body) {
    std::string etag = strong_etag(body);
    return document_of(std::move(body), std::move(etag));
}

Document document_of(std::string body, std::string etag) {
    return {.body = std::make_shared<const std::string>(std::move(body)), .etag = std::move(etag)};
}

std::string page_json(std::string_view name, std::string_view array, std::optional<std::int64_t> total,
                      std::string_view next) {
    std::string json = "{\"";
    json.append(name).append("\":").append(array);
    json += total ? json_member("total", *total) : R"(,"total":null)";
    json += next.empty() ? R"(,"next":null)" : json_member("next", next);
    return json += '}';
}

Document page_of(std::string_view name, std::string_view array, std::optional<std::int64_t> total, std::string next) {
    Document page = document_of(page_json(name, array, total, next));
    page.next = std::move(next);
    return page;
}

std::string index_json(std::string_view name, std::string_view version,
                       const std::vector<std::pair<std::string_view, std::string_view>>& links) {
    std::string json = R"({"name":)" + json_string(name) + json_member("version", version) + R"(,"links":)";
    char before = '{';
    for (const auto& [link, path] : links)
        json.append(1, std::exchange(before, ',')).append(json_string(link)).append(1, ':').append(json_string(path));
    return json + "}}";
}

// If-Match goes first (RFC 9110, 13.2.2). A 304 has the headers that tell its document apart, and nothing of what is in it
// (15.4.5).
void answer_document(Exchange& exchange, const Document& document, Log& log) {
    if (!if_match(exchange.request.header("If-Match"), document.etag)) {
        return refuse(exchange, {.status = 412, .detail = "The document is not the one that If-Match names."}, log);
    }
    Response response{.status = 200, .headers = {{"ETag", document.etag}, {"Cache-Control", "no-cache"}}};
    if (!document.next.empty()) response.headers.push_back({"Link", '<' + document.next + ">; rel=\"next\""});
    if (if_none_match(exchange.request.header("If-None-Match"), document.etag)) {
        response.status = 304;
    } else {
        response.headers.push_back({"Content-Type", "application/json"});
        response.body = document.body;
    }
    exchange.respond(response);
}

}  // namespace app
