// What the processes of all services have in common: their arguments, signals and log, what they ask of the system, and the
// settings of their connections. Knows no resource. Called by main(), before there are threads.
#pragma once

#include "base/log.hpp"
#include "config.hpp"
#include "fastcgi/server.hpp"
#include "hosts/hosts.hpp"
#include "http/router.hpp"
#include "lanes/lane.hpp"
#include "postgres/postgres_connection.hpp"
#include "service/operations.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

struct ProgramText {
    std::string_view about;  // of --help: "the orders' FastCGI responder"
    std::string routes;      // of --routes: a line each
    std::size_t body_max_bytes;
};

// Returns once the process is to end, with the signal that says so.
using AwaitEnd = std::function<int()>;

// Does what the arguments say and returns the exit status; `serve` where there are none.
int run(int argc, char** argv, const ProgramText& text,
        const std::function<void(const Config&, Log&, const AwaitEnd&)>& serve);

// What the three kinds of connections ask for.
struct Connections {
    PostgresSettings usual;
    PostgresSettings for_search;  // gives up early
    PostgresSettings for_health;
};

// `name` is the service's, `statements` outlive all.
Connections connections_of(const Config& config, std::string name, std::span<const Prepared> statements);

// What a service is made of before it is known what it answers.
struct Parts {
    Parts(const Config& config, Log& log_of_all) : log(log_of_all), hosts(config.database_url), lanes(log_of_all) {}

    Log& log;
    Watchdog watchdog;
    Hosts hosts;
    Lanes lanes;
};

// Answers with `answer` what comes on config.listen, and /health, by a lane and a responder of its own, on
// config.health_listen, until the process is to end; returns when what was asked is answered.
void respond(const Config& config, const Connections& connections, Parts& parts, const FcgiServer::Handle& answer,
             const AwaitEnd& await_end);

// A service whose handlers need nothing but operations.
struct ServiceText {
    std::string_view name;   // of its database and its roles
    std::string_view about;  // as above
    std::size_t body_max_bytes;
    std::vector<std::pair<std::string_view, std::string_view>> links;  // of the index: where its resources are
    std::span<const Route<Service>> routes;
    std::span<const Prepared> statements;
};

// All of its main().
int run(int argc, char** argv, const ServiceText& text);

}  // namespace app
