// The settings: each read, checked and named here, once, before anything is started. .env.example describes
// them for people. The only file that looks at the environment.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>

namespace app {

struct Config {
    std::string listen = "127.0.0.1:9000";         // FastCGI for /api
    std::string health_listen = "127.0.0.1:9001";  // FastCGI for /health
    int threads = 2;
    std::size_t connections_max = 1024;  // FastCGI connections
    std::size_t queue_max = 1024;        // questions waiting, in each queue
    std::size_t batch_max_rows = 256;
    std::chrono::milliseconds request_read_ms{1000};
    std::chrono::milliseconds queue_wait_ms{1500};
    std::chrono::milliseconds database_call_ms{2500};
    std::chrono::milliseconds drain_ms{500};
    std::string password_file;  // the database role's; empty: none is sent
    std::string admin_token;    // empty: deleting and exporting are off
};

// Names every setting that is wrong, a line each, and what it may be.
class ConfigError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

using Environment = std::map<std::string, std::string>;

// This process's own.
Environment environment();

// Throws ConfigError. A name that begins with APP_ and is none of ours is an error too: a setting with
// a slip in its name must not be silently without effect.
Config parse_config(const Environment& environment);

}  // namespace app
