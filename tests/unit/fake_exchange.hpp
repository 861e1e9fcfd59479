// An Exchange that keeps what it was answered, for tests to look at and to wait for.
#pragma once

#include "http/http.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <string>

namespace app {

class FakeExchange final : public Exchange {
public:
    using Exchange::Exchange;

    bool client_waits() const override { return waits; }
    void respond(const Response& response) override { answer.set_value(response); }
    void begin(const Response& head) override { streamed_head = head; }
    void write(std::string_view piece, std::function<void(Exchange&)> next) override {
        streamed += piece;
        if (next) {
            next(*this);
        } else {
            end.set_value(streamed);
        }
    }

    // Waits for the answer; a test that has none in time fails by its suite's time-out.
    Response response() { return answer.get_future().get(); }
    std::string whole_stream() { return end.get_future().get(); }

    std::atomic<bool> waits = true;
    std::promise<Response> answer;
    Response streamed_head;
    std::string streamed;
    std::promise<std::string> end;
};

inline std::shared_ptr<FakeExchange> exchange_for(Request request = {}) {
    return std::make_shared<FakeExchange>(std::move(request));
}

inline std::string header(const Response& response, std::string_view name) {
    for (const Header& header : response.headers) {
        if (header.name == name) return header.value;
    }
    return {};
}

inline std::string body(const Response& response) { return response.body ? *response.body : std::string(); }

}  // namespace app
