/*
 * The question needs no rights: a datagram to the machine, which is the gateway of the way out. Where
 * the rules stand they refuse it by an ICMP message that firewalls don't use for this, which the
 * kernel gives as ENETUNREACH; a port where nothing listens would be ECONNREFUSED.
 */
#define _GNU_SOURCE
#include "guarded.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "way_out.h"

#define ASKED 9 /* slipway/egress/render.py has the rule for it */

enum guarded guarded(double seconds)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(ASKED)};
    struct way_out out;
    if (!find_way_out(&out))
        return NO_WAY_OUT;
    to.sin_addr.s_addr = out.gateway;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return UNGUARDED;
    enum guarded found = UNGUARDED;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, "", 0, 0) == 0) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        char byte;
        if (poll(&one, 1, (int)(seconds * 1000)) == 1 && recv(fd, &byte, 1, 0) < 0 &&
            errno == ENETUNREACH)
            found = GUARDED;
    }
    close(fd);
    return found;
}
