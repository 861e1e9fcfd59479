// The table of settings, and how each is read.
#include "config.hpp"

#include "secret.hpp"

#include <unistd.h>
#include <charconv>
#include <cstdint>
#include <set>
#include <string_view>

namespace app {
namespace {

// Collects what is wrong, so that one run names everything.
class Reader {
public:
    explicit Reader(const Environment& environment) : environment_(environment) {}

    template <class Number>
    void number(const char* name, Number& value, long least, long most) {
        if (const auto read = whole_number(name, least, most)) value = static_cast<Number>(*read);
    }
    void milliseconds(const char* name, std::chrono::milliseconds& value, long least, long most) {
        if (const auto read = whole_number(name, least, most)) value = std::chrono::milliseconds{*read};
    }
    void address(const char* name, std::string& value) {
        const std::string* given = find(name);
        if (given == nullptr) return;
        value = *given;
        const auto colon = value.rfind(':');
        const bool unix_socket = value.starts_with("unix:/") && value.size() > 6;
        if (!unix_socket && (colon == std::string::npos || colon == 0 || !is_port(value.substr(colon + 1)))) {
            wrong(name, value, "host:port or unix:/absolute/path");
        }
    }
    void path(const char* name, std::string& value) {
        if (const std::string* given = find(name)) value = *given;
    }
    void secret(const char* name, std::string& value) {
        const std::string* path = find(name);
        if (path == nullptr) return;
        try {
            value = read_secret(*path);
        } catch (const std::runtime_error& error) {
            faults_ += std::string(name) + ": " + error.what() + '\n';
        }
    }
    void finish() {
        for (const auto& [name, value] : environment_) {
            if (name.starts_with("APP_") && !known_.contains(name)) faults_ += name + ": there is no such setting\n";
        }
        if (faults_.empty()) return;
        faults_.pop_back();
        throw ConfigError(faults_);
    }

private:
    // An empty value is as good as none: compose.yaml cannot leave a variable out.
    const std::string* find(const char* name) {
        known_.insert(name);
        const auto found = environment_.find(name);
        return found == environment_.end() || found->second.empty() ? nullptr : &found->second;
    }
    void wrong(std::string_view name, const std::string& value, const std::string& expected) {
        faults_.append(name).append("=").append(value).append(": must be ").append(expected).append("\n");
    }
    const long* whole_number(const char* name, long least, long most) {
        const std::string* given = find(name);
        if (given == nullptr) return nullptr;
        const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), number_);
        if (error == std::errc() && end == given->data() + given->size() && number_ >= least && number_ <= most) {
            return &number_;
        }
        wrong(name, *given, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
        return nullptr;
    }
    static bool is_port(std::string_view text) {
        std::uint16_t port = 0;
        const auto [end, error] = std::from_chars(text.begin(), text.end(), port);
        return error == std::errc() && end == text.end() && port > 0;
    }

    const Environment& environment_;
    std::set<std::string, std::less<>> known_;
    std::string faults_;
    long number_ = 0;
};

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
    Reader reader(environment);
    reader.address("APP_LISTEN", config.listen);
    reader.address("APP_HEALTH_LISTEN", config.health_listen);
    reader.number("APP_THREADS", config.threads, 1, 64);
    reader.number("APP_CONNECTIONS_MAX", config.connections_max, 16, 4096);
    reader.number("APP_QUEUE_MAX", config.queue_max, 1, 65'536);
    reader.number("APP_BATCH_MAX_ROWS", config.batch_max_rows, 1, 1000);
    reader.milliseconds("APP_REQUEST_READ_MS", config.request_read_ms, 50, 10'000);
    reader.milliseconds("APP_QUEUE_WAIT_MS", config.queue_wait_ms, 100, 10'000);
    reader.milliseconds("APP_DATABASE_CALL_MS", config.database_call_ms, 100, 20'000);
    reader.milliseconds("APP_DRAIN_MS", config.drain_ms, 0, 15'000);
    reader.path("PGPASSWORD_FILE", config.password_file);
    reader.secret("ADMIN_TOKEN_FILE", config.admin_token);
    reader.finish();
    return config;
}

}  // namespace app
