/* A flood: many connections that are kept up. What is closed is opened again at full speed.

   flood --port N --count N --way hold|once|trickle [--send FILE] [--address A] [--addresses N]
         [--rate BYTES] [--pending N]

   hold      send FILE (nothing without one), take what comes, stay silent
   once      send FILE, read the whole answer, close, open again, without a pause
   trickle   send FILE, then read BYTES a second through the smallest window

   The sources are N addresses from A on. A process holds at most 15,000 connections, so there are several. Each second
   a line is printed: milliseconds, held, opened, closed, answered with 2xx, answered otherwise, refused.
   Ends with its standard input. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { PER_PROCESS = 15000, MOST_PROCESSES = 16, HEAD = 2048, SLICES = 10, RETRY_MS = 10 };
enum way { HOLD, ONCE, TRICKLE };
enum state { CLOSED, CONNECTING, SENDING, HELD };

struct counters { volatile long held, opened, closed, good, other, refused; };

struct connection {
    int fd;
    uint8_t state, seen, chunked;
    size_t sent;
    long length;      /* of the answer with its head, -1 while unknown or until the end of the connection */
    long got;
    size_t kept;      /* bytes of the head so far */
    char *head;       /* where answers are read */
    char tail[5];
};

static struct {
    int port, count, addresses, rate, pending;
    enum way way;
    uint32_t address;
    char *send;
    size_t size;
} given = {.addresses = 1, .rate = 256, .pending = 512, .address = INADDR_LOOPBACK};

static struct counters *mine;
static struct connection *all;
static int *waiting, many, idle, connecting, poller;
static long next_source;
static char junk[1 << 18];

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void die(const char *what) { perror(what); exit(2); }

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLRDHUP, .data.u32 = (uint32_t)(c - all)};
    if (epoll_ctl(poller, operation, c->fd, &event)) die("epoll_ctl");
}

static void shut(struct connection *c) {
    if (c->state == CONNECTING) connecting--;
    if (c->state == HELD) mine->held--;
    close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
    waiting[idle++] = (int)(c - all);
}

/* Whether another may be tried at once. */
static int begin(struct connection *c) {
    int one = 1, small = 4096;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    if (given.way == TRICKLE) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(given.address + (uint32_t)(next_source++ % given.addresses))};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)given.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (void *)&from, sizeof from) || (connect(fd, (void *)&to, sizeof to) && errno != EINPROGRESS)) {
        close(fd);
        mine->refused++;
        return 0;
    }
    char *head = c->head;
    *c = (struct connection){.fd = fd, .state = CONNECTING, .length = -1, .head = head};
    connecting++;
    idle--;
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
    return 1;
}

static void rest(struct connection *c) { watch(c, EPOLL_CTL_MOD, given.way == TRICKLE ? 0 : EPOLLIN); }

/* Whether the connection is still open. */
static int give(struct connection *c) {
    while (c->sent < given.size) {
        ssize_t n = send(c->fd, given.send + c->sent, given.size - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return 1;
        if (n < 0) { mine->closed++; shut(c); return 0; }
        c->sent += (size_t)n;
    }
    if (c->state != HELD) {
        c->state = HELD;
        mine->held++;
    }
    rest(c);
    return 1;
}

static void connected(struct connection *c) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) { mine->refused++; shut(c); return; }
    connecting--;
    mine->opened++;
    c->state = SENDING;
    if (given.way == ONCE && !c->head && !(c->head = malloc(HEAD + 1))) die("malloc");
    give(c);
}

static void first(struct connection *c, const char *bytes, ssize_t n) {
    if (c->seen) return;
    c->seen = 1;
    if (n > 9 && !memcmp(bytes, "HTTP/1.1 2", 10)) mine->good++; else mine->other++;
}

/* Whether the answer is whole, as far as its head says. */
static int whole(struct connection *c, const char *bytes, ssize_t n) {
    if (c->length < 0 && !c->chunked) {
        size_t room = HEAD - c->kept, take = (size_t)n < room ? (size_t)n : room;
        memcpy(c->head + c->kept, bytes, take);
        c->kept += take;
        c->head[c->kept] = 0;
        char *end = strstr(c->head, "\r\n\r\n");
        if (end) {
            end[2] = 0;
            char *length = strcasestr(c->head, "\r\ncontent-length:");
            if (length) c->length = end + 4 - c->head + atol(length + 17);
            else if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) c->chunked = 1;
        }
    }
    c->got += n;
    for (ssize_t i = n > 5 ? n - 5 : 0; i < n; i++) { memmove(c->tail, c->tail + 1, 4); c->tail[4] = bytes[i]; }
    return (c->length >= 0 && c->got >= c->length) || (c->chunked && !memcmp(c->tail, "0\r\n\r\n", 5));
}

static void take(struct connection *c) {
    for (;;) {
        ssize_t n = recv(c->fd, junk, sizeof junk, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) { mine->closed++; shut(c); return; }
        first(c, junk, n);
        if (given.way == ONCE && whole(c, junk, n)) { shut(c); return; }
        if ((size_t)n < sizeof junk) return;
    }
}

