#ifndef CHECK_H
#define CHECK_H

/* What a health check asks. */
struct question {
    int port;
    const char *path; /* of a GET; NULL: that the port accepts is enough */
    const char *host; /* sent as Host */
    double seconds;   /* for all of it */
};

/* 0 when one of the container's own addresses answers well (2xx or 3xx); else 1, and standard
 * output says what was asked and what came. */
int check(const struct question *question);

#endif
