// The process: its parts from the bottom up, then waiting for the signal that ends it. Reading serve() tells what it consists of and how it
// stops.
#include "base/log.hpp"
#include "base/watchdog.hpp"
#include "config.hpp"
#include "fastcgi/server.hpp"
#include "http/router.hpp"
#include "notes/handlers.hpp"
#include "notes/store.hpp"
#include "postgres/health.hpp"
#include "program.hpp"
#include "version.hpp"

namespace {

using namespace app;

void serve(const Config& config, Log& log, const AwaitEnd& await_end) {
    Watchdog watchdog;
    Lanes lanes(log);
    const Connections connections = connections_of(config, "notes", notes_statements());
    const auto connect = [&] { return std::make_unique<PostgresConnection>(connections.usual, watchdog); };
    Store store(config.lane, config.batch_max_rows, connect, lanes, log);
    HealthLane health(health_limits, health_limits.queue_max, connect_for_health(connections.for_health, watchdog),
                      lanes, check_health());

    const Service service{store, config.admin_token, version, log};
    const auto answer = [&](const ExchangePtr& exchange) { route(service_routes(), service, log, exchange); };
    const auto answer_health = [&](const ExchangePtr& exchange) { route(health_routes(), health, log, exchange); };
    FcgiServer server(config.listen, config.server, answer, watchdog, log);
    FcgiServer health_server(config.health_listen, limits_of_health_responder(config), answer_health, watchdog, log);
    log.info("ready", {{"version", version}, {"listen", config.listen}, {"threads", config.server.threads}});

    log.info("stopping", {{"signal", await_end()}});
    server.drain();
    lanes.close();
    health_server.drain();
    log.info("stopped", {});
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, {"the FastCGI responder of notes", list_of(service_routes())}, serve);
}
