// socket(), with bind() or connect().
#include "base/socket.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace app {
namespace {

using namespace std::chrono_literals;

// The path of a unix socket; empty for TCP.
std::string path_of(const std::string& address) {
    return address.starts_with("unix:") ? address.substr(address.find(':') + 1) : std::string();
}

// The address as the kernel has it, and its length. Throws std::runtime_error where `address` is none.
std::pair<sockaddr_storage, socklen_t> endpoint_of(const std::string& address) {
    sockaddr_storage endpoint{};
    if (const std::string path = path_of(address); !path.empty()) {
        sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
        if (path.size() >= sizeof local.sun_path)
            throw std::runtime_error(path + ": too long for a unix socket's path");
        path.copy(local.sun_path, path.size());
        std::memcpy(&endpoint, &local, sizeof local);
        return {endpoint, sizeof local};
    }
    const auto colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    // As in a URL, an IPv6 address stands in brackets.
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const addrinfo hints{.ai_socktype = SOCK_STREAM};
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
    if (error != 0) throw std::runtime_error(address + ": " + ::gai_strerror(error));
    const socklen_t length = found->ai_addrlen;
    std::memcpy(&endpoint, found->ai_addr, length);
    ::freeaddrinfo(found);
    return {endpoint, length};
}

// What a killed process left; a socket that answers, or another kind of file, stays and makes bind() fail.
void remove_stale_socket(const std::string& address) {
    struct stat status {};
    if (::lstat(path_of(address).c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    const int fd = connect_to(address, 1s);
    if (fd < 0 && errno == ECONNREFUSED) unlink_socket(address);
    if (fd >= 0) ::close(fd);
}

}  // namespace

int listen_on(const std::string& address, int backlog) {
    const std::string path = path_of(address);
    remove_stale_socket(address);
    const auto [endpoint, length] = endpoint_of(address);
    const int fd = ::socket(endpoint.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    // No peer can connect before listen(), whatever the umask lets bind() make.
    if (fd >= 0 && (!path.empty() || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0) &&
        ::bind(fd, reinterpret_cast<const sockaddr*>(&endpoint), length) == 0 &&
        (path.empty() || ::chmod(path.c_str(), 0660) == 0) && ::listen(fd, backlog) == 0) {
        return fd;
    }
    const std::string reason = std::strerror(errno);
    ::close(fd);
    throw std::runtime_error("cannot listen on " + address + ": " + reason);
}

int connect_to(const std::string& address, std::chrono::milliseconds limit) {
    const auto [endpoint, length] = endpoint_of(address);
    const int fd = ::socket(endpoint.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval timeout{.tv_sec = limit.count() / 1000, .tv_usec = limit.count() % 1000 * 1000};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&endpoint), length) == 0) return fd;
    ::close(fd);
    return -1;
}

void unlink_socket(const std::string& address) { ::unlink(path_of(address).c_str()); }

}  // namespace app
