// Stream sockets by address: "unix:/path", "host:port" or "[::1]:port". Knows nothing of what is spoken on them. Any thread.
#pragma once

#include <chrono>
#include <string>

namespace app {

// A non-blocking socket that listens. A unix socket is its user's and group's alone, whatever the umask, and takes the
// place of one that no process listens on. Throws std::runtime_error, naming the address.
int listen_on(const std::string& address, int backlog);

// A blocking socket, connected, that neither sends nor receives for longer than `limit`; -1, and errno, if nothing listens.
// Throws std::runtime_error where `address` is none.
int connect_to(const std::string& address, std::chrono::milliseconds limit);

// Lets no new peer connect to a unix socket; those in its queue stay. Does nothing for TCP.
void unlink_socket(const std::string& address);

}  // namespace app
