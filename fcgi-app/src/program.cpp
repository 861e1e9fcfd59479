// Arguments, signals, limits of the system.
#include "program.hpp"

#include "content/document.hpp"
#include "http/router.hpp"
#include "service/health.hpp"
#include "version.hpp"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <sstream>
#include <utility>

namespace app {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view help_text =
    "Settings come from the environment: the limits of .env.example; APP_LISTEN and APP_HEALTH_LISTEN, host:port\n"
    "or unix:/path; APP_LOG_FILE, a path (none: the log is standard error); DATABASE_URL, as libpq takes it, and\n"
    "DATABASE_PASSWORD_FILE.\n"
    "  fcgi-app               serve until SIGTERM or SIGINT; SIGHUP opens APP_LOG_FILE anew\n"
    "  fcgi-app --probe       is a running one ready? It is asked for /health; exit status 0 if it is, 1 if not\n"
    "  fcgi-app --probe=live  is it alive? Whether it answers requests that need no database; 0 if it does, 1 if not\n"
    "  fcgi-app --routes      print the methods and paths that it answers\n"
    "  fcgi-app --limits      print what nginx has to let through\n"
    "  fcgi-app --version     print the version\n";

// A search is given up, with its total and then without, after half a second each; where it waits for a lock, before
// that: what is too slow and what is held up are told apart.
constexpr auto search_statement_ms = 500ms;
constexpr auto search_lock_ms = 250ms;
// service/health.hpp says what these make together.
constexpr auto health_call_ms = 1000ms;
constexpr auto health_connect_ms = 1300ms;
constexpr auto probe_ms = 2000ms;
// How long the log may be whole again, with nothing to write, before it says how many lines were dropped.
constexpr auto log_report_ms = 500ms;

// Blocked in every thread, since each inherits it; taken by await_end().
sigset_t block_signals() {
    sigset_t awaited;
    sigemptyset(&awaited);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&awaited, signal);
    pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // a peer that has gone is an error of the write
    return awaited;
}

// Returns the signal that ends the process. Meanwhile SIGHUP opens the log anew, if it is in a file.
int await_end(const sigset_t& awaited, const std::string& log_file, Log& log) {
    const timespec pause{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(log_report_ms).count()};
    while (true) {
        const int signal = ::sigtimedwait(&awaited, nullptr, &pause);
        if (signal == SIGTERM || signal == SIGINT) return signal;
        if (signal == SIGHUP && !log_file.empty()) log.reopen(log_file);
        log.report_dropped();
    }
}

bool is_ready(const Config& config) { return fcgi_probe(config.health_listen, "GET", "/health", probe_ms); }

// What both responders answer without the database, each through its gate, a worker and its router.
bool is_alive(const Config& config) {
    return fcgi_probe(config.listen, "OPTIONS", "/api", probe_ms) &&
           fcgi_probe(config.health_listen, "OPTIONS", "/health", probe_ms);
}

// Every FastCGI connection is a descriptor, and a shell's limit is lower than what the system allows.
void raise_limit_of_open_files() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// A thread that is woken waits until the one that has the core rests or has had its share, instead of taking the core from it. So
// nginx comes to hand over all that it has, and each turn and each batch here is larger (tests/bench/README.md). For threads made
// from here on; where the system refuses it, all is only slower.
void take_no_core_from_others() {
    const sched_param none{};
    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
}

// Asks for privileges until it has been told once that they are there: to plan all statements takes long, and a connection that
// was lost is to be back soon.
Connect<Connection> connect_for_health(PostgresSettings settings, Hosts& hosts, Watchdog& watchdog) {
    return [&hosts, &watchdog, settings = std::move(settings)]() mutable {
        auto connection = std::make_unique<PostgresConnection>(settings, hosts, watchdog);
        settings.asks_for_privileges = false;
        return connection;
    };
}

void say(std::FILE* file, const ProgramText& text) {
    std::fprintf(file, "fcgi-app: %s.\n%s", std::string(text.about).c_str(), help_text.data());
}

void serve_until_signal(const Config& config, const std::function<void(const Config&, Log&, const AwaitEnd&)>& serve) {
    const sigset_t awaited = block_signals();
    Log log(STDERR_FILENO);
    if (!config.log_file.empty()) log.reopen(config.log_file);
    raise_limit_of_open_files();
    take_no_core_from_others();
    // What a burst of requests took is kept for the next one: given back and taken again, it costs a twentieth of each.
    mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
    serve(config, log, [&] { return await_end(awaited, config.log_file, log); });
}

}  // namespace

