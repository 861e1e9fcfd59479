// The limit inside this design: the app's own responder, whose handler answers every request from memory at once with
// the page that the real one sends. What it costs is nginx, FastCGI, the gate and the threads, and nothing behind
// them; it must not know the store or a database. The handler runs on the responder's workers.
//   usage: empty unix:/path FILE THREADS
#include "fastcgi/server.hpp"

#include <pthread.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);  // inherited by every thread, taken below
    std::signal(SIGPIPE, SIG_IGN);
    const sched_param none{};
    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);  // as the app's main does

    std::ifstream file(argv[2]);
    // The headers of a real page, so that the same bytes go through nginx.
    app::Response response{.headers = {{"ETag", "\"0123456789abcdef0123456789abcdef\""},
                                       {"Cache-Control", "no-cache"},
                                       {"Link", "</api/visitors?limit=20&before=99981>; rel=\"next\""},
                                       {"Content-Type", "application/json"}}};
    response.set_body({std::istreambuf_iterator<char>(file), {}});

    app::Log log(STDERR_FILENO);
    app::Watchdog watchdog;
    app::FcgiServer server(
        argv[1], {.threads = std::atoi(argv[3])},
        [&](const app::ExchangePtr& exchange) { exchange->respond(response); }, watchdog, log);
    int signal = 0;
    sigwait(&ending, &signal);
}
