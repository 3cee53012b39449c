#pragma once

#include <net/if.h>
#include <netinet/in.h>

/* The network by which this container calls what is outside of its networks; nobody comes in there. */
struct way_out {
    in_addr_t gateway, own; /* in the network's order; `own` is this container's address in it */
    char interface[IFNAMSIZ];
};

/* 0 where there is none. */
int find_way_out(struct way_out *found);

/*
 * The engine writes one line for each network into /etc/hosts, in no order. Programs that listen on
 * the first address of their own name, or tell it to others, would be on the way out by chance. Its
 * line becomes the last one, where this user may write the file.
 */
void name_way_out_last(const char *file);
