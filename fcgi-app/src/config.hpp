// The settings: each read, checked and named here, once, before anything is started. .env.example describes them for
// people. The only file that looks at the environment; knows nothing of what a setting does. Before there are threads.
#pragma once

#include "fastcgi/server.hpp"
#include "lanes/lane.hpp"

#include <chrono>
#include <map>
#include <string>

namespace app {

struct Config {
    std::string listen = "127.0.0.1:9000";         // FastCGI for /api
    std::string health_listen = "127.0.0.1:9001";  // FastCGI for /health
    FcgiServerLimits server;
    LaneLimits lane;
    std::size_t batch_max_rows = 256;  // additions in one commit
    std::chrono::milliseconds database_call_ms{2500};
    std::string database_url;   // hosts.hpp; empty: where libpq's environment says
    std::string password_file;  // the database role's; empty: none is sent
    bool is_replicated = false;
    std::string log_file;     // empty: the log is standard error
    std::string admin_token;  // empty: deleting and exporting are off
};

using Environment = std::map<std::string, std::string>;

// This process's own.
Environment environment();

// Throws std::runtime_error that names every setting that is wrong, a line each, and what it may be. A name that begins
// with APP_ and is none of ours is wrong too: a setting with a slip in its name must not be silently without effect.
Config parse_config(const Environment& environment);

}  // namespace app
