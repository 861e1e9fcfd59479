// What the processes of all services have in common: their arguments, signals and log, what they ask of the system, and the
// settings of their connections. Knows no resource. Called by main(), before there are threads.
#pragma once

#include "base/log.hpp"
#include "config.hpp"
#include "fastcgi/server.hpp"
#include "postgres/postgres_connection.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace app {

struct ProgramText {
    std::string_view about;  // of --help: "the visitor register's FastCGI responder"
    std::string routes;      // of --routes: a line each
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

// Asks for privileges until it has been told once that they are there: to plan all statements takes long, and a connection that
// was lost is to be back soon.
Connect<Connection> connect_for_health(PostgresSettings settings, Watchdog& watchdog);

FcgiServerLimits limits_of_health_responder(const Config& config);

}  // namespace app
