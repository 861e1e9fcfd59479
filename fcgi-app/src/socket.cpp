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

using namespace std::chrono_literals;

// The path of a unix socket; empty for TCP.
std::string path_of(const std::string& address) {
    constexpr std::string_view prefix = "unix:";
    return address.starts_with(prefix) ? address.substr(prefix.size()) : std::string();
}

class Endpoint {
public:
    // Throws std::runtime_error where `address` is none.
    explicit Endpoint(const std::string& address) {
        if (const std::string path = path_of(address); !path.empty()) {
            sockaddr_un local{};
            local.sun_family = AF_UNIX;
            if (path.size() >= sizeof local.sun_path)
                throw std::runtime_error(path + ": too long for a unix socket's path");
            path.copy(local.sun_path, path.size());
            keep(&local, sizeof local);
            return;
        }
        const auto colon = address.rfind(':');
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        const int error =
            ::getaddrinfo(address.substr(0, colon).c_str(), address.substr(colon + 1).c_str(), &hints, &found);
        if (error != 0) throw std::runtime_error(address + ": " + ::gai_strerror(error));
        keep(found->ai_addr, found->ai_addrlen);
        ::freeaddrinfo(found);
    }

    int socket() const { return ::socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0); }
    int bind(int fd) const { return ::bind(fd, reinterpret_cast<const sockaddr*>(&address_), length_); }
    int connect(int fd) const { return ::connect(fd, reinterpret_cast<const sockaddr*>(&address_), length_); }

private:
    void keep(const void* address, socklen_t length) {
        std::memcpy(&address_, address, length);
        length_ = length;
    }

    sockaddr_storage address_{};
    socklen_t length_ = 0;
};

// What a killed process left; a socket that answers, or another kind of file, stays and makes bind() fail.
void remove_stale_socket(const std::string& address) {
    struct stat status {};
    if (::lstat(path_of(address).c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    const int fd = connect_to(address, 1s);
    if (fd >= 0) {
        ::close(fd);
    } else if (errno == ECONNREFUSED) {
        unlink_socket(address);
    }
}

}  // namespace

int listen_on(const std::string& address, int backlog) {
    const std::string path = path_of(address);
    if (!path.empty()) remove_stale_socket(address);
    const Endpoint endpoint(address);
    const int fd = endpoint.socket();
    const int yes = 1;
    if (path.empty()) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    // Before bind(), so that there is no moment in which others may connect; and after it, whatever the umask.
    if (!path.empty()) ::fchmod(fd, 0660);
    if (::fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && endpoint.bind(fd) == 0 &&
        (path.empty() || ::chmod(path.c_str(), 0660) == 0) && ::listen(fd, backlog) == 0) {
        return fd;
    }
    const std::string reason = std::strerror(errno);
    ::close(fd);
    throw std::runtime_error("cannot listen on " + address + ": " + reason);
}

int connect_to(const std::string& address, std::chrono::milliseconds limit) {
    const Endpoint endpoint(address);
    const int fd = endpoint.socket();
    const timeval timeout{.tv_sec = limit.count() / 1000, .tv_usec = limit.count() % 1000 * 1000};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (endpoint.connect(fd) == 0) return fd;
    ::close(fd);
    return -1;
}

void unlink_socket(const std::string& address) {
    const std::string path = path_of(address);
    if (!path.empty()) ::unlink(path.c_str());
}

}  // namespace app
