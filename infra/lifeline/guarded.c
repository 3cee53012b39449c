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
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASKED 9       /* slipway/egress/render.py has the rule for it */
#define ROUTE_UP 0x1u /* include/uapi/linux/route.h */

/* The gateway of the way out; 0 where there is none. */
static in_addr_t gateway(void)
{
    FILE *table = fopen("/proc/net/route", "re");
    if (table == NULL)
        return 0;
    char line[512];
    in_addr_t found = 0;
    unsigned to, via, flags, mask;
    while (found == 0 && fgets(line, sizeof line, table) != NULL)
        if (sscanf(line, "%*s %x %x %x %*d %*d %*d %x", &to, &via, &flags, &mask) == 4 &&
            to == 0 && mask == 0 && via != 0 && (flags & ROUTE_UP))
            found = via; /* as the kernel has it: in the network's order */
    fclose(table);
    return found;
}

enum guarded guarded(double seconds)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(ASKED)};
    to.sin_addr.s_addr = gateway();
    if (to.sin_addr.s_addr == 0)
        return NO_WAY_OUT;
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
