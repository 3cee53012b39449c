/*
 * lifeline: runs inside every release that listens on a port, mounted read-only at /.slipway.
 *
 *   lifeline run --drain SECONDS -- PROGRAM ARG...
 *       As process 1: starts the program, hands signals on, reaps orphans, ends with the program's
 *       exit code. A signal that asks to stop (TERM, INT, QUIT) reaches the program only after
 *       SECONDS: by then its address has left the DNS and the proxy, and nobody new comes. Then
 *       only those are left who keep a connection; the signal is handed on at a moment when none
 *       of them waits for an answer, at most PATIENCE seconds later, so that even a program
 *       that dies at once leaves no request unanswered. A second one is handed on at once.
 *
 *   lifeline check PORT [PATH]
 *       The health check: connects to the port, or asks GET PATH and takes 2xx and 3xx.
 *
 * Static, so that it runs in any image, whatever is in it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "connections.h"

#define PATIENCE 5.0 /* s; a release's time to end, which the deployer sets, is longer */
#define CHOICE 1.0   /* s for which a good moment is waited for; then a fair one will do */
#define GLANCE 0.00025 /* s between two looks at the connections */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int stops(int number)
{
    return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

static int run(double drain, char **argv)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigprocmask(SIG_BLOCK, &all, &before);

    pid_t child = fork();
    if (child < 0) {
        perror("lifeline: fork");
        return 125;
    }
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(argv[0], argv);
        fprintf(stderr, "lifeline: %s: %s\n", argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }

    int waiting = 0; /* the stop signal that is held back */
    double due = 0;
    for (;;) {
        int number;
        if (waiting) {
            double moment = now(), left = due - moment;
            if (left <= 0) {
                enum moment kind = moment_to_stop(moment);
                if (left <= -PATIENCE || kind == GOOD || (kind == FAIR && left <= -CHOICE)) {
                    kill(child, waiting);
                    waiting = 0;
                    drain = 0;
                    continue;
                }
                left = GLANCE;
            }
            struct timespec limit = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
            number = sigtimedwait(&all, NULL, &limit);
        } else {
            number = sigwaitinfo(&all, NULL);
        }
        if (number < 0)
            continue;
        if (number == SIGCHLD) {
            int status;
            pid_t ended;
            while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
                if (ended == child)
                    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        } else if (stops(number) && drain > 0 && !waiting) {
            waiting = number;
            due = now() + drain;
        } else {
            waiting = 0;
            kill(child, number);
        }
    }
}

/* The address on which the program listens may be the loopback or the container's own: any. */
static int connected(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 4};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int check(int port, const char *path)
{
    int fd = connected(port);
    if (fd < 0) {
        printf("nothing listens on port %d\n", port);
        return 1;
    }
    if (path == NULL) {
        close(fd);
        return 0;
    }
    char text[2048];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: slipway-health\r\n"
                          "Accept: */*\r\nConnection: close\r\n\r\n",
                          path);
    if (length >= (int)sizeof text || write(fd, text, (size_t)length) != length) {
        printf("GET %s could not be sent\n", path);
        return 1;
    }
    size_t got = 0;
    while (got < sizeof text - 1) {
        ssize_t part = read(fd, text + got, sizeof text - 1 - got);
        if (part <= 0)
            break;
        got += (size_t)part;
        if (memchr(text, '\n', got) != NULL)
            break;
    }
    close(fd);
    text[got] = '\0';
    int status = 0;
    if (sscanf(text, "HTTP/%*s %d", &status) != 1) {
        printf("GET %s was not answered\n", path);
        return 1;
    }
    if (status < 200 || status >= 400) {
        printf("GET %s answered %d\n", path, status);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "check") == 0)
        return check(atoi(argv[2]), argc > 3 ? argv[3] : NULL);
    if (argc >= 6 && strcmp(argv[1], "run") == 0 && strcmp(argv[2], "--drain") == 0 &&
        strcmp(argv[4], "--") == 0)
        return run(atof(argv[3]), argv + 5);
    fprintf(stderr, "usage: lifeline run --drain SECONDS -- PROGRAM ARG...\n"
                    "       lifeline check PORT [PATH]\n");
    return 2;
}
