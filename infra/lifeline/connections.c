/*
 * The connections of this network namespace, by the kernel's sock_diag(7), which needs no rights.
 *
 * The kernel knows no requests. It knows, for each connection, how many bytes came and went, how
 * many lie unread, and how long ago the last came and went, in its own ticks (1 to 10 ms). Who has
 * received something since it last sent something owes an answer. Within one tick only the counts
 * of two looks tell the order.
 *
 * To list all connections the kernel walks through those of the whole machine (0.5 ms where it has
 * room for 500,000); one that is known by name takes some microseconds.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connections.h"

enum { ESTABLISHED = 1, CLOSE_WAIT = 8, LISTEN = 10 }; /* include/net/tcp_states.h of Linux */

#define SLOTS 4096 /* a power of two; of more connections than three quarters of it nothing is known */
#define PORTS 256
#define BY_NAME 64 /* more than so many are quicker listed */
#define LISTED 0.05 /* s after which they are listed again: there may be new ones */

/* An answer may be written in parts: only one that has not grown for so long (s) is whole. */
#define WHOLE 0.0005
/* Until so long (s) after an answer its asker has hardly the next request under way. */
#define FRESH 0.0015
/* Who was not given the processor for so long (s) does not know how old an answer is. */
#define LATE 0.002
/* A connection without a byte for so long (ms) has been answered, and hardly asks right now. */
#define IDLE 500

struct connection {
    uint64_t cookie; /* the kernel's own name of it, never 0 */
    struct inet_diag_sockid id;
    uint64_t received, sent;
    uint8_t family;
    enum { GONE, ANSWERED, UNKNOWN, OWES } state;
};

static struct connection connections[SLOTS];
static int known, open_ones, lost;
static uint16_t listening[PORTS];
static int ports;
static int owing, grown, busy; /* what this look has seen */

static struct connection *slot(uint64_t cookie)
{
    unsigned place = (unsigned)((cookie * 0x9E3779B97F4A7C15u) >> 32);
    for (;; place++) {
        struct connection *one = &connections[place % SLOTS];
        if (one->cookie == 0 || one->cookie == cookie)
            return one;
    }
}

static int listens(uint16_t port)
{
    for (int i = 0; i < ports; i++)
        if (listening[i] == port)
            return 1;
    return 0;
}

static void weigh(const struct inet_diag_msg *of, const struct tcp_info *tcp)
{
    uint64_t cookie = (uint64_t)of->id.idiag_cookie[1] << 32 | of->id.idiag_cookie[0];
    struct connection *one = slot(cookie);
    uint64_t received = tcp->tcpi_bytes_received, sent = tcp->tcpi_bytes_sent;
    int received_last = tcp->tcpi_last_data_recv < tcp->tcpi_last_data_sent;
    int same_tick = tcp->tcpi_last_data_recv == tcp->tcpi_last_data_sent;

    if (one->cookie == 0) {
        if (known >= SLOTS / 4 * 3) {
            lost = 1;
            return;
        }
        known++;
        one->cookie = cookie;
        one->id = of->id;
        one->family = of->idiag_family;
        one->state = received == 0 ? ANSWERED : received_last ? OWES : same_tick ? UNKNOWN : ANSWERED;
    } else if (received != one->received || sent != one->sent) {
        one->state = sent == one->sent || received_last ? OWES : ANSWERED;
        grown |= sent != one->sent;
    } else if (one->state == UNKNOWN && tcp->tcpi_last_data_recv >= IDLE) {
        one->state = ANSWERED;
    }
    one->received = received;
    one->sent = sent;
    open_ones++;
    owing |= one->state != ANSWERED || of->idiag_rqueue > 0 || tcp->tcpi_notsent_bytes > 0;
    busy |= received > 0 && tcp->tcpi_last_data_recv < IDLE;
}