int run(int argc, char** argv, const ProgramText& text,
        const std::function<void(const Config&, Log&, const AwaitEnd&)>& serve) try {
    const std::string_view argument = argc > 1 ? argv[1] : "";
    if (argument == "--version") {
        std::printf("fcgi-app %s\n", version.data());
        return 0;
    }
    if (argument == "--routes") {
        std::printf("%s", text.routes.c_str());
        return 0;
    }
    if (argument == "--limits") {
        std::printf("body_max_bytes %zu\n", text.body_max_bytes);
        return 0;
    }
    if (argument == "--help") {
        say(stdout, text);
        return 0;
    }
    if (!argument.empty() && argument != "--probe" && argument != "--probe=live") {
        say(stderr, text);
        return 2;
    }
    const Config config = parse_config(environment());
    if (argument == "--probe") return is_ready(config) ? 0 : 1;
    if (argument == "--probe=live") return is_alive(config) ? 0 : 1;
    serve_until_signal(config, serve);
    return 0;
} catch (const std::exception& error) {
    std::istringstream reasons(error.what());
    for (std::string reason; std::getline(reasons, reason);)
        Log(STDERR_FILENO).error("not_started", {{"reason", std::string_view(reason)}});
    return 1;
}

Connections connections_of(const Config& config, std::string name, std::span<const Prepared> statements) {
    // A slow statement ends with an error on a good connection rather than with a connection that is cut.
    const auto statement_ms = config.database_call_ms * 7 / 8;
    const PostgresSettings usual{.name = std::move(name),
                                 .statements = statements,
                                 .password_file = config.password_file,
                                 .is_replicated = config.is_replicated,
                                 .call_ms = config.database_call_ms,
                                 .statement_ms = statement_ms,
                                 .lock_ms = std::min(statement_ms, PostgresSettings().lock_ms)};
    Connections connections{usual, usual, usual};
    connections.for_search.statement_ms = search_statement_ms;
    connections.for_search.lock_ms = search_lock_ms;
    connections.for_search.planner = "plan_cache_mode=force_custom_plan";  // which plan is good depends on the text
    connections.for_health.connect_ms = health_connect_ms;
    connections.for_health.call_ms = connections.for_health.statement_ms = health_call_ms;
    connections.for_health.asks_for_privileges = true;
    return connections;
}

void respond(const Config& config, const Connections& connections, Parts& parts, const FcgiServer::Handle& answer,
             const AwaitEnd& await_end) {
    HealthLane health(health_limits, health_limits.queue_max,
                      connect_for_health(connections.for_health, parts.hosts, parts.watchdog), parts.lanes,
                      check_health());
    const FcgiServerLimits health_responder_limits{.threads = 1,
                                                   .connections_max = 64,
                                                   .request_read_ms = config.server.request_read_ms,
                                                   .drain_ms = 0ms,
                                                   .half_closed_waits = true};
    const HealthService health_service{health};
    const auto answer_health = [&](const ExchangePtr& exchange) {
        route(health_routes(), health_service, parts.log, exchange);
    };
    FcgiServer server(config.listen, config.server, answer, parts.watchdog, parts.log);
    FcgiServer health_server(config.health_listen, health_responder_limits, answer_health, parts.watchdog, parts.log);
    parts.log.info("ready", {{"version", version}, {"listen", config.listen}, {"threads", config.server.threads}});

    parts.log.info("stopping", {{"signal", await_end()}});
    server.drain();
    parts.lanes.close();
    health_server.drain();
    parts.log.info("stopped", {});
}

int run(int argc, char** argv, const ServiceText& text) {
    const auto serve = [&text](const Config& config, Log& log, const AwaitEnd& await_end) {
        Parts parts(config, log);
        const Connections connections = connections_of(config, std::string(text.name), text.statements);
        Operations operations(config.lane, config.batch_max_rows,
                              connector(connections.usual, parts.hosts, parts.watchdog),
                              connector(connections.for_search, parts.hosts, parts.watchdog), parts.lanes, log);
        auto links = text.links;
        links.insert(links.end(), {{"health", "/health"}, {"openapi", "/openapi.json"}});
        const Service service{operations, config.admin_token, index_json(text.name, version, links), log};
        const auto answer = [&](const ExchangePtr& exchange) { route(text.routes, service, log, exchange); };
        respond(config, connections, parts, answer, await_end);
    };
    return run(argc, argv, {text.about, list_of(text.routes), text.body_max_bytes}, serve);
}

}  // namespace app