static void trickle(int slice) {
    for (int i = slice; i < many; i += SLICES) {
        struct connection *c = &all[i];
        if (c->state != HELD) continue;
        ssize_t n = recv(c->fd, junk, (size_t)given.rate, 0);
        if (n > 0) first(c, junk, n);
        else if (n == 0 || errno != EAGAIN) { mine->closed++; shut(c); }
    }
}

static void work(void) {
    struct epoll_event events[1024];
    long paused = 0, sliced = now_ms();
    int slice = 0;
    for (;;) {
        int n = epoll_wait(poller, events, 1024, RETRY_MS);
        for (int i = 0; i < n; i++) {
            struct connection *c = &all[events[i].data.u32];
            uint32_t what = events[i].events;
            if (c->fd < 0) continue;
            if (c->state == CONNECTING) connected(c);
            else if (what & (EPOLLERR | EPOLLHUP) || (what & EPOLLRDHUP && !(what & EPOLLIN))) { mine->closed++; shut(c); }
            else if (what & EPOLLIN) take(c);
            else if (what & EPOLLOUT && c->state == SENDING) give(c);
        }
        long now = now_ms();
        while (idle && connecting < given.pending && now >= paused)
            if (!begin(&all[waiting[idle - 1]])) paused = now + RETRY_MS;
        if (given.way == TRICKLE && now - sliced >= 1000 / SLICES) {
            trickle(slice++ % SLICES);
            sliced = now;
        }
    }
}

static void child(int share, int number) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    if ((poller = epoll_create1(0)) < 0) die("epoll_create1");
    many = share;
    next_source = number * PER_PROCESS;
    all = calloc((size_t)many, sizeof *all);
    waiting = calloc((size_t)many, sizeof *waiting);
    if (!all || !waiting) die("calloc");
    for (int i = many - 1; i >= 0; i--) { all[i].fd = -1; waiting[idle++] = i; }
    work();
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(path);
    given.size = (size_t)ftell(file);
    rewind(file);
    given.send = malloc(given.size + 1);
    if (!given.send || fread(given.send, 1, given.size, file) != given.size) die(path);
    fclose(file);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *key = argv[i], *value = argv[i + 1];
        if (!strcmp(key, "--port")) given.port = atoi(value);
        else if (!strcmp(key, "--count")) given.count = atoi(value);
        else if (!strcmp(key, "--addresses")) given.addresses = atoi(value);
        else if (!strcmp(key, "--rate")) given.rate = atoi(value);
        else if (!strcmp(key, "--pending")) given.pending = atoi(value);
        else if (!strcmp(key, "--address")) given.address = ntohl(inet_addr(value));
        else if (!strcmp(key, "--send")) load(value);
        else if (!strcmp(key, "--way")) given.way = !strcmp(value, "once") ? ONCE : !strcmp(value, "trickle") ? TRICKLE : HOLD;
        else { fprintf(stderr, "unknown: %s\n", key); return 2; }
    }
    if (given.port <= 0 || given.count <= 0 || given.addresses <= 0 || given.rate <= 0) { fprintf(stderr, "--port and --count are needed\n"); return 2; }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int share = (int)files.rlim_max - 64 < PER_PROCESS ? (int)files.rlim_max - 64 : PER_PROCESS;
    int processes = (given.count + share - 1) / share;
    if (share <= 0 || processes > MOST_PROCESSES) { fprintf(stderr, "too few open files allowed\n"); return 2; }
    struct counters *counters = mmap(NULL, MOST_PROCESSES * sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counters == MAP_FAILED) die("mmap");
    signal(SIGPIPE, SIG_IGN);
    pid_t children[MOST_PROCESSES];
    for (int i = 0, left = given.count; i < processes; i++) {
        int part = left / (processes - i);
        left -= part;
        mine = &counters[i];
        if ((children[i] = fork()) < 0) die("fork");
        if (!children[i]) child(part, i);
    }
    long began = now_ms(), due = began;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (;;) {
        due += 1000;
        long left;
        int ended = 0;
        while ((left = due - now_ms()) > 0 && !ended)
            if (poll(&input, 1, (int)left) > 0) { char byte; ended = read(0, &byte, 1) <= 0; }
        struct counters sum = {0};
        for (int i = 0; i < processes; i++) {
            sum.held += counters[i].held; sum.opened += counters[i].opened; sum.closed += counters[i].closed;
            sum.good += counters[i].good; sum.other += counters[i].other; sum.refused += counters[i].refused;
        }
        printf("%ld %ld %ld %ld %ld %ld %ld\n", now_ms() - began, sum.held, sum.opened, sum.closed, sum.good, sum.other, sum.refused);
        fflush(stdout);
        if (ended) break;
    }
    for (int i = 0; i < processes; i++) kill(children[i], SIGKILL);
    while (wait(NULL) > 0) {}
    return 0;
}
