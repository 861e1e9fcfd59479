// HTTP as values: a request, a response, and what can be wrong with a request. No socket, no JSON, no resource. Plain data:
// any thread may hold it.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace app {

// Whether `name`, as RFC 9110 writes it (If-Match), is the one that FastCGI's parameter gives as `given` (IF_MATCH).
inline bool is_header(std::string_view name, std::string_view given) {
    const auto as_given = [](char c) {
        return c == '-' ? '_' : 'a' <= c && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    };
    return std::ranges::equal(name, given, {}, as_given, as_given);
}

// A request as nginx passes it on: of the headers, those that nginx/snippets/fastcgi.conf names.
struct Request {
    std::string method;
    std::string path;   // decoded and normalised by nginx, without the query
    std::string query;  // as sent, still percent-encoded, without the '?'
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string request_id;

    // Empty if it was not sent.
    std::string_view header(std::string_view name) const {
        const auto found = std::ranges::find_if(headers, [&](const auto& sent) { return is_header(name, sent.first); });
        return found != headers.end() ? std::string_view(found->second) : std::string_view();
    }
};

struct Header {
    std::string_view name;  // always a literal
    std::string value;      // no text that a client chose, unless it is percent-encoded: no CR, no LF
};

// A whole answer. The body is shared: equal reads are serialised once and sent many times.
struct Response {
    int status = 200;
    std::vector<Header> headers;
    std::shared_ptr<const std::string> body;  // null: none

    void set_body(std::string text) { body = std::make_shared<const std::string>(std::move(text)); }
};

// What a client is told went wrong (RFC 9457), as a value. `type` is one of the stable names in html/openapi.json.
struct Problem {
    int status = 500;
    std::string_view type = "about:blank";
    std::string detail;           // a sentence for a person; never a query, a path or a version
    std::vector<Header> headers;  // what belongs to the status: Allow, Retry-After, …
};

// A value, or the problem that kept it from being made. Its members bear std::expected's names, which
// C++20 does not have yet.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::move(value)) {}
    Result(Problem problem) : state_(std::move(problem)) {}

    explicit operator bool() const { return std::holds_alternative<T>(state_); }
    const T& operator*() const { return std::get<T>(state_); }
    const T* operator->() const { return &std::get<T>(state_); }
    const Problem& error() const { return std::get<Problem>(state_); }

private:
    std::variant<T, Problem> state_;
};

// One request and the way back to its client. Its holder answers it once, from any thread; dropped
// unanswered, or in the middle of a stream, it closes the connection, so that no client takes a part for a whole.
class Exchange : public std::enable_shared_from_this<Exchange> {
public:
    explicit Exchange(Request received) : request(std::move(received)) {}
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    // False a moment after the client has gone: what no client waits for need not be done.
    virtual bool client_waits() const = 0;

    // Sends the whole answer. A HEAD request gets the same headers and no body.
    virtual void respond(const Response& response) = 0;

    // Sends a body piece by piece: `head` first, then each write. `next` is called, by some thread, as soon
    // as the client can take more, and dropped uncalled if it goes; a write without one was the last.
    virtual void begin(const Response& head) = 0;
    virtual void write(std::string_view piece, std::function<void(Exchange&)> next) = 0;

    const Request request;
};
using ExchangePtr = std::shared_ptr<Exchange>;

}  // namespace app
