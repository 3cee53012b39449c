/*
 * The health check: a program may listen on the loopback, on one address of the container, on IPv6
 * alone. All of the container's own addresses are asked, one after the other; the next one begins
 * when the one before has failed, or has had its share of the time, and each goes on until the end.
 * The way out is left out where there is another network: nobody reaches the program there.
 */
#define _GNU_SOURCE
#include "check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "way_out.h"

#define MOST 16        /* addresses */
#define NAMED_PORTS 10 /* of those that are open instead */
#define SWITCHED 101   /* the one status below 200 behind which nothing comes */
#define WITHIN 0.9     /* part of the time: the engine's own clock ran before this program did */

enum state { UNTRIED, CONNECTING, ASKED, OVER };

struct attempt {
    struct sockaddr_storage to;
    socklen_t length;
    char name[INET6_ADDRSTRLEN + 2]; /* as in a URL */
    enum state state;
    int fd;
    size_t got;
    int interim; /* what comes is the rest of an interim answer */
    char text[1024];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -- the container's own addresses ------------------------------------------------------------ */

static size_t add(struct attempt *all, size_t count, const struct sockaddr *address, int port)
{
    if (count == MOST)
        return count;
    struct attempt *one = &all[count];
    char digits[INET6_ADDRSTRLEN];
    memset(one, 0, sizeof *one);
    one->fd = -1;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)&one->to;
        memcpy(to, address, one->length = sizeof *to);
        to->sin_port = htons((unsigned short)port);
        inet_ntop(AF_INET, &to->sin_addr, digits, sizeof digits);
        snprintf(one->name, sizeof one->name, "%s", digits);
    } else {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)&one->to;
        memcpy(to, address, one->length = sizeof *to);
        if (IN6_IS_ADDR_LINKLOCAL(&to->sin6_addr))
            return count;
        to->sin6_port = htons((unsigned short)port);
        inet_ntop(AF_INET6, &to->sin6_addr, digits, sizeof digits);
        snprintf(one->name, sizeof one->name, "[%s]", digits);
    }
    return count + 1;
}

static size_t own_addresses(struct attempt *all, int port)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t count = add(all, 0, (struct sockaddr *)&four, port);
    count = add(all, count, (struct sockaddr *)&six, port);
    struct ifaddrs *found = NULL;
    struct way_out out;
    if (getifaddrs(&found) != 0)
        return count;
    int others = 0, is_out = find_way_out(&out);
    for (struct ifaddrs *each = found; each != NULL; each = each->ifa_next)
        others += each->ifa_addr && each->ifa_addr->sa_family == AF_INET &&
                  !(each->ifa_flags & IFF_LOOPBACK) && is_out &&
                  strcmp(each->ifa_name, out.interface) != 0;
    for (struct ifaddrs *each = found; each != NULL; each = each->ifa_next) {
        int family = each->ifa_addr ? each->ifa_addr->sa_family : AF_UNSPEC;
        if (others && strcmp(each->ifa_name, out.interface) == 0)
            continue;
        if (!(each->ifa_flags & IFF_LOOPBACK) && (family == AF_INET || family == AF_INET6))
            count = add(all, count, each->ifa_addr, port);
    }
    freeifaddrs(found);
    return count;
}

/* -- what is open instead ---------------------------------------------------------------------- */

static size_t open_ports(const char *file, int *ports, size_t count)
{
    FILE *table = fopen(file, "re");
    if (table == NULL)
        return count;
    char line[512], address[33];
    unsigned port, state;
    while (count < NAMED_PORTS && fgets(line, sizeof line, table) != NULL) {
        if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", address, &port, &state) != 3)
            continue;
        size_t known = 0;
        while (known < count && ports[known] != (int)port)
            known++;
        /* 0A: it listens; 127.0.0.11 is the engine's own name server. */
        if (state == 0x0A && known == count && strcasecmp(address, "0B00007F") != 0)
            ports[count++] = (int)port;
    }
    fclose(table);
    return count;
}

static void nothing_listens(int port, const struct attempt *all, size_t count)
{
    printf("nothing listens on port %d (tried ", port);
    for (size_t i = 0; i < count; i++)
        printf("%s%s", i ? ", " : "", all[i].name);
    int ports[NAMED_PORTS];
    size_t found = open_ports("/proc/net/tcp6", ports, open_ports("/proc/net/tcp", ports, 0));
    printf(")%s", found ? "; the program listens on " : "; the program listens on no port");
    int elsewhere = 0;
    for (size_t i = 0; i < found; i++) {
        printf("%s%d", i ? ", " : "", ports[i]);
        elsewhere |= ports[i] == port;
    }
    printf(elsewhere ? ", at an address where nobody reaches it: let it listen on 0.0.0.0\n" : "\n");
}

/* -- one address ------------------------------------------------------------------------------- */

static void close_attempt(struct attempt *one)
{
    close(one->fd);
    one->fd = -1;
    one->state = OVER;
}

