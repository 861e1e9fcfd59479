// The health check of nginx's container, which has neither a shell nor curl: GET / of 127.0.0.1:8080, exit status 0
// on 200. It asks for the page and not for /health: nginx is not ill because the database is away. Linked statically,
// so that it runs in any image.
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(void) {
    const struct sockaddr_in nginx = {
        .sin_family = AF_INET, .sin_port = htons(8080), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // Below the check's own time limit in compose.yaml. It counts for connect() too.
    const struct timeval limit = {.tv_sec = 2};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&nginx, sizeof nginx) != 0) return 1;

    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: probe\r\nConnection: close\r\n\r\n";
    static const char wanted[] = "HTTP/1.1 200 ";
    char answer[sizeof wanted - 1];
    if (write(fd, request, sizeof request - 1) != (ssize_t)sizeof request - 1) return 1;
    if (recv(fd, answer, sizeof answer, MSG_WAITALL) != (ssize_t)sizeof answer) return 1;
    return memcmp(answer, wanted, sizeof answer) == 0 ? 0 : 1;
}
