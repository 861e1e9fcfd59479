// socket(), with bind() or connect().
#include "socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace app {
namespace {

constexpr std::string_view unix_prefix = "unix:";

// The path of a unix socket; empty for TCP.
std::string path_of(const std::string& address) {
    return address.starts_with(unix_prefix) ? address.substr(unix_prefix.size()) : std::string();
}

struct Endpoint {
    sockaddr_storage address{};
    socklen_t length = 0;
    int fd = -1;

    const sockaddr* pointer() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Endpoint unix_endpoint(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + ": too long for a unix socket's path");
    path.copy(address.sun_path, path.size());
    Endpoint endpoint{.length = sizeof address, .fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::memcpy(&endpoint.address, &address, sizeof address);
    return endpoint;
}

Endpoint tcp_endpoint(const std::string& address) {
    const auto colon = address.rfind(':');
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(address.substr(0, colon).c_str(), address.substr(colon + 1).c_str(), &hints, &found);
    if (error != 0) throw std::runtime_error(address + ": " + ::gai_strerror(error));
    Endpoint endpoint{.length = found->ai_addrlen, .fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    return endpoint;
}

Endpoint endpoint_of(const std::string& address) {
    const std::string path = path_of(address);
    return path.empty() ? tcp_endpoint(address) : unix_endpoint(path);
}

// What a killed process left; a socket that answers, or another kind of file, stays and makes bind() fail.
void remove_stale_socket(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    const Endpoint probe = unix_endpoint(path);
    const bool dead = ::connect(probe.fd, probe.pointer(), probe.length) != 0 && errno == ECONNREFUSED;
    ::close(probe.fd);
    if (dead) ::unlink(path.c_str());
}

}  // namespace

int listen_on(const std::string& address, int backlog) {
    const std::string path = path_of(address);
    if (!path.empty()) remove_stale_socket(path);
    const Endpoint endpoint = endpoint_of(address);
    const int yes = 1;
    if (path.empty()) ::setsockopt(endpoint.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    // Before bind(), so that there is no moment in which others may connect; and after it, whatever the umask.
    if (!path.empty()) ::fchmod(endpoint.fd, 0660);
    if (::fcntl(endpoint.fd, F_SETFL, O_NONBLOCK) == 0 &&
        ::bind(endpoint.fd, endpoint.pointer(), endpoint.length) == 0 &&
        (path.empty() || ::chmod(path.c_str(), 0660) == 0) && ::listen(endpoint.fd, backlog) == 0) {
        return endpoint.fd;
    }
    const std::string reason = std::strerror(errno);
    ::close(endpoint.fd);
    throw std::runtime_error("cannot listen on " + address + ": " + reason);
}

int connect_to(const std::string& address, std::chrono::milliseconds limit) {
    const Endpoint endpoint = endpoint_of(address);
    const timeval timeout{.tv_sec = limit.count() / 1000, .tv_usec = limit.count() % 1000 * 1000};
    ::setsockopt(endpoint.fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    ::setsockopt(endpoint.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (::connect(endpoint.fd, endpoint.pointer(), endpoint.length) == 0) return endpoint.fd;
    ::close(endpoint.fd);
    return -1;
}

void unlink_socket(const std::string& address) {
    const std::string path = path_of(address);
    if (!path.empty()) ::unlink(path.c_str());
}

}  // namespace app
