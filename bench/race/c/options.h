/* What the load is asked for on its command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

#define _GNU_SOURCE
#include <getopt.h>

#include "net.h"

static struct {
    int port;
    long connections, in_flight; /* open; asked at once */
    long run_ms, drain_ms;
    long rate; /* a second; 0: as fast as answers come */
    int poisson;
    int fresh, once, tls; /* a connection for each request; one request for each connection */
    long up;              /* bytes of each request's body */
    long users, hosts;    /* how many names of users and of hosts the requests bear; 0: one host, no user */
    const char *path;     /* NULL: another path each time */
} asked = {.connections = 64, .run_ms = 1000, .drain_ms = 5000};

static inline void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'},    {"connections", 1, 0, 'c'}, {"in-flight", 1, 0, 'i'}, {"milliseconds", 1, 0, 'm'},
        {"drain", 1, 0, 'd'},   {"rate", 1, 0, 'r'},        {"poisson", 0, 0, 'P'},   {"fresh", 0, 0, 'f'},
        {"once", 0, 0, 'o'},    {"tls", 0, 0, 't'},         {"up", 1, 0, 'u'},        {"users", 1, 0, 'U'},
        {"hosts", 1, 0, 'H'},   {"path", 1, 0, 'g'},        {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) >= 0) switch (option) {
            case 'p': asked.port = (int)number(optarg, "port"); break;
            case 'c': asked.connections = number(optarg, "connections"); break;
            case 'i': asked.in_flight = number(optarg, "in-flight"); break;
            case 'm': asked.run_ms = number(optarg, "milliseconds"); break;
            case 'd': asked.drain_ms = number(optarg, "drain"); break;
            case 'r': asked.rate = number(optarg, "rate"); break;
            case 'P': asked.poisson = 1; break;
            case 'f': asked.fresh = 1; break;
            case 'o': asked.once = 1; break;
            case 't': asked.tls = 1; break;
            case 'u': asked.up = number(optarg, "up"); break;
            case 'U': asked.users = number(optarg, "users"); break;
            case 'H': asked.hosts = number(optarg, "hosts"); break;
            case 'g': asked.path = optarg; break;
            default: exit(2);
        }
    if (!asked.port || !asked.connections) die("load needs --port, and a connection at least");
    if (!asked.in_flight || asked.in_flight > asked.connections) asked.in_flight = asked.connections;
}

#endif
