// The process: its parts from the bottom up, and what it answers. Reading serve() tells what it consists of.
#include "notes/notes.hpp"
#include "program.hpp"
#include "version.hpp"

namespace {

using namespace app;

void serve(const Config& config, Log& log, const AwaitEnd& await_end) {
    Parts parts(config, log);
    const Connections connections = connections_of(config, "notes", service_statements());
    Operations operations(config.lane, config.batch_max_rows, connector(connections.usual, parts.hosts, parts.watchdog),
                          connector(connections.for_search, parts.hosts, parts.watchdog), parts.lanes, log);
    const Service service{operations, config.admin_token, index_of(version), log};
    const auto answer = [&](const ExchangePtr& exchange) { route(service_routes(), service, log, exchange); };
    respond(config, connections, parts, answer, await_end);
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, {"the FastCGI responder of notes", list_of(service_routes()), notes_body_max_bytes}, serve);
}
