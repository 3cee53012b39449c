/*
 * lifeline: runs inside every release that listens on a port, mounted read-only at /.slipway.
 *
 *   lifeline run --drain SECONDS [--guarded] -- PROGRAM ARG...
 *       With --guarded the program is started once the rules stand which say what it may call
 *       outside; after LATEST seconds without them it is given up. The line of the way out
 *       in /etc/hosts becomes the last one.
 *       As process 1: starts the program, hands signals on, reaps orphans, ends with the program's
 *       exit code. A signal that asks to stop (TERM, INT, QUIT) reaches the program only after
 *       SECONDS: by then its address has left the DNS and the proxy, and nobody new comes. Then
 *       only those are left who keep a connection; the signal is handed on at a moment when none
 *       of them waits for an answer, at most PATIENCE seconds later, so that even a program
 *       that dies at once leaves no request unanswered. A second one is handed on at once. One
 *       that was handed on as it came, and comes again within AGAIN seconds, is not: whoever ends
 *       the container may say so twice, and some programs end at once at the second word.
 *
 *   lifeline check [--timeout SECONDS] [--host HOST] PORT [PATH]
 *       The health check: connects to the port, or asks GET PATH with this Host and takes 2xx and
 *       3xx, at any of the container's own addresses but that of its way out; all within SECONDS.
 *
 *   lifeline guarded [-- PROGRAM ARG...]
 *       Whether these rules stand, as exit code. With a PROGRAM: it takes lifeline's place, but not
 *       before process 1 has started its own. So a health check, which the engine runs from the
 *       first moment on, waits for the rules too.
 *
 * Static, so that it runs in any image, whatever is in it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "connections.h"
#include "guarded.h"
#include "way_out.h"

#define PATIENCE 5.0 /* s; a release's time to end, which the deployer sets, is longer */
#define CHOICE 1.0   /* s for which a good moment is waited for; then a fair one will do */
#define AGAIN 30.0   /* s */
#define LATEST 60.0  /* s */
#define GLANCE 0.00025 /* s between two looks at the connections */
#define STARTED "lifeline-starts" /* what process 1 is called then; at most 15 characters */

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

/* 0 once they stand; else the code to exit with. */
static int wait_until_guarded(const sigset_t *signals)
{
    double began = now();
    for (int told = 0; guarded(0.2) == UNGUARDED;) {
        if (now() - began > LATEST) {
            fprintf(stderr, "lifeline: the program is not started: the rules for what it may call "
                            "outside do not stand on this node; is the guard running there?\n");
            return 125;
        }
        if (!told && now() - began > 1) {
            fprintf(stderr, "lifeline: waits for the rules of the guard on this node\n");
            told = 1;
        }
        struct timespec between = {0, 250000000};
        int number = sigtimedwait(signals, NULL, &between);
        if (number > 0 && stops(number))
            return 128 + number;
    }
    return 0;
}

static int run(double drain, int only_guarded, char **argv)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigprocmask(SIG_BLOCK, &all, &before);

    int refused = only_guarded ? wait_until_guarded(&all) : 0;
    if (refused)
        return refused;
    name_way_out_last("/etc/hosts");
    prctl(PR_SET_NAME, STARTED);
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
    int told = 0; /* the stop signal that was handed on as it came, and when */
    double told_at = 0;
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
        } else if (number != told || now() - told_at > AGAIN) {
            waiting = 0;
            kill(child, number);
            if (stops(number)) {
                told = number;
                told_at = now();
            }
        }
    }
}

static int after_the_first(char **argv)
{
    char name[32] = "";
    FILE *file = fopen("/proc/1/comm", "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) == NULL)
            name[0] = 0;
        fclose(file);
    }
    if (strcmp(name, STARTED "\n") != 0) {
        fprintf(stderr, "lifeline: the program has not been started yet\n");
        return 1;
    }
    execvp(argv[0], argv);
    fprintf(stderr, "lifeline: %s: %s\n", argv[0], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

static int usage(void)
{
    fprintf(stderr, "usage: lifeline run --drain SECONDS [--guarded] -- PROGRAM ARG...\n"
                    "       lifeline check [--timeout SECONDS] [--host HOST] PORT [PATH]\n"
                    "       lifeline guarded [-- PROGRAM ARG...]\n");
    return 2;
}

static int checked(char **word)
{
    struct question question = {.host = "localhost", .seconds = 5};
    for (; *word != NULL && strncmp(*word, "--", 2) == 0; word += 2) {
        if (word[1] == NULL)
            return usage();
        if (strcmp(*word, "--timeout") == 0)
            question.seconds = atof(word[1]);
        else if (strcmp(*word, "--host") == 0)
            question.host = word[1];
        else
            return usage();
    }
    if (*word == NULL)
        return usage();
    question.port = atoi(word[0]);
    question.path = word[1];
    return check(&question);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "check") == 0)
        return checked(argv + 2);
    if (argc == 2 && strcmp(argv[1], "guarded") == 0)
        return guarded(1) != GUARDED;
    if (argc >= 4 && strcmp(argv[1], "guarded") == 0 && strcmp(argv[2], "--") == 0)
        return after_the_first(argv + 3);
    if (argc >= 6 && strcmp(argv[1], "run") == 0 && strcmp(argv[2], "--drain") == 0) {
        int only_guarded = strcmp(argv[4], "--guarded") == 0;
        char **word = argv + 4 + only_guarded;
        if (*word != NULL && strcmp(*word, "--") == 0 && word[1] != NULL)
            return run(atof(argv[3]), only_guarded, word + 1);
    }
    return usage();
}