static void begin(struct attempt *one)
{
    one->state = OVER;
    one->fd = socket(one->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (one->fd < 0)
        return;
    one->state = CONNECTING;
    if (connect(one->fd, (struct sockaddr *)&one->to, one->length) != 0 && errno != EINPROGRESS)
        close_attempt(one);
}

/* What came, printable, up to the end of the first line. */
static void first_line(struct attempt *one)
{
    one->text[one->got] = '\0';
    size_t end = strcspn(one->text, "\r\n");
    one->text[end < 80 ? end : 80] = '\0';
    for (char *at = one->text; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
}

/* Nothing more comes: 1 when it was good; `said` tells it otherwise. */
static int judge(struct attempt *one, char *said, size_t size)
{
    int status = 0, at = 0;
    size_t got = one->got;
    first_line(one);
    close_attempt(one);
    if (sscanf(one->text, "HTTP/%*s %d%n", &status, &at) == 1) {
        if (status >= 200 && status < 400)
            return 1;
        snprintf(said, size, "answered %d%s", status, one->text + at);
    } else if (got > 0) {
        snprintf(said, size, "answered with what is not HTTP: %s", one->text);
    } else {
        snprintf(said, size, "closed the connection without an answer");
    }
    return 0;
}

/* Interim answers (100 Continue, 103 Early Hints) are gone past, up to their empty lines. 1 when
 * nothing more is needed: the first line of the answer itself is there, or there is no room. */
static int whole(struct attempt *one)
{
    size_t room = sizeof one->text - 1;
    for (;;) {
        char *end = memchr(one->text, '\n', one->got);
        if (end == NULL && one->interim && one->got == room) {
            one->text[0] = '-'; /* the middle of a line: it is not empty */
            one->got = 1;
        }
        if (end == NULL)
            return one->got == room;
        int status = 0;
        one->text[one->got] = '\0';
        sscanf(one->text, "HTTP/%*s %d", &status);
        if (!one->interim && (status < 100 || status >= 200 || status == SWITCHED))
            return 1;
        size_t line = (size_t)(end + 1 - one->text);
        one->interim = line > 2 || (line == 2 && one->text[0] != '\r');
        memmove(one->text, end + 1, one->got -= line);
    }
}

/* It can be written or read: 1 when it is good. `said` is filled when it ended badly after it had
 * connected. */
static int go_on(struct attempt *one, const struct question *q, char *said, size_t size)
{
    if (one->state == CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
            close_attempt(one);
            return 0;
        }
        if (q->path == NULL)
            return 1;
        int text = snprintf(one->text, sizeof one->text,
                            "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: slipway-health\r\n"
                            "Accept: */*\r\nConnection: close\r\n\r\n",
                            q->path, q->host);
        one->state = ASKED;
        if (text >= (int)sizeof one->text ||
            send(one->fd, one->text, (size_t)text, MSG_NOSIGNAL) != text) {
            close_attempt(one);
            snprintf(said, size, "could not be sent");
        }
        return 0;
    }
    ssize_t part = recv(one->fd, one->text + one->got, sizeof one->text - 1 - one->got, 0);
    if (part < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (part > 0)
        one->got += (size_t)part;
    return part <= 0 || whole(one) ? judge(one, said, size) : 0;
}

/* -- all of them --------------------------------------------------------------------------------- */

int check(const struct question *q)
{
    static struct attempt all[MOST];
    struct pollfd polled[MOST];
    char said[200] = "", asked[INET6_ADDRSTRLEN + 2] = "";
    size_t count = own_addresses(all, q->port), begun = 0;
    double end = now() + q->seconds * WITHIN, due = 0;

    for (;;) {
        size_t open = 0;
        for (size_t i = 0; i < begun; i++)
            open += all[i].state != OVER;
        double moment = now();
        if (begun < count && (open == 0 || moment >= due)) {
            due = moment + (end - moment) / (double)(count - begun);
            begin(&all[begun++]);
            continue;
        }
        if (open == 0 || moment >= end)
            break;
        for (size_t i = 0; i < begun; i++) {
            short events = all[i].state == CONNECTING ? POLLOUT : POLLIN;
            polled[i] = (struct pollfd){.fd = all[i].fd, .events = events};
        }
        double until = begun < count && due < end ? due : end;
        poll(polled, begun, (int)((until - moment) * 1000) + 1);
        for (size_t i = 0; i < begun; i++) {
            char words[sizeof said] = "";
            if (all[i].fd < 0 || polled[i].revents == 0)
                continue;
            if (go_on(&all[i], q, words, sizeof words))
                return 0;
            if (words[0] != '\0' && said[0] == '\0') {
                memcpy(said, words, sizeof said);
                memcpy(asked, all[i].name, sizeof asked);
            }
        }
    }
    for (size_t i = 0; i < begun && said[0] == '\0'; i++)
        if (all[i].state != OVER) {
            memcpy(asked, all[i].name, sizeof asked);
            snprintf(said, sizeof said, "%s within %.3g s",
                     all[i].state == ASKED ? "was not answered" : "was not accepted",
                     q->seconds * WITHIN);
        }
    if (said[0] == '\0')
        nothing_listens(q->port, all, count);
    else if (q->path == NULL)
        printf("a connection to %s:%d %s\n", asked, q->port, said);
    else
        printf("GET http://%s:%d%s (Host: %s) %s\n", asked, q->port, q->path, q->host, said);
    return 1;
}
