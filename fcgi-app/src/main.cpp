// The visitors' process: its parts from the bottom up, and what answers a request.
#include "config.hpp"
#include "http/router.hpp"
#include "program.hpp"
#include "version.hpp"
#include "visitors/handlers.hpp"
#include "visitors/postgres_book.hpp"
#include "visitors/store.hpp"

namespace {

using namespace app;

void serve(const Config& config, Log& log, const AwaitEnd& await_end) {
    Parts parts(config, log);
    const Connections connections = connections_of(config, "visitors", book_statements());
    const auto connect = [&parts](const PostgresSettings& settings) {
        return [&parts, settings] { return open_book(settings, parts.hosts, parts.watchdog); };
    };
    // Each reading statement has one good plan, by index, whatever is asked. Planned once, it costs half; and a plan that was made while the
    // table was empty must not be another.
    PostgresSettings for_reads = connections.usual;
    for_reads.planner = "plan_cache_mode=force_generic_plan enable_seqscan=off";
    Store store(config.lane, config.batch_max_rows,
                {connect(connections.usual), connect(for_reads), connect(connections.for_search)}, parts.lanes, log);
    const VisitorService service{store, config.admin_token, visitor_index(version), log};
    const auto answer = [&](const ExchangePtr& exchange) { route(visitor_routes(), service, log, exchange); };
    respond(config, connections, parts, answer, await_end);
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv,
               {.about = "the visitor register's FastCGI responder",
                .routes = list_of(visitor_routes()),
                .body_max_bytes = visitor_body_max_bytes},
               serve);
}
