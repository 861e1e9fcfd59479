// The table of settings, and how each is read.
#include "config.hpp"

#include "base/secret.hpp"
#include "text/parameter.hpp"

#include <unistd.h>
#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace app {
namespace {

// Requests in hand are waited for, then questions in queues, then the calls that they wait for: a process that is told to end
// has ended after 20 s, with room.
constexpr std::chrono::milliseconds ending_max_ms{18'000};

Parameter address(std::string name, std::string& kept) {
    return {std::move(name), "must be host:port or unix:/absolute/path", [&kept](std::string_view value) {
                kept = value;
                if (value.starts_with("unix:/")) return value.size() > 6;
                const auto colon = value.rfind(':');
                return colon != value.npos && colon > 0 && parse_number(value.substr(colon + 1), 1, 65'535);
            }};
}

Parameter on_or_off(std::string name, bool& kept) {
    return {std::move(name), "must be on or off",
            [&kept](std::string_view value) { return kept = value == "on", value == "on" || value == "off"; }};
}

}  // namespace

Environment environment() {
    Environment variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const auto equals = text.find('=');
        variables.emplace(text.substr(0, equals), equals == text.npos ? "" : text.substr(equals + 1));
    }
    return variables;
}

Config parse_config(const Environment& environment) {
    Config config;
    const std::vector<Parameter> settings = {
        address("APP_LISTEN", config.listen),
        address("APP_HEALTH_LISTEN", config.health_listen),
        whole_number("APP_THREADS", config.server.threads, 1, 64),
        whole_number("APP_CONNECTIONS_MAX", config.server.connections_max, 16, 4096),
        whole_number("APP_REQUEST_READ_MS", config.server.request_read_ms, 50, 10'000),
        whole_number("APP_DRAIN_MS", config.server.drain_ms, 0, 14'000),
        whole_number("APP_QUEUE_MAX", config.lane.queue_max, 1, 65'536),
        whole_number("APP_BATCH_MAX_ROWS", config.batch_max_rows, 1, 1000),
        whole_number("APP_QUEUE_WAIT_MS", config.lane.queue_wait_ms, 100, 10'000),
        whole_number("APP_DATABASE_CALL_MS", config.database_call_ms, 100, 15'000),
        {"APP_LOG_FILE", "must be an absolute path",
         [&](const auto& value) { return config.log_file = value, value.starts_with('/'); }},
        {"DATABASE_URL", {}, [&](const auto& value) { return config.database_url = value, true; }},
        {"DATABASE_PASSWORD_FILE", {}, [&](const auto& value) { return config.password_file = value, true; }},
        on_or_off("APP_REPLICATED", config.is_replicated),
        {"ADMIN_TOKEN_FILE", "must hold a token of visible ASCII characters (! to ~) and at most one newline behind it",
         [&](const auto& value) {
             config.admin_token = read_secret(std::string(value));
             return std::ranges::all_of(config.admin_token, [](char c) { return '!' <= c && c <= '~'; });
         }},
    };
    std::string faults;  // all of them, so that one run names everything
    for (const Parameter& setting : settings) {
        // An empty value is as good as none: compose.yaml cannot leave a variable out.
        const auto given = environment.find(setting.name);
        if (given == environment.end() || given->second.empty()) continue;
        try {
            if (setting.keep(given->second)) continue;
            faults += setting.name + '=' + given->second + ": " + setting.rule + '\n';
        } catch (const std::runtime_error& error) {
            faults += setting.name + ": " + error.what() + '\n';
        }
    }
    for (const auto& [name, value] : environment) {
        const bool known = std::ranges::count(settings, name, &Parameter::name) > 0;
        if (name.starts_with("APP_") && !known) faults += name + ": there is no such setting\n";
    }
    config.server.drain_max_ms = ending_max_ms - config.lane.queue_wait_ms - config.database_call_ms;
    if (config.server.drain_ms > config.server.drain_max_ms)
        faults += "APP_DRAIN_MS, APP_QUEUE_WAIT_MS and APP_DATABASE_CALL_MS: must be 18000 together at most\n";
    if (!faults.empty()) throw std::runtime_error(faults.substr(0, faults.size() - 1));
    // A call that the watchdog ended is not tried again: what froze it would freeze the next one.
    config.lane.retry_ms = config.database_call_ms - std::chrono::milliseconds{100};
    return config;
}

}  // namespace app