static void read_one(const struct nlmsghdr *message)
{
    const struct inet_diag_msg *of = NLMSG_DATA(message);
    if (of->idiag_state == LISTEN) {
        if (ports < PORTS && !listens(of->id.idiag_sport))
            listening[ports++] = of->id.idiag_sport;
        return;
    }
    if (of->idiag_state != ESTABLISHED && of->idiag_state != CLOSE_WAIT)
        return;
    if (!listens(of->id.idiag_sport))
        return; /* the program asks there, and is not asked */
    int left = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof *of));
    const char *at = (const char *)(of + 1);
    while (left >= NLA_HDRLEN) {
        const struct nlattr *field = (const struct nlattr *)at;
        if (field->nla_len < NLA_HDRLEN || field->nla_len > left)
            return;
        if (field->nla_type == INET_DIAG_INFO &&
            field->nla_len - NLA_HDRLEN >= (int)offsetof(struct tcp_info, tcpi_bytes_retrans)) {
            struct tcp_info tcp = {0};
            size_t size = (size_t)(field->nla_len - NLA_HDRLEN);
            memcpy(&tcp, at + NLA_HDRLEN, size < sizeof tcp ? size : sizeof tcp);
            weigh(of, &tcp);
            return;
        }
        at += NLA_ALIGN(field->nla_len);
        left -= (int)NLA_ALIGN(field->nla_len);
    }
}

/* The socket of that id, or without one every TCP socket of the family in these states.
 * 0, or -1 where the kernel does not know it or does not tell. */
static int ask(int kernel, int family, unsigned states, const struct inet_diag_sockid *id)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 wish;
    } request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = (uint16_t)(id ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_DUMP)},
        .wish = {.sdiag_family = (uint8_t)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = states,
                 .idiag_ext = 1 << (INET_DIAG_INFO - 1)},
    };
    static char answer[65536] __attribute__((aligned(8)));

    if (id)
        request.wish.id = *id;
    if (send(kernel, &request, sizeof request, 0) < 0)
        return -1;
    for (;;) {
        ssize_t got = recv(kernel, answer, sizeof answer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        struct nlmsghdr *message = (struct nlmsghdr *)answer;
        for (int left = (int)got; NLMSG_OK(message, (unsigned)left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE)
                return 0;
            if (message->nlmsg_type == NLMSG_ERROR)
                return -1;
            if (message->nlmsg_type == SOCK_DIAG_BY_FAMILY)
                read_one(message);
        }
        if (id)
            return 0;
    }
}

/* 0, or -1 where the kernel does not tell. */
static int look(int kernel, double now)
{
    static double listed = -1;
    int by_name = open_ones <= BY_NAME && now - listed < LISTED;

    owing = grown = busy = open_ones = 0;
    if (by_name) {
        for (struct connection *one = connections; one < connections + SLOTS; one++)
            if (one->cookie != 0 && one->state != GONE && ask(kernel, one->family, 0, &one->id) < 0)
                one->state = GONE;
        return 0;
    }
    listed = now;
    unsigned states = 1 << ESTABLISHED | 1 << CLOSE_WAIT;
    int told = ask(kernel, AF_INET, states, NULL) == 0;
    told |= ask(kernel, AF_INET6, states, NULL) == 0;
    return told ? 0 : -1;
}

enum moment moment_to_stop(double now)
{
    static int kernel = -1;
    static double last_sent, last_look;

    if (kernel < 0) {
        kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        struct timeval limit = {.tv_sec = 1};
        setsockopt(kernel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ask(kernel, AF_INET, 1 << LISTEN, NULL);
        ask(kernel, AF_INET6, 1 << LISTEN, NULL);
    }
    if (look(kernel, now) < 0 || lost)
        return GOOD;
    if (grown)
        last_sent = now;
    if (now - last_look > LATE)
        last_sent = 0;
    last_look = now;
    if (owing)
        return BAD;
    double age = now - last_sent;
    return !busy || (age >= WHOLE && age <= FRESH) ? GOOD : FAIR;
}
