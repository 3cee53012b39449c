#define _GNU_SOURCE
#include "way_out.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUTE_UP 0x1u /* include/uapi/linux/route.h */
#define MOST 65536    /* bytes of /etc/hosts; a longer one is left as it is */

int find_way_out(struct way_out *found)
{
    memset(found, 0, sizeof *found);
    FILE *table = fopen("/proc/net/route", "re");
    if (table == NULL)
        return 0;
    char line[512];
    unsigned to, via, flags, mask;
    while (found->gateway == 0 && fgets(line, sizeof line, table) != NULL)
        if (sscanf(line, "%15s %x %x %x %*d %*d %*d %x", found->interface, &to, &via, &flags,
                   &mask) == 5 &&
            to == 0 && mask == 0 && via != 0 && (flags & ROUTE_UP))
            found->gateway = via; /* as the kernel has it: in the network's order */
    fclose(table);
    struct ifaddrs *all = NULL;
    if (found->gateway == 0 || getifaddrs(&all) != 0)
        return found->gateway != 0;
    for (struct ifaddrs *each = all; each != NULL; each = each->ifa_next)
        if (each->ifa_addr != NULL && each->ifa_addr->sa_family == AF_INET &&
            strcmp(each->ifa_name, found->interface) == 0)
            found->own = ((struct sockaddr_in *)each->ifa_addr)->sin_addr.s_addr;
    freeifaddrs(all);
    return 1;
}

void name_way_out_last(const char *file)
{
    static char before[MOST], after[MOST];
    struct way_out out;
    char address[INET_ADDRSTRLEN];
    if (!find_way_out(&out) || out.own == 0)
        return;
    inet_ntop(AF_INET, &out.own, address, sizeof address);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pread(fd, before, sizeof before, 0);
    if (size > 0 && size < MOST && before[size - 1] == '\n') {
        size_t length = strlen(address), end = (size_t)size, put = 0;
        for (int moved = 0; moved < 2; moved++)
            for (size_t at = 0, next; at < end; at = next) {
                next = (size_t)((char *)memchr(before + at, '\n', end - at) + 1 - before);
                int its = next - at > length && memcmp(before + at, address, length) == 0 &&
                          strchr(" \t", before[at + length]) != NULL;
                if (its == moved) {
                    memcpy(after + put, before + at, next - at);
                    put += next - at;
                }
            }
        /* As long as before, and written at once: nobody reads a part of it. */
        if (memcmp(before, after, end) != 0 && pwrite(fd, after, end, 0) != size)
            fprintf(stderr, "lifeline: %s could not be written\n", file);
    }
    if (fd >= 0)
        close(fd);
}
